"""Stand-ins as programs of their own: for benchmarks and for tests of several processes."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("name", "key", "price"), [("tavily", "tvly-a", 1), ("perplexity", "pplx-a", 5_000)])
async def test_a_standin_runs_as_a_program_and_is_scripted_from_outside(
    name: str, key: str, price: int
) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.standins.{name}",
        "--latency",
        "0.05",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    try:
        address = (await program.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {key}"}) as caller:
            faults = {"next": [{"status": 503}, None], "always": {"manner": "html"}}
            await caller.put("/standin/faults", json=faults)
            answers = [await caller.post("/search", json={"query": "Acme"}) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [503, 200, 200]
            assert "text/html" in answers[2].headers["content-type"]
            assert answers[1].elapsed.total_seconds() >= 0.05
            await caller.put("/standin/faults", json={"always": None})
            assert (await caller.post("/search", json={"query": "Acme"})).json()["results"]
            ledger = (await caller.get("/standin/ledger")).json()
            account = {"requests": 4, "charged": 2 * price}
            assert ledger == {**account, "keys": {key: account}}
    finally:
        program.terminate()
        await program.wait()
