"""Cancelling that holds: work that is asked to end again until it has."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

__all__ = ["cancelled"]

# Long enough for a cleanup that waits for something, such as a connection that is closed.
_AGAIN_SECONDS: Final = 0.5


async def cancelled(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait until all have ended; what they raise is left in them.

    Once is not enough: `asyncio.wait_for` before Python 3.12 forgets a cancellation that meets a result (CPython issue
    86296), and model libraries wait with it for every piece of an answer. Such a task would go on to its natural end.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
