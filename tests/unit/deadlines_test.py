"""One timer for many futures: who is late fails, who is done or forgotten does not."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from lycosa.deadlines import Deadlines

SECONDS = 0.2


async def test_a_late_future_fails_and_a_younger_one_waits() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(SECONDS)
    old = loop.create_future()
    deadlines.begin(old, loop)
    began = loop.time()
    await asyncio.sleep(SECONDS / 2)
    young = loop.create_future()
    deadlines.begin(young, loop)
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
        deadlines.begin(future, loop)
    done.set_result("answer")
    cancelled.cancel()
    with pytest.raises(TimeoutError):
        await late
    assert done.result() == "answer"
    assert cancelled.cancelled()


async def test_what_is_forgotten_is_left_alone_and_the_next_is_watched() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(SECONDS)
    forgotten = loop.create_future()
    deadlines.begin(forgotten, loop)
    deadlines.end(forgotten)
    await asyncio.sleep(SECONDS * 1.5)
    assert not forgotten.done()
    late = loop.create_future()
    deadlines.begin(late, loop)
    with pytest.raises(TimeoutError):
        await late


async def test_one_with_a_time_of_its_own_fails_then_and_leaves_no_timer_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(60)
    handles = []
    call_later = loop.call_later

    def noting(*given: Any) -> asyncio.TimerHandle:
        handles.append(call_later(*given))
        return handles[-1]

    monkeypatch.setattr(loop, "call_later", noting)
    late, answered, cancelled = loop.create_future(), loop.create_future(), loop.create_future()
    for future in (late, answered, cancelled):
        deadlines.begin(future, loop, SECONDS)
    answered.set_result("answer")
    deadlines.end(answered)
    cancelled.cancel()
    with pytest.raises(TimeoutError):
        await late
    await asyncio.sleep(0)
    assert cancelled.cancelled()
    assert [handle.cancelled() for handle in handles] == [True, True, True]


async def test_what_nobody_ended_is_forgotten_when_its_time_is_over() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(SECONDS)
    cancelled = loop.create_future()
    deadlines.begin(cancelled, loop)
    cancelled.cancel()
    remembered = weakref.ref(cancelled)
    del cancelled
    gc.collect()
    assert remembered() is not None
    await asyncio.sleep(SECONDS * 1.3)
    gc.collect()
    assert remembered() is None
