"""The peer of langchain_cache.py: langchain-redis's RedisCache, as its users write it.

Runs in an environment of its own: python langchain_redis_cache.py <socket> <callers> <prompts> <bytes of an answer>.
For each line `hit` or `put` with seconds on stdin it prints a line of JSON: calls a second, p50 and p99 in ms.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

import uvloop
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

TTL = 3600
SEED = 20261121
LLM = "model='offline', temperature=0"


def answer(size: int) -> list[ChatGeneration]:
    """What a model answers."""
    usage: Any = {"input_tokens": 20, "output_tokens": size // 4, "total_tokens": 20 + size // 4}
    message = AIMessage(content="слово " * (size // 11), response_metadata={"a": 1}, usage_metadata=usage)
    return [ChatGeneration(message=message)]


async def measure(
    cache: Any, name: str, callers: int, prompts: int, size: int, seconds: float
) -> dict[str, float]:
    """A closed loop of callers that wait for each answer, every one with a prompt by chance."""
    latencies: list[float] = []
    clock = time.perf_counter
    until, kept = clock() + seconds, answer(size)

    async def caller(number: int) -> None:
        chosen = random.Random(SEED + number).randrange
        while (sent := clock()) < until:
            prompt = f"prompt {chosen(prompts)}"
            if name == "put":
                await cache.aupdate(prompt, LLM, kept)
            elif await cache.alookup(prompt, LLM) != kept:
                raise SystemExit("an answer was not there")
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


async def main(socket: str, callers: int, prompts: int, size: int) -> None:
    """Answer until stdin ends."""
    # Lycosa's side imports the above, too, and has no langchain-redis.
    from langchain_redis import RedisCache  # type: ignore[import-not-found, unused-ignore]
    from redis import Redis

    cache = RedisCache(redis_client=Redis(unix_socket_path=socket), ttl=TTL)
    for number in range(prompts):
        cache.update(f"prompt {number}", LLM, answer(size))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, seconds = line.split()
        print(json.dumps(await measure(cache, name, callers, prompts, size, float(seconds))), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], *map(int, sys.argv[2:5])))
