"""Imports over HTTP when something goes away meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from lycosa.services import imports
from tests.conftest import Store
from tests.integration.rest_client import free_port, lines, serving

CSV = {"content-type": "text/csv"}


def rows(first: int, last: int) -> bytes:
    return "".join(f"c-{number},Клиент {number}\n" for number in range(first, last)).encode()


async def post(rest: httpx.AsyncClient, body: AsyncIterator[bytes]) -> httpx.Response:
    return await rest.post("/v1/customers/import", content=body, headers=CSV)


async def test_a_store_that_restarts_costs_no_row(own_server: Store) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"id,name\n" + rows(0, 2_500)
        await asyncio.sleep(0.3)
        own_server.kill()
        yield rows(2_500, 6_500)
        await asyncio.sleep(0.5)
        own_server.start()
        yield rows(6_500, 8_000)

    async with serving(own_server.settings(http_port=free_port())) as rest:
        await rest.get("/readyz")
        *outcomes, summary = lines(await post(rest, body()))
        assert [outcome["row"] for outcome in outcomes] == list(range(1, 8_001))
        # A batch whose answer was lost is sent again and finds its rows stored.
        assert set(summary["outcomes"]) <= {"inserted", "unchanged"}
        assert summary["rows"] == 8_000
        (segment,) = (await rest.get("/v1/segments")).json()["rows"]
        assert segment["customers"] == 8_000


async def test_a_store_that_stays_away_ends_the_import(
    own_server: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_RETRY_FOR", 0.5)

    async def body() -> AsyncIterator[bytes]:
        yield b"id,name\n" + rows(0, 1_000)
        await asyncio.sleep(0.3)
        own_server.kill()
        yield rows(1_000, 5_000)

    async with serving(own_server.settings(http_port=free_port(), call_timeout=0.5)) as rest:
        await rest.get("/readyz")
        answer = await post(rest, body())
        assert answer.status_code == 200
        *outcomes, last = lines(answer)
        # Whole batches: all of those before the kill on a machine that is fast enough.
        assert len(outcomes) % 250 == 0
        assert [outcome["outcome"] for outcome in outcomes] == ["inserted"] * len(outcomes)
        assert 0 < len(outcomes) <= 1_000
        assert (last["status"], last["kind"]) == (503, "unavailable")
        assert last["details"]["row"] == len(outcomes) + 1
        assert last["request_id"] == answer.headers["x-request-id"]
        own_server.start()


async def test_a_client_that_hangs_up_leaves_whole_batches(server: Store, tenant: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"id,name\n" + rows(0, 3_600)
        await asyncio.sleep(0.3)
        raise OSError("the cable was pulled")

    async with serving(server.settings(tenant=tenant, http_port=free_port())) as rest:
        with pytest.raises((OSError, httpx.HTTPError)):
            await post(rest, body())
        for _ in range(200):
            importing = [task for task in asyncio.all_tasks() if task.get_name() == "lycosa-import"]
            (segment,) = (await rest.get("/v1/segments")).json()["rows"]
            if segment["customers"] == 3_500 and not importing:
                break
            await asyncio.sleep(0.02)
        assert segment["customers"] == 3_500
        assert not importing


async def test_a_client_that_reads_late_gets_everything(server: Store, tenant: str) -> None:
    """Nothing is read before the whole body is sent, and far more comes than any buffer holds."""

    async def body() -> AsyncIterator[bytes]:
        yield b"id,name\n"
        for first in range(0, 60_000, 1_000):
            # Each row is refused, so that the store has no work.
            yield b"".join(b"x%d\n" % number for number in range(first, first + 1_000))

    async with serving(server.settings(tenant=tenant, http_port=free_port())) as rest:
        answer = await asyncio.wait_for(post(rest, body()), 60)
        *outcomes, summary = lines(answer)
        assert summary["outcomes"] == {"invalid": 60_000}
        assert len(answer.content) > 5_000_000
        assert outcomes[-1]["line"] == 60_001
