"""LangChain's key-value interface over the store: bytes by key, such as embeddings and documents of retrievers."""

from collections.abc import AsyncIterator, Iterator, Sequence

from langchain_core.stores import ByteStore

from lycosa.langchain.connection import LycosaConnection
from lycosa.services import Services
from lycosa.services.kv import KvKeys

__all__ = ["LycosaByteStore"]


class LycosaByteStore(ByteStore):
    """Values of one tenant: keys of 1 to 512 bytes of text, values of up to 1,000,000 bytes.

    Of one call, up to a hundred values of together 4,000,000 bytes are stored all or none. Synchronous methods do their
    work on the connection's own loop, asynchronous ones on the caller's. Errors are those of `lycosa.errors`.
    """

    def __init__(
        self, connection: LycosaConnection, *, namespace: str = "default", ttl: float | None = None
    ) -> None:
        """`namespace` (up to 400 bytes) sets this store apart from others; `ttl` is in seconds, for ever when None."""
        self._connection = connection
        self._identity = connection.identity
        self._namespace = f"langchain.bytes/{namespace}"
        self._ttl = ttl

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys, in their order, None where there is none."""
        return await self._get(await self._connection.services(), keys)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """`amget` for callers without an event loop."""
        return self._connection.run(lambda services: self._get(services, keys))

    async def _get(self, services: Services, keys: Sequence[str]) -> list[bytes | None]:
        found = await services.kv.get_many(self._identity, self._namespace, keys)
        return [None if entry is None else entry.value for entry in found]

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store values in place of what was there."""
        await self._set(await self._connection.services(), key_value_pairs)

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """`amset` for callers without an event loop."""
        self._connection.run(lambda services: self._set(services, key_value_pairs))

    async def _set(self, services: Services, pairs: Sequence[tuple[str, bytes]]) -> None:
        await services.kv.set_many(self._identity, self._namespace, dict(pairs), ttl=self._ttl)

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Delete values. Keys that are not there are no error."""
        await self._delete(await self._connection.services(), keys)

    def mdelete(self, keys: Sequence[str]) -> None:
        """`amdelete` for callers without an event loop."""
        self._connection.run(lambda services: self._delete(services, keys))

    async def _delete(self, services: Services, keys: Sequence[str]) -> None:
        await services.kv.delete(self._identity, self._namespace, keys)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """Every key that begins like `prefix`, in their order, read page by page."""
        services = await self._connection.services()
        async for facts in services.kv.every_key(self._identity, self._namespace, prefix=prefix or ""):
            yield facts.key

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """`ayield_keys` for callers without an event loop."""

        cursor: str | None = None

        async def page(services: Services) -> KvKeys:
            return await services.kv.keys(self._identity, self._namespace, prefix=prefix or "", cursor=cursor)

        while True:
            found = self._connection.run(page)
            yield from (facts.key for facts in found.keys)
            if found.next is None:
                return
            cursor = found.next
