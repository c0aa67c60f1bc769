"""Tools that tell how the server is used: the history, quotas, providers and the cache."""

from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field, ValidationError

from lycosa.analysis.report import Report
from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.mcp.answers import Cursor, CustomerKey, excerpt, gist, link, page_hint, told
from lycosa.mcp.asking import Depends, asking, services
from lycosa.mcp.tools.declaring import DELETES, READS, add_tool
from lycosa.schemas.cache import CacheOut, InvalidatedOut
from lycosa.schemas.quotas import QuotaReportOut, QuotaReportPageOut
from lycosa.schemas.requests import RequestSummaryOut
from lycosa.schemas.shape import SINCE, Answer
from lycosa.services import Services
from lycosa.services.provider_states import ProviderState
from lycosa.services.requests import RequestLookUp

_MOST_ROWS = 50
_LONGEST_QUESTION = 400
_LONGEST_ANSWER = 20_000
_LONGEST_ERROR = 300
_Name = Field(min_length=1, max_length=128)


class PastRequest(RequestSummaryOut):
    """One question of the history."""

    answer: str | None = Field(None, description="With request_id only; of an analysis its summary.")


class History(Answer):
    """A page of the history."""

    rows: list[PastRequest]
    next: str | None = Field(description="Cursor of the page that follows; null at the end.")
    previous: str | None = Field(description="Cursor of the page before.")


class Providers(Answer):
    """Providers in the order in which they are asked."""

    rows: list[ProviderState]


async def request_history(
    customer: CustomerKey | None = None,
    status: Literal["done", "degraded", "failed", "cancelled"] | None = None,
    since: Annotated[float | None, Field(ge=0, description="Asked then or later. " + SINCE)] = None,
    until: Annotated[float | None, Field(ge=0, description="Asked before. " + SINCE)] = None,
    request_id: Annotated[str | None, _Name, Field(description="One request, with its answer.")] = None,
    order: Literal["asc", "desc"] = "desc",
    limit: Annotated[int, Field(ge=1, le=_MOST_ROWS)] = 20,
    cursor: Cursor = None,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """What was asked before, by anybody, and what it cost: of one customer, of one status or of everything.

    Use it before you ask again: an answer that is there costs nothing. The newest come first, without their answers;
    `request_id` shows one with its answer. Give customer or status, not both. Not for texts about a customer:
    search_documents has those. Next: customer://{id}/analysis is the latest report.
    """
    if request_id is not None:
        return await _one(services, identity, request_id)
    if customer is not None and status is not None:
        raise Invalid(
            "only one look-up at a time, not customer and status",
            code="INVALID_ARGUMENT",
            details={"argument": "status", "problem": "stands beside another look-up"},
        )
    by: RequestLookUp = "customer" if customer else "status" if status else "time"
    about = None if customer is None else (await services.customers.locate(identity, customer)).id
    page = await services.requests.find(
        identity,
        by,
        about or status,
        created_from=since,
        created_until=until,
        order=order,
        cursor=cursor,
        limit=limit,
    )
    rows = [_row(row) for row in page.rows]
    hint = "request_history with request_id shows an answer." if rows else "Nothing was asked."
    history = History(rows=rows, next=page.next, previous=page.previous)
    return told(history, hint, page_hint(page.next, "request_history"))


async def quota_status(
    quota: Annotated[str | None, _Name, Field(description="One quota; all by name when absent.")] = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    cursor: Cursor = None,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """What is used, reserved and left of quotas, and when they are whole again. Amounts are decimals.

    Use it before work that spends (search_web, analyze_customer), and when something was refused as exhausted.
    Not for why a provider is not asked: provider_status says that. Quotas are changed by REST and `lycosa quotas`.
    """
    if quota is not None:
        one = QuotaReportOut.of(await services.quotas.figures(identity, quota))
        return told(QuotaReportPageOut(rows=[one], next=None, previous=None))
    page = await services.quotas.report(identity, cursor=cursor, limit=limit)
    rows = [QuotaReportOut.of(row) for row in page.rows]
    reports = QuotaReportPageOut(rows=rows, next=page.next, previous=page.previous)
    return told(reports, page_hint(page.next, "quota_status"))


async def provider_status(
    provider: Annotated[str | None, _Name, Field(description="One provider; all when absent.")] = None,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """Who is asked outside, in which order, how they are, what is left of them and what they cost this month.

    Use it when a search or an analysis was degraded, unavailable or exhausted. Not for searching: it asks nobody
    outside. They are switched on and off by REST and `lycosa providers`.
    """
    await services.prepare()
    if provider is None:
        return told(Providers(rows=await services.providers.find(identity)))
    return told(Providers(rows=[await services.providers.get(identity, provider)]))


async def cache_stats(
    identity: Identity = Depends(asking), services: Services = Depends(services)
) -> ToolResult:
    """What the cache holds of yours, its budget in bytes, and its hits and misses since the store started.

    Use it to see whether repeated questions are served from the cache. Not needed before asking anything.
    """
    return told(CacheOut.of(await services.cache.figures(identity)))


async def invalidate_cache(
    tag: Annotated[
        str | None,
        Field(min_length=1, max_length=128, description="All entries of a tag, such as analysis."),
    ] = None,
    prefix: Annotated[
        str | None, Field(min_length=1, max_length=512, description="All whose key begins with it.")
    ] = None,
    limit: Annotated[int, Field(ge=1, le=10_000, description="How many at the most.")] = 10_000,
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """Forget cached answers: exactly one of `tag` and `prefix`. What was forgotten is paid for again when it is asked.

    Use it only when told that cached answers are wrong. Not for a newer answer to one question: search_web takes
    max_age = 0 and analyze_customer fresh = true.
    """
    gone = await services.cache.invalidate(identity, tag=tag, prefix=prefix, at_most=limit)
    hint = "There may be more: call invalidate_cache again." if gone.more else None
    return told(InvalidatedOut.model_validate(gone), hint)


async def _one(services: Services, identity: Identity, request_id: str) -> ToolResult:
    found = await services.requests.get(identity, request_id)
    answer = found.request.answer
    said = None if answer is None else excerpt(_summary(answer) or answer, _LONGEST_ANSWER)
    fields = {
        name: getattr(found.request, name)
        for name in RequestSummaryOut.model_fields
        if name != "answer_bytes"
    }
    row = PastRequest(
        **fields,
        answer_bytes=0 if answer is None else len(answer.encode()),
        answer=said,
    )
    links = [
        link("document", source.ref, source.title) for source in found.sources if source.kind == "document"
    ]
    return told(History(rows=[row], next=None, previous=None), links=links[:_MOST_ROWS])


def _summary(answer: str) -> str | None:
    """Of a report as it is recorded; None for any other answer."""
    try:
        return Report.model_validate_json(answer).summary
    except ValidationError:
        return None


def _row(row: Any) -> PastRequest:
    fields = row._asdict()
    fields["question"] = gist(row.question, _LONGEST_QUESTION)
    fields["error"] = None if row.error is None else gist(row.error, _LONGEST_ERROR)
    return PastRequest.model_validate(fields)


def register(server: FastMCP[Any]) -> None:
    """Register the tools of this module."""
    add_tool(server, request_history, History, "read", READS, {"history"})
    add_tool(server, quota_status, QuotaReportPageOut, "read", READS, {"operations"})
    add_tool(server, provider_status, Providers, "read", READS, {"operations"})
    add_tool(server, cache_stats, CacheOut, "read", READS, {"operations"})
    add_tool(server, invalidate_cache, InvalidatedOut, "admin", DELETES, {"operations"}, timeout=30.0)
