"""Puts of one tick of the event loop travel as one call, as gets do: a call costs far more than a value in it."""

import asyncio
from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

from lycosa.errors import Invalid, LycosaError
from lycosa.identity import Identity
from lycosa.services import Services
from lycosa.services.cache import Item

__all__ = ["GatheredPuts"]

# Of one call; the store takes 100 and 4,000,000. While one is written the next is made ready, so fewer are quicker.
_MOST_ITEMS: Final = 32
_MOST_BYTES: Final = 3_500_000


class _Batch:
    __slots__ = ("bytes", "items", "waiting")

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.waiting: list[tuple[str, asyncio.Future[Exception | None]]] = []
        self.bytes = 0


class GatheredPuts:
    """Values for the cache of one identity. Whoever puts learns of its own error and may be cancelled alone."""

    def __init__(self, identity: Identity, patience: float) -> None:
        """The store may take `patience` seconds of a call."""
        self._identity = identity
        self._patience = patience
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, _Batch] = WeakKeyDictionary()
        # A loop holds its tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, services: Services, item: Item) -> None:
        """Store a value, together with all others of this tick; of two for one key the later stays.

        Raises Invalid, Unavailable, TimedOut.
        """
        loop = asyncio.get_running_loop()
        batch = self._open.get(loop)
        if batch is None or len(batch.items) == _MOST_ITEMS or batch.bytes + len(item.value) > _MOST_BYTES:
            batch = self._open[loop] = _Batch()
            loop.call_soon(self._send, loop, services, batch)
        done: asyncio.Future[Exception | None] = loop.create_future()
        batch.items[item.key] = item
        batch.bytes += len(item.value)
        batch.waiting.append((item.key, done))
        problem = await done
        if problem is not None:
            raise problem

    def _send(self, loop: asyncio.AbstractEventLoop, services: Services, batch: _Batch) -> None:
        if self._open.get(loop) is batch:
            del self._open[loop]
        task = loop.create_task(self._store(services, batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, services: Services, batch: _Batch) -> None:
        items = list(batch.items.values())
        refused: dict[str, Exception | None] = {}
        try:
            problem = await self._set(services, items)
            refused = dict.fromkeys(batch.items, problem)
            if isinstance(problem, Invalid) and len(items) > 1:
                # One is at fault; the others are stored.
                for item in items:
                    refused[item.key] = await self._set(services, [item])
        except Exception as unforeseen:
            # Nobody is to wait for ever.
            refused = dict.fromkeys(batch.items, unforeseen)
        for key, done in batch.waiting:
            if not done.done():
                done.set_result(refused[key])

    async def _set(self, services: Services, items: Sequence[Item]) -> LycosaError | None:
        try:
            await services.cache.set_many(self._identity, items, timeout=self._patience)
        except LycosaError as problem:
            return problem
        return None
