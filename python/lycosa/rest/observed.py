"""Around every request: its id, its figures, its line in the log, and the last line of defence."""

import random
import re
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lycosa.identity import Identity
from lycosa.rest.answers import ADDED_HEADERS
from lycosa.rest.problems import internal, respond
from lycosa.telemetry import HttpMetrics

_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# Asked every few seconds by whoever watches, or with lines of its own: counted, and logged when it is refused or fails.
_QUIET = frozenset({"/healthz", "/health", "/readyz", "/ready", "/metrics", "/mcp"})
_UNKNOWN = "unknown"
_log = structlog.get_logger("lycosa.rest")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observed:
    """ASGI middleware. Routes are named by their templates, so that the number of series is bounded."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, adding X-Request-Id to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status, sent = 0, 0

        async def answering(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                added = scope["state"].get(ADDED_HEADERS, ())
                own = (b"x-request-id", request_id.encode())
                message["headers"] = [*message.get("headers", ()), *added, own]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        self._metrics.active.inc()
        try:
            await self._app(scope, receive, answering)
        except Exception as problem:
            _log.exception(
                "request_failed", route=_route(scope), error=type(problem).__name__, **_caller(scope)
            )
            if status:
                # The answer has begun: cutting it off is the only way left to say that it is not whole.
                raise
            await respond(internal(request_id))(scope, receive, answering)
        finally:
            self._metrics.active.dec()
            self._report(scope, status or 499, sent, time.perf_counter() - started)

    def _report(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _UNKNOWN
        route = _route(scope)
        self._metrics.observe(method, route, status, seconds)
        if route in _QUIET and status < 400:
            return
        _log.info(
            "request",
            **_caller(scope),
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 3),
            bytes=sent,
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE.fullmatch(value):
            return str(value, "ascii")
    # Unique, not secret: no system call.
    return f"{random.getrandbits(128):032x}"


def _route(scope: Scope) -> str:
    template: Any = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else _UNKNOWN


def _caller(scope: Scope) -> dict[str, str]:
    """Who asked, as far as it came to be known."""
    identity: Identity | None = scope["state"].get("identity")
    if identity is None:
        return {}
    return {"tenant": identity.tenant} | ({"key_id": identity.key_id} if identity.key_id else {})
