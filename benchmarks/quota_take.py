"""quota.take with WAL at 64 callers, beside a GCRA by EVALSHA through redis-py.

Both sides run in turns, each over a unix socket, each asked by one process on uvloop, and each writes a log before it
is done (wal_mode = write; appendonly with fsync every second). Rates are so wide that nothing is refused. The median
of the rounds' ratios is judged: takes as the client sends them, coalesced, beside an EVALSHA as it is written; each
alone, and both coalesced by the same class, are shown. The peer has a Python environment of its own, made at the first
run from benchmarks/peers/redis.txt; redis-server is the distribution's.
"""

import asyncio
import gc
import itertools
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

import lycosa
from benchmarks.beside import (
    Call,
    Peer,
    closed_loop,
    judge,
    middle,
    middle_ratio,
    process_id,
    redis_server,
    show,
    transaction_seconds,
)
from lycosa.procedures import Procedures, connect
from tests.conftest import Store

ROUNDS, QUICK_ROUNDS = 7, 1
SECONDS, QUICK_SECONDS = 2.0, 0.3
CALLERS = 64
LIMITS = 8
TENANT = "bench"
GOAL = 4.0


async def define(procedures: Procedures) -> None:
    """As many limits of a kind as the peer has keys."""
    for number in range(LIMITS):
        await procedures.quota_define(
            tenant=TENANT, quota=f"rate-{number}", kind="rate", amount=10**9, period=1, burst=10**9
        )
        await procedures.quota_define(
            tenant=TENANT, quota=f"day-{number}", kind="window", window="day", amount=10**15
        )
        await procedures.quota_define(tenant=TENANT, quota=f"slots-{number}", kind="slots", amount=10**6)


def calls(procedures: Procedures) -> dict[str, Callable[[int], Call]]:
    """What is measured, by name: each makes the call of one caller."""
    numbers = itertools.count()

    def take(*kinds: str) -> Callable[[int], Call]:
        def of_caller(number: int) -> Call:
            quotas = [f"{kind}-{number % LIMITS}" for kind in kinds]

            def call() -> Awaitable[object]:
                # A list of its own for every call, as a caller would write it.
                return procedures.quota_take(
                    tenant=TENANT, claims=[{"quota": quota, "amount": 1} for quota in quotas]
                )

            return call

        return of_caller

    def reserve_and_settle(number: int) -> Call:
        async def call() -> None:
            reservation = f"r-{next(numbers)}"
            claims = [("day", 10), ("slots", 1)]
            await procedures.quota_reserve(
                tenant=TENANT,
                id=reservation,
                lease=60,
                claims=[{"quota": f"{kind}-{number % LIMITS}", "amount": amount} for kind, amount in claims],
            )
            await procedures.quota_settle(
                tenant=TENANT, id=reservation, amounts=[{"quota": f"day-{number % LIMITS}", "amount": 7}]
            )

        return call

    return {
        "take of a rate": take("rate"),
        "take of a window": take("day"),
        "take of a rate and a window": take("rate", "day"),
        "reserve and settle, 2 claims": reserve_and_settle,
    }


async def measure(store: Store, peer: Peer, rounds: int, seconds: float) -> None:
    """Rounds of both sides in turns, then what else there is."""
    async with connect(store.settings()) as client:
        procedures = Procedures(client)
        await define(procedures)
        gc.freeze()
        measured = calls(procedures)
        rate = measured.pop("take of a rate")
        sides = {
            "coalesced": (rate, "coalesced"),
            "take": (calls(Procedures(client, coalesce=False))["take of a rate"], "take"),
        }
        ours: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        theirs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        spent, process = 0.0, process_id(store)
        # The first round warms both sides and is left out.
        for round_ in range(rounds + 1):
            for name, (call, peers) in sides.items():
                before = transaction_seconds(process)
                figures = await closed_loop(call, CALLERS, seconds)
                answered = await peer.measure(f"{peers} {seconds}")
                if answered["through"] < 1:
                    raise SystemExit("the peer was refused, so the sides do not do the same")
                if round_ == 0:
                    continue
                ours[name].append(figures)
                theirs[name].append(answered)
                if name == "coalesced":
                    spent += transaction_seconds(process) - before
        each = spent / sum(one["calls"] for one in ours["coalesced"]) * 1e6
        show("quota.take of a rate", middle(ours["coalesced"]), "as the client does it: coalesced")
        show("quota.take of a rate", middle(ours["take"]), "each a call of its own")
        show("redis-py EVALSHA GCRA", middle(theirs["take"]))
        show("redis-py EVALSHA GCRA, coalesced", middle(theirs["coalesced"]), "in pipelines")
        judge("ratio of takes", middle_ratio(ours["coalesced"], theirs["take"]), GOAL)
        judge("ratio, each a call of its own", middle_ratio(ours["take"], theirs["take"]))
        judge("ratio, both coalesced", middle_ratio(ours["coalesced"], theirs["coalesced"]))
        print(f"transaction thread {each:.2f} us a coalesced take", flush=True)
        for name, call in measured.items():
            show(name, await closed_loop(call, CALLERS, seconds))


async def main(quick: bool) -> None:
    """Start both sides and measure."""
    gc.set_threshold(700, 10, 1000)
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    home = Path(lycosa.__file__).parents[1]
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data, redis_server(Path(data)) as address:
        store = Store(Path(data) / "store")
        store.start()
        peer = Peer("redis_gcra.py", address, CALLERS, home)
        try:
            await measure(store, peer, rounds, seconds)
        finally:
            peer.close()
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
