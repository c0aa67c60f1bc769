"""MCP over streamable HTTP: who asks, the sessions, and an end in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.context import reset_transport, set_transport
from fastmcp.server.http import StreamableHTTPASGIApp, set_http_request
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.transport_security import TransportSecuritySettings
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from lycosa.mcp import subscriptions
from lycosa.mcp.asking import Asks, Caller
from lycosa.mcp.server import build
from lycosa.mcp.shared_sessions import SharedSessions
from lycosa.services import Services
from lycosa.services.access import bearer
from lycosa.settings import Settings
from lycosa.tracing import configure_tracing


async def open_endpoint(
    services: Services,
    settings: Settings,
    authenticator: Asks,
    registry: CollectorRegistry,
    extend: Callable[[FastMCP[Any]], None] | None = None,
) -> "Endpoint":
    """The endpoint of a new server over these services, with what `extend` adds to it.

    Raises Invalid where the store's password is not known.
    """
    await asyncio.to_thread(configure_tracing)
    # Deriving a key takes its time on purpose.
    server = await asyncio.to_thread(build, services, settings, authenticator, registry)
    if extend is not None:
        extend(server)
    return Endpoint(server, services, authenticator)


class Endpoint:
    """ASGI: one server at one path. Host and Origin are looked at by the application around it."""

    def __init__(self, server: FastMCP[Any], services: Services, authenticator: Asks) -> None:
        self._server = server
        self._authenticator = authenticator
        self._sessions = SharedSessions(server._mcp_server, services)
        self._sessions.security_settings = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._serve = StreamableHTTPASGIApp(self._sessions)
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = asyncio.Event()

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
        identity = await self._authenticator.identify(bearer(_authorization(scope)))
        user = AuthenticatedUser(Caller.of(identity))
        inner = {**scope, "user": user}
        # A stream that listens has no end of its own.
        ends = scope["method"] == "POST" and (b"mcp-method", b"subscriptions/listen") not in scope["headers"]
        if ends:
            self._in_flight += 1
            self._idle.clear()
        else:
            receive = self._until_ended(receive)
        transport, asking = set_transport("streamable-http"), auth_context_var.set(user)
        try:
            with set_http_request(Request(inner)):
                await self._serve(inner, receive, send)
        finally:
            auth_context_var.reset(asking)
            reset_transport(transport)
            if ends:
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
        self._ended.set()
        for transport in list(self._sessions._server_instances.values()):
            with contextlib.suppress(Exception):
                await transport.terminate()

    def _until_ended(self, receive: Receive) -> Receive:
        """Receives that the client has gone as soon as the streams are to end."""

        async def receiving() -> Message:
            ended = asyncio.create_task(self._ended.wait())
            received = asyncio.ensure_future(receive())
            try:
                await asyncio.wait({ended, received}, return_when=asyncio.FIRST_COMPLETED)
                return received.result() if received.done() else {"type": "http.disconnect"}
            finally:
                ended.cancel()
                received.cancel()

        return receiving


def _authorization(scope: Scope) -> list[str]:
    return [str(value, "latin-1") for name, value in scope["headers"] if name == b"authorization"]
