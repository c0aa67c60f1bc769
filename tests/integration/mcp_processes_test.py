"""Several MCP servers on one store behave as one (their own endpoints and connections, here in one process)."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.conftest import Store
from tests.integration.mcp_served import Served, served

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@pytest_asyncio.fixture(scope="module")
async def pair(server: Store) -> AsyncIterator[tuple[Served, Served]]:
    settings = server.settings(tenant="mcp-pair", mcp_rate_per_minute=0, mcp_answer_bytes=100_000)
    async with served(settings) as first, served(settings) as second:
        yield first, second


async def post(client: httpx.AsyncClient, url: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await client.post(url, json={"jsonrpc": "2.0", **body}, headers=HEADERS | headers)


async def opened(client: httpx.AsyncClient, url: str, **headers: str) -> dict[str, str]:
    """Shake hands; gives the headers of the session."""
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await post(client, url, {"id": 0, "method": "initialize", "params": about}, **headers)
    assert answer.status_code == 200
    session = {
        **headers,
        "mcp-session-id": answer.headers["mcp-session-id"],
        "mcp-protocol-version": "2025-06-18",
    }
    assert (await post(client, url, {"method": "notifications/initialized"}, **session)).status_code == 202
    return session


_ids = itertools.count(1)


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"id": next(_ids), "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


async def test_a_session_begun_on_one_goes_on_on_the_other(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with httpx.AsyncClient(timeout=10) as client:
        session = await opened(client, first.url)
        assert '"a"' in (await post(client, first.url, call("remember", fact="a"), **session)).text
        # Many at once: it is taken up once.
        answers = await asyncio.gather(
            *(post(client, second.url, call("echo", text=f"n{n}"), **session) for n in range(8))
        )
        assert [answer.status_code for answer in answers] == [200] * 8
        assert all(f"n{n}" in answer.text for n, answer in enumerate(answers))
        answer = await post(client, second.url, call("remember", fact="b"), **session)
        assert '["a","b"]' in answer.text.replace(" ", "").replace("\\n", "").replace("\\", "")


async def test_a_stream_that_broke_is_heard_to_its_end_on_the_other(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with httpx.AsyncClient(timeout=10) as client:
        session = await opened(client, first.url) | {"mcp-protocol-version": "2025-11-25"}
        broken = await post(client, first.url, call("broken_off"), **session)
        assert "nevertheless" not in broken.text
        (last,) = re.findall(r"^id: ?(\S+)", broken.text, re.M)
        await asyncio.sleep(0.2)
        headers = HEADERS | session | {"accept": "text/event-stream", "last-event-id": last}
        async with client.stream("GET", second.url, headers=headers) as rest:
            async for line in rest.aiter_lines():
                if line.startswith("data:") and "nevertheless" in line:
                    break
            else:
                pytest.fail("it was not said again")


async def test_a_session_is_nobody_elses_on_the_other_either(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with httpx.AsyncClient(timeout=10) as client:
        session = await opened(client, first.url, authorization="Bearer boss")
        other = session | {"authorization": "Bearer acme"}
        assert (await post(client, second.url, call("echo", text="x"), **other)).status_code == 404
        assert (await post(client, second.url, call("echo", text="x"), **session)).status_code == 200


async def test_nobody_else_ends_a_session(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with httpx.AsyncClient(timeout=10) as client:
        session = await opened(client, first.url, authorization="Bearer boss")
        other = session | {"authorization": "Bearer acme"}
        assert (await client.delete(first.url, headers=other)).status_code == 404
        assert (await post(client, second.url, call("echo", text="x"), **session)).status_code == 200


async def test_a_session_that_was_ended_is_not_taken_up(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with httpx.AsyncClient(timeout=10) as client:
        session = await opened(client, first.url)
        assert (await client.delete(first.url, headers=session)).status_code == 200
        assert (await post(client, second.url, call("echo", text="x"), **session)).status_code == 404


@pytest.mark.seconds
async def test_no_answer_of_a_thousand_calls_is_lost_or_mixed_up(pair: tuple[Served, Served]) -> None:
    """Three hundred in two sessions of the handshake, the rest each by itself, in the modern way; all at once."""
    first, second = pair
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    few = asyncio.Semaphore(32)
    modern = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "echo"}

    async def alone(http: httpx.AsyncClient, url: str, who: dict[str, str], text: str) -> dict[str, str]:
        body = call("echo", text=text)
        body["params"]["_meta"] = meta
        async with few:
            answer = (await post(http, url, body, **modern, **who)).json()
        assert answer["id"] == body["id"]
        found: dict[str, str] = answer["result"]["structuredContent"]
        return found

    async def in_session(client: Client[Any], text: str) -> dict[str, str]:
        found: dict[str, str] = (await client.call_tool("echo", {"text": text})).data
        return found

    async with (
        httpx.AsyncClient(timeout=30) as http,
        first.client(mode="legacy") as one,
        second.client("boss", "legacy") as other,
    ):
        # These learn the schemas of answers with their first call.
        await asyncio.gather(in_session(one, ""), in_session(other, ""))
        boss = {"authorization": "Bearer boss"}
        ways: list[tuple[Callable[[str], Awaitable[dict[str, str]]], str]] = [
            (partial(in_session, one), "local"),
            (partial(in_session, other), "boss"),
            (partial(alone, http, first.url, {}), "local"),
            (partial(alone, http, second.url, boss), "boss"),
        ]
        asked = [(ways[n % 2 if n < 300 else 2 + n % 2], f"text {n}") for n in range(1000)]
        began = time.perf_counter()
        answers = await asyncio.gather(*(way(text) for (way, _), text in asked))
        print(f"{1000 / (time.perf_counter() - began):.0f} calls/s")
    assert answers == [{"text": text, "who": who} for (_, who), text in asked]


async def test_a_caller_sees_only_what_its_scopes_allow(pair: tuple[Served, Served]) -> None:
    async with pair[0].client("acme") as client:
        shown = {tool.name for tool in await client.list_tools()}
        assert shown >= {"echo", "get_customer"}
        assert not shown & {"remember", "upsert_customers", "search_web", "invalidate_cache"}
        refused = await client.call_tool("remember", {"fact": "x"}, raise_on_error=False)
        assert refused.structured_content is not None
        assert refused.structured_content["code"] == "NAME_UNKNOWN"


async def test_an_answer_that_is_too_large_is_refused_whole(pair: tuple[Served, Served]) -> None:
    async with pair[0].client() as client:
        assert len((await client.call_tool("large", {"size": 30_000})).data) == 30_000
        with pytest.raises(ToolError, match="ANSWER_TOO_LARGE"):
            await client.call_tool("large", {"size": 100_001})


async def test_figures_name_what_is_there_and_nothing_else(pair: tuple[Served, Served]) -> None:
    async with pair[1].client() as client:
        await client.call_tool("absent-7f", raise_on_error=False)
        await client.call_tool("echo", {"text": "x"})
    counted = {
        tuple(sample.labels.values())
        for family in pair[1].registry.collect()
        if family.name == "lycosa_mcp_operations"
        for sample in family.samples
    }
    assert ("tools/call", "echo", "ok") in counted
    assert ("tools/call", "unknown", "not_found") in counted
    assert not any("absent-7f" in labels for labels in counted)
