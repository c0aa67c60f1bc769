"""The peer of quota_take.py: GCRA as an EVALSHA through redis-py, as its users write it.

Runs in an environment of its own: python redis_gcra.py <socket> <callers> <Lycosa's python>. For each line `take` or
`coalesced` with seconds on stdin it prints a line of JSON: calls a second, p50 and p99 in ms, how many takes were let
through. The coalescing is Lycosa's own class over pipelines.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis  # type: ignore[import-not-found, unused-ignore]
import uvloop

# The theoretical arrival time is all that is kept, in microseconds of the server's own clock.
SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval, burst, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local arrival = tonumber(redis.call('GET', KEYS[1]) or 0)
if arrival < now then
    arrival = now
end
local after = arrival + amount * interval
if after - now > burst * interval then
    return {0, after - now - burst * interval}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
return {1, 0}
"""

# A thousand million units a second: it never refuses, so that both sides write every time.
INTERVAL, BURST = "0.001", "1000000000"


async def measure(take: Callable[..., Awaitable[Any]], callers: int, seconds: float) -> dict[str, float]:
    """A closed loop of callers that wait for each answer."""
    latencies: list[float] = []
    through = 0
    clock = time.perf_counter
    until = clock() + seconds

    async def caller(number: int) -> None:
        nonlocal through
        key = f"gcra:tenant:{number % 8}"
        while (sent := clock()) < until:
            allowed, _ = await take(key)
            latencies.append(clock() - sent)
            through += allowed

    started = clock()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = clock() - started
    latencies.sort()
    return {
        "rate": len(latencies) / elapsed,
        "p50": latencies[len(latencies) // 2] * 1000,
        "p99": latencies[len(latencies) * 99 // 100] * 1000,
        "through": through / len(latencies),
    }


def calls(client: Any) -> dict[str, Callable[[str], Awaitable[Any]]]:
    """What is measured, by name."""
    from lycosa.coalescing import Coalescer
    from lycosa.sending import sending

    script = client.register_script(SCRIPT)

    async def call(name: str, given: dict[str, Any], timeout: float | None, *, idempotent: bool) -> Any:
        pipeline = client.pipeline(transaction=False)
        for key in given["keys"] if name == "pipeline" else [given["key"]]:
            pipeline.evalsha(script.sha, 1, key, INTERVAL, BURST, "1")
        answers = await pipeline.execute()
        return answers if name == "pipeline" else answers[0]

    send = sending(call)
    takes = Coalescer(
        send, one="take", many="pipeline", shared=(), element="key", elements="keys", limit=100, reads=False
    )

    async def coalesced(key: str) -> Any:
        return await takes.ask((), key, None)

    return {
        "take": lambda key: script(keys=[key], args=[INTERVAL, BURST, "1"]),
        "coalesced": coalesced,
    }


async def main(socket: str, callers: int) -> None:
    """Answer until stdin ends."""
    client: Any = redis.Redis(unix_socket_path=socket, max_connections=callers)
    measured = calls(client)
    await measured["take"]("gcra:warm")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, seconds = line.split()
        print(json.dumps(await measure(measured[name], callers, float(seconds))), flush=True)
    await client.aclose()


if __name__ == "__main__":
    sys.path.append(sys.argv[3])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2])))
