"""Customers over HTTP, against the real store."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.conftest import Store
from tests.integration.rest_client import free_port, lines, serving

ROWS = [
    {
        "id": "c-1",
        "external_id": "S-1",
        "name": "ООО Ёлка",
        "segment": "smb",
        "since": 1000,
        "tags": ["retail"],
    },
    {"id": "c-2", "name": "Елена", "segment": "smb", "since": 2000, "email": "E@Example.com", "orders": 3},
    {"id": "c-3", "name": "Acme", "segment": "enterprise", "revenue_cents": 500, "profile": {"site": "x"}},
]


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


@pytest_asyncio.fixture
async def filled(rest: httpx.AsyncClient) -> httpx.AsyncClient:
    answer = await rest.post("/v1/customers", json={"rows": ROWS})
    assert [outcome["outcome"] for outcome in answer.json()["outcomes"]] == ["inserted"] * 3
    return rest


async def test_an_outcome_for_every_row(filled: httpx.AsyncClient) -> None:
    rows: list[object] = [
        ROWS[0],
        {"id": "c-2", "orders": 4},
        {"id": "c-9", "name": "Negative", "revenue_cents": -1},
        {"id": "c-9", "name": "Unknown", "colour": "red"},
        {"id": "c-3", "version": 7, "orders": 1},
        "not a row",
        {"id": "c-8", "name": "Too large", "orders": 2**70},
        {"id": "c-4", "name": "Fine"},
    ]
    answer = await filled.post("/v1/customers", json={"rows": rows})
    assert answer.status_code == 200
    outcomes = answer.json()["outcomes"]
    assert [outcome["outcome"] for outcome in outcomes] == [
        "unchanged",
        "updated",
        "invalid",
        "invalid",
        "conflict",
        "invalid",
        "invalid",
        "inserted",
    ]
    assert outcomes[2]["field"] == "revenue_cents"
    assert outcomes[3]["field"] == "colour"
    assert outcomes[4]["version"] == 1
    assert outcomes[5]["problem"] == "is not an object of named fields"
    assert (outcomes[6]["field"], outcomes[6]["problem"]) == ("orders", "is beyond 64 bits")


async def test_get_and_delete(filled: httpx.AsyncClient) -> None:
    answer = await filled.get("/v1/customers/c-1")
    assert answer.status_code == 200
    customer = answer.json()
    assert {name: customer[name] for name in ROWS[0]} == ROWS[0]
    assert customer["version"] == 1
    assert "bucket_id" not in customer
    assert (await filled.delete("/v1/customers/c-1")).status_code == 204
    for answer in (await filled.get("/v1/customers/c-1"), await filled.delete("/v1/customers/c-1")):
        assert answer.status_code == 404
        assert answer.json()["code"] == "CUSTOMER_NOT_FOUND"
        assert answer.json()["details"] == {"id": "c-1"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["c-1", "c-2", "c-3"]),
        ({"external_id": "S-1"}, ["c-1"]),
        ({"email": "e@example.COM"}, ["c-2"]),
        ({"segment": "smb"}, ["c-1", "c-2"]),
        ({"segment": "smb", "order": "desc"}, ["c-2", "c-1"]),
        ({"segment": "smb", "from": "1500", "until": "2500"}, ["c-2"]),
        ({"segment": "smb", "until": "2000"}, ["c-1"]),
        ({"tag": "retail"}, ["c-1"]),
        ({"name_prefix": "ЕЛЕ"}, ["c-2"]),
        ({"name_prefix": "ооо ёл"}, ["c-1"]),
        ({"name_prefix": "100%"}, []),
    ],
)
async def test_every_look_up(filled: httpx.AsyncClient, query: dict[str, str], found: list[str]) -> None:
    answer = await filled.get("/v1/customers", params=query)
    assert answer.status_code == 200
    assert [row["id"] for row in answer.json()["rows"]] == found


async def test_pages_lead_both_ways(filled: httpx.AsyncClient) -> None:
    first = (await filled.get("/v1/customers", params={"limit": 2})).json()
    assert first["previous"] is None
    second = (await filled.get("/v1/customers", params={"limit": 2, "cursor": first["next"]})).json()
    assert [row["id"] for row in second["rows"]] == ["c-3"]
    assert second["next"] is None
    back = (await filled.get("/v1/customers", params={"limit": 2, "cursor": second["previous"]})).json()
    assert [row["id"] for row in back["rows"]] == ["c-1", "c-2"]


@pytest.mark.parametrize(
    "query",
    [
        {"segment": "smb", "limit": "1", "order": "desc"},
        {"tag": "retail"},
        {"cursor": "nonsense"},
    ],
)
async def test_a_cursor_of_another_query(filled: httpx.AsyncClient, query: dict[str, str]) -> None:
    page = (await filled.get("/v1/customers", params={"segment": "smb", "limit": 1})).json()
    answer = await filled.get("/v1/customers", params={"cursor": page["next"]} | query)
    assert answer.status_code == 422
    assert answer.json()["code"] == "INVALID_CURSOR"


async def test_one_look_up_at_a_time(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/v1/customers", params={"tag": "a", "email": "b"})
    assert answer.status_code == 422
    assert answer.json()["details"]["argument"] == "tag"
    answer = await rest.get("/v1/customers", params={"from": "1"})
    assert answer.status_code == 422
    assert answer.json()["details"]["argument"] == "from"


async def test_segments(filled: httpx.AsyncClient) -> None:
    rows = (await filled.get("/v1/segments")).json()["rows"]
    assert [(row["segment"], row["customers"]) for row in rows] == [("enterprise", 1), ("smb", 2)]
    assert (await filled.get("/v1/segments/smb")).json()["orders"] == 3
    assert (await filled.get("/v1/segments/none")).status_code == 404


CSV = (
    "\ufeffid,name,segment,tags,revenue_cents,orders,since,website\n"
    "i-1,ООО Ромашка,smb,retail;priority,100,1,2020-01-01,https://example.com\n"
    'i-2,"Quoted, ""Ltd""",smb,,,,,"two\nlines"\n'
    "i-3,Negative,smb,,-5,,,\n"
    "i-1,Twice,smb,,,,,\n"
    "i-4,Cells\n"
    "i-5,Fine,smb,,,,,\n"
).encode() + b"i-6,\xff\xfe,smb,,,,,\n"


async def test_import_of_csv(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(
        "/v1/customers/import", content=CSV, headers={"content-type": "text/csv; charset=utf-8"}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    *rows, summary = lines(answer)
    assert [(row["row"], row["line"], row["outcome"], row["field"]) for row in rows] == [
        (1, 2, "inserted", None),
        (2, 3, "inserted", None),
        (3, 5, "invalid", "revenue_cents"),
        (4, 6, "invalid", "id"),
        (5, 7, "invalid", None),
        (6, 8, "inserted", None),
        (7, 9, "invalid", None),
    ]
    assert rows[6]["problem"] == "is not valid UTF-8 at byte 5"
    assert summary["summary"] is True
    assert summary["rows"] == 7
    assert summary["outcomes"] == {"inserted": 3, "invalid": 4}
    stored = (await rest.get("/v1/customers/i-1")).json()
    assert stored["tags"] == ["priority", "retail"]
    assert stored["since"] == 1_577_836_800
    assert stored["profile"] == {"website": "https://example.com"}
    quoted = (await rest.get("/v1/customers/i-2")).json()
    assert quoted["name"] == 'Quoted, "Ltd"'
    assert quoted["profile"] == {"website": "two\nlines"}


async def test_import_of_ndjson(rest: httpx.AsyncClient) -> None:
    body = b'{"id": "n-1", "name": "A"}\n\n{"id": "n-2", "orders": NaN}\n{"id": "n-3", "name": "B"}'
    answer = await rest.post(
        "/v1/customers/import", content=body, headers={"content-type": "application/x-ndjson"}
    )
    *rows, summary = lines(answer)
    assert [(row["row"], row["line"], row["outcome"]) for row in rows] == [
        (1, 1, "inserted"),
        (2, 3, "invalid"),
        (3, 4, "inserted"),
    ]
    assert summary["rows"] == 3
    again = lines(
        await rest.post(
            "/v1/customers/import", content=body, headers={"content-type": "application/x-ndjson"}
        )
    )
    assert again[-1]["outcomes"] == {"unchanged": 2, "invalid": 1}


async def test_import_of_an_uploaded_file(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/v1/customers/import", files={"file": ("customers.csv", CSV, "text/csv")})
    assert lines(answer)[-1]["outcomes"] == {"inserted": 3, "invalid": 4}
    answer = await rest.post("/v1/customers/import", files={"file": ("customers.xlsx", CSV)})
    assert answer.status_code == 415
    answer = await rest.post("/v1/customers/import", files={"other": ("customers.csv", CSV)})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "column"),
    [(b"id,segment\n1,a\n", "name"), (b"name\nA\n", "external_id"), (b"", "name"), (b"id,name,id\n", "id")],
)
async def test_import_with_a_bad_header(rest: httpx.AsyncClient, body: bytes, column: str) -> None:
    answer = await rest.post("/v1/customers/import", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "INVALID_HEADER"
    assert answer.json()["details"]["column"] == column


async def test_import_of_another_type(rest: httpx.AsyncClient) -> None:
    for headers in (
        {"content-type": "application/xml"},
        {"content-type": "text/csv", "content-encoding": "gzip"},
    ):
        answer = await rest.post("/v1/customers/import", content=CSV, headers=headers)
        assert answer.status_code == 415
        assert answer.json()["code"] == "MEDIA_TYPE_UNSUPPORTED"


async def test_no_tenant_sees_another(filled: httpx.AsyncClient, server: Store) -> None:
    page = (await filled.get("/v1/customers", params={"limit": 1})).json()
    async with serving(server.settings(tenant="t-other", http_port=free_port())) as other:
        assert (await other.get("/v1/customers/c-1")).status_code == 404
        found = await other.get("/v1/customers", params={"limit": 1, "cursor": page["next"]})
        assert found.status_code == 422 or found.json()["rows"] == []
