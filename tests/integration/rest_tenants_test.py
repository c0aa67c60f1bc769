"""A key of one tenant against everything that another has, on every route there is (M5)."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp import MCPError

from lycosa.identity import SCOPES, Identity
from lycosa.procedures import Procedures
from lycosa.rest.app import create_app
from lycosa.services import Services
from lycosa.settings import Settings
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving


class World(NamedTuple):
    """One tenant with something of everything, each marked by a word, and keys of all scopes of two other tenants: one
    that only looks, one that tries to change things."""

    settings: Settings
    owner: httpx.AsyncClient
    stranger: httpx.AsyncClient
    intruder: httpx.AsyncClient
    word: str
    ids: dict[str, str]


async def _fill(owner: httpx.AsyncClient, services: Services, tenant: str, word: str) -> dict[str, str]:
    """One of everything. Gives the ids by the names that paths have for them."""
    customer = {
        "id": f"c-{word}",
        "name": f"Тайна {word}",
        "segment": f"s-{word}",
        "email": f"a@{word}.example",
    }
    assert (await owner.post("/v1/customers", json={"rows": [customer]})).status_code == 200
    document = {"id": f"d-{word}", "title": word, "text": f"Секрет {word}.", "customer_id": f"c-{word}"}
    assert (await owner.post("/v1/documents", json={"documents": [document]})).status_code == 200
    quota = {"kind": "window", "amount": 10, "window": "month"}
    assert (await owner.put(f"/v1/quotas/q-{word}", json=quota)).status_code == 200
    said = {"messages": [{"role": "user", "content": f"Тайна {word}"}]}
    assert (await owner.post(f"/v1/sessions/chat-{word}/messages", json=said)).status_code == 200
    for _ in range(200):
        found = await owner.get("/v1/documents/search", params={"q": word})
        if not found.json()["waiting"]:
            break
        await asyncio.sleep(0.02)
    asked = {"customer_id": f"c-{word}", "question": f"Что с {word}?"}
    stream = await owner.post(
        "/v1/analyses",
        json=asked,
        headers={"accept": "text/event-stream", "idempotency-key": f"r-{word}"},
        timeout=60,
    )
    assert "event: report" in stream.text, stream.text
    await services.cache.set(Identity(tenant), f"key:{word}", word.encode(), ttl=600, tags=[word])
    return {
        "customer_id": f"c-{word}",
        "segment": f"s-{word}",
        "document_id": f"d-{word}",
        "id": f"r-{word}",
        "request_id": f"r-{word}",
        "quota": f"q-{word}",
        "session_id": f"chat-{word}",
        "name": "documents",
    }


@pytest_asyncio.fixture(scope="module")
async def world(server: Store, procedures: Procedures) -> AsyncIterator[World]:
    word = f"w{secrets.token_hex(6)}"
    settings = server.settings(authentication="required", tenant="operator", http_port=free_port())
    services = Services(procedures, settings)
    async with serving(settings) as client:
        made = [
            (await services.access.create(Identity(tenant), "test", SCOPES)).credential
            for tenant in (f"own-{word}", f"other-{word}", f"third-{word}")
        ]
        owner, stranger, intruder = (
            httpx.AsyncClient(
                base_url=client.base_url, timeout=30, headers={"authorization": f"Bearer {credential}"}
            )
            for credential in made
        )
        async with owner, stranger, intruder:
            ids = await _fill(owner, services, f"own-{word}", word)
            yield World(settings, owner, stranger, intruder, word, ids)


# What a stranger might look for beside the path.
QUERIES: dict[str, list[dict[str, Any]]] = {
    "/v1/customers": [
        {"segment": "s-{word}"},
        {"email": "a@{word}.example"},
        {"name_prefix": "Тайна"},
        {"limit": 1000},
    ],
    "/v1/documents": [{"customer_id": "c-{word}"}, {"limit": 1000}],
    "/v1/documents/search": [{"q": "{word}"}, {"q": "секрет", "customer_id": "c-{word}"}],
    "/v1/requests": [{"customer_id": "c-{word}"}, {"status": "degraded"}, {"limit": 1000}],
}
# Their answers hold no word of the owner's.
WORDLESS = {"/v1/cache", "/v1/requests/totals", "/v1/providers"}


def _reads(world: World) -> list[tuple[str, str, dict[str, str]]]:
    """Template, path and query of everything that can be read."""
    return [
        (
            route.path,
            re.sub(r"\{(\w+)\}", lambda found: world.ids[found[1]], route.path),
            {name: str(value).format(word=world.word) for name, value in query.items()},
        )
        for route in create_app(world.settings).routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.path.startswith("/v1")
        for query in QUERIES.get(route.path, [{}])
    ]


async def test_a_stranger_reads_nothing_of_anothers(world: World) -> None:
    seen = set()
    for template, path, query in _reads(world):
        own = await world.owner.get(path, params=query)
        assert own.status_code == 200, (path, own.text)
        assert world.word in own.text or template in WORDLESS, (path, query, own.text)
        other = await world.stranger.get(path, params=query)
        # What was asked for may be named again where it is said that there is no such thing.
        if "{" in template and template != "/v1/segments/{segment}":
            assert other.status_code == 404, (path, other.text)
        else:
            assert other.status_code == (404 if "{" in template else 200), (path, other.text)
            told = other.json() if other.status_code == 200 else {}
            assert world.word not in str(told.get("rows", told)), (path, query, other.text)
        seen.add(template)
    assert len(seen) > 15
    figures = (await world.stranger.get("/v1/cache")).json()
    assert (figures["entries"], figures["bytes"]) == (0, 0)
    totals = (await world.stranger.get("/v1/requests/totals")).json()
    assert "analysis" not in str(totals)


async def test_cursors_of_another_lead_nowhere(world: World) -> None:
    rows = [
        {"id": f"c-{world.word}-{number}", "name": "N", "segment": f"s-{world.word}"} for number in range(2)
    ]
    await world.owner.post("/v1/customers", json={"rows": rows})
    query: dict[str, str | int] = {"segment": f"s-{world.word}", "limit": 1}
    page = (await world.owner.get("/v1/customers", params=query)).json()
    other = await world.stranger.get("/v1/customers", params=query | {"cursor": page["next"]})
    assert (other.status_code, other.json()["code"]) == (422, "INVALID_CURSOR")


async def test_a_stranger_changes_nothing_of_anothers(world: World) -> None:
    ids, intruder, word = world.ids, world.intruder, world.word
    for method, path, body, status in (
        ("DELETE", f"/v1/customers/{ids['customer_id']}", None, 404),
        ("DELETE", f"/v1/documents/{ids['document_id']}", None, 404),
        ("DELETE", f"/v1/quotas/{ids['quota']}", None, 404),
        ("POST", f"/v1/quotas/{ids['quota']}/reset", None, 404),
        ("POST", "/v1/analyses", {"customer_id": ids["customer_id"]}, 404),
        ("DELETE", f"/v1/sessions/{ids['session_id']}", None, 404),
        ("PATCH", f"/v1/sessions/{ids['session_id']}", {"current_agent": "x"}, 404),
        (
            "POST",
            f"/v1/sessions/{ids['session_id']}/messages",
            {"messages": [{"role": "user", "content": "чужое"}]},
            200,
        ),
        ("POST", "/v1/cache/invalidate", {"tag": word}, 200),
        ("POST", "/v1/cache/invalidate", {"prefix": "key:"}, 200),
        ("PUT", f"/v1/quotas/{ids['quota']}", {"kind": "window", "amount": 1, "window": "day"}, 200),
        ("POST", "/v1/customers", {"rows": [{"id": ids["customer_id"], "name": "Чужое"}]}, 200),
        (
            "POST",
            "/v1/documents",
            {"documents": [{"id": ids["document_id"], "title": "x", "text": "чужое"}]},
            200,
        ),
        ("POST", "/v1/customers", {"rows": [], "tenant": f"own-{word}"}, 422),
        ("GET", f"/v1/customers?tenant=own-{word}", None, 422),
    ):
        answer = await intruder.request(method, path, json=body)
        assert answer.status_code == status, (method, path, answer.text)
        if "invalidate" in path:
            assert answer.json()["deleted"] == 0
    kept = await world.owner.get(f"/v1/customers/{ids['customer_id']}")
    assert kept.json()["name"] == f"Тайна {word}"
    kept = await world.owner.get(f"/v1/documents/{ids['document_id']}")
    assert word in kept.text
    kept = await world.owner.get(f"/v1/quotas/{ids['quota']}")
    assert kept.json()["limit"] == "10"
    kept = await world.owner.get(f"/v1/sessions/{ids['session_id']}/history")
    assert [message["content"] for message in kept.json()["messages"]] == [f"Тайна {word}"]
    assert (await world.owner.get("/v1/cache")).json()["entries"] >= 1


async def test_a_search_of_a_stranger_finds_nothing_of_anothers(world: World) -> None:
    own = await world.owner.post("/v1/search", json={"question": f"Секрет {world.word}"})
    assert world.word in own.text, own.text
    other = await world.intruder.post("/v1/search", json={"question": f"Секрет {world.word}"})
    assert f"Секрет {world.word}." not in other.text
    assert f"d-{world.word}" not in other.text


async def test_over_mcp_a_stranger_finds_nothing_either(world: World) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_customer", {"customer": world.ids["customer_id"]}),
        ("find_customers", {"by": "segment", "value": world.ids["segment"]}),
        ("request_history", {}),
        ("search_documents", {"query": world.word}),
        ("quota_status", {}),
    ]
    uris = [f"customer://{world.ids['customer_id']}", f"document://{world.ids['document_id']}"]
    async with _mcp(world.owner) as owner, _mcp(world.stranger) as stranger:
        for name, arguments in calls:
            own = await owner.call_tool(name, arguments, raise_on_error=False)
            assert world.word in str(own), (name, own)
            other = await stranger.call_tool(name, arguments, raise_on_error=False)
            assert other.is_error == (name == "get_customer"), (name, other)
            assert other.is_error or world.word not in str(other.structured_content), (name, other)
        for uri in uris:
            assert world.word in str(await owner.read_resource(uri))
            with pytest.raises(MCPError, match="does not exist"):
                await stranger.read_resource(uri)
        listed = str(await stranger.list_resources())
    assert world.word not in listed


async def test_over_mcp_a_tool_that_needs_another_scope_is_hidden(
    world: World, procedures: Procedures
) -> None:
    services = Services(procedures, world.settings)
    made = await services.access.create(Identity("any"), "reader", ["read"])
    async with Client(f"{world.owner.base_url}/mcp", auth=made.credential) as reader:
        tools = {tool.name for tool in await reader.list_tools()}
        assert "get_customer" in tools
        assert not tools & {"upsert_customers", "search_web", "invalidate_cache"}
        with pytest.raises(ToolError, match="NAME_UNKNOWN"):
            await reader.call_tool("invalidate_cache", {"tag": "x"})
    with pytest.raises(Exception, match="error response"):
        async with Client(f"{world.owner.base_url}/mcp", auth=made.credential + "x") as nobody:
            await nobody.list_tools()


def _mcp(rest: httpx.AsyncClient) -> Client[Any]:
    return Client(f"{rest.base_url}/mcp", auth=rest.headers["authorization"].removeprefix("Bearer "))
