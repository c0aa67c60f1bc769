"""Documents and the history over HTTP, against the real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.rest.bodies import MAX_BODY
from tests.conftest import ROOT, Store
from tests.integration.rest_client import free_port, lines, serving

NDJSON = {"content-type": "application/x-ndjson"}

DOCUMENTS = [
    {"id": "n-1", "title": "Звонок", "text": "Клиент просит продлить договор в мае.", "customer_id": "c-1"},
    {
        "id": "n-2",
        "title": "Call",
        "text": "The customer complains about late deliveries.",
        "customer_id": "c-1",
    },
    {
        "id": "n-3",
        "title": "Market",
        "text": "Deliveries grow in the whole market.",
        "source": "https://example.com",
    },
]


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


async def search(rest: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    """Search once everything stored is indexed."""
    async with asyncio.timeout(10):
        while True:
            answer = await rest.get("/v1/documents/search", params=query)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            if not found["waiting"]:
                return found
            await asyncio.sleep(0.02)


async def test_put_search_get_delete(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/v1/documents", json={"documents": [*DOCUMENTS, {"id": "n-4"}, 5]})
    assert [outcome["outcome"] for outcome in answer.json()["outcomes"]] == ["inserted"] * 3 + ["invalid"] * 2
    assert answer.json()["outcomes"][3]["field"] == "text"
    found = await search(rest, q="продление договора")
    assert [hit["id"] for hit in found["hits"]] == ["n-1"]
    assert "договор" in found["hits"][0]["text"]
    assert {hit["id"] for hit in (await search(rest, q="delivery"))["hits"]} == {"n-2", "n-3"}
    assert [hit["id"] for hit in (await search(rest, q="delivery", customer_id="c-1"))["hits"]] == ["n-2"]
    general = await search(rest, q="delivery", customer_id="c-1", include_general="true")
    assert {hit["id"] for hit in general["hits"]} == {"n-2", "n-3"}

    stored = (await rest.get("/v1/documents/n-1")).json()
    assert stored["text"] == DOCUMENTS[0]["text"]
    assert stored["document"]["language"] == "ru"
    page = (await rest.get("/v1/documents", params={"customer_id": "c-1", "limit": 1})).json()
    assert [row["id"] for row in page["rows"]] == ["n-1"]
    page = (
        await rest.get("/v1/documents", params={"customer_id": "c-1", "limit": 1, "cursor": page["next"]})
    ).json()
    assert [row["id"] for row in page["rows"]] == ["n-2"]

    assert (await rest.delete("/v1/documents/n-1")).status_code == 204
    assert (await search(rest, q="продление договора"))["hits"] == []
    for answer in (await rest.delete("/v1/documents/n-1"), await rest.get("/v1/documents/n-1")):
        assert answer.status_code == 404
        assert answer.json()["code"] == "DOCUMENT_NOT_FOUND"


async def test_too_much_for_one_call(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/v1/documents", json={"documents": [{}] * 101})
    assert answer.status_code == 422
    assert answer.json()["details"]["field"] == "documents"
    large = [{"id": str(number), "text": "слово " * 20_000} for number in range(3)]
    answer = await rest.post("/v1/documents", json={"documents": large})
    assert answer.status_code == 422
    assert answer.json()["details"]["argument"] == "documents"
    answer = await rest.post("/v1/documents", json={"documents": [{"id": "1", "text": "x" * MAX_BODY}]})
    assert answer.status_code == 413


async def test_import_finds_customers_by_their_external_ids(rest: httpx.AsyncClient) -> None:
    await rest.post("/v1/customers", json={"rows": [{"id": "c-7", "external_id": "S-7", "name": "Seven"}]})
    rows = [
        {"id": "i-1", "external_id": "S-7", "title": "A", "text": "Alpha.", "created_at": "2020-01-01"},
        {"id": "i-2", "external_id": "S-8", "title": "B", "text": "Beta."},
        {"id": "i-3", "title": "C", "text": "Gamma."},
        {"id": "i-4", "external_id": None, "text": "Delta."},
        {"id": "i-5", "external_id": "S-7", "text": ""},
    ]
    body = "\n".join(json.dumps(row) for row in rows) + "\nnot json\n"
    answer = await rest.post("/v1/documents/import", content=body.encode(), headers=NDJSON)
    assert answer.status_code == 200
    *outcomes, summary = lines(answer)
    assert [(row["row"], row["outcome"], row["field"]) for row in outcomes] == [
        (1, "inserted", None),
        (2, "invalid", "external_id"),
        (3, "inserted", None),
        (4, "inserted", None),
        (5, "invalid", "text"),
        (6, "invalid", None),
    ]
    assert summary["rows"] == 6
    stored = (await rest.get("/v1/documents/i-1")).json()["document"]
    assert (stored["customer_id"], stored["created_at"]) == ("c-7", 1_577_836_800)
    answer = await rest.post("/v1/documents/import", content=b"a,b", headers={"content-type": "text/csv"})
    assert answer.status_code == 415


async def test_import_of_the_samples(rest: httpx.AsyncClient) -> None:
    samples = ROOT / "data" / "samples"
    answer = await rest.post(
        "/v1/customers/import",
        content=(samples / "customers.csv").read_bytes(),
        headers={"content-type": "text/csv"},
    )
    assert set(lines(answer)[-1]["outcomes"]) == {"inserted"}
    answer = await rest.post(
        "/v1/documents/import", content=(samples / "documents.ndjson").read_bytes(), headers=NDJSON
    )
    assert set(lines(answer)[-1]["outcomes"]) == {"inserted"}, [
        row for row in lines(answer) if row.get("outcome") == "invalid"
    ]


async def append(procedures: Procedures, identity: Identity, number: int, **more: Any) -> None:
    given: dict[str, Any] = {"customer_id": f"c-{number % 2}", "kind": "analysis", "status": "done"} | more
    await procedures.request_append(
        tenant=identity.tenant,
        id=f"r-{number}",
        question=f"Вопрос {number}?",
        answer="Ответ",
        tokens_in=10,
        cost_microusd=5,
        sources=[{"kind": "document", "ref": f"n-{number}", "title": "t", "quote": "q"}],
        **given,
    )


async def test_history(rest: httpx.AsyncClient, procedures: Procedures, identity: Identity) -> None:
    for number in range(4):
        await append(procedures, identity, number, status="failed" if number == 3 else "done")
    rows = (await rest.get("/v1/requests")).json()["rows"]
    assert [row["id"] for row in rows] == ["r-3", "r-2", "r-1", "r-0"]
    assert "answer" not in rows[0]
    rows = (await rest.get("/v1/requests", params={"customer_id": "c-1", "order": "asc"})).json()["rows"]
    assert [row["id"] for row in rows] == ["r-1", "r-3"]
    rows = (await rest.get("/v1/requests", params={"status": "failed"})).json()["rows"]
    assert [row["id"] for row in rows] == ["r-3"]
    assert (await rest.get("/v1/requests", params={"until": 5})).json()["rows"] == []
    first = (await rest.get("/v1/requests", params={"limit": 3})).json()
    second = (await rest.get("/v1/requests", params={"limit": 3, "cursor": first["next"]})).json()
    assert [row["id"] for row in second["rows"]] == ["r-0"]

    one = (await rest.get("/v1/requests/r-2")).json()
    assert one["request"]["answer"] == "Ответ"
    assert [source["ref"] for source in one["sources"]] == ["n-2"]
    assert (await rest.get("/v1/requests/none")).status_code == 404


async def test_sums(rest: httpx.AsyncClient, procedures: Procedures, identity: Identity) -> None:
    for number in range(3):
        await append(procedures, identity, number, cached=number == 1)
    totals = (await rest.get("/v1/requests/totals")).json()
    assert totals == {
        "requests": 3,
        "cached": 1,
        "failed": 0,
        "cost_microusd": 15,
        "tokens_in": 30,
        "tokens_out": 0,
    }
    assert (await rest.get("/v1/requests/totals", params={"kind": "search"})).json()["requests"] == 0
    old = await rest.get("/v1/requests/totals", params={"first": "2020-01-01", "last": "2020-02-01"})
    assert old.json()["requests"] == 0
    for query, field in (
        ({"first": "2020-02-01", "last": "2020-01-01"}, "first"),
        ({"first": "2018-01-01", "last": "2020-01-01"}, "until_day"),
        ({"first": "yesterday"}, "first"),
    ):
        answer = await rest.get("/v1/requests/totals", params=query)
        assert answer.status_code == 422
        details = answer.json()["details"]
        assert details.get("argument", details.get("field")) == field
    answer = await rest.get("/v1/requests", params={"customer_id": "1", "status": "done"})
    assert answer.status_code == 422
