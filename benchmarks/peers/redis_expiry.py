"""The peer of cache_expiry.py: many keys that are due at one instant, and how redis-server sweeps them.

Runs in an environment of its own: python redis_expiry.py <socket> <readers> <pause in s>. For each line `<entries>
<seconds until they are due> <bytes of a value>` on stdin it fills, waits, and prints a line of JSON: keys swept a
second, and p50, p99 and the worst of the gets during the sweep, in ms.
"""

import asyncio
import json
import sys
import time

import redis.asyncio as redis  # type: ignore[import-not-found, unused-ignore]
import uvloop

KEPT = 1000
LOOK_SECONDS = 0.01


async def fill(client: "redis.Redis", entries: int, value: bytes, due_in: float) -> float:
    """Set the keys; when they are due."""
    keep = client.pipeline(transaction=False)
    for number in range(KEPT):
        keep.set(f"k{number}", value, ex=3600)
    await keep.execute()
    due = time.time() + due_in
    for start in range(0, entries, 1000):
        batch = client.pipeline(transaction=False)
        for number in range(start, min(start + 1000, entries)):
            batch.set(f"due:{number}", value, pxat=int(due * 1000))
        await batch.execute()
    if time.time() > due:
        raise SystemExit("filling took longer than the time until the keys were due")
    return due


async def measure(
    client: "redis.Redis", readers: int, pause: float, entries: int, due_in: float, size: int
) -> dict[str, float]:
    """Fill, then read while the keys are swept."""
    due = await fill(client, entries, b"v" * size, due_in)
    await asyncio.sleep(max(0.0, due - time.time()))
    taken: list[float] = []
    swept = False

    async def read(number: int) -> None:
        while not swept:
            number = (number * 7919 + 1) % KEPT
            asked = time.perf_counter()
            await client.get(f"k{number}")
            taken.append(time.perf_counter() - asked)
            await asyncio.sleep(pause)

    async def watch() -> None:
        nonlocal swept
        while not swept:
            swept = await client.dbsize() <= KEPT
            await asyncio.sleep(LOOK_SECONDS)

    await asyncio.gather(watch(), *(read(number) for number in range(readers)))
    seconds = time.time() - due
    taken.sort()
    return {
        "rate": entries / seconds,
        "p50": taken[len(taken) // 2] * 1000,
        "p99": taken[len(taken) * 99 // 100] * 1000,
        "worst": taken[-1] * 1000,
    }


async def main(socket: str, readers: int, pause: float) -> None:
    """Answer until stdin ends."""
    client = redis.Redis(unix_socket_path=socket)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        entries, due_in, size = line.split()
        figures = await measure(client, readers, pause, int(entries), float(due_in), int(size))
        print(json.dumps(figures), flush=True)
    await client.aclose()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
