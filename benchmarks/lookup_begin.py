"""lookup.begin on a hit, history row included, beside the same decisions made by separate calls, at 64 callers.

Apart they are: cache.get of the answer, a look at who buys it (cache.get of the lease's key), quota.take of the units
that a call would need, and request.append. Both sides run in turns in one process, over one connection, against one
store that writes its log; the gets of one tick are not sent together, since begin has no such help either. The median
of the rounds' ratios is judged. Beside them, not judged: cache.get and request.append alone.
"""

import asyncio
import gc
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvloop

from benchmarks.beside import (
    Call,
    closed_loop,
    judge,
    middle,
    middle_ratio,
    process_id,
    show,
    transaction_seconds,
)
from lycosa.procedures import LookupCandidate, Procedures, connect
from tests.conftest import Store

ROUNDS, QUICK_ROUNDS = 7, 1
SECONDS, QUICK_SECONDS = 2.0, 0.3
CALLERS = 64
KEYS = 1_000
TENANT = "bench"
GOAL = 2.0
QUESTION = "What does Acme Corp sell, and to whom? Чем торгует Acme?"
# As large as five results.
VALUE = b'{"provider":"tavily"}' + b"x" * 2_000
CANDIDATES: list[LookupCandidate] = [
    {
        "provider": "tavily",
        "cost": 8_000,
        "claims": [{"quota": "rate", "amount": 1}, {"quota": "month", "amount": 1}],
    },
    {"provider": "perplexity", "cost": 5_000, "claims": [{"quota": "usd", "amount": 5_000}]},
    {"provider": "documents"},
]


async def fill(procedures: Procedures) -> None:
    """Quotas that are never spent, and an answer to every question, each bought through the gate."""
    await procedures.quota_define(
        tenant=TENANT, quota="rate", kind="rate", amount=10**9, period=1, burst=10**9
    )
    for name in ("month", "usd"):
        await procedures.quota_define(tenant=TENANT, quota=name, kind="window", window="month", amount=10**15)
    for number in range(KEYS):
        key = f"search:{number}"
        decided = await procedures.lookup_begin(
            tenant=TENANT, key=key, question=QUESTION, providers=CANDIDATES
        )
        assert decided.lease is not None
        await procedures.lookup_finish(
            tenant=TENANT,
            key=key,
            token=decided.lease.token,
            value=VALUE,
            ttl=86_400,
            request={"id": f"paid-{number}"},
        )


def sides(procedures: Procedures) -> list[Callable[[int], Call]]:
    """One call, four of them, and two: each side leaves a row of history for every question."""
    numbers, keys = itertools.count(), itertools.count()

    def at_once(_: int) -> Call:
        async def call() -> None:
            decided = await procedures.lookup_begin(
                tenant=TENANT,
                key=f"search:{next(keys) % KEYS}",
                question=QUESTION,
                providers=CANDIDATES,
                request={"id": f"r-{next(numbers)}"},
            )
            if decided.outcome != "hit":
                raise SystemExit(f"not served from the cache but {decided.outcome}")

        return call

    async def append(number: int) -> None:
        await procedures.request_append(
            tenant=TENANT,
            id=f"r-{next(numbers)}",
            kind="search",
            status="done",
            question=QUESTION,
            cached=True,
            sources=[{"kind": "history", "ref": f"paid-{number}"}],
        )

    def apart(_: int) -> Call:
        async def call() -> None:
            number = next(keys) % KEYS
            entry = await procedures.cache_get(tenant=TENANT, key=f"search:{number}", stale=True)
            lease = await procedures.cache_get(tenant=TENANT, key=f"lease:{number}")
            if entry is None or lease is not None:
                raise SystemExit("not served from the cache")
            await procedures.quota_take(tenant=TENANT, claims=CANDIDATES[0]["claims"])
            await append(number)

        return call

    def no_decisions(_: int) -> Call:
        async def call() -> None:
            number = next(keys) % KEYS
            await procedures.cache_get(tenant=TENANT, key=f"search:{number}", stale=True)
            await append(number)

        return call

    return [at_once, apart, no_decisions]


async def main(quick: bool) -> None:
    """Measure in turns."""
    gc.set_threshold(700, 10, 1000)
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data) / "store", LYCOSA_MEMORY_MB="2048")
        store.start()
        try:
            async with connect(store.settings()) as client:
                procedures = Procedures(client, coalesce=False)
                await fill(procedures)
                gc.freeze()
                at_once, apart, no_decisions = sides(procedures)
                for side in (at_once, apart):
                    await closed_loop(side, CALLERS, seconds / 4)
                ours, theirs, spent = [], [], 0.0
                process = process_id(store)
                for _ in range(rounds):
                    before = transaction_seconds(process)
                    ours.append(await closed_loop(at_once, CALLERS, seconds))
                    spent += transaction_seconds(process) - before
                    theirs.append(await closed_loop(apart, CALLERS, seconds))
                each = spent / sum(one["calls"] for one in ours) * 1e6
                show("lookup.begin on a hit", middle(ours), f"transaction thread {each:.1f} us each")
                show("the same by separate calls", middle(theirs))
                show("cache.get, request.append", await closed_loop(no_decisions, CALLERS, seconds))
                judge("ratio of questions answered", middle_ratio(ours, theirs), GOAL)
        finally:
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
