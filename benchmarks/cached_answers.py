"""Cached analyses over HTTP at a stated load, their p99 beside its goal, and that no model is asked for them.

The server runs as it does in service, in a process of its own on loopback, over the sample data: every customer is
analysed until the answer comes from the cache. Then answers are asked for at a fixed rate (an open loop): a latency
counts from the moment the request was due, so a stall is charged to every request that it delayed. The median of the
rounds is judged. One that does not say `cached` ends the benchmark. What 64 clients reach that wait for each answer is
shown and not judged.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import uvloop

from benchmarks.beside import closed_loop, show
from benchmarks.open_loop import open_loop, percentile
from tests.conftest import ROOT, Store
from tests.integration.rest_client import free_port

ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 5.0, 1.0
# Requests a second, and how many connections carry them.
RATE, CONNECTIONS = 50, 64
# Requirement B4.
GOAL_TAIL_MS = 200
SAMPLES = ROOT / "data" / "samples"


@contextlib.contextmanager
def started(store: Store, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The server's process over a store."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "python"),
        "LYCOSA_DATA": str(store.data),
        "TARANTOOL_HOST": str(store.socket),
        "LYCOSA_HTTP_PORT": str(port),
        "LYCOSA_LLM": "extractive",
        "LYCOSA_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "deploy" / "serve.py")], env=environment, cwd=store.data
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextlib.asynccontextmanager
async def serving(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server, once it is ready. Raises SystemExit when it does not start."""
    port = free_port()
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    base = f"http://127.0.0.1:{port}"
    with started(store, port) as process:
        async with httpx.AsyncClient(base_url=base, limits=limits, timeout=30) as client:
            until = time.monotonic() + 30
            while not await is_ready(client):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit("the server did not start")
                await asyncio.sleep(0.1)
            yield client


async def is_ready(client: httpx.AsyncClient) -> bool:
    """Whether requests are served."""
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def cached(client: httpx.AsyncClient, customer: str) -> bool:
    """Ask for one analysis; whether it came from the cache. Raises SystemExit when it failed."""
    answer = await client.post("/v1/analyses", json={"customer_id": customer})
    if answer.status_code != 200:
        raise SystemExit(f"{answer.status_code}: {answer.text}")
    return bool(answer.json()["cached"])


async def prepare(client: httpx.AsyncClient) -> list[str]:
    """Load the samples and analyse every customer until nothing is new; their ids."""
    for path, kind, media in (
        ("customers.csv", "customers", "text/csv"),
        ("documents.ndjson", "documents", "application/x-ndjson"),
    ):
        answer = await client.post(
            f"/v1/{kind}/import", content=(SAMPLES / path).read_bytes(), headers={"content-type": media}
        )
        answer.raise_for_status()
    rows = (await client.get("/v1/customers?limit=100")).json()["rows"]
    customers = [row["id"] for row in rows]
    until = time.monotonic() + 60
    # Documents are indexed in the background, and an analysis knows when there is something new.
    while not all([await cached(client, customer) for customer in customers]):
        if time.monotonic() > until:
            raise SystemExit("the analyses do not come from the cache")
        await asyncio.sleep(0.2)
    return customers


async def measure(client: httpx.AsyncClient, customers: list[str], rounds: int, seconds: float) -> None:
    """At the stated rate, then with clients that wait."""
    asked = 0

    async def call() -> None:
        nonlocal asked
        asked += 1
        if not await cached(client, customers[asked % len(customers)]):
            raise SystemExit("an analysis did not come from the cache")

    await open_loop(call, RATE, seconds / 2)
    latencies = [await open_loop(call, RATE, seconds) for _ in range(rounds)]
    median, tail = (statistics.median(percentile(one, percent) for one in latencies) for percent in (50, 99))
    verdict = "ok" if tail < GOAL_TAIL_MS else "MISS"
    print(
        f"{'cached analysis over HTTP':<34} {RATE:>9,}/s  p50 {median:6.2f} ms  p99 {tail:6.2f} ms  "
        f"p99 < {GOAL_TAIL_MS} ms  {verdict}",
        flush=True,
    )
    show("64 clients that wait", await closed_loop(lambda _: call, CONNECTIONS, seconds))
    print(f"all {asked:,} answers came from the cache", flush=True)


async def main(quick: bool) -> None:
    """Start the pair, load, measure."""
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data))
        store.start()
        try:
            async with serving(store) as client:
                customers = await prepare(client)
                await measure(client, customers, rounds, seconds)
        finally:
            store.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--quick" in sys.argv))
