"""The store's cache with another behind it."""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from lycosa.errors import LycosaError
from lycosa.identity import Identity
from lycosa.procedures import CacheFigures
from lycosa.services.cache import (
    ANY_BYTES,
    DEFAULT_TTL,
    MOST_BYTES,
    MOST_KEYS,
    Cache,
    Entry,
    Invalidated,
    Item,
    Progress,
)

__all__ = ["TwoLevels"]

_log = structlog.get_logger(__name__)

# Seconds for which the second level is left alone after a failure: an outage costs one wait and not one a get.
_PAUSE: Final = 1.0


class TwoLevels:
    """The cache's contract over two levels: what the first does not hold is asked of the second and kept in the first.

    Every write goes to the second level first. So whoever copies an entry into the first can see afterwards, by
    looking at the second again, that it was changed meanwhile, and take the copy back.

    While the second level is away, gets and sets do with the first, and say so in the log. Deletions raise Unavailable:
    what is deleted must not come back from there.
    """

    def __init__(self, first: Cache, second: Cache) -> None:
        self._first = first
        self._second = second
        self._away_until = 0.0

    async def get(
        self, identity: Identity, key: str, *, stale: bool = False, timeout: float | None = None
    ) -> Entry | None:
        """See CacheService.get."""
        found = await self._first.get(identity, key, stale=stale, timeout=timeout)
        if found is not None and not found.stale:
            return found
        (behind,) = await self._behind(identity, [key], stale)
        return _fresher(found, behind)

    async def get_many(
        self, identity: Identity, keys: Sequence[str], *, stale: bool = False, timeout: float | None = None
    ) -> list[Entry | None]:
        """See CacheService.get_many."""
        found = await self._first.get_many(identity, keys, stale=stale, timeout=timeout)
        missing = [place for place, entry in enumerate(found) if entry is None or entry.stale]
        behind = await self._behind(identity, [keys[place] for place in missing], stale)
        for place, entry in zip(missing, behind, strict=True):
            found[place] = _fresher(found[place], entry)
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
        await self._set_behind(identity, [item])
        await self._first.set(identity, timeout=timeout, **item._asdict())

    async def set_many(
        self, identity: Identity, items: Sequence[Item], *, timeout: float | None = None
    ) -> None:
        """See CacheService.set_many."""
        await self._set_behind(identity, items)
        await self._first.set_many(identity, items, timeout=timeout)

    async def take(self, identity: Identity, key: str) -> Entry | None:
        """See CacheService.take. The first level decides who has it; what only the second holds is gone."""
        await self._second.delete(identity, [key])
        return await self._first.take(identity, key)

    async def delete(self, identity: Identity, keys: Sequence[str]) -> int:
        """See CacheService.delete. Counts the larger of both levels."""
        behind = await self._second.delete(identity, keys)
        return max(behind, await self._first.delete(identity, keys))

    async def invalidate(
        self,
        identity: Identity,
        *,
        tag: str | None = None,
        prefix: str | None = None,
        progress: Progress | None = None,
        at_most: int | None = None,
    ) -> Invalidated:
        """See CacheService.invalidate. Counts the larger of both levels."""
        behind = await self._second.invalidate(
            identity, tag=tag, prefix=prefix, progress=progress, at_most=at_most
        )
        front = await self._first.invalidate(
            identity, tag=tag, prefix=prefix, progress=progress, at_most=at_most
        )
        return Invalidated(max(behind.deleted, front.deleted), behind.more or front.more)

    async def figures(self, identity: Identity, *, whole: bool = False) -> CacheFigures:
        """See CacheService.figures. Of the first level."""
        return await self._first.figures(identity, whole=whole)

    async def aclose(self) -> None:
        """Close both."""
        await self._second.aclose()
        await self._first.aclose()

    async def _behind(self, identity: Identity, keys: Sequence[str], stale: bool) -> list[Entry | None]:
        """The second level's entries, copied into the first; none while it is away."""
        if not keys or time.monotonic() < self._away_until:
            return [None] * len(keys)
        try:
            found = await self._second.get_many(identity, keys, stale=stale)
            fresh = [entry for entry in found if entry is not None and not entry.stale]
            for part in _parts(fresh):
                await self._copy(identity, part)
        except LycosaError as problem:
            self._failed(problem)
            return [None] * len(keys)
        return found

    async def _copy(self, identity: Identity, entries: Sequence[Entry]) -> None:
        """Keep what was found behind for the rest of its time, unless it was changed while that was done."""
        try:
            await self._first.set_many(identity, [_rest(entry) for entry in entries])
        except LycosaError as problem:
            _log.warning("cache_not_copied", code=problem.code, problem=problem.message)
            return
        changed = [entry.key for entry in entries]
        try:
            now = await self._second.get_many(identity, changed)
            changed = [
                entry.key
                for entry, other in zip(entries, now, strict=True)
                if other is None or other.created_at != entry.created_at
            ]
        finally:
            if changed:
                await self._first.delete(identity, changed)

    async def _set_behind(self, identity: Identity, items: Sequence[Item]) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            await self._second.set_many(identity, items)
        except LycosaError as problem:
            if problem.kind == "invalid":
                raise
            self._failed(problem)

    def _failed(self, problem: LycosaError) -> None:
        self._away_until = time.monotonic() + _PAUSE
        _log.warning("cache_second_level_away", code=problem.code, problem=problem.message)


def _fresher(front: Entry | None, behind: Entry | None) -> Entry | None:
    """The one that is not stale; the first level's when neither or both are."""
    if front is None or (behind is not None and not behind.stale and front.stale):
        return behind
    return front


def _rest(entry: Entry) -> Item:
    """The entry for the time that it has left."""
    return Item(
        entry.key,
        entry.value,
        max(0.001, entry.expires_at - entry.answered_at),
        entry.media_type,
        max(0.0, entry.stale_until - entry.expires_at),
        entry.negative,
        entry.tags,
    )


def _parts(entries: Sequence[Entry]) -> list[list[Entry]]:
    """In calls that set_many takes: a hundred entries, and not too many bytes together."""
    parts: list[list[Entry]] = []
    size = 0
    for entry in entries:
        if not parts or len(parts[-1]) == MOST_KEYS or size + len(entry.value) > MOST_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += len(entry.value)
    return parts
