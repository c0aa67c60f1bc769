"""Two real server processes on one Tarantool: one limit for both, and clients that go on when one of them is killed."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.conftest import ROOT, Store
from tests.integration.rest_client import free_port

LIMIT = 100
HEADERS = {"accept": "application/json, text/event-stream"}
_ids = itertools.count(1)


class Process:
    """`deploy/serve.py` over a store, as a container runs it."""

    def __init__(self, store: Store, tenant: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/mcp"
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "deploy" / "serve.py")],
            env={name: value for name, value in os.environ.items() if not name.startswith("COV")}
            | {
                "PYTHONPATH": str(ROOT / "python"),
                "LYCOSA_DATA": str(store.data),
                "TARANTOOL_HOST": str(store.socket),
                "LYCOSA_HTTP_PORT": str(port),
                "LYCOSA_TENANT": tenant,
                "LYCOSA_LLM": "extractive",
                "LYCOSA_LOG_LEVEL": "error",
                "LYCOSA_MCP_RATE_PER_MINUTE": str(LIMIT),
            },
            cwd=store.data,
            stdin=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest_asyncio.fixture
async def pair(server: Store, tenant: str) -> AsyncIterator[tuple[Process, Process]]:
    first, second = Process(server, tenant), Process(server, tenant)
    try:
        async with asyncio.timeout(90), httpx.AsyncClient(timeout=15) as client:
            await asyncio.gather(ready(client, first), ready(client, second))
        yield first, second
    finally:
        first.kill()
        second.kill()


async def ready(client: httpx.AsyncClient, process: Process) -> None:
    """Until it answers; what comes before MCP has been imported waits for that."""
    while True:
        try:
            if (await post(client, process, {"method": "ping"})).status_code != 503:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)


async def post(
    client: httpx.AsyncClient, process: Process, body: dict[str, Any], **headers: str
) -> httpx.Response:
    message = {"jsonrpc": "2.0", "id": next(_ids), **body}
    return await client.post(process.url, json=message, headers=HEADERS | headers)


async def opened(client: httpx.AsyncClient, process: Process) -> dict[str, str]:
    """Shake hands; gives the headers of the session."""
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await post(client, process, {"method": "initialize", "params": about})
    return {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}


def call() -> dict[str, Any]:
    return {"method": "tools/call", "params": {"name": "find_customers", "arguments": {"limit": 1}}}


def result(answer: httpx.Response) -> dict[str, Any]:
    """Of the one event on the stream."""
    (data,) = [line[5:] for line in answer.text.splitlines() if line.startswith("data:")]
    found: dict[str, Any] = json.loads(data)["result"]
    return found


@pytest.mark.seconds
async def test_one_limit_holds_across_both_and_the_other_goes_on_when_one_is_killed(
    server: Store, pair: tuple[Process, Process]
) -> None:
    first, second = pair
    async with httpx.AsyncClient(timeout=15) as client:
        session = await opened(client, first)
        # The limit is of a minute of the clock: not across its end.
        if (left := 60 - time.time() % 60) < 5:
            await asyncio.sleep(left + 0.1)
        answers = await asyncio.gather(
            *(post(client, process, call(), **session) for process in pair for _ in range(65))
        )
        results = [result(answer) for answer in answers]
        refused = [one["structuredContent"] for one in results if one["isError"]]
        assert len(results) - len(refused) == LIMIT
        assert {one["kind"] for one in refused} == {"exhausted"}
        assert all(0 < one["retry_after"] <= 60 for one in refused)

        # A call that is with the first when it is killed is lost; the session is not.
        server.pause()
        try:
            lost = asyncio.create_task(post(client, first, call(), **session))
            await asyncio.sleep(0.1)
            first.kill()
        finally:
            server.resume()
        (outcome,) = await asyncio.gather(lost, return_exceptions=True)
        assert isinstance(outcome, httpx.TransportError)
        listed = result(await post(client, second, {"method": "tools/list"}, **session))
        assert "find_customers" in {tool["name"] for tool in listed["tools"]}
