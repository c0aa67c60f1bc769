"""One contract of the cache over the store, over Redis, and over both."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from lycosa.errors import Conflict, Invalid, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.services import cache_redis
from lycosa.services.cache import Cache, CacheService, Entry, Item
from lycosa.services.cache_levels import TwoLevels
from lycosa.services.cache_redis import RedisCache
from tests.redis_server import redis_server

ANY = bytes(range(256)) + "кэш".encode()


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest_asyncio.fixture(params=["store", "redis", "both"])
async def cache(
    request: pytest.FixtureRequest, procedures: Procedures, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cache]:
    # What is answered is tested with it, not how soon on a machine that does other things too.
    monkeypatch.setattr(cache_redis, "_PATIENCE", 5.0)
    store = CacheService(procedures)
    made: Cache = store
    if request.param != "store":
        made = RedisCache(request.getfixturevalue("redis"))
        if request.param == "both":
            made = TwoLevels(store, made)
    yield made
    await made.aclose()


async def test_a_value_comes_back_as_it_was_stored(cache: Cache, identity: Identity) -> None:
    assert await cache.get(identity, "a") is None
    await cache.set(identity, "a", ANY, ttl=60, media_type="image/png", stale_for=5, tags=["x", "é"])
    entry = await cache.get(identity, "a")
    assert entry is not None
    assert (entry.key, entry.value, entry.media_type) == ("a", ANY, "image/png")
    assert (entry.negative, sorted(entry.tags), entry.stale) == (False, ["x", "é"], False)
    assert entry.expires_at - entry.created_at == pytest.approx(60, abs=0.01)
    assert entry.stale_until - entry.expires_at == pytest.approx(5, abs=0.01)
    assert entry.answered_at == pytest.approx(entry.created_at, abs=5)


@pytest.mark.parametrize("value", [b"", b"text", "ключ".encode(), b"\xff\x00", b"x" * 1_000_000])
async def test_bytes_stay_bytes(cache: Cache, identity: Identity, value: bytes) -> None:
    await cache.set(identity, "k", value)
    (entry,) = await cache.get_many(identity, ["k"])
    assert entry is not None
    assert type(entry.value) is bytes
    assert entry.value == value


async def test_a_value_is_replaced_whole(cache: Cache, identity: Identity) -> None:
    await cache.set(identity, "k", b"1", tags=["old"], negative=True)
    await cache.set(identity, "k", b"2", tags=["new"])
    entry = await cache.get(identity, "k")
    assert entry is not None
    assert (entry.value, list(entry.tags), entry.negative) == (b"2", ["new"], False)
    assert await cache.invalidate(identity, tag="old") == (0, False)
    assert await cache.get(identity, "k") is not None
    assert await cache.invalidate(identity, tag="new") == (1, False)


async def test_expired_is_never_served_and_stale_only_who_asks(cache: Cache, identity: Identity) -> None:
    await cache.set(identity, "gone", b"1", ttl=0.05)
    await cache.set(identity, "old", b"2", ttl=0.05, stale_for=60)
    await asyncio.sleep(0.1)
    assert await cache.get_many(identity, ["gone", "old"]) == [None, None]
    assert await cache.get(identity, "gone", stale=True) is None
    entry = await cache.get(identity, "old", stale=True)
    assert entry is not None
    assert (entry.value, entry.stale) == (b"2", True)
    assert await cache.take(identity, "old") is None


async def test_many_in_their_order(cache: Cache, identity: Identity) -> None:
    await cache.set_many(identity, [Item(f"k{number}", b"%d" % number) for number in range(0, 100)])
    keys = [f"k{number}" for number in range(250, -1, -1)]
    found = await cache.get_many(identity, keys)
    assert [entry and entry.value for entry in found] == [None] * 151 + [
        b"%d" % number for number in range(99, -1, -1)
    ]
    assert await cache.delete(identity, keys) == 100
    assert await cache.get(identity, "k1") is None
    assert await cache.delete(identity, keys) == 0


async def test_take_gives_a_value_once(cache: Cache, identity: Identity) -> None:
    await cache.set(identity, "once", b"secret")
    taken = await asyncio.gather(*(cache.take(identity, "once") for _ in range(20)))
    assert [entry.value for entry in taken if entry is not None] == [b"secret"]
    assert await cache.get(identity, "once") is None


async def test_invalidation_by_tag_and_by_prefix(cache: Cache, identity: Identity) -> None:
    items = [
        Item(f"{kind}:{number}", b"x", tags=[f"n{number}"])
        for kind in ("a", "b*[]\\", "ключ")
        for number in range(5)
    ]
    await cache.set_many(identity, items)
    told: list[int] = []
    assert await cache.invalidate(identity, tag="n3", progress=told.append) == (3, False)
    assert told[-1] == 3
    assert await cache.invalidate(identity, prefix="b*[]\\:") == (4, False)
    assert await cache.invalidate(identity, prefix="клю") == (4, False)
    left = [item.key for item in items if await cache.get(identity, item.key) is not None]
    assert left == ["a:0", "a:1", "a:2", "a:4"]
    assert await cache.invalidate(identity, prefix="nothing") == (0, False)


async def test_tenants_see_nothing_of_each_other(cache: Cache, identity: Identity) -> None:
    other = Identity(identity.tenant + "}:{x")
    await cache.set(identity, "k", b"mine", tags=["t"])
    await cache.set(other, "k", b"theirs", tags=["t"])
    assert await cache.invalidate(other, prefix="k") == (1, False)
    assert await cache.invalidate(other, tag="t") == (0, False)
    assert await cache.delete(other, ["k"]) == 0
    assert await cache.take(other, "k") is None
    entry = await cache.get(identity, "k")
    assert entry is not None
    assert entry.value == b"mine"


async def test_figures_count_entries_and_hits(cache: Cache, identity: Identity) -> None:
    before = await cache.figures(identity)
    await cache.set(identity, "k", b"1")
    await cache.get_many(identity, ["k", "none"])
    after = await cache.figures(identity)
    assert (after.entries - before.entries, after.hits - before.hits) == (1, 1)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("key", {"key": ""}),
        ("key", {"key": "x" * 513}),
        ("key", {"key": "\ud800"}),
        ("value", {"value": b"x" * 1_000_001}),
        ("ttl", {"ttl": 0}),
        ("ttl", {"ttl": 40_000_000}),
        ("ttl", {"ttl": float("nan")}),
        ("stale_for", {"stale_for": -1}),
        ("media_type", {"media_type": ""}),
        ("tags", {"tags": ["t"] * 17}),
        ("tags", {"tags": [""]}),
    ],
)
async def test_bad_arguments_are_named(
    cache: Cache, identity: Identity, argument: str, given: dict[str, Any]
) -> None:
    whole: dict[str, Any] = {"key": "k", "value": b"x", "ttl": 60}
    with pytest.raises(Invalid) as raised:
        await cache.set(identity, **(whole | given))
    if given.get("key") != "\ud800":
        assert str(raised.value.details["argument"]).startswith(argument)


@pytest.mark.parametrize("given", [{}, {"tag": "a", "prefix": "b"}, {"prefix": ""}])
async def test_exactly_one_of_tag_and_prefix(cache: Cache, identity: Identity, given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await cache.invalidate(identity, **given)


async def test_more_than_fits_is_refused_whole(cache: Cache, identity: Identity) -> None:
    with pytest.raises(Invalid):
        await cache.set_many(identity, [Item(f"k{number}", b"x" * 900_000) for number in range(5)])
    with pytest.raises(Invalid):
        await cache.set_many(identity, [Item(f"k{number}", b"x") for number in range(101)])
    assert await cache.get(identity, "k0") is None


# --- what only two levels do ----------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def second(redis: str) -> AsyncIterator[RedisCache]:
    made = RedisCache(redis)
    yield made
    await made.aclose()


@pytest.fixture
def first(procedures: Procedures) -> CacheService:
    return CacheService(procedures)


async def test_what_the_store_lost_comes_back_from_redis_for_its_rest(
    first: CacheService, second: RedisCache, identity: Identity
) -> None:
    both = TwoLevels(first, second)
    await both.set_many(identity, [Item(key, b"1", 60, "text/plain", 30, tags=["t"]) for key in "ab"])
    await first.delete(identity, ["a", "b"])
    assert [entry and entry.value for entry in await both.get_many(identity, ["a", "c", "b"])] == [
        b"1",
        None,
        b"1",
    ]
    copied = await first.get(identity, "a")
    assert copied is not None
    assert copied.expires_at - copied.answered_at == pytest.approx(60, abs=5)
    assert (list(copied.tags), copied.media_type) == (["t"], "text/plain")
    assert (await both.invalidate(identity, tag="t")).deleted == 2
    assert await both.get(identity, "a", stale=True) is None


async def test_a_copy_of_what_is_deleted_meanwhile_is_taken_back(
    first: CacheService, redis: str, identity: Identity
) -> None:
    class Slow(RedisCache):
        """Somebody deletes the entry between its being read and its being copied."""

        async def get_many(self, *args: Any, **kwargs: Any) -> list[Entry | None]:
            found = await super().get_many(*args, **kwargs)
            await both.delete(identity, ["k"])
            return found

    slow = Slow(redis)
    both = TwoLevels(first, slow)
    await both.set(identity, "k", b"1")
    await first.delete(identity, ["k"])
    await both.get(identity, "k")
    assert await first.get(identity, "k") is None
    await slow.aclose()


async def test_redis_that_is_away_costs_one_wait_and_no_answer(
    first: CacheService, identity: Identity
) -> None:
    away = RedisCache("unix:///tmp/lycosa-no-such-redis.sock")
    both = TwoLevels(first, away)
    await both.set(identity, "k", b"1")
    entry = await both.get(identity, "k")
    assert entry is not None
    assert await both.get(identity, "none") is None
    # What is deleted must not come back from there later.
    with pytest.raises(Unavailable) as raised:
        await both.delete(identity, ["k"])
    assert raised.value.code == "CACHE_REDIS_AWAY"
    with pytest.raises(Unavailable):
        await both.take(identity, "k")
    with pytest.raises(Unavailable):
        await both.invalidate(identity, prefix="k")
    assert (await both.figures(identity)).entries == 1
    await both.aclose()


async def test_redis_that_hangs_is_given_up_in_time(identity: Identity) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hanging = RedisCache(f"redis://127.0.0.1:{port}")
    with pytest.raises((TimedOut, Unavailable)):
        await asyncio.wait_for(hanging.get(identity, "k"), 2)
    await hanging.aclose()
    server.close()


async def test_redis_that_evicts_what_names_entries_is_refused(identity: Identity) -> None:
    with redis_server("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru") as url:
        evicting = RedisCache(url)
        with pytest.raises(Conflict) as raised:
            await evicting.get(identity, "k")
        assert raised.value.details["policy"] == "allkeys-lru"
        await evicting.aclose()


async def test_ended_keys_do_not_heap_up_in_redis(second: RedisCache, identity: Identity) -> None:
    for number in range(10):
        await second.set(identity, f"short{number}", b"x", ttl=0.001, tags=["t"])
    await asyncio.sleep(0.02)
    for number in range(4):
        await second.set(identity, f"long{number}", b"x", tags=["t"])
    names = await second._redis.keys(f"lycosa:{{{identity.tenant}}}:*")
    sizes = {
        name: await second._redis.zcard(name)
        for name in map(_text, names)
        if name.endswith((":keys", "tag:t"))
    }
    assert set(sizes.values()) == {4}


def _text(name: object) -> str:
    assert isinstance(name, bytes)
    return name.decode()


@pytest.mark.parametrize("by", [{"tag": "t"}, {"prefix": "k:"}])
async def test_what_is_stored_during_an_invalidation_is_found_by_the_next(
    cache: Cache, identity: Identity, by: dict[str, str]
) -> None:
    """Whatever falls between the steps of one: nothing is left that neither tag nor prefix finds."""
    keys = [f"k:{number}" for number in range(8)]

    async def store(key: str) -> None:
        for _ in range(int(key[2:])):
            await cache.get(identity, "other")
        await cache.set(identity, key, b"2", ttl=60, tags=["t"])

    async def take(key: str) -> None:
        await cache.get(identity, "other")
        await cache.take(identity, key)

    for _ in range(10):
        for key in keys:
            await cache.set(identity, key, b"1", ttl=60, tags=["t"])
        invalidating = cache.invalidate(identity, tag=by.get("tag"), prefix=by.get("prefix"))
        await asyncio.gather(invalidating, *map(store, keys), *map(take, keys))
        await cache.invalidate(identity, tag=by.get("tag"), prefix=by.get("prefix"))
        assert await cache.get_many(identity, keys) == [None] * len(keys)
