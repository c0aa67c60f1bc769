"""The events of what is being done, kept in the store for some minutes, so that any process can tell them again."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final
from uuid import uuid4

import structlog

from lycosa.errors import LycosaError, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Event as KeptEvent
from lycosa.procedures import EventInput, Procedures

__all__ = ["ERROR", "EventService", "Journal", "KeptEvent", "problem_of"]

_log = structlog.get_logger(__name__)

# The kind of event that ends a stream in place of its report.
ERROR: Final = "error"
# Seconds between batches, and between signs of life when nothing happens.
_BATCH_SECONDS: Final = 0.05
_SIGN_SECONDS: Final = 2.0
# An open stream whose writer was not seen for so many seconds was left behind.
LOST_AFTER: Final = 10.0
# Of one call; the store takes 1,500,000 bytes.
_BATCH_EVENTS, _BATCH_BYTES = 64, 1_000_000
# What waits for a slow store; beyond it the stream is given up, not the memory.
_MOST_WAITING: Final = 5_000
_CALL_SECONDS: Final = 2.0
# Between two looks at a stream that is still written: short after something came, longer in silence.
_LEAST_PAUSE, _MOST_PAUSE = 0.05, 0.25


class Journal:
    """Writes one stream behind whoever makes it: adding never waits, and a store that fails costs only the stream."""

    def __init__(self, procedures: Procedures, tenant: str, stream: str) -> None:
        self._procedures = procedures
        self._tenant, self._stream, self._writer = tenant, stream, str(uuid4())
        self._waiting: deque[EventInput] = deque()
        self._awake = asyncio.Event()
        self._ended = False
        self._last = 0
        self.is_lost = False
        self._task: asyncio.Task[None] | None = None

    def add(self, kind: str, data: str) -> None:
        """The next event; `data` is JSON. The first one begins the stream."""
        if self.is_lost or self._ended:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._lose("WAITING_FULL")
            return
        self._waiting.append({"kind": kind, "data": data})
        self._awake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._write(), name="journal")

    def end(self, problem: LycosaError | None = None) -> asyncio.Task[None] | None:
        """Nothing follows but, for a stream that has begun, the error that ended it. Gives the task that writes the
        rest, None when there is nothing to write."""
        if problem is not None and self._task is not None:
            self.add(ERROR, _told(problem))
        self._ended = True
        self._awake.set()
        return self._task

    async def _write(self) -> None:
        while not self.is_lost:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SIGN_SECONDS):
                    await self._awake.wait()
            if self._last and not self._ended:
                # The first batch goes at once: whoever loses the stream early finds that it exists.
                await asyncio.sleep(_BATCH_SECONDS)
            self._awake.clear()
            while True:
                batch = self._batch()
                is_end = self._ended and not self._waiting
                await self._append(batch, is_end)
                if is_end or self.is_lost:
                    return
                if not self._waiting:
                    break

    def _batch(self) -> list[EventInput]:
        batch: list[EventInput] = []
        size = 0
        while self._waiting and len(batch) < _BATCH_EVENTS:
            size += 4 * len(self._waiting[0]["data"])
            if batch and size > _BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _append(self, batch: list[EventInput], is_end: bool) -> None:
        try:
            # Known by its number, so that the client may repeat it when the connection is lost.
            await self._procedures.event_append(
                tenant=self._tenant,
                stream=self._stream,
                writer=self._writer,
                first=self._last + 1,
                events=batch,
                ended=is_end,
                timeout=_CALL_SECONDS,
            )
        except LycosaError as problem:
            self._lose(problem.code)
        else:
            self._last += len(batch)

    def _lose(self, code: str) -> None:
        """From here on the stream goes on without being kept."""
        self.is_lost = True
        self._waiting.clear()
        # Out of order: an answer is told again under its id, whose events are kept already.
        log = _log.info if code == "EVENT_OUT_OF_ORDER" else _log.warning
        log("events_not_kept", stream=self._stream, code=code, kept=self._last)


def _told(problem: LycosaError) -> str:
    told = {"kind": problem.kind, "code": problem.code, "message": problem.message}
    return json.dumps({**told, "details": problem.details}, ensure_ascii=False)


def problem_of(data: str) -> LycosaError:
    """The error that an event of kind `error` tells of."""
    told = json.loads(data)
    found: type[LycosaError] = LycosaError
    for candidate in LycosaError.__subclasses__():
        if candidate.kind == told["kind"]:
            found = candidate
    return found(told["message"], code=told["code"], details=told["details"])


class EventService:
    """Streams of events by their ids."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    def journal(self, identity: Identity, stream: str) -> Journal:
        """A writer of a new stream, which begins with its first event."""
        return Journal(self._procedures, identity.tenant, stream)

    async def follow(
        self, identity: Identity, stream: str, after: int = 0
    ) -> AsyncGenerator[list[KeptEvent], None]:
        """The events of a stream after a number, then those that come while it is written, in pages; an empty page
        where a look brought nothing.

        Raises NotFound when there is no such stream or it has expired, Unavailable (WRITER_LOST) when the process
        that wrote it has vanished.
        """
        pause = _LEAST_PAUSE
        while True:
            page = await self._procedures.event_read(tenant=identity.tenant, stream=stream, after=after)
            if page.events:
                yield page.events
                after = page.events[-1].number
                pause = _LEAST_PAUSE
            if after >= page.last and page.ended:
                return
            if after < page.last:
                continue
            if page.silent > LOST_AFTER:
                raise Unavailable(
                    f"the process that wrote {stream} was last seen {page.silent:.0f} s ago; ask again",
                    code="WRITER_LOST",
                    details={"id": stream},
                )
            if not page.events:
                yield []
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _MOST_PAUSE)
