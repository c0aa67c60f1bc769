"""Answers that stream: events that can be waited for with a pause between, and callers who hang up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Generic, TypeVar

import anyio
from fastapi.sse import format_sse_event
from starlette.requests import Request

from lycosa.rest.problems import Problem

EVENT_STREAM = "text/event-stream"
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

T = TypeVar("T")


class Quiet(Exception):
    """Nothing has happened for a while."""


class Gone(Exception):
    """The client has hung up."""


class Events(Generic[T]):
    """Events that can be waited for with a pause between, and stopped."""

    def __init__(self, events: AsyncIterator[T]) -> None:
        self._events = events
        self._pending: asyncio.Task[T | None] | None = None

    async def next(self, timeout: float | None = None) -> T | None:
        """The next event, None at the end. Raises Quiet when there is none yet; it can be asked again."""
        if self._pending is None:
            self._pending = asyncio.create_task(self._step())
        await asyncio.wait({self._pending}, timeout=timeout)
        if not self._pending.done():
            raise Quiet
        pending, self._pending = self._pending, None
        return pending.result()

    async def _step(self) -> T | None:
        return await anext(self._events, None)

    async def close(self) -> None:
        """Stop the work and wait until it has cleaned up behind itself, even while this task is being cancelled."""
        with anyio.CancelScope(shield=True):
            if self._pending is not None:
                self._pending.cancel()
                await asyncio.gather(self._pending, return_exceptions=True)
                self._pending = None
            closing: Any = getattr(self._events, "aclose", None)
            if closing is not None:
                await closing()


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Do the work unless the client hangs up first: then cancel it and raise Gone."""
    working = asyncio.ensure_future(work)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(working, watching, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def problem_event(problem: Problem, number: int | None = None) -> bytes:
    """An error as the last event; without a number it does not count among what can be read on from."""
    identifier = None if number is None else str(number)
    return format_sse_event(data_str=problem.model_dump_json(), event="error", id=identifier)
