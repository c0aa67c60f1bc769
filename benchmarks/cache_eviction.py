"""How fast entries of 1 KiB are evicted: by the background step, and by sets of 64 callers into a full cache.

wal_mode = write. The step works in its transactions of at most 100 entries, one after the other, over a cache whose
budget has just been halved. The sets are those of one client; nearly each lets an entry go.
"""

import asyncio
import gc
import itertools
import statistics
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path

import uvloop

from benchmarks.beside import Call, closed_loop, judge, show
from lycosa.procedures import CacheItem, Procedures, connect
from tests.conftest import Store

ENTRIES, QUICK_ENTRIES = 200_000, 20_000
ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 3.0, 0.5
CALLERS, BATCH, SIZE = 64, 100, 1024
MEMORY_MB = 1024
TENANT = "bench"
GOAL = 80_000

# Gives how many entries went and in how many seconds.
DRAIN = (
    "local cache, daemon, clock = require('lycosa.cache'), require('lycosa.core.daemon'), require('clock') "
    "local before = lycosa.cache.figures{} "
    "cache.configure{cache_budget = math.floor(before.bytes / 2), cache_share = 100} "
    "local started = clock.monotonic() daemon.drain('cache.evict', 1000000) "
    "local seconds = clock.monotonic() - started "
    "return ('%d/%.6f'):format(lycosa.cache.figures{}.evicted - before.evicted, seconds)"
)
WIDE = "require('lycosa.cache').configure{cache_budget = 768 * 1048576, cache_share = 100}"


async def fill(procedures: Procedures, entries: int) -> None:
    """Set entries of which none has to go."""
    value = b"v" * SIZE

    async def fill_part(part: int) -> None:
        for start in range(part * BATCH, entries, 4 * BATCH):
            batch = [CacheItem(key=f"k{start + i}", value=value, ttl=3600) for i in range(BATCH)]
            await procedures.cache_set_many(tenant=TENANT, entries=batch)

    await asyncio.gather(*(fill_part(part) for part in range(4)))


async def by_sets(procedures: Procedures, seconds: float) -> dict[str, float]:
    """Sets of new keys into what is full."""
    numbers, value = itertools.count(), b"v" * SIZE

    def of_caller(_: int) -> Call:
        def call() -> Awaitable[object]:
            return procedures.cache_set(tenant=TENANT, key=f"new{next(numbers)}", value=value, ttl=3600)

        return call

    before = (await procedures.cache_figures()).evicted
    figures = await closed_loop(of_caller, CALLERS, seconds)
    went = (await procedures.cache_figures()).evicted - before
    return figures | {"evicted": went / figures["calls"] * figures["rate"]}


async def main(quick: bool) -> None:
    """The step, several times; then the sets."""
    gc.set_threshold(700, 10, 1000)
    entries, rounds, seconds = (
        (QUICK_ENTRIES, QUICK_ROUNDS, QUICK_SECONDS) if quick else (ENTRIES, ROUNDS, SECONDS)
    )
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data) / "store", LYCOSA_MEMORY_MB=str(MEMORY_MB), LYCOSA_CACHE_SHARE_PERCENT="100")
        store.start()
        try:
            async with connect(store.settings(call_timeout=30.0)) as client:
                procedures = Procedures(client)
                rates = []
                for _ in range(rounds):
                    store.console(WIDE)
                    await fill(procedures, entries)
                    answer = (await asyncio.to_thread(store.console, DRAIN)).split("- ", 1)[1].split()[0]
                    went, took = answer.strip("'\"").split("/")
                    rates.append(int(went) / float(took))
                print(f"{'evicted by the step':<34} {statistics.median(rates):>9,.0f}/s", flush=True)
                sets = await by_sets(procedures, seconds)
                show("sets into a full cache", sets, f"evicted {sets['evicted']:,.0f}/s")
                judge("evicted a second by the step", statistics.median(rates), GOAL)
        finally:
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
