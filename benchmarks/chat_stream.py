"""Chat messages at 1,000 a second: how many a write transaction holds, and how long the oldest unwritten one waits.

One process appends through the service over fifty sessions; transactions are counted by the store. Then the same with
other gathering times (what a kill may cost, against the number of writes), and how fast 64 callers append who each wait
until their message is in the store.
"""

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.beside import Call, closed_loop, show
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services.sessions import Message, SessionService
from tests.conftest import Store

SECONDS, QUICK_SECONDS = 20.0, 4.0
RATE, SESSIONS, CALLERS = 1_000, 50, 64
GATHERED = (0.1, 0.3, 0.65, 0.9)
GOAL_APPENDS, GOAL_SECONDS = 500.0, 1.0
IDENTITY = Identity("bench")
TEXT = "Здравствуйте, где мой заказ? " * 5


class Streamed(NamedTuple):
    """What a stream came to: messages, transactions, and ages of the oldest unwritten message in seconds."""

    messages: int
    writes: int
    p99: float
    worst: float


async def written(procedures: Procedures) -> tuple[int, float]:
    """Calls of session.append that the store has seen, and the messages."""
    figures = await procedures.system_figures()
    calls = figures.procedures.get("session.append")
    return calls.calls if calls else 0, figures.counters.get("session.appended", 0)


async def stream(procedures: Procedures, sessions: SessionService, seconds: float) -> Streamed:
    """Append at the rate, looking every 10 ms at what waits. The writer gets up to its pace before it is counted."""
    ages: list[float] = []
    began, number, before = time.perf_counter(), 0, None
    while (now := time.perf_counter() - began) < seconds + 2:
        if before is None and now > 2:
            before = await written(procedures)
        while number < now * RATE:
            await sessions.append(IDENTITY, f"s{number % SESSIONS}", [Message("user", TEXT)])
            number += 1
        if before is not None:
            ages.append(sessions.figures().oldest_seconds)
        await asyncio.sleep(0.01)
    after = await written(procedures)
    assert before is not None
    ages.sort()
    return Streamed(int(after[1] - before[1]), after[0] - before[0], ages[len(ages) * 99 // 100], ages[-1])


def tell(name: str, found: Streamed) -> None:
    """One row of figures."""
    each = found.messages / max(1, found.writes)
    print(
        f"{name:<34} {each:>9.0f} messages a transaction  oldest p99 {found.p99:5.3f} s  worst {found.worst:5.3f} s",
        flush=True,
    )


async def measure(store: Store, seconds: float) -> None:
    """The stream with the usual settings, with others, and callers who wait."""
    async with connect(store.settings()) as client:
        procedures = Procedures(client)
        usual = SessionService(procedures, store.settings())
        found = await stream(procedures, usual, seconds)
        await usual.aclose()
        tell("as it is set", found)
        each = found.messages / max(1, found.writes)
        print(
            f"{'messages a transaction':<34} {each:>9.0f}    >= {GOAL_APPENDS:g}  {verdict(each >= GOAL_APPENDS)}"
        )
        print(
            f"{'oldest unwritten, worst, s':<34} {found.worst:>9.3f}    < {GOAL_SECONDS:g}  "
            f"{verdict(found.worst < GOAL_SECONDS)}"
        )
        for most in GATHERED:
            sessions = SessionService(procedures, store.settings(session_write_most=most))
            tell(f"gathered for {most:g} s", await stream(procedures, sessions, seconds / 4))
            await sessions.aclose()
        durable = SessionService(procedures, store.settings())

        def of_caller(number: int) -> Call:
            async def call() -> None:
                message = [Message("user", TEXT)]
                await durable.append(IDENTITY, f"d{number}", message, durable=True)

            return call

        before = durable.figures()
        show(
            "durable appends",
            await closed_loop(of_caller, CALLERS, seconds / 4),
            f"{CALLERS} callers who wait",
        )
        after = durable.figures()
        each = (after.appended - before.appended) / max(1, after.writes - before.writes)
        print(f"{'durable appends a transaction':<34} {each:>9.0f}")
        await durable.aclose()


def verdict(is_met: bool) -> str:
    """ok or MISS."""
    return "ok" if is_met else "MISS"


async def main(quick: bool) -> None:
    """Start a store and measure."""
    gc.set_threshold(700, 10, 1000)
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data) / "store")
        store.start()
        try:
            await measure(store, QUICK_SECONDS if quick else SECONDS)
        finally:
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
