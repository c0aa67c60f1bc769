"""Processes that search or begin at once: `python -m tests.chaos.lookup_racers '{...}'`.

It imports once and forks, says "ready" when every process is connected, waits for a line, and prints one JSON line a
process. Times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from lycosa.errors import LycosaError
from lycosa.identity import Identity
from lycosa.procedures import LookupCandidate, Procedures, connect
from lycosa.providers.findings import Findings, SearchOptions
from lycosa.services.lookups import Lookups
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging
from tests.standins.small_search import SmallProvider

_fork = multiprocessing.get_context("fork")


class Held(SmallProvider):
    """Says that it was asked, and then never sends anything."""

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        print("held", flush=True)
        await asyncio.sleep(3600)
        raise AssertionError


async def _search(plan: dict[str, Any], procedures: Procedures, number: int, barrier: Any) -> dict[str, Any]:
    """Searches at once, `rounds` times: of each the round, when it ended and how."""
    kind = Held if plan.get("held") else SmallProvider
    providers = [kind(name, url) for name, url in plan["providers"].items()]
    lookups = Lookups(procedures, providers)
    identity = Identity(plan["tenant"])

    async def one(round_: int, turn: int) -> tuple[int, float, str]:
        question = plan["question"].format(process=number, turn=turn, round=round_)
        try:
            answer = await lookups.search(identity, question, deadline=plan["deadline"])
            outcome = f"{answer.outcome} {answer.provider}"
        except LycosaError as problem:
            outcome = problem.code
        return round_, time.monotonic(), outcome

    ended: list[tuple[int, float, str]] = []
    for round_ in range(plan.get("rounds", 1)):
        await asyncio.to_thread(barrier.wait)
        ended += await asyncio.gather(*(one(round_, turn) for turn in range(plan["callers"])))
    await lookups.aclose()
    return {"ended": ended}


async def _begin(plan: dict[str, Any], procedures: Procedures, number: int, _: Any) -> dict[str, Any]:
    """Begins of questions that nobody else asks, each of which claims a unit of the account; tenants take turns."""
    outcomes: Counter[str] = Counter()
    asking = plan.get("asking", [plan["tenant"]])
    candidates: list[LookupCandidate] = [
        {"provider": "tavily", "claims": [{"quota": "tavily.month", "amount": 1}]}
    ]

    async def caller(name: int) -> None:
        for turn in range(plan["turns"]):
            key = f"{number}-{name}-{turn}"
            decision = await procedures.lookup_begin(
                tenant=asking[turn % len(asking)],
                account=plan["tenant"],
                key=key,
                question=key,
                providers=candidates,
                lease=60,
            )
            outcomes[decision.outcome] += 1

    await asyncio.gather(*(caller(name) for name in range(plan["callers"])))
    return dict(outcomes)


async def _race(plan: dict[str, Any], number: int, ready: Any, go: Any, barrier: Any) -> None:
    settings = Settings(
        _env_file=None,
        data=Path(plan["data"]),
        tarantool_host=plan["socket"],
    )
    async with connect(settings) as client:
        procedures = Procedures(client)
        await procedures.system_health()
        ready.release()
        await asyncio.to_thread(go.wait)
        work = {"search": _search, "begin": _begin}[plan["do"]]
        print(json.dumps(await work(plan, procedures, number, barrier)), flush=True)


def _child(plan: dict[str, Any], number: int, *signals: Any) -> None:
    asyncio.run(_race(plan, number, *signals))


def main(plan: dict[str, Any]) -> None:
    """Fork, wait for the word, and for the end."""
    configure_logging("error")
    ready, go, barrier = _fork.Semaphore(0), _fork.Event(), _fork.Barrier(plan["processes"])
    processes = [
        _fork.Process(target=_child, args=(plan, number, ready, go, barrier))
        for number in range(plan["processes"])
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    print("ready", flush=True)
    sys.stdin.readline()
    go.set()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
