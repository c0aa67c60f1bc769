"""cache.get and cache.set of 1 KiB at 64 callers, beside redis-py plain and coalesced, and beside an empty call.

Sets are judged as the client sends them, coalesced, beside SETEX as it is written; each alone and both coalesced are
shown.

All take turns, each side over a unix socket, each asked by one process on uvloop, and each writes a log before a set is
done (wal_mode = write; appendonly with fsync every second). What one side left to be written to the disk is written
before the other's turn. The median of the rounds' ratios is judged; idle processors are kept awake, and a round that a
hypervisor disturbs is repeated, see benchmarks/processors.py. redis-py is asked as its users write it, and with the
very class that coalesces Lycosa's gets, over MGET (in calls of up to 100 keys, which suits it best). The peer has a
Python environment of its own, made at the first run from benchmarks/peers/redis.txt; redis-server is that of the
distribution.
"""

import asyncio
import gc
import os
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import asynctnt
import uvloop

import lycosa
from benchmarks import processors
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
from benchmarks.lookups import raw_connection
from lycosa.identity import Identity
from lycosa.procedures import CacheItem, Procedures, connect
from lycosa.services.cache import CacheService
from tests.conftest import Store

ROUNDS, QUICK_ROUNDS = 7, 1
SECONDS, QUICK_SECONDS = 1.5, 0.3
CALLERS = 64
KEYS, SIZE, TTL = 1000, 1024, 3600
TENANT = "bench"
SEED = 20261121
GOAL_GET, GOAL_COALESCED, GOAL_EMPTY, GOAL_SET = 4.0, 0.9, 0.6, 4.0

# What the cache mostly holds, and what cannot travel as text.
TEXT = (b'{"page": "' + b"v" * SIZE)[:SIZE]
BYTES = random.Random(SEED).randbytes(SIZE)

Keyed = Callable[[str], Awaitable[object]]
Figures = dict[str, float]


class Round(NamedTuple):
    """One side, then the other where there is one; `stolen` is what a hypervisor gave to others meanwhile, 0 to 1."""

    ours: Figures
    theirs: Figures
    stolen: float


async def fill(procedures: Procedures) -> None:
    """As many keys as the peer has, and as many of bytes."""
    for prefix, value in (("page:", TEXT), ("bytes:", BYTES)):
        for start in range(0, KEYS, 100):
            entries = [
                CacheItem(key=f"{prefix}{number}", value=value, ttl=TTL)
                for number in range(start, start + 100)
            ]
            await procedures.cache_set_many(tenant=TENANT, entries=entries)


def of_callers(keyed: Keyed, prefix: str = "page:") -> Callable[[int], Call]:
    """Every caller asks for keys by chance. An answer that is nothing ends the benchmark."""

    def of_caller(number: int) -> Call:
        chosen = random.Random(SEED + number).randrange

        async def call() -> None:
            if await keyed(f"{prefix}{chosen(KEYS)}") is None:
                raise SystemExit("a key was not there")

        return call

    return of_caller


def calls(
    plain: Procedures, coalescing: Procedures, raw: asynctnt.Connection
) -> dict[str, Callable[[int], Call]]:
    """What is measured, by name: each makes the call of one caller."""
    service, identity = CacheService(coalescing), Identity(TENANT)

    def empty(number: int) -> Call:
        async def call() -> None:
            await raw.call("lycosa.testing.empty", [])

        return call

    return {
        "get": of_callers(lambda key: plain.cache_get(tenant=TENANT, key=key)),
        "coalesced": of_callers(lambda key: coalescing.cache_get(tenant=TENANT, key=key)),
        "empty": empty,
        "set": of_callers(lambda key: plain.cache_set(tenant=TENANT, key=key, value=TEXT, ttl=TTL)),
        "set_coalesced": of_callers(
            lambda key: coalescing.cache_set(tenant=TENANT, key=key, value=TEXT, ttl=TTL)
        ),
        "bytes": of_callers(lambda key: coalescing.cache_get(tenant=TENANT, key=key), "bytes:"),
        "service": of_callers(lambda key: service.get(identity, key)),
    }


def report(ours: dict[str, list[Figures]], theirs: dict[str, list[Figures]]) -> None:
    """The medians, and the ratios with their goals."""
    show("empty call", middle(ours["empty"]), "asynctnt alone: the floor")
    show("cache.get", middle(ours["get"]), "each a call of its own")
    show("redis-py GET", middle(theirs["get"]))
    judge("ratio of gets", middle_ratio(ours["get"], theirs["get"]), GOAL_GET)
    show("cache.get, coalesced", middle(ours["coalesced"]))
    show("redis-py MGET, coalesced", middle(theirs["coalesced"]))
    judge("ratio of coalesced gets", middle_ratio(ours["coalesced"], theirs["coalesced"]), GOAL_COALESCED)
    to_empty = middle(ours["coalesced"])["rate"] / middle(ours["empty"])["rate"]
    judge("coalesced get to empty call", to_empty, GOAL_EMPTY)
    show("cache.set", middle(ours["set_coalesced"]), "as the client does it: coalesced")
    show("cache.set", middle(ours["set"]), "each a call of its own")
    show("redis-py SETEX", middle(theirs["set"]))
    show("redis-py SETEX, coalesced", middle(theirs["set_coalesced"]), "in pipelines")
    judge("ratio of sets", middle_ratio(ours["set_coalesced"], theirs["set"]), GOAL_SET)
    judge("ratio, each a call of its own", middle_ratio(ours["set"], theirs["set"]))
    judge("ratio, both coalesced", middle_ratio(ours["set_coalesced"], theirs["set_coalesced"]))
    show("cache.get of bytes, coalesced", middle(ours["bytes"]))
    show("services.cache.get", middle(ours["service"]), "coalesced")


async def measure(store: Store, peer: Peer, rounds: int, seconds: float) -> None:
    """Rounds of all in turns, then what they came to."""
    raw = await raw_connection(store.settings())
    async with connect(store.settings()) as client:
        plain = Procedures(client, coalesce=False)
        await fill(plain)
        measured = calls(plain, Procedures(client), raw)
        beside = ("get", "coalesced", "set", "set_coalesced")
        gc.freeze()
        done: dict[str, list[Round]] = {name: [] for name in measured}
        process = process_id(store)
        spent, counted = 0.0, 0.0

        async def turn(name: str) -> Round:
            nonlocal spent, counted
            await asyncio.to_thread(os.sync)
            stolen, before = processors.Stolen(), transaction_seconds(process)
            figures = await closed_loop(measured[name], CALLERS, seconds)
            if name == "coalesced":
                spent, counted = spent + transaction_seconds(process) - before, counted + figures["calls"]
            answered = await peer.measure(f"{name} {seconds}") if name in beside else {}
            return Round(figures, answered, stolen.share())

        # The first round warms both sides and is left out.
        for name in measured:
            await turn(name)
        while left := [name for name in measured if not processors.enough(done[name], rounds)]:
            for name in left:
                done[name].append(await turn(name))
        judged = {name: processors.least_disturbed(done[name], rounds) for name in measured}
        report(
            {name: [one.ours for one in judged[name]] for name in measured},
            {name: [one.theirs for one in judged[name]] for name in beside},
        )
        print(f"transaction thread {spent / counted * 1e6:.2f} us a coalesced get", flush=True)
        most = max(one.stolen for name in beside for one in judged[name])
        print(f"of the processors' time {most:.1%} was stolen at the most", flush=True)
    await raw.disconnect()


async def main(quick: bool) -> None:
    """Start both sides and measure."""
    gc.set_threshold(700, 10, 1000)
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    home = Path(lycosa.__file__).parents[1]
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data, redis_server(Path(data)) as address:
        store = Store(Path(data) / "store")
        store.start()
        peer = Peer("redis_cache.py", address, CALLERS, KEYS, SIZE, home)
        try:
            with processors.awake():
                await measure(store, peer, rounds, seconds)
        finally:
            peer.close()
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
