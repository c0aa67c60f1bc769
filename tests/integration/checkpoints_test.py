"""The service of checkpoints: values of any size, and threads that change under the reader's and writer's hands."""

import asyncio
import secrets

import pytest

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.procedures import CheckpointExists, Procedures
from lycosa.services.checkpoints import CheckpointService, Serialized, State, Write

EMPTY = Serialized("json", b"{}")


@pytest.fixture
def checkpoints(procedures: Procedures) -> CheckpointService:
    return CheckpointService(procedures)


def _bytes(size: int) -> Serialized:
    return Serialized("bytes", secrets.token_bytes(size))


async def _put(
    checkpoints: CheckpointService,
    identity: Identity,
    state_id: str,
    values: dict[str, Serialized],
    *,
    state: Serialized = EMPTY,
    metadata: Serialized = EMPTY,
) -> None:
    versions = {channel: f"{state_id} of {channel}" for channel in values}
    await checkpoints.put(
        identity, "t", "", state_id, state=state, metadata=metadata, versions=versions, values=values
    )


async def test_values_of_any_size_come_back(checkpoints: CheckpointService, identity: Identity) -> None:
    """Larger ones than a row, more than a call, more than a page; all names of channels."""
    values = {
        "none": Serialized("null", b""),
        "слова и ещё": _bytes(10),
        "large": _bytes(5_000_001),
        **{f"middle {n}": _bytes(890_000) for n in range(8)},
    }
    state, metadata = _bytes(300_000), _bytes(260_000)
    writes = [Write("task", "", n, "c", _bytes(800_000)) for n in range(6)]
    writes.append(Write("task", "", 6, "c", _bytes(1_000_001)))
    await _put(checkpoints, identity, "1", values, state=state, metadata=metadata)
    await checkpoints.put_writes(identity, "t", "", "1", writes)
    found = await checkpoints.get(identity, "t", "")
    assert found is not None
    assert found.head.id == "1"
    assert (found.head.state, found.head.metadata) == (state, metadata)
    assert found.values == values
    assert found.writes == writes
    assert [head.metadata async for head in checkpoints.heads(identity)] == [metadata]
    assert await checkpoints.copy_thread(identity, "t", "u")
    assert await checkpoints.delete_thread(identity, "t")
    copy = await checkpoints.get(identity, "u", "")
    assert copy is not None
    assert (copy.values, copy.writes) == (values, writes)
    with pytest.raises(CheckpointExists):
        await checkpoints.copy_thread(identity, "u", "u")
    with pytest.raises(Invalid, match="90000000"):
        await _put(checkpoints, identity, "2", {"c": Serialized("bytes", bytes(90_000_001))})


async def test_writes_are_ordered_by_path_task_and_position(
    checkpoints: CheckpointService, identity: Identity
) -> None:
    await _put(checkpoints, identity, "1", {})
    order = [("a", "2", 0), ("a", "2", 1), ("b", "1", -1), ("b", "1", 0)]
    for path, task in (("b", "1"), ("a", "2")):
        mine = [Write(task, path, n, "c", EMPTY) for p, t, n in reversed(order) if (p, t) == (path, task)]
        await checkpoints.put_writes(identity, "t", "", "1", mine)
    found = await checkpoints.get(identity, "t", "")
    assert found is not None
    assert [(write.path, write.task, write.position) for write in found.writes] == order


async def test_a_thread_deleted_meanwhile_leaves_whole_states_or_none(
    checkpoints: CheckpointService, identity: Identity
) -> None:
    values = {"large": _bytes(2_000_000), "small": _bytes(10)}

    async def write() -> None:
        for n in range(8):
            await _put(checkpoints, identity, str(n), values)

    async def delete() -> None:
        for _ in range(30):
            await checkpoints.delete_thread(identity, "t")
            await asyncio.sleep(0)

    async def read() -> list[State | None]:
        return [await checkpoints.get(identity, "t", "") for _ in range(20)]

    results = await asyncio.gather(write(), delete(), read(), return_exceptions=True)
    problems = [result for result in results if isinstance(result, BaseException)]
    assert all(getattr(problem, "code", "") == "CHECKPOINT_CHANGED" for problem in problems), problems
    reads = results[2]
    await _put(checkpoints, identity, "last", values)
    found = await checkpoints.get(identity, "t", "")
    assert found is not None
    assert found.values == values
    for one in reads if isinstance(reads, list) else []:
        assert one is None or one.values == values


async def test_a_state_that_goes_while_it_is_listed_is_none(
    checkpoints: CheckpointService, identity: Identity
) -> None:
    for n in range(3):
        await _put(checkpoints, identity, str(n), {}, metadata=_bytes(300_000))
    found = []
    async for head in checkpoints.heads(identity, "t", ""):
        found.append(head.id)
        await checkpoints.prune(identity, "t")
    assert found == ["2"]
