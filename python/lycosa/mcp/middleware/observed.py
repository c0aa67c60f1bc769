"""Around every operation: its id, its line in the log, its figures, its span."""

import random
import re
import time
from typing import Any

import structlog
from fastmcp.exceptions import NotFoundError
from fastmcp.server.dependencies import fastmcp_request_ctx, get_access_token
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from mcp import MCPError
from opentelemetry.trace import get_current_span

from lycosa.mcp.asking import Caller
from lycosa.mcp.middleware.figures import Figures
from lycosa.mcp.middleware.sizes import size_of
from lycosa.telemetry import is_secret

REQUEST_ID = "lycosa/request_id"

_log = structlog.get_logger("lycosa.mcp")

_UNKNOWN = "unknown"
_METHODS = frozenset(
    {
        "initialize", "ping", "server/discover", "logging/setLevel", "completion/complete",
        "tools/list", "tools/call", "prompts/list", "prompts/get",
        "resources/list", "resources/read", "resources/templates/list", "resources/subscribe",
        "resources/unsubscribe", "subscriptions/listen",
        "notifications/initialized", "notifications/cancelled", "notifications/progress",
        "notifications/roots/list_changed",
    }
)  # fmt: skip
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,31}(?=://)")
_SHOWN_ARGUMENT = 200
_DEEPEST = 4


class Observed(Middleware):
    """Never changes what is answered, but for the request's id in the `_meta` of a tool's answer.

    `tenant` is whose the calls are that carry no credential: those on stdio. `arguments` has them logged, at debug,
    without what their names say is secret.
    """

    def __init__(self, figures: Figures, tenant: str, *, arguments: bool = False) -> None:
        self._figures = figures
        self._tenant = tenant
        self._arguments = arguments

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Run the operation and report it, however it ends."""
        method = context.method if context.method in _METHODS else _UNKNOWN
        name = _name(context)
        caller = get_access_token()
        identity = caller.identity if isinstance(caller, Caller) else None
        request_id = _request_id()
        tenant = identity.tenant if identity else self._tenant
        span = get_current_span()
        if span.is_recording():
            span.set_attributes({"lycosa.tenant": tenant, "lycosa.request_id": request_id})
        bound = structlog.contextvars.bind_contextvars(request_id=request_id, tenant=tenant)
        if self._arguments:
            _log.debug("mcp_arguments", method=method, name=name, arguments=_shown(_arguments(context)))
        outcome, size = "cancelled", None
        code: str | None = "CANCELLED"
        self._figures.active.inc()
        began = time.perf_counter()
        try:
            answer = await call_next(context)
            outcome, code = _outcome(answer)
            if isinstance(answer, ToolResult) and not isinstance(answer, InputRequiredToolResult):
                size = size_of(answer)
                answer.meta = {**(answer.meta or {}), REQUEST_ID: request_id}
            return answer
        except Exception as problem:
            outcome, code = _refusal(problem)
            raise
        finally:
            seconds = time.perf_counter() - began
            self._figures.active.dec()
            known = _UNKNOWN if code == "NAME_UNKNOWN" else name
            self._figures.observe(method, known, outcome, seconds, size)
            _log.info(
                "mcp_operation",
                method=method,
                name=name,
                key_id=identity.key_id if identity else None,
                outcome=outcome,
                code=code,
                duration_ms=round(seconds * 1000, 3),
                bytes=size,
            )
            structlog.contextvars.reset_contextvars(**bound)


def _name(context: MiddlewareContext[Any]) -> str:
    if context.method == "resources/read":
        found = _SCHEME.match(str(getattr(context.message, "uri", "")))
        return found[0] if found else _UNKNOWN
    if context.method in ("tools/call", "prompts/get"):
        name: Any = getattr(context.message, "name", None)
        return name[:128] if isinstance(name, str) else _UNKNOWN
    return ""


def _request_id() -> str:
    """Of the HTTP request where there is one, so that both logs speak of the same."""
    found = fastmcp_request_ctx.get()
    if found is not None and found.request is not None:
        given = found.request.scope.get("state", {}).get("request_id")
        if isinstance(given, str):
            return given
    return f"{random.getrandbits(128):032x}"


def _outcome(answer: Any) -> tuple[str, str | None]:
    if isinstance(answer, InputRequiredToolResult):
        return "asked", None
    if isinstance(answer, ToolResult) and answer.is_error:
        content = answer.structured_content or {}
        return str(content.get("kind", "internal")), str(content.get("code", "INTERNAL"))
    return "ok", None


def _refusal(problem: Exception) -> tuple[str, str]:
    if isinstance(problem, NotFoundError):
        return "not_found", "NAME_UNKNOWN"
    if isinstance(problem, MCPError):
        data = problem.error.data
        if isinstance(data, dict) and "kind" in data:
            return str(data["kind"]), str(data["code"])
        return "protocol", str(problem.error.code)
    return "internal", type(problem).__name__


def _arguments(context: MiddlewareContext[Any]) -> Any:
    if context.method == "resources/read":
        return {"uri": str(getattr(context.message, "uri", ""))}
    return getattr(context.message, "arguments", None)


def _shown(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value[:_SHOWN_ARGUMENT]
    if depth == _DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {
            str(name)[:64]: "[redacted]" if is_secret(str(name)) else _shown(part, depth + 1)
            for name, part in list(value.items())[:32]
        }
    if isinstance(value, list):
        return [_shown(part, depth + 1) for part in value[:16]]
    return value
