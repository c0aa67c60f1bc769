"""Tools that analyse: one customer with every source, or several side by side."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, Literal

import anyio
from fastmcp import Context, FastMCP
from fastmcp.dependencies import CurrentContext
from fastmcp.tools import ToolResult
from mcp_types import ResourceLink
from pydantic import Field

from lycosa.analysis.report import (
    Fact,
    Finding,
    Language,
    Mode,
    Report,
    ReportEvent,
    Source,
    StepEvent,
    TokenEvent,
)
from lycosa.errors import Exhausted, Internal, Invalid, LycosaError, NotFound, Unavailable
from lycosa.identity import Identity
from lycosa.mcp.answers import CustomerKey, distinct, excerpt, gist, link, told, uri
from lycosa.mcp.asking import Depends, asking, services, serving
from lycosa.mcp.tools.customers import CustomerBrief
from lycosa.mcp.tools.declaring import SPENDS, add_tool
from lycosa.schemas.shape import Answer
from lycosa.services import Services
from lycosa.services.amounts import in_decimals

_TAGS = {"analysis"}
_TIMEOUT = 300.0
_MOST_FINDINGS = 30
_MOST_SOURCES = 40
_LONGEST_SUMMARY = 10_000
_MOST_COMPARED = 5
_FINDINGS_COMPARED = 5
_SUMMARY_COMPARED = 2_000
# The model writes one report after the other: more at once only wait.
_AT_ONCE = 2
_SCHEMES = {"record": "customer", "segment": "segment", "document": "document"}

Question = Annotated[
    str | None,
    Field(min_length=1, max_length=2_000, description="Turns the report to one matter, such as a risk."),
]
ReportLanguage = Annotated[
    Language | None,
    Field(description="Of the report; that of the question or the customer when absent."),
]
_Told = Callable[[str], Awaitable[None]]


class SourceOut(Answer):
    """What a report rests on."""

    id: str = Field(description="What facts and findings name it by.")
    kind: Literal["record", "segment", "history", "document", "web"]
    title: str
    uri: str | None = Field(description="Of the resource to read, or the address on the web.")


class AnalysisOut(Answer):
    """A report on one customer."""

    request_id: str = Field(description="Of its row in the history.")
    customer_id: str
    customer_name: str
    question: str | None
    language: Language
    mode: Mode
    summary: str
    facts: list[Fact] = Field(description="Statements whose quotes were found in their sources.")
    risks: list[Finding]
    opportunities: list[Finding]
    open_questions: list[Finding]
    sources: list[SourceOut]
    writer: Literal["model", "offline", "extractive"]
    model: str
    cached: bool = Field(description="Whether it was written before; then it cost nothing.")
    degraded: list[str] = Field(description="What it had to do without, and why.")
    tokens_in: int
    tokens_out: int
    web_cost_microusd: int = Field(description="Millionths of a US dollar.")
    created_at: datetime

    @classmethod
    def of(
        cls, report: Report, findings: int = _MOST_FINDINGS, summary: int = _LONGEST_SUMMARY
    ) -> "AnalysisOut":
        """The report, bounded."""
        return cls(
            request_id=report.request_id,
            customer_id=report.customer_id,
            customer_name=report.customer_name,
            question=report.question,
            language=report.language,
            mode=report.mode,
            summary=excerpt(report.summary, summary),
            facts=report.facts[:findings],
            risks=report.risks[:findings],
            opportunities=report.opportunities[:findings],
            open_questions=report.open_questions[:findings],
            sources=[_source(source) for source in report.sources[:_MOST_SOURCES]],
            writer=report.writer,
            model=report.model,
            cached=report.cached,
            degraded=report.degraded,
            tokens_in=report.tokens.input,
            tokens_out=report.tokens.output,
            web_cost_microusd=report.web_cost_microusd,
            created_at=report.created_at,
        )


class ComparedOut(Answer):
    """One of several customers."""

    customer: CustomerBrief
    analysis: AnalysisOut | None = Field(description="Its report, cut to what is compared.")
    problem: str | None = Field(description="Why there is no report.")


class ComparisonOut(Answer):
    """Customers side by side, in the order they were named."""

    rows: list[ComparedOut]


async def analyze_customer(
    customer: CustomerKey,
    question: Question = None,
    language: ReportLanguage = None,
    mode: Annotated[
        Mode, Field(description="quick: stored texts only; standard: one search of the web; deep: several.")
    ] = "standard",
    fresh: Annotated[bool, Field(description="Write anew even if the same report is there.")] = False,
    context: Context = CurrentContext(),
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """Gather what is known about a customer and write a report with its sources. Takes up to minutes, and may cost.

    Use it for a picture of one customer or a question that many sources answer. Asked again with nothing changed it
    comes from the cache and costs nothing. Not for one field (get_customer), for words in a text (search_documents) or
    for a report that is there already (customer://{id}/analysis). Every step is told as progress; a cancelled call
    stops the work. Every fact has a quote: name its source when you use it.
    """
    about = (await services.customers.locate(identity, customer)).id
    told_so_far = 0

    async def tell(message: str) -> None:
        nonlocal told_so_far
        told_so_far += 1
        await context.report_progress(told_so_far, message=message)

    await _take(services, identity, 1)
    await services.prepare()
    report = await _report(services, identity, about, question, language, mode, fresh, tell)
    answer = AnalysisOut.of(report)
    lacking = "degraded says what it had to do without." if report.degraded else None
    hint = "Name the sources of what you use. Read a link for the whole of a source."
    return told(answer, hint, lacking, links=_links(report))


async def compare_customers(
    customers: Annotated[
        list[CustomerKey],
        Field(min_length=2, max_length=_MOST_COMPARED, description="Ids or external ids, 2 to 5 of them."),
    ],
    question: Question = None,
    language: ReportLanguage = None,
    mode: Annotated[
        Literal["quick", "standard"],
        Field(description="quick: stored texts only; standard: a search of the web for each."),
    ] = "quick",
    context: Context = CurrentContext(),
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult:
    """Put 2 to 5 customers side by side: figures, and a short report on each. Takes up to minutes, and may cost.

    Use it to say which of a few customers is larger, riskier or more promising; the judgement is yours. Not for whole
    segments (segment_figures) or one customer (analyze_customer). One whose report fails has its problem in its place.
    Next: analyze_customer for the whole report on one of them.
    """
    rows = [await services.customers.locate(identity, key) for key in distinct(customers)]
    briefs = {row.id: CustomerBrief.model_validate(row) for row in rows}
    if len(briefs) < 2:
        raise Invalid(
            "argument customers names one customer, at least 2 are compared",
            code="INVALID_ARGUMENT",
            details={"argument": "customers", "problem": "names one customer"},
        )
    await _take(services, identity, len(briefs))
    await services.prepare()
    compared: dict[str, ComparedOut] = {}
    turns = anyio.Semaphore(_AT_ONCE)

    async def silent(_: str) -> None:
        """Steps of reports that are written side by side would be told in disorder."""

    async def one(brief: CustomerBrief) -> None:
        analysis = problem = None
        async with turns:
            try:
                report = await _report(services, identity, brief.id, question, language, mode, False, silent)
                analysis = AnalysisOut.of(report, _FINDINGS_COMPARED, _SUMMARY_COMPARED)
            except LycosaError as refusal:
                problem = f"{refusal.code}: {gist(refusal.message)}"
        compared[brief.id] = ComparedOut(customer=brief, analysis=analysis, problem=problem)
        await context.report_progress(len(compared), len(briefs), f"{len(compared)} of {len(briefs)} reports")

    async with anyio.create_task_group() as group:
        for brief in briefs.values():
            group.start_soon(one, brief)
    answer = ComparisonOut(rows=[compared[name] for name in briefs])
    links = [link("customer", brief.id, brief.name) for brief in briefs.values()]
    return told(answer, "analyze_customer writes the whole report on one of them.", links=links)


async def _take(services: Services, identity: Identity, units: int) -> None:
    """Where the settings name a quota, every analysis takes one unit of it. Raises Exhausted, Unavailable."""
    quota = serving().settings.analysis_quota
    if quota is None:
        return
    try:
        await services.quotas.take(identity, {quota: units})
    except Exhausted as refusal:
        raise in_decimals(refusal) from None
    except NotFound as missing:
        raise Unavailable(
            f"quota {quota} has to be defined before this can be asked for",
            code=missing.code,
            details={"quota": quota},
        ) from None


async def _report(
    services: Services,
    identity: Identity,
    customer_id: str,
    question: str | None,
    language: Language | None,
    mode: Mode,
    fresh: bool,
    tell: _Told,
) -> Report:
    """The report that was given a moment ago, or a new one; `tell` hears of every step."""
    if not fresh:
        known = await services.analyses.recall(identity, customer_id, question, language, mode=mode)
        if known is not None:
            await tell("cache: asked a moment ago, and nothing has changed")
            return known
    analysis = services.analyses.analyze(identity, customer_id, question, language, fresh, mode=mode)
    writes = False
    async with aclosing(analysis) as events:
        async for event in events:
            if isinstance(event, StepEvent):
                await tell(f"{event.name}: {gist(event.detail)}")
            elif isinstance(event, TokenEvent) and not writes:
                writes = True
                await tell("writing")
            elif isinstance(event, ReportEvent):
                return event.report
    raise Internal("the analysis ended without a report", code="INTERNAL")


def _source(source: Source) -> SourceOut:
    scheme = _SCHEMES.get(source.kind)
    address = source.ref if source.ref.startswith(("http://", "https://")) else source.url
    return SourceOut(
        id=source.id,
        kind=source.kind,
        title=gist(source.title),
        uri=address if scheme is None else uri(scheme, source.ref),
    )


def _links(report: Report) -> list[ResourceLink]:
    """The sources that are resources of ours. Addresses of the web are no links: nobody shall open them unseen."""
    links = [
        link(_SCHEMES[source.kind], source.ref, source.title)
        for source in report.sources[:_MOST_SOURCES]
        if source.kind in _SCHEMES and source.ref
    ]
    # One document may give several passages.
    return list({found.uri: found for found in links}.values())


def register(server: FastMCP[Any]) -> None:
    """Register the tools of this module."""
    add_tool(server, analyze_customer, AnalysisOut, "spend", SPENDS, _TAGS, timeout=_TIMEOUT)
    add_tool(server, compare_customers, ComparisonOut, "spend", SPENDS, _TAGS, timeout=_TIMEOUT)
