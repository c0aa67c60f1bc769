"""Namespaced keys with values of bytes: what the surfaces keep, such as state of sessions and memory of agents."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Final

from lycosa.batches import batches
from lycosa.identity import Identity
from lycosa.procedures import KvEntry, KvFacts, KvItem, KvKeys, KvPage, KvStored, Procedures

__all__ = ["KvEntry", "KvFacts", "KvKeys", "KvPage", "KvService", "KvStored"]

# Of one call.
MOST_KEYS: Final = 100
MOST_CLEARED: Final = 1000
MOST_NAMES: Final = 1000
MOST_BYTES: Final = 4_000_000


class KvService:
    """The use-cases of namespaced keys. Every method takes who asks first, then the namespace.

    Namespaces and keys are any text of 1 to 512 bytes, values any bytes up to 1,000,000. `ttl` is in seconds, at most
    ten years; an entry without it is kept until it is deleted. An expired entry is never answered. Every method raises
    Invalid, naming the argument, and Unavailable or TimedOut when the store is away; those that write raise Unavailable
    (MEMORY_FULL) when it is full.
    """

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def get(
        self, identity: Identity, namespace: str, key: str, *, timeout: float | None = None
    ) -> KvEntry | None:
        """The entry of a key, None when there is none. Gets of one tick and namespace travel as one call."""
        return await self._procedures.kv_get(
            tenant=identity.tenant, namespace=namespace, key=key, timeout=timeout
        )

    async def get_many(self, identity: Identity, namespace: str, keys: Sequence[str]) -> list[KvEntry | None]:
        """The entries of any number of keys, in their order, None where there is none; a hundred keys a call."""
        found: list[KvEntry | None] = []
        for part in _parts(keys):
            found += await self._procedures.kv_get_many(
                tenant=identity.tenant, namespace=namespace, keys=part
            )
        return found

    async def set(
        self, identity: Identity, namespace: str, key: str, value: bytes, *, ttl: float | None = None
    ) -> KvStored:
        """Store a value in place of what was there; answers its version and when it expires."""
        return await self._procedures.kv_set(
            tenant=identity.tenant, namespace=namespace, key=key, value=value, ttl=ttl
        )

    async def set_many(
        self,
        identity: Identity,
        namespace: str,
        values: Mapping[str, bytes],
        *,
        ttl: float | None = None,
    ) -> list[KvStored]:
        """Store values by key; answers versions and times in their order.

        At most 100 of together 4,000,000 bytes are all stored or none; more go in parts.
        """
        stored: list[KvStored] = []
        for part in batches(values.items(), lambda item: len(item[1]), MOST_KEYS, MOST_BYTES):
            entries: list[KvItem] = [
                {"key": key, "value": value} if ttl is None else {"key": key, "value": value, "ttl": ttl}
                for key, value in part
            ]
            stored += await self._procedures.kv_set_many(
                tenant=identity.tenant, namespace=namespace, entries=entries
            )
        return stored

    async def compare_and_set(
        self,
        identity: Identity,
        namespace: str,
        key: str,
        value: bytes,
        *,
        version: int,
        ttl: float | None = None,
    ) -> KvStored:
        """Store a value if the entry still has the `version` that the caller saw, 0 for none.

        Raises Conflict (KV_CONFLICT, with the version `found`). Versions are never given twice, so a key that was
        deleted and set again is another one. Not repeated when the connection is lost: Unavailable (CONNECTION_LOST)
        leaves open whether it was done.
        """
        return await self._procedures.kv_compare_and_set(
            tenant=identity.tenant, namespace=namespace, key=key, value=value, version=version, ttl=ttl
        )

    async def touch(self, identity: Identity, namespace: str, keys: Sequence[str]) -> int:
        """Let entries that have a time begin it anew; how many there were."""
        touched = 0
        for part in _parts(keys):
            touched += (
                await self._procedures.kv_touch(tenant=identity.tenant, namespace=namespace, keys=part)
            ).touched
        return touched

    async def delete(self, identity: Identity, namespace: str, keys: Sequence[str]) -> int:
        """Delete entries by key, a hundred a call; how many there were. Keys that are not there are no error."""
        deleted = 0
        for part in _parts(keys):
            deleted += (
                await self._procedures.kv_delete(tenant=identity.tenant, namespace=namespace, keys=part)
            ).deleted
        return deleted

    async def clear(
        self, identity: Identity, namespace: str, *, prefix: str = "", nested: bool = False
    ) -> int:
        """Delete a whole namespace, or its keys of a prefix, or with `nested` all namespaces that begin like this one.

        A thousand a call, so that others are served between; how many are gone, expired ones included.
        """
        deleted, more = 0, True
        while more:
            part = await self._procedures.kv_clear(
                tenant=identity.tenant,
                namespace=namespace,
                prefix=prefix,
                nested=nested,
                limit=MOST_CLEARED,
            )
            deleted, more = deleted + part.deleted, part.more
        return deleted

    async def list(
        self,
        identity: Identity,
        namespace: str,
        *,
        prefix: str = "",
        nested: bool = False,
        cursor: str | None = None,
        limit: int = MOST_KEYS,
    ) -> KvPage:
        """A page (1..100) of entries with their values in the order of namespace and key, at most a few megabytes.

        It may be short, and even empty, while its `next` leads on as the `cursor` of the page that follows.
        """
        return await self._procedures.kv_list(
            tenant=identity.tenant,
            namespace=namespace,
            prefix=prefix,
            nested=nested,
            cursor=cursor,
            limit=limit,
        )

    async def keys(
        self,
        identity: Identity,
        namespace: str,
        *,
        prefix: str = "",
        nested: bool = False,
        cursor: str | None = None,
        limit: int = MOST_NAMES,
    ) -> KvKeys:
        """A page (1..1,000) of keys and what is known of their entries, as `list` without values."""
        return await self._procedures.kv_keys(
            tenant=identity.tenant,
            namespace=namespace,
            prefix=prefix,
            nested=nested,
            cursor=cursor,
            limit=limit,
        )

    async def every(
        self,
        identity: Identity,
        namespace: str,
        *,
        prefix: str = "",
        nested: bool = False,
        page: int = MOST_KEYS,
    ) -> AsyncIterator[KvEntry]:
        """Every entry that `list` would show, `page` (1..100) of them a call: stop when you have enough."""
        cursor: str | None = None
        while True:
            found = await self.list(
                identity, namespace, prefix=prefix, nested=nested, cursor=cursor, limit=page
            )
            for entry in found.rows:
                yield entry
            if found.next is None:
                return
            cursor = found.next

    async def every_key(
        self, identity: Identity, namespace: str, *, prefix: str = "", nested: bool = False
    ) -> AsyncIterator[KvFacts]:
        """Every key that `keys` would show, page by page: stop when you have enough."""
        cursor: str | None = None
        while True:
            page = await self.keys(identity, namespace, prefix=prefix, nested=nested, cursor=cursor)
            for facts in page.keys:
                yield facts
            if page.next is None:
                return
            cursor = page.next

    async def every_namespace(self, identity: Identity, *, prefix: str = "") -> AsyncIterator[str]:
        """The name of every namespace that holds an entry and begins like `prefix`, in their order, page by page."""
        cursor: str | None = None
        while True:
            page = await self._procedures.kv_namespaces(
                tenant=identity.tenant, prefix=prefix, cursor=cursor, limit=MOST_NAMES
            )
            for name in page.namespaces:
                yield name
            if page.next is None:
                return
            cursor = page.next


def _parts(keys: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), MOST_KEYS):
        yield list(keys[start : start + MOST_KEYS])
