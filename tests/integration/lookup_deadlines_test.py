"""Deadlines of searches: who waits how long, and who is to blame when the time is over."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from lycosa.errors import TimedOut
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from tests.conftest import until
from tests.integration.lookups_test import QUESTION, World, opened


@pytest.fixture
async def world(procedures: Procedures, identity: Identity) -> AsyncIterator[World]:
    world = World(procedures, identity)
    async with world.tavily, world.perplexity, world.documents:
        yield world


async def test_a_deadline_ends_the_wait_for_a_leader(world: World) -> None:
    world.tavily.delay = 0.4
    async with opened(world.service()) as lookups:
        leading = asyncio.create_task(lookups.search(world.identity, QUESTION))
        await until(lambda: bool(world.tavily.asked))
        with pytest.raises(TimedOut) as late:
            await lookups.search(world.identity, QUESTION, deadline=0.1)
        assert late.value.code == "LOOKUP_TIMED_OUT"
        assert (await leading).outcome == "bought"


async def test_half_of_the_time_is_kept_for_the_next_provider(world: World) -> None:
    world.tavily.delay = 5
    async with opened(world.service()) as lookups:
        answer = await lookups.search(world.identity, QUESTION, deadline=0.6)
    assert answer.provider == "perplexity"
    # Nobody knows whether the call that was given up is charged.
    assert await world.sums() == (1, 0, 0)


async def test_callers_in_a_hurry_open_no_breaker(world: World) -> None:
    """A provider is to blame when it had a quarter of the usual deadline."""
    world.tavily.delay = 5.0

    async def failures() -> tuple[int, int]:
        rows = await world.procedures.lookup_providers(tenant=world.identity.tenant)
        return next((row.failures, row.errors) for row in rows if row.provider == "tavily")

    async with opened(world.service(timeout=2.0)) as lookups:
        for number in range(6):
            answer = await lookups.search(world.identity, f"{QUESTION} {number}", deadline=0.3)
            assert (answer.provider, answer.degraded) == ("perplexity", ["tavily: no answer in time"])
        assert await failures() == (0, 6)
        await lookups.search(world.identity, QUESTION, deadline=1.2)
        assert await failures() == (1, 7)
    # What was sent may have been charged all the same.
    assert (await world.sums(), world.tavily.charged) == ((7, 0, 0), 7)
