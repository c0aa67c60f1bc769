"""One timer for many futures: who is late fails, who is done or forgotten does not."""

import asyncio

import pytest

from lycosa.deadlines import Deadlines

SECONDS = 0.2


async def test_a_late_future_fails_and_a_younger_one_waits() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(SECONDS)
    old = loop.create_future()
    deadlines.begin(old)
    began = loop.time()
    await asyncio.sleep(SECONDS / 2)
    young = loop.create_future()
    deadlines.begin(young)
    with pytest.raises(TimeoutError):
        await old
    assert loop.time() - began >= SECONDS
    assert not young.done()
    deadlines.end(old)
    with pytest.raises(TimeoutError):
        await young
    deadlines.end(young)


async def test_a_future_that_is_done_stays_as_it_is() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(SECONDS)
    done, cancelled, late = loop.create_future(), loop.create_future(), loop.create_future()
    for future in (done, cancelled, late):
        deadlines.begin(future)
    done.set_result("answer")
    cancelled.cancel()
    with pytest.raises(TimeoutError):
        await late
    assert done.result() == "answer"
    assert cancelled.cancelled()


async def test_what_is_forgotten_is_left_alone_and_the_next_is_watched() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(SECONDS)
    forgotten = loop.create_future()
    deadlines.begin(forgotten)
    deadlines.end(forgotten)
    await asyncio.sleep(SECONDS * 1.5)
    assert not forgotten.done()
    late = loop.create_future()
    deadlines.begin(late)
    with pytest.raises(TimeoutError):
        await late
