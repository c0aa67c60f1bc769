"""Serving: one uvicorn server inside the caller's event loop, stopped by the caller."""

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from lycosa.errors import Conflict, Denied, Invalid, Unavailable
from lycosa.hosts import is_loopback
from lycosa.rest.app import create_app
from lycosa.settings import Settings

# Together with closing the rest under the 5 s that a supervisor gives.
_FINISH_WITHIN = 4
_DRAIN_WITHIN = 3.0


async def serve(
    settings: Settings,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
    *,
    extend: Callable[[Any], None] | None = None,
) -> None:
    """Answer HTTP until `stop` is set; then accept nothing more, finish what is in flight within 4 s, and return.

    `ready` is set once the port is listened on; `extend` is create_app's. Signals are the caller's. Raises Denied for
    an address beyond loopback without LYCOSA_AUTHENTICATION=required, Conflict when the port is in use, Invalid for an
    address that is not of this machine or settings that do not fit together, Unavailable when the application did not
    start.
    """
    require_safe(settings)
    listener = listen(settings.http_host, settings.http_port)
    app = create_app(settings, extend)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_FINISH_WITHIN,
        limit_concurrency=None,
    )
    server = _Server(config, ready or asyncio.Event())
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="lycosa-rest")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopping.cancel()
        # Clients of MCP keep streams open; they would be waited for.
        draining = asyncio.create_task(app.state.mcp.drain(_DRAIN_WITHIN), name="lycosa-mcp-drain")
        with contextlib.closing(listener):
            await serving
        await draining
    if not stop.is_set():
        raise Unavailable("the HTTP server ended by itself; see its log", code="SERVER_ENDED")


def _tune_collector() -> None:
    """Measured: freezing what the start made and seldom looking at what is old halves the tail of the latencies.

    Every call of asynctnt leaves a cycle of half a dozen objects (request, response, future). Freeing 20,000 of them at
    once held the server for 15 to 30 ms; 2,000 hold it for 2.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 20, 100)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tune the collector and tell who waits."""
        await super().startup(sockets=sockets)
        if self.started:
            _tune_collector()
            self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's."""
        yield


def require_safe(settings: Settings) -> None:
    """Raises Denied where nobody is asked who they are and the address is not loopback's, Invalid for settings of
    tokens that do not fit together."""
    if settings.accepts_tokens:
        from lycosa.services.tokens import token_verifier

        token_verifier(settings)
    if settings.authentication == "required" or is_loopback(settings.http_host):
        return
    raise Denied(
        f"LYCOSA_HTTP_HOST={settings.http_host} is not a loopback address, and everyone who reaches it could read and "
        "write everything: set LYCOSA_AUTHENTICATION=required and make keys with `lycosa keys create`",
        code="REMOTE_REFUSED",
        details={"argument": "LYCOSA_HTTP_HOST"},
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Conflict when the port is in use, Invalid for an address of another machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port {port} on {host}, wanted for REST, is in use; stop the process that has it or set "
                "LYCOSA_HTTP_PORT to a free port",
                code="PORT_IN_USE",
                details={"argument": "LYCOSA_HTTP_PORT", "port": port},
            ) from problem
        raise Invalid(
            f"cannot listen on {host}:{port} ({problem.strerror}); set LYCOSA_HTTP_HOST and LYCOSA_HTTP_PORT",
            code="ADDRESS_INVALID",
            details={"argument": "LYCOSA_HTTP_HOST"},
        ) from problem
    listener.setblocking(False)
    return listener
