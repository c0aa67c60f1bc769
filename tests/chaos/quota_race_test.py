"""Quotas under races and kill -9 (C1, C5).

What is promised to callers, and checked here from their own notes:

- However many take at once, exactly what the limit allows is let through.
- Whoever was told of a reservation finds it so after a crash, in the state that the last answer told. Whoever was told
  nothing finds that the call was done whole or not at all, and learns which by repeating it.
- used + reserved + unknown of every limit is the sum over those reservations, before and after the repetition.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lycosa.errors import Exhausted, TimedOut, Unavailable
from lycosa.procedures import (
    Procedures,
    QuotaReport,
    QuotaReservation,
    QuotaReservationNotFound,
    QuotaReservationState,
    connect,
)
from tests.conftest import ROOT, Store

LIMIT = 1_000
PROCESSES, CALLERS, TAKES = 4, 50, 50
BUDGET = 1_000_000_000

# One of the racing processes: it prints how many takes were let through and how many refused.
RACER = """
import asyncio, json, sys
from collections import Counter
from pathlib import Path
from lycosa.errors import Exhausted
from lycosa.procedures import Procedures, connect
from lycosa.settings import Settings

async def main(data, socket, tenant, claims, callers, takes):
    settings = Settings(_env_file=None, data=Path(data), tarantool_host=socket)
    outcomes = Counter()
    async with connect(settings) as client:
        procedures = Procedures(client)
        print("ready", flush=True)
        sys.stdin.readline()

        async def caller():
            for _ in range(takes):
                try:
                    await procedures.quota_take(tenant=tenant, claims=claims)
                    outcomes["through"] += 1
                except Exhausted as refusal:
                    outcomes["refused"] += 1
                    outcomes[refusal.details["quota"]] += 1

        await asyncio.gather(*(caller() for _ in range(callers)))
    print(json.dumps(outcomes))

asyncio.run(main(*json.loads(sys.argv[1])))
"""


async def _race(server: Store, tenant: str, claims: list[dict[str, Any]]) -> tuple[Counter[str], float]:
    """Ten thousand takes over four processes that begin together: their outcomes, and the seconds they took."""
    arguments = [str(server.data), str(server.socket), tenant, claims, CALLERS, TAKES]
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RACER,
            json.dumps(arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT / "python"), "PATH": "/usr/bin:/bin"},
        )
        for _ in range(PROCESSES)
    ]
    total: Counter[str] = Counter()
    for racer in racers:
        assert racer.stdout is not None
        assert await racer.stdout.readline() == b"ready\n"
    began = time.monotonic()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go\n")
    for racer in racers:
        output, _ = await asyncio.wait_for(racer.communicate(), 60)
        total.update(json.loads(output))
    return total, time.monotonic() - began


async def test_exactly_the_limit_is_let_through(server: Store, procedures: Procedures, tenant: str) -> None:
    await procedures.quota_define(tenant=tenant, quota="month", kind="window", window="total", amount=LIMIT)
    outcomes, _ = await _race(server, tenant, [{"quota": "month", "amount": 1}])
    assert outcomes["through"] == LIMIT
    assert outcomes["through"] + outcomes["refused"] == PROCESSES * CALLERS * TAKES == 10_000
    report = (await procedures.quota_report(tenant=tenant)).rows[0]
    assert (report.used, report.left) == (LIMIT, 0)


async def test_several_limits_are_all_or_nothing_in_a_race(
    server: Store, procedures: Procedures, tenant: str
) -> None:
    """The narrowest of three decides, and what it refuses is taken from none."""
    await procedures.quota_define(
        tenant=tenant, quota="wide", kind="window", window="total", amount=5 * LIMIT
    )
    await procedures.quota_define(tenant=tenant, quota="narrow", kind="window", window="total", amount=LIMIT)
    # A rate so slow that nothing flows off in the time of the test.
    await procedures.quota_define(
        tenant=tenant, quota="rate", kind="rate", amount=1, period=31_536_000, burst=3 * LIMIT
    )
    names = ["wide", "narrow", "rate"]
    outcomes, _ = await _race(server, tenant, [{"quota": name, "amount": 2} for name in names])
    assert outcomes["through"] == LIMIT // 2
    assert outcomes["narrow"] == outcomes["refused"] == 10_000 - LIMIT // 2
    report = (await procedures.quota_report(tenant=tenant)).rows
    assert {row.quota: row.used for row in report} == dict.fromkeys(names, LIMIT)


async def test_a_rate_lets_no_more_through_than_flows_in(
    server: Store, procedures: Procedures, tenant: str
) -> None:
    await procedures.quota_define(tenant=tenant, quota="rate", kind="rate", amount=500, period=1, burst=200)
    outcomes, seconds = await _race(server, tenant, [{"quota": "rate", "amount": 1}])
    assert 200 <= outcomes["through"] <= 200 + 500 * seconds


@dataclass
class Note:
    """What one caller knows of its reservation."""

    claims: dict[str, int]
    lease: float
    # What it asked for last, and whether that was answered.
    asked: str = "reserve"
    told: bool = False
    spent: dict[str, int] = field(default_factory=dict)

    def counted(self, quota: str) -> set[int]:
        """What the reservation may count of a limit, by what was told."""
        reserved, spent = self.claims[quota], self.spent.get(quota, self.claims[quota])
        if self.asked == "reserve":
            return {reserved} if self.told else {0, reserved}
        return {spent} if self.told else {reserved, spent}


class Callers:
    """Sixty-four callers that reserve and settle until the store dies, each keeping its own notes."""

    def __init__(self, procedures: Procedures, tenant: str, seed: int) -> None:
        self.procedures = procedures
        self._tenant = tenant
        self._random = random.Random(seed)
        self.notes: dict[str, Note] = {}
        self.refused = 0

    async def run(self, count: int) -> None:
        await asyncio.gather(*(self._work(number) for number in range(count)))

    async def _work(self, number: int) -> None:
        turn = 0
        with suppress(Unavailable, TimedOut):
            while True:
                turn += 1
                await self._one(f"{number}-{turn}")

    async def _one(self, name: str) -> None:
        # One lease in three ends at once, before anybody can settle it.
        lease = self._random.choice([3600.0, 3600.0, 0.01])
        claims = {"usd": self._random.randint(1, 900), "calls": self._random.randint(1, 3)}
        note = self.notes[name] = Note(claims, lease)
        try:
            await self.ask(name)
        except Exhausted:
            del self.notes[name]
            self.refused += 1
            return
        note.told = True
        if lease < 1 or self._random.random() < 0.2:
            return
        note.asked, note.told = self._random.choice(["settle", "refund"]), False
        note.spent = dict.fromkeys(claims, 0)
        if note.asked == "settle":
            note.spent = {"usd": self._random.randint(0, claims["usd"])}
        await self.ask(name)
        note.told = True

    async def ask(self, name: str) -> None:
        """Ask what the note says was asked last."""
        note, procedures = self.notes[name], self.procedures
        if note.asked == "reserve":
            await procedures.quota_reserve(
                tenant=self._tenant,
                id=name,
                lease=note.lease,
                claims=[{"quota": quota, "amount": amount} for quota, amount in note.claims.items()],
            )
        elif note.asked == "settle":
            amounts = [{"quota": quota, "amount": amount} for quota, amount in note.spent.items()]
            await procedures.quota_settle(tenant=self._tenant, id=name, amounts=amounts)  # type: ignore[arg-type]
        else:
            await procedures.quota_refund(tenant=self._tenant, id=name)


async def _sums(procedures: Procedures, tenant: str) -> dict[str, QuotaReport]:
    return {row.quota: row for row in (await procedures.quota_report(tenant=tenant)).rows}


def _taken(row: QuotaReport) -> int:
    return row.used + row.reserved + row.unknown


async def _stored(procedures: Procedures, tenant: str, name: str) -> QuotaReservation | None:
    try:
        return await procedures.quota_reservation(tenant=tenant, id=name)
    except QuotaReservationNotFound:
        return None


async def _check_against_notes(procedures: Procedures, tenant: str, callers: Callers) -> None:
    """Every reservation is as its caller was told, and the sums are those of the reservations."""
    actual: Counter[str] = Counter()
    for name, note in callers.notes.items():
        stored = await _stored(procedures, tenant, name)
        if stored is None:
            assert not note.told, f"{name} was answered and is not there"
            assert note.asked == "reserve"
            continue
        for claim in stored.claims:
            counts = claim.amount if claim.spent is None else claim.spent
            assert counts in note.counted(claim.quota), (name, stored, note)
            actual[claim.quota] += counts
        closed = {"settle": "settled", "refund": "refunded"}.get(note.asked)
        if note.told:
            assert stored.state == (closed or ("reserved" if note.lease > 1 else "unknown"))
    for quota, row in (await _sums(procedures, tenant)).items():
        assert _taken(row) == actual[quota], quota
        assert _taken(row) <= row.limit


async def _repeat(procedures: Procedures, callers: Callers) -> int:
    """Every caller that was not answered asks again, and knows then. Gives how many those were."""
    lost = [name for name, note in callers.notes.items() if not note.told]
    callers.procedures = procedures
    for name in lost:
        note = callers.notes[name]
        try:
            await callers.ask(name)
            note.told = True
        except Exhausted:
            assert note.asked == "reserve"
        except QuotaReservationState as ended:
            # It was made, and its short lease has ended since.
            assert note.asked == "reserve"
            note.told = ended.details["state"] == "unknown"
    # Longer than the short leases that were made just now.
    await asyncio.sleep(0.05)
    return len(lost)


async def test_a_kill_amid_reservations_leaves_what_callers_were_told(own_server: Store, tenant: str) -> None:
    lost = 0
    for seed in range(4):
        async with connect(own_server.settings(call_timeout=2.0)) as client:
            procedures = Procedures(client)
            mine = f"{tenant}-{seed}"
            # On odd turns the budget is spent before the kill, so that refusals take part.
            amount = 50_000 if seed % 2 else BUDGET
            await procedures.quota_define(
                tenant=mine, quota="usd", kind="window", window="total", amount=amount, unit="USD", scale=6
            )
            await procedures.quota_define(
                tenant=mine, quota="calls", kind="window", window="total", amount=BUDGET
            )
            callers = Callers(procedures, mine, seed)
            working = asyncio.create_task(callers.run(64))
            await asyncio.sleep(0.4 + 0.1 * seed)
            own_server.kill()
            # Nothing answers a call that is made again: what was in flight is lost to its caller.
            await client.close()
            await asyncio.wait_for(working, 20)
        await asyncio.to_thread(own_server.start)
        async with connect(own_server.settings()) as client:
            procedures = Procedures(client)
            assert len(callers.notes) > 50
            assert bool(callers.refused) == bool(seed % 2)
            await _check_against_notes(procedures, mine, callers)
            lost += await _repeat(procedures, callers)
            callers.notes = {
                name: note for name, note in callers.notes.items() if note.told or note.asked != "reserve"
            }
            await _check_against_notes(procedures, mine, callers)
    assert lost > 0
