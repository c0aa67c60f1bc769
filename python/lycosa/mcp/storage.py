"""A py-key-value store over the store's own: session state, cached responses, events of streams, clients of OAuth.

What one server process keeps here, every other one of the same tenant reads.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, SupportsFloat

from key_value.aio._utils.managed_entry import ManagedEntry
from key_value.aio._utils.time_to_live import prepare_entry_timestamps
from key_value.aio.errors import ValueTooLargeError
from key_value.aio.stores.base import (
    BaseDestroyCollectionStore,
    BaseDestroyStore,
    BaseEnumerateCollectionsStore,
    BaseEnumerateKeysStore,
)

from lycosa.errors import Conflict
from lycosa.identity import Identity
from lycosa.services.kv import KvEntry, KvService

__all__ = ["LycosaKeyValue"]

_MOST_BYTES: Final = 1_000_000
_MOST_LISTED: Final = 10_000
_LEAST_TTL, _MOST_TTL = 0.001, 315_360_000.0
# Names longer than this, or not plain text, stand as their hash; the entry itself knows what it is called.
_LONGEST: Final = 400
_HASHED: Final = "sha256:"


class LycosaKeyValue(
    BaseEnumerateKeysStore, BaseEnumerateCollectionsStore, BaseDestroyCollectionStore, BaseDestroyStore
):
    """Entries of one tenant, as JSON of at most 1,000,000 bytes. Any text is a key or a collection.

    An expired entry is never answered and is swept by the store. Entries of one `put_many` of at most a hundred are
    stored all or none. Errors of the store are those of `lycosa.errors`.
    """

    def __init__(
        self,
        kv: KvService,
        identity: Identity,
        *,
        prefix: str = "mcp.kv:",
        default_collection: str | None = None,
    ) -> None:
        """`identity` says whose entries they are, `prefix` sets this store apart from others of the tenant."""
        super().__init__(default_collection=default_collection, stable_api=True)
        self._kv = kv
        self._identity = identity
        self._prefix = prefix

    def _namespace(self, collection: str) -> str:
        return self._prefix + _name(collection)

    def _loaded(self, entry: KvEntry | None) -> ManagedEntry | None:
        return None if entry is None else self._serialization_adapter.load_json(entry.value.decode())

    def _dumped(self, collection: str, key: str, managed_entry: ManagedEntry) -> bytes:
        text = self._serialization_adapter.dump_json(managed_entry, key=key, collection=collection)
        value = text.encode()
        if len(value) > _MOST_BYTES:
            raise ValueTooLargeError(size=len(value), max_size=_MOST_BYTES, collection=collection, key=key)
        return value

    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        return self._loaded(await self._kv.get(self._identity, self._namespace(collection), _name(key)))

    async def _get_managed_entries(
        self, *, collection: str, keys: Sequence[str]
    ) -> list[ManagedEntry | None]:
        names = [_name(key) for key in keys]
        found = await self._kv.get_many(self._identity, self._namespace(collection), names)
        return [self._loaded(entry) for entry in found]

    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        value = self._dumped(collection, key, managed_entry)
        await self._kv.set(
            self._identity, self._namespace(collection), _name(key), value, ttl=_ttl(managed_entry.ttl)
        )

    async def _put_managed_entries(
        self,
        *,
        collection: str,
        keys: Sequence[str],
        managed_entries: Sequence[ManagedEntry],
        ttl: float | None,
        created_at: datetime,
        expires_at: datetime | None,
    ) -> None:
        values = {
            _name(key): self._dumped(collection, key, entry)
            for key, entry in zip(keys, managed_entries, strict=True)
        }
        await self._kv.set_many(self._identity, self._namespace(collection), values, ttl=_ttl(ttl))

    async def put_if_absent(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> bool:
        """Store a value unless there is one; whether it was stored. Of many who try at once, one does."""
        collection = collection or self.default_collection
        await self.setup_collection(collection=collection)
        created_at, seconds, expires_at = prepare_entry_timestamps(ttl)
        entry = ManagedEntry(value=value, created_at=created_at, expires_at=expires_at)
        try:
            await self._kv.compare_and_set(
                self._identity,
                self._namespace(collection),
                _name(key),
                self._dumped(collection, key, entry),
                version=0,
                ttl=_ttl(seconds),
            )
        except Conflict:
            return False
        return True

    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        return await self._delete_managed_entries(keys=[key], collection=collection) > 0

    async def _delete_managed_entries(self, *, keys: Sequence[str], collection: str) -> int:
        names = [_name(key) for key in keys]
        return await self._kv.delete(self._identity, self._namespace(collection), names)

    async def _get_collection_keys(self, *, collection: str, limit: int | None = None) -> list[str]:
        namespace = self._namespace(collection)
        found: list[str] = []
        async for facts in self._kv.every_key(self._identity, namespace):
            if len(found) == _limit(limit):
                break
            is_plain = not _is_hashed(facts.key)
            found.append(facts.key if is_plain else await self._called(namespace, facts.key, "key"))
        return found

    async def _get_collection_names(self, *, limit: int | None = None) -> list[str]:
        found: list[str] = []
        async for namespace in self._kv.every_namespace(self._identity, prefix=self._prefix):
            if len(found) == _limit(limit):
                break
            name = namespace.removeprefix(self._prefix)
            found.append(await self._called(namespace, "", "collection") if _is_hashed(name) else name)
        return found

    async def _called(self, namespace: str, prefix: str, field: str) -> str:
        """What the first entry whose key begins like this says that it, or its collection, is called."""
        page = await self._kv.list(self._identity, namespace, prefix=prefix, limit=1)
        # One that went meanwhile has only its hash left.
        return str(json.loads(page.rows[0].value)[field]) if page.rows else prefix or namespace

    async def _delete_collection(self, *, collection: str) -> bool:
        return await self._kv.clear(self._identity, self._namespace(collection)) > 0

    async def _delete_store(self) -> bool:
        return await self._kv.clear(self._identity, self._prefix, nested=True) > 0


def _name(text: str) -> str:
    """How a key or collection is called in the store."""
    if text and text.isprintable() and not _is_hashed(text) and len(text.encode()) <= _LONGEST:
        return text
    return _HASHED + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_hashed(name: str) -> bool:
    return name.startswith(_HASHED)


def _ttl(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(seconds, _LEAST_TTL), _MOST_TTL)


def _limit(limit: int | None) -> int:
    return _MOST_LISTED if limit is None else max(0, min(limit, _MOST_LISTED))
