"""LangGraph's cache of what nodes gave, in the store's cache: shared by processes, within its budget of bytes."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import structlog
from langgraph.cache.base import BaseCache, FullKey, Namespace
from langgraph.checkpoint.serde.base import SerializerProtocol

from lycosa.batches import batches
from lycosa.errors import LycosaError, TimedOut, Unavailable
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.serializing import ClosedSerializer
from lycosa.services import Services
from lycosa.services.cache import MOST_BYTES, MOST_KEYS, Item

__all__ = ["LycosaNodeCache"]

ValueT = TypeVar("ValueT")

# Seconds for what is kept without a time: it goes when the budget is spent.
_LONGEST: Final = 31_536_000.0
_MOST_VALUE: Final = 1_000_000
_MOST_NAME: Final = 480

_log = structlog.get_logger(__name__)


class LycosaNodeCache(BaseCache[ValueT]):
    """What nodes of one tenant's graphs gave. A cache and not a store: entries not read of late go when it is full.

    A value of more than 1,000,000 bytes, or that cannot be serialized, is not kept. When the store is away, or what is
    kept cannot be read, nothing is found and nothing raised: the node runs. Clearing raises what goes wrong.
    Synchronous methods do their work on the connection's own loop, asynchronous ones on the caller's.
    """

    def __init__(
        self,
        connection: LycosaConnection,
        *,
        allowed_msgpack_modules: Iterable[tuple[str, ...] | type] | None = None,
        serde: SerializerProtocol | None = None,
    ) -> None:
        """`allowed_msgpack_modules` are classes of yours that values hold; nothing is ever pickled."""
        super().__init__(serde=serde or ClosedSerializer(allowed_msgpack_modules))
        self._connection = connection
        self._identity = connection.identity

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """What is kept of these keys."""
        try:
            return await self._get(await self._connection.services(), keys)
        except (Unavailable, TimedOut) as problem:
            return _passed_over("get", problem)

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """`aget` for callers without an event loop."""
        try:
            return self._connection.run(lambda services: self._get(services, keys))
        except (Unavailable, TimedOut) as problem:
            return _passed_over("get", problem)

    async def _get(self, services: Services, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        entries = await services.cache.get_many(self._identity, [_name(*key) for key in keys])
        found: dict[FullKey, ValueT] = {}
        for key, entry in zip(keys, entries, strict=True):
            if entry is None:
                continue
            try:
                found[key] = self.serde.loads_typed((entry.media_type, entry.value))
            except Exception as problem:
                # Whatever a serializer raises: what it cannot read is not there.
                _log.warning("node_cache_unreadable", problem=type(problem).__name__)
        return found

    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Keep values, each for its seconds or as long as there is room."""
        try:
            await self._set(await self._connection.services(), pairs)
        except (Unavailable, TimedOut) as problem:
            _passed_over("set", problem)

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """`aset` for callers without an event loop."""
        try:
            self._connection.run(lambda services: self._set(services, pairs))
        except (Unavailable, TimedOut) as problem:
            _passed_over("set", problem)

    async def _set(self, services: Services, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        items: list[Item] = []
        for key, (value, ttl) in pairs.items():
            try:
                kind, data = self.serde.dumps_typed(value)
            except Exception as problem:
                # Whatever a serializer raises: the node has run, and runs again the next time.
                _log.warning("node_cache_not_kept", problem=type(problem).__name__)
                continue
            if len(data) > _MOST_VALUE:
                _log.info("node_cache_too_large", size=len(data))
            elif ttl is None or ttl > 0:
                seconds = _LONGEST if ttl is None else min(float(ttl), _LONGEST)
                items.append(Item(_name(*key), bytes(data), seconds, kind))
        for part in batches(items, lambda item: len(item.value), MOST_KEYS, MOST_BYTES):
            await services.cache.set_many(self._identity, part)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is kept in these namespaces, in all of them when None."""
        await self._clear(await self._connection.services(), namespaces)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """`aclear` for callers without an event loop."""
        self._connection.run(lambda services: self._clear(services, namespaces))

    async def _clear(self, services: Services, namespaces: Sequence[Namespace] | None) -> None:
        prefixes = [_ROOT] if namespaces is None else [_prefix(namespace) for namespace in namespaces]
        for prefix in prefixes:
            await services.cache.invalidate(self._identity, prefix=prefix)


_ROOT: Final = "langgraph.node:"


def _prefix(namespace: Namespace) -> str:
    """How keys of a namespace begin, and no others."""
    name = "/".join(quote(label, safe=" ,") for label in namespace)
    return f"{_ROOT}{_short(name, _MOST_NAME // 2)}:"


def _name(namespace: Namespace, key: str) -> str:
    prefix = _prefix(namespace)
    return prefix + _short(quote(key, safe=" ,:/"), _MOST_NAME - len(prefix))


def _short(name: str, most: int) -> str:
    """The name, or where it is too long, its hash behind a mark that no name has."""
    return name if len(name) <= most else f"%{hashlib.sha256(name.encode()).hexdigest()}"


def _passed_over(operation: str, problem: LycosaError) -> dict[Any, Any]:
    """What is found in a cache that cannot be asked."""
    _log.warning("node_cache_away", operation=operation, code=problem.code)
    return {}
