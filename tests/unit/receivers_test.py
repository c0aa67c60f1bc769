"""Who is told of what the store answers: once, at once, and nothing of it is left for the collector."""

import asyncio
import gc
import weakref
from typing import Any

from lycosa.deadlines import Deadlines
from lycosa.receivers import FutureReceiver, Receiver, ThenReceiver
from lycosa.sending import sending


class Request:
    """As asynctnt has one of each call."""

    waiter: Receiver


class Response:
    """As asynctnt gives one to the waiter of its request."""

    def __init__(self, body: list[Any] | None, request: Request) -> None:
        self.body = body
        self.request = request


def sent(receiver: Receiver, body: list[Any] | None) -> Response:
    """What asynctnt does when a call is sent."""
    request = Request()
    request.waiter = receiver
    response = Response(body, request)
    receiver._response = response
    return response


async def test_the_answer_is_in_the_future_and_the_deadline_forgotten() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(60)
    future = loop.create_future()
    receiver = FutureReceiver(deadlines, future)
    deadlines.begin(receiver, loop)
    assert not receiver.done()
    receiver.set_result(sent(receiver, [{"a": 1}]))
    assert receiver.done()
    assert await future == {"a": 1}
    assert not deadlines._waiting
    nothing = FutureReceiver(deadlines, loop.create_future())
    nothing.set_result(sent(nothing, None))
    assert await nothing._future is None


async def test_nothing_of_a_call_is_left_for_the_collector() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(60)
    told: list[object] = []
    gc.collect()
    gc.disable()
    try:
        for receiver in (
            FutureReceiver(deadlines, loop.create_future()),
            ThenReceiver(deadlines, lambda answer, problem: told.append(answer)),
        ):
            response = sent(receiver, ["answer"])
            remembered = weakref.ref(response)
            receiver.set_result(response)
            del response, receiver
            assert remembered() is None
    finally:
        gc.enable()
    assert told == ["answer"]


async def test_a_function_is_told_once_of_the_answer_or_of_the_problem() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(0.05)
    told: list[tuple[object, object]] = []
    receivers = [ThenReceiver(deadlines, lambda *given: told.append(given)) for _ in range(3)]
    for receiver in receivers[:2]:
        deadlines.begin(receiver, loop)
    receivers[0].set_result(sent(receivers[0], ["answer"]))
    receivers[0].set_exception(OSError("late"))
    lost = OSError("lost")
    receivers[2].set_exception(lost)
    assert told == [("answer", None), (None, lost)]
    await asyncio.sleep(0.1)
    assert [type(problem) for _, problem in told] == [type(None), OSError, TimeoutError]
    assert all(receiver.done() for receiver in receivers)


def test_who_sends_by_a_coroutine_is_told_when_the_loop_ends() -> None:
    told: list[BaseException | None] = []

    async def never(name: str, args: dict[str, Any], timeout: float | None, *, idempotent: bool) -> Any:
        await asyncio.sleep(60)

    async def main() -> None:
        sending(never)("get", {}, lambda answer, problem: told.append(problem))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [type(problem) for problem in told] == [asyncio.CancelledError]
