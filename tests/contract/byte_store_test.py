"""The byte store under LangChain's own suites, and what they do not ask."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from langchain_core.stores import BaseStore
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

from lycosa.identity import Identity
from lycosa.langchain.byte_store import LycosaByteStore
from lycosa.langchain.connection import LycosaConnection
from lycosa.settings import Settings
from tests.conftest import Clock


class TestSync(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, settings: Settings, identity: Identity) -> Iterator[BaseStore[str, bytes]]:
        with LycosaConnection(settings, identity=identity) as connection:
            yield LycosaByteStore(connection)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"foo", "слово".encode(), b"\x00\xff\xfe"


class TestAsync(BaseStoreAsyncTests[bytes]):
    @pytest_asyncio.fixture
    async def kv_store(  # type: ignore[override]
        self, settings: Settings, identity: Identity
    ) -> AsyncIterator[BaseStore[str, bytes]]:
        async with LycosaConnection(settings, identity=identity) as connection:
            yield LycosaByteStore(connection)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"foo", "слово".encode(), b"\x00\xff\xfe"


async def test_stores_keep_apart_and_values_end(
    settings: Settings, identity: Identity, frozen: Clock
) -> None:
    async with LycosaConnection(settings, identity=identity) as connection:
        store, other = LycosaByteStore(connection, ttl=60), LycosaByteStore(connection, namespace="other")
        keys = [f"k{n:04}" for n in range(1200)]
        await store.amset([(key, key.encode()) for key in keys])
        await other.amset([("k0001", b"other")])
        assert await store.amget(keys) == [key.encode() for key in keys]
        assert [key async for key in store.ayield_keys(prefix="k1")] == keys[1000:]
        assert list(store.yield_keys()) == keys
        assert [key async for key in other.ayield_keys()] == ["k0001"]
        await frozen.advance(60)
        assert await store.amget(keys[:1]) == [None]
        assert await other.amget(["k0001"]) == [b"other"]
