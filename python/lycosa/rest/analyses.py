"""/v1/analyses: the main job, as one report or as it is written."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import structlog
from fastapi import APIRouter, Depends, Header
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lycosa.analysis.report import Event, Report, ReportEvent
from lycosa.errors import Internal, LycosaError
from lycosa.rest.answers import Asking, With, request_id
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import Problem, internal, of_error, responses
from lycosa.rest.requiring import RequireQuota
from lycosa.rest.schemas import AnalysisAsked
from lycosa.settings import Settings

router = APIRouter(prefix="/v1/analyses", tags=["analyses"], route_class=JsonRoute)

EVENT_STREAM = "text/event-stream"
HEARTBEAT = 15.0
# Nobody reads it but the log and the figures.
CLIENT_GONE = 499


class _Quiet(Exception):
    """Nothing has happened for a while."""


class _Gone(Exception):
    """The client has hung up."""


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
    dependencies=[Depends(_limited)],
)
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
    the events step, source, fact and token stream as they happen, then one report, or one error. Whoever hangs up
    stops the work.
    """
    await services.prepare()
    events = _Events(
        services.analyses.analyze(
            asking,
            asked.customer_id,
            asked.question,
            language=asked.language,
            fresh=asked.fresh,
            request_id=idempotency_key,
        )
    )
    streams = EVENT_STREAM in request.headers.get("accept", "")
    handed_over = False
    try:
        # What is wrong from the start, such as an unknown customer, has a status of its own.
        first = await _unless_gone(request, events.next())
        if not streams:
            report = await _unless_gone(request, _report(events, first))
            return Response(report.model_dump_json(), media_type="application/json")
        handed_over = True
        return StreamingResponse(
            _stream(events, first, request_id(request)),
            media_type=EVENT_STREAM,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
    except _Gone:
        return Response(status_code=CLIENT_GONE)
    finally:
        if not handed_over:
            await events.close()


class _Events:
    """An analysis that can be waited for with a pause between, and stopped."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events
        self._pending: asyncio.Task[Event | None] | None = None

    async def next(self, timeout: float | None = None) -> Event | None:
        """The next event, None at the end. Raises _Quiet when there is none yet; it can be asked again."""
        if self._pending is None:
            self._pending = asyncio.create_task(self._step())
        await asyncio.wait({self._pending}, timeout=timeout)
        if not self._pending.done():
            raise _Quiet
        pending, self._pending = self._pending, None
        return pending.result()

    async def _step(self) -> Event | None:
        return await anext(self._events, None)

    async def close(self) -> None:
        """Stop the work and wait until it has cleaned up behind itself, even while this task is being cancelled."""
        with anyio.CancelScope(shield=True):
            if self._pending is not None:
                self._pending.cancel()
                await asyncio.gather(self._pending, return_exceptions=True)
                self._pending = None
            closing: Any = getattr(self._events, "aclose", None)
            if closing is not None:
                await closing()


async def _report(events: _Events, first: Event | None) -> Report:
    event = first
    while event is not None:
        if isinstance(event, ReportEvent):
            return event.report
        event = await events.next()
    raise Internal("the analysis ended without a report", code="INTERNAL")


async def _unless_gone(request: Request, work: Any) -> Any:
    """Do the work unless the client hangs up first: then cancel it."""
    working = asyncio.ensure_future(work)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _Gone
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(working, watching, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream(events: _Events, first: Event | None, identifier: str) -> AsyncIterator[bytes]:
    """Server-sent events, numbered from 1, with a comment whenever nothing happened for a while."""
    number = 0
    event = first
    try:
        while event is not None:
            number += 1
            yield format_sse_event(data_str=event.model_dump_json(), event=event.event, id=str(number))
            while True:
                with contextlib.suppress(_Quiet):
                    event = await events.next(HEARTBEAT)
                    break
                yield KEEPALIVE_COMMENT
    except LycosaError as problem:
        yield _error(of_error(problem, identifier), number + 1)
    except Exception as problem:
        _log.exception("analysis_failed", error=type(problem).__name__)
        yield _error(internal(identifier), number + 1)
    finally:
        await events.close()


def _error(problem: Problem, number: int) -> bytes:
    return format_sse_event(data_str=problem.model_dump_json(), event="error", id=str(number))
