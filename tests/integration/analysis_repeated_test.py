"""A question asked again: answered from a note while nothing has changed, looked at anew when anything has."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.conftest import Clock
from tests.integration.analysis_world import World, good, world
from tests.standins.openai_model import Script

QUESTION = "When was it founded?"


@pytest_asyncio.fixture
async def fir(procedures: Procedures, identity: Identity, settings: Settings) -> AsyncIterator[World]:
    async with world(procedures, identity, settings, Script(good)) as made:
        yield made


async def ask(fir: World, **asked: Any) -> str:
    """Ask, and give what the cache said."""
    report = await fir.analyze(question=QUESTION, **asked)
    (said,) = [event.detail for event in fir.of("step") if event.name == "cache"]
    assert report.cached == said.startswith("hit")
    return str(said)


MOMENT_AGO = "hit: asked a moment ago, and nothing has changed"


async def test_nothing_is_gathered_while_nothing_has_changed(fir: World) -> None:
    assert await ask(fir) == "miss"
    assert await ask(fir) == MOMENT_AGO
    assert {event.name for event in fir.of("step")} == {"customer", "history", "cache"}
    report = await fir.analyze(question="when was it FOUNDED", request_id="r-3")
    assert (report.cached, report.request_id, len(report.past_requests)) == (True, "r-3", 2)
    assert (await fir.recorded("r-3")).request.cached
    assert len(fir.model.calls) == 1


async def test_whatever_changes_is_seen_at_once(fir: World) -> None:
    await ask(fir)
    assert await ask(fir) == MOMENT_AGO
    await fir.customer(orders=3)
    assert await ask(fir) == "miss"
    assert await ask(fir) == MOMENT_AGO
    await fir.document("new", "Fir was founded anew in 1950 by a bank.", kind="profile")
    assert await ask(fir) == "miss"
    assert await ask(fir) == MOMENT_AGO
    # Of another customer: the texts are looked through again, and nothing is found that changes the answer.
    await fir.document("far", "Something else entirely.", customer_id="c2")
    assert await ask(fir) == "hit"
    assert await ask(fir) == MOMENT_AGO
    tenant = fir.identity.tenant
    await fir.procedures.document_delete(tenant=tenant, ids=["new"])
    assert await ask(fir) in ("hit", "miss")
    await fir.procedures.request_append(
        tenant=tenant,
        id="s-1",
        customer_id="c1",
        kind="search",
        status="done",
        question="Fir?",
        answer="A mill.",
    )
    assert await ask(fir) == "miss"


async def test_another_question_mode_or_language_is_another(fir: World) -> None:
    await ask(fir)
    assert await ask(fir, mode="quick") == "miss"
    assert await ask(fir, language="ru") == "miss"
    assert (await ask(fir, fresh=True)).startswith("not asked")
    assert await ask(fir) == MOMENT_AGO


async def test_a_note_lasts_a_minute(fir: World, frozen: Clock) -> None:
    await ask(fir)
    await frozen.advance(61)
    assert await ask(fir) == "hit"


async def test_an_invalidated_report_is_written_anew(fir: World) -> None:
    await ask(fir)
    await fir.procedures.cache_invalidate(tenant=fir.identity.tenant, tag="analysis")
    assert await ask(fir) == "miss"
