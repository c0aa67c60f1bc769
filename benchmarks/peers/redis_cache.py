"""The peer of cache_get.py: GET and SETEX through redis-py as its users write them, and coalesced as Lycosa's are.

Runs in an environment of its own: python redis_cache.py <socket> <callers> <keys> <bytes of a value> <Lycosa's python>.
For each line `get`, `coalesced`, `set` or `set_coalesced` with seconds on stdin it prints a line of JSON: calls a
second, p50 and p99 in ms. The coalescing is Lycosa's own class, over MGET and over pipelines, so that both sides do the
same.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis  # type: ignore[import-not-found, unused-ignore]
import uvloop

TTL = 3600
SEED = 20261121

Call = Callable[[str], Awaitable[Any]]


async def measure(call: Call, callers: int, keys: int, seconds: float) -> dict[str, float]:
    """A closed loop of callers that wait for each answer, every one with a key by chance."""
    latencies: list[float] = []
    clock = time.perf_counter
    until = clock() + seconds

    async def caller(number: int) -> None:
        chosen = random.Random(SEED + number).randrange
        while (sent := clock()) < until:
            if not await call(f"page:{chosen(keys)}"):
                raise SystemExit("a key was not there")
            latencies.append(clock() - sent)

    started = clock()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = clock() - started
    latencies.sort()
    return {
        "calls": len(latencies),
        "rate": len(latencies) / elapsed,
        "p50": latencies[len(latencies) // 2] * 1000,
        "p99": latencies[len(latencies) * 99 // 100] * 1000,
    }


def calls(client: Any, value: bytes) -> dict[str, Call]:
    """What is measured, by name."""
    from lycosa.coalescing import Coalescer
    from lycosa.sending import sending

    async def call(
        procedure: str, arguments: dict[str, Any], timeout: float | None, *, idempotent: bool
    ) -> Any:
        if procedure == "mget":
            return await client.mget(arguments["keys"])
        elif procedure == "get":
            return await client.get(arguments["key"])
        pipeline = client.pipeline(transaction=False)
        for key in arguments["keys"] if procedure == "pipeline" else [arguments["key"]]:
            pipeline.execute_command("SETEX", key, TTL, value)
        answers = await pipeline.execute()
        return answers if procedure == "pipeline" else answers[0]

    send = sending(call)
    gets = Coalescer(send, one="get", many="mget", shared=(), element="key", elements="keys", limit=100)
    sets = Coalescer(
        send, one="set", many="pipeline", shared=(), element="key", elements="keys", limit=100, reads=False
    )

    async def coalesced(key: str) -> Any:
        return await gets.ask((), key, None)

    async def set_coalesced(key: str) -> Any:
        return await sets.ask((), key, None)

    return {
        "get": client.get,
        "coalesced": coalesced,
        "set": lambda key: client.execute_command("SETEX", key, TTL, value),
        "set_coalesced": set_coalesced,
    }


async def main(socket: str, callers: int, keys: int, size: int) -> None:
    """Answer until stdin ends."""
    client: Any = redis.Redis(unix_socket_path=socket, max_connections=callers)
    value = (b'{"page": "' + b"v" * size)[:size]
    for number in range(keys):
        await client.execute_command("SETEX", f"page:{number}", TTL, value)
    measured = calls(client, value)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, seconds = line.split()
        print(json.dumps(await measure(measured[name], callers, keys, float(seconds))), flush=True)
    await client.aclose()


if __name__ == "__main__":
    sys.path.append(sys.argv[5])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], *map(int, sys.argv[2:5])))
