"""Deadlines of calls. Most have the same time to answer and share one timer: one each would cost a fifth of a call."""

import asyncio
from typing import Final, Protocol

__all__ = ["Deadlines"]

# Looks in the time a call has: so a call fails up to one in thirty-two late.
_LOOKS: Final = 32


class _Waiter(Protocol):
    def done(self) -> bool: ...

    def set_exception(self, problem: Exception, /) -> None: ...


class Deadlines:
    """Waiters of one event loop, such as futures, that must be done in time, mostly within `seconds` of their begin.

    Between two looks nothing is done but to remember who waits; the oldest come first.
    """

    __slots__ = ("_look", "_loop", "_own", "_seconds", "_timer", "_waiting")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._look = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The look at which each began.
        self._waiting: dict[_Waiter, int] = {}
        # Those with a time of their own.
        self._own: dict[_Waiter, asyncio.TimerHandle] = {}

    def begin(self, waiter: _Waiter, loop: asyncio.AbstractEventLoop, seconds: float | None = None) -> None:
        """Fail it with TimeoutError unless it is done in time: its own `seconds`, or the time of all."""
        if seconds is not None:
            self._own[waiter] = loop.call_later(seconds, self._fail, waiter)
            return
        self._waiting[waiter] = self._look
        if self._timer is None:
            self._loop = loop
            self._timer = loop.call_later(self._seconds / _LOOKS, self._fail_late)

    def end(self, waiter: _Waiter) -> None:
        """Forget it. One that is done otherwise is forgotten when its time is over."""
        if self._waiting.pop(waiter, None) is None:
            timer = self._own.pop(waiter, None)
            if timer is not None:
                timer.cancel()

    def _fail(self, waiter: _Waiter) -> None:
        self.end(waiter)
        if not waiter.done():
            waiter.set_exception(TimeoutError())

    def _fail_late(self) -> None:
        self._look += 1
        for waiter, began in list(self._waiting.items()):
            if began + _LOOKS >= self._look:
                break
            self._fail(waiter)
        assert self._loop is not None
        self._timer = (
            self._loop.call_later(self._seconds / _LOOKS, self._fail_late) if self._waiting else None
        )
