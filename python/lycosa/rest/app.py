"""The FastAPI application: its parts, its errors, its documentation."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

import lycosa
from lycosa.errors import Denied, Internal, LycosaError
from lycosa.hosts import AllowedHosts, HostGuard
from lycosa.identity import Identity
from lycosa.mcp import mounted
from lycosa.procedures import Procedures, connect
from lycosa.rest import (
    analyses,
    analysis_events,
    cache,
    customers,
    documents,
    operations,
    providers,
    quotas,
    requests,
    searches,
    sessions,
)
from lycosa.rest.answers import request_id
from lycosa.rest.authorized import SECURITY_SCHEMES, challenge
from lycosa.rest.observed import Observed
from lycosa.rest.problems import internal, of_error, of_status, of_validation, problem, respond
from lycosa.rest.protected_resource import metadata_address, metadata_route
from lycosa.services import Services
from lycosa.settings import Settings
from lycosa.telemetry import HttpMetrics, SessionCollector

_log = structlog.get_logger("lycosa.rest")

_DESCRIPTION = """
Customers, documents about them, sourced analyses, and the history of what was asked.

Where the server asks who you are, show an API key or a token: `Authorization: Bearer <credential>`. It decides whose
data you see; each operation names the scope it needs: read, write, spend or admin.

Errors are `application/problem+json` (RFC 9457). Their `kind` decides the status: invalid 422, denied 403 (401 where
it is not known who asks), not_found 404, conflict 409, exhausted 429, unavailable 503, timeout 504; `code` names the
error and `details` the field or row. Every answer carries `X-Request-Id`; send one of your own to find it again in the
log.
"""


def create_app(settings: Settings, extend: Callable[[Any], None] | None = None) -> FastAPI:
    """The application over a store that need not be there yet: it connects in the background and again when lost.

    `extend` is given the FastMCP server of /mcp, to add tools, resources and prompts of its own.
    """
    app = FastAPIOffline(
        title="Lycosa",
        version=lycosa.__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.identity = Identity.local(settings)
    app.state.metrics = HttpMetrics()
    for surface in (
        analyses, customers, documents, analysis_events, searches, providers, requests, sessions, cache, quotas,
        operations,
    ):  # fmt: skip
        # Not include_router: routers inside routers are matched twice, which costs more than all else of a request.
        # What is asked most stands first: each route before it is tried for every request.
        app.router.routes.extend(surface.router.routes)
    app.state.mcp = mounted.Mounted(extend)
    # First, since every call of MCP goes through it: forty routes before it are a twentieth of a call.
    app.router.routes.insert(0, Route(mounted.PATH, endpoint=app.state.mcp))
    if tokens_from := metadata_route(settings):
        app.router.routes.append(tokens_from)
    app.state.names_issuer = tokens_from is not None
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.name
    app.add_exception_handler(LycosaError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_status)
    # The last that is added stands outside: what the guard refuses is counted and logged, too.
    app.add_middleware(HostGuard, hosts=AllowedHosts.of(settings), refuse=_refuse)
    app.add_middleware(Observed, metrics=app.state.metrics)
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """Add to the OpenAPI page how a caller says who they are."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        schema = describe()
        schema["components"]["securitySchemes"] = SECURITY_SCHEMES
        return schema

    app.openapi = described  # type: ignore[method-assign]


def _refuse(scope: Scope, status: int, code: str, detail: str) -> Response:
    kind = "denied" if status == 403 else "invalid"
    return respond(
        problem(status, kind=kind, code=code, detail=detail, request_id=scope["state"]["request_id"])
    )


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    client = connect(settings)
    client.start()
    services = Services(Procedures(client), settings)
    app.state.services = services
    app.state.metrics.registry.register(SessionCollector(services.sessions.figures))
    # Not waited for: everything but an analysis is answered meanwhile.
    preparing = asyncio.create_task(_prepare(services, app.state.identity), name="lycosa-prepare")
    keeping = asyncio.create_task(services.quotas.keep_zones(), name="lycosa-quota-zones")
    watching = asyncio.create_task(app.state.metrics.watch_loop(), name="lycosa-loop-lag")
    try:
        async with app.state.mcp.running(
            services, settings, services.authenticator, app.state.metrics.registry
        ):
            yield
    finally:
        watching.cancel()
        keeping.cancel()
        preparing.cancel()
        await services.aclose()
        await client.close()


async def _prepare(services: Services, identity: Identity) -> None:
    await services.prepare()
    # What it made stays; the collector, tuned in rest/server.py, need not look at it again.
    gc.freeze()
    try:
        await services.providers.watch(identity)
    except LycosaError as problem:
        # Keys that are none: the rest works without them, and every search says so.
        _log.error("providers_not_usable", code=problem.code, problem=problem.message)


async def _on_error(request: Request, error: Any) -> Response:
    identifier = request_id(request)
    if isinstance(error, Internal):
        # Its message says where to look and nothing else.
        _log.error("internal", code=error.code, problem=error.message)
    response = respond(of_error(error, identifier), error.retry_after)
    if isinstance(error, Denied):
        at_mcp = request.url.path == mounted.PATH and request.app.state.names_issuer
        challenge(response, error, metadata_address(request) if at_mcp else None)
    return response


async def _on_invalid(request: Request, error: Any) -> Response:
    return respond(of_validation(error.errors(), request_id(request)))


async def _on_status(request: Request, error: Any) -> Response:
    identifier = request_id(request)
    if error.status_code >= 500:
        return respond(internal(identifier))
    response = respond(of_status(error.status_code, str(error.detail), identifier))
    response.headers.update(error.headers or {})
    return response
