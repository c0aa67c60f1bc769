"""What py-key-value asks of every store, and FastMCP's own uses of one.

Its suite of stores is not packaged; these tests ask what it asks, and more of names, limits and other processes.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from fastmcp import Client, Context, FastMCP
from fastmcp.server.auth.oauth_proxy import OAuthProxy
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from fastmcp.server.event_store import EventStore
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from key_value.aio.errors import InvalidTTLError, SerializationError, ValueTooLargeError
from key_value.aio.protocols.key_value import (
    AsyncDestroyCollectionProtocol,
    AsyncDestroyStoreProtocol,
    AsyncEnumerateCollectionsProtocol,
    AsyncEnumerateKeysProtocol,
    AsyncKeyValueProtocol,
)
from key_value.aio.wrappers.encryption.fernet import FernetEncryptionWrapper
from mcp.shared.auth import OAuthClientInformationFull
from mcp.types import JSONRPCMessage
from pydantic import AnyUrl, TypeAdapter

from lycosa.identity import Identity
from lycosa.mcp.storage import LycosaKeyValue
from lycosa.procedures import Procedures
from lycosa.services.kv import KvService
from tests.conftest import Clock

ROUND_TRIPS: list[dict[str, Any]] = [
    {},
    {"none": None, "list": [None, None], "deep": {"a": {"b": {"c": {"d": None}}}}},
    {"true": True, "false": [False, True]},
    {"int": 1, "negative": -42, "large": 10**18, "float": 1.0, "larger": 1.23456789012345e10},
    {"text": "Line1\nLine2\tTabbed", "unicode": "Привет 世界 🌍", "null": "null", "1": "1", "": ""},
    {"rows": [{"id": n, "name": f"item {n}"} for n in range(1000)], "long": "a" * 100_000},
]
NAMES = ["c" * 1500, "!@#$%^&*() слово 世界", "line\nbreak\x00", "sha256:plain", "a/b:c", " "]


@pytest.fixture
def kv(procedures: Procedures) -> KvService:
    return KvService(procedures)


@pytest.fixture
def store(kv: KvService, identity: Identity) -> LycosaKeyValue:
    return LycosaKeyValue(kv, identity)


async def test_one_value_through_its_life(store: LycosaKeyValue) -> None:
    for protocol in (
        AsyncKeyValueProtocol,
        AsyncEnumerateKeysProtocol,
        AsyncEnumerateCollectionsProtocol,
        AsyncDestroyCollectionProtocol,
        AsyncDestroyStoreProtocol,
    ):
        assert isinstance(store, protocol)
    assert await store.get("k", collection="c") is None
    assert await store.ttl("k", collection="c") == (None, None)
    assert await store.delete("k", collection="c") is False
    await store.put("k", {"v": 1}, collection="c")
    await store.put("k", {"v": 2})
    assert await store.get("k", collection="c") == {"v": 1}
    assert await store.get("k") == {"v": 2}
    assert await store.ttl("k", collection="c") == ({"v": 1}, None)
    await store.put("k", {"v": 3}, collection="c")
    assert await store.get("k", collection="c") == {"v": 3}
    assert await store.delete("k", collection="c") is True
    assert await store.delete("k", collection="c") is False
    assert await store.get("k", collection="c") is None


@pytest.mark.parametrize("value", ROUND_TRIPS, ids=range(len(ROUND_TRIPS)))
async def test_json_comes_back_as_it_was(store: LycosaKeyValue, value: dict[str, Any]) -> None:
    await store.put("k", value, collection="c")
    assert await store.get("k", collection="c") == value


@pytest.mark.parametrize(
    "value", [datetime(2025, 1, 1, tzinfo=UTC), uuid4(), b"bytes", {1, 2}, AnyUrl("https://a.test")], ids=type
)
async def test_what_is_not_json_is_refused(store: LycosaKeyValue, value: object) -> None:
    with pytest.raises(SerializationError):
        await store.put("k", {"v": value}, collection="c")
    assert await store.get("k", collection="c") is None


async def test_a_value_that_is_too_large_is_refused(store: LycosaKeyValue) -> None:
    with pytest.raises(ValueTooLargeError):
        await store.put("k", {"v": "a" * 1_000_000}, collection="c")
    await store.put("k", {"v": "a" * 999_000}, collection="c")
    assert await store.get("k", collection="c") == {"v": "a" * 999_000}


async def test_many_at_once(store: LycosaKeyValue) -> None:
    assert await store.delete_many(["a", "b"], collection="c") == 0
    assert await store.get_many([], collection="c") == []
    await store.put_many(["a", "b"], ({"v": 1}, {"v": 2}), collection="c", ttl=100)
    assert await store.get_many(["b", "none", "a"], collection="c") == [{"v": 2}, None, {"v": 1}]
    pairs = await store.ttl_many(["a", "none"], collection="c")
    assert pairs[1] == (None, None)
    assert pairs[0][1] == pytest.approx(100, abs=5)
    with pytest.raises(ValueError, match="different number"):
        await store.put_many(["a"], [], collection="c")
    assert await store.delete_many(["a", "none"], collection="c") == 1
    keys = [f"k{n:03}" for n in range(250)]
    values = [{"v": n} for n in range(250)]
    await store.put_many(keys, values, collection="many")
    assert await store.get_many(keys, collection="many") == values
    assert await store.delete_many(keys, collection="many") == 250


async def test_time_to_live(store: LycosaKeyValue, frozen: Clock) -> None:
    for bad in (-100, 0, True):
        with pytest.raises(InvalidTTLError):
            await store.put("k", {"v": 1}, collection="c", ttl=bad)
    await store.put("k", {"v": 1}, collection="c", ttl=100)
    await store.put("for ever", {"v": 1}, collection="c", ttl=10**9)
    value, left = await store.ttl("k", collection="c")
    assert value == {"v": 1}
    assert left == pytest.approx(100, abs=5)
    await frozen.advance(100)
    assert await store.get("k", collection="c") is None
    assert await store.get_many(["k", "for ever"], collection="c") == [None, {"v": 1}]
    assert await store.keys("c") == ["for ever"]
    await store.put("k", {"v": 2}, collection="c")
    assert await store.ttl("k", collection="c") == ({"v": 2}, None)


async def test_any_text_is_a_name_and_is_listed_as_it_was(store: LycosaKeyValue) -> None:
    for name in NAMES:
        await store.put(name, {"v": name}, collection="c")
        await store.put("k", {"v": name}, collection=name)
    assert sorted(await store.keys("c")) == sorted(NAMES)
    assert sorted(await store.collections()) == sorted([*NAMES, "c"])
    for name in NAMES:
        assert await store.get(name, collection="c") == {"v": name}
        assert await store.get("k", collection=name) == {"v": name}
        assert await store.keys(name) == ["k"]
    assert len(await store.keys("c", limit=2)) == 2
    assert len(await store.collections(limit=3)) == 3


async def test_destroying_takes_what_is_named_and_no_more(
    store: LycosaKeyValue, kv: KvService, identity: Identity
) -> None:
    other = LycosaKeyValue(kv, identity, prefix="other:")
    for collection in ("a", "ab", "b"):
        await store.put("k", {"v": 1}, collection=collection)
    await other.put("k", {"v": 2}, collection="a")
    assert await store.destroy_collection("a") is True
    assert await store.destroy_collection("a") is False
    assert await store.collections() == ["ab", "b"]
    assert await store.destroy() is True
    assert await store.collections() == []
    assert await other.get("k", collection="a") == {"v": 2}
    assert await LycosaKeyValue(kv, Identity(tenant="nobody"), prefix="other:").collections() == []


async def test_many_workers_do_not_disturb_each_other(store: LycosaKeyValue) -> None:
    async def work(worker: int) -> None:
        for n in range(5):
            key = f"{worker}.{n}"
            assert await store.get(key) is None
            for value in ({"v": n}, {"v": -n}):
                await store.put(key, value)
                assert await store.get(key) == value
            assert await store.delete(key)
            assert await store.get(key) is None

    await asyncio.gather(*map(work, range(8)))


async def test_of_many_who_put_if_absent_one_does(store: LycosaKeyValue, frozen: Clock) -> None:
    with pytest.raises(InvalidTTLError):
        await store.put_if_absent("k", {"v": 0}, ttl=-1)
    outcomes = await asyncio.gather(*(store.put_if_absent("k", {"v": n}, ttl=60) for n in range(20)))
    assert outcomes.count(True) == 1
    assert await store.get("k") == {"v": outcomes.index(True)}
    await frozen.advance(60)
    assert await store.put_if_absent("k", {"v": "next"}) is True
    assert await store.put_if_absent("k", {"v": "none"}) is False
    assert await store.get("k") == {"v": "next"}


async def test_servers_share_state_of_sessions_and_answers(kv: KvService, identity: Identity) -> None:
    """Two FastMCP servers over two stores of one tenant, as in two processes."""
    ran: list[int] = []

    def server() -> FastMCP[Any]:
        store = LycosaKeyValue(kv, identity)
        mcp: FastMCP[Any] = FastMCP(
            "two", session_state_store=store, middleware=[ResponseCachingMiddleware(cache_storage=store)]
        )

        @mcp.tool
        async def slow(n: int) -> int:
            ran.append(n)
            return n * 2

        @mcp.tool
        async def remember(fact: str, ctx: Context) -> str | None:
            before: str | None = await ctx.get_state("fact")
            await ctx.set_state("fact", fact)
            return before

        return mcp

    for _ in range(2):
        async with Client(server()) as client:
            assert (await client.call_tool("slow", {"n": 21})).data == 42
    assert ran == [21]
    async with Client(server(), mode="legacy") as client:
        assert (await client.call_tool("remember", {"fact": "дуб"})).data is None
        assert (await client.call_tool("remember", {"fact": "клён"})).data == "дуб"
    assert any("state" in name for name in await LycosaKeyValue(kv, identity).collections())


async def test_another_server_replays_the_events_of_a_stream(kv: KvService, identity: Identity) -> None:
    message = TypeAdapter(JSONRPCMessage).validate_python(
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"n": 1}}
    )
    first = EventStore(storage=LycosaKeyValue(kv, identity))
    begun = await first.store_event("stream", None)
    await first.store_event("stream", message)
    seen: list[Any] = []

    async def send(event: Any) -> None:
        seen.append(event)

    stream = await EventStore(storage=LycosaKeyValue(kv, identity)).replay_events_after(begun, send)
    assert stream == "stream"
    assert [event.message for event in seen] == [message]


async def test_clients_of_oauth_are_kept_encrypted(kv: KvService, identity: Identity) -> None:
    key, other_key = Fernet.generate_key(), Fernet.generate_key()

    def proxy(key: bytes) -> OAuthProxy:
        storage = FernetEncryptionWrapper(
            LycosaKeyValue(kv, identity), fernet=Fernet(key), raise_on_decryption_error=False
        )
        return OAuthProxy(
            upstream_authorization_endpoint="https://issuer.test/authorize",
            upstream_token_endpoint="https://issuer.test/token",
            upstream_client_id="us",
            upstream_client_secret="our secret",
            token_verifier=StaticTokenVerifier({}),
            base_url="https://lycosa.test",
            client_storage=storage,
            jwt_signing_key=bytes(32),
        )

    client = OAuthClientInformationFull(
        client_id="theirs", client_name="клиент", redirect_uris=[AnyUrl("http://localhost:1/callback")]
    )
    await proxy(key).register_client(client)
    found = await proxy(key).get_client("theirs")
    assert found is not None
    assert found.client_name == "клиент"
    assert await proxy(other_key).get_client("theirs") is None
    kept = [entry.value async for entry in kv.every(identity, "mcp.kv:", nested=True)]
    assert kept
    assert not any(b"localhost" in value or "клиент".encode() in value for value in kept)
