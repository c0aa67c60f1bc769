"""Every way in which a provider fails, over real HTTP: what is raised, what it took, how often it was asked (C2)."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lycosa.providers.accounts import Account
from lycosa.providers.findings import Cause, Provider, ProviderFailure, SearchOptions
from lycosa.providers.json_http import JsonHttp
from lycosa.providers.perplexity import Perplexity, Trust
from lycosa.providers.tavily import Tavily
from tests.standins import perplexity as perplexity_standin
from tests.standins import tavily as tavily_standin
from tests.standins.loopback import Fault, Loopback

OPTIONS = SearchOptions(max_results=3)
TAVILY_KEY = "tvly-very-secret-0123456789"
PERPLEXITY_KEY = "pplx-very-secret-0123456789"


class Side:
    """A provider and the stand-in that it asks."""

    def __init__(self, provider: Provider, standin: Loopback, rate: str, month: str, price: int) -> None:
        self.provider, self.standin, self.price = provider, standin, price
        self._rate, self._month = rate, month

    async def fails(self, deadline: float = 5.0) -> ProviderFailure:
        with pytest.raises(ProviderFailure) as caught:
            await self.provider.search("Acme", OPTIONS, deadline)
        return caught.value

    def took(self, failure: ProviderFailure) -> tuple[int, int]:
        """Requests and units of the month."""
        return failure.amounts[self._rate], failure.amounts[self._month]


@pytest_asyncio.fixture(params=["tavily", "perplexity"])
async def side(request: pytest.FixtureRequest) -> AsyncIterator[Side]:
    """Each search provider with pauses of at most 10 and 20 ms."""
    standin: Loopback
    provider: Provider
    if request.param == "tavily":
        async with tavily_standin.Tavily() as standin:
            http = JsonHttp("tavily", standin.base_url, pause=0.01)
            provider = Tavily(http, Account("tavily", 1, TAVILY_KEY), 8_000)
            yield Side(provider, standin, "tavily.k1.rate", "tavily.k1.month", 1)
            await provider.close()
    else:
        async with perplexity_standin.Perplexity() as standin:
            http = JsonHttp("perplexity", standin.base_url, pause=0.01)
            provider = Perplexity(http, Account("perplexity", 1, PERPLEXITY_KEY), 5_000, Trust())
            yield Side(provider, standin, "perplexity.k1.rate", "perplexity.k1.month", 5_000)
            await provider.close()


# fault, cause, requests sent, attempts that count as charged
TABLE: list[tuple[Fault, Cause, int, int]] = [
    (Fault(status=400), "invalid", 1, 0),
    (Fault(status=422), "invalid", 1, 0),
    (Fault(status=401), "refused", 1, 0),
    (Fault(status=403), "refused", 1, 0),
    (Fault(status=402), "exhausted", 1, 0),
    (Fault(status=404), "transient", 1, 0),
    (Fault(status=418), "transient", 1, 0),
    (Fault(status=429), "throttled", 3, 0),
    (Fault(status=429, headers={"retry-after": "60"}), "throttled", 1, 0),
    (Fault(status=408), "transient", 3, 0),
    (Fault(status=500), "transient", 3, 0),
    (Fault(status=503), "transient", 3, 0),
    (Fault(status=503, headers={"retry-after": "60"}), "transient", 1, 0),
    (Fault(status=503, manner="html"), "transient", 3, 0),
    (Fault(status=500, payload=["not", {"an": "envelope"}]), "transient", 3, 0),
    (Fault(status=500, manner="truncated"), "transient", 3, 0),
    (Fault(manner="redirect"), "transient", 1, 0),
    (Fault(manner="redirect", status=308), "transient", 1, 0),
    (Fault(manner="dropped", charges=True), "transient", 3, 3),
    (Fault(delay=5, charges=True), "transient", 3, 3),
    (Fault(manner="slow_head", charges=True), "transient", 3, 3),
    (Fault(manner="slow_body", charges=True), "transient", 1, 1),
    (Fault(manner="truncated", charges=True), "transient", 1, 1),
    (Fault(manner="html", charges=True), "transient", 1, 1),
    (Fault(manner="endless", charges=True), "transient", 1, 1),
    (Fault(manner="gzip_bomb", charges=True), "transient", 1, 1),
    (Fault(headers={"content-encoding": "br"}, charges=True), "transient", 1, 1),
    (Fault(headers={"content-encoding": "gzip"}, charges=True), "transient", 1, 1),
    (Fault(status=200, payload={"answer": "no results"}, charges=True), "transient", 1, 1),
    (Fault(status=200, payload=[], charges=True), "transient", 1, 1),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts of at most 0.15 s."""
    monkeypatch.setattr(Tavily, "patience", {"basic": 0.15, "advanced": 0.15})
    monkeypatch.setattr("lycosa.providers.perplexity._PATIENCE_SECONDS", 0.15)


def _label(value: object) -> str:
    if not isinstance(value, Fault):
        return str(value)
    return "-".join(
        str(part) for part in (value.status, value.manner, *value.headers.values(), value.payload) if part
    )


@pytest.mark.parametrize(("fault", "cause", "sent", "charged"), TABLE, ids=_label)
async def test_a_fault_has_its_meaning(
    side: Side, fault: Fault, cause: Cause, sent: int, charged: int, request: pytest.FixtureRequest
) -> None:
    if fault.delay or fault.manner.startswith("slow"):
        request.getfixturevalue("impatient")
    side.standin.always = fault
    failure = await side.fails()
    assert failure.cause == cause
    assert len(side.standin.requests) == sent
    assert failure.charged == (charged > 0)
    assert side.took(failure) == (sent, charged * side.price)
    # What counts as spent is never less than what the provider charged.
    assert side.standin.charged == charged * side.price


async def test_nobody_there_is_not_charged(side: Side) -> None:
    await side.standin.__aexit__()
    failure = await side.fails()
    assert (failure.cause, failure.charged, side.took(failure)) == ("transient", False, (0, 0))
    assert "cannot be reached" in failure.message


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=502, manner="html"), Fault(status=429, headers={"retry-after": "0.05"})],
    ids=["500", "page", "429"],
)
async def test_what_passes_is_tried_again(side: Side, fault: Fault) -> None:
    side.standin.plan(fault, fault)
    found = await side.provider.search("Acme", OPTIONS, 5)
    assert len(found.results) == 3
    assert len(side.standin.requests) == 3
    assert side.standin.charged == side.price
    assert set(found.amounts.values()) == {3, side.price}


async def test_an_attempt_that_may_have_been_charged_counts_beside_the_one_that_was(side: Side) -> None:
    side.standin.plan(Fault(manner="dropped", charges=True))
    found = await side.provider.search("Acme", OPTIONS, 5)
    assert set(found.amounts.values()) == {2, 2 * side.price}
    assert side.standin.charged == 2 * side.price
    assert found.cost_microusd == 2 * side.provider.cost(OPTIONS)


async def test_retry_after_is_waited_for(side: Side) -> None:
    side.standin.plan(Fault(status=429, headers={"retry-after": "0.25"}))
    began = time.monotonic()
    await side.provider.search("Acme", OPTIONS, 5)
    first, second = side.standin.requests
    assert 0.25 <= second.at - first.at < 0.5
    assert time.monotonic() - began < 1


async def test_a_wait_beyond_the_deadline_is_told_at_once(side: Side) -> None:
    side.standin.always = Fault(status=429, headers={"retry-after": "7"})
    began = time.monotonic()
    failure = await side.fails(deadline=2)
    assert time.monotonic() - began < 0.5
    assert (failure.cause, failure.retry_after, failure.charged) == ("throttled", 7, False)


@pytest.mark.parametrize("manner", ["slow_head", "slow_body", "whole"])
async def test_no_call_outlives_its_deadline(side: Side, manner: Any) -> None:
    side.standin.always = Fault(manner=manner, delay=0 if manner != "whole" else 9)
    began = time.monotonic()
    failure = await side.fails(deadline=0.15)
    assert time.monotonic() - began < 0.3
    assert (failure.cause, failure.charged, len(side.standin.requests)) == ("transient", True, 1)


async def test_half_of_all_requests_failing_is_no_storm(side: Side) -> None:
    """C3: at most 1.5 requests a call."""
    side.provider._http._pause = 0.0  # type: ignore[attr-defined]
    chance = random.Random(7)
    side.standin.plan(*(Fault(status=500) if chance.random() < 0.5 else None for _ in range(1_000)))
    calls = 120
    for _ in range(calls):
        with contextlib.suppress(ProviderFailure):
            await side.provider.search("Acme", OPTIONS, 5)
    assert calls < len(side.standin.requests) <= 1.5 * calls


async def test_a_cancelled_call_hangs_up(side: Side) -> None:
    side.standin.always = Fault(delay=0.2, manner="slow_body")
    call = asyncio.create_task(side.provider.search("Acme", OPTIONS, 5))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    for _ in range(100):
        if side.standin.requests[0].hung_up:
            break
        await asyncio.sleep(0.02)
    assert [request.hung_up for request in side.standin.requests] == [True]


async def test_no_key_is_ever_told(side: Side, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    key = side.provider._account.secret  # type: ignore[attr-defined]
    caplog.set_level("DEBUG")
    told = [repr(side.provider), repr(side.provider._account), str(vars(side.provider))]  # type: ignore[attr-defined]
    for fault in (
        Fault(status=401, payload={"error": {"message": f"bad key {key} and tvly-other-1234"}}),
        Fault(status=400, payload={"detail": {"error": f"who is {key}?"}}),
        Fault(status=500),
        Fault(manner="dropped"),
        Fault(manner="truncated"),
    ):
        side.standin.always = fault
        failure = await side.fails()
        told += [str(failure), repr(failure), str(vars(failure)), repr(failure.__cause__)]
    told += [record.getMessage() for record in caplog.records] + list(capfd.readouterr())
    assert side.standin.requests[0].key == key
    assert not [text for text in told if "very-secret" in text or "tvly-other" in text]
    assert any("bad key [key] and [key]" in text for text in told)


async def test_unknown_fields_are_tolerated_and_bad_results_left_out(side: Side) -> None:
    side.standin.results = [  # type: ignore[attr-defined]
        {"url": "https://a.org/", "title": None, "content": ["?"], "snippet": {}, "new": {"of": [1]}},
        {"url": "javascript:alert(1)"},
        {"url": 7},
        "not even an object",
        {"url": "https://a.org", "title": "again"},
        {"url": "https://b.org/", "title": "B", "content": "\u202eb", "snippet": "\u202eb", "score": "high"},
    ]
    options = SearchOptions(max_results=20)
    found = await side.provider.search("Acme", options, 5)
    assert [(one.url, one.title, one.text) for one in found.results] == [
        ("https://a.org/", "", ""),
        ("https://b.org/", "B", "b"),
    ]


async def test_nothing_found_is_an_answer(side: Side) -> None:
    side.standin.results = []  # type: ignore[attr-defined]
    found = await side.provider.search("Acme", OPTIONS, 5)
    assert (found.results, found.cost_microusd) == ([], side.provider.cost(OPTIONS))


async def test_connections_are_used_again(side: Side) -> None:
    """A packed answer, too; and one client serves many calls at once."""
    found = await asyncio.gather(*(side.provider.search(f"Acme {n}", OPTIONS, 5) for n in range(20)))
    assert {len(one.results) for one in found} == {3}
    assert side.standin.charged == 20 * side.price


def _anything(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON, of names and values that a provider's answer has and of others."""
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind < 6:
        texts = ["", "https://a.org/", "\u202e", "x" * 9_000, "-1", "\ud800"]
        numbers = [0, -1, 1e308, 10**400, True, float("nan")]
        return chance.choice([None, chance.choice(texts), chance.choice(numbers)])
    if kind == 6:
        return [_anything(chance, depth + 1) for _ in range(chance.randrange(4))]
    names = [
        "results",
        "usage",
        "credits",
        "url",
        "title",
        "content",
        "snippet",
        "score",
        "date",
        "error",
        "?",
    ]
    return {name: _anything(chance, depth + 1) for name in chance.sample(names, chance.randrange(5))}


async def test_whatever_json_comes_is_findings_or_a_failure(side: Side) -> None:
    chance = random.Random(11)
    outcomes: set[str] = set()
    for _ in range(150):
        payload = _anything(chance)
        if chance.random() < 0.7:
            payload = {"results": [_anything(chance, 1) for _ in range(30)], "usage": _anything(chance, 2)}
        side.standin.plan(Fault(status=200, payload=payload))
        try:
            found = await side.provider.search("Acme", OPTIONS, 5)
        except ProviderFailure as failure:
            outcomes.add(failure.cause)
        else:
            outcomes.add("found")
            assert len(found.results) <= OPTIONS.max_results
            found.model_validate_json(found.model_dump_json())
    assert outcomes == {"found", "transient"}
