"""Waiting for processes that were started here."""

import asyncio

__all__ = ["ended"]


async def ended(process: asyncio.subprocess.Process, within: float) -> bool:
    """Whether a process ends within so many seconds.

    Holds in the cleanup of a cancelled task, too: there asyncio.timeout raises CancelledError in place of TimeoutError
    before Python 3.11.3 (CPython issue 102780), and what was to follow is left out.
    """
    waiting = asyncio.create_task(process.wait())
    await asyncio.wait({waiting}, timeout=within)
    if not waiting.done():
        waiting.cancel()
        return False
    return True
