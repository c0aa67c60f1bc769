"""The cache in a Redis that is there anyway: the second level behind the store's.

A value is a string of its own (MessagePack: an array of its fields) with Redis's own expiry at the end of its stale
period. Sorted sets of each tenant, its keys and the keys of each tag by that end, find what is to be invalidated; they
have no expiry, so a Redis that evicts must be told to evict only what has one (`volatile-*`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote

from ormsgpack import packb, unpackb
from redis.asyncio import Redis
from redis.exceptions import RedisError

from lycosa.errors import Conflict, Invalid, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import CacheFigures
from lycosa.services.cache import (
    ANY_BYTES,
    DEFAULT_TTL,
    MOST_BYTES,
    MOST_DELETED,
    MOST_KEYS,
    Entry,
    Invalidated,
    Item,
    Progress,
    require_one,
)

__all__ = ["RedisCache"]

# Seconds that a call may take unless its caller says otherwise: a second level that hangs must cost little.
_PATIENCE = 0.25
# The clocks are compared this often, in seconds.
_CLOCK_FOR = 60.0
# Expired keys that one write takes out of each sorted set: more than it adds, mostly.
_PRUNED = 4

_MOST_TTL = 31_536_000.0
_MOST_VALUE = 1_000_000
_MOST_KEY = 512
_MOST_NAME = 128
_MOST_TAGS = 16


class RedisCache:
    """The cache's contract over Redis 6.2 and later.

    Raises what the store's raises: Invalid for bad arguments, Unavailable when Redis is away, TimedOut when it does not
    answer in time; Conflict when it evicts what has no expiry.
    """

    def __init__(self, url: str) -> None:
        """`url` as redis-py takes it: redis://, rediss:// or unix://. Nothing is connected yet."""
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=_PATIENCE, decode_responses=False)
        self._skew = 0.0
        self._compared_at: float | None = None
        self._counts: dict[str, dict[str, int]] = {}

    async def get(
        self, identity: Identity, key: str, *, stale: bool = False, timeout: float | None = None
    ) -> Entry | None:
        """See CacheService.get."""
        return (await self.get_many(identity, [key], stale=stale, timeout=timeout))[0]

    async def get_many(
        self, identity: Identity, keys: Sequence[str], *, stale: bool = False, timeout: float | None = None
    ) -> list[Entry | None]:
        """See CacheService.get_many."""
        for key in keys:
            _require_text("key", key, _MOST_KEY)
        found: list[Entry | None] = []
        async with self._asking(timeout):
            for start in range(0, len(keys), MOST_KEYS):
                names = [_Names(identity).entry(key) for key in keys[start : start + MOST_KEYS]]
                packed = await self._redis.mget(names)
                now = self._now()
                found += [_served(one, now, stale) for one in packed]
        for entry in found:
            hit = None if entry is None else "stale_hits" if entry.stale else "hits"
            self._count(identity, hit or "misses", 1)
        return found

    async def set(
        self,
        identity: Identity,
        key: str,
        value: bytes,
        *,
        ttl: float = DEFAULT_TTL,
        media_type: str = ANY_BYTES,
        stale_for: float = 0.0,
        negative: bool = False,
        tags: Sequence[str] = (),
        timeout: float | None = None,
    ) -> None:
        """See CacheService.set."""
        item = Item(key, value, ttl, media_type, stale_for, negative, tags)
        await self.set_many(identity, [item], timeout=timeout)

    async def set_many(
        self, identity: Identity, items: Sequence[Item], *, timeout: float | None = None
    ) -> None:
        """See CacheService.set_many."""
        _require_items(items)
        names = _Names(identity)
        async with self._asking(timeout):
            now = self._now()
            sets = {names.keys, *(names.tag(tag) for item in items for tag in item.tags)}
            due = await self._due(sorted(sets), now)
            async with self._redis.pipeline(transaction=True) as pipe:
                for name, score in due:
                    pipe.zremrangebyscore(name, "-inf", score)
                for item in items:
                    end = now + item.ttl + item.stale_for
                    pipe.set(names.entry(item.key), _packed(item, now), pxat=max(1, round(end * 1000)))
                    pipe.zadd(names.keys, {item.key: end})
                    for tag in set(item.tags):
                        pipe.zadd(names.tag(tag), {item.key: end})
                await pipe.execute()

    async def take(self, identity: Identity, key: str) -> Entry | None:
        """See CacheService.take."""
        _require_text("key", key, _MOST_KEY)
        names = _Names(identity)
        async with self._asking(None):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.getdel(names.entry(key))
                pipe.zrem(names.keys, key)
                packed, _ = await pipe.execute()
            entry = _served(packed, self._now(), stale=False)
        self._count(identity, "misses" if entry is None else "hits", 1)
        return entry

    async def delete(self, identity: Identity, keys: Sequence[str]) -> int:
        """See CacheService.delete."""
        deleted = 0
        async with self._asking(None):
            for start in range(0, len(keys), MOST_KEYS):
                deleted += await self._remove(_Names(identity), keys[start : start + MOST_KEYS])
        return deleted

    async def invalidate(
        self,
        identity: Identity,
        *,
        tag: str | None = None,
        prefix: str | None = None,
        progress: Progress | None = None,
        at_most: int | None = None,
    ) -> Invalidated:
        """See CacheService.invalidate. A prefix looks at all keys of the tenant, a thousand a call."""
        require_one(tag, prefix)
        _require_text("tag" if tag is not None else "prefix", tag or prefix or "", _MOST_KEY)
        names, deleted = _Names(identity), 0
        found = self._tagged(names, tag) if tag is not None else self._beginning(names, prefix or "")
        async for keys in found:
            async with self._asking(None):
                deleted += await self._remove(names, keys, tag)
            if progress is not None:
                progress(deleted)
            if at_most is not None and deleted >= at_most:
                self._count(identity, "invalidated", deleted)
                return Invalidated(deleted, True)
        self._count(identity, "invalidated", deleted)
        return Invalidated(deleted, False)

    async def figures(self, identity: Identity, *, whole: bool = False) -> CacheFigures:
        """See CacheService.figures: entries as Redis has them, the rest as this process has seen it; bytes unknown."""
        async with self._asking(None):
            entries = await self._redis.zcount(_Names(identity).keys, self._now(), "+inf")
        counts = self._counts.get(identity.tenant, {})
        seen = {
            name: counts.get(name, 0)
            for name in ("hits", "stale_hits", "misses", "expired", "evicted", "invalidated")
        }
        return CacheFigures(entries=entries, bytes=0, budget=0, **seen)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _due(self, sets: Sequence[str], now: float) -> list[tuple[str, float]]:
        """Sorted sets that hold expired keys, each with the end of its first few.

        By that end they are taken out: of a key that is stored again meanwhile it is later.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in sets:
                pipe.zrange(name, "-inf", now, byscore=True, offset=0, num=_PRUNED, withscores=True)
            found = await pipe.execute()
        return [(name, float(due[-1][1])) for name, due in zip(sets, found, strict=True) if due]

    async def _tagged(self, names: "_Names", tag: str) -> AsyncIterator[list[str]]:
        """Keys that have a tag. An entry that was stored again without it stays."""
        async for keys in self._scanned(names.tag(tag), None):
            async with self._asking(None):
                packed = await self._redis.mget([names.entry(key) for key in keys])
            yield [
                key
                for key, one in zip(keys, packed, strict=True)
                if one is not None and tag in _unpacked(one, 0.0).tags
            ]

    def _beginning(self, names: "_Names", prefix: str) -> AsyncIterator[list[str]]:
        """Keys that begin with a prefix."""
        pattern = "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix) + "*"
        return self._scanned(names.keys, pattern)

    async def _scanned(self, name: str, pattern: str | None) -> AsyncIterator[list[str]]:
        """The keys in a sorted set, about a thousand at a time: all that are there from beginning to end."""
        cursor = 0
        while True:
            async with self._asking(None):
                cursor, found = await self._redis.zscan(name, cursor, match=pattern, count=MOST_DELETED)
            if found:
                yield [_text(key) for key, _ in found]
            if cursor == 0:
                return

    async def _remove(self, names: "_Names", keys: Sequence[str], tag: str | None = None) -> int:
        """Delete keys, of a tag when they were found by it; how many there were that could still be served.

        At once with what finds them: of an entry that is stored meanwhile nothing is lost.
        """
        if not keys:
            return 0
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(*(names.entry(key) for key in keys))
            pipe.zrem(names.keys, *keys)
            if tag is not None:
                pipe.zrem(names.tag(tag), *keys)
            return int((await pipe.execute())[0])

    @asynccontextmanager
    async def _asking(self, timeout: float | None) -> AsyncIterator[None]:
        """Within a deadline, with the clocks compared, and errors in the words of the contract."""
        try:
            async with asyncio.timeout(_PATIENCE if timeout is None else timeout):
                if self._compared_at is None or time.monotonic() - self._compared_at > _CLOCK_FOR:
                    await self._compare()
                yield
        except TimeoutError as problem:
            raise TimedOut("Redis did not answer in time", code="TIMED_OUT") from problem
        except (RedisError, OSError) as problem:
            raise Unavailable(
                f"the cache's Redis is not there ({type(problem).__name__})",
                code="CACHE_REDIS_AWAY",
                retry_after=1.0,
            ) from problem

    async def _compare(self) -> None:
        """Measure how far Redis's clock is ahead, and see that it keeps the sorted sets."""
        sent = time.time()
        seconds, microseconds = await self._redis.time()
        self._skew = seconds + microseconds / 1e6 - (sent + time.time()) / 2
        memory = await self._redis.info("memory")
        policy = str(memory.get("maxmemory_policy", ""))
        if policy.startswith("allkeys"):
            raise Conflict(
                f"the cache's Redis evicts by {policy}, which loses what tags name; set its maxmemory-policy to "
                "volatile-lru",
                code="CACHE_REDIS_EVICTS",
                details={"policy": policy},
            )
        self._compared_at = time.monotonic()

    def _now(self) -> float:
        return time.time() + self._skew

    def _count(self, identity: Identity, what: str, amount: int) -> None:
        counts = self._counts.setdefault(identity.tenant, {})
        counts[what] = counts.get(what, 0) + amount


class _Names:
    """Redis's names for what a tenant has. Braces put one tenant's keys on one node of a cluster."""

    def __init__(self, identity: Identity) -> None:
        self._prefix = f"lycosa:{{{quote(identity.tenant, safe='')}}}:"
        self.keys = self._prefix + "keys"

    def entry(self, key: str) -> str:
        return f"{self._prefix}entry:{key}"

    def tag(self, tag: str) -> str:
        return f"{self._prefix}tag:{tag}"


def _packed(item: Item, now: float) -> bytes:
    expires_at = now + item.ttl
    return packb(
        [
            item.key,
            item.value,
            item.media_type,
            now,
            expires_at,
            expires_at + item.stale_for,
            item.negative,
            list(item.tags),
        ]
    )


def _unpacked(packed: bytes | str, now: float) -> Entry:
    assert isinstance(packed, bytes)
    key, value, media_type, created_at, expires_at, stale_until, negative, tags = unpackb(packed)
    return Entry(key, value, media_type, created_at, expires_at, stale_until, negative, tags, now)


def _served(packed: bytes | str | None, now: float, stale: bool) -> Entry | None:
    """The entry, if it may be served: Redis's own expiry comes at the end of the stale period."""
    if packed is None:
        return None
    entry = _unpacked(packed, now)
    until = entry.stale_until if stale else entry.expires_at
    return entry if until > now else None


def _text(key: object) -> str:
    assert isinstance(key, bytes)
    return key.decode()


def _require_text(argument: str, text: str, most: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid.argument(argument, "is not valid Unicode text") from None
    if size == 0:
        raise Invalid.argument(argument, "is empty")
    if size > most:
        raise Invalid.argument(argument, f"is longer than {most} bytes")


def _require_items(items: Sequence[Item]) -> None:
    """The store's bounds. Raises Invalid, naming the argument."""
    if len(items) > MOST_KEYS:
        raise Invalid.argument(
            "entries", f"holds {len(items)} items, at most {MOST_KEYS} are taken in one call"
        )
    if sum(len(item.value) for item in items) > MOST_BYTES:
        raise Invalid.argument("entries", f"hold more than {MOST_BYTES} bytes of values together")
    for item in items:
        _require_text("key", item.key, _MOST_KEY)
        _require_text("media_type", item.media_type, _MOST_NAME)
        if len(item.value) > _MOST_VALUE:
            raise Invalid.argument("value", f"is longer than {_MOST_VALUE} bytes")
        if not 0.001 <= item.ttl <= _MOST_TTL:
            raise Invalid.argument("ttl", f"is not within 0.001 and {_MOST_TTL:.0f}")
        if not 0 <= item.stale_for <= _MOST_TTL:
            raise Invalid.argument("stale_for", f"is not within 0 and {_MOST_TTL:.0f}")
        if len(item.tags) > _MOST_TAGS:
            raise Invalid.argument(
                "tags", f"holds {len(item.tags)} items, at most {_MOST_TAGS} are taken in one call"
            )
        for tag in item.tags:
            _require_text("tags", tag, _MOST_NAME)
