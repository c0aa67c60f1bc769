"""/v1/analyses: the main job, as one report or as it is written."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

import structlog
from fastapi import APIRouter, Header
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lycosa.analysis.report import Event, Report, ReportEvent
from lycosa.errors import Internal, LycosaError
from lycosa.rest.answers import Asking, With, request_id
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import internal, of_error, responses
from lycosa.rest.requiring import RequireQuota
from lycosa.rest.schemas import AnalysisAsked
from lycosa.rest.streaming import (
    EVENT_STREAM,
    STREAM_HEADERS,
    Events,
    Gone,
    Quiet,
    problem_event,
    unless_gone,
)
from lycosa.settings import Settings

router = APIRouter(prefix="/v1/analyses", tags=["analyses"], route_class=JsonRoute)

HEARTBEAT = 15.0
# Nobody reads it but the log and the figures.
CLIENT_GONE = 499

_log = structlog.get_logger("lycosa.rest")

_STREAM_EXAMPLE = (
    'event: step\ndata: {"event":"step","name":"record","detail":"found","elapsed_ms":1.2}\nid: 1\n\n'
    'event: token\ndata: {"event":"token","text":"The "}\nid: 2\n\n'
)


async def _limited(request: Request, asking: Asking, services: With) -> None:
    """Where the settings name a quota, an analysis takes one unit of it."""
    settings: Settings = request.app.state.settings
    if settings.analysis_quota is not None:
        await RequireQuota(settings.analysis_quota)(request, asking, services)


@router.post(
    "",
    response_model=Report,
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}}},
        **responses(404, 409, 413, 415, 422, 429, 503, 504),
    },
)
@needs("spend")
async def analyze(
    asked: AnalysisAsked,
    request: Request,
    asking: Asking,
    services: With,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=128, description="Repeated, it gives the answer that was recorded."),
    ] = None,
) -> Response:
    """Gather what is known about a customer and write a sourced analysis of it.

    Every fact is quoted from its source. Asked again with nothing changed, the answer comes from the cache and costs
    nothing; `cached` says so, and `degraded` says what the answer had to do without. With `Accept: text/event-stream`
    the events step, source, fact and token stream as they happen, then one report, or one error; `Content-Location`
    names where they can be read on for ten minutes. Whoever hangs up stops the work, unless it was asked to go on.
    """
    # Not a dependency: those of a dependency are resolved once more, a tenth of the work of a repeated question.
    await _limited(request, asking, services)
    await services.prepare()
    streams = EVENT_STREAM in request.headers.get("accept", "")
    is_kept = streams or asked.goes_on
    if not (is_kept or asked.fresh or idempotency_key):
        known = await services.analyses.recall(
            asking, asked.customer_id, asked.question, asked.language, mode=asked.mode
        )
        if known is not None:
            return Response(known.model_dump_json(), media_type="application/json")
    identifier = idempotency_key or (str(uuid4()) if is_kept else None)
    analysis = services.analyses.analyze(
        asking,
        asked.customer_id,
        asked.question,
        language=asked.language,
        fresh=asked.fresh,
        mode=asked.mode,
        request_id=identifier,
        is_kept=is_kept,
        goes_on=asked.goes_on,
    )
    try:
        if not streams:
            report = await unless_gone(request, _report(analysis))
            return Response(report.model_dump_json(), media_type="application/json")
        return await _begun(request, Events(analysis), identifier or "")
    except Gone:
        return Response(status_code=CLIENT_GONE)


async def _report(analysis: AsyncGenerator[Event, None]) -> Report:
    async with aclosing(analysis) as events:
        async for event in events:
            if isinstance(event, ReportEvent):
                return event.report
    raise Internal("the analysis ended without a report", code="INTERNAL")


async def _begun(request: Request, events: Events[Event], identifier: str) -> Response:
    """The stream from its first event on. What is wrong before it, such as an unknown customer, has a status."""
    handed_over = False
    try:
        first = await unless_gone(request, events.next())
        handed_over = True
    finally:
        if not handed_over:
            await events.close()
    return StreamingResponse(
        _stream(events, first, request_id(request)),
        media_type=EVENT_STREAM,
        headers={**STREAM_HEADERS, "content-location": f"/v1/analyses/{quote(identifier, safe='')}/events"},
    )


async def _stream(events: Events[Event], first: Event | None, identifier: str) -> AsyncIterator[bytes]:
    """Server-sent events, numbered from 1, with a comment whenever nothing happened for a while."""
    number = 0
    event = first
    try:
        while event is not None:
            number += 1
            yield format_sse_event(data_str=event.model_dump_json(), event=event.event, id=str(number))
            while True:
                with contextlib.suppress(Quiet):
                    event = await events.next(HEARTBEAT)
                    break
                yield KEEPALIVE_COMMENT
    except LycosaError as problem:
        yield problem_event(of_error(problem, identifier), number + 1)
    except Exception as problem:
        _log.exception("analysis_failed", error=type(problem).__name__)
        yield problem_event(internal(identifier), number + 1)
    finally:
        await events.close()
