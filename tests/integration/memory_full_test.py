"""A store that fills up: what is refused at which mark, what goes on, and how room is made (D6)."""

import asyncio
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lycosa.procedures import MemoryFull, Procedures, connect
from tests.conftest import Clock, Store
from tests.integration.rest_client import free_port, serving

TENANT = "full"
ANSWER = "Ответ " + "x" * 250_000
MOVE = "require('lycosa.request').configure{request_cold_days = 1}"


@pytest.fixture
def small() -> Iterator[Store]:
    store = Store(Path(f"/tmp/lycosa-{secrets.token_hex(4)}"), LYCOSA_MEMORY_MB="64")
    store.start()
    yield store
    store.stop()
    shutil.rmtree(store.data, ignore_errors=True)


async def append(procedures: Procedures, number: int) -> None:
    await procedures.request_append(
        tenant=TENANT, id=f"r-{number}", kind="analysis", status="done", question="Что?", answer=ANSWER
    )


async def put(procedures: Procedures, identifier: str) -> None:
    await procedures.document_put(tenant=TENANT, documents=[{"id": identifier, "text": "Короткий текст"}])


async def fill(procedures: Procedures) -> tuple[int, int, MemoryFull, MemoryFull]:
    """Append until even that is refused.

    Gives how many requests there were when documents were refused, how many in the end, and both refusals.
    """
    first: tuple[int, MemoryFull] | None = None
    for number in range(500):
        if first is None:
            try:
                await put(procedures, f"d-{number}")
            except MemoryFull as refused:
                first = (number, refused)
        try:
            await append(procedures, number)
        except MemoryFull as refused:
            assert first is not None, "requests were refused before documents"
            return first[0], number, first[1], refused
    raise AssertionError("nothing was refused")


async def test_a_full_store_says_so_reads_on_and_makes_room(small: Store) -> None:
    async with connect(small.settings()) as client:
        procedures, clock = Procedures(client), Clock(client)
        await clock.freeze(time.time() - 10 * 86_400)
        early, stored, document, request = await fill(procedures)
        await clock.release()
    assert (document.kind, document.details["space"]) == ("unavailable", "document")
    assert document.details["limit"] in (50, 80)
    assert (request.kind, request.details["space"]) == ("unavailable", "request")
    assert request.details["limit"] in (97, 100)
    # A tenth of the memory at least is for what cannot be made again.
    assert (stored - early) * len(ANSWER) > 0.01 * 64 * 1_048_576
    small.kill()
    small.start()
    await check_rest(small, stored)
    small.console(MOVE)
    async with connect(small.settings()) as client:
        procedures = Procedures(client)
        await until_accepted(procedures)
        page = await procedures.request_list(tenant=TENANT, limit=1000)
        assert len(page.rows) == stored
        assert (await procedures.request_get(tenant=TENANT, id="r-0")).request.answer == ANSWER


async def check_rest(store: Store, stored: int) -> None:
    """What the surface makes of it: a problem with Retry-After for writes, reads as always."""
    async with serving(store.settings(tenant=TENANT, http_port=free_port())) as rest:
        body = {"documents": [{"id": "d-late", "text": "Короткий текст"}]}
        refused = await rest.post("/v1/documents", json=body)
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["code"] == "MEMORY_FULL"
        assert refused.json()["details"]["space"] == "document"
        page = (await rest.get("/v1/requests", params={"limit": 1000})).json()
        assert len(page["rows"]) == stored
        assert (await rest.get(f"/v1/requests/r-{stored - 1}")).json()["request"]["answer"] == ANSWER


async def until_accepted(procedures: Procedures) -> None:
    """Requests move to disk, and the collector gives their memory back."""
    deadline = time.monotonic() + 15
    while True:
        try:
            await put(procedures, "d-again")
            return
        except MemoryFull:
            assert time.monotonic() < deadline, "no room was made"
            await asyncio.sleep(0.05)
