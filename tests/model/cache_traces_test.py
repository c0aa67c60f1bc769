"""Eviction against LRU on skewed traces: the store must hit at least as often, with no more room (B2).

Each trace is asked of the real procedures inside a server whose background steps run as ever: a get, and a set when it
missed. The reference is an LRU of as many entries as the whole budget holds; the store keeps 2 to 4 % of it free.

- Zipf: the trace that the SIEVE paper's repository offers for trying it (Zhang et al., "SIEVE is Simpler than LRU",
  NSDI 2024; made by libCacheSim's data_gen.py with -m 10000 --alpha 1.0), made again: 10,000 objects drawn each
  time with a probability of 1/rank. Of its million requests this is as many as a test has time for.
- Web: a Zipf of popular objects in which every third request is for an object never asked for again, the one-hit
  wonders that the paper names as the mark of web traces, and now and then a scan of many of them in a row.
"""

import random
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from tests.conftest import Store

BUDGET_MB = 8
# A value so large that few requests fill the budget.
VALUE_BYTES = 16_000
REQUESTS = 12_000

ASK = """
local trace, value, hits = ..., ('v'):rep({value_bytes}), 0
for key in io.open(trace):read('*a'):gmatch('%S+') do
    if lycosa.cache.get{{tenant = 'trace', key = key}} ~= nil then
        hits = hits + 1
    else
        lycosa.cache.set{{tenant = 'trace', key = key, value = value, ttl = 3600}}
    end
end
return hits
"""


def zipf(objects: int, alpha: float, numbers: random.Random) -> Callable[[], str]:
    """Draws objects, the first most often."""
    cumulated = list(accumulate(1 / rank**alpha for rank in range(1, objects + 1)))
    ranks = range(objects)
    return lambda: f"o{numbers.choices(ranks, cum_weights=cumulated)[0]}"


def zipf_trace() -> list[str]:
    draw = zipf(10_000, 1.0, random.Random(42))
    return [draw() for _ in range(REQUESTS)]


def web_trace() -> list[str]:
    numbers = random.Random(43)
    draw, made = zipf(2000, 0.9, numbers), 0
    trace: list[str] = []
    while len(trace) < REQUESTS:
        wonders = 300 if numbers.random() < 0.001 else int(numbers.random() < 1 / 3)
        trace += [f"once{made + i}" for i in range(wonders)] or [draw()]
        made += wonders
    return trace


def lru_hits(trace: list[str], capacity: int) -> int:
    held: OrderedDict[str, None] = OrderedDict()
    hits = 0
    for key in trace:
        if key in held:
            hits += 1
            held.move_to_end(key)
        else:
            held[key] = None
            if len(held) > capacity:
                held.popitem(last=False)
    return hits


@pytest.fixture
def small_cache() -> Iterator[Store]:
    data = Path(f"/tmp/lycosa-{secrets.token_hex(4)}")
    store = Store(data, LYCOSA_CACHE_BUDGET_MB=str(BUDGET_MB), LYCOSA_CACHE_SHARE_PERCENT="100")
    store.start()
    yield store
    store.stop()
    shutil.rmtree(data, ignore_errors=True)


def number(answer: str) -> int:
    return int(answer.split("- ", 1)[1].split()[0])


@pytest.mark.parametrize("make_trace", [zipf_trace, web_trace])
def test_eviction_hits_at_least_as_often_as_lru(
    small_cache: Store, make_trace: Callable[[], list[str]]
) -> None:
    trace = make_trace()
    path, script = small_cache.data / "trace", small_cache.data / "ask.lua"
    path.write_text("\n".join(trace))
    script.write_text(ASK.format(value_bytes=VALUE_BYTES))
    hits = number(small_cache.console(f"return loadfile('{script}')('{path}')"))
    held = number(small_cache.console("return lycosa.cache.figures{}.entries"))
    weight = number(
        small_cache.console("local f = lycosa.cache.figures{} return math.floor(f.bytes / f.entries)")
    )
    capacity = BUDGET_MB * 1024 * 1024 // weight
    by_lru = lru_hits(trace, capacity)
    assert held <= capacity
    # Neither all nor nothing fits, so that it matters who is evicted.
    assert len(set(trace)) > 4 * capacity
    assert by_lru > len(trace) / 10
    assert hits >= by_lru, f"hit rates {hits / len(trace):.3f} and {by_lru / len(trace):.3f} of LRU"
