"""LangGraph's long-term memory in the store: items in namespaces, shared by every process of a tenant."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import structlog
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    get_text_at_path,
    validate_op_namespace,
)

from lycosa.errors import Invalid
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.store_filters import is_among, is_wanted, literal_prefix
from lycosa.services import Services
from lycosa.services.kv import KvEntry
from lycosa.services.ranking import scores

__all__ = ["MOST_LISTED", "MOST_RANKED", "MOST_SEARCHED", "LycosaStore"]

# Items that a search looks at, those of them that a query ranks, and namespaces that a listing looks at.
MOST_SEARCHED: Final = 10_000
MOST_RANKED: Final = 1_000
MOST_LISTED: Final = 10_000
# Of one item that a query looks at.
_MOST_TEXT: Final = 65_536

_log = structlog.get_logger(__name__)


class _Kept(NamedTuple):
    """An item as it is stored, with the fields that a query looks at: None for all, False for none."""

    entry: KvEntry
    namespace: tuple[str, ...]
    value: dict[str, Any]
    indexed: Sequence[str] | bool | None


class LycosaStore(BaseStore):
    """Items of one tenant. Values are JSON of up to 1,000,000 bytes, keys any text of 1 to 512 bytes.

    A search with a `query` ranks by words (BM25 over Russian and English stems), not by meaning: of the first 1,000
    items of the namespace, in the order of namespace and key, that meet the filter, it gives those that have a word of
    the query. A search without one looks at 10,000 items. Both say in the log when there were more. An expired item is
    never given, and is swept by the store. Of a batch, up to a hundred puts to one namespace are stored all or none.

    Synchronous methods do their work on the connection's own loop, asynchronous ones on the caller's.
    """

    supports_ttl = True

    def __init__(
        self,
        connection: LycosaConnection,
        *,
        ttl: TTLConfig | None = None,
        fields: Sequence[str] | None = None,
        name: str = "default",
    ) -> None:
        """`ttl` as LangGraph has it: `default_ttl` in minutes and `refresh_on_read`; the store itself sweeps.

        `fields` are the paths that a query looks at in items that name none, all of the value when None. `name` sets
        this store apart from others of the tenant. Raises Invalid for a name that is not plain text of 1 to 64 bytes.
        """
        if not name.isprintable() or "/" in name or not 0 < len(name.encode()) <= 64:
            raise Invalid.argument("name", "is not plain text of 1 to 64 bytes without a slash")
        self.ttl_config = ttl
        self._connection = connection
        self._identity = connection.identity
        self._fields = fields
        self._root = f"langgraph.store/{name}/"

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations: what is read is what was there before the puts; of puts to one key the last counts."""
        return await self._do(await self._connection.services(), list(ops))

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """`abatch` for callers without an event loop."""
        listed = list(ops)
        return self._connection.run(lambda services: self._do(services, listed))

    async def _do(self, services: Services, ops: Sequence[Op]) -> list[Result]:
        puts: dict[tuple[tuple[str, ...], str], PutOp] = {}
        reads: dict[int, Any] = {}
        for position, op in enumerate(ops):
            validate_op_namespace(op)
            match op:
                case GetOp():
                    reads[position] = self._get(services, op)
                case SearchOp():
                    reads[position] = self._search(services, op)
                case ListNamespacesOp():
                    reads[position] = self._list(services, op)
                case PutOp():
                    puts[op.namespace, op.key] = op
                case _:
                    raise ValueError(f"operation {type(op).__name__} is not known")
        values = self._values(puts.values())
        results: list[Result] = [None] * len(ops)
        found = await asyncio.gather(*reads.values())
        for position, answer in zip(reads, found, strict=True):
            results[position] = answer
        await self._put(services, puts.values(), values)
        return results

    # Items

    async def _get(self, services: Services, op: GetOp) -> Item | None:
        entry = await services.kv.get(self._identity, self._namespace(op.namespace), op.key)
        if entry is None:
            return None
        if op.refresh_ttl and entry.ttl is not None:
            await services.kv.touch(self._identity, entry.namespace, [entry.key])
        kept = self._kept(entry)
        return Item(
            value=kept.value,
            key=entry.key,
            namespace=kept.namespace,
            created_at=_moment(entry.created_at),
            updated_at=_moment(entry.updated_at),
        )

    def _values(self, puts: Iterable[PutOp]) -> dict[tuple[tuple[str, ...], str], bytes]:
        """What is to be stored, before anything is: a value that is not JSON stops the whole batch."""
        values: dict[tuple[tuple[str, ...], str], bytes] = {}
        for op in puts:
            if op.value is None:
                continue
            record: dict[str, Any] = {"value": op.value}
            if op.index is not None:
                record["index"] = op.index
            try:
                text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
                values[op.namespace, op.key] = text.encode()
            except (TypeError, ValueError) as problem:
                raise Invalid(
                    f"the value of {op.key} is not JSON: {problem}",
                    code="INVALID_ARGUMENT",
                    details={"argument": "value", "problem": "is not JSON"},
                ) from problem
        return values

    async def _put(
        self,
        services: Services,
        puts: Iterable[PutOp],
        values: Mapping[tuple[tuple[str, ...], str], bytes],
    ) -> None:
        """Store and delete, as many keys a call as go together."""
        stored: dict[tuple[str, float | None], dict[str, bytes]] = {}
        deleted: dict[str, list[str]] = {}
        for op in puts:
            namespace = self._namespace(op.namespace)
            if op.value is None:
                deleted.setdefault(namespace, []).append(op.key)
            else:
                seconds = None if op.ttl is None else op.ttl * 60
                stored.setdefault((namespace, seconds), {})[op.key] = values[op.namespace, op.key]
        for namespace, keys in deleted.items():
            await services.kv.delete(self._identity, namespace, keys)
        for (namespace, seconds), items in stored.items():
            await services.kv.set_many(self._identity, namespace, items, ttl=seconds)

    # Search

    async def _search(self, services: Services, op: SearchOp) -> list[SearchItem]:
        if op.limit < 0 or op.offset < 0:
            raise ValueError("limit and offset of a search must not be negative")
        if op.query:
            found = await self._ranked(services, op, op.query)
        else:
            enough = op.offset + op.limit
            found = [(kept, None) async for kept in self._matching(services, op, enough)]
        found = found[op.offset : op.offset + op.limit]
        if op.refresh_ttl:
            await self._touch(services, [kept.entry for kept, _ in found])
        return [
            SearchItem(
                namespace=kept.namespace,
                key=kept.entry.key,
                value=kept.value,
                created_at=_moment(kept.entry.created_at),
                updated_at=_moment(kept.entry.updated_at),
                score=score,
            )
            for kept, score in found
        ]

    async def _matching(self, services: Services, op: SearchOp, enough: int) -> AsyncIterator[_Kept]:
        """The first items that meet the filter, in the order of namespace and key."""
        looked_at, count = 0, 0
        prefix = self._namespace(op.namespace_prefix)
        if enough == 0:
            return
        async for entry in services.kv.every(self._identity, prefix, nested=True, page=min(100, enough)):
            if looked_at == MOST_SEARCHED:
                _log.warning("store_search_bounded", looked_at=looked_at, found=count)
                return
            looked_at += 1
            kept = self._kept(entry)
            if is_wanted(kept.value, op.filter):
                yield kept
                count += 1
                if count == enough:
                    return

    async def _ranked(self, services: Services, op: SearchOp, query: str) -> list[tuple[_Kept, float | None]]:
        """Items that have a word of the query, the best first; equal ones in the order of namespace and key."""
        found = [kept async for kept in self._matching(services, op, MOST_RANKED + 1)]
        if len(found) > MOST_RANKED:
            _log.warning("store_query_bounded", ranked=MOST_RANKED)
            found.pop()
        matches = await services.documents.match(self._identity, query, [self._text(kept) for kept in found])
        ranked = [(kept, score) for kept, score in zip(found, scores(matches), strict=True) if score > 0]
        ranked.sort(key=lambda pair: pair[1], reverse=True)
        return list(ranked)

    def _text(self, kept: _Kept) -> str:
        """What of an item a query looks at."""
        if kept.indexed is False:
            return ""
        paths = self._fields if kept.indexed is None else kept.indexed
        if paths is None or paths is True:
            return "\n".join(_texts(kept.value))[:_MOST_TEXT]
        return "\n".join(text for path in paths for text in get_text_at_path(kept.value, path))[:_MOST_TEXT]

    async def _touch(self, services: Services, entries: Iterable[KvEntry]) -> None:
        timed: dict[str, list[str]] = {}
        for entry in entries:
            if entry.ttl is not None:
                timed.setdefault(entry.namespace, []).append(entry.key)
        for namespace, keys in timed.items():
            await services.kv.touch(self._identity, namespace, keys)

    # Namespaces

    async def _list(self, services: Services, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        prefix = self._namespace(literal_prefix(conditions))
        found: set[tuple[str, ...]] = set()
        looked_at = 0
        async for name in services.kv.every_namespace(self._identity, prefix=prefix):
            if looked_at == MOST_LISTED:
                _log.warning("store_namespaces_bounded", looked_at=looked_at)
                break
            looked_at += 1
            labels = self._labels(name)
            if is_among(labels, conditions):
                found.add(labels[: op.max_depth] if op.max_depth is not None else labels)
        return list(islice(sorted(found), op.offset, op.offset + op.limit))

    # Shapes

    def _namespace(self, labels: Sequence[str]) -> str:
        """A namespace in the store. Each label ends with a full stop, so those below begin like the one above."""
        return self._root + "".join(f"{label}." for label in labels)

    def _labels(self, namespace: str) -> tuple[str, ...]:
        return tuple(namespace.removeprefix(self._root).split(".")[:-1])

    def _kept(self, entry: KvEntry) -> _Kept:
        record = json.loads(entry.value)
        return _Kept(entry, self._labels(entry.namespace), record["value"], record.get("index"))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _texts(value: object) -> Iterator[str]:
    """Every text and number of a JSON value, without the names of fields."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
