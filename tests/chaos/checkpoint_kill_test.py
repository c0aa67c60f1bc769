"""kill -9 in the midst of storing checkpoints: what was acknowledged is there, and every state is whole (D10)."""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field

from lycosa.errors import TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services.checkpoints import CheckpointService, Serialized, Write
from tests.conftest import Store, until

IDENTITY = Identity(tenant="chaos")
WRITERS = 6
CHANNELS = ("messages", "шаги", "large")
# A value in parts, so that storing a state takes several calls.
LARGE = 900_001
WRITES = 5
# Where the process dies: as the n-th row of a space is written, within its transaction; in the end wherever it is.
POINTS = [
    ("checkpoint_part", 8),
    ("checkpoint_blob", 40),
    ("checkpoint_state", 30),
    ("checkpoint_write", 103),
    (None, 0),
]
DIE = (
    "local ffi = require('ffi') pcall(ffi.cdef, 'int kill(int pid, int signal); int getpid(void);') "
    "local left = {count} box.space.{space}:on_replace(function() left = left - 1 "
    "if left == 0 then ffi.C.kill(ffi.C.getpid(), 9) end end)"
)


@dataclass
class Acknowledged:
    """States and writes that the store said it had, by thread and id; what a value holds follows from these."""

    states: set[tuple[str, str]] = field(default_factory=set)
    writes: set[tuple[str, str]] = field(default_factory=set)


def _value(thread: str, state_id: str, channel: str) -> Serialized:
    text = f"{thread} {state_id} {channel}".encode()
    return Serialized("bytes", text.ljust(LARGE, b".") if channel == "large" else text)


async def _write(service: CheckpointService, writer: int, epoch: str, done: Acknowledged) -> None:
    """Go through states of one thread. `large` is new in every tenth, so most states share it."""
    thread, large = f"{epoch}-{writer}", ""
    number = writer
    while True:
        number += 1
        state_id = f"{number:08}"
        new = {"messages", "шаги"}
        if number % 10 == 0 or not large:
            large = state_id
            new.add("large")
        versions = {"messages": state_id, "шаги": state_id, "large": large}
        await service.put(
            IDENTITY,
            thread,
            "",
            state_id,
            state=Serialized("text", large.encode()),
            metadata=Serialized("text", b""),
            versions=versions,
            values={channel: _value(thread, state_id, channel) for channel in new},
        )
        done.states.add((thread, state_id))
        await service.put_writes(
            IDENTITY,
            thread,
            "",
            state_id,
            [Write("task", "", n, "c", _value(thread, state_id, str(n))) for n in range(WRITES)],
        )
        done.writes.add((thread, state_id))


async def _load(store: Store, epoch: str, done: Acknowledged, *, kill: bool) -> None:
    """Write until the store is gone."""
    async with connect(store.settings()) as client:
        service = CheckpointService(Procedures(client))

        async def work(writer: int) -> None:
            with contextlib.suppress(Unavailable, TimedOut):
                await _write(service, writer, epoch, done)

        working = [asyncio.create_task(work(writer)) for writer in range(WRITERS)]
        if kill:
            enough = len(done.states) + 40
            await until(lambda: len(done.states) >= enough)
            store.kill()
        else:
            await asyncio.to_thread(store.wait_killed)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def _check(store: Store, done: Acknowledged) -> tuple[int, int]:
    """Read every state there is; how many states and how many with writes."""
    async with connect(store.settings()) as client:
        service = CheckpointService(Procedures(client))
        found: set[tuple[str, str]] = set()
        written: set[tuple[str, str]] = set()
        async for head in service.heads(IDENTITY):
            at = (head.thread, head.id)
            found.add(at)
            state = await service.get(IDENTITY, head.thread, "", head.id)
            assert state is not None
            large = head.state.data.decode()
            for channel in CHANNELS:
                of = large if channel == "large" else head.id
                assert state.values[channel] == _value(head.thread, of, channel)
            assert len(state.writes) in (0, WRITES)
            for write in state.writes:
                assert write.value == _value(head.thread, head.id, str(write.position))
            if state.writes:
                written.add(at)
        assert done.states <= found
        assert done.writes <= written
        return len(found), len(written)


async def test_acknowledged_checkpoints_survive_whole(own_server: Store) -> None:
    done = Acknowledged()
    for space, count in POINTS:
        before = len(done.states)
        if space is not None:
            own_server.console(DIE.format(space=space, count=count))
        await _load(own_server, secrets.token_hex(3), done, kill=space is None)
        own_server.start()
        assert len(done.states) > before or space == "checkpoint_part"
    states, written = await _check(own_server, done)
    assert states >= len(done.states) > 20
    assert written >= len(done.writes) > 10
