"""Every kind of error as a problem of RFC 9457, and what a client may get wrong."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from lycosa.rest.bodies import MAX_BODY
from tests.conftest import Store
from tests.integration.rest_client import free_port, lines, serving


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem, checked for what every problem has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert set(found) == {"type", "title", "status", "detail", "code", "kind", "details", "request_id"}
    assert found["status"] == status
    assert found["code"] == code
    assert found["type"] == f"urn:lycosa:problem:{code.lower().replace('_', '-')}"
    assert found["request_id"] == answer.headers["x-request-id"]
    return found


async def send(rest: httpx.AsyncClient, content: bytes, media: str = "application/json") -> httpx.Response:
    return await rest.post("/v1/customers", content=content, headers={"content-type": media})


async def test_bodies_that_are_not_json(rest: httpx.AsyncClient) -> None:
    for content in (
        b'{"rows": [{"orders": NaN}]}',
        b'{"rows": [',
        b"[" * 100_000,
        b'{"rows": 1' + b"0" * 5000 + b"}",
    ):
        found = problem(await send(rest, content), 422, "INVALID_JSON")
        assert found["details"]["field"] == "body"
    found = problem(await send(rest, b'{"rows": "\xff"}'), 422, "INVALID_ENCODING")
    assert "byte 11" in found["detail"]
    # No body at all, and a body of another shape.
    assert problem(await send(rest, b""), 422, "INVALID_ARGUMENT")["details"]["field"] == "body"
    assert problem(await send(rest, b"[]"), 422, "INVALID_ARGUMENT")


async def test_an_unknown_query_parameter(rest: httpx.AsyncClient) -> None:
    # Ignored, a mistyped filter would answer every customer.
    for path in ("/v1/customers?segmnet=smb", "/v1/customers/c-1?segmnet=1", "/v1/requests/totals?segmnet=1"):
        found = problem(await rest.get(path), 422, "UNKNOWN_ARGUMENT")
        assert found["details"]["field"] == "segmnet"
    assert (await rest.get("/v1/customers?segment=smb&limit=1")).status_code == 200


async def test_fields_are_named(rest: httpx.AsyncClient) -> None:
    found = problem(
        await rest.post("/v1/customers", json={"rows": [], "tenant": "x"}), 422, "INVALID_ARGUMENT"
    )
    assert found["details"]["field"] == "tenant"
    found = problem(await rest.post("/v1/customers", json={"rows": [{}] * 1001}), 422, "INVALID_ARGUMENT")
    assert found["details"]["field"] == "rows"
    assert "1000" in found["detail"]
    found = problem(await rest.get("/v1/customers", params={"limit": "many"}), 422, "INVALID_ARGUMENT")
    assert (found["details"]["in"], found["details"]["field"]) == ("query", "limit")
    found = problem(await rest.get("/v1/customers", params={"limit": 0}), 422, "INVALID_ARGUMENT")
    assert found["details"]["field"] == "limit"
    found = problem(await rest.get("/v1/customers", params={"from": "nan"}), 422, "INVALID_ARGUMENT")
    assert found["details"]["field"] == "from"
    found = problem(await rest.get("/v1/customers/" + "x" * 129), 422, "INVALID_ARGUMENT")
    assert found["details"]["field"] == "customer_id"
    found = problem(await rest.get("/v1/customers/a%00b"), 422, "INVALID_ARGUMENT")
    assert found["details"]["argument"] == "id"
    found = problem(
        await rest.post("/v1/analyses", json={"customer_id": "1", "fresh": False, "model": "x"}),
        422,
        "INVALID_ARGUMENT",
    )
    assert found["details"]["field"] == "model"


async def test_text_that_is_not_unicode(rest: httpx.AsyncClient) -> None:
    answer = await send(rest, rb'{"rows": [{"id": "a", "name": "\ud800"}, {"id": "b", "name": "B"}]}')
    assert [outcome["outcome"] for outcome in answer.json()["outcomes"]] == ["invalid", "inserted"]
    answer = await rest.post(
        "/v1/analyses", content=rb'{"customer_id": "\ud800"}', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422


async def test_media_types(rest: httpx.AsyncClient) -> None:
    for media in ("text/plain", "application/xml", ""):
        found = problem(await send(rest, b"{}", media), 415, "MEDIA_TYPE_UNSUPPORTED")
        assert "application/json" in found["detail"]


async def test_bodies_that_are_too_large(rest: httpx.AsyncClient) -> None:
    problem(await send(rest, b" " * (MAX_BODY + 1)), 413, "BODY_TOO_LARGE")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65_536

    answer = await rest.post("/v1/customers", content=endless(), headers={"content-type": "application/json"})
    problem(answer, 413, "BODY_TOO_LARGE")


async def test_routes_and_methods(rest: httpx.AsyncClient) -> None:
    problem(await rest.get("/v1/nothing"), 404, "ROUTE_NOT_FOUND")
    answer = await rest.put("/v1/customers")
    problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["allow"]


async def test_ids_of_requests(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/healthz", headers={"x-request-id": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    for insane in ("a b", "x" * 129, '{"a":1}'):
        answer = await rest.get("/healthz", headers={"x-request-id": insane})
        assert answer.headers["x-request-id"] != insane
        assert len(answer.headers["x-request-id"]) == 32


async def test_a_fault_of_ours_shows_nothing(
    rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from lycosa.services.customers import CustomerService

    async def broken(*_args: object, **_more: object) -> None:
        raise KeyError("the secret of the house")

    monkeypatch.setattr(CustomerService, "get", broken)
    found = problem(await rest.get("/v1/customers/1"), 500, "INTERNAL")
    assert "secret" not in json.dumps(found)
    assert found["request_id"] in found["detail"]


async def test_an_answer_that_does_not_fit_its_model(
    rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lycosa.services.customers import CustomerService

    async def count(*_args: object) -> object:
        return {"id": 5}

    monkeypatch.setattr(CustomerService, "get", count)
    problem(await rest.get("/v1/customers/1"), 500, "INTERNAL")


async def test_a_line_of_50_mb_costs_itself_only(rest: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"id,name\n1,A\n2,"
        for _ in range(800):
            yield b"x" * 65_536
        yield b"\n3,C\n"

    answer = await rest.post("/v1/customers/import", content=body(), headers={"content-type": "text/csv"})
    *rows, summary = lines(answer)
    assert [row["outcome"] for row in rows] == ["inserted", "invalid", "inserted"]
    assert rows[1]["line"] == 3
    assert "at most 1048576" in rows[1]["problem"]
    assert summary["outcomes"] == {"inserted": 2, "invalid": 1}
