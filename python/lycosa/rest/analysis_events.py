"""/v1/analyses/{id}/events: the events of an analysis again, whichever process writes them."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Path
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lycosa.errors import LycosaError, NotFound
from lycosa.identity import Identity
from lycosa.rest.answers import Asking, With, request_id
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import internal, of_error, responses
from lycosa.rest.streaming import EVENT_STREAM, STREAM_HEADERS, problem_event
from lycosa.services import Services
from lycosa.services.events import ERROR, KeptEvent, problem_of

router = APIRouter(prefix="/v1/analyses", tags=["analyses"], route_class=JsonRoute)

HEARTBEAT = 15.0

_EXAMPLE = 'event: token\ndata: {"event":"token","text":"The "}\nid: 7\n\n'

Pages = AsyncGenerator[list[KeptEvent], None]

_log = structlog.get_logger("lycosa.rest")


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        204: {"description": "There is nothing after this event."},
        **responses(404, 410, 422, 503, 504),
    },
)
@needs("read")
async def analysis_events(
    request: Request,
    asking: Asking,
    services: With,
    id: Annotated[str, Path(min_length=1, max_length=128, description="Of the analysis: its `request_id`.")],
    last_event_id: Annotated[
        int, Header(ge=0, le=1_000_000, description="Only events after this number.")
    ] = 0,
) -> Response:
    """The events of a streamed analysis from any of them on: those that were, then those that come.

    They are kept for ten minutes after the last one. `Last-Event-ID` is what a browser sends when it lost the stream.
    When the process that wrote them has vanished, the last event is an error that says so.
    """
    pages = services.events.follow(asking, id, last_event_id)
    try:
        first = await anext(pages, None)
    except NotFound as unknown:
        raise await _gone(services, asking, id) or unknown from None
    if first is None:
        return Response(status_code=204)
    return StreamingResponse(
        _stream(pages, first, request_id(request)), media_type=EVENT_STREAM, headers=STREAM_HEADERS
    )


async def _gone(services: Services, asking: Identity, id: str) -> HTTPException | None:
    """That its events are kept no longer, when the history knows such an analysis."""
    try:
        await services.requests.get(asking, id)
    except NotFound:
        return None
    return HTTPException(
        410, f"the events of {id} are kept no longer, or never were; how it ended is at /v1/requests/{id}"
    )


async def _stream(pages: Pages, first: list[KeptEvent], identifier: str) -> AsyncIterator[bytes]:
    """Server-sent events under their own numbers, with a comment whenever nothing happened for a while."""
    told = time.monotonic()
    try:
        async with aclosing(pages):
            page: list[KeptEvent] | None = first
            while page is not None:
                if page:
                    yield b"".join(_event(event, identifier) for event in page)
                    told = time.monotonic()
                elif time.monotonic() - told > HEARTBEAT:
                    yield KEEPALIVE_COMMENT
                    told = time.monotonic()
                page = await anext(pages, None)
    except LycosaError as problem:
        yield problem_event(of_error(problem, identifier))
    except Exception as problem:
        _log.exception("events_failed", error=type(problem).__name__)
        yield problem_event(internal(identifier))


def _event(event: KeptEvent, identifier: str) -> bytes:
    if event.kind == ERROR:
        return problem_event(of_error(problem_of(event.data), identifier), event.number)
    return format_sse_event(data_str=event.data, event=event.kind, id=str(event.number))
