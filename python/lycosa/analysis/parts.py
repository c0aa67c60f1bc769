"""Several reads at once, each with a failure of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableLambda, RunnableParallel

from lycosa.errors import LycosaError

__all__ = ["Ended", "Part", "Read", "parallel", "together"]

Read = Callable[[], Awaitable[Any]]
Ended = Callable[[str, "Part"], None]


@dataclass(frozen=True, slots=True)
class Part:
    """What one branch brought: a value or the error that kept it from it."""

    value: Any = None
    problem: LycosaError | None = None


async def _run(name: str, read: Read, ended: Ended) -> Part:
    try:
        part = Part(value=await read())
    except LycosaError as problem:
        part = Part(problem=problem)
    ended(name, part)
    return part


async def together(branches: Mapping[str, Read], ended: Ended) -> dict[str, Part]:
    """`parallel` for what every question asks, also one that is answered from the cache: a tenth of the work."""
    parts = await asyncio.gather(*(_run(name, read, ended) for name, read in branches.items()))
    return dict(zip(branches, parts, strict=True))


async def parallel(branches: Mapping[str, Read], ended: Ended) -> dict[str, Part]:
    """Run all branches at once; `ended` hears of each as it ends. A LycosaError of one does not undo the others;
    whoever cancels this cancels all of them and waits until they have ended.
    """
    running: set[asyncio.Task[Any]] = set()

    def branch(name: str, read: Read) -> RunnableLambda[Any, Part]:
        async def run(_: Any) -> Part:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            return await _run(name, read, ended)

        return RunnableLambda(run)

    # Not streamed: that is three times the work, and every branch says itself when it ends.
    runnable = RunnableParallel({name: branch(name, read) for name, read in branches.items()})
    try:
        return await runnable.ainvoke(None)
    except BaseException:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise
