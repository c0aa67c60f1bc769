"""What is of one provider alone: its statuses, its prices, its account, its agent's stream."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from lycosa.providers.accounts import Account, month_ends_in
from lycosa.providers.findings import Finding, Findings, ProviderFailure, SearchOptions
from lycosa.providers.json_http import JsonHttp
from lycosa.providers.perplexity import Perplexity, Trust
from lycosa.providers.perplexity_agent import AgentEvent, AnswerPiece, AnswerSources, PerplexityAgent
from lycosa.providers.tavily import Tavily
from tests.standins.loopback import Fault
from tests.standins.perplexity import Perplexity as PerplexityStandin
from tests.standins.tavily import Tavily as TavilyStandin

OPTIONS = SearchOptions(max_results=3)
HELD = 10_000


@pytest_asyncio.fixture
async def tavily_standin() -> AsyncIterator[TavilyStandin]:
    async with TavilyStandin() as standin:
        yield standin


@pytest_asyncio.fixture
async def tavily(tavily_standin: TavilyStandin) -> AsyncIterator[Tavily]:
    http = JsonHttp("tavily", tavily_standin.base_url, pause=0.01)
    yield Tavily(http, Account("tavily", 2, "tvly-two"), 8_000)
    await http.close()


@pytest_asyncio.fixture
async def standin() -> AsyncIterator[PerplexityStandin]:
    async with PerplexityStandin() as standin:
        yield standin


@pytest_asyncio.fixture
async def perplexity(standin: PerplexityStandin) -> AsyncIterator[Perplexity]:
    http = JsonHttp("perplexity", standin.base_url, pause=0.01)
    yield Perplexity(http, Account("perplexity", 1, "pplx-one"), 5_000, Trust())
    await http.close()


@pytest_asyncio.fixture
async def agent(standin: PerplexityStandin) -> AsyncIterator[PerplexityAgent]:
    http = JsonHttp("perplexity-agent", standin.base_url, pause=0.01)
    yield PerplexityAgent(http, Account("perplexity", 1, "pplx-one"), "medium", Trust())
    await http.close()


@pytest.mark.parametrize("status", [432, 433])
async def test_spent_credits_of_tavily_come_back_with_the_month(
    tavily: Tavily, tavily_standin: TavilyStandin, status: int
) -> None:
    tavily_standin.always = Fault(status=status)
    with pytest.raises(ProviderFailure) as caught:
        await tavily.search("Acme", OPTIONS, 5)
    failure = caught.value
    assert (failure.cause, failure.charged, failure.status) == ("exhausted", False, status)
    assert failure.provider == "tavily#2"
    assert failure.retry_after == pytest.approx(month_ends_in(), abs=5)
    assert len(tavily_standin.requests) == 1


async def test_depth_costs_two_credits(tavily: Tavily, tavily_standin: TavilyStandin) -> None:
    options = SearchOptions(
        depth="advanced",
        topic="news",
        days=7,
        include_domains=["a.org"],
        exclude_domains=["b.org"],
        language="ru",
    )
    assert tavily.claims(options) == [
        {"quota": "tavily.k2.rate", "amount": 1},
        {"quota": "tavily.k2.month", "amount": 2},
    ]
    found = await tavily.search("Кто владеет " + "Acme " * 200, options, 5)
    assert found.amounts == {"tavily.k2.rate": 1, "tavily.k2.month": 2}
    assert found.cost_microusd == tavily.cost(options) == 16_000
    assert tavily_standin.charged == 2
    asked = tavily_standin.requests[0].body
    assert len(asked["query"]) <= 400
    assert (asked["search_depth"], asked["topic"], asked["language"]) == ("advanced", "news", "ru")
    assert (asked["include_domains"], asked["exclude_domains"]) == (["a.org"], ["b.org"])
    assert asked["start_date"] < time.strftime("%Y-%m-%d")


async def test_the_price_told_goes_before_the_price_expected(
    tavily: Tavily, tavily_standin: TavilyStandin
) -> None:
    tavily_standin.plan(Fault(status=200, payload={"results": [], "usage": {"credits": 4}}))
    found = await tavily.search("Acme", OPTIONS, 5)
    assert (found.amounts["tavily.k2.month"], found.cost_microusd) == (4, 32_000)


@pytest.mark.parametrize("credits", [None, "2", -1, True, float("inf"), {"n": 1}])
async def test_a_price_that_is_none_is_not_believed(
    tavily: Tavily, tavily_standin: TavilyStandin, credits: object
) -> None:
    tavily_standin.plan(Fault(status=200, payload={"results": [], "usage": {"credits": credits}}))
    assert (await tavily.search("Acme", OPTIONS, 5)).amounts["tavily.k2.month"] == 1


async def test_pages_are_read_out(tavily: Tavily, tavily_standin: TavilyStandin) -> None:
    urls = [*(f"https://example.org/{number}" for number in range(6)), "https://broken.invalid/x"]
    found = await tavily.extract(urls, 5)
    assert [one.text for one in found.results] == [f"All of {url}" for url in urls[:6]]
    assert found.amounts["tavily.k2.month"] == tavily_standin.charged == 2
    assert tavily.extract_claims(7)[1]["amount"] == 2
    assert tavily.extract_claims(7, "advanced")[1]["amount"] == 4
    tavily_standin.plan(Fault(status=403, payload={"detail": {"error": "[403] URL is not supported"}}))
    with pytest.raises(ProviderFailure, match="not supported") as caught:
        await tavily.extract(urls, 5)
    assert caught.value.cause == "invalid"


async def test_tavily_tells_its_account(tavily: Tavily, tavily_standin: TavilyStandin) -> None:
    tavily_standin.spent_elsewhere = 40
    await tavily.search("Acme", OPTIONS, 5)
    assert await tavily.usage(5) == (41, None, 41, 1000)
    tavily_standin.plan(Fault(status=200, payload={"key": None}))
    with pytest.raises(ProviderFailure, match="nothing of the key") as caught:
        await tavily.usage(5)
    assert not caught.value.charged


async def test_a_key_that_was_never_accepted_is_refused(
    perplexity: Perplexity, standin: PerplexityStandin
) -> None:
    standin.keys = frozenset()
    with pytest.raises(ProviderFailure, match="Invalid API key") as caught:
        await perplexity.search("Acme", OPTIONS, 5)
    assert (caught.value.cause, caught.value.charged) == ("refused", False)


async def test_a_key_that_was_accepted_has_spent_its_credits(
    perplexity: Perplexity, standin: PerplexityStandin
) -> None:
    """Perplexity says 401 for both."""
    standin.budget = 5_000
    await perplexity.search("Acme", OPTIONS, 5)
    with pytest.raises(ProviderFailure) as caught:
        await perplexity.search("Acme", OPTIONS, 5)
    assert (caught.value.cause, caught.value.charged, standin.charged) == ("exhausted", False, 5_000)


async def test_words_of_money_mean_spent_credits(perplexity: Perplexity, standin: PerplexityStandin) -> None:
    words = "You exceeded your current quota, please check your plan and billing details"
    standin.always = Fault(status=401, payload={"error": {"message": words, "type": "x", "code": 401}})
    with pytest.raises(ProviderFailure, match="billing") as caught:
        await perplexity.search("Acme", OPTIONS, 5)
    assert caught.value.cause == "exhausted"


async def test_a_retired_address_is_refused(perplexity: Perplexity, standin: PerplexityStandin) -> None:
    kind = "chat_completions_not_available"
    standin.always = Fault(status=403, payload={"error": {"message": "", "type": kind, "code": 403}})
    with pytest.raises(ProviderFailure, match=kind) as caught:
        await perplexity.search("Acme", OPTIONS, 5)
    assert (caught.value.cause, len(standin.requests)) == ("refused", 1)


async def test_perplexity_is_asked_in_its_own_words(
    perplexity: Perplexity, standin: PerplexityStandin
) -> None:
    options = SearchOptions(days=30, exclude_domains=["a.org", "b.org"], language="en", max_results=20)
    found = await perplexity.search("Acme", options, 5)
    assert (len(found.results), found.results[0].published) == (20, "2026-10-01")
    asked = standin.requests[0].body
    assert asked["search_domain_filter"] == ["-a.org", "-b.org"]
    assert asked["search_language_filter"] == ["en"]
    assert time.strptime(asked["search_after_date_filter"], "%m/%d/%Y")
    both = SearchOptions(include_domains=["c.org"], exclude_domains=["a.org"])
    await perplexity.search("Acme", both, 5)
    assert standin.requests[1].body["search_domain_filter"] == ["c.org"]


async def test_the_agent_streams_pieces_and_sources_then_all_of_it(
    agent: PerplexityAgent, standin: PerplexityStandin
) -> None:
    standin.pieces = ("Acme \u202e", "owns\n", "two\x00 mills.")
    events: list[AgentEvent] = [event async for event in agent.stream("Acme", OPTIONS, 5)]
    assert [event.text for event in events if isinstance(event, AnswerPiece)] == [
        "Acme ",
        "owns\n",
        "two mills.",
    ]
    assert [len(event.results) for event in events if isinstance(event, AnswerSources)] == [2, 1]
    *_, found = events
    assert isinstance(found, Findings)
    assert found.answer == "Acme owns\ntwo mills."
    assert [one.url for one in found.results] == [f"https://example.com/{n}?q=4" for n in (1, 2, 3)]
    assert isinstance(found.results[0], Finding)
    assert (found.tokens_in, found.tokens_out, found.cost_microusd) == (1_200, 80, 7_400)
    assert found.amounts == {"perplexity.k1.agent": 1, "perplexity.k1.month": 7_400}
    assert standin.charged == 7_400
    body = standin.requests[0].body
    assert (body["preset"], body["stream"]) == ("fast", True)


async def test_depth_asks_for_the_preset_of_the_settings(
    agent: PerplexityAgent, standin: PerplexityStandin
) -> None:
    options = SearchOptions(depth="advanced")
    assert agent.claims(options) == [
        {"quota": "perplexity.k1.agent", "amount": 1},
        {"quota": "perplexity.k1.month", "amount": agent.cost(options)},
    ]
    assert agent.cost(options) > agent.cost(OPTIONS) == HELD
    found = await agent.search("Acme", options, 5)
    assert (found.provider, found.answer) == ("perplexity-agent", "The company is well known [1].")
    assert standin.requests[0].body["preset"] == "medium"


async def test_an_answer_that_comes_only_at_the_end_is_taken(
    agent: PerplexityAgent, standin: PerplexityStandin
) -> None:
    whole = {**standin.response({"input": "Acme"}), "usage": None}
    standin.events = [{"type": "response.completed", "response": whole}]
    found = await agent.search("Acme", OPTIONS, 5)
    assert found.answer == "The company is well known [1]."
    assert len(found.results) == 3
    # Nothing tells what it cost: what was held counts as spent.
    assert found.amounts["perplexity.k1.month"] == HELD


@pytest.mark.parametrize(
    "fault",
    [
        Fault(events=12, charges=True),
        Fault(events=0, charges=True),
    ],
    ids=["in the answer", "before it"],
)
async def test_a_stream_that_breaks_is_charged_and_not_asked_again(
    agent: PerplexityAgent, standin: PerplexityStandin, fault: Fault
) -> None:
    standin.always = fault
    with pytest.raises(ProviderFailure, match="before its answer was complete") as caught:
        await agent.search("Acme", OPTIONS, 5)
    failure = caught.value
    assert (failure.cause, failure.charged, len(standin.requests)) == ("transient", True, 1)
    assert failure.amounts == {"perplexity.k1.agent": 1, "perplexity.k1.month": HELD}
    assert failure.amounts["perplexity.k1.month"] >= standin.charged > 0


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (
            [{"type": "response.failed", "response": {"error": {"message": "no pplx-key-1234"}}}],
            r"no \[key\]",
        ),
        ([{"type": "error", "error": {"message": "overloaded"}}], "overloaded"),
        ([{"type": "response.failed"}], "failed"),
        (["{half"], "no JSON"),
        (["[1, 2]"], "before its answer was complete"),
    ],
)
async def test_a_failure_in_the_stream_is_told(
    agent: PerplexityAgent, standin: PerplexityStandin, events: list[Any], words: str
) -> None:
    standin.events = events
    with pytest.raises(ProviderFailure, match=words) as caught:
        await agent.search("Acme", OPTIONS, 5)
    assert (caught.value.cause, caught.value.charged) == ("transient", True)


async def test_a_stream_is_opened_again_before_its_first_event(
    agent: PerplexityAgent, standin: PerplexityStandin
) -> None:
    standin.plan(Fault(status=503), Fault(status=429, headers={"retry-after": "0.02"}))
    found = await agent.search("Acme", OPTIONS, 5)
    assert found.amounts == {"perplexity.k1.agent": 3, "perplexity.k1.month": 7_400}
    standin.plan(Fault(manner="html", charges=True), Fault(manner="redirect"), Fault(status=400))
    for cause, charged in (("transient", True), ("transient", False), ("invalid", False)):
        with pytest.raises(ProviderFailure) as caught:
            await agent.search("Acme", OPTIONS, 5)
        assert (caught.value.cause, caught.value.charged) == (cause, charged)


async def test_a_stream_ends_at_its_deadline(agent: PerplexityAgent, standin: PerplexityStandin) -> None:
    standin.pause = 0.05
    began = time.monotonic()
    with pytest.raises(ProviderFailure, match="in time") as caught:
        await agent.search("Acme", OPTIONS, 0.3)
    assert time.monotonic() - began < 0.6
    assert caught.value.charged


async def test_a_stream_without_an_end_is_left(agent: PerplexityAgent, standin: PerplexityStandin) -> None:
    standin.events = [{"type": "response.output_text.delta", "delta": "long " * 20_000}] * 60
    with pytest.raises(ProviderFailure, match="longer than"):
        await agent.search("Acme", OPTIONS, 10)


async def test_closing_the_stream_hangs_up(agent: PerplexityAgent, standin: PerplexityStandin) -> None:
    standin.pieces, standin.pause = ("again ",) * 500, 0.01
    async with aclosing(agent.stream("Acme", OPTIONS, 30)) as events:
        async for event in events:
            if isinstance(event, AnswerPiece):
                break
    for _ in range(100):
        if standin.requests[0].hung_up:
            break
        await asyncio.sleep(0.02)
    assert standin.requests[0].hung_up
