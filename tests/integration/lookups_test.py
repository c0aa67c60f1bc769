"""Searching through the gate: what the caller gets, what was charged, what was kept, what stands in the history."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from lycosa.errors import Conflict, Exhausted, Invalid, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.providers.findings import SearchOptions
from lycosa.services.lookup_forms import search_key
from lycosa.services.lookups import Lookups
from tests.conftest import Clock, until
from tests.standins.small_search import Fault, SmallProvider, SmallSearch

QUESTION = "Кто такие ООО Ромашка?"


class World:
    """Two providers that are paid, one that is not, and the service over them."""

    def __init__(self, procedures: Procedures, identity: Identity) -> None:
        self.procedures, self.identity = procedures, identity
        self.tavily, self.perplexity, self.documents = SmallSearch(), SmallSearch(), SmallSearch()

    def service(self, *, documents: bool = False, **options: Any) -> Lookups:
        """One process's service."""
        providers = [
            SmallProvider("tavily", self.tavily.url),
            SmallProvider("perplexity", self.perplexity.url, cost=5_000),
        ]
        own = SmallProvider("documents", self.documents.url, cost=0, quota=None)
        return Lookups(
            self.procedures,
            providers,
            own=(lambda _: own) if documents else None,
            define=self.define,
            **options,
        )

    async def define(self, identity: Identity) -> None:
        for name in ("tavily.month", "perplexity.month"):
            await self.procedures.quota_define(
                tenant=identity.tenant, quota=name, kind="window", window="month", amount=100
            )

    async def sums(self, quota: str = "tavily.month") -> tuple[int, int, int]:
        """used, reserved, unknown."""
        row = (await self.procedures.quota_report(tenant=self.identity.tenant, quotas=[quota])).rows[0]
        return row.used, row.reserved, row.unknown

    async def history(self) -> list[tuple[str, bool, int]]:
        """Status, whether cached, and cost of every request, the oldest first."""
        page = await self.procedures.request_list(
            tenant=self.identity.tenant, by="time", order="asc", limit=1000
        )
        return [(row.status, row.cached, row.cost_microusd) for row in page.rows]

    async def is_kept(self, question: str = QUESTION) -> bool:
        key = search_key(question, SearchOptions())
        return await self.procedures.cache_get(tenant=self.identity.tenant, key=key, stale=True) is not None


@pytest.fixture
async def world(procedures: Procedures, identity: Identity) -> AsyncIterator[World]:
    world = World(procedures, identity)
    async with world.tavily, world.perplexity, world.documents:
        yield world


@contextlib.asynccontextmanager
async def opened(service: Lookups) -> AsyncIterator[Lookups]:
    try:
        yield service
    finally:
        await service.aclose()


async def test_what_is_bought_once_is_served_again(world: World) -> None:
    async with opened(world.service()) as lookups:
        bought = await lookups.search(world.identity, QUESTION, customer_id="c1")
        assert (bought.outcome, bought.provider, bought.cost_microusd) == ("bought", "tavily", 8_000)
        assert [found.text for found in bought.findings.results] == [f"{QUESTION}: {n}" for n in (1, 2)]
        assert bought.degraded == []
        # Case, white space and composition make no other question.
        hit = await lookups.search(world.identity, "  кто  такие ооо ромашка? ")
        assert (hit.outcome, hit.cost_microusd, hit.findings) == ("hit", 0, bought.findings)
        # Options do.
        other = await lookups.search(world.identity, QUESTION, SearchOptions(depth="advanced"))
        assert other.outcome == "bought"
    assert (len(world.tavily.asked), world.tavily.charged) == (2, 2)
    assert await world.sums() == (2, 0, 0)
    assert await world.history() == [("done", False, 8_000), ("done", True, 0), ("done", False, 8_000)]
    paid = await world.procedures.request_get(tenant=world.identity.tenant, id=bought.request_id)
    assert [(source.kind, source.ref) for source in paid.sources] == [
        ("web", "https://example.com/1"), ("web", "https://example.com/2"),
    ]  # fmt: skip
    assert (paid.request.customer_id, paid.request.model) == ("c1", "tavily")
    kept = (await world.procedures.document_list(tenant=world.identity.tenant, customer_id="c1")).rows
    assert sorted(row.source or "" for row in kept) == ["https://example.com/1", "https://example.com/2"]
    assert {row.kind for row in kept} == {"web"}


async def test_the_log_has_provider_cost_and_what_the_cache_did(world: World) -> None:
    # The commands that other tests run leave nothing of the log but what is critical.
    structlog.reset_defaults()
    async with opened(world.service()) as lookups:
        with structlog.testing.capture_logs() as lines:
            bought = await lookups.search(world.identity, QUESTION)
            await lookups.search(world.identity, QUESTION)
    called, first, second = lines
    assert (called["event"], called["provider"], called["result"]) == ("provider_called", "tavily", "ok")
    assert (called["cost_microusd"], called["request"]) == (8_000, bought.request_id)
    assert [line["event"] for line in (first, second)] == ["search", "search"]
    assert (first["cache"], first["provider"], first["cost_microusd"]) == ("bought", "tavily", 8_000)
    assert (second["cache"], second["provider"], second["cost_microusd"]) == ("hit", "tavily", 0)
    assert first["request"] == bought.request_id
    # What was asked is nobody's business.
    assert QUESTION not in str(lines)


async def test_the_next_provider_answers_and_says_for_whom(world: World) -> None:
    world.tavily.always = Fault(500)
    async with opened(world.service()) as lookups:
        answer = await lookups.search(world.identity, QUESTION)
    assert (answer.provider, answer.cost_microusd) == ("perplexity", 5_000)
    assert answer.degraded == ["tavily: HTTP 500"]
    assert await world.sums() == (0, 0, 0)
    assert await world.sums("perplexity.month") == (1, 0, 0)
    assert await world.history() == [("degraded", False, 5_000)]


async def test_what_a_failure_charged_is_part_of_the_cost(world: World) -> None:
    world.tavily.always = Fault(cut=True, charged=True)
    async with opened(world.service()) as lookups:
        answer = await lookups.search(world.identity, QUESTION)
    assert answer.cost_microusd == 13_000
    assert await world.sums() == (1, 0, 0)
    assert await world.history() == [("degraded", False, 13_000)]


@pytest.mark.parametrize(
    ("fault", "raised", "code", "waits"),
    [
        (Fault(500), Unavailable, "LOOKUP_UNAVAILABLE", False),
        (Fault(429, retry_after=7), Exhausted, "LOOKUP_EXHAUSTED", True),
        (Fault(432), Exhausted, "LOOKUP_EXHAUSTED", True),
        (Fault(401), Unavailable, "LOOKUP_UNAVAILABLE", False),
        (Fault(400), Invalid, "LOOKUP_REFUSED", False),
    ],
)
async def test_a_denial_has_its_kind_and_names_the_providers(
    world: World, fault: Fault, raised: type[Exception], code: str, waits: bool
) -> None:
    world.tavily.always = world.perplexity.always = fault
    async with opened(world.service()) as lookups:
        for _ in range(2):
            with pytest.raises(raised) as denial:
                await lookups.search(world.identity, QUESTION)
            problem: Any = denial.value
            assert problem.code == code
            assert not waits or problem.retry_after is not None
        assert "tavily" in problem.details["providers"] or fault.status == 400
    # Refused, throttled and exhausted ones are not asked a second time, nor is anybody after an invalid question.
    assert len(world.tavily.asked) == (1 if fault.status in (429, 432, 401) else 2)
    assert len(world.perplexity.asked) == {400: 0, 500: 2}.get(fault.status, 1)
    assert not await world.is_kept()
    assert [status for status, *_ in await world.history()] == ["failed", "failed"]
    assert await world.sums() == (0, 0, 0)


async def test_everybody_who_asks_at_once_shares_one_call(world: World) -> None:
    world.tavily.delay = 0.1
    async with opened(world.service()) as one, opened(world.service()) as other:
        answers = await asyncio.gather(
            *(service.search(world.identity, QUESTION) for service in (one, other) for _ in range(20))
        )
    assert sorted(answer.outcome for answer in answers) == ["bought"] + ["shared"] * 39
    assert len({answer.request_id for answer in answers}) == len(await world.history()) == 40
    assert len(world.tavily.asked) == 1


async def test_followers_of_a_failure_learn_it_at_once(world: World) -> None:
    world.tavily.delay = 0.1
    world.tavily.always = world.perplexity.always = Fault(500)
    async with opened(world.service()) as lookups:
        began = asyncio.get_running_loop().time()
        ended = await asyncio.gather(
            *(lookups.search(world.identity, QUESTION, deadline=5) for _ in range(5)), return_exceptions=True
        )
        assert asyncio.get_running_loop().time() - began < 1
    assert [type(problem) for problem in ended] == [Unavailable] * 5
    assert len(world.tavily.asked) == 1


async def test_an_old_answer_is_given_at_once_and_renewed_behind_it(world: World, frozen: Clock) -> None:
    async with opened(world.service(ttl=60)) as lookups:
        await lookups.search(world.identity, QUESTION)
        await frozen.advance(61)
        world.tavily.delay = 0.2
        old = await asyncio.gather(*(lookups.search(world.identity, QUESTION) for _ in range(5)))
        assert {answer.outcome for answer in old} == {"stale"}
        assert all(answer.degraded[0].startswith("cache: the answer is of 20") for answer in old)
        assert {answer.cost_microusd for answer in old} == {0}
    # The end waits for the one who renews it.
    async with opened(world.service(ttl=60)) as lookups:
        assert (await lookups.search(world.identity, QUESTION)).outcome == "hit"
    assert world.tavily.charged == 2
    # The one who renewed it has a row of his own.
    assert sorted(await world.history()) == [("done", False, 8_000)] * 2 + [("done", True, 0)] * 6


async def test_who_wants_none_older_gets_a_new_one_or_is_told(world: World) -> None:
    async with opened(world.service()) as lookups:
        first = await lookups.search(world.identity, QUESTION)
        assert (await lookups.search(world.identity, QUESTION, max_age=60)).outcome == "hit"
        world.tavily.delay = 0.1
        fresh = await asyncio.gather(*(lookups.search(world.identity, QUESTION, max_age=0) for _ in range(5)))
        assert sorted(answer.outcome for answer in fresh) == ["bought"] + ["shared"] * 4
        assert min(answer.answered_at for answer in fresh) > first.answered_at
        assert world.tavily.charged == 2
        world.tavily.always = world.perplexity.always = Fault(500)
        old = await lookups.search(world.identity, QUESTION, max_age=0)
    assert old.outcome == "stale"
    assert old.degraded[0] == "tavily: failed HTTP 500, perplexity: failed HTTP 500"
    assert old.degraded[1].startswith("cache: the answer is of 20")


async def test_own_documents_never_replace_what_was_bought(world: World, frozen: Clock) -> None:
    async with opened(world.service(documents=True, ttl=60)) as lookups:
        bought = await lookups.search(world.identity, QUESTION)
        world.tavily.always = world.perplexity.always = Fault(500)
        other = await lookups.search(world.identity, "another")
        assert (other.provider, other.cost_microusd) == ("documents", 0)
        assert other.degraded == ["tavily: HTTP 500", "perplexity: HTTP 500"]
        await frozen.advance(61)
        for max_age in (None, 0.0):
            old = await lookups.search(world.identity, QUESTION, max_age=max_age)
            assert (old.outcome, old.findings) == ("stale", bought.findings)
    assert world.documents.asked == ["another"]
    # What the store itself knows is asked again soon.
    entry = await world.procedures.cache_get(
        tenant=world.identity.tenant, key=search_key("another", SearchOptions()), stale=True
    )
    assert entry is None
    assert (await world.procedures.document_list(tenant=world.identity.tenant)).rows != []


async def test_nothing_found_is_kept_for_a_shorter_time(world: World, frozen: Clock) -> None:
    world.tavily.empty = True
    async with opened(world.service()) as lookups:
        assert (await lookups.search(world.identity, QUESTION)).findings.results == []
        assert (await lookups.search(world.identity, QUESTION)).outcome == "hit"
        await frozen.advance(601)
        assert (await lookups.search(world.identity, QUESTION)).outcome == "bought"


async def test_who_goes_away_stops_the_call_and_lets_the_next_one_lead(world: World) -> None:
    world.tavily.delay = 5
    async with opened(world.service()) as lookups:
        leading = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await until(lambda: bool(world.tavily.asked))
        following = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await asyncio.sleep(0.05)
        world.tavily.delay = 0
        leading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leading
        answer = await asyncio.wait_for(following, 2)
        assert answer.outcome == "bought"
    # What was sent is spent, and said so.
    assert await world.sums() == (2, 0, 0)
    assert sorted(await world.history()) == [("cancelled", False, 8_000), ("done", False, 8_000)]


async def test_a_follower_who_goes_away_keeps_no_lease(world: World) -> None:
    world.tavily.delay = 0.2
    world.tavily.faults = []
    async with opened(world.service()) as lookups:
        leading = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await until(lambda: bool(world.tavily.asked))
        following = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await asyncio.sleep(0.05)
        following.cancel()
        leading.cancel()
        await asyncio.gather(following, leading, return_exceptions=True)
    assert await world.sums() == (1, 0, 0)
    async with opened(world.service()) as lookups:
        assert (await lookups.search(world.identity, QUESTION, deadline=1)).outcome == "bought"


async def test_a_lease_lost_after_a_paid_call_is_reconciled_and_answered(world: World, frozen: Clock) -> None:
    world.tavily.delay = 0.2
    async with opened(world.service()) as lookups:
        searching = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await until(lambda: bool(world.tavily.asked))
        await frozen.advance(1000)
        assert await world.sums() == (0, 0, 1)
        answer = await searching
    assert answer.outcome == "bought"
    assert await world.sums() == (1, 0, 0)
    assert await world.history() == [("done", False, 8_000)]
    assert not await world.is_kept()


async def test_a_lease_lost_before_a_failure_is_told_asks_again(world: World, frozen: Clock) -> None:
    world.tavily.delay = 0.2
    world.tavily.faults = [Fault(500)]
    async with opened(world.service()) as lookups:
        searching = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await until(lambda: bool(world.tavily.asked))
        await frozen.advance(1000)
        assert (await searching).outcome == "bought"
    assert await world.sums() == (1, 0, 0)


async def test_a_request_id_is_used_once(world: World) -> None:
    async with opened(world.service()) as lookups:
        first = await lookups.search(world.identity, QUESTION, request_id="r1")
        again = await lookups.search(world.identity, QUESTION, request_id="r1")
        assert (first.request_id, again.findings) == ("r1", first.findings)
        assert again.request_id != "r1"
        await lookups.search(world.identity, "another", request_id="r2")
        with pytest.raises(Conflict):
            await lookups.search(world.identity, "another", request_id="r1")
        # Bought already when it is found to be taken: the answer is not thrown away.
        third = await lookups.search(world.identity, "a third", request_id="r1")
        assert third.request_id != "r1"
    assert len(await world.history()) == 4


async def test_an_entry_that_is_no_answer_is_thrown_away(world: World) -> None:
    await world.procedures.cache_set(
        tenant=world.identity.tenant, key=search_key(QUESTION, SearchOptions()), value=b"{}", ttl=60
    )
    async with opened(world.service()) as lookups:
        assert (await lookups.search(world.identity, QUESTION)).outcome == "bought"
        assert (await lookups.search(world.identity, QUESTION)).outcome == "hit"


async def test_a_removed_quota_is_defined_again(world: World) -> None:
    async with opened(world.service()) as lookups:
        await lookups.search(world.identity, QUESTION)
        await world.procedures.quota_remove(tenant=world.identity.tenant, quota="tavily.month")
        assert (await lookups.search(world.identity, "another")).outcome == "bought"
    assert await world.sums() == (1, 0, 0)


@pytest.mark.parametrize("question", ["", " \u200b\n", "х" * 2049])
async def test_a_question_has_something_to_ask(world: World, question: str) -> None:
    async with opened(world.service()) as lookups:
        with pytest.raises(Invalid) as refused:
            await lookups.search(world.identity, question)
    assert refused.value.details["argument"] == "question"


async def test_without_providers_nobody_is_asked(procedures: Procedures, identity: Identity) -> None:
    async with opened(Lookups(procedures, [])) as lookups:
        with pytest.raises(Unavailable):
            await lookups.search(identity, QUESTION)


async def test_tenants_share_nothing(world: World) -> None:
    async with opened(world.service()) as lookups:
        await lookups.search(world.identity, QUESTION)
        other = Identity(f"{world.identity.tenant}-2")
        assert (await lookups.search(other, QUESTION)).outcome == "bought"
