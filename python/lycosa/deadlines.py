"""Deadlines of calls that all have the same time to answer: one timer for all, as one each costs a fifth of a call."""

import asyncio
from typing import Any, Final

__all__ = ["Deadlines"]

# Looks in the time a call has: so a call fails up to one in thirty-two late.
_LOOKS: Final = 32


class Deadlines:
    """Futures of one event loop that must be done within `seconds` of their beginning.

    Between two looks nothing is done but to remember who waits; the oldest come first, and done ones are taken out by
    whoever awaited them.
    """

    __slots__ = ("_look", "_seconds", "_timer", "_waiting")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._look = 0
        self._timer: asyncio.TimerHandle | None = None
        # The look at which each began.
        self._waiting: dict[asyncio.Future[Any], int] = {}

    def begin(self, future: "asyncio.Future[Any]") -> None:
        """Fail it with TimeoutError unless it is done in time. `end` must follow."""
        self._waiting[future] = self._look
        if self._timer is None:
            self._timer = future.get_loop().call_later(self._seconds / _LOOKS, self._fail_late)

    def end(self, future: "asyncio.Future[Any]") -> None:
        """Forget it."""
        del self._waiting[future]

    def _fail_late(self) -> None:
        self._look += 1
        for future, began in list(self._waiting.items()):
            if began + _LOOKS >= self._look:
                break
            if not future.done():
                future.set_exception(TimeoutError())
        oldest = next(iter(self._waiting), None)
        self._timer = (
            oldest.get_loop().call_later(self._seconds / _LOOKS, self._fail_late)
            if oldest is not None
            else None
        )
