"""Values of checkpoints: those that are too large for a row, or too many for a call, are stored in parts before."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import uuid4

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.procedures import CheckpointBlob, CheckpointChanged, CheckpointValue, CheckpointWrite, Procedures

__all__ = ["MOST_INLINE", "MOST_INLINE_HEAD", "CheckpointValues", "Serialized"]

# Bytes of a value that stand in its row, those of states and metadata, and what all of one call hold together.
MOST_INLINE: Final = 900_000
MOST_INLINE_HEAD: Final = 250_000
_MOST_BYTES: Final = 3_500_000
# A value that is larger goes in parts of so many bytes, some of them a call.
_PART_BYTES: Final = 900_000
_PARTS_A_CALL: Final = 4
_MOST_PARTS: Final = 100


class Serialized(NamedTuple):
    """A value as bytes, and the name of how they were made."""

    type: str
    data: bytes


class CheckpointValues:
    """Stores and reads values of states and writes of a thread."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def keep(
        self,
        identity: Identity,
        thread: str,
        values: Sequence[tuple[Serialized, int]],
        ttl: float | None,
    ) -> list[CheckpointValue]:
        """Values as they are sent, those that would not fit stored in parts already."""
        parted = _to_be_parted(values)
        kept: list[CheckpointValue] = []
        for position, (value, _) in enumerate(values):
            if position not in parted:
                kept.append(CheckpointValue(type=value.type, value=value.data))
                continue
            name = await self._put_parts(identity, thread, value.data, ttl)
            kept.append(CheckpointValue(type=value.type, value=str(len(value.data)), parts=name))
        return kept

    async def _put_parts(self, identity: Identity, thread: str, data: bytes, ttl: float | None) -> str:
        parts = [data[start : start + _PART_BYTES] for start in range(0, len(data), _PART_BYTES)]
        if len(parts) > _MOST_PARTS:
            raise Invalid(
                f"a value of {len(data)} bytes is too large, at most {_MOST_PARTS * _PART_BYTES} are kept",
                code="INVALID_ARGUMENT",
                details={"argument": "value", "limit": _MOST_PARTS * _PART_BYTES},
            )
        name = uuid4().hex
        for start in range(0, len(parts), _PARTS_A_CALL):
            await self._procedures.checkpoint_put_parts(
                tenant=identity.tenant,
                thread=thread,
                name=name,
                first=start + 1,
                parts=parts[start : start + _PARTS_A_CALL],
                ttl=ttl,
            )
        return name

    async def read(
        self, identity: Identity, thread: str, row: CheckpointBlob | CheckpointWrite
    ) -> Serialized:
        """The value of a row. Raises CheckpointChanged when its parts went meanwhile."""
        return await self.whole(identity, thread, row.type, row.value, row.parts)

    async def whole(
        self, identity: Identity, thread: str, kind: str, value: bytes, parts: str | None
    ) -> Serialized:
        """A value, put together when it stands in parts. Raises CheckpointChanged when they went meanwhile."""
        if parts is None:
            return Serialized(kind, value)
        size, found, number = int(value), [], 0
        while True:
            rows = await self._procedures.checkpoint_parts(
                tenant=identity.tenant, thread=thread, name=parts, first=number + 1
            )
            found += [row.value for row in rows]
            if not rows or sum(map(len, found)) >= size:
                break
            number = rows[-1].number
        data = b"".join(found)
        if len(data) != size:
            raise CheckpointChanged(
                f"thread {thread} was changed while it was read", code="CHECKPOINT_CHANGED"
            )
        return Serialized(kind, data)


def _to_be_parted(values: Sequence[tuple[Serialized, int]]) -> set[int]:
    """Positions of values that are too large for their row, and of the largest ones until a call holds the rest."""
    parted = {position for position, (value, most) in enumerate(values) if len(value.data) > most}
    sizes = {
        position: len(value.data) for position, (value, _) in enumerate(values) if position not in parted
    }
    left = sum(sizes.values())
    for position in sorted(sizes, key=lambda position: sizes[position], reverse=True):
        if left <= _MOST_BYTES:
            break
        parted.add(position)
        left -= sizes[position]
    return parted
