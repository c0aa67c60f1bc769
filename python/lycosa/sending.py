"""Calls of procedures by who does not await them, but is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

__all__ = ["Send", "Then", "sending"]

# Is told once: of the answer, or of what came instead of it.
Then = Callable[[Any, BaseException | None], None]


class Send(Protocol):
    """A call of a procedure by who does not await it."""

    def __call__(
        self,
        name: str,
        args: dict[str, Any],
        then: Then,
        timeout: float | None = None,
        *,
        idempotent: bool = True,
    ) -> None: ...


def sending(call: Callable[..., Awaitable[Any]]) -> Send:
    """A `Send` over a coroutine function with the same arguments but `then`: in a task of its own."""
    # A loop holds its tasks weakly.
    tasks: set[asyncio.Task[None]] = set()

    async def tell(answering: Awaitable[Any], then: Then) -> None:
        try:
            answer = await answering
        except Exception as problem:
            then(None, problem)
        except BaseException as problem:
            # The loop ends.
            then(None, problem)
            raise
        else:
            then(answer, None)

    def send(
        name: str, args: dict[str, Any], then: Then, timeout: float | None = None, *, idempotent: bool = True
    ) -> None:
        task = asyncio.create_task(tell(call(name, args, timeout, idempotent=idempotent), then))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return send
