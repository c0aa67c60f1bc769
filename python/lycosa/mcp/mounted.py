"""The MCP server as a part of an HTTP application: imported beside it, ready when it is, asked who asks first."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from lycosa.background_import import import_in_background
from lycosa.errors import NotFound, Unavailable
from lycosa.services import Services
from lycosa.services.access import Authenticator
from lycosa.settings import Settings

if TYPE_CHECKING:
    from lycosa.mcp.http import Endpoint

PATH = "/mcp"
# How whoever logs and counts requests knows this one; Starlette tells it only of routes of FastAPI.
_PLACE = SimpleNamespace(path=PATH)

_log = structlog.get_logger("lycosa.mcp")

# A client that comes while the libraries are still imported waits so long for them, in seconds.
_WAITED_FOR = 10.0


class Mounted:
    """ASGI: MCP over streamable HTTP, of both eras of the protocol, at one path.

    `extend` is given the FastMCP server when it is made, to add tools, resources and prompts of its own.
    """

    def __init__(self, extend: Callable[[Any], None] | None = None) -> None:
        self._extend = extend
        self._endpoint: Endpoint | None = None
        self._known = asyncio.Event()
        self._missing = False
        self._stopping = False

    @contextlib.asynccontextmanager
    async def running(
        self,
        services: Services,
        settings: Settings,
        authenticator: Authenticator,
        registry: CollectorRegistry,
    ) -> AsyncIterator[None]:
        """Have it made ready beside the block, and ended after it."""
        task = asyncio.create_task(self._run(services, settings, authenticator, registry), name="lycosa-mcp")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(
        self,
        services: Services,
        settings: Settings,
        authenticator: Authenticator,
        registry: CollectorRegistry,
    ) -> None:
        try:
            try:
                # After what analyses need: both at once would hold the event loop up, and each other.
                await services.prepare()
                # A second of imports, in which REST already answers.
                made: Any = await import_in_background("lycosa.mcp.http")
            except ImportError as problem:
                self._missing = True
                _log.info("mcp_not_installed", missing=problem.name)
                return
            endpoint: Endpoint = await made.open_endpoint(
                services, settings, authenticator, registry, self._extend
            )
            # What that made stays; the collector need not look at it again.
            gc.freeze()
            async with endpoint.running():
                self._endpoint = endpoint
                self._known.set()
                await asyncio.Event().wait()
        except Exception as problem:
            # REST goes on without it.
            _log.exception("mcp_failed", error=type(problem).__name__)
        finally:
            self._endpoint = None
            self._known.set()

    async def drain(self, within: float) -> None:
        """Take no more, let what is in flight end for up to `within` seconds, then end the streams that stay open."""
        self._stopping = True
        if self._endpoint is not None:
            await self._endpoint.drain(within)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Unavailable until it is ready and while it stops, NotFound where FastMCP is not installed."""
        scope["route"] = _PLACE
        if self._stopping:
            raise Unavailable("the server is stopping", code="STOPPING", retry_after=1.0)
        endpoint = self._endpoint or await self._ready()
        await endpoint(scope, receive, send)

    async def _ready(self) -> ASGIApp:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAITED_FOR):
                await self._known.wait()
        if self._missing:
            raise NotFound("MCP is not installed here: pip install 'lycosa[mcp]'", code="MCP_NOT_INSTALLED")
        if self._endpoint is None:
            raise Unavailable("MCP is not ready yet", code="MCP_NOT_READY", retry_after=1.0)
        return self._endpoint
