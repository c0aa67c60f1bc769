"""Which calls leave together, and when."""

import asyncio
from typing import Any, cast

import pytest

from lycosa.gathered_writes import GatheringTransport


class Transport:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> str:
        return name


@pytest.fixture
def transport() -> Transport:
    return Transport()


def gathering(transport: Transport) -> GatheringTransport:
    return GatheringTransport(cast(Any, transport), asyncio.get_running_loop())


async def test_the_first_goes_at_once_and_the_others_by_sixteen(transport: Transport) -> None:
    gathered = gathering(transport)
    calls = [b"%02d" % number for number in range(40)]
    for call in calls:
        gathered.write(memoryview(call))
    assert [len(part) for part in transport.written] == [2, 32, 32]
    await asyncio.sleep(0)
    assert [len(part) for part in transport.written] == [2, 32, 32, 14]
    assert b"".join(transport.written) == b"".join(calls)


async def test_nothing_waits_for_another_tick(transport: Transport) -> None:
    gathered = gathering(transport)
    for number in range(3):
        gathered.write(b"%d" % number)
        gathered.write(b"x")
        await asyncio.sleep(0)
    assert transport.written == [b"0", b"x", b"1", b"x", b"2", b"x"]
    gathered.write(b"3")
    await asyncio.sleep(0)
    assert transport.written[6:] == [b"3"]


async def test_large_calls_are_not_gathered(transport: Transport) -> None:
    gathered = gathering(transport)
    for number in range(3):
        gathered.write(bytes([number]) * 16_384)
    assert [len(part) for part in transport.written] == [16_384] * 3


async def test_nothing_is_written_to_what_is_closing(transport: Transport) -> None:
    gathered = gathering(transport)
    gathered.write(b"first")
    gathered.write(b"second")
    transport.closing = True
    await asyncio.sleep(0)
    assert transport.written == [b"first"]


async def test_the_rest_is_the_transports_own(transport: Transport) -> None:
    assert gathering(transport).get_extra_info("socket") == "socket"
