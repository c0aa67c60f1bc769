"""LangGraph's checkpoints in the store: threads of agents that go on in another process, after any crash."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from lycosa.errors import Invalid
from lycosa.langchain.checkpoint_facts import conditions_of, facts_of
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.serializing import ClosedSerializer
from lycosa.services import Services
from lycosa.services.checkpoints import Head, Serialized, State, Write

__all__ = ["LycosaCheckpointSaver"]

T = TypeVar("T")

# States of a list that are read at once.
_AT_ONCE: Final = 16
_DELTA_COUNTERS: Final = "counters_since_delta_snapshot"


class LycosaCheckpointSaver(BaseCheckpointSaver[str]):
    """Checkpoints of one tenant. A put that returned is durable and whole; a value is stored once a version.

    Synchronous methods do their work on the connection's own loop, asynchronous ones on the caller's. Errors are
    those of `lycosa.errors`.
    """

    def __init__(
        self,
        connection: LycosaConnection,
        *,
        ttl: float | None = None,
        allowed_msgpack_modules: Iterable[tuple[str, ...] | type] | None = None,
        serde: SerializerProtocol | None = None,
    ) -> None:
        """`ttl` is in seconds from a thread's last write on: then all of the thread ends; never when None.

        `allowed_msgpack_modules` are classes of yours that states hold, as (module, name) or the class: what is neither
        there nor among LangGraph's own safe types comes back as plain data. Nothing is ever pickled. `serde` replaces
        the serializer, such as by LangGraph's encrypted one.
        """
        super().__init__(serde=serde or ClosedSerializer(allowed_msgpack_modules))
        self._connection = connection
        self._identity = connection.identity
        self._ttl = ttl

    def get_next_version(self, current: str | None, channel: None) -> str:
        """A version that is greater than `current` and that no other branch of the thread has."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:020d}.{secrets.token_hex(8)}"

    # One state

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The state that the config names, the latest of its namespace when it names none; None when there is none."""
        return await self._get(await self._connection.services(), config)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """`aget_tuple` for callers without an event loop."""
        return self._connection.run(lambda services: self._get(services, config))

    async def _get(self, services: Services, config: RunnableConfig) -> CheckpointTuple | None:
        thread, namespace = _place(config)
        state = await services.checkpoints.get(
            self._identity, thread, namespace or "", get_checkpoint_id(config)
        )
        return None if state is None else self._tuple(state)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a state with the values of its new versions, in one; the config that names it."""
        return await self._put(await self._connection.services(), config, checkpoint, metadata, new_versions)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`aput` for callers without an event loop."""
        return self._connection.run(
            lambda services: self._put(services, config, checkpoint, metadata, new_versions)
        )

    async def _put(
        self,
        services: Services,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        thread, namespace = _place(config)
        state = cast(dict[str, Any], checkpoint.copy())
        values: dict[str, Any] = state.pop("channel_values")
        described = cast(dict[str, Any], get_checkpoint_metadata(config, metadata))
        versions = {**new_versions, **checkpoint["channel_versions"]}
        run = described.get("run_id")
        await services.checkpoints.put(
            self._identity,
            thread,
            namespace or "",
            checkpoint["id"],
            state=self._dumped(state),
            metadata=self._dumped(described),
            versions={channel: str(version) for channel, version in versions.items()},
            values={channel: self._dumped(values[channel]) for channel in new_versions if channel in values},
            older={
                channel: partial(self._dumped, values[channel])
                for channel in checkpoint["channel_versions"]
                if channel in values and channel not in new_versions
            },
            parent=get_checkpoint_id(config),
            run=None if run is None else str(run),
            facts=facts_of(described),
            deltas=[channel for channel in described.get(_DELTA_COUNTERS) or () if channel not in values],
            ttl=self._ttl,
        )
        return _config(thread, namespace or "", checkpoint["id"])

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote on top of a state, all of it or nothing."""
        await self._put_writes(await self._connection.services(), config, writes, task_id, task_path)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """`aput_writes` for callers without an event loop."""
        self._connection.run(lambda services: self._put_writes(services, config, writes, task_id, task_path))

    async def _put_writes(
        self,
        services: Services,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> None:
        thread, namespace = _place(config)
        await services.checkpoints.put_writes(
            self._identity,
            thread,
            namespace or "",
            config["configurable"]["checkpoint_id"],
            [
                Write(
                    task_id,
                    task_path,
                    WRITES_IDX_MAP.get(channel, position),
                    channel,
                    self._dumped(value),
                )
                for position, (channel, value) in enumerate(writes)
            ],
            ttl=self._ttl,
        )

    # Lists

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """States of a thread, or of all threads of the tenant when the config is None, the newest first.

        `filter` is by equality of metadata. Read page by page: stop when you have enough.
        """
        async for found in self._list(await self._connection.services(), config, filter, before, limit):
            yield found

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """`alist` for callers without an event loop."""

        async def begun(services: Services) -> AsyncIterator[CheckpointTuple]:
            return self._list(services, config, filter, before, limit)

        walk = self._connection.run(begun)
        while (found := self._connection.run(lambda _: _next(walk))) is not None:
            yield found

    async def _list(
        self,
        services: Services,
        config: RunnableConfig | None,
        filter: Mapping[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> AsyncIterator[CheckpointTuple]:
        left = limit
        async for heads in self._heads(services, config, filter or {}, before, limit):
            wanted = heads if left is None else heads[:left]
            found = await asyncio.gather(
                *(
                    services.checkpoints.get(self._identity, head.thread, head.namespace, head.id)
                    for head in wanted
                )
            )
            for state in found:
                # One that was deleted since its head was read is none.
                if state is not None:
                    yield self._tuple(state)
            if left is not None:
                left -= len(wanted)
                if left <= 0:
                    return

    async def _heads(
        self,
        services: Services,
        config: RunnableConfig | None,
        filter: Mapping[str, Any],
        before: RunnableConfig | None,
        limit: int | None,
    ) -> AsyncIterator[Sequence[Head]]:
        """Heads that match, some at a time."""
        thread, namespace = (None, None) if config is None else _place(config)
        only = None if config is None else get_checkpoint_id(config)
        size = _AT_ONCE if limit is None else max(1, min(_AT_ONCE, limit))
        found: deque[Head] = deque()
        async for head in services.checkpoints.heads(
            self._identity,
            thread,
            namespace,
            before=None if before is None else get_checkpoint_id(before),
            facts=conditions_of(filter),
            page=size,
        ):
            if (only is None or head.id == only) and self._matches(head, filter):
                found.append(head)
            if len(found) == size:
                yield tuple(found)
                found.clear()
        if found:
            yield tuple(found)

    def _matches(self, head: Head, filter: Mapping[str, Any]) -> bool:
        if not filter:
            return True
        metadata = self._loaded(head.metadata)
        return all(metadata.get(name) == value for name, value in filter.items())

    # Removal

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread, at once however large it is."""
        await (await self._connection.services()).checkpoints.delete_thread(self._identity, str(thread_id))

    def delete_thread(self, thread_id: str) -> None:
        """`adelete_thread` for callers without an event loop."""
        self._run(lambda services: services.checkpoints.delete_thread(self._identity, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the states that runs stored; what channels of deltas made again from them is lost with them."""
        await (await self._connection.services()).checkpoints.delete_for_runs(
            self._identity, [str(run) for run in run_ids]
        )

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`adelete_for_runs` for callers without an event loop."""
        runs = [str(run) for run in run_ids]
        self._run(lambda services: services.checkpoints.delete_for_runs(self._identity, runs))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread whole. Raises Conflict when the target exists or the source is written meanwhile."""
        await (await self._connection.services()).checkpoints.copy_thread(
            self._identity, str(source_thread_id), str(target_thread_id)
        )

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`acopy_thread` for callers without an event loop."""
        source, target = str(source_thread_id), str(target_thread_id)
        self._run(lambda services: services.checkpoints.copy_thread(self._identity, source, target))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the latest state of every namespace (`keep_latest`) or nothing (`delete`) of threads.

        With the latest stay those states from which its channels of deltas are made again. Raises Invalid for another
        strategy.
        """
        await self._prune(await self._connection.services(), thread_ids, strategy)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """`aprune` for callers without an event loop."""
        self._connection.run(lambda services: self._prune(services, thread_ids, strategy))

    async def _prune(self, services: Services, threads: Sequence[str], strategy: str) -> None:
        if strategy not in ("keep_latest", "delete"):
            raise Invalid.argument("strategy", "is neither keep_latest nor delete")
        for thread in threads:
            if strategy == "delete":
                await services.checkpoints.delete_thread(self._identity, str(thread))
            else:
                await services.checkpoints.prune(self._identity, str(thread))

    # Shapes

    def _run(self, work: Callable[[Services], Any]) -> None:
        self._connection.run(work)

    def _dumped(self, value: object) -> Serialized:
        kind, data = self.serde.dumps_typed(value)
        return Serialized(kind, bytes(data))

    def _loaded(self, value: Serialized) -> Any:
        return self.serde.loads_typed((value.type, value.data))

    def _tuple(self, state: State) -> CheckpointTuple:
        head = state.head
        checkpoint = self._loaded(head.state)
        values = {channel: self._loaded(value) for channel, value in state.values.items()}
        return CheckpointTuple(
            config=_config(head.thread, head.namespace, head.id),
            checkpoint=cast(Checkpoint, {**checkpoint, "channel_values": values}),
            metadata=self._loaded(head.metadata),
            parent_config=None if head.parent is None else _config(head.thread, head.namespace, head.parent),
            pending_writes=[(write.task, write.channel, self._loaded(write.value)) for write in state.writes],
        )


def _place(config: RunnableConfig) -> tuple[str, str | None]:
    """The thread and the namespace that a config names."""
    named = config["configurable"]
    return str(named["thread_id"]), named.get("checkpoint_ns")


def _config(thread: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}


async def _next(walk: AsyncIterator[CheckpointTuple]) -> CheckpointTuple | None:
    return await anext(walk, None)
