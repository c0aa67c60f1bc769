"""Resources, completions and subscriptions, asked by clients of both eras."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from fastmcp import Client
from mcp import MCPError
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated, listen
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp_types import PromptReference, ResourceTemplateReference
from mcp_types.jsonrpc import INVALID_PARAMS

from lycosa.identity import ALL_SCOPES, Identity
from lycosa.mcp import subscriptions
from lycosa.mcp.answers import uri
from lycosa.mcp.asking import Caller
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.conftest import until
from tests.integration.mcp_tools_test import SCOPES
from tests.integration.mcp_world import MODES, World, call


@pytest_asyncio.fixture(scope="module")
async def shared(procedures: Procedures, settings: Settings) -> AsyncIterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscriptions, "_EVERY", 0.05)
        world = World(procedures, settings.model_copy(update={"mcp_rate_per_minute": 0}))
    yield world
    await world.services.aclose()


@pytest_asyncio.fixture
async def world(shared: World, identity: Identity) -> World:
    shared.identity = identity
    await shared.customers(
        {"id": "S-001", "name": "ООО Ромашка", "segment": "smb"},
        {"id": "c/../2 ю", "name": "Acme", "segment": "smb"},
    )
    return shared


@pytest_asyncio.fixture(params=MODES)
async def mcp(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Client[Any]]:
    async with world.client(request.param) as client:
        yield client


async def read(client: Client[Any], address: str) -> dict[str, Any]:
    (part,) = await client.read_resource(address)
    assert part.mime_type == "application/json"
    assert str(part.uri) == address
    found: dict[str, Any] = json.loads(part.text)  # type: ignore[union-attr]
    return found


async def test_every_thing_has_its_uri(world: World, mcp: Client[Any]) -> None:
    await world.services.quotas.define(world.identity, "usd", "window", 500, scale=2, window="day")
    note = await call(mcp, "add_document", text="A note.", customer="S-001")
    await call(mcp, "search_web", question="Who?", customer="S-001")
    status = await read(mcp, "server://status")
    assert (status["customers"], status["tenant"], status["writable"]) == (2, world.identity.tenant, True)
    assert (await read(mcp, "customer://S-001"))["name"] == "ООО Ромашка"
    # Any id is a name, also one that looks like a path.
    assert (await read(mcp, "customer://c%2F..%2F2%20%D1%8E"))["name"] == "Acme"
    history = await read(mcp, "customer://S-001/history?since=0&limit=1")
    assert [row["question"] for row in history["rows"]] == ["Who?"]
    assert (await read(mcp, "segment://smb"))["customers"] == 2
    assert (await read(mcp, uri("document", note["id"])))["text"] == "A note."
    assert (await read(mcp, "quota://usd"))["left"] == "5.00"
    assert (await read(mcp, "provider://documents"))["state"] == "ready"


async def test_a_long_document_is_read_in_parts(world: World, mcp: Client[Any]) -> None:
    text = "слово " * 20_000
    note = await world.services.documents.put(world.identity, [{"id": "/long", "text": text}])
    assert note[0].outcome == "inserted"
    parts, address = [], uri("document", "/long")
    while address:
        part = await read(mcp, address)
        assert (part["characters"], part["document"]["id"]) == (len(text), "/long")
        parts.append(part["text"])
        address = part["next"]
    assert "".join(parts) == text
    assert len(parts) == 2
    beyond = await read(mcp, uri("document", "/long", "/999999"))
    assert (beyond["text"], beyond["next"]) == ("", None)


async def test_no_part_of_a_document_is_larger_than_an_answer(world: World, mcp: Client[Any]) -> None:
    text = "語" * 87_381
    (stored,) = await world.services.documents.put(world.identity, [{"id": "han", "text": text}])
    assert stored.outcome == "inserted"
    read_so_far, address = "", uri("document", "han")
    while address:
        (part,) = await mcp.read_resource(address)
        raw = part.text  # type: ignore[union-attr]
        assert len(raw.encode()) <= 262_144
        read_so_far += json.loads(raw)["text"]
        address = json.loads(raw)["next"]
    assert read_so_far == text


async def test_the_latest_report_is_read_and_never_bought(world: World, mcp: Client[Any]) -> None:
    with pytest.raises(MCPError, match="no report"):
        await mcp.read_resource("customer://S-001/analysis")
    page = await world.services.requests.find(world.identity)
    assert page.rows == []
    made = await call(mcp, "analyze_customer", customer="S-001", mode="quick")
    assert (await read(mcp, "customer://S-001/analysis"))["request_id"] == made["request_id"]
    assert len((await world.services.requests.find(world.identity)).rows) == 1


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("customer://nobody", "not_found"),
        ("customer://nobody/history", "not_found"),
        ("customer://S-001/history?limit=0", "invalid"),
        ("customer://S-001/history?limit=101", "invalid"),
        ("customer://S-001/history?since=-1", "invalid"),
        ("segment://none", "not_found"),
        ("document://none", "not_found"),
        ("document://none/x", "invalid"),
        ("quota://none", "not_found"),
        ("provider://none", "not_found"),
        ("customer://" + "x" * 200, "invalid"),
        ("file:///etc/passwd", None),
        ("customer://S-001/other", None),
    ],
)
async def test_what_is_not_there_says_so(
    world: World, mcp: Client[Any], address: str, kind: str | None
) -> None:
    with pytest.raises(MCPError) as raised:
        await mcp.read_resource(address)
    error = raised.value.error
    assert error.code == INVALID_PARAMS
    assert error.data["kind"] == kind if kind else error.data["uri"] == address


async def test_the_list_is_of_what_is_few_and_comes_in_pages(world: World, mcp: Client[Any]) -> None:
    rows = [{"id": f"n{n}", "name": "n", "segment": f"s{n:03d}"} for n in range(120)]
    await world.customers(*rows)
    await world.services.quotas.define(world.identity, "usd", "slots", 5)
    page = await mcp.list_resources_mcp()
    assert page.next_cursor is not None
    assert len(page.resources) == 50
    listed = [str(one.uri) for one in await mcp.list_resources()]
    assert listed[:3] == ["server://status", "provider://documents", "quota://usd"]
    assert len(listed) == 3 + 100
    templates = {one.uri_template for one in await mcp.list_resource_templates()}
    assert len(templates) == 8
    assert "customer://{id}/history{?since,limit}" in templates


TEMPLATES = {"id": "customer://{id}", "name": "segment://{name}"}


async def completed(client: Client[Any], about: str, name: str, value: str) -> list[str]:
    reference = (
        ResourceTemplateReference(type="ref/resource", uri=about)
        if "://" in about
        else PromptReference(type="ref/prompt", name=about)
    )
    return list((await client.complete(reference, {"name": name, "value": value})).values)


async def test_arguments_are_completed_by_how_they_begin(world: World, mcp: Client[Any]) -> None:
    await world.customers(*({"id": f"m{n:02d}", "name": "Ёлка", "segment": "vip"} for n in range(30)))
    await world.services.quotas.define(world.identity, "usd", "slots", 5)
    note = await call(mcp, "add_document", text="A note.")
    for about, name, value, expected in (
        ("customer://{id}", "id", "S-", ["S-001"]),
        ("customer://{id}/history{?since,limit}", "id", "S", ["S-001"]),
        # By name, too: in any case, Russian too.
        ("customer://{id}", "id", "ооо р", ["S-001"]),
        ("customer://{id}", "id", "m", [f"m{n:02d}" for n in range(20)]),
        ("customer://{id}", "id", "елка", [f"m{n:02d}" for n in range(20)]),
        ("segment://{name}", "name", "v", ["vip"]),
        ("document://{id}", "id", "note:", [note["id"]]),
        ("quota://{name}", "name", "u", ["usd"]),
        ("provider://{name}", "name", "doc", ["documents"]),
        ("customer_brief", "customer", "S", ["S-001"]),
        ("compare_customers", "customers", "S-001, m0", [f"S-001,m0{n}" for n in range(10)]),
        ("find_risks", "language", "r", ["ru"]),
        ("customer_brief", "focus", "x", []),
        ("customer://{id}", "id", "x" * 300, []),
        ("other://{id}", "id", "S", []),
    ):
        assert await completed(mcp, about, name, value) == expected, (about, value)


@contextmanager
def having(identity: Identity) -> Any:
    """What is called within is asked by this caller, as over HTTP."""
    token = auth_context_var.set(AuthenticatedUser(Caller.of(identity)))
    try:
        yield
    finally:
        auth_context_var.reset(token)


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES))
async def test_what_a_caller_may_not_use_is_not_there(world: World, identity: Identity, scope: str) -> None:
    caller = Identity(identity.tenant, frozenset({scope}), "k1")
    with having(caller):
        async with world.client() as client:
            assert {tool.name for tool in await client.list_tools()} == SCOPES[scope]
            reads = scope == "read"
            assert bool(await client.list_resources()) is reads
            assert bool(await client.list_resource_templates()) is reads
            assert bool(await client.list_prompts()) is reads
            assert bool(await completed(client, "customer://{id}", "id", "S")) is reads
            if not reads:
                with pytest.raises(MCPError):
                    await client.read_resource("customer://S-001")
                with pytest.raises(MCPError):
                    await client.get_prompt("customer_brief", {"customer": "S-001"})
                async with listen(client.session, resource_subscriptions=["customer://S-001"]) as stream:
                    assert not stream.honored.resource_subscriptions


async def test_another_tenant_sees_nothing(world: World, mcp: Client[Any], identity: Identity) -> None:
    world.identity = Identity(tenant=f"{identity.tenant}-2")
    with pytest.raises(MCPError):
        await mcp.read_resource("customer://S-001")
    assert await completed(mcp, "customer://{id}", "id", "S") == []
    assert [str(one.uri) for one in await mcp.list_resources()] == ["server://status", "provider://documents"]


async def test_a_stream_tells_of_changes_whoever_made_them(world: World, identity: Identity) -> None:
    async with world.client() as client:
        assert client.server_capabilities is not None
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.subscribe
        wanted = ["customer://S-001", "customer://new", "what://x"]
        async with listen(
            client.session,
            resources_list_changed=True,
            tools_list_changed=True,
            resource_subscriptions=wanted,
        ) as stream:
            assert stream.honored.resource_subscriptions == wanted[:2]
            assert not stream.honored.tools_list_changed
            other = Identity(tenant=f"{identity.tenant}-2")
            await world.services.customers.upsert(other, [{"id": "S-001", "name": "Of another tenant"}])
            await world.customers({"id": "S-001", "segment": "vip"}, {"id": "new", "name": "New"})
            seen = set()
            async with asyncio.timeout(5):
                async for event in stream:
                    seen.add(event)
                    if len(seen) == 3:
                        # The server ends: so does the stream, as the protocol wants it.
                        subscriptions.close(world.server)
    async with world.client() as client:
        too_many = [f"customer://{n}" for n in range(33)]
        with pytest.raises(MCPError, match="at most 32"):
            async with listen(client.session, resource_subscriptions=too_many):
                pass
    updated = {ResourceUpdated(uri=one) for one in wanted[:2]}
    assert seen == updated | {ResourcesListChanged()}


@pytest.mark.filterwarnings("ignore:resources/")
async def test_a_client_of_the_handshake_is_told_too(world: World) -> None:
    told: list[str] = []

    async def heard(message: Any) -> None:
        if message.method == "notifications/resources/updated":
            told.append(str(message.params.uri))

    async with world.client("legacy", message_handler=heard) as client:
        with pytest.raises(MCPError):
            await client.session.subscribe_resource("what://x")
        for wanted in ("customer://S-001", "segment://smb"):
            await client.session.subscribe_resource(wanted)
        await client.session.unsubscribe_resource("segment://smb")
        await world.customers({"id": "S-001", "segment": "vip"})
        await until(lambda: bool(told))
    assert told == ["customer://S-001"]


async def test_a_stream_that_is_refused_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "_MOST", 2)
    watched = subscriptions._OF_SERVERS[world.server]._watched
    async with world.client() as client:
        wanted = [f"customer://{n}" for n in range(3)]
        with pytest.raises(MCPError, match="at most 2"):
            async with listen(client.session, resource_subscriptions=wanted):
                pass
        assert not watched
        async with listen(client.session, resource_subscriptions=wanted[:2]):
            assert len(watched) == 2


@pytest.mark.filterwarnings("ignore:resources/")
async def test_subscribing_twice_at_once_is_subscribing_once(world: World) -> None:
    watched = subscriptions._OF_SERVERS[world.server]._watched
    async with world.client("legacy") as client:
        await asyncio.gather(*(client.session.subscribe_resource("customer://S-001") for _ in range(5)))
        assert [len(one.listeners) for one in watched.values()] == [1]
        await client.session.unsubscribe_resource("customer://S-001")
        assert not watched
