"""Calls that are issued in one tick of the event loop travel as one.

A call costs the client far more than a key in it, so 64 tasks that each ask for one key are answered by one call of
`*_many`, and 64 that each write a little are one transaction. Which procedure is called in place of which stands in the
contract (`coalesce`); `lycosa.procedures` holds one Coalescer for each. Callers do not notice: each has its own
deadline, its own error and may be cancelled alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from lycosa.errors import Internal, Invalid, LycosaError, TimedOut

__all__ = ["Coalescer"]

Call = Callable[..., Awaitable[Any]]
# Makes an error of its text on the wire.
Refused = Callable[[str], LycosaError]
# Arguments that all callers of a batch share; None is an absent one.
Shared = tuple[Hashable, ...]


class _Batch:
    """Elements of one tick with everybody who waits for them."""

    __slots__ = ("alike", "elements", "loop", "shared", "timeout", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, shared: Shared, timeout: float | None) -> None:
        self.loop = loop
        self.shared = shared
        self.timeout = timeout
        # Who has the deadline of the whole batch, and so needs no timer.
        self.alike: list[asyncio.Future[Any]] = []
        self.elements: list[Any] = []
        # In the order of the elements: by the element itself where equal ones are one, else by its number.
        self.waiting: dict[Hashable, list[asyncio.Future[Any]]] = {}


class Coalescer:
    """Answers `one(shared..., element)` for many callers by `many(shared..., elements)`.

    What is refused as a whole, with nothing done, is called again one by one, so that the caller at fault gets the
    error and nobody else.
    """

    def __init__(
        self,
        call: Call,
        *,
        one: str,
        many: str,
        shared: tuple[str, ...],
        element: str | None,
        elements: str,
        limit: int,
        reads: bool = True,
        idempotent: bool = True,
        refusals: tuple[type[LycosaError], ...] = (Invalid,),
        refused: Refused | None = None,
    ) -> None:
        """`one` and `many` are procedures, `shared`, `element` and `elements` names of their arguments.

        Without a name for the element it is a map of arguments of `one`. `limit` is the most elements of a call.
        Reads send what is equal once. `refusals` are errors of a call that has done nothing at all. With `refused`,
        each answer of `many` is a pair: the answer or None, and the text of an error of this one, or None.
        """
        self._call = call
        self._one = one
        self._many = many
        self._shared = shared
        self._element = element
        self._elements = elements
        self._limit = limit
        self._reads = reads
        self._idempotent = idempotent
        self._refusals = refusals
        self._refused = refused
        self._open: dict[tuple[Shared, bool], _Batch] = {}
        # A loop holds its tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, shared: Shared, element: Any, timeout: float | None) -> "asyncio.Future[Any]":
        """The answer for one element, sent with all others of this tick that share the other arguments.

        `timeout` in seconds is this caller's alone; None is the client's own. Fails with what the call fails with.
        """
        # Whoever has the usual deadline has that of the whole batch and needs no timer.
        group = (shared, timeout is None)
        batch = self._open.get(group) or self._begin(group)
        future = batch.loop.create_future()
        if timeout is not None:
            self._limit_wait(batch, future, timeout)
        waiting = batch.waiting
        key = element if self._reads else len(waiting)
        if key in waiting:
            waiting[key].append(future)
            return future
        waiting[key] = [future]
        batch.elements.append(element)
        if len(waiting) == self._limit:
            self._send(group, batch)
        return future

    def _begin(self, group: tuple[Shared, bool]) -> _Batch:
        loop = asyncio.get_running_loop()
        batch = self._open[group] = _Batch(loop, group[0], None if group[1] else 0.0)
        # Runs after everything that is ready now, which is what a tick is.
        loop.call_soon(self._send, group, batch)
        return batch

    def _limit_wait(self, batch: _Batch, future: "asyncio.Future[Any]", timeout: float) -> None:
        """Give a caller a deadline of its own. The call lives as long as its most patient caller."""
        if not timeout > 0:
            self._expire(future)
            return
        assert batch.timeout is not None
        if timeout > batch.timeout:
            for hastier in batch.alike:
                self._arm(batch, hastier, batch.timeout)
            batch.alike, batch.timeout = [future], timeout
        elif timeout == batch.timeout:
            batch.alike.append(future)
        else:
            self._arm(batch, future, timeout)

    def _arm(self, batch: _Batch, future: "asyncio.Future[Any]", timeout: float) -> None:
        timer = batch.loop.call_later(timeout, self._expire, future)
        future.add_done_callback(lambda _: timer.cancel())

    def _expire(self, future: "asyncio.Future[Any]") -> None:
        if not future.done():
            future.set_exception(
                TimedOut(
                    f"{self._one} did not answer in time",
                    code="TIMED_OUT",
                    details={"procedure": self._one},
                )
            )

    def _send(self, group: tuple[Shared, bool], batch: _Batch) -> None:
        """Close a batch and send it, if that was not done when it was full."""
        if self._open.get(group) is batch:
            del self._open[group]
            task = batch.loop.create_task(self._answer(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: _Batch) -> None:
        if len(batch.elements) == 1:
            await self._answer_alone(batch, 0, batch.timeout)
            return
        sent = batch.loop.time()
        arguments = {self._elements: batch.elements, **self._given(batch)}
        try:
            answers = await self._call(self._many, arguments, batch.timeout, idempotent=self._idempotent)
            if len(answers) != len(batch.elements):
                raise Internal(
                    f"{self._many} gave {len(answers)} answers to {len(batch.elements)} callers",
                    code="INTERNAL",
                )
        except self._refusals:
            left = None if batch.timeout is None else batch.timeout - (batch.loop.time() - sent)
            numbers = range(len(batch.elements))
            await asyncio.gather(*(self._answer_alone(batch, number, left) for number in numbers))
        except BaseException as problem:
            for waiting in batch.waiting.values():
                _fail(waiting, problem)
            if not isinstance(problem, Exception):
                raise
        else:
            for waiting, answer in zip(batch.waiting.values(), answers, strict=True):
                if self._refused is None:
                    _give(waiting, answer)
                elif answer[1] is None:
                    _give(waiting, answer[0])
                else:
                    _fail(waiting, self._refused(answer[1]))

    async def _answer_alone(self, batch: _Batch, number: int, timeout: float | None) -> None:
        """One element by the procedure that its callers named, so that an error speaks of their own argument."""
        element = batch.elements[number]
        waiting = batch.waiting[element if self._reads else number]
        own = element if self._element is None else {self._element: element}
        try:
            answer = await self._call(
                self._one, {**own, **self._given(batch)}, timeout, idempotent=self._idempotent
            )
        except BaseException as problem:
            _fail(waiting, problem)
            if not isinstance(problem, Exception):
                raise
        else:
            _give(waiting, answer)

    def _given(self, batch: _Batch) -> dict[str, object]:
        given = zip(self._shared, batch.shared, strict=True)
        return {name: value for name, value in given if value is not None}


def _give(waiting: "list[asyncio.Future[Any]]", answer: Any) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(answer)


def _fail(waiting: "list[asyncio.Future[Any]]", problem: BaseException) -> None:
    """Tell everybody who still waits, each by an error of its own: a raised error grows with every raise."""
    for future in waiting:
        if future.done():
            continue
        if isinstance(problem, LycosaError):
            future.set_exception(
                type(problem)(
                    problem.message,
                    code=problem.code,
                    details=problem.details,
                    retry_after=problem.retry_after,
                )
            )
        elif isinstance(problem, Exception):
            future.set_exception(problem)
        else:
            # The loop ends.
            future.cancel()
