"""An analysis that nobody waits for any longer: its model call stops, and how it ended is recorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
import pytest_asyncio

from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.conftest import until
from tests.integration.analysis_world import World, answer, good, world
from tests.standins.openai_model import Script


@pytest_asyncio.fixture
async def fir(procedures: Procedures, identity: Identity, settings: Settings) -> AsyncIterator[World]:
    async with world(procedures, identity, settings, Script(good)) as made:
        yield made


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_who_goes_away_stops_the_call_and_it_is_recorded(fir: World, how: str) -> None:
    fir.model.script = Script(answer(*["word "] * 100), pause=0.05)

    async def consume() -> None:
        async for _ in events:
            pass

    events = fir.service.analyze(fir.identity, "c1", request_id=f"r-{how}")
    if how == "close":
        async for event in events:
            if event.event == "token":
                break
        await events.aclose()
    else:
        task = asyncio.create_task(consume())
        await until(lambda: bool(fir.model.calls) and fir.model.calls[0].sent > 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (call,) = fir.model.calls
    await asyncio.wait_for(call.hung_up.wait(), 2)
    assert call.sent < 50
    await fir.service.aclose()
    recorded = (await fir.recorded(f"r-{how}")).request
    assert (recorded.status, recorded.model, recorded.answer) == ("cancelled", "openai:scripted", None)
    assert recorded.tokens_in > 100
    assert 0 < recorded.tokens_out <= call.sent + 1


@pytest.mark.parametrize("how", ["close", "cancelled scope"])
async def test_a_cancellation_that_is_swallowed_comes_again(
    fir: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    swallowed: list[object] = []

    async def wait_for(work: Awaitable[Any], timeout: float | None) -> Any:
        # What that of Python 3.11 does when the result is there as the cancellation comes.
        waiting = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if swallowed:
                waiting.cancel()
                raise
            swallowed.append(work)
            return await waiting

    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    fir.model.script = Script(answer(*["word "] * 200), pause=0.05)
    # A scope cancels whoever waits in it as often as he waits.
    with anyio.CancelScope() as scope:
        async with aclosing(fir.service.analyze(fir.identity, "c1", request_id="r-swallowed")) as events:
            async for event in events:
                if event.event == "token":
                    break
            if how == "cancelled scope":
                scope.cancel()
    (call,) = fir.model.calls
    await until(call.hung_up.is_set)
    # Nobody who is cancelled waits for the record.
    await fir.service.aclose()
    assert len(swallowed) == 1
    assert call.sent < 100
    assert (await fir.recorded("r-swallowed")).request.status == "cancelled"


async def test_closing_the_service_stops_and_records_what_runs(fir: World) -> None:
    fir.model.script = Script(answer(*["word "] * 100), pause=0.05)
    events = fir.service.analyze(fir.identity, "c1", request_id="r-stop")
    async for event in events:
        if event.event == "token":
            break
    await fir.service.aclose()
    assert (await fir.recorded("r-stop")).request.status == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        async for _ in events:
            pass
