"""/v1/requests: the history."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from lycosa.errors import Invalid
from lycosa.rest.answers import Asking, Cursor, Limit, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.schemas.requests import RequestPageOut, RequestWithSourcesOut, TotalsOut

router = APIRouter(prefix="/v1/requests", tags=["requests"], route_class=JsonRoute)

Moment = Annotated[float | None, Query(ge=0, allow_inf_nan=False)]


@router.get("", response_model=RequestPageOut, responses=responses(422, 503))
@needs("read")
async def find_requests(
    asking: Asking,
    services: With,
    customer_id: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    status: Literal["done", "degraded", "failed", "cancelled"] | None = None,
    created_from: Annotated[
        Moment, Query(alias="from", description="Asked then or later, unix seconds.")
    ] = None,
    created_until: Annotated[Moment, Query(alias="until", description="Asked before, unix seconds.")] = None,
    order: Literal["asc", "desc"] = "desc",
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Response:
    """A page of the history in order of time, the newest first; of everything, one customer or one status."""
    if customer_id is not None and status is not None:
        raise Invalid(
            "only one look-up at a time, not customer_id and status",
            code="INVALID_ARGUMENT",
            details={"argument": "status", "problem": "stands beside another look-up"},
        )
    by: Literal["time", "customer", "status"] = "customer" if customer_id else "status" if status else "time"
    page = await services.requests.find(
        asking,
        by,
        customer_id or status,
        created_from=created_from,
        created_until=created_until,
        order=order,
        cursor=cursor,
        limit=limit,
    )
    return answer(RequestPageOut, page)


@router.get("/totals", response_model=TotalsOut, responses=responses(422, 503))
@needs("read")
async def request_totals(
    asking: Asking,
    services: With,
    first: Annotated[date | None, Query(description="First day (UTC); 30 days when absent.")] = None,
    last: Annotated[date | None, Query(description="Last day (UTC), included; today when absent.")] = None,
    kind: Annotated[str | None, Query(min_length=1, max_length=128, examples=["analysis"])] = None,
) -> Response:
    """Exact sums of requests, cost and tokens over at most 366 days."""
    return answer(TotalsOut, await services.requests.totals(asking, first=first, last=last, kind=kind))


@router.get("/{request_id}", response_model=RequestWithSourcesOut, responses=responses(404, 422, 503))
@needs("read")
async def get_request(
    request_id: Annotated[str, Path(min_length=1, max_length=128)], asking: Asking, services: With
) -> Response:
    """One request with its answer and its sources in their order."""
    return answer(RequestWithSourcesOut, await services.requests.get(asking, request_id))
