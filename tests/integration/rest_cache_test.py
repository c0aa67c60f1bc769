"""/v1/cache over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from lycosa.procedures import CacheItem, Procedures
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving
from tests.integration.rest_errors_test import problem


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


async def fill(procedures: Procedures, tenant: str, count: int, prefix: str, tag: str) -> None:
    for start in range(0, count, 100):
        entries = [
            CacheItem(key=f"{prefix}{number}", value=b"1", ttl=60, tags=[tag])
            for number in range(start, min(start + 100, count))
        ]
        await procedures.cache_set_many(tenant=tenant, entries=entries)


async def test_figures_are_of_the_tenant(
    rest: httpx.AsyncClient, procedures: Procedures, tenant: str
) -> None:
    empty = (await rest.get("/v1/cache")).json()
    assert (empty["entries"], empty["bytes"], empty["hit_rate"]) == (0, 0, None)
    assert empty["budget"] > 1_000_000
    await fill(procedures, tenant, 3, "цены:", "prices")
    await fill(procedures, f"{tenant}-other", 2, "цены:", "prices")
    for key in ("цены:0", "цены:1", "цены:1", "none"):
        await procedures.cache_get(tenant=tenant, key=key)
    figures = (await rest.get("/v1/cache")).json()
    assert figures["bytes"] > 3 * 72
    assert {name: figures[name] for name in ("entries", "hits", "stale_hits", "misses", "hit_rate")} == {
        "entries": 3, "hits": 3, "stale_hits": 0, "misses": 1, "hit_rate": 0.75,
    }  # fmt: skip


async def test_invalidation_by_tag_and_prefix_is_bounded_and_goes_on(
    rest: httpx.AsyncClient, procedures: Procedures, tenant: str
) -> None:
    await fill(procedures, tenant, 1500, "a:", "первый")
    await fill(procedures, tenant, 20, "b:", "second")
    wanted = {"prefix": "a:", "limit": 1200}
    assert (await rest.post("/v1/cache/invalidate", json=wanted)).json() == {"deleted": 1200, "more": True}
    again = await rest.post("/v1/cache/invalidate", json={"tag": "первый"})
    assert again.json() == {"deleted": 300, "more": False}
    assert (await rest.post("/v1/cache/invalidate", json={"tag": "первый"})).json()["deleted"] == 0
    figures = (await rest.get("/v1/cache")).json()
    assert (figures["entries"], figures["invalidated"]) == (20, 1500)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tag"), ({"tag": "a", "prefix": "b"}, "tag"), ({"prefix": ""}, "prefix"), ({"tag": "x" * 129}, "tag"),
        ({"tag": "a", "limit": 0}, "limit"), ({"tag": "a", "limit": 100_001}, "limit"), ({"key": "a"}, "key"),
    ],
)  # fmt: skip
async def test_a_wrong_invalidation_names_its_field(
    rest: httpx.AsyncClient, procedures: Procedures, tenant: str, body: dict[str, object], field: str
) -> None:
    await fill(procedures, tenant, 1, "a", "a")
    found = problem(await rest.post("/v1/cache/invalidate", json=body), 422, "INVALID_ARGUMENT")
    assert field in (found["details"].get("argument"), found["details"].get("field"))
    assert (await rest.get("/v1/cache")).json()["entries"] == 1


async def test_both_are_documented(rest: httpx.AsyncClient) -> None:
    paths = (await rest.get("/openapi.json")).json()["paths"]
    assert paths["/v1/cache"].keys() == {"get"}
    assert paths["/v1/cache/invalidate"]["post"]["operationId"] == "invalidate_cache"
