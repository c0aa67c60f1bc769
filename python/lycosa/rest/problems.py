"""Errors as problem+json (RFC 9457), by kind and never by code."""

import json
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lycosa.errors import LycosaError, Unauthenticated

MEDIA_TYPE = "application/problem+json"

STATUS = {
    "invalid": 422,
    "denied": 403,
    "not_found": 404,
    "conflict": 409,
    "exhausted": 429,
    "unavailable": 503,
    "timeout": 504,
    "internal": 500,
}

_TITLES = {
    "invalid": "The request is invalid",
    "denied": "This is not allowed",
    "not_found": "There is no such thing",
    "conflict": "This contradicts what is stored",
    "exhausted": "A limit is spent",
    "unavailable": "Not now",
    "timeout": "The deadline passed",
    "internal": "A fault of ours",
}

# Of statuses that share their kind with others.
_STATUS_TITLES = {401: "It is not known who asks", 421: "Another server was asked"}

# What FastAPI and Starlette answer by themselves: status -> code.
_HTTP_CODES = {
    400: "MALFORMED",
    404: "ROUTE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    410: "GONE",
    413: "BODY_TOO_LARGE",
    415: "MEDIA_TYPE_UNSUPPORTED",
}


class Problem(BaseModel):
    """An error, in the form of RFC 9457. `kind` decides the status, `code` names the error, `details` the place."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "type": "urn:lycosa:problem:customer-not-found",
                "title": "There is no such thing",
                "status": 404,
                "detail": "customer S-999 does not exist",
                "code": "CUSTOMER_NOT_FOUND",
                "kind": "not_found",
                "details": {"id": "S-999"},
                "request_id": "b05ddb390e634cefa709bc4cb127ce00",
            }
        },
    )

    type: str = Field(description="urn:lycosa:problem:<code>")
    title: str = Field(description="The kind in words.")
    status: int
    detail: str = Field(description="What is wrong, for people.")
    code: str = Field(description="What is wrong, for programs.")
    kind: str
    details: dict[str, str | int | float | bool] = Field(description="The field, row or limit at fault.")
    request_id: str


def problem(
    status: int,
    *,
    kind: str,
    code: str,
    detail: str,
    details: dict[str, Any] | None = None,
    request_id: str,
) -> Problem:
    """A problem of this status."""
    return Problem(
        type=f"urn:lycosa:problem:{code.lower().replace('_', '-')}",
        title=_STATUS_TITLES.get(status) or _TITLES.get(kind) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        kind=kind,
        details=details or {},
        request_id=request_id,
    )


def of_error(error: LycosaError, request_id: str) -> Problem:
    """The problem of an error of ours, by its kind; 401 where it is not known who asks."""
    return problem(
        401 if isinstance(error, Unauthenticated) else STATUS[error.kind],
        kind=error.kind,
        code=error.code,
        detail=error.message,
        details=error.details,
        request_id=request_id,
    )


def of_status(status: int, detail: str, request_id: str) -> Problem:
    """The problem of a bare HTTP status: an unknown route, a method, a body that is too large."""
    kind = "not_found" if status in (404, 410) else "internal" if status >= 500 else "invalid"
    return problem(
        status,
        kind=kind,
        code=_HTTP_CODES.get(status, f"HTTP_{status}"),
        detail=detail,
        request_id=request_id,
    )


def of_validation(errors: Sequence[Any], request_id: str) -> Problem:
    """The problem of a request that does not fit its model: names the first field and counts the rest."""
    first = errors[0]
    location = [str(part) for part in first["loc"]]
    where, path = location[0], ".".join(location[1:])
    if first["type"] == "json_invalid":
        detail = f"the body is not JSON: {first['ctx']['error']} at character {path}"
        return problem(
            422,
            kind="invalid",
            code="INVALID_JSON",
            detail=detail,
            details={"field": "body"},
            request_id=request_id,
        )
    field = path or where
    detail = f"{where} {path}: {first['msg']}" if path else f"{where}: {first['msg']}"
    if len(errors) > 1:
        detail += f" (and {len(errors) - 1} more)"
    return problem(
        422,
        kind="invalid",
        code="INVALID_ARGUMENT",
        detail=_shown(detail),
        details={"field": _shown(field), "in": where, "problem": _shown(first["msg"]), "errors": len(errors)},
        request_id=request_id,
    )


def internal(request_id: str) -> Problem:
    """A fault of ours: no trace, no text of the exception, only the id under which the log has it."""
    return problem(
        500,
        kind="internal",
        code="INTERNAL",
        detail=f"the request failed; the log has it under request_id {request_id}",
        request_id=request_id,
    )


def respond(found: Problem, retry_after: float | None = None) -> Response:
    """The response of a problem. `retry_after` seconds are rounded up; 503 always names some."""
    headers = {}
    if retry_after is not None or found.status == 503:
        headers["retry-after"] = str(max(1, math.ceil(retry_after or 1)))
    return Response(
        json.dumps(found.model_dump(), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"),
        found.status,
        headers,
        MEDIA_TYPE,
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's documentation says of these statuses."""
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def _shown(text: str) -> str:
    return text[:300].encode("utf-8", "replace").decode()
