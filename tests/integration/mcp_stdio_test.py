"""`lycosa mcp` as a client starts it: the protocol and nothing else on its output, and an end in order."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from tests.conftest import ROOT, Store

# Each starts a process, which imports for seconds.
pytestmark = pytest.mark.seconds

ARGUMENTS = ["-m", "lycosa.cli", "--tenant", "stdio", "mcp"]
OPENING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def environment(store: Store) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(store.data),
        "PYTHONPATH": str(ROOT / "python"),
        "LYCOSA_DATA": str(store.data),
        "TARANTOOL_HOST": str(store.socket),
        "LYCOSA_LLM": "extractive",
    }


@contextlib.asynccontextmanager
async def started(store: Store) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, after the handshake."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *ARGUMENTS, cwd=store.data, env=environment(store),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        answer = await ask(process, OPENING)
        assert answer["result"]["serverInfo"]["name"] == "lycosa"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def ask(process: asyncio.subprocess.Process, message: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    async with asyncio.timeout(60):
        answer: dict[str, Any] = json.loads(await process.stdout.readline())
    return answer


async def test_a_real_client_uses_it(server: Store) -> None:
    transport = StdioTransport(
        sys.executable, ARGUMENTS, env=environment(server), cwd=str(server.data), keep_alive=False
    )
    async with asyncio.timeout(60):
        async with Client(transport) as client:
            assert "get_customer" in {tool.name for tool in await client.list_tools()}
            found = await client.call_tool("find_customers", {"by": "all"})
    assert found.structured_content == {"rows": [], "next": None, "previous": None}


async def test_it_ends_in_order(server: Store) -> None:
    # SIGINT and SIGHUP take the way of SIGTERM.
    await asyncio.gather(_ends_in_order(server, "eof"), _ends_in_order(server, "SIGTERM"))


async def _ends_in_order(server: Store, how: str) -> None:
    async with started(server) as process:
        assert process.stdin is not None
        if how == "eof":
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[how])
        async with asyncio.timeout(5):
            printed, logged = await asyncio.gather(process.stdout.read(), process.stderr.read())  # type: ignore[union-attr]
            assert await process.wait() == 0
    assert printed == b""
    # Its log is one JSON object a line, and has the handshake.
    lines = [json.loads(line) for line in logged.splitlines()]
    assert any(line["event"] == "mcp_operation" and line["method"] == "initialize" for line in lines)


async def test_without_a_store_it_says_so_and_ends(tmp_path: Any, server: Store) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *ARGUMENTS, cwd=tmp_path,
        env=environment(server) | {"LYCOSA_DATA": str(tmp_path), "TARANTOOL_HOST": str(tmp_path / "none.sock")},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        printed, said = await process.communicate(b"")
    assert process.returncode == 2
    assert printed == b""
    assert b"password" in said
