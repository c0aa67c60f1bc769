"""Analyses over HTTP: one report, or a stream of events."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from httpx_sse import ServerSentEvent, aconnect_sse

from lycosa.analysis.report import Report, StepEvent
from lycosa.errors import Unavailable
from lycosa.rest import analyses
from lycosa.services.analyses import AnalysisService
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving

STREAM = {"accept": "text/event-stream"}
ASKED = {"customer_id": "c-1", "question": "What could make them leave?"}


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        rows = [{"id": "c-1", "name": "Acme", "segment": "smb", "industry": "Retail", "orders": 3}]
        await client.post("/v1/customers", json={"rows": rows})
        text = "Acme complains about late deliveries. It wants to renew the contract in May."
        note = {"id": "n-1", "title": "Call", "text": text, "customer_id": "c-1"}
        await client.post("/v1/documents", json={"documents": [note]})
        for _ in range(200):
            if not (await client.get("/v1/documents/search", params={"q": "acme"})).json()["waiting"]:
                break
            await asyncio.sleep(0.02)
        yield client


async def stream(rest: httpx.AsyncClient, asked: dict[str, Any]) -> list[ServerSentEvent]:
    async with aconnect_sse(rest, "POST", "/v1/analyses", json=asked, headers=STREAM) as source:
        assert source.response.status_code == 200
        return [event async for event in source.aiter_sse()]


async def test_a_report_and_its_record(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/v1/analyses", json=ASKED)
    assert answer.status_code == 200, answer.text
    report = Report.model_validate_json(answer.content)
    assert report.customer_name == "Acme"
    assert not report.cached
    assert any("deliveries" in fact.quote for fact in report.facts)
    again = Report.model_validate_json((await rest.post("/v1/analyses", json=ASKED)).content)
    assert again.cached
    recorded = (await rest.get("/v1/requests", params={"customer_id": "c-1"})).json()["rows"]
    assert {row["id"] for row in recorded} == {report.request_id, again.request_id}
    one = (await rest.get(f"/v1/requests/{report.request_id}")).json()
    assert one["request"]["question"] == ASKED["question"]
    assert one["sources"]


async def test_a_repeated_key_gives_what_was_recorded(rest: httpx.AsyncClient) -> None:
    first = await rest.post("/v1/analyses", json=ASKED, headers={"idempotency-key": "key-1"})
    again = await rest.post("/v1/analyses", json=ASKED, headers={"idempotency-key": "key-1"})
    assert first.json()["request_id"] == again.json()["request_id"] == "key-1"
    assert first.json()["summary"] == again.json()["summary"]
    other = {"customer_id": "c-1", "question": "Another one?"}
    answer = await rest.post("/v1/analyses", json=other, headers={"idempotency-key": "key-1"})
    assert answer.status_code == 409


async def test_the_events_of_a_stream(rest: httpx.AsyncClient) -> None:
    events = await stream(rest, ASKED)
    assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]
    names = [event.event for event in events]
    assert {"step", "source", "fact", "token"} <= set(names)
    assert names.count("report") == 1
    assert names[-1] == "report"
    for event in events:
        assert json.loads(event.data)["event"] == event.event
    assert names.index("source") < names.index("fact")


async def test_an_unknown_customer_has_a_status(rest: httpx.AsyncClient) -> None:
    for headers in ({}, STREAM):
        answer = await rest.post("/v1/analyses", json={"customer_id": "nobody"}, headers=headers)
        assert answer.status_code == 404
        assert answer.json()["code"] == "CUSTOMER_NOT_FOUND"


class Slow:
    """In the place of the analysis: a step now and then, and a note of how it ended."""

    def __init__(self, pause: float, steps: int, then: Exception | None = None) -> None:
        self.pause, self.steps, self.then = pause, steps, then
        self.ended = asyncio.Event()
        self.begun = 0

    async def __call__(self, *_args: object, **_more: object) -> AsyncGenerator[StepEvent, None]:
        try:
            for number in range(self.steps):
                self.begun += 1
                yield StepEvent(name=f"step-{number}", detail="", elapsed_ms=0.0)
                await asyncio.sleep(self.pause)
            if self.then is not None:
                raise self.then
        finally:
            # As the real one, which records that it was cancelled.
            await asyncio.sleep(0.05)
            self.ended.set()


def put(monkeypatch: pytest.MonkeyPatch, slow: Slow) -> Slow:
    monkeypatch.setattr(AnalysisService, "analyze", lambda self, *args, **more: slow(*args, **more))
    return slow


async def test_a_mode_is_asked_for(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/v1/analyses", json=ASKED | {"mode": "quick"})
    assert answer.json()["mode"] == "quick"
    refused = await rest.post("/v1/analyses", json=ASKED | {"mode": "slow"})
    assert (refused.status_code, refused.json()["details"]["field"]) == (422, "mode")


async def test_events_come_as_they_happen(rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row A15: the first byte leaves long before the last is known, and hanging up stops the work."""
    slow = put(monkeypatch, Slow(0.1, 1000))
    async with aconnect_sse(rest, "POST", "/v1/analyses", json=ASKED, headers=STREAM) as source:
        async for event in source.aiter_sse():
            assert event.event == "step"
            if event.id == "3":
                break
        assert slow.begun <= 4
    await asyncio.wait_for(slow.ended.wait(), 5)
    assert slow.begun < 10


async def test_hanging_up_stops_a_report_too(
    rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = put(monkeypatch, Slow(0.05, 1000))
    with pytest.raises(httpx.ReadTimeout):
        await rest.post("/v1/analyses", json=ASKED, timeout=0.3)
    await asyncio.wait_for(slow.ended.wait(), 5)
    assert slow.begun < 20


async def test_a_heartbeat_in_silence(rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "HEARTBEAT", 0.05)
    put(monkeypatch, Slow(0.3, 2))
    async with rest.stream("POST", "/v1/analyses", json=ASKED, headers=STREAM) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join([piece async for piece in answer.aiter_text()])
    assert text.count(": ping\n\n") >= 4
    assert text.count("event: step") == 2


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Unavailable("the store went away", code="NOT_CONNECTED"), "NOT_CONNECTED"),
        (KeyError("secret"), "INTERNAL"),
    ],
)
async def test_an_error_is_the_last_event(
    rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, problem: Exception, code: str
) -> None:
    put(monkeypatch, Slow(0.01, 2, problem))
    events = await stream(rest, ASKED)
    assert [event.event for event in events] == ["step", "step", "error"]
    found = json.loads(events[-1].data)
    assert found["code"] == code
    assert "secret" not in events[-1].data
    put(monkeypatch, Slow(0.01, 2, problem))
    answer = await rest.post("/v1/analyses", json=ASKED)
    assert answer.status_code in (500, 503)
    assert answer.json()["code"] == code
