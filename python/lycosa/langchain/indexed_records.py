"""LangChain's book of what was indexed when, in the store: `langchain_core.indexing.index` skips what is unchanged."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import quote

from langchain_core.indexing import RecordManager

from lycosa.errors import Invalid
from lycosa.langchain.connection import LycosaConnection
from lycosa.services import Services
from lycosa.services.kv import KvEntry

__all__ = ["LycosaRecordManager"]

_MOST_NAME: Final = 400
# Records of a group that are read at once.
_AT_ONCE: Final = 100
_MICROSECONDS: Final = 1_000_000


class LycosaRecordManager(RecordManager):
    """Records of one tenant and namespace, by key (text of 1 to 512 bytes).

    Their times are versions that the store gives: seconds since the epoch that only rise, never twice the same, so that
    no step of a clock makes a new record an old one. Synchronous methods do their work on the connection's own loop,
    asynchronous ones on the caller's.
    """

    def __init__(self, namespace: str, connection: LycosaConnection) -> None:
        """`namespace` names the index, such as that of a vector store. Raises Invalid for one of over 400 bytes."""
        super().__init__(namespace)
        name = quote(namespace, safe="")
        if len(name) > _MOST_NAME:
            raise Invalid.argument("namespace", f"is longer than {_MOST_NAME} bytes")
        self._connection = connection
        self._identity = connection.identity
        self._records = f"langchain.records/{name}/records"
        self._groups = f"langchain.records/{name}/groups/"
        self._ticks = f"langchain.records/{name}/ticks"

    def create_schema(self) -> None:
        """Nothing: the store has it."""

    async def acreate_schema(self) -> None:
        """Nothing: the store has it."""

    async def aget_time(self) -> float:
        """A time after every update so far and before every later one."""
        return await self._time(await self._connection.services())

    def get_time(self) -> float:
        """`aget_time` for callers without an event loop."""
        return self._connection.run(self._time)

    async def _time(self, services: Services) -> float:
        stored = await services.kv.set(self._identity, self._ticks, "last", b"")
        return stored.version / _MICROSECONDS

    async def aupdate(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Say that these keys were indexed now, each for its group.

        Raises ValueError when there are not as many groups as keys, and when the store's time is before
        `time_at_least`: then its clock was put back, and what was indexed must not be cleaned up by it.
        """
        await self._update(await self._connection.services(), keys, group_ids, time_at_least)

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """`aupdate` for callers without an event loop."""
        self._connection.run(lambda services: self._update(services, keys, group_ids, time_at_least))

    async def _update(
        self,
        services: Services,
        keys: Sequence[str],
        group_ids: Sequence[str | None] | None,
        time_at_least: float | None,
    ) -> None:
        if group_ids and len(group_ids) != len(keys):
            raise ValueError(f"{len(keys)} keys were given, and {len(group_ids)} group ids")
        groups = dict(zip(keys, group_ids or [None] * len(keys), strict=True))
        before = await services.kv.get_many(self._identity, self._records, list(groups))
        # Members first: who finds one looks at its record.
        members: dict[str, dict[str, bytes]] = {}
        for key, group in groups.items():
            if group is not None:
                members.setdefault(self._group(group), {})[key] = b""
        for namespace, entries in members.items():
            await services.kv.set_many(self._identity, namespace, entries)
        records = {key: json.dumps(group).encode() for key, group in groups.items()}
        stored = await services.kv.set_many(self._identity, self._records, records)
        moved = [entry for entry in before if entry is not None and entry.value != records[entry.key]]
        await self._leave(services, moved)
        if time_at_least is not None and any(one.version < _version(time_at_least) for one in stored):
            raise ValueError("the store's time is before time_at_least: its clock was put back")

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """Whether there are records of these keys, in their order."""
        return await self._exists(await self._connection.services(), keys)

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """`aexists` for callers without an event loop."""
        return self._connection.run(lambda services: self._exists(services, keys))

    async def _exists(self, services: Services, keys: Sequence[str]) -> list[bool]:
        found = await services.kv.get_many(self._identity, self._records, keys)
        return [entry is not None for entry in found]

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Keys updated before and after these times, of these groups; all that are when None, at most `limit`."""
        services = await self._connection.services()
        return await self._list(services, before, after, group_ids, limit)

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """`alist_keys` for callers without an event loop."""
        return self._connection.run(lambda services: self._list(services, before, after, group_ids, limit))

    async def _list(
        self,
        services: Services,
        before: float | None,
        after: float | None,
        group_ids: Sequence[str] | None,
        limit: int | None,
    ) -> list[str]:
        found: list[str] = []
        walk = self._of_groups(services, group_ids) if group_ids else self._of_all(services)
        async for key, version in walk:
            is_wanted = (before is None or version < _version(before)) and (
                after is None or version > _version(after)
            )
            if is_wanted:
                found.append(key)
            if limit and len(found) == limit:
                break
        return found

    async def _of_all(self, services: Services) -> AsyncIterator[tuple[str, int]]:
        async for facts in services.kv.every_key(self._identity, self._records):
            yield facts.key, facts.version

    async def _of_groups(self, services: Services, groups: Sequence[str]) -> AsyncIterator[tuple[str, int]]:
        """Members of groups whose records say the same: one that moved or went may still stand in its old group."""
        for group in dict.fromkeys(groups):
            wanted, keys = json.dumps(group).encode(), list[str]()
            async for facts in services.kv.every_key(self._identity, self._group(group)):
                keys.append(facts.key)
                if len(keys) == _AT_ONCE:
                    for entry in await self._members(services, keys, wanted):
                        yield entry.key, entry.version
                    keys.clear()
            for entry in await self._members(services, keys, wanted):
                yield entry.key, entry.version

    async def _members(self, services: Services, keys: Sequence[str], group: bytes) -> list[KvEntry]:
        found = await services.kv.get_many(self._identity, self._records, keys)
        return [entry for entry in found if entry is not None and entry.value == group]

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """Forget records. Keys that are not there are no error."""
        await self._delete(await self._connection.services(), keys)

    def delete_keys(self, keys: Sequence[str]) -> None:
        """`adelete_keys` for callers without an event loop."""
        self._connection.run(lambda services: self._delete(services, keys))

    async def _delete(self, services: Services, keys: Sequence[str]) -> None:
        found = await services.kv.get_many(self._identity, self._records, keys)
        await services.kv.delete(self._identity, self._records, keys)
        await self._leave(services, [entry for entry in found if entry is not None])

    async def _leave(self, services: Services, records: Sequence[KvEntry]) -> None:
        """Take keys out of the groups that these records say."""
        members: dict[str, list[str]] = {}
        for entry in records:
            group = json.loads(entry.value)
            if group is not None:
                members.setdefault(self._group(group), []).append(entry.key)
        await asyncio.gather(
            *(services.kv.delete(self._identity, group, gone) for group, gone in members.items())
        )

    def _group(self, group: str) -> str:
        return self._groups + hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()


def _version(time: float) -> int:
    return round(time * _MICROSECONDS)
