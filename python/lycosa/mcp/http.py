"""MCP over streamable HTTP: who asks, the sessions, and an end in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.context import reset_transport, set_transport
from fastmcp.server.http import StreamableHTTPASGIApp, set_http_request
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.streamable_http import EventStore
from mcp.server.transport_security import TransportSecuritySettings
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from lycosa.mcp import subscriptions
from lycosa.mcp.asking import Asks, Caller
from lycosa.mcp.server import build
from lycosa.mcp.shared_sessions import SharedSessions
from lycosa.services import Services
from lycosa.services.access import bearer
from lycosa.settings import Settings


async def open_endpoint(
    services: Services, settings: Settings, authenticator: Asks, registry: CollectorRegistry
) -> "Endpoint":
    """The endpoint of a new server over these services. Raises Invalid where the store's password is not known."""
    # Deriving a key takes its time on purpose.
    server = await asyncio.to_thread(build, services, settings, authenticator, registry)
    return Endpoint(server, services, authenticator)


class Endpoint:
    """ASGI: one server at one path. Host and Origin are looked at by the application around it."""

    def __init__(
        self,
        server: FastMCP[Any],
        services: Services,
        authenticator: Asks,
        event_store: EventStore | None = None,
    ) -> None:
        self._server = server
        self._authenticator = authenticator
        self._sessions = SharedSessions(server._mcp_server, services, event_store)
        self._sessions.security_settings = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._serve = StreamableHTTPASGIApp(self._sessions)
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block lasts. Once only."""
        async with self._sessions.run():
            try:
                yield
            finally:
                await self._end_streams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises Unauthenticated before anything else is looked at."""
        identity = await self._authenticator.identify(_credential(scope))
        user = AuthenticatedUser(Caller.of(identity))
        inner = {**scope, "user": user}
        posts = scope["method"] == "POST"
        if posts:
            self._in_flight += 1
            self._idle.clear()
        transport, asking = set_transport("streamable-http"), auth_context_var.set(user)
        try:
            with set_http_request(Request(inner)):
                await self._serve(inner, receive, send)
        finally:
            auth_context_var.reset(asking)
            reset_transport(transport)
            if posts:
                self._in_flight -= 1
                if not self._in_flight:
                    self._idle.set()

    async def drain(self, within: float) -> None:
        """Wait for calls in flight, up to `within` seconds; then end every stream."""
        subscriptions.close(self._server)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._idle.wait()
        await self._end_streams()

    async def _end_streams(self) -> None:
        """Without this the streams that clients keep open would hold up the end of the server."""
        for transport in list(self._sessions._server_instances.values()):
            with contextlib.suppress(Exception):
                await transport.terminate()


def _credential(scope: Scope) -> str | None:
    return bearer([str(value, "latin-1") for name, value in scope["headers"] if name == b"authorization"])
