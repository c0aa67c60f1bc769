"""The HTTP surface for tests: the real server on a free port of loopback, inside the test's event loop."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from lycosa.rest.server import serve
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, extend: Callable[[Any], None] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve until the block ends; gives a client of it. The settings need a port of their own."""
    configure_logging("warning")
    stop, ready = asyncio.Event(), asyncio.Event()
    server = asyncio.create_task(serve(settings, stop, ready, extend=extend))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({server, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        waiting.cancel()
        await server
    try:
        base = f"http://{settings.http_host}:{settings.http_port}"
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:
            yield client
    finally:
        stop.set()
        await server


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    """The objects of an NDJSON answer."""
    return [json.loads(line) for line in response.text.splitlines()]
