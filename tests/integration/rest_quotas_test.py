"""/v1/quotas and routes that take from them, over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from lycosa.errors import Invalid
from lycosa.procedures import Procedures, UtcOffsetInput
from lycosa.rest.app import create_app
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.requiring import QuotaLeft, RequireQuota
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving
from tests.integration.rest_errors_test import problem

Search = Annotated[QuotaLeft, Depends(RequireQuota("search"))]
Spent = Annotated[QuotaLeft, Depends(RequireQuota("поиск, USD", Decimal("0.50"), scale=2))]

shop = APIRouter(route_class=JsonRoute)


@shop.get("/search")
@needs("spend")
async def search(left: Search) -> dict[str, str]:
    return {"left": str(left.left), "limit": str(left.limit)}


@shop.get("/spend", dependencies=[Depends(RequireQuota("search"))])
@needs("spend")
async def spend(left: Spent) -> Response:
    # A response of the route's own: its headers have to be there, too.
    return JSONResponse({"left": str(left.left)}, headers={"x-own": "1"})


@shop.get("/open", dependencies=[Depends(RequireQuota("nobody-defined", optional=True))])
@needs("spend")
async def for_all() -> dict[str, str]:
    return {}


@shop.get("/closed", dependencies=[Depends(RequireQuota("nobody-defined"))])
@needs("spend")
async def for_nobody() -> dict[str, str]:
    return {}


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


@contextlib.asynccontextmanager
async def protected(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application with routes of somebody's own beside ours."""
    app = create_app(server.settings(tenant=tenant))
    app.include_router(shop)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


USD = {
    "kind": "window",
    "window": "month",
    "amount": "25.00",
    "scale": 2,
    "unit": "USD",
    "time_zone": "Europe/Moscow",
}


async def test_a_limit_is_defined_listed_reported_reset_and_removed(
    rest: httpx.AsyncClient, procedures: Procedures, tenant: str
) -> None:
    answer = await rest.put("/v1/quotas/usd.month", json=USD)
    assert answer.status_code == 200, answer.text
    defined = answer.json()
    assert {name: defined[name] for name in USD} == USD
    assert (defined["quota"], defined["burst"], defined["shadow"]) == ("usd.month", None, False)
    await procedures.quota_take(tenant=tenant, claims=[{"quota": "usd.month", "amount": 2001}])
    report = (await rest.get("/v1/quotas/usd.month")).json()
    assert [report[name] for name in ("limit", "used", "reserved", "unknown", "left", "over")] == [
        "25.00", "20.01", "0.00", "0.00", "4.99", "0.00",
    ]  # fmt: skip
    assert (report["near"], report["near_count"], report["unit"]) == (True, 1, "USD")
    # A change keeps what is counted.
    await rest.put("/v1/quotas/usd.month", json=USD | {"amount": 20})
    report = (await rest.get("/v1/quotas/usd.month")).json()
    assert (report["limit"], report["left"], report["over"]) == ("20.00", "0.00", "0.01")
    report = (await rest.post("/v1/quotas/usd.month/reset")).json()
    assert (report["used"], report["left"]) == ("0.00", "20.00")
    assert [row["quota"] for row in (await rest.get("/v1/quotas")).json()["rows"]] == ["usd.month"]
    assert (await rest.delete("/v1/quotas/usd.month")).status_code == 204
    problem(await rest.delete("/v1/quotas/usd.month"), 404, "QUOTA_UNKNOWN")
    problem(await rest.get("/v1/quotas/usd.month"), 404, "QUOTA_UNKNOWN")
    problem(await rest.post("/v1/quotas/usd.month/reset"), 404, "QUOTA_UNKNOWN")


async def test_pages_of_limits_and_reports(rest: httpx.AsyncClient) -> None:
    for number in range(5):
        rate = {"kind": "rate", "amount": number + 1, "period": 1.5, "burst": "9"}
        assert (await rest.put(f"/v1/quotas/предел-{number}", json=rate)).status_code == 200
    for path in ("/v1/quotas", "/v1/quota-reports"):
        names, cursor = [], None
        while True:
            page = (await rest.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
            names += [row["quota"] for row in page["rows"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert names == [f"предел-{number}" for number in range(5)]
    first = (await rest.get("/v1/quotas", params={"limit": 1})).json()["rows"][0]
    assert (first["amount"], first["burst"], first["period"], first["window"]) == ("1", "9", 1.5, None)
    problem(await rest.get("/v1/quotas?limit=101"), 422, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "0.005"}, "amount"), ({"amount": "NaN"}, "amount"), ({"amount": -1}, "amount"),
        ({"amount": "1E+400"}, "amount"), ({"amount": "10000000000000.01"}, "amount"), ({"scale": 10}, "scale"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"), ({"window": "week"}, "window"), ({"period": 1}, "period"),
        ({"burst": "0.5"}, "burst"), ({"colour": "red"}, "colour"), ({"kind": "rate", "window": None}, "time_zone"),
    ],
)  # fmt: skip
async def test_a_wrong_definition_names_its_field(
    rest: httpx.AsyncClient, change: dict[str, object], field: str
) -> None:
    found = problem(await rest.put("/v1/quotas/usd", json=USD | change), 422, "INVALID_ARGUMENT")
    assert field in (found["details"].get("argument"), found["details"].get("field"))
    assert (await rest.get("/v1/quotas")).json()["rows"] == []


async def test_a_burst_is_as_exact_as_the_amount(rest: httpx.AsyncClient) -> None:
    rate = {"kind": "rate", "amount": "1.5", "period": 60, "burst": "0.25", "scale": 1}
    found = problem(await rest.put("/v1/quotas/r", json=rate), 422, "INVALID_ARGUMENT")
    assert found["details"]["argument"] == "burst"


async def test_kind_and_scale_stay(rest: httpx.AsyncClient) -> None:
    await rest.put("/v1/quotas/usd", json=USD)
    problem(await rest.put("/v1/quotas/usd", json=USD | {"scale": 3}), 409, "QUOTA_KIND_FIXED")


async def test_a_limit_that_is_held_is_not_removed(
    rest: httpx.AsyncClient, procedures: Procedures, tenant: str
) -> None:
    await rest.put("/v1/quotas/usd", json=USD)
    claims = [{"quota": "usd", "amount": 150}]
    await procedures.quota_reserve(tenant=tenant, id="r", claims=claims, lease=60)  # type: ignore[arg-type]
    assert (await rest.get("/v1/quotas/usd")).json()["reserved"] == "1.50"
    problem(await rest.delete("/v1/quotas/usd"), 409, "QUOTA_IN_USE")


async def test_a_route_takes_and_tells_what_is_left(server: Store, tenant: str) -> None:
    async with protected(server, tenant) as rest:
        await rest.put("/v1/quotas/search", json={"kind": "rate", "amount": 3, "period": 3600})
        answers = [await rest.get("/search") for _ in range(3)]
        assert [answer.json() for answer in answers] == [{"left": f"{n}", "limit": "3"} for n in (2, 1, 0)]
        assert answers[0].headers["ratelimit-policy"] == '"search";q=3'
        assert [answer.headers["ratelimit"].split(";t=")[0] for answer in answers] == [
            f'"search";r={left}' for left in (2, 1, 0)
        ]
        assert 1190 <= int(answers[0].headers["ratelimit"].split(";t=")[1]) <= 1201
        refused = await rest.get("/search")
        found = problem(refused, 429, "QUOTA_EXCEEDED")
        assert found["kind"] == "exhausted"
        assert found["details"]["quota"] == "search"
        assert (found["details"]["left"], found["details"]["limit"]) == ("0", "3")
        assert 1100 < int(refused.headers["retry-after"]) <= 1201
        assert refused.headers["ratelimit"].startswith('"search";r=0;t=')
        assert refused.headers["ratelimit-policy"] == '"search";q=3'


async def test_a_route_takes_money_and_says_it_in_decimals(server: Store, tenant: str) -> None:
    async with protected(server, tenant) as rest:
        await rest.put("/v1/quotas/search", json={"kind": "rate", "amount": 100, "period": 1})
        await rest.put(
            "/v1/quotas/поиск, USD", json={"kind": "window", "window": "total", "amount": "1.20", "scale": 2}
        )
        answer = await rest.get("/spend")
        assert answer.json() == {"left": "0.70"}
        assert answer.headers["x-own"] == "1"
        name = '"%D0%BF%D0%BE%D0%B8%D1%81%D0%BA, USD"'
        assert answer.headers.get_list("ratelimit-policy") == ['"search";q=100', f"{name};q=120"]
        assert answer.headers.get_list("ratelimit")[1] == f"{name};r=70"
        await rest.get("/spend")
        refused = await rest.get("/spend")
        found = problem(refused, 429, "QUOTA_EXCEEDED")
        assert found["detail"] == "quota поиск, USD has 0.20 of 1.20 left, 0.50 were asked for"
        assert {name: found["details"][name] for name in ("left", "limit", "amount")} == {
            "left": "0.20", "limit": "1.20", "amount": "0.50",
        }  # fmt: skip
        # Waiting does not help, so nothing is said about it.
        assert "retry-after" not in refused.headers


async def test_a_limit_that_nobody_defined(server: Store, tenant: str) -> None:
    async with protected(server, tenant) as rest:
        found = problem(await rest.get("/closed"), 503, "QUOTA_UNKNOWN")
        assert found["details"] == {"quota": "nobody-defined"}
        answer = await rest.get("/open")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


async def test_a_race_over_http_lets_exactly_the_limit_through(server: Store, tenant: str) -> None:
    async with protected(server, tenant) as rest:
        await rest.put("/v1/quotas/search", json={"kind": "window", "window": "total", "amount": 40})
        answers = await asyncio.gather(*(rest.get("/search") for _ in range(100)))
        assert sorted(answer.status_code for answer in answers) == [200] * 40 + [429] * 60


def test_amounts_of_routes_are_whole_units() -> None:
    with pytest.raises(Invalid):
        RequireQuota("usd", Decimal("0.5"))
    for amount in (0, -1):
        with pytest.raises(ValueError, match="smallest unit"):
            RequireQuota("usd", amount)


async def test_analyses_take_from_the_quota_of_the_settings(server: Store, tenant: str) -> None:
    settings = server.settings(
        tenant=tenant, http_port=free_port(), llm="extractive", analysis_quota="analyses"
    )
    async with serving(settings) as rest:
        await rest.post("/v1/customers", json={"rows": [{"id": "c", "name": "C"}]})
        problem(await rest.post("/v1/analyses", json={"customer_id": "c"}), 503, "QUOTA_UNKNOWN")
        await rest.put("/v1/quotas/analyses", json={"kind": "window", "window": "day", "amount": 1})
        answer = await rest.post("/v1/analyses", json={"customer_id": "c"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["ratelimit"].startswith('"analyses";r=0;t=')
        refused = await rest.post("/v1/analyses", json={"customer_id": "c"})
        problem(refused, 429, "QUOTA_EXCEEDED")
        assert 1 <= int(refused.headers["retry-after"]) <= 86400


async def test_figures_of_limits_are_scraped(
    rest: httpx.AsyncClient, procedures: Procedures, tenant: str
) -> None:
    # Names that sort first: the scrape shows a bounded number of limits.
    tenant = f" {tenant}"
    await procedures.quota_define(
        tenant=tenant, quota="usd", kind="window", window="total", amount=2500, scale=2, unit="USD"
    )
    await procedures.quota_take(tenant=tenant, claims=[{"quota": "usd", "amount": 125}])
    await procedures.quota_reserve(tenant=tenant, id="r", claims=[{"quota": "usd", "amount": 50}], lease=60)
    text = (await rest.get("/metrics")).text
    labels = f'quota="usd",tenant="{tenant}",unit="USD"'
    for name, value in (("limit", "25.0"), ("used", "1.25"), ("reserved", "0.5"), ("unknown", "0.0")):
        assert f"lycosa_quota_{name}{{{labels}}} {value}" in text
    assert text.count("\nlycosa_quota_used{") <= 100


async def test_the_server_renews_zones_when_it_starts(
    server: Store, procedures: Procedures, tenant: str
) -> None:
    ended: list[UtcOffsetInput] = [{"starts_at": 0, "minutes": 60}]
    await procedures.quota_define(
        tenant=tenant,
        quota="day",
        kind="window",
        window="day",
        amount=1,
        time_zone="Europe/Berlin",
        utc_offsets=ended,
    )
    async with serving(server.settings(tenant=tenant, http_port=free_port())):
        for _ in range(200):
            [row] = (await procedures.quota_list(tenant=tenant)).rows
            if len(row.utc_offsets or ()) > 30:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the zone was not renewed")
