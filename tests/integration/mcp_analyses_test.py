"""Analyses through MCP: told step by step, stopped when nobody waits, bounded, and paid for once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from mcp_types import ResourceLink

from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.conftest import until
from tests.integration.analysis_world import QUOTE, good
from tests.integration.mcp_world import MODES, World, answered, call, content, refused, words
from tests.standins.openai_model import OpenAIModel, Script


@pytest_asyncio.fixture(scope="module")
async def model() -> AsyncIterator[OpenAIModel]:
    async with OpenAIModel(Script(good)) as model:
        yield model


@pytest_asyncio.fixture(scope="module")
async def shared(procedures: Procedures, settings: Settings, model: OpenAIModel) -> AsyncIterator[World]:
    pointed = {
        "llm": "openai:scripted",
        "openai_base_url": model.base_url,
        "openai_api_key": "sk-secret",
        "mcp_rate_per_minute": 0,
        "analysis_quota": "reports",
    }
    world = World(procedures, settings.model_copy(update=pointed))
    yield world
    await world.services.aclose()


@pytest_asyncio.fixture
async def world(shared: World, identity: Identity, model: OpenAIModel) -> World:
    shared.identity = identity
    model.script = Script(good)
    model.calls.clear()
    await shared.customers(
        {"id": "c1", "name": "Fir", "segment": "smb", "orders": 2}, {"id": "c2", "name": "Oak"}
    )
    for title, text in (("doc", QUOTE), ("note", "The delivery in March was late.")):
        row = {"id": title, "title": title, "text": text, "customer_id": "c1"}
        await shared.services.documents.put(identity, [row])
    await shared.services.quotas.define(identity, "reports", "window", 5, window="day")
    return shared


@pytest.mark.parametrize("mode", MODES)
async def test_a_report_is_told_step_by_step_with_its_sources(world: World, mode: str) -> None:
    told: list[tuple[float, str | None]] = []

    async def progress(done: float, _total: float | None, message: str | None) -> None:
        told.append((done, message))

    async with world.client(mode, progress_handler=progress) as client:
        answer = await answered(client, "analyze_customer", customer="c1", question="Who are they?")
        first = list(told)
        again = await call(client, "analyze_customer", customer="c1", question="Who are they?")
    report = content(answer)
    assert report["summary"] == "Fir is a paper maker [S1]."
    assert [fact["statement"] for fact in report["facts"]] == ["Founded in 1900."]
    assert report["cached"] is False
    assert "Name the sources" in words(answer)
    # Rising numbers, one a step, and the writing among them.
    assert [done for done, _ in first] == [float(n) for n in range(1, len(first) + 1)]
    names = [message.partition(":")[0] for _, message in first if message]
    assert {"customer", "documents", "sources", "writing", "write"} <= set(names)
    links = {block.uri for block in answer.content if isinstance(block, ResourceLink)}
    assert {"customer://c1", "document://doc", "document://note"} <= links
    assert {source["uri"] for source in report["sources"]} >= {"customer://c1", "document://doc"}
    assert again["cached"] is True
    assert again["request_id"] != report["request_id"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_cancelled_call_stops_the_model(world: World, model: OpenAIModel, mode: str) -> None:
    model.script = Script(["word "] * 500, pause=0.01)
    writing = asyncio.Event()

    async def progress(_done: float, _total: float | None, message: str | None) -> None:
        if message == "writing":
            writing.set()

    async with world.client(mode, progress_handler=progress) as client:
        asking = asyncio.create_task(answered(client, "analyze_customer", customer="c1", mode="quick"))
        await asyncio.wait_for(writing.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        (asked,) = model.calls
        await until(asked.hung_up.is_set)
        # The connection goes on.
        assert (await call(client, "get_customer", customer="c1"))["name"] == "Fir"
        rows: list[dict[str, Any]] = []
        while not rows:
            rows = (await call(client, "request_history", customer="c1"))["rows"]
            await asyncio.sleep(0.01)
    assert [row["status"] for row in rows] == ["cancelled"]
    assert asked.sent < 500


async def test_customers_stand_side_by_side(world: World) -> None:
    told: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, _message: str | None) -> None:
        told.append((done, total))

    async with world.client(progress_handler=progress) as client:
        answer = await answered(client, "compare_customers", customers=["c1", "c2", "c1"])
        same = await refused(client, "compare_customers", customers=["c1", "c1"])
        unknown = await refused(client, "compare_customers", customers=["c1", "nobody"])
    rows = content(answer)["rows"]
    assert [(row["customer"]["id"], row["problem"]) for row in rows] == [("c1", None), ("c2", None)]
    assert rows[0]["analysis"]["mode"] == "quick"
    assert told == [(1.0, 2.0), (2.0, 2.0)]
    assert (same["details"]["argument"], unknown["kind"]) == ("customers", "not_found")


async def test_every_report_takes_of_the_quota_before_anything_is_done(
    world: World, identity: Identity, model: OpenAIModel
) -> None:
    async with world.client() as client:
        for _ in range(3):
            await call(client, "analyze_customer", customer="c1", mode="quick")
        await call(client, "compare_customers", customers=["c1", "c2"])
        calls = len(model.calls)
        spent = await refused(client, "analyze_customer", customer="c1", mode="quick")
        assert (spent["kind"], spent["code"]) == ("exhausted", "QUOTA_EXCEEDED")
        assert spent["retry_after"] > 0
        assert spent["details"]["left"] == "0"
        assert len(model.calls) == calls
        await world.services.quotas.remove(identity, "reports")
        undefined = await refused(client, "analyze_customer", customer="c1", mode="quick")
        assert (undefined["kind"], undefined["details"]) == ("unavailable", {"quota": "reports"})


async def test_one_failed_report_leaves_the_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from lycosa.errors import Unavailable

    analyses = world.services.analyses
    analyze = analyses.analyze

    def failing(identity: Identity, customer_id: str, *given: Any, **named: Any) -> Any:
        if customer_id == "c2":
            raise Unavailable("the store is away", code="CONNECTION_LOST")
        return analyze(identity, customer_id, *given, **named)

    monkeypatch.setattr(analyses, "analyze", failing)
    async with world.client() as client:
        rows = (await call(client, "compare_customers", customers=["c1", "c2"]))["rows"]
    assert rows[0]["analysis"]["customer_id"] == "c1"
    assert (rows[1]["analysis"], rows[1]["problem"]) == (None, "CONNECTION_LOST: the store is away")
