"""How requests are read: JSON as RFC 8259 has it, streams as they come, media types by name."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Literal

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lycosa.errors import Invalid
from lycosa.rest.authorized import SCHEME, authorize, scope_of
from lycosa.rest.problems import responses

# Of every route but the imports, which stream. Parsing this much holds the event loop about 20 ms.
MAX_BODY = 4 * 1024 * 1024

_IMPORTED: dict[str, Literal["csv", "ndjson"]] = {
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}


class _NotJson(ValueError):
    pass


def _refuse_constant(name: str) -> object:
    raise _NotJson(f"{name}, which is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class JsonRequest(Request):
    """A request whose body is bounded, UTF-8 and strict JSON: no NaN, no infinity."""

    async def body(self) -> bytes:
        """The whole body. Raises HTTPException 413 as soon as it is known to be too large."""
        if not hasattr(self, "_body"):
            declared = self.headers.get("content-length", "0")
            if declared.isdecimal() and int(declared) > MAX_BODY:
                raise _too_large()
            pieces, size = [], 0
            async for piece in self.stream():
                size += len(piece)
                if size > MAX_BODY:
                    raise _too_large()
                pieces.append(piece)
            self._body = b"".join(pieces)
        return self._body

    async def json(self) -> Any:
        """The parsed body. Raises Invalid."""
        if not hasattr(self, "_json"):
            self._json = _parsed(await self.body())
        return self._json


def _parsed(body: bytes) -> Any:
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError as problem:
        raise _invalid("INVALID_ENCODING", f"is not valid UTF-8 at byte {problem.start + 1}") from None
    except json.JSONDecodeError as problem:
        raise _invalid("INVALID_JSON", f"is not JSON: {problem.msg} at character {problem.pos + 1}") from None
    except _NotJson as problem:
        raise _invalid("INVALID_JSON", f"holds {problem}") from None
    except (RecursionError, ValueError):
        raise _invalid("INVALID_JSON", "is nested too deep or holds a number that is too long") from None


def _too_large() -> HTTPException:
    return HTTPException(
        413, f"the body is larger than {MAX_BODY} bytes; larger sets are imported as a stream"
    )


class JsonRoute(APIRoute):
    """A route that knows who asks and whether they may before it reads anything else of a request, takes JsonRequest,
    refuses query parameters it does not know, and with 415 a body that is not declared as JSON."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        """Raises TypeError where `needs` does not stand below the route's decorator."""
        given["responses"] = responses(401, 403) | (given.get("responses") or {})
        security = {"security": [{SCHEME: [scope_of(endpoint)]}]}
        given["openapi_extra"] = (given.get("openapi_extra") or {}) | security
        super().__init__(path, endpoint, **given)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the stricter request."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None
        known = _query_names(self.dependant)
        scope = scope_of(self.endpoint)

        async def handle(request: Request) -> Response:
            asked = JsonRequest(request.scope, request.receive)
            await authorize(asked, scope)
            _require_known(asked, known)
            if takes_json:
                _require_json(asked)
                # Parsed here, where its errors keep their kind; FastAPI finds it parsed.
                if await asked.body():
                    await asked.json()
            return await handler(asked)

        return handle


def _query_names(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_query_names(part) for part in dependant.dependencies))


def _require_known(request: Request, known: set[str]) -> None:
    """Raises Invalid for a query parameter the route has not: a mistyped filter must not answer everything."""
    for name in request.query_params:
        if name not in known:
            shown = name[:100]
            raise Invalid(
                f"query {shown}: is not known to this route",
                code="UNKNOWN_ARGUMENT",
                details={"field": shown, "in": "query", "problem": "is not known"},
            )


def _require_json(request: Request) -> None:
    """Raises HTTPException 415 when the body is declared as anything but JSON."""
    media = media_type(request)
    if media != "application/json" and not media.endswith("+json"):
        raise HTTPException(415, f"the body must be application/json, not {media or 'without a type'}")
    _require_plain(request)


def media_type(request: Request) -> str:
    """The body's media type without its parameters, in lower case; empty when it has none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_plain(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise HTTPException(415, f"content-encoding {encoding} is not taken; send the body as it is")


def import_format(request: Request, *accepted: Literal["csv", "ndjson"]) -> Literal["csv", "ndjson"]:
    """The format of an import's body, by its media type. Raises HTTPException 415."""
    media = media_type(request)
    found = _IMPORTED.get(media)
    if found not in accepted:
        names = [name for name, kind in _IMPORTED.items() if kind in accepted]
        raise HTTPException(
            415, f"the body must be {' or '.join(names[:2])}, not {media or 'without a type'}"
        )
    _require_plain(request)
    return found


async def body_stream(request: Request) -> AsyncIterator[bytes]:
    """The body piece by piece, as the network gives it."""
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _invalid(code: str, problem: str) -> Invalid:
    return Invalid(f"the body {problem}", code=code, details={"field": "body", "problem": problem})
