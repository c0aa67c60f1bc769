"""A read tool over MCP beside the same data through REST, and beside an empty tool of the same app and middleware.

One server process, asked in turns over keep-alive connections by a client that only writes and reads bytes, so that the
server is measured and not a client library. MCP is asked by the protocol of 2026-07-28. The log goes to a file, as
`lycosa up` has it; the limit of calls a minute is off, and then shown with it on. The median of the rounds' ratios is
judged.
"""

import asyncio
import contextlib
import gc
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import uvloop
from fastmcp import FastMCP

from benchmarks.beside import Call, closed_loop, judge, middle, middle_ratio, show
from lycosa.mcp.scopes import needs
from lycosa.rest.server import serve
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging
from tests.conftest import ROOT, Store
from tests.integration.rest_client import free_port

ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 2.0, 1.0
CALLERS = 16
GOAL = 0.6
CUSTOMER = "c-1"
ROW = {
    "id": CUSTOMER, "external_id": "S-1", "name": "ООО Ромашка", "email": "one@example.com", "segment": "retail",
    "tags": ["a", "b"], "country": "RU", "industry": "Retail", "revenue_cents": 120_000, "orders": 7,
}  # fmt: skip
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def tool_call(port: int, name: str, arguments: dict[str, Any]) -> bytes:
    """A whole request."""
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments, "_meta": _META},
        }
    ).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n"
        f"mcp-method: tools/call\r\nmcp-name: {name}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def rest_call(port: int) -> bytes:
    """The same customer through REST."""
    return f"GET /v1/customers/{CUSTOMER} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()


def asks(port: int, request: bytes, expected: bytes) -> Callable[[int], Call]:
    """Each caller has a connection of its own; an answer without `expected` ends the benchmark."""

    def of_caller(_number: int) -> Call:
        connection: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

        async def call() -> None:
            if not connection:
                connection.append(await asyncio.open_connection("127.0.0.1", port))
            reader, writer = connection[0]
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            body = await reader.readexactly(length)
            if expected not in body:
                raise SystemExit(f"not the answer that was asked for: {head!r} {body[:500]!r}")

        return call

    return of_caller


@contextlib.asynccontextmanager
async def server(store: Store, rate: int) -> AsyncIterator[int]:
    """This file as a server in a process of its own; gives its port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.surfaces", "serve", str(store.data), str(port), str(rate)]
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        command, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
            while not await _answers(client):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            stored = await client.post("/v1/customers", json={"rows": [ROW]})
            if stored.status_code != 200:
                raise SystemExit(f"no customer to ask for: {stored.text}")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/mcp")).status_code != 503
    except httpx.TransportError:
        return False


async def main(quick: bool) -> None:
    """Measure in turns, then once more with the limit of calls a minute."""
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data) / "store")
        store.start()
        try:
            async with server(store, 0) as port:
                read = asks(port, tool_call(port, "get_customer", {"customer": CUSTOMER}), b"one@example.com")
                empty = asks(port, tool_call(port, "empty", {}), b'"isError":false')
                rest = asks(port, rest_call(port), b"one@example.com")
                sides: dict[str, Callable[[int], Call]] = {
                    "REST, GET /v1/customers/{id}": rest,
                    "MCP, an empty tool": empty,
                    "MCP, get_customer": read,
                }
                measured: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
                for call in sides.values():
                    await closed_loop(call, CALLERS, seconds / 2)
                for _ in range(rounds):
                    for name, call in sides.items():
                        measured[name].append(await closed_loop(call, CALLERS, seconds))
                for name, figures in measured.items():
                    show(name, middle(figures))
                through_rest, nothing, a_read = measured.values()
                judge("a read beside an empty tool", middle_ratio(a_read, nothing), GOAL)
                print(f"{'a read beside REST':<34} {middle_ratio(a_read, through_rest):>9.2f}")
            async with server(store, 1_000_000) as port:
                read = asks(port, tool_call(port, "get_customer", {"customer": CUSTOMER}), b"one@example.com")
                await closed_loop(read, CALLERS, seconds / 2)
                show("MCP, get_customer, calls counted", await closed_loop(read, CALLERS, seconds))
        finally:
            store.stop()


async def serve_here(data: Path, port: int, rate: int) -> None:
    """The server, with an empty tool beside its own."""
    settings = Settings(
        _env_file=None,
        data=data,
        tarantool_host=str(data / "store.sock"),
        http_port=port,
        llm="extractive",
        mcp_rate_per_minute=rate,
    )
    configure_logging("info", data / "server.log")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def empty() -> dict[str, str]:
        return {}

    def extend(mcp: FastMCP[Any]) -> None:
        mcp.tool(empty, auth=needs("read"))

    await serve(settings, stop, extend=extend)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if sys.argv[1:2] == ["serve"]:
            runner.run(serve_here(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
        else:
            runner.run(main("--quick" in sys.argv))
