"""1,000,000 entries due at one instant: how fast they are swept, and what gets take meanwhile, beside Redis.

One side after the other, each over a unix socket, each with its log on (wal_mode = write; appendonly with fsync every
second). Gets come from eight callers of another process with 2 ms between their calls; only those after the instant
count. The peer has a Python environment of its own, made at the first run from benchmarks/peers/redis.txt. A sweep
that a hypervisor disturbs is repeated, see benchmarks/processors.py.
"""

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks import processors
from benchmarks._gets import PAUSE_SECONDS, READERS, Gets
from benchmarks.beside import Peer, judge, redis_server, show
from lycosa.procedures import CacheItem, Procedures, connect
from tests.conftest import Store

ENTRIES, QUICK_ENTRIES = 1_000_000, 50_000
# From before filling until they are due.
DUE_SECONDS, QUICK_DUE_SECONDS = 70.0, 12.0
MOST_SWEEPS = 4
KEPT, SIZE = 1000, 32
MEMORY_MB, BUDGET_MB = 1024, 640
LOOK_SECONDS = 0.01
FILLERS, BATCH = 4, 100
TENANT = "bench"
GOAL_RATE, GOAL_P99_MS = 250_000, 2.0


class Sweep(NamedTuple):
    """How fast, and what gets took; `stolen` is the part of the processors' time that went to others meanwhile."""

    figures: dict[str, float]
    stolen: float


async def fill(procedures: Procedures, entries: int, due: float) -> None:
    """Set entries that end at the same moment, and a thousand that stay."""
    value = b"v" * SIZE
    for start in range(0, KEPT, BATCH):
        kept = [CacheItem(key=f"k{start + i}", value=value, ttl=3600) for i in range(BATCH)]
        await procedures.cache_set_many(tenant=TENANT, entries=kept)

    async def fill_part(part: int) -> None:
        for start in range(part * BATCH, entries, FILLERS * BATCH):
            ttl = due - time.time()
            if ttl <= 0:
                raise SystemExit("filling took longer than the time until the entries were due")
            batch = [CacheItem(key=f"due:{start + i}", value=value, ttl=ttl) for i in range(BATCH)]
            await procedures.cache_set_many(tenant=TENANT, entries=batch)

    await asyncio.gather(*(fill_part(part) for part in range(FILLERS)))


async def sweep(store: Store, entries: int, due_in: float) -> Sweep:
    """Fill, wait, and watch the sweep."""
    async with connect(store.settings(call_timeout=30.0)) as client:
        procedures = Procedures(client)
        due = time.time() + due_in
        await fill(procedures, entries, due)
        gets = Gets(store, TENANT, KEPT)
        if (waiting := due - time.time()) <= 0:
            raise SystemExit("filling took longer than the time until the entries were due")
        await asyncio.sleep(waiting)
        stolen = processors.Stolen()
        while True:
            if (await procedures.cache_figures()).entries <= KEPT:
                break
            await asyncio.sleep(LOOK_SECONDS)
        seconds, share = time.time() - due, stolen.share()
        figures = await gets.stop(since=due)
        swept = (await procedures.cache_figures(tenant=TENANT)).expired
    if swept != entries:
        raise SystemExit(f"{swept} entries were swept, not {entries}")
    return Sweep({"rate": entries / seconds, **figures}, share)


async def main(quick: bool) -> None:
    """One side, then the other."""
    gc.set_threshold(700, 10, 1000)
    entries, due_in = (QUICK_ENTRIES, QUICK_DUE_SECONDS) if quick else (ENTRIES, DUE_SECONDS)
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:

        async def swept() -> Sweep:
            with tempfile.TemporaryDirectory(dir=data) as place:
                store = Store(
                    Path(place), LYCOSA_MEMORY_MB=str(MEMORY_MB), LYCOSA_CACHE_BUDGET_MB=str(BUDGET_MB),
                    LYCOSA_CACHE_SHARE_PERCENT="100",
                )  # fmt: skip
                store.start()
                try:
                    return await sweep(store, entries, due_in)
                finally:
                    store.stop()

        ours, stolen = await processors.calmest(swept, MOST_SWEEPS)
        with redis_server(Path(data)) as address:
            peer = Peer("redis_expiry.py", address, READERS, PAUSE_SECONDS)
            try:
                theirs = await peer.measure(f"{entries} {due_in} {SIZE}")
            finally:
                peer.close()
    show(f"sweep of {entries:,}", ours, f"worst get {ours['worst']:.1f} ms, stolen {stolen:.1%}")
    show("redis-server", theirs, f"worst get {theirs['worst']:.1f} ms")
    judge("swept a second", ours["rate"], GOAL_RATE)
    verdict = "ok" if ours["p99"] <= GOAL_P99_MS else "MISS"
    print(f"{'p99 of gets':<34} {ours['p99']:>9.2f} ms <= {GOAL_P99_MS:g} ms  {verdict}", flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
