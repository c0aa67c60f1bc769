"""Calls that are due at fixed times, whether or not those before them were answered."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from lycosa.errors import TimedOut

Call = Callable[[], Awaitable[object]]


async def open_loop(call: Call, rate: int, seconds: float) -> list[float]:
    """Latencies in ms of `rate` calls a second, each from the moment it was due."""
    latencies: list[float] = []
    clock = time.perf_counter

    async def one(due: float) -> None:
        # A call that nobody answered in time counts as long as it was waited for.
        with contextlib.suppress(TimedOut, TimeoutError):
            await call()
        latencies.append((clock() - due) * 1000)

    total, sent = int(rate * seconds), 0
    started = clock()
    async with asyncio.TaskGroup() as group:
        while sent < total:
            due_by_now = min(total, int((clock() - started) * rate) + 1)
            for number in range(sent, due_by_now):
                group.create_task(one(started + number / rate))
            sent = max(sent, due_by_now)
            await asyncio.sleep(max(0.0, started + sent / rate - clock()))
    return latencies


def percentile(values: list[float], percent: int) -> float:
    """By nearest rank."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
