"""quota.take with WAL at 64 callers, beside a GCRA by EVALSHA through redis-py.

Both sides run in turns, each over a unix socket, each asked by one process on uvloop, and each writes a log before it
is done (wal_mode = write; appendonly with fsync every second). Rates are so wide that nothing is refused. The median
of the rounds' ratios is judged. The peer has a Python environment of its own, made at the first run from
benchmarks/peers/redis.txt; redis-server is the distribution's.
"""

import asyncio
import gc
import itertools
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

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


async def main(quick: bool) -> None:
    """Measure in turns, then show what else there is."""
    gc.set_threshold(700, 10, 1000)
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data, redis_server(Path(data)) as address:
        store = Store(Path(data) / "store")
        store.start()
        peer = Peer("redis_gcra.py", address, CALLERS)
        try:
            async with connect(store.settings()) as client:
                procedures = Procedures(client)
                await define(procedures)
                gc.freeze()
                measured = calls(procedures)
                rate = measured.pop("take of a rate")
                await closed_loop(rate, CALLERS, seconds / 2)
                await peer.measure(seconds / 2)
                ours, theirs, spent = [], [], 0.0
                process = process_id(store)
                for _ in range(rounds):
                    before = transaction_seconds(process)
                    ours.append(await closed_loop(rate, CALLERS, seconds))
                    spent += transaction_seconds(process) - before
                    theirs.append(await peer.measure(seconds))
                if any(one["through"] < 1 for one in theirs):
                    raise SystemExit("the peer was refused, so the sides do not do the same")
                each = spent / sum(one["calls"] for one in ours) * 1e6
                show("quota.take of a rate", middle(ours), f"transaction thread {each:.1f} us a take")
                show("redis-py EVALSHA GCRA", middle(theirs))
                judge("ratio of takes", middle_ratio(ours, theirs), GOAL)
                for name, call in measured.items():
                    show(name, await closed_loop(call, CALLERS, seconds))
        finally:
            peer.close()
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
