"""Who is told of an answer, in place of asynctnt's futures (docs/decisions/0026).

asynctnt makes a future for every call and gives it the response, which refers to the request, which refers to the
future: a cycle that only the collector frees. And whoever answers many callers by one call needs no future for it.
"""

import asyncio
from typing import Any, Protocol

import asynctnt

from lycosa.deadlines import Deadlines
from lycosa.sending import Then

__all__ = ["FutureReceiver", "Receiver", "ThenReceiver"]


class Receiver(Protocol):
    """What asynctnt does with the future of a call. The response it remembers there refers back to the receiver, so it
    is forgotten with the answer.
    """

    _response: asynctnt.Response | None

    def done(self) -> bool:
        """Whether nobody waits any longer."""

    def set_result(self, response: asynctnt.Response) -> None:
        """The procedure has answered."""

    def set_exception(self, problem: Exception) -> None:
        """It has not, or the time is over."""


def _answer(response: asynctnt.Response) -> Any:
    return response.body.pop() if response.body else None


class FutureReceiver:
    """Gives the answer to a future."""

    __slots__ = ("_deadlines", "_future", "_response")

    def __init__(self, deadlines: Deadlines, future: "asyncio.Future[Any]") -> None:
        """`deadlines` are told when it has the answer."""
        self._deadlines = deadlines
        self._future = future

    def done(self) -> bool:
        """Whether the future was cancelled, or has the answer."""
        return self._future.done()

    def set_result(self, response: asynctnt.Response) -> None:
        """See Receiver."""
        self._response = None
        self._deadlines.end(self)
        self._future.set_result(_answer(response))

    def set_exception(self, problem: Exception) -> None:
        """See Receiver."""
        self._response = None
        self._deadlines.end(self)
        self._future.set_exception(problem)


class ThenReceiver:
    """Calls a function, as soon as the answer has arrived."""

    __slots__ = ("_deadlines", "_response", "_then")

    def __init__(self, deadlines: Deadlines, then: Then) -> None:
        """`deadlines` are told when it has the answer. `then` must not raise."""
        self._deadlines = deadlines
        self._then: Then | None = then

    def done(self) -> bool:
        """Whether the function was called."""
        return self._then is None

    def set_result(self, response: asynctnt.Response) -> None:
        """See Receiver."""
        self._tell(_answer(response), None)

    def set_exception(self, problem: Exception) -> None:
        """See Receiver."""
        self._tell(None, problem)

    def _tell(self, answer: Any, problem: Exception | None) -> None:
        then, self._then, self._response = self._then, None, None
        self._deadlines.end(self)
        if then is not None:
            then(answer, problem)
