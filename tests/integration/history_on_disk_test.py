"""The history over every surface while a part of it is on disk, and what a scrape tells of it."""

import asyncio
import json
import re
import time

import httpx
from typer.testing import CliRunner

from lycosa.cli.main import app
from lycosa.procedures import Procedures, connect
from tests.conftest import Clock, Store, until
from tests.integration.rest_client import free_port, serving

TENANT = "history"
NAMES = [f"r-{number}" for number in range(10)]
ON_DISK = 6


async def fill(store: Store) -> None:
    """Six requests older than two days, four younger; all of one customer."""
    async with connect(store.settings()) as client:
        procedures, clock = Procedures(client), Clock(client)
        await procedures.customer_upsert(tenant=TENANT, rows=[{"id": "c-1", "name": "Ромашка"}])
        for number, name in enumerate(NAMES):
            await clock.freeze(time.time() - (4 if number < ON_DISK else 1) * 86_400 + number)
            await procedures.request_append(
                tenant=TENANT,
                id=name,
                customer_id="c-1",
                kind="analysis",
                status="failed" if number % 2 else "done",
                question="Как дела?",
                answer=f"Ответ {name}",
                cost_microusd=5,
                sources=[{"kind": "document", "ref": f"d-{number}", "title": "Заметка", "quote": name}],
            )
        await clock.release()
    store.console("require('lycosa.request').configure{request_cold_days = 2}")
    rest = f"return box.space.request:len() == {len(NAMES) - ON_DISK}"
    await until(lambda: "true" in store.console(rest))


async def pages(rest: httpx.AsyncClient, **query: str) -> list[str]:
    """Ids of all pages, and of the way back."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await rest.get("/v1/requests", params={"limit": "3", **query, **cursor})).json()
        names += [row["id"] for row in page["rows"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    back = [row["id"] for row in page["rows"]]
    while page["previous"] is not None:
        page = (
            await rest.get("/v1/requests", params={"limit": "3", **query, "cursor": page["previous"]})
        ).json()
        back = [row["id"] for row in page["rows"]] + back
    assert back == names
    return names


def run(store: Store, *words: str) -> dict[str, object]:
    environment = {
        "LYCOSA_DATA": str(store.data),
        "TARANTOOL_HOST": str(store.socket),
        "LYCOSA_TENANT": TENANT,
        "LYCOSA_LLM": "extractive",
    }
    result = CliRunner(env=environment).invoke(app, [*words, "--json"], prog_name="lycosa")
    assert result.exit_code == 0, result.output
    shown: dict[str, object] = json.loads(result.stdout)
    return shown


async def test_all_surfaces_see_memory_and_disk(own_server: Store) -> None:
    await fill(own_server)
    newest_first = NAMES[::-1]
    async with serving(own_server.settings(tenant=TENANT, http_port=free_port())) as rest:
        assert await pages(rest) == newest_first
        assert await pages(rest, order="asc") == NAMES
        assert await pages(rest, customer_id="c-1") == newest_first
        assert await pages(rest, status="failed") == newest_first[::2]
        for name in NAMES:
            found = (await rest.get(f"/v1/requests/{name}")).json()
            assert found["request"]["answer"] == f"Ответ {name}"
            assert [source["quote"] for source in found["sources"]] == [name]
        assert (await rest.get("/v1/requests/totals")).json()["cost_microusd"] == 5 * len(NAMES)
        own_server.console(
            "local g = require('lycosa.core.memory.growth') g.forget() g.note(0, 0) g.note(100, 100000)"
        )
        check_figures((await rest.get("/metrics")).text)


async def test_the_command_line_sees_memory_and_disk(own_server: Store) -> None:
    await fill(own_server)
    shown = await in_thread(own_server, "requests", "list", "--customer", "c-1")
    assert [row["id"] for row in shown["rows"]] == NAMES[::-1]  # type: ignore[attr-defined]
    found = await in_thread(own_server, "requests", "get", NAMES[0])
    assert found["request"]["answer"] == "Ответ r-0"  # type: ignore[index]
    assert len(found["sources"]) == 1  # type: ignore[arg-type]


async def in_thread(store: Store, *words: str) -> dict[str, object]:
    """A command runs an event loop of its own."""
    return await asyncio.to_thread(run, store, *words)


def check_figures(text: str) -> None:
    """Bytes of spaces, free bytes by size of rows, and the time to full."""
    figures = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M))
    assert float(figures['lycosa_store_space_rows{space="request"}']) == len(NAMES) - ON_DISK
    for space in ("request", "request_cold", "request_source", "customer"):
        assert float(figures[f'lycosa_store_space_bytes{{space="{space}"}}']) > 0
    assert float(figures['lycosa_store_space_index_bytes{space="request"}']) > 0
    assert float(figures["lycosa_store_memory_vinyl_bytes"]) > 0
    assert float(figures["lycosa_store_memory_growth_bytes_per_second"]) > 0
    assert float(figures["lycosa_store_memory_seconds_to_full"]) > 0
    sizes = {
        name: float(value) for name, value in figures.items() if name.startswith("lycosa_store_size_class_")
    }
    free = sum(value for name, value in sizes.items() if "_free_bytes" in name)
    used = sum(value for name, value in sizes.items() if "_used_bytes" in name)
    assert 0 < free < float(figures["lycosa_store_memory_quota_bytes"])
    assert used > 0
    assert any("_slabs{" in name and value > 0 for name, value in sizes.items())
    assert float(figures["lycosa_store_request_moved_total"]) == ON_DISK
