"""The cache: values that expire, kept as the bytes that will be sent."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.procedures import CacheEntry, CacheFigures, CacheItem, Procedures

__all__ = ["Cache", "CacheFigures", "CacheService", "Entry", "Invalidated", "Item", "Progress", "hit_rate"]

MOST_KEYS = 100
MOST_DELETED = 1000
# What the values of one set_many hold together, in bytes.
MOST_BYTES = 4_000_000
DEFAULT_TTL = 3600.0
ANY_BYTES = "application/octet-stream"

# Told how many entries are gone so far.
Progress = Callable[[int], None]


class Entry(NamedTuple):
    """A value as it was stored. Times are unix seconds by the clock of where it is kept."""

    key: str
    value: bytes
    media_type: str
    created_at: float
    expires_at: float
    stale_until: float
    negative: bool
    tags: Sequence[str]
    answered_at: float

    @property
    def stale(self) -> bool:
        """Whether it had expired when it was answered, by the server's clock."""
        return self.expires_at <= self.answered_at


class Item(NamedTuple):
    """A value to store, with what `CacheService.set` takes."""

    key: str
    value: bytes
    ttl: float = DEFAULT_TTL
    media_type: str = ANY_BYTES
    stale_for: float = 0.0
    negative: bool = False
    tags: Sequence[str] = ()


class Invalidated(NamedTuple):
    """How many entries are gone, and whether there may be more."""

    deleted: int
    more: bool


class Cache(Protocol):
    """What every level of the cache does: the store's, Redis's, and both together."""

    async def get(
        self, identity: Identity, key: str, *, stale: bool = False, timeout: float | None = None
    ) -> Entry | None:
        """See CacheService.get."""

    async def get_many(
        self, identity: Identity, keys: Sequence[str], *, stale: bool = False, timeout: float | None = None
    ) -> list[Entry | None]:
        """See CacheService.get_many."""

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

    async def set_many(
        self, identity: Identity, items: Sequence[Item], *, timeout: float | None = None
    ) -> None:
        """See CacheService.set_many."""

    async def take(self, identity: Identity, key: str) -> Entry | None:
        """See CacheService.take."""

    async def delete(self, identity: Identity, keys: Sequence[str]) -> int:
        """See CacheService.delete."""

    async def invalidate(
        self,
        identity: Identity,
        *,
        tag: str | None = None,
        prefix: str | None = None,
        progress: Progress | None = None,
        at_most: int | None = None,
    ) -> Invalidated:
        """See CacheService.invalidate."""

    async def figures(self, identity: Identity, *, whole: bool = False) -> CacheFigures:
        """See CacheService.figures."""

    async def aclose(self) -> None:
        """Let go of what was opened."""


class CacheService:
    """The cache in the store. Every method takes who asks first."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def get(
        self, identity: Identity, key: str, *, stale: bool = False, timeout: float | None = None
    ) -> Entry | None:
        """The entry of a key, None when there is none. An expired one is never answered.

        `stale` takes it in its stale period, too: `Entry.stale` tells. Gets of one tick of the event loop travel as
        one call. Raises Unavailable or TimedOut when the store is away.
        """
        found = await self._procedures.cache_get(
            tenant=identity.tenant, key=key, stale=stale or None, timeout=timeout
        )
        return None if found is None else _entry(found, self._procedures.server_time())

    async def get_many(
        self, identity: Identity, keys: Sequence[str], *, stale: bool = False, timeout: float | None = None
    ) -> list[Entry | None]:
        """The entries of any number of keys, in their order, None where there is none; a hundred keys a call."""
        found: list[CacheEntry | None] = []
        for part in _parts(keys):
            found += await self._procedures.cache_get_many(
                tenant=identity.tenant, keys=part, stale=stale or None, timeout=timeout
            )
        now = self._procedures.server_time()
        return [None if entry is None else _entry(entry, now) for entry in found]

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
        """Store at most 1,000,000 bytes under a key (512 bytes of text) for `ttl` seconds, in place of what was there.

        For `stale_for` seconds more it is answered to who takes stale entries. `negative` marks the knowledge that
        there is nothing. At most 16 `tags` name it for `invalidate`. Raises Invalid, naming the argument.
        """
        await self._procedures.cache_set(
            tenant=identity.tenant,
            key=key,
            value=value,
            media_type=media_type,
            ttl=ttl,
            stale_for=stale_for or None,
            negative=negative or None,
            tags=tags or None,
            timeout=timeout,
        )

    async def set_many(
        self, identity: Identity, items: Sequence[Item], *, timeout: float | None = None
    ) -> None:
        """Store up to 100 values of together 4,000,000 bytes, all or none."""
        await self._procedures.cache_set_many(
            tenant=identity.tenant, entries=[_sent(item) for item in items], timeout=timeout
        )

    async def take(self, identity: Identity, key: str) -> Entry | None:
        """The entry of a key, deleted by being read: of two who take at once one gets it. Never a stale one."""
        found = await self._procedures.cache_take(tenant=identity.tenant, key=key)
        return None if found is None else _entry(found, self._procedures.server_time())

    async def delete(self, identity: Identity, keys: Sequence[str]) -> int:
        """Delete entries by key, a hundred a call; how many there were. Keys that are not there are no error."""
        deleted = 0
        for part in _parts(keys):
            deleted += (await self._procedures.cache_delete(tenant=identity.tenant, keys=part)).deleted
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
        """Delete all entries of a tag, or all whose key begins with a prefix: exactly one of the two.

        A thousand a call, so that others are served between; `progress` is told the sum after each. `at_most` ends it
        early, with `more` when there may be more. Raises Invalid.
        """
        require_one(tag, prefix)
        deleted, more = 0, True
        while more and (at_most is None or deleted < at_most):
            limit = MOST_DELETED if at_most is None else min(MOST_DELETED, at_most - deleted)
            part = await self._procedures.cache_invalidate(
                tenant=identity.tenant, tag=tag, prefix=prefix, limit=limit
            )
            deleted, more = deleted + part.deleted, part.more
            if progress is not None:
                progress(deleted)
        return Invalidated(deleted, more)

    async def figures(self, identity: Identity, *, whole: bool = False) -> CacheFigures:
        """Entries, bytes and budget, and hits, misses and what became of entries since the store started.

        Of who asks, or of the `whole` server.
        """
        return await self._procedures.cache_figures(tenant=None if whole else identity.tenant)

    async def aclose(self) -> None:
        """Nothing: the connection is whoever's made it."""


def hit_rate(figures: CacheFigures) -> float | None:
    """Which part of the gets was answered, None before the first."""
    answered = figures.hits + figures.stale_hits
    asked = answered + figures.misses
    return round(answered / asked, 4) if asked else None


def require_one(tag: str | None, prefix: str | None) -> None:
    """Raises Invalid unless exactly one is given."""
    if (tag is None) == (prefix is None):
        raise Invalid(
            "exactly one of tag and prefix is needed",
            code="INVALID_ARGUMENT",
            details={
                "argument": "tag",
                "problem": "is missing, and so is prefix" if tag is None else "stands beside prefix",
            },
        )


def _parts(keys: Sequence[str]) -> list[list[str]]:
    return [list(keys[start : start + MOST_KEYS]) for start in range(0, len(keys), MOST_KEYS)]


def _entry(found: CacheEntry, now: float) -> Entry:
    return Entry(
        found.key,
        found.value,
        found.media_type,
        found.created_at,
        found.expires_at,
        found.stale_until,
        found.negative,
        found.tags,
        now,
    )


def _sent(item: Item) -> CacheItem:
    return CacheItem(
        key=item.key,
        value=item.value,
        media_type=item.media_type,
        ttl=item.ttl,
        stale_for=item.stale_for,
        negative=item.negative,
        tags=item.tags,
    )
