"""/v1/customers and /v1/segments."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lycosa.errors import Invalid
from lycosa.rest.answers import Asking, Cursor, Limit, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.importing import import_body, import_documentation, stream_import
from lycosa.rest.problems import responses
from lycosa.rest.schemas import CustomerBatch
from lycosa.schemas.customers import (
    CustomerOut,
    CustomerPageOut,
    SegmentOut,
    SegmentPageOut,
    UpsertAnswer,
)
from lycosa.services.customers import LookUp

router = APIRouter(prefix="/v1", tags=["customers"], route_class=JsonRoute)

CustomerId = Annotated[str, Path(min_length=1, max_length=128, examples=["S-001"])]
Value = Annotated[str | None, Query(max_length=512)]
Moment = Annotated[float | None, Query(ge=0, allow_inf_nan=False)]


@router.post("/customers", response_model=UpsertAnswer, responses=responses(413, 415, 422, 503))
@needs("write")
async def upsert_customers(batch: CustomerBatch, asking: Asking, services: With) -> Response:
    """Insert and change up to 1,000 customers in one transaction, with an outcome for every row.

    A row is a patch: an absent field keeps what is stored, null clears it. A row that is wrong has the outcome
    `invalid`, naming field and problem, and stops no other; rows that say nothing new are `unchanged` and written
    nowhere; `version` makes a row conditional.
    """
    return answer(UpsertAnswer, {"outcomes": await services.customers.upsert(asking, batch.rows)})


@router.get("/customers", response_model=CustomerPageOut, responses=responses(422, 503))
@needs("read")
async def find_customers(
    asking: Asking,
    services: With,
    external_id: Annotated[Value, Query(examples=["S-001"])] = None,
    email: Value = None,
    segment: Annotated[Value, Query(description="Ordered by the time the relation began.")] = None,
    tag: Value = None,
    name_prefix: Annotated[Value, Query(description="In any case, Russian too.", examples=["ром"])] = None,
    since_from: Annotated[
        Moment, Query(alias="from", description="With segment: since at or after, unix seconds.")
    ] = None,
    since_until: Annotated[
        Moment, Query(alias="until", description="With segment: since before, unix seconds.")
    ] = None,
    order: Literal["asc", "desc"] = "asc",
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Response:
    """A page of customers by at most one look-up, or of all in the order of their ids.

    Every look-up walks an index. Cursors lead both ways, and pages do not shift when customers come or go.
    """
    given: list[tuple[LookUp, str | None]] = [
        ("external_id", external_id),
        ("email", email),
        ("segment", segment),
        ("tag", tag),
        ("name", name_prefix),
    ]
    named = [(by, value) for by, value in given if value is not None]
    if len(named) > 1:
        raise Invalid(
            f"only one look-up at a time, not {' and '.join(by for by, _ in named)}",
            code="INVALID_ARGUMENT",
            details={"argument": named[1][0], "problem": "stands beside another look-up"},
        )
    look_up: tuple[LookUp, str | None] = named[0] if named else ("all", None)
    page = await services.customers.find(
        asking,
        *look_up,
        since_from=since_from,
        since_until=since_until,
        order=order,
        cursor=cursor,
        limit=limit,
    )
    return answer(CustomerPageOut, page)


@router.post(
    "/customers/import",
    response_class=StreamingResponse,
    responses={200: import_documentation("customers"), **responses(415, 422, 503)},
    openapi_extra=import_body("customers"),
)
@needs("write")
async def import_customers(request: Request, asking: Asking, services: With) -> Response:
    """Upsert any number of customers from CSV or NDJSON, in constant memory.

    The answer streams while the body is read: a line of NDJSON for each row, in order, then a summary line. Wrong
    rows are reported and the rest is stored. CSV begins with a header that has `name`, and `id` or `external_id`;
    tags are separated by `;`, `since` is an ISO date or unix seconds, an empty cell keeps what is stored, and
    columns of other names go to the profile as text. Should the store go away for good, the last line is a problem
    whose `details.row` is the first row that was not stored.
    """
    return await stream_import(
        request,
        ("csv", "ndjson"),
        lambda chunks, format: services.imports.customers(asking, chunks, format),
    )


@router.get("/customers/{customer_id}", response_model=CustomerOut, responses=responses(404, 422, 503))
@needs("read")
async def get_customer(customer_id: CustomerId, asking: Asking, services: With) -> Response:
    """One customer by id."""
    return answer(CustomerOut, await services.customers.get(asking, customer_id))


@router.delete("/customers/{customer_id}", status_code=204, responses=responses(404, 422, 503))
@needs("write")
async def delete_customer(customer_id: CustomerId, asking: Asking, services: With) -> Response:
    """Delete one customer. The history of requests about it stays."""
    await services.customers.remove(asking, customer_id)
    return Response(status_code=204)


@router.get("/segments", response_model=SegmentPageOut, responses=responses(422, 503))
@needs("read")
async def list_segments(asking: Asking, services: With, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """Customers, revenue and orders of every segment, kept by write and read by key."""
    return answer(SegmentPageOut, await services.customers.segments(asking, cursor=cursor, limit=limit))


@router.get("/segments/{segment}", response_model=SegmentOut, responses=responses(404, 422, 503))
@needs("read")
async def get_segment(
    segment: Annotated[str, Path(max_length=128, examples=["smb"])], asking: Asking, services: With
) -> Response:
    """Figures of one segment."""
    return answer(SegmentOut, await services.customers.segment(asking, segment))
