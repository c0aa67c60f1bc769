"""/v1/quotas: limits, and what is left of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from lycosa.errors import NotFound
from lycosa.rest.answers import Asking, Cursor, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.schemas.quotas import (
    QuotaDefinition,
    QuotaOut,
    QuotaPageOut,
    QuotaReportOut,
    QuotaReportPageOut,
)
from lycosa.services.amounts import smallest_units

router = APIRouter(prefix="/v1", tags=["quotas"], route_class=JsonRoute)

QuotaName = Annotated[str, Path(min_length=1, max_length=128, examples=["search"])]
Rows = Annotated[int, Query(ge=1, le=100, description="Rows in a page.")]


@router.get("/quotas", response_model=QuotaPageOut, responses=responses(422, 503))
@needs("read")
async def list_quotas(asking: Asking, services: With, cursor: Cursor = None, limit: Rows = 20) -> Response:
    """A page of limits by name, as they were defined."""
    page = await services.quotas.find(asking, cursor=cursor, limit=limit)
    rows = [QuotaOut.of(row) for row in page.rows]
    return answer(QuotaPageOut, {"rows": rows, "next": page.next, "previous": page.previous})


@router.put("/quotas/{quota}", response_model=QuotaOut, responses=responses(409, 413, 415, 422, 503))
@needs("admin")
async def define_quota(
    quota: QuotaName, definition: QuotaDefinition, asking: Asking, services: With
) -> Response:
    """Define a limit, or change one: a change keeps what is counted. Kind and scale cannot change."""
    scale, burst = definition.scale, definition.burst
    row = await services.quotas.define(
        asking,
        quota,
        definition.kind,
        smallest_units(definition.amount, scale),
        unit=definition.unit,
        scale=scale,
        shadow=definition.shadow,
        period=definition.period,
        burst=None if burst is None else smallest_units(burst, scale, "burst"),
        window=definition.window,
        time_zone=definition.time_zone,
    )
    return answer(QuotaOut, QuotaOut.of(row))


@router.get("/quotas/{quota}", response_model=QuotaReportOut, responses=responses(404, 422, 503))
@needs("read")
async def quota_report(quota: QuotaName, asking: Asking, services: With) -> Response:
    """What is used, reserved, unknown and left of one limit, and when it resets."""
    return answer(QuotaReportOut, QuotaReportOut.of(await services.quotas.figures(asking, quota)))


@router.delete("/quotas/{quota}", status_code=204, responses=responses(404, 409, 422, 503))
@needs("admin")
async def remove_quota(quota: QuotaName, asking: Asking, services: With) -> Response:
    """Remove a limit with what it counted. One that open reservations hold is not removed."""
    if not await services.quotas.remove(asking, quota):
        raise NotFound(f"quota {quota} is not defined", code="QUOTA_UNKNOWN", details={"quota": quota})
    return Response(status_code=204)


@router.post("/quotas/{quota}/reset", response_model=QuotaReportOut, responses=responses(404, 422, 503))
@needs("admin")
async def reset_quota(quota: QuotaName, asking: Asking, services: With) -> Response:
    """Forget what was used and what is unknown; what is reserved stays."""
    await services.quotas.reset(asking, quota)
    return answer(QuotaReportOut, QuotaReportOut.of(await services.quotas.figures(asking, quota)))


@router.get("/quota-reports", response_model=QuotaReportPageOut, responses=responses(422, 503))
@needs("read")
async def quota_reports(asking: Asking, services: With, cursor: Cursor = None, limit: Rows = 20) -> Response:
    """What is used, reserved, unknown and left of a page of limits by name."""
    page = await services.quotas.report(asking, cursor=cursor, limit=limit)
    rows = [QuotaReportOut.of(row) for row in page.rows]
    return answer(QuotaReportPageOut, {"rows": rows, "next": page.next, "previous": page.previous})
