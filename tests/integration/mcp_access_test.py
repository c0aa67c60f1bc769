"""Who may do what over MCP: keys as for REST, a tenant of the credential, and an agent that uses it all."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastmcp import Client
from langchain.agents import create_agent
from langchain.mcp import MCPAdapter
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import Runnable

from lycosa.identity import Identity, Scope
from lycosa.procedures import Procedures
from lycosa.services.access import AccessService
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving

TENANT = "mcp-access"
HEADERS = {"accept": "application/json, text/event-stream"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest_asyncio.fixture(scope="module")
async def rest(server: Store) -> AsyncIterator[httpx.AsyncClient]:
    settings = server.settings(
        http_port=free_port(),
        authentication="required",
        tenant=TENANT,
        mcp_rate_per_minute=50,
        jwt_secret="a secret that is shared with the issuer",
        jwt_issuer="https://issuer.example",
        jwt_audience="lycosa",
    )
    async with serving(settings) as client:
        yield client


async def key(procedures: Procedures, *scopes: Scope, tenant: str = TENANT) -> str:
    made = await AccessService(procedures).create(Identity(tenant), "a test's", scopes)
    return made.credential


def mcp(rest: httpx.AsyncClient, credential: str) -> Client[Any]:
    return Client(f"{rest.base_url}/mcp", auth=credential)


async def test_nobody_is_served_without_a_credential_or_with_a_wrong_one(
    rest: httpx.AsyncClient, procedures: Procedures
) -> None:
    reader = await key(procedures, "read")
    wrong = f"{reader[:-1]}{'a' if reader[-1] != 'a' else 'b'}"
    for headers in ({}, {"authorization": f"Bearer {wrong}"}, {"authorization": "Basic YTpi"}):
        answer = await rest.post("/mcp", json=PING, headers=HEADERS | headers)
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith("Bearer")
        assert "resource_metadata" in challenge
        assert reader not in answer.text


async def test_a_client_is_told_where_it_gets_a_token(rest: httpx.AsyncClient) -> None:
    """RFC 9728, as the authorization of MCP asks for it."""
    refused = await rest.post("/mcp", json=PING, headers=HEADERS)
    (address,) = re.findall(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"])
    told = (await rest.get(address)).json()
    assert told["resource"] == f"{rest.base_url}/mcp"
    assert told["authorization_servers"] == ["https://issuer.example"]
    assert set(told["scopes_supported"]) == {"read", "write", "spend", "admin"}
    elsewhere = await rest.get("/v1/customers")
    assert elsewhere.status_code == 401
    assert "resource_metadata" not in elsewhere.headers["www-authenticate"]


@pytest.mark.parametrize("name", ["host", "origin"])
async def test_a_page_of_somebody_else_is_refused(
    rest: httpx.AsyncClient, procedures: Procedures, name: str
) -> None:
    evil = "http://evil.example" if name == "origin" else "evil.example"
    bearer = {"authorization": f"Bearer {await key(procedures, 'read')}"}
    answer = await rest.post("/mcp", json=PING, headers=HEADERS | bearer | {name: evil})
    assert 400 <= answer.status_code < 500


async def test_the_credential_decides_on_tools_and_tenant(
    rest: httpx.AsyncClient, procedures: Procedures
) -> None:
    row = {"id": "c-1", "name": "Ромашка", "segment": "retail"}
    async with mcp(rest, await key(procedures, "read", "write")) as writer:
        stored = await writer.call_tool("upsert_customers", {"rows": [row]}, raise_on_error=False)
        assert not stored.is_error, stored.structured_content
    async with mcp(rest, await key(procedures, "read")) as reader:
        names = {tool.name for tool in await reader.list_tools()}
        assert "get_customer" in names
        assert not names & {"upsert_customers", "search_web", "invalidate_cache"}
        found = await reader.call_tool("find_customers", {"by": "all"})
        assert [one["name"] for one in found.structured_content["rows"]] == ["Ромашка"]
    async with mcp(rest, await key(procedures, "read", tenant="mcp-other")) as other:
        found = await other.call_tool("find_customers", {"by": "all"})
        assert found.structured_content["rows"] == []


async def test_each_caller_has_a_limit_of_its_own(rest: httpx.AsyncClient, procedures: Procedures) -> None:
    async with mcp(rest, await key(procedures, "read", tenant="mcp-hasty")) as hasty:
        answers = [await hasty.call_tool("cache_stats", raise_on_error=False) for _ in range(101)]
    # Two minutes of the clock at most.
    refused = [one.structured_content or {} for one in answers if one.is_error]
    assert refused
    assert {one["kind"] for one in refused} == {"exhausted"}
    async with mcp(rest, await key(procedures, "read", tenant="mcp-hasty")) as patient:
        assert not (await patient.call_tool("cache_stats", raise_on_error=False)).is_error


async def test_figures_of_mcp_are_in_the_metrics(rest: httpx.AsyncClient, procedures: Procedures) -> None:
    async with mcp(rest, await key(procedures, "read")) as reader:
        await reader.call_tool("cache_stats")
    admin = {"authorization": f"Bearer {await key(procedures, 'admin')}"}
    text = (await rest.get("/metrics", headers=admin)).text
    assert 'lycosa_mcp_operations_total{method="tools/call",name="cache_stats",outcome="ok"}' in text


class Scripted(GenericFakeChatModel):
    """A model that says what it was told to say."""

    def bind_tools(self, tools: Sequence[Any], **_given: Any) -> Runnable[Any, Any]:
        """It knows them already."""
        return self


async def test_an_agent_calls_tools_of_mcp_and_one_of_them_calls_the_chain(
    rest: httpx.AsyncClient, procedures: Procedures
) -> None:
    """Row F4: a chain calls an MCP tool, and an MCP tool calls the analysis chain."""
    credential = await key(procedures, "read", "write", "spend")
    row = {"id": "c-9", "name": "Lark & Co", "segment": "retail", "industry": "Retail"}
    script = [
        ("upsert_customers", {"rows": [row]}),
        ("analyze_customer", {"customer": "c-9", "language": "en"}),
    ]
    asked = [
        AIMessage(
            content="", tool_calls=[{"name": name, "args": given, "id": str(number), "type": "tool_call"}]
        )
        for number, (name, given) in enumerate(script)
    ]
    async with MCPAdapter(mcp(rest, credential)) as adapter:
        tools = await adapter.list_tools()
        agent = create_agent(Scripted(messages=iter([*asked, AIMessage(content="Done.")])), tools)
        ended = await agent.ainvoke({"messages": [{"role": "user", "content": "Report on Lark"}]})
    answers = [message for message in ended["messages"] if isinstance(message, ToolMessage)]
    assert [message.status for message in answers] == ["success", "success"], answers
    report = answers[1].artifact["structured_content"]
    assert "Lark" in json.dumps(report)
    assert ended["messages"][-1].content == "Done."
