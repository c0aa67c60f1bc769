"""Calls that are issued in one tick of the event loop travel as one.

A call costs the client far more than a key in it, so 64 tasks that each ask for one key are answered by one call of
`*_many`, and 64 that each write a little are one transaction. Which procedure is called in place of which stands in the
contract (`coalesce`); `lycosa.procedures` holds one Coalescer for each. Callers do not notice: each has its own
deadline, its own error and may be cancelled alone.

A full batch leaves at once, in the middle of the tick: the server works on it while the client fills the next.
"""

import asyncio
import functools
from collections.abc import Callable, Hashable
from typing import Any

from lycosa.errors import Internal, Invalid, LycosaError, TimedOut
from lycosa.sending import Send

__all__ = ["Coalescer"]

# Makes an error of its text on the wire.
Refused = Callable[[str], LycosaError]
# Arguments that all callers of a batch share; None is an absent one.
Shared = tuple[Hashable, ...]
# Those of one batch: what they share, and how long they wait; reads of all who wait another time than usual are one.
Group = tuple[Shared, float | bool | None]
# Those who ask for one element.
Waiting = list["asyncio.Future[Any]"]


class _Batch:
    """Elements of one tick with everybody who waits for them."""

    __slots__ = ("alike", "elements", "group", "loop", "sent", "timeout", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, group: Group, timeout: float | None) -> None:
        self.loop = loop
        self.group = group
        self.timeout = timeout
        # Who has the deadline of the whole batch, and so needs no timer.
        self.alike: list[asyncio.Future[Any]] = []
        self.elements: list[Any] = []
        # In the order of the elements: by the element itself where equal ones are one, else by its number.
        self.waiting: dict[Hashable, Waiting] = {}
        # By the loop's clock.
        self.sent = 0.0

    def left(self) -> float | None:
        """Seconds of its time."""
        return None if self.timeout is None else self.timeout - (self.loop.time() - self.sent)

    def leave_out(self) -> None:
        """Drop what nobody waits for any longer: a write whose caller has gone is not to be done behind its back."""
        if not self._somebody_left():
            return
        pairs = list(zip(self.waiting.items(), self.elements, strict=True))
        kept = [(one, element) for one, element in pairs if not all(future.done() for future in one[1])]
        self.waiting = dict(one for one, _ in kept)
        self.elements = [element for _, element in kept]

    def _somebody_left(self) -> bool:
        """Whether somebody waits no longer."""
        for futures in self.waiting.values():
            for future in futures:
                if future.done():
                    return True
        return False


class Coalescer:
    """Answers `one(shared..., element)` for many callers by `many(shared..., elements)`.

    What is refused as a whole, with nothing done, is called again one by one, so that the caller at fault gets the
    error and nobody else.
    """

    def __init__(
        self,
        send: Send,
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
        self._send = send
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
            self._close(batch)
        return future

    def _begin(self, group: Group, timeout: float | None) -> _Batch:
        loop = asyncio.get_running_loop()
        batch = self._open[group] = _Batch(loop, group, timeout)
        # Runs after everything that is ready now, which is what a tick is.
        loop.call_soon(self._close, batch)
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

    def _close(self, batch: _Batch) -> None:
        """Send a batch, if that was not done when it was full."""
        if self._open.get(batch.group) is not batch:
            return
        del self._open[batch.group]
        batch.leave_out()
        if len(batch.elements) > 1:
            batch.sent = batch.loop.time()
            arguments = {self._elements: batch.elements, **self._given(batch)}
            then = functools.partial(self._answered, batch)
            self._send(self._many, arguments, then, batch.timeout, idempotent=self._idempotent)
        elif batch.elements:
            self._send_alone(batch, batch.timeout)

    def _send_alone(self, batch: _Batch, timeout: float | None) -> None:
        """Every element by the procedure that its callers named: an error speaks of their own argument."""
        given = self._given(batch)
        for waiting, element in zip(batch.waiting.values(), batch.elements, strict=True):
            own = element if self._element is None else {self._element: element}
            then = functools.partial(_tell, waiting)
            self._send(self._one, {**own, **given}, then, timeout, idempotent=self._idempotent)

    def _answered(self, batch: _Batch, answers: Any, problem: BaseException | None) -> None:
        """Each caller's part of the answer."""
        if isinstance(problem, self._refusals):
            left = batch.left()
            batch.leave_out()
            self._send_alone(batch, left)
            return
        count = len(batch.elements)
        if problem is None and not (isinstance(answers, list) and len(answers) == count):
            counted = f"{len(answers) if isinstance(answers, list) else 'no'} answers to {count} callers"
            problem = Internal(f"{self._many} gave {counted}", code="INTERNAL")
        if problem is not None:
            for waiting in batch.waiting.values():
                _fail(waiting, problem)
        elif self._refused is None:
            for waiting, answer in zip(batch.waiting.values(), answers, strict=True):
                _give(waiting, answer)
        else:
            for waiting, (answer, refused) in zip(batch.waiting.values(), answers, strict=True):
                _tell(waiting, answer, None if refused is None else self._refused(refused))

    def _given(self, batch: _Batch) -> dict[str, object]:
        given = zip(self._shared, batch.group[0], strict=True)
        return {name: value for name, value in given if value is not None}


def _tell(waiting: Waiting, answer: Any, problem: BaseException | None) -> None:
    if problem is None:
        _give(waiting, answer)
    else:
        _fail(waiting, problem)


def _give(waiting: Waiting, answer: Any) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(answer)


def _fail(waiting: Waiting, problem: BaseException) -> None:
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
