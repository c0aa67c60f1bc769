"""Errors as MCP has them, by kind and never by code; what is a fault of ours says nothing of itself.

A tool that fails answers, with `isError` and structured content: models read it and act on it. A resource or prompt
that fails is a JSON-RPC error with the same content as its `data`.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, TypeGuard

import structlog
from fastmcp.exceptions import FastMCPError, NotFoundError, to_mcp_error
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from lycosa.errors import Internal, Invalid, LycosaError, NotFound, TimedOut

_log = structlog.get_logger("lycosa.mcp")

_SHOWN = 300
_LATE = -32000
_WRONG_PARAMETERS = frozenset({"invalid", "not_found"})


def content_of(error: LycosaError) -> dict[str, Any]:
    """What programs are told of an error: kind, code, message, retry_after (seconds or null) and details."""
    return {
        "kind": error.kind,
        "code": error.code,
        "message": error.message,
        "retry_after": error.retry_after,
        "details": error.details,
    }


def result_of(error: LycosaError) -> ToolResult:
    """The answer of a tool that failed. Its text is the structured content, for models that see only text."""
    content = content_of(error)
    return ToolResult(
        content=json.dumps(content, ensure_ascii=False), structured_content=content, is_error=True
    )


def protocol_error(error: LycosaError) -> MCPError:
    """The JSON-RPC error of a resource, prompt or completion that failed."""
    code = INVALID_PARAMS if error.kind in _WRONG_PARAMETERS else INTERNAL_ERROR
    return MCPError(code=code, message=error.message, data=content_of(error))


def cause_of(problem: BaseException, name: str, arguments: Mapping[str, Any] | None = None) -> LycosaError:
    """Ours behind whatever FastMCP made of it; anything that is not ours is a fault of ours, without its text."""
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, LycosaError):
            return seen
        if _is_of_arguments(seen):
            return invalid(seen)
        if _is_no_text(seen):
            return _no_text(arguments or {})
        if _is_late(seen):
            return TimedOut(
                "the tool did not answer within its time; whether it was done is not known",
                code="TOOL_TIMED_OUT",
                details={"name": name[:_SHOWN]},
            )
        if isinstance(seen, NotFoundError):
            shown = name[:_SHOWN]
            return NotFound(f"there is no {shown}", code="NAME_UNKNOWN", details={"name": shown})
        seen = seen.__cause__
    if isinstance(problem, FastMCPError):
        # Its own words: already without what was behind them.
        return Internal(str(problem)[:_SHOWN], code="INTERNAL")
    return Internal("the request failed; the log says why", code="INTERNAL")


def _is_late(problem: BaseException) -> bool:
    """Whether FastMCP stopped a tool whose time was over. It has no error of its own for that."""
    return isinstance(problem, MCPError) and problem.error.code == _LATE


def _is_no_text(problem: BaseException) -> bool:
    """Whether an argument was half of a surrogate pair, as JSON's "\\ud800" gives."""
    return isinstance(problem, PydanticSerializationError) and "surrogates not allowed" in str(problem)


def _no_text(arguments: Mapping[str, Any]) -> Invalid:
    field = next((name for name, value in arguments.items() if not _is_encodable({name: value})), "arguments")
    field = field[:_SHOWN].encode("utf-8", "replace").decode()
    problem = "is not valid Unicode text"
    return Invalid(
        f"{field}: {problem}",
        code="INVALID_ARGUMENT",
        details={"field": field, "problem": problem, "errors": 1},
    )


def _is_encodable(value: Any) -> bool:
    try:
        to_json(value)
    except PydanticSerializationError:
        return False
    return True


def _is_of_arguments(problem: BaseException) -> TypeGuard[ValidationError]:
    """Whether somebody called wrongly. Pydantic names such an error after the function, one of a model after its class:
    a row of the store that does not fit is a fault of ours."""
    return isinstance(problem, ValidationError) and not problem.title[:1].isupper()


def invalid(problem: ValidationError) -> Invalid:
    """The first of what is wrong with what a caller gave; nothing of its value is repeated."""
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])[:_SHOWN] or "arguments"
    more = problem.error_count() - 1
    return Invalid(
        f"{field}: {first['msg'][:_SHOWN]}" + (f" (and {more} more)" if more else ""),
        code="INVALID_ARGUMENT",
        details={"field": field, "problem": first["msg"][:_SHOWN], "errors": more + 1},
    )


class Failures(Middleware):
    """Gives every error its form. What is a protocol matter (a capability the client lacks) passes as it is."""

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Answer, or raise MCPError."""
        # A call that MCP itself refuses comes here as it was sent, and stays an error of the protocol.
        calls = context.method == "tools/call" and not isinstance(context.message, Mapping)
        try:
            return await call_next(context)
        except MCPError as problem:
            if not calls or problem.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY:
                raise
            return result_of(cause_of(problem, context.message.name))
        except Exception as problem:
            ours = isinstance(problem, FastMCPError | NotFoundError | LycosaError)
            if calls:
                if not ours:
                    _log.exception("mcp_failed", error=type(problem).__name__)
                return result_of(cause_of(problem, context.message.name, context.message.arguments))
            if isinstance(problem, LycosaError):
                raise protocol_error(problem) from problem
            if isinstance(problem, FastMCPError):
                found = cause_of(problem, "")
                raise (
                    protocol_error(found) if found.kind != "internal" else to_mcp_error(problem)
                ) from problem
            raise


class WithoutOurErrors(logging.Filter):
    """Drops FastMCP's trace of an error that is ours: an answer given, not a fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        seen = record.exc_info[1] if record.exc_info else None
        while seen is not None and not (
            isinstance(seen, LycosaError) or _is_late(seen) or _is_of_arguments(seen) or _is_no_text(seen)
        ):
            seen = seen.__cause__
        return seen is None
