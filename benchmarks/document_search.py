"""Search over 100,000 documents by words that stand in a third of them and more.

The corpus obeys Zipf's law and comes from a fixed seed. Loaded by document.put, indexed by the background, then
searched in an open loop: a call's latency counts from the moment it was due. How long a search holds the server is
taken from the server's own figures of the procedure; the ranking is compared with brute force over all documents.
Rounds of which a hypervisor stole more than a little are repeated: see benchmarks/processors.py.
"""

import asyncio
import gc
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, combinations
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks import processors
from benchmarks.open_loop import open_loop, percentile
from lycosa.procedures import DocumentHit, Procedures, connect
from tests.conftest import Store

SEED = 20261121
DOCUMENTS, QUICK_DOCUMENTS = 100_000, 3_000
WORDS = 50_000
RATE = 200
SECONDS, QUICK_SECONDS = 5.0, 1.0
ROUNDS, QUICK_ROUNDS = 5, 1
SAMPLE = 30
TENANT = "bench"
# A word is common when it stands in at least this share of the documents.
COMMON = 0.3
MEMORY_MB = 1024
K1, B = 1.2, 0.75

Corpus = list[list[str]]


def make_corpus(documents: int) -> Corpus:
    """Texts of 60 to 179 words each; the n-th word is about n times rarer than the first."""
    source = random.Random(SEED)
    words = [f"w{rank}" for rank in range(WORDS)]
    weights = list(accumulate(1 / (rank + 2.7) ** 1.07 for rank in range(1, WORDS + 1)))
    return [source.choices(words, cum_weights=weights, k=source.randrange(60, 180)) for _ in range(documents)]


def make_queries(corpus: Corpus) -> tuple[list[str], dict[str, int]]:
    """All pairs and triples of the ten rarest common words, and in how many documents each stands."""
    holding = Counter(word for text in corpus for word in set(text))
    common = [word for word, count in holding.most_common() if count >= COMMON * len(corpus)][-10:]
    queries = [" ".join(words) for size in (2, 3) for words in combinations(common, size)]
    random.Random(SEED).shuffle(queries)
    return queries, {word: holding[word] for word in common}


def brute_force(corpus: Corpus, holding: dict[str, int], query: str) -> list[str]:
    """Ids of the ten best by the formula of the manual, equal ones in the order of storing."""
    mean = sum(map(len, corpus)) / len(corpus)
    count = len(corpus)
    weights = {
        term: math.log(1 + (count - holding[term] + 0.5) / (holding[term] + 0.5)) * (K1 + 1)
        for term in query.split()
    }
    scores = []
    for number, text in enumerate(corpus):
        score = 0.0
        for term, weight in weights.items():
            if frequency := text.count(term):
                share = weight * frequency / (frequency + K1 * (1 - B + B * len(text) / mean))
                score += round(share * 2**20) / 2**20
        scores.append((-score, number))
    return [f"d{number}" for score, number in sorted(scores)[:10] if score < 0]


async def load(procedures: Procedures, corpus: Corpus) -> tuple[float, float]:
    """Put everything and wait for the index. Returns the seconds of both."""
    started = time.perf_counter()
    for first in range(0, len(corpus), 100):
        rows = enumerate(corpus[first : first + 100], first)
        outcomes = await procedures.document_put(
            tenant=TENANT, documents=[{"id": f"d{number}", "text": " ".join(text)} for number, text in rows]
        )
        if any(outcome.outcome != "inserted" for outcome in outcomes):
            raise RuntimeError("a document was not inserted")
    put = time.perf_counter() - started
    while (await procedures.document_figures(tenant=TENANT)).waiting:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.05)
    return put, time.perf_counter() - started


async def search(procedures: Procedures, query: str) -> list[DocumentHit]:
    """The ten best, as a user gets them. Raises RuntimeError if the search was cut short."""
    answer = await procedures.document_search(tenant=TENANT, query=query, timeout=10)
    if answer.bounded:
        raise RuntimeError(f"{query} reached the bound")
    return answer.hits


def endless(queries: list[str]) -> Iterator[str]:
    """The queries again and again."""
    while True:
        yield from queries


def row(figure: str, value: str, goal: str = "", met: bool | None = None) -> None:
    """Print one figure with its goal."""
    verdict = "" if met is None else "ok" if met else "MISS"
    print(f"{figure:<58} {value:>14}  {goal:<12} {verdict}", flush=True)


class Round(NamedTuple):
    """What was measured in a round. Times in ms; `stolen` is the part of the processors' time that others had."""

    empty: float
    median: float
    tail: float
    server: float
    stolen: float


async def measure(procedures: Procedures, queries: list[str], rounds: int, seconds: float) -> None:
    """Rounds of the open loop; the median round is judged. A call that does nothing shows what the machine adds."""
    source = endless(queries)

    async def one_search() -> None:
        await search(procedures, next(source))

    await open_loop(one_search, RATE, 1.0)
    measured: list[Round] = []
    while not processors.enough(measured, rounds):
        stolen = processors.Stolen()
        empty = await open_loop(procedures.system_health, RATE, seconds / 2)
        before = (await procedures.system_figures()).procedures["document.search"]
        latencies = await open_loop(one_search, RATE, seconds)
        after = (await procedures.system_figures()).procedures["document.search"]
        held = (after.seconds - before.seconds) / (after.calls - before.calls) * 1000
        tails = percentile(empty, 99), percentile(latencies, 50), percentile(latencies, 99)
        measured.append(Round(*tails, held, stolen.share()))
    judged = processors.least_disturbed(measured, rounds)
    empty_tail, median, tail, held, share = (statistics.median(side) for side in zip(*judged, strict=True))
    row(f"empty call at {RATE}/s, open loop, p99", f"{empty_tail:.2f} ms")
    row(f"search at {RATE}/s, open loop, p50", f"{median:.2f} ms")
    row(f"search at {RATE}/s, open loop, p99", f"{tail:.2f} ms", "< 10 ms", tail < 10)
    row("server held a search, mean", f"{held:.2f} ms", "< 3 ms", held < 3)
    row("stolen by a hypervisor meanwhile", f"{share:.1%}", f"{len(measured)} rounds")


async def compare(
    procedures: Procedures, corpus: Corpus, queries: list[str], holding: dict[str, int]
) -> None:
    """Top tens of a sample against brute force."""
    equal = 0
    for query in queries:
        hits = [hit.id for hit in await search(procedures, query)]
        equal += hits == brute_force(corpus, holding, query)
    row("top ten equal to brute force", f"{equal}/{len(queries)}", "all", equal == len(queries))


async def main(quick: bool) -> None:
    """Load, measure, compare."""
    gc.set_threshold(700, 10, 1000)
    count = QUICK_DOCUMENTS if quick else DOCUMENTS
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    corpus = make_corpus(count)
    queries, holding = make_queries(corpus)
    processors.of_servers()
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data), LYCOSA_MEMORY_MB=str(MEMORY_MB))
        store.start()
        processors.of_clients()
        try:
            async with connect(store.settings()) as client:
                procedures = Procedures(client)
                put, indexed = await load(procedures, corpus)
                figures = await procedures.document_figures(tenant=TENANT)
                shares = sorted(100 * held / count for held in holding.values())
                row("documents", f"{figures.documents:,}")
                row("words of the queries stand in", f"{shares[0]:.0f}-{shares[-1]:.0f} %")
                row("put, 100 documents a call", f"{count / put:,.0f}/s")
                row("put and indexed", f"{count / indexed:,.0f}/s")
                spaces = {space.name: space for space in (await procedures.system_figures()).spaces}
                size = (spaces["document_posting"].bytes + spaces["document_term"].bytes) / figures.postings
                row("bytes a posting, rows of blocks and terms included", f"{size:.1f}", "<= 12", size <= 12)
                await measure(procedures, queries, rounds, seconds)
                await compare(procedures, corpus, queries[:SAMPLE], holding)
        finally:
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
