"""A 64 MiB store under more than four times its memory in sets from 64 writers for 60 s, with gets and work beside.

No set may be refused and the budget not be passed by more than 2 %, customers and requests must go on being written,
and gets from a process of their own answer within 5 ms (p99) all the while. They are paced, so that they see what the
sets leave to others. The process of the writers stands for many machines: it runs when no other wants the processor, so
that it presses the store and not the scheduler. A minute that a hypervisor disturbs is repeated, see
benchmarks/processors.py.
"""

import asyncio
import gc
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks import processors
from benchmarks._gets import Gets
from lycosa.procedures import Procedures, connect
from tests.chaos.cache_load import KEYS, MEMORY_MB, TENANTS, Pressed, press
from tests.conftest import Store

SECONDS, QUICK_SECONDS = 60.0, 5.0
MOST_OF_BUDGET, GOAL_P99_MS = 1.02, 5.0
MOST_MINUTES = 4


class Minute(NamedTuple):
    """What came of the sets and of the gets; `stolen` is the part of the processors' time that went to others."""

    pressed: Pressed
    read: dict[str, float]
    stolen: float


def judge(name: str, figure: str, goal: str, is_met: bool) -> None:
    """One row with its goal and ok or MISS."""
    print(f"{name:<34} {figure:>14}  {goal:<10} {'ok' if is_met else 'MISS'}", flush=True)


async def minute(quick: bool) -> Minute:
    """Press a store of its own."""
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data) / "store", LYCOSA_MEMORY_MB=str(MEMORY_MB))
        store.start()
        try:
            gets = Gets(store, TENANTS[0], KEYS)
            async with connect(store.settings(call_timeout=30.0)) as client:
                stolen = processors.Stolen()
                with processors.after_all_others():
                    pressed = await press(
                        Procedures(client),
                        seconds=QUICK_SECONDS if quick else SECONDS,
                        set_bytes=(1 if quick else 4) * MEMORY_MB * 1024 * 1024,
                    )
                share = stolen.share()
            return Minute(pressed, await gets.stop(), share)
        finally:
            store.stop()


async def main(quick: bool) -> None:
    """Press for a minute, then judge."""
    gc.set_threshold(700, 10, 1000)
    pressed, read, stolen = await processors.calmest(lambda: minute(quick), MOST_MINUTES)
    done, refused = pressed.done, pressed.refused
    written = pressed.set_bytes / 1024 / 1024
    print(
        f"{'sets':<34} {done['sets'] / pressed.seconds:>12,.0f}/s  {written:,.0f} MiB in {pressed.seconds:.0f} s"
    )
    print(f"{'evicted':<34} {pressed.evicted / pressed.seconds:>12,.0f}/s")
    sets_refused = sum(count for what, count in refused.items() if what.startswith("sets"))
    others_refused = sum(refused.values()) - sets_refused
    judge("sets refused", str(sets_refused), "0", sets_refused == 0)
    judge("most of the budget", f"{pressed.most:.3f}", f"<= {MOST_OF_BUDGET}", pressed.most <= MOST_OF_BUDGET)
    work = done["customers"] + done["requests"]
    judge("customers and requests refused", f"{others_refused} of {work}", "0", others_refused == 0 < work)
    judge("p99 of gets", f"{read['p99']:.2f} ms", f"<= {GOAL_P99_MS:g} ms", read["p99"] <= GOAL_P99_MS)
    print(
        f"{'gets':<34} {read['gets']:>14,}  p50 {read['p50']:.2f} ms, worst {read['worst']:.1f} ms, stolen {stolen:.1%}"
    )
    for what, count in sorted(refused.items()):
        print(f"  refused {what}: {count}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
