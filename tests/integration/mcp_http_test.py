"""MCP over HTTP, as a part of the REST server, asked by real clients of both eras of the protocol."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastmcp import Client

from tests.conftest import Store
from tests.integration.rest_client import free_port, serving


@pytest_asyncio.fixture(scope="module")
async def rest(server: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(http_port=free_port(), mcp_rate_per_minute=0)) as client:
        yield client


def mcp(rest: httpx.AsyncClient, mode: str = "auto") -> Client[Any]:
    return Client(f"{rest.base_url}/mcp", mode=mode)


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_both_eras_are_served_at_one_address(rest: httpx.AsyncClient, mode: str, version: str) -> None:
    async with mcp(rest, mode) as client:
        assert client.protocol_version == version
        assert await client.list_tools() is not None
