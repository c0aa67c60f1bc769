"""The gate under races of processes, kill -9 and a restart (C1, C5, C7)."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services.lookups import Lookups
from tests.conftest import ROOT, Store, until
from tests.standins.small_search import Fault, SmallProvider, SmallSearch

LIMIT = 1_000


class Racers:
    """tests/chaos/lookup_racers.py, connected and waiting for the word."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self) -> list[dict[str, Any]]:
        """Let them go; what each of them prints."""
        output, _ = await asyncio.wait_for(self._process.communicate(b"go\n"), 60)
        return [json.loads(line) for line in output.splitlines()]

    async def hold(self) -> None:
        """Let them go until the first says that it holds a lease."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"go\n")
        assert await asyncio.wait_for(self._process.stdout.readline(), 20) == b"held\n"

    def start(self) -> None:
        """Let them go."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def kill(self) -> None:
        """kill -9 of all of them."""
        os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


@contextlib.asynccontextmanager
async def racers(server: Store, tenant: str, **plan: Any) -> AsyncIterator[Racers]:
    plan |= {"data": str(server.data), "socket": str(server.socket), "tenant": tenant}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.lookup_racers",
        json.dumps(plan),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={"PYTHONPATH": f"{ROOT / 'python'}:{ROOT}", "PATH": "/usr/bin:/bin", "LYCOSA_LOG_LEVEL": "error"},
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield Racers(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _define(procedures: Procedures, tenant: str, amount: int = LIMIT) -> None:
    await procedures.quota_define(
        tenant=tenant, quota="tavily.month", kind="window", window="total", amount=amount
    )


async def _sums(procedures: Procedures, tenant: str) -> tuple[int, int, int]:
    row = (await procedures.quota_report(tenant=tenant, quotas=["tavily.month"])).rows[0]
    return row.used, row.reserved, row.unknown


@pytest.mark.alone
async def test_ten_processes_ask_at_once_and_one_call_answers_all(
    server: Store, procedures: Procedures, tenant: str
) -> None:
    """Everybody has the answer within 50 ms of the leader, and a row of history.

    Three questions; of the times the middle one is judged, of everything else each.
    """
    await _define(procedures, tenant)
    plan: dict[str, Any] = {"do": "search", "processes": 10, "callers": 10, "deadline": 20.0, "rounds": 3}
    async with SmallSearch(delay=0.4) as tavily:
        urls = {"tavily": tavily.url}
        async with racers(server, tenant, providers=urls, question="Кто такие {round}?", **plan) as ten:
            ended = [tuple(one) for process in await ten.run() for one in process["ended"]]
        assert sorted(tavily.asked) == [f"Кто такие {number}?" for number in range(3)]
        assert tavily.charged == 3
    late = []
    for number in range(3):
        outcomes = [(at, outcome) for round_, at, outcome in ended if round_ == number]
        assert Counter(outcome for _, outcome in outcomes) == {"bought tavily": 1, "shared tavily": 99}
        leader = next(at for at, outcome in outcomes if outcome == "bought tavily")
        late.append(max(at for at, _ in outcomes) - leader)
    print("the last after the leader:", *(f"{seconds * 1000:.1f} ms" for seconds in late))
    assert sorted(late)[1] < 0.05
    rows = (await procedures.request_list(tenant=tenant, by="time", limit=1000)).rows
    assert (len(rows), sum(row.cached for row in rows)) == (300, 297)
    assert await _sums(procedures, tenant) == (3, 0, 0)


@pytest.mark.parametrize("others", [(), ("anna", "boris")], ids=["of one tenant", "of two for one account"])
async def test_exactly_the_quota_is_let_through(
    server: Store, procedures: Procedures, tenant: str, others: tuple[str, ...]
) -> None:
    await _define(procedures, tenant)
    asking = [f"{tenant}-{name}" for name in others] or [tenant]
    plan: dict[str, Any] = {"do": "begin", "processes": 4, "callers": 50, "turns": 50, "asking": asking}
    async with racers(server, tenant, **plan) as four:
        outcomes: Counter[str] = Counter()
        for process in await four.run():
            outcomes.update(process)
    assert outcomes == {"lease": LIMIT, "denied": 10_000 - LIMIT}
    assert await _sums(procedures, tenant) == (0, LIMIT, 0)


async def test_a_killed_leader_loses_its_own_call_and_the_next_one_leads(
    server: Store, procedures: Procedures, tenant: str
) -> None:
    """One dies before it has sent, the other before it has the answer.

    used + reserved + unknown is the provider's own ledger and what was never sent.
    """
    await _define(procedures, tenant)
    plan: dict[str, Any] = {"do": "search", "processes": 1, "callers": 1, "deadline": 0.5}
    async with SmallSearch(delay=30) as tavily:
        plan["providers"] = {"tavily": tavily.url}
        async with (
            racers(server, tenant, question="sent", **plan) as sent,
            racers(server, tenant, question="held", held=True, **plan) as held,
        ):
            await held.hold()
            sent.start()
            await until(lambda: tavily.asked == ["sent"])
            began = time.monotonic()
            await sent.kill()
            await held.kill()
        tavily.delay = 0
        lookups = Lookups(procedures, [SmallProvider("tavily", tavily.url)])
        answers = await asyncio.gather(
            *(lookups.search(Identity(tenant), question, deadline=10) for question in ("sent", "held"))
        )
        # A lease is of its deadline and two seconds.
        assert time.monotonic() - began < 2.5 + 0.5
        assert [answer.outcome for answer in answers] == ["bought", "bought"]
        await lookups.aclose()
        used, reserved, unknown = await _sums(procedures, tenant)
        assert (used, reserved, unknown) == (2, 0, 2)
        assert used + reserved + unknown == tavily.charged + 1


async def test_a_restart_of_the_store_amid_a_call_loses_nothing(own_server: Store, tenant: str) -> None:
    """The leader brings home what was bought, on another tenant's account, and who waited for him asks again."""
    account = f"{tenant}-account"
    async with SmallSearch(delay=0.8) as tavily, connect(own_server.settings()) as client:
        procedures = Procedures(client)
        await _define(procedures, account)
        lookups = Lookups(procedures, [SmallProvider("tavily", tavily.url)], account=account)
        identity = Identity(tenant)
        leading = asyncio.create_task(lookups.search(identity, "q"))
        await until(lambda: tavily.asked == ["q"])
        following = [asyncio.create_task(lookups.search(identity, "q")) for _ in range(3)]
        await asyncio.sleep(0.1)
        own_server.kill()
        await asyncio.to_thread(own_server.start)
        answers = await asyncio.gather(leading, *following)
        assert sorted({answer.outcome for answer in answers[1:]} - {"hit"}) in ([], ["shared"])
        assert (answers[0].outcome, answers[0].degraded) == ("bought", [])
        assert tavily.charged == 1
        assert await _sums(procedures, account) == (1, 0, 0)
        rows = (await procedures.request_list(tenant=tenant, by="time")).rows
        assert sorted(row.cached for row in rows) == [False, True, True, True]
        await lookups.aclose()


async def test_three_processes_send_one_probe(own_server: Store, tenant: str) -> None:
    """The breaker opens for all of them, stays so over a restart, lets one probe through, and closes."""
    async with SmallSearch() as tavily, SmallSearch() as perplexity:
        urls = {"tavily": tavily.url, "perplexity": perplexity.url}

        async def breaker() -> tuple[str, float]:
            """Its state, and until when it stays open."""
            async with connect(own_server.settings()) as client:
                rows = await Procedures(client).lookup_providers(tenant=tenant)
            return next((row.breaker, row.opens_until) for row in rows if row.provider == "tavily")

        async def ask_all() -> Counter[str]:
            plan = {"do": "search", "processes": 3, "callers": 6, "deadline": 20.0}
            question = "process {process}, turn {turn}, " + os.urandom(4).hex()
            async with racers(own_server, tenant, providers=urls, question=question, **plan) as three:
                return Counter(outcome for process in await three.run() for *_, outcome in process["ended"])

        async with connect(own_server.settings()) as client:
            procedures = Procedures(client)
            for name in urls:
                await procedures.quota_define(
                    tenant=tenant, quota=f"{name}.month", kind="window", window="total", amount=LIMIT
                )
            await procedures.lookup_set_provider(tenant=tenant, provider="tavily", threshold=3, cooldown=1)
        tavily.always = Fault(500)
        await ask_all()
        failed = len(tavily.asked)
        assert failed >= 3
        _, until_when = await breaker()
        assert until_when > time.time() - 60
        own_server.kill()
        await asyncio.to_thread(own_server.start)
        assert (await breaker())[1] == until_when
        tavily.always, tavily.delay = None, 0.3
        await asyncio.sleep(max(0.0, until_when - time.time()) + 0.02)
        assert (await breaker())[0] == "half_open"
        assert await ask_all() == {"bought tavily": 1, "bought perplexity": 17}
        assert len(tavily.asked) == failed + 1
        assert (await breaker())[0] == "closed"
