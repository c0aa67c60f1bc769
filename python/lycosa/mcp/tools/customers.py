"""Tools that find, show and store customers."""

from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field, WithJsonSchema

from lycosa.identity import Identity
from lycosa.mcp.answers import Cursor, CustomerKey, link, page_hint, told
from lycosa.mcp.asking import Depends, asking, services
from lycosa.mcp.tools.declaring import CHANGES, READS, add_tool
from lycosa.schemas.customers import (
    CustomerOut,
    CustomerRow,
    SegmentOut,
    SegmentPageOut,
    UpsertAnswer,
)
from lycosa.schemas.shape import SINCE, Answer
from lycosa.services import Services
from lycosa.services.customers import LookUp

_TAGS = {"customers"}
_MOST_ROWS = 50
_MOST_UPSERTED = 100


class CustomerBrief(Answer):
    """A customer in a listing; get_customer shows the whole of it."""

    id: str
    external_id: str | None
    name: str
    email: str | None
    segment: str
    tags: list[str]
    country: str | None
    industry: str | None
    revenue_cents: int
    orders: int
    since: float = Field(description="When the relation began. " + SINCE)


class CustomersFound(Answer):
    """A page of customers."""

    rows: list[CustomerBrief]
    next: str | None = Field(description="Cursor of the page that follows; null at the end.")
    previous: str | None = Field(description="Cursor of the page before.")


async def find_customers(
    by: Annotated[
        Literal["name", "external_id", "email", "segment", "tag", "all"],
        Field(
            description="What `value` is: name finds by how it begins, in any case, Russian too; segment is ordered by "
            "the time the relation began; all takes no value."
        ),
    ] = "all",
    value: Annotated[str | None, Field(max_length=512, description="What to look for.")] = None,
    since_from: Annotated[
        float | None, Field(ge=0, description="With segment: relation since then or later. " + SINCE)
    ] = None,
    since_until: Annotated[
        float | None, Field(ge=0, description="With segment: relation since before. " + SINCE)
    ] = None,
    order: Literal["asc", "desc"] = "asc",
    limit: Annotated[int, Field(ge=1, le=_MOST_ROWS)] = 20,
    cursor: Cursor = None,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """Find customers by name, external id, email, segment or tag, or page through all of them.

    Use it to get the id of a customer that somebody named. Not for text about customers: search_documents does that.
    Not for counting: segment_figures has the sums. Next: get_customer for one of them, analyze_customer for a report.
    """
    look_up: LookUp = by
    page = await services.customers.find(
        identity,
        look_up,
        value,
        since_from=since_from,
        since_until=since_until,
        order=order,
        cursor=cursor,
        limit=limit,
    )
    rows = [_brief(row) for row in page.rows]
    found = CustomersFound(rows=rows, next=page.next, previous=page.previous)
    nobody = "Nobody was found; names are found by how they begin: try a shorter beginning, or by = all."
    return told(
        found,
        nobody if not page.rows else "get_customer shows one of them whole.",
        page_hint(page.next, "find_customers"),
    )


async def get_customer(
    customer: CustomerKey,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """One customer's whole record: contact, segment, tags, revenue, orders, profile.

    Use it when you know the id; find_customers finds it. Not for texts about a customer, which search_documents finds,
    nor for a picture of one: analyze_customer writes that. Next: request_history for what was asked before.
    """
    row = await services.customers.locate(identity, customer)
    links = [
        link("customer", row.id, row.name),
        link("customer", row.id, f"History: {row.name}", "/history"),
    ]
    hint = "Next: request_history and search_documents with this id, or analyze_customer for a report."
    return told(CustomerOut.model_validate(row), hint, links=links)


async def upsert_customers(
    rows: Annotated[
        list[Annotated[Any, WithJsonSchema(CustomerRow.model_json_schema())]],
        Field(
            min_length=1,
            max_length=_MOST_UPSERTED,
            description="Patches: an absent field keeps what is stored, null clears it.",
        ),
    ],
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """Insert and change up to 100 customers in one transaction, with an outcome for every row, in their order.

    A row is found by `id`, else by `external_id`; a new one needs a name. A wrong row has the outcome invalid with
    field and problem, and stops no other; `version` makes a row conditional: conflict when another one is stored.
    Use it when the user gave facts to store; read a customer before you change it. Not for files: `lycosa import`
    and REST take any number of rows. Not for texts: add_document keeps those.
    """
    outcomes = await services.customers.upsert(identity, rows)
    wrong = sum(outcome.outcome in ("invalid", "conflict") for outcome in outcomes)
    hint = f"{wrong} of {len(outcomes)} rows were not stored: see field and problem." if wrong else None
    return told(UpsertAnswer.model_validate({"outcomes": outcomes}), hint)


async def segment_figures(
    segment: Annotated[
        str | None, Field(max_length=128, description="One segment; all of them, by name, when absent.")
    ] = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    cursor: Cursor = None,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """How many customers a segment has, their revenue in cents and their orders.

    Use it for every question about sums and averages: the store keeps the figures with every write; here they may be
    15 seconds old. Do not count pages of find_customers. Not for who they are: that is find_customers with
    by = segment. The empty segment stands for the customers in none. Next: compare_customers for a few of them.
    """
    if segment is not None:
        one = SegmentOut.model_validate(await services.customers.segment(identity, segment))
        return told(SegmentPageOut(rows=[one], next=None, previous=None))
    page = await services.customers.segments(identity, cursor=cursor, limit=limit)
    return told(SegmentPageOut.model_validate(page), page_hint(page.next, "segment_figures"))


def _brief(row: Any) -> CustomerBrief:
    return CustomerBrief.model_validate(row)


def register(server: FastMCP[Any]) -> None:
    """Register the tools of this module."""
    add_tool(server, find_customers, CustomersFound, "read", READS, _TAGS)
    add_tool(server, get_customer, CustomerOut, "read", READS, _TAGS)
    add_tool(server, upsert_customers, UpsertAnswer, "write", CHANGES, _TAGS)
    add_tool(server, segment_figures, SegmentPageOut, "read", READS, _TAGS)
