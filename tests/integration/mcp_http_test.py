"""MCP over HTTP, as a part of the REST server, asked by real clients of both eras of the protocol."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastmcp import Client

from lycosa.mcp import mounted
from lycosa.rest.server import serve
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving

HEADERS = {"accept": "application/json, text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest_asyncio.fixture(scope="module")
async def rest(server: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(http_port=free_port(), mcp_rate_per_minute=0)) as client:
        yield client


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_both_eras_are_served_at_one_address(rest: httpx.AsyncClient, mode: str, version: str) -> None:
    client: Client[Any] = Client(f"{rest.base_url}/mcp", mode=mode)
    async with client:
        assert client.protocol_version == version
        assert "get_customer" in {tool.name for tool in await client.list_tools()}


async def test_what_cannot_be_imported_stops_neither_rest_nor_its_end(
    server: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(name: str) -> Any:
        raise AttributeError(f"{name} is of another version")

    monkeypatch.setattr(mounted, "import_in_background", breaks)
    async with serving(server.settings(http_port=free_port())) as rest:
        # At once: whoever waits for what will not come waits 10 s.
        refused = await rest.post("/mcp", json={}, headers=HEADERS, timeout=8)
        assert (refused.status_code, refused.json()["code"]) == (503, "MCP_NOT_READY")
        assert (await rest.get("/v1/customers")).status_code == 200


async def test_streams_that_stay_open_do_not_hold_up_the_end(server: Store) -> None:
    settings = server.settings(http_port=free_port())
    url = f"http://127.0.0.1:{settings.http_port}/mcp"
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop, ready))
    try:
        await ready.wait()
        async with httpx.AsyncClient(timeout=10) as client:
            streams = [
                asyncio.create_task(read_to_the_end(client, method, url, given, body))
                for method, given, body in (await handshake_stream(client, url), modern_stream())
            ]
            await asyncio.sleep(0.3)
            assert not any(stream.done() for stream in streams)
            began = time.perf_counter()
            stop.set()
            await asyncio.gather(*streams)
            await serving
            # Without an end of their own they would be cut off after 4 s.
            assert time.perf_counter() - began < 3
    finally:
        stop.set()
        await serving


async def read_to_the_end(
    client: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], body: dict[str, Any] | None
) -> None:
    async with client.stream(method, url, headers=headers, json=body) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for _ in stream.aiter_bytes():
            pass


async def handshake_stream(client: httpx.AsyncClient, url: str) -> tuple[str, dict[str, str], None]:
    """What a client that shakes hands listens on, after it has."""
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": about}
    session = (await client.post(url, json=opening, headers=HEADERS)).headers["mcp-session-id"]
    return "GET", HEADERS | {"mcp-session-id": session, "mcp-protocol-version": "2025-06-18"}, None


def modern_stream() -> tuple[str, dict[str, str], dict[str, Any]]:
    """What a client of 2026-07-28 listens on."""
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
    asked = {"notifications": {"resourceSubscriptions": ["server://status"]}, "_meta": META}
    message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": asked}
    return "POST", HEADERS | headers, message
