"""Checkpoints of graphs of agents: threads, the states they went through, and what tasks wrote on top of a state."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

from lycosa.errors import Unavailable
from lycosa.identity import Identity
from lycosa.procedures import (
    CheckpointBlob,
    CheckpointBlobInput,
    CheckpointChanged,
    CheckpointChannel,
    CheckpointHead,
    CheckpointValue,
    CheckpointWrite,
    CheckpointWriteInput,
    Procedures,
)
from lycosa.services.checkpoint_values import MOST_INLINE, MOST_INLINE_HEAD, CheckpointValues, Serialized

__all__ = ["CheckpointService", "Head", "Serialized", "State", "Write"]

T = TypeVar("T")

_MOST_RUNS: Final = 100
# How often what was deleted between two calls is tried anew.
_ATTEMPTS: Final = 3
_COPY_SECONDS: Final = 60.0


class Write(NamedTuple):
    """What a task wrote to a channel on top of a state. `path` and `task` order the writes of several tasks."""

    task: str
    path: str
    position: int
    channel: str
    value: Serialized


class Head(NamedTuple):
    """A state without the values of its channels. `parent` is the id of the state that it follows."""

    thread: str
    namespace: str
    id: str
    parent: str | None
    state: Serialized
    metadata: Serialized


class State(NamedTuple):
    """A state with the values of its channels, and its pending writes in the order of path, task and position."""

    head: Head
    values: dict[str, Serialized]
    writes: list[Write]


class CheckpointService:
    """The use-cases of checkpoints. Every method takes who asks first, then the thread.

    Threads are any text of 1 to 512 bytes, namespaces (of a graph within the graph) of up to 1,024, empty for the
    outermost; ids of states sort by their age. Values are any bytes, up to 90,000,000 each. `ttl` is in seconds from
    the last write on, and whole threads end. Every method raises Invalid, naming the argument, and Unavailable or
    TimedOut when the store is away; those that write raise Unavailable (MEMORY_FULL) when it is full.
    """

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures
        self._values = CheckpointValues(procedures)

    async def put(
        self,
        identity: Identity,
        thread: str,
        namespace: str,
        state_id: str,
        *,
        state: Serialized,
        metadata: Serialized,
        versions: Mapping[str, str],
        values: Mapping[str, Serialized],
        older: Mapping[str, Callable[[], Serialized]] | None = None,
        parent: str | None = None,
        run: str | None = None,
        facts: Mapping[str, str | float] | None = None,
        deltas: Sequence[str] = (),
        ttl: float | None = None,
    ) -> None:
        """Store a state, all of it or nothing: what was acknowledged is there, whole, whatever dies.

        `versions` are those of all channels, `values` those of versions that are new; the value of a version is
        stored once. `older` makes the values of versions that are not: asked for only when they went meanwhile, with
        the states that had them. `facts` are what `heads` can filter by, None when the metadata holds more than that.
        `deltas` are channels without a value, made again from the writes on top of the states before.
        """
        sent, makers = dict(values), older or {}

        async def put() -> None:
            kept = await self._values.keep(
                identity,
                thread,
                [(state, MOST_INLINE_HEAD), (metadata, MOST_INLINE_HEAD)]
                + [(value, MOST_INLINE) for value in sent.values()],
                ttl,
            )
            try:
                await self._procedures.checkpoint_put(
                    tenant=identity.tenant,
                    thread=thread,
                    namespace=namespace,
                    id=state_id,
                    parent=parent,
                    state=kept[0],
                    metadata=kept[1],
                    run=run,
                    facts=facts,
                    channels=_channels(versions, sent.keys() | makers.keys()),
                    deltas=deltas,
                    blobs=_blobs(versions, sent, kept[2:]),
                    ttl=ttl,
                )
            except CheckpointChanged:
                sent.update({name: make() for name, make in makers.items() if name not in sent})
                raise

        await _insistently(put)

    async def put_writes(
        self,
        identity: Identity,
        thread: str,
        namespace: str,
        state_id: str,
        writes: Sequence[Write],
        *,
        ttl: float | None = None,
    ) -> None:
        """Store what one task wrote on top of a state, all of it or nothing; the state may be stored later.

        What is there at a position of 0 and more stays; at a negative one the last counts.
        """
        if not writes:
            return

        async def put() -> None:
            kept = await self._values.keep(
                identity, thread, [(write.value, MOST_INLINE) for write in writes], ttl
            )
            await self._procedures.checkpoint_put_writes(
                tenant=identity.tenant,
                thread=thread,
                namespace=namespace,
                id=state_id,
                task=writes[0].task,
                path=writes[0].path,
                writes=[
                    CheckpointWriteInput(position=write.position, channel=write.channel, **value)
                    for write, value in zip(writes, kept, strict=True)
                ],
                ttl=ttl,
            )

        await _insistently(put)

    async def get(
        self, identity: Identity, thread: str, namespace: str, state_id: str | None = None
    ) -> State | None:
        """A state, the latest of its namespace unless an id is given; None when there is none."""
        return await _insistently(lambda: self._get(identity, thread, namespace, state_id))

    async def _get(
        self, identity: Identity, thread: str, namespace: str, state_id: str | None
    ) -> State | None:
        head: CheckpointHead | None = None
        blobs: list[CheckpointBlob] = []
        writes: list[CheckpointWrite] = []
        cursor: str | None = None
        while True:
            page = await self._procedures.checkpoint_get(
                tenant=identity.tenant, thread=thread, namespace=namespace, id=state_id, cursor=cursor
            )
            if cursor is None:
                head = page.head
            if head is None:
                return None
            blobs += page.blobs
            writes += page.writes
            state_id, cursor = head.id, page.next
            if cursor is None:
                break
        found = await asyncio.gather(
            self._head(identity, head),
            asyncio.gather(*(self._values.read(identity, thread, blob) for blob in blobs)),
            asyncio.gather(*(self._values.read(identity, thread, write) for write in writes)),
        )
        return State(
            found[0],
            {blob.name.partition(" ")[2]: value for blob, value in zip(blobs, found[1], strict=True)},
            sorted(
                (
                    Write(write.task, write.path, write.position, write.channel, value)
                    for write, value in zip(writes, found[2], strict=True)
                ),
                key=lambda write: (write.path, write.task, write.position),
            ),
        )

    async def heads(
        self,
        identity: Identity,
        thread: str | None = None,
        namespace: str | None = None,
        *,
        before: str | None = None,
        facts: Mapping[str, str | float] | None = None,
        page: int = 100,
    ) -> AsyncIterator[Head]:
        """States without values and writes, the newest first: of a namespace, a thread, or all threads of who asks.

        `before` leaves out that id and later ones. With `facts` only states that may hold them: those whose metadata
        is more than its facts are shown, too, so look again. Read page by page (1..100): stop when you have enough.
        """
        cursor: str | None = None
        while True:
            found = await self._procedures.checkpoint_list(
                tenant=identity.tenant,
                thread=thread,
                namespace=namespace,
                before=before,
                filter=facts or None,
                cursor=cursor,
                limit=page,
            )
            for head in found.heads:
                if (whole := await self._head_still_there(identity, head)) is not None:
                    yield whole
            if found.next is None:
                return
            cursor = found.next

    async def delete_thread(self, identity: Identity, thread: str) -> bool:
        """Delete a thread, at once however large it is; whether there was one."""
        return (
            await self._procedures.checkpoint_delete_thread(tenant=identity.tenant, thread=thread)
        ).deleted

    async def delete_for_runs(self, identity: Identity, runs: Sequence[str]) -> int:
        """Delete the states that runs stored, in whatever threads, in short transactions; how many there were.

        Channels that were made again from these states and the writes on top of them lose what those held.
        """
        deleted = 0
        for start in range(0, len(runs), _MOST_RUNS):
            more = True
            while more:
                part = await self._procedures.checkpoint_delete_for_runs(
                    tenant=identity.tenant, runs=list(runs[start : start + _MOST_RUNS])
                )
                deleted, more = deleted + part.deleted, part.more
        return deleted

    async def prune(self, identity: Identity, thread: str) -> int:
        """Keep the latest state of every namespace, and those before it from which its channels are made again.

        In short transactions, each of which leaves a thread that can be read; how many states are gone.
        """
        deleted, before, more = 0, None, True
        while more:
            part = await self._procedures.checkpoint_prune(
                tenant=identity.tenant, thread=thread, before=before
            )
            deleted, before, more = deleted + part.deleted, part.before, part.more
        return deleted

    async def copy_thread(
        self, identity: Identity, source: str, target: str, *, wait: float = _COPY_SECONDS
    ) -> bool:
        """Copy a thread whole; False when there is no such source.

        Raises Conflict when the target exists (CHECKPOINT_EXISTS) or the source was written meanwhile
        (CHECKPOINT_CHANGED), Unavailable (CHECKPOINT_BUSY) when it takes longer than `wait` seconds: then nothing was
        copied.
        """
        return (
            await self._procedures.checkpoint_copy_thread(
                tenant=identity.tenant, source=source, target=target, wait=wait
            )
        ).copied

    async def _head_still_there(self, identity: Identity, head: CheckpointHead) -> Head | None:
        """A head of a list, None when its state went since: what stands in parts goes with it."""
        try:
            return await self._head(identity, head)
        except CheckpointChanged:
            state = await self.get(identity, head.thread, head.namespace, head.id)
            return None if state is None else state.head

    async def _head(self, identity: Identity, head: CheckpointHead) -> Head:
        thread = head.thread
        state = await self._values.whole(identity, thread, head.type, head.value, head.parts)
        metadata = await self._values.whole(
            identity, thread, head.metadata_type, head.metadata, head.metadata_parts
        )
        return Head(thread, head.namespace, head.id, head.parent, state, metadata)


def _channels(versions: Mapping[str, str], held: Collection[str]) -> list[CheckpointChannel]:
    return [
        CheckpointChannel(channel=channel, version=_version(version), held=channel in held)
        for channel, version in versions.items()
    ]


def _blobs(
    versions: Mapping[str, str], channels: Iterable[str], values: Sequence[CheckpointValue]
) -> list[CheckpointBlobInput]:
    return [
        CheckpointBlobInput(channel=channel, version=_version(versions[channel]), **value)
        for channel, value in zip(channels, values, strict=True)
    ]


def _version(version: str) -> str:
    """A version as it stands in names: without spaces."""
    return quote(version, safe="")


async def _insistently(work: Callable[[], Awaitable[T]]) -> T:
    """Do work again whose thread was deleted between two of its calls. Raises Unavailable when that does not end."""
    for _ in range(_ATTEMPTS):
        try:
            return await work()
        except CheckpointChanged as changed:
            problem = changed
    raise Unavailable(problem.message, code=problem.code, retry_after=1.0) from problem
