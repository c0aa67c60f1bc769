"""Our own MCP server with a few tools of the tests, served over HTTP by as many endpoints as a test wants."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastmcp import Client, Context, FastMCP
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from lycosa.identity import Identity
from lycosa.mcp.asking import Depends, asking
from lycosa.mcp.http import Endpoint
from lycosa.mcp.scopes import needs
from lycosa.mcp.server import build
from lycosa.procedures import Procedures, connect
from lycosa.rest.server import listen
from lycosa.services import Services
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging
from tests.integration.rest_client import free_port


class Named:
    """Knows two credentials by heart: `acme` may read, `boss` everything; who has none is the local caller."""

    def __init__(self, settings: Settings) -> None:
        self._known = {
            None: Identity.local(settings),
            "acme": Identity(settings.tenant, frozenset({"read"}), "acme"),
            "boss": Identity(settings.tenant, key_id="boss"),
        }

    async def identify(self, credential: str | None) -> Identity:
        return self._known[credential]


def add_tools(server: FastMCP[Any]) -> None:
    """What the tests call."""

    @server.tool(auth=needs("read"), annotations={"readOnlyHint": True})
    async def echo(text: str, pause: float = 0.0, identity: Identity = Depends(asking)) -> dict[str, str]:
        """Answer what was given, after a pause."""
        await asyncio.sleep(pause)
        return {"text": text, "who": identity.key_id or "local"}

    @server.tool(auth=needs("write"))
    async def remember(fact: str, context: Context) -> list[str]:
        """Add to what this session knows."""
        facts = [*(await context.get_state("facts") or []), fact]
        await context.set_state("facts", facts)
        return facts

    @server.tool
    async def broken_off(context: Context) -> str:
        """Break its stream off and answer nevertheless."""
        await context.close_sse_stream()
        await asyncio.sleep(0.05)
        return "nevertheless"

    @server.tool
    async def large(size: int) -> str:
        """Answer so many letters."""
        return "x" * size


class Served:
    """One endpoint on a port of its own: what one process of several would be."""

    def __init__(self, server: FastMCP[Any], endpoint: Endpoint, registry: CollectorRegistry) -> None:
        self.server = server
        self.endpoint = endpoint
        self.registry = registry
        self.url = ""

    def client(self, key: str | None = None, mode: str = "auto") -> Client[Any]:
        """A client of it."""
        return Client(self.url, auth=key, mode=mode)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.endpoint(scope, receive, send)


@contextlib.asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    """Serve until the block ends, over a connection of its own."""
    configure_logging("warning")
    async with connect(settings) as connection:
        services = Services(Procedures(connection), settings)
        registry, authenticator = CollectorRegistry(), Named(settings)
        server = build(services, settings, authenticator, registry)
        add_tools(server)
        found = Served(server, Endpoint(server, services, authenticator), registry)
        port = free_port()
        config = uvicorn.Config(
            found, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        http = uvicorn.Server(config)
        found.url = f"http://127.0.0.1:{port}/mcp"
        listener = listen("127.0.0.1", port)
        stop, ready = asyncio.Event(), asyncio.Event()
        holding = asyncio.create_task(_hold(found.endpoint, ready, stop))
        await ready.wait()
        task = asyncio.create_task(http.serve(sockets=[listener]))
        while not http.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield found
        finally:
            http.should_exit = True
            await found.endpoint.drain(1.0)
            await task
            stop.set()
            await holding
            listener.close()
        await services.aclose()


async def _hold(endpoint: Endpoint, ready: asyncio.Event, stop: asyncio.Event) -> None:
    """In a task of its own: a fixture ends in another one than it began in."""
    async with endpoint.running():
        ready.set()
        await stop.wait()
