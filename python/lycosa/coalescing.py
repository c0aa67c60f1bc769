"""Calls that are issued in one tick of the event loop travel as one.

A call costs the client far more than a key in it, so 64 tasks that each ask for one key are answered by one call of
`*_many`, and 64 that each write a little are one transaction. Which procedure is called in place of which stands in the
contract (`coalesce`); `lycosa.procedures` holds one Coalescer for each. Callers do not notice: each has its own
deadline, its own error and may be cancelled alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from lycosa.errors import Internal, Invalid, LycosaError, TimedOut

__all__ = ["Coalescer"]

Call = Callable[..., Awaitable[Any]]
# Makes an error of its text on the wire.
Refused = Callable[[str], LycosaError]
# Arguments that all callers of a batch share; None is an absent one.
Shared = tuple[Hashable, ...]
# Those of one batch: what they share, and how long they wait; reads of all who wait another time than usual are one.
Group = tuple[Shared, float | bool | None]


class _Batch:
    """Elements of one tick with everybody who waits for them."""

    __slots__ = ("alike", "elements", "group", "loop", "timeout", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, group: Group, timeout: float | None) -> None:
        self.loop = loop
        self.group = group
        self.timeout = timeout
        # Who has the deadline of the whole batch, and so needs no timer.
        self.alike: list[asyncio.Future[Any]] = []
        self.elements: list[Any] = []
        # In the order of the elements: by the element itself where equal ones are one, else by its number.
        self.waiting: dict[Hashable, list[asyncio.Future[Any]]] = {}

    def leave_out(self) -> None:
        """Drop what nobody waits for any longer: a write whose caller has gone is not to be done behind its back."""
        if not any(future.done() for futures in self.waiting.values() for future in futures):
            return
        pairs = list(zip(self.waiting.items(), self.elements, strict=True))
        kept = [(one, element) for one, element in pairs if not all(future.done() for future in one[1])]
        self.waiting = dict(one for one, _ in kept)
        self.elements = [element for _, element in kept]


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
        self._open: dict[Group, _Batch] = {}
        # The loop in which the callers of a batch of writes have been woken and have not sent their next calls yet, and
        # the batches that wait for it.
        self._waking: asyncio.AbstractEventLoop | None = None
        self._turns: deque[asyncio.Future[None]] = deque()
        # A loop holds its tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, shared: Shared, element: Any, timeout: float | None) -> "asyncio.Future[Any]":
        """The answer for one element, sent with all others of this tick that share the other arguments.

        `timeout` in seconds is this caller's alone; None is the client's own. Fails with what the call fails with.
        """
        if timeout is not None and not timeout > 0:
            future = asyncio.get_running_loop().create_future()
            self._expire(future)
            return future
        # Whoever has the deadline of the whole batch needs no timer. A write must not be done for one caller after it
        # was told that its time is over, so those who wait less long have a batch of their own.
        group = (shared, timeout is None if self._reads else timeout)
        batch = self._open.get(group) or self._begin(group, timeout)
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
        if len(waiting) >= self._limit:
            self._send(batch)
        return future

    def _begin(self, group: Group, timeout: float | None) -> _Batch:
        loop = asyncio.get_running_loop()
        batch = self._open[group] = _Batch(loop, group, timeout)
        # Runs after everything that is ready now, which is what a tick is.
        loop.call_soon(self._send, batch)
        return batch

    def _limit_wait(self, batch: _Batch, future: "asyncio.Future[Any]", timeout: float) -> None:
        """Give a caller a deadline of its own. The call lives as long as its most patient caller."""
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
                    f"{self._one} did not answer in time; whether it was done is unknown",
                    code="TIMED_OUT",
                    details={"procedure": self._one},
                )
            )

    def _send(self, batch: _Batch) -> None:
        """Close a batch and send it, if that was not done when it was full."""
        if self._open.get(batch.group) is batch:
            del self._open[batch.group]
            task = batch.loop.create_task(self._answer(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: _Batch) -> None:
        batch.leave_out()
        if not batch.elements:
            return
        try:
            outcomes = await self._outcomes(batch)
            if not self._reads and len(batch.elements) > 1:
                await self._turn(batch.loop)
        except BaseException as problem:
            # The loop ends.
            for waiting in batch.waiting.values():
                _fail(waiting, problem)
            raise
        for waiting, outcome in zip(batch.waiting.values(), outcomes, strict=True):
            if isinstance(outcome, Exception):
                _fail(waiting, outcome)
            else:
                _give(waiting, outcome)

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the callers of the batch that was answered before have sent their next calls.

        Writes that wait for the same disk are answered together. Were all their callers woken together, their next
        calls would leave together, and the server rest until then.
        """
        if self._waking is loop:
            turn = loop.create_future()
            self._turns.append(turn)
            await turn
        self._waking = loop
        # In one tick the callers ask again, in the next their batch is sent.
        loop.call_soon(loop.call_soon, self._end_turn)

    def _end_turn(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._waking = None

    async def _outcomes(self, batch: _Batch) -> list[Any]:
        """The answer or the error of every element."""
        elements, timeout = batch.elements, batch.timeout
        if len(elements) == 1:
            return [await self._alone(batch, elements[0], timeout)]
        sent = batch.loop.time()
        try:
            arguments = {self._elements: elements, **self._given(batch)}
            answers = await self._call(self._many, arguments, timeout, idempotent=self._idempotent)
        except self._refusals:
            left = None if timeout is None else timeout - (batch.loop.time() - sent)
            batch.leave_out()
            return await asyncio.gather(*(self._alone(batch, element, left) for element in batch.elements))
        except Exception as problem:
            return [problem] * len(elements)
        if len(answers) != len(elements):
            counted = f"{len(answers)} answers to {len(elements)} callers"
            return [Internal(f"{self._many} gave {counted}", code="INTERNAL")] * len(elements)
        if self._refused is None:
            return list(answers)
        return [answer if refused is None else self._refused(refused) for answer, refused in answers]

    async def _alone(self, batch: _Batch, element: Any, timeout: float | None) -> Any:
        """The answer to one element or its error, by the procedure that its callers named: the error speaks of their
        own argument.
        """
        own = element if self._element is None else {self._element: element}
        arguments = {**own, **self._given(batch)}
        try:
            return await self._call(self._one, arguments, timeout, idempotent=self._idempotent)
        except Exception as problem:
            return problem

    def _given(self, batch: _Batch) -> dict[str, object]:
        given = zip(self._shared, batch.group[0], strict=True)
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
