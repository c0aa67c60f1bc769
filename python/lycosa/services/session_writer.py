"""Messages of chat histories, written behind whoever appends them: many in one transaction.

The busier a tenant, the longer messages are gathered: from `least` seconds up to `most` at 1,000 messages a second,
when a transaction holds some 600 of them. Whoever waits for its message to be durable makes the next write begin at
once. Of every tenant one write is under way at a time and a write that fails is repeated, so the order within a session
is that of appending; ids make the repetition harmless. What waits is bounded, and none of it is dropped in silence.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from lycosa.errors import Internal, Invalid, LycosaError, TimedOut, Unavailable
from lycosa.procedures import ERRORS, Procedures, SessionAppended, SessionBatch, SessionMessageExists
from lycosa.services.session_messages import Sent

__all__ = ["SessionWriter", "WriterFigures"]

_log = structlog.get_logger(__name__)

# Of one write; the store takes 1,000 and 4,000,000.
_WRITE_MESSAGES, _WRITE_BYTES = 1_000, 3_500_000
# Of all that wait, while the store is away.
MOST_WAITING: Final = 20_000
MOST_WAITING_BYTES: Final = 32 * 1_048_576
# Messages a second at which they are gathered for the longest time.
_FULL_RATE: Final = 1_000.0
# A rate is not measured over less.
_LEAST_SECONDS: Final = 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# The rest of the process's end has the other seconds of its five.
_FLUSH_SECONDS: Final = 0.9


class WriterFigures(NamedTuple):
    """What waits now, and what was written since the start."""

    waiting: int
    waiting_bytes: int
    oldest_seconds: float
    appended: int
    writes: int
    failures: int
    refused: int
    lost: int


class _Waiting:
    __slots__ = ("added", "done", "sent", "session")

    def __init__(
        self, session: str, sent: Sent, added: float, done: "asyncio.Future[SessionAppended] | None"
    ) -> None:
        self.session, self.sent, self.added, self.done = session, sent, added, done


class _Line:
    """What waits of one tenant, in order, and who waits for it."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.waiting: deque[_Waiting] = deque()
        self.bytes = 0
        # Taken, and not yet settled.
        self.writing: dict[_Waiting, None] = {}
        self.by_session: Counter[str] = Counter()
        self.urgent = asyncio.Event()
        self.added = self.settled = 0
        self.watchers: dict[asyncio.Future[None], int] = {}
        self.rate, self.taken_at = 0.0, time.monotonic()
        self.task: asyncio.Task[None] | None = None

    def take(self) -> list[_Waiting]:
        """What the next write holds; the rest, if any, is due as well."""
        size = 0
        while self.waiting and len(self.writing) < _WRITE_MESSAGES:
            first = self.waiting[0]
            size += first.sent.size
            if self.writing and size > _WRITE_BYTES:
                break
            self.writing[self.waiting.popleft()] = None
            self.bytes -= first.sent.size
        now = time.monotonic()
        self.rate = (self.rate + len(self.writing) / max(now - self.taken_at, _LEAST_SECONDS)) / 2
        self.taken_at = now
        if not self.waiting:
            self.urgent.clear()
        return list(self.writing)

    def settle(self, one: _Waiting) -> None:
        """One of those being written is, or never will be."""
        del self.writing[one]
        self.settled += 1
        self.by_session[one.session] -= 1
        if not self.by_session[one.session]:
            del self.by_session[one.session]

    def tell(self) -> None:
        """Tell whoever waited for what is settled now: those who came first wait for the least."""
        for future, wanted in self.watchers.items():
            if wanted > self.settled:
                break
            if not future.done():
                future.set_result(None)

    def oldest(self) -> _Waiting | None:
        """The one that has waited longest, written or not."""
        return next(iter(self.writing), self.waiting[0] if self.waiting else None)


class SessionWriter:
    """The messages of one event loop that are not yet in the store."""

    def __init__(self, procedures: Procedures, least: float, most: float) -> None:
        """Messages are gathered for `least` seconds where few come, for `most` where a thousand a second do."""
        self._procedures = procedures
        self._least, self._most = least, max(least, most)
        self._lines: dict[str, _Line] = {}
        self._waiting = self._bytes = 0
        self._appended = self._writes = self._failures = self._refused = self._lost = 0
        self._closed = False

    def add(
        self, tenant: str, session: str, messages: Sequence[Sent], *, durable: bool
    ) -> "list[asyncio.Future[SessionAppended]]":
        """Let messages wait, all of them or none. With `durable` a future each, done when they are in the store.

        Raises Unavailable when too much waits already, or the writer is closed.
        """
        size = sum(sent.size for sent in messages)
        if self._closed:
            raise Unavailable(
                "this process is ending; ask again", code="SESSION_WRITER_CLOSED", retry_after=1
            )
        if self._waiting + len(messages) > MOST_WAITING or self._bytes + size > MOST_WAITING_BYTES:
            raise Unavailable(
                f"{self._waiting} messages wait to be written already; ask again",
                code="SESSION_QUEUE_FULL",
                details={"waiting": self._waiting},
                retry_after=1.0,
            )
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = _Line(tenant)
        now, loop = time.monotonic(), asyncio.get_running_loop()
        done = []
        for sent in messages:
            future = loop.create_future() if durable else None
            if future is not None:
                done.append(future)
            line.waiting.append(_Waiting(session, sent, now, future))
        line.bytes += size
        line.added += len(messages)
        line.by_session[session] += len(messages)
        self._waiting, self._bytes = self._waiting + len(messages), self._bytes + size
        if durable or len(line.waiting) >= _WRITE_MESSAGES or line.bytes >= _WRITE_BYTES:
            line.urgent.set()
        if line.task is None or line.task.done():
            line.task = asyncio.create_task(self._work(line), name="lycosa-sessions")
        return done

    async def flush(self, tenant: str, session: str, timeout: float) -> None:
        """Wait until what waits of a session is in the store. Raises TimedOut."""
        line = self._lines.get(tenant)
        if line is None or session not in line.by_session:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.watchers[future] = line.added
        line.urgent.set()
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            raise TimedOut(
                f"messages of session {session} wait to be written, and the store does not take them",
                code="SESSION_NOT_WRITTEN",
                details={"session": session},
            ) from None
        finally:
            del line.watchers[future]

    async def _work(self, line: _Line) -> None:
        while line.waiting or line.writing:
            await self._gather(line)
            await self._settle(line, line.take())
            line.tell()
        # A fast store often has all that waited before more comes: the rate must outlive that.
        asyncio.get_running_loop().call_later(self._most, self._forget, line)

    def _forget(self, line: _Line) -> None:
        """Drop a line of which nothing was written for a while."""
        idle = not (line.waiting or line.writing) and time.monotonic() - line.taken_at >= self._most
        if idle and self._lines.get(line.tenant) is line:
            del self._lines[line.tenant]

    async def _gather(self, line: _Line) -> None:
        pause = self._least + (self._most - self._least) * min(1.0, line.rate / _FULL_RATE)
        oldest = line.oldest()
        left = oldest.added + pause - time.monotonic() if oldest is not None else 0.0
        if left > 0 and not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await line.urgent.wait()

    async def _settle(self, line: _Line, items: Sequence[_Waiting]) -> None:
        """Write messages, or tell their writers why not. What the store refuses as a whole is tried in halves, so that
        one bad message stops no other."""
        batches = [
            SessionBatch(session=session, messages=[one.sent.message for one in found])
            for session, found in _by_session(items).items()
        ]
        try:
            outcomes = await self._write(line.tenant, batches)
        except (Invalid, Internal) as problem:
            if len(items) == 1:
                self._refuse(line, items[0], problem)
                return
            await self._halves(line, items)
            return
        for outcome, batch in zip(outcomes, _by_session(items).values(), strict=True):
            if outcome.code == SessionMessageExists.code and len(batch) > 1:
                await self._halves(line, batch)
                continue
            for one in batch:
                self._answer(line, one, outcome)

    def _answer(self, line: _Line, one: _Waiting, outcome: SessionAppended) -> None:
        if outcome.code is not None:
            text, details = f"session {one.session}: {outcome.problem}", {"id": one.session}
            self._refuse(line, one, ERRORS[outcome.code](text, code=outcome.code, details=details))
            return
        self._settled(line, one)
        self._appended += 1
        if one.done is not None and not one.done.done():
            one.done.set_result(outcome)

    async def _halves(self, line: _Line, items: Sequence[_Waiting]) -> None:
        """What was written of them the first time is known by its id and not written again."""
        middle = len(items) // 2
        await self._settle(line, items[:middle])
        await self._settle(line, items[middle:])

    def _refuse(self, line: _Line, one: _Waiting, problem: LycosaError) -> None:
        self._settled(line, one)
        self._refused += 1
        if one.done is not None and not one.done.done():
            one.done.set_exception(problem)
        elif one.done is None:
            _log.error(
                "message_refused",
                session=one.session,
                message=one.sent.message["id"],
                code=problem.code,
                problem=problem.message,
            )

    def _settled(self, line: _Line, one: _Waiting) -> None:
        line.settle(one)
        self._waiting -= 1
        self._bytes -= one.sent.size

    async def _write(self, tenant: str, batches: Sequence[SessionBatch]) -> list[SessionAppended]:
        """One write, repeated until the store takes it or says that it is wrong."""
        pause = _FIRST_PAUSE
        while True:
            try:
                outcomes = await self._procedures.session_append(tenant=tenant, batches=batches)
            except (Invalid, Internal):
                raise
            except LycosaError as problem:
                self._failures += 1
                level = _log.warning if pause > _FIRST_PAUSE else _log.info
                level("messages_not_written", code=problem.code, waiting=self._waiting)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._writes += 1
                return outcomes

    def figures(self) -> WriterFigures:
        """What waits, for how long at most, and what was written."""
        now = time.monotonic()
        oldest = [one.added for line in self._lines.values() if (one := line.oldest()) is not None]
        return WriterFigures(
            self._waiting,
            self._bytes,
            now - min(oldest) if oldest else 0.0,
            self._appended,
            self._writes,
            self._failures,
            self._refused,
            self._lost,
        )

    async def aclose(self) -> None:
        """Take no more, and write what waits, within 0.9 s: what a store that is there takes a fraction of.

        What a store that is away did not take is lost: it is counted, logged, and its writers are told where they wait.
        """
        self._closed = True
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        for line in self._lines.values():
            line.urgent.set()
        if tasks:
            await asyncio.wait(tasks, timeout=_FLUSH_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in self._left():
            self._lost += 1
            if one.done is not None and not one.done.done():
                one.done.set_exception(
                    Unavailable(
                        "this process ended before the store took the message; whether it was written is unknown",
                        code="SESSION_NOT_WRITTEN",
                        details={"session": one.session},
                    )
                )
        if self._lost:
            _log.error("messages_lost", count=self._lost)
        self._lines.clear()
        self._waiting = self._bytes = 0

    def _left(self) -> Iterator[_Waiting]:
        for line in self._lines.values():
            yield from line.writing
            yield from line.waiting


def _by_session(items: Sequence[_Waiting]) -> dict[str, list[_Waiting]]:
    found: dict[str, list[_Waiting]] = {}
    for one in items:
        found.setdefault(one.session, []).append(one)
    return found
