"""Every look-up over 1,000,000 customers, at a fixed rate and at saturation, beside an empty call.

At a fixed rate (an open loop) a call's latency counts from the moment it was due, so a stall is charged to every call
that it delayed. The median of five rounds is judged; rounds of all look-ups take turns, so that drift meets them all.
Servers and clients have processors of their own, and rounds of which a hypervisor stole more than a little are
repeated: see benchmarks/processors.py. What was stolen in those judged stands beside each figure.
Server time is taken from the server's own figures of the procedure. Saturation (callers that wait for each answer) is
shown and not judged, but for two ratios: generated client to raw call, contract's wrapper to bare function.
"""

import asyncio
import gc
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asynctnt
import uvloop

from benchmarks import processors
from benchmarks.open_loop import Call, open_loop, percentile
from lycosa.procedures import Procedures, connect
from lycosa.settings import Settings
from tests.conftest import Store

CUSTOMERS, QUICK_CUSTOMERS = 1_000_000, 20_000
ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 3.0, 0.3
CALLERS = 64
RATE, PAGE_RATE = 5000, 4000
MEMORY_MB = 2048
TENANT = "bench"
SEED = 20261121

GOAL_TAIL_MS = 10
GOAL_SERVER_MS = 1
GOAL_CLIENT, GOAL_WRAPPER = 0.65, 0.85


class Round(NamedTuple):
    """What was measured in a round. Times in ms; `stolen` is the part of the processors' time that others had."""

    median: float
    tail: float
    server: float
    stolen: float


@dataclass
class Lookup:
    """One kind of call and what was measured of it. Times in ms."""

    name: str
    call: Call
    procedure: str = ""
    rate: int = RATE
    rounds: list[Round] = field(default_factory=list)


def fill(store: Store, count: int) -> None:
    """Make the customers inside the store, through its console. Raises RuntimeError when that fails."""
    script = Path(__file__).with_suffix(".lua")
    with socket.socket(socket.AF_UNIX) as console:
        console.connect(str(store.data / "console.sock"))
        console.sendall(f"return dofile({str(script)!r})({TENANT!r}, {count})\n".encode())
        answer = b""
        while not answer.endswith(b"...\n"):
            part = console.recv(4096)
            if not part:
                break
            answer += part
    if f"- {count}\n" not in answer.decode():
        raise RuntimeError(f"the store was not filled: {answer.decode()}")


async def raw_connection(settings: Settings) -> asynctnt.Connection:
    """asynctnt as the client opens it, without the client."""
    connection = asynctnt.Connection(
        host="unix/",
        port=settings.tarantool_host,
        username=settings.tarantool_user,
        password=settings.store_password(),
        fetch_schema=False,
        auto_refetch_schema=False,
        request_timeout=settings.call_timeout,
        reconnect_timeout=0,
        ping_timeout=0,
    )
    await connection.connect()
    return connection


async def make_lookups(procedures: Procedures, raw: asynctnt.Connection, count: int) -> list[Lookup]:
    """The empty calls and every look-up with random values."""
    source = random.Random(SEED)
    number, page = source.randrange, "customer.find"
    surnames = ["иванов", "петрова", "ёлкин", "SMITH", "orlov", "müller", "кузнецов", "li"]

    def find(by: Any, value: str, **more: Any) -> Awaitable[object]:
        return procedures.customer_find(tenant=TENANT, by=by, value=value, **more)

    async def empty() -> object:
        return await raw.call("lycosa.testing.empty", [])

    cursors = []
    for segment in range(100):
        first = await procedures.customer_find(tenant=TENANT, by="segment", value=f"s{segment}")
        cursors.append((f"s{segment}", first.next))

    def further() -> Awaitable[object]:
        segment, cursor = source.choice(cursors)
        return find("segment", segment, cursor=cursor)

    get, segment_of = procedures.customer_get, procedures.customer_segment
    return [
        Lookup("empty call", empty),
        Lookup("get by id", lambda: get(tenant=TENANT, id=f"c{number(count):07}"), "customer.get"),
        Lookup("find by external id", lambda: find("external_id", f"crm-{number(count)}"), page),
        Lookup("find by email", lambda: find("email", f"user{number(count)}@example.com"), page),
        Lookup(
            "segment figures",
            lambda: segment_of(tenant=TENANT, segment=f"s{number(100)}"),
            "customer.segment",
        ),
        Lookup("empty call, rate of pages", empty, rate=PAGE_RATE),
        Lookup(
            "page of 20 by segment and time",
            lambda: find("segment", f"s{number(100)}", from_=1_600_000_000 + number(100_000_000)),
            page,
            PAGE_RATE,
        ),
        Lookup("next page of 20 by segment", further, page, PAGE_RATE),
        Lookup("page of 20 by tag", lambda: find("tag", f"t{number(50)}"), page, PAGE_RATE),
        Lookup(
            "page of 20 by name prefix",
            lambda: find("name", f"{source.choice(surnames)} {number(10, 100)}"),
            page,
            PAGE_RATE,
        ),
    ]


async def closed_loop(call: Call, seconds: float) -> float:
    """Calls a second of CALLERS callers, each waiting for its answer."""
    until = time.perf_counter() + seconds
    done = 0

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - started)


async def server_seconds(procedures: Procedures, procedure: str) -> tuple[int, float]:
    """Calls of a procedure so far and the seconds spent in them."""
    figures = (await procedures.system_figures()).procedures[procedure]
    return figures.calls, figures.seconds


async def measure(lookup: Lookup, procedures: Procedures, seconds: float) -> None:
    """One round of a look-up at its rate."""
    before = await server_seconds(procedures, lookup.procedure) if lookup.procedure else (0, 0.0)
    stolen = processors.Stolen()
    latencies = await open_loop(lookup.call, lookup.rate, seconds)
    share = stolen.share()
    server = 0.0
    if lookup.procedure:
        calls, spent = await server_seconds(procedures, lookup.procedure)
        server = (spent - before[1]) / (calls - before[0]) * 1000
    lookup.rounds.append(Round(percentile(latencies, 50), percentile(latencies, 99), server, share))


async def measure_all(lookups: list[Lookup], procedures: Procedures, rounds: int, seconds: float) -> None:
    """Rounds of all in turns, and again of those that were disturbed."""
    while left := [lookup for lookup in lookups if not processors.enough(lookup.rounds, rounds)]:
        for lookup in left:
            await measure(lookup, procedures, seconds)


def judge(lookup: Lookup, rounds: int) -> None:
    """Print what was measured at a rate."""
    judged = processors.least_disturbed(lookup.rounds, rounds)
    median, tail, server, stolen = (statistics.median(side) for side in zip(*judged, strict=True))
    line = f"{lookup.name:<32} {lookup.rate:>5}/s  p50 {median:7.3f} ms  p99 {tail:7.3f} ms"
    disturbed = f"{stolen:4.1%} stolen, {len(lookup.rounds)} rounds"
    if not lookup.procedure:
        print(f"{line}  (the floor)  {disturbed}", flush=True)
        return
    verdict = "ok" if tail < GOAL_TAIL_MS and server < GOAL_SERVER_MS else "MISS"
    goal = f"p99 < {GOAL_TAIL_MS} ms, server < {GOAL_SERVER_MS} ms"
    print(f"{line}  server {server:6.4f} ms  {goal}  {verdict}  {disturbed}", flush=True)


async def compare(name: str, ours: Call, theirs: Call, goal: float, rounds: int, seconds: float) -> None:
    """Print the ratio of two calls' saturations, measured in turns."""
    pairs = []
    for _ in range(rounds):
        pairs.append((await closed_loop(ours, seconds), await closed_loop(theirs, seconds)))
    ratio = statistics.median(left / right for left, right in pairs)
    left, right = (statistics.median(side) for side in zip(*pairs, strict=True))
    verdict = "ok" if ratio >= goal else "MISS"
    print(
        f"{name:<44} {left:>9,.0f}/s to {right:>9,.0f}/s  {ratio:6.1%}  >= {goal:.0%}  {verdict}", flush=True
    )


async def ratios(procedures: Procedures, raw: asynctnt.Connection, count: int, quick: bool) -> None:
    """What the generated client and the contract's wrapper cost."""
    source = random.Random(SEED)

    def id() -> str:
        return f"c{source.randrange(count):07}"

    def generated() -> Awaitable[object]:
        return procedures.customer_get(tenant=TENANT, id=id())

    async def wrapped() -> object:
        return await raw.call("lycosa.customer.get", [{"tenant": TENANT, "id": id()}])

    async def bare() -> object:
        return await raw.call("bench_get", [{"tenant": TENANT, "id": id()}])

    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (2 * ROUNDS + 1, 1.0)
    await compare(
        "generated client to raw call, customer.get", generated, wrapped, GOAL_CLIENT, rounds, seconds
    )
    await compare("contract's wrapper to bare function", wrapped, bare, GOAL_WRAPPER, rounds, seconds)


async def main(quick: bool) -> None:
    """Fill, measure at the rates, then at saturation."""
    gc.set_threshold(700, 10, 1000)
    count = QUICK_CUSTOMERS if quick else CUSTOMERS
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    processors.of_servers()
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data), LYCOSA_MEMORY_MB=str(MEMORY_MB))
        store.start()
        processors.of_clients()
        try:
            started = time.perf_counter()
            fill(store, count)
            print(f"{count:,} customers stored in {time.perf_counter() - started:.1f} s", flush=True)
            settings = store.settings()
            raw = await raw_connection(settings)
            async with connect(settings) as client:
                procedures = Procedures(client)
                lookups = await make_lookups(procedures, raw, count)
                gc.freeze()
                for lookup in lookups:
                    await open_loop(lookup.call, lookup.rate, seconds / 3)
                await measure_all(lookups, procedures, rounds, seconds)
                for lookup in lookups:
                    judge(lookup, rounds)
                for lookup in lookups:
                    if lookup.rate == RATE or lookup.procedure:
                        calls = await closed_loop(lookup.call, seconds / 2)
                        print(f"{lookup.name:<32} {CALLERS} callers  {calls:>9,.0f}/s", flush=True)
                await ratios(procedures, raw, count, quick)
            await raw.disconnect()
        finally:
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
