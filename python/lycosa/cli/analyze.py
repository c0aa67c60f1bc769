"""`lycosa analyze`: a sourced analysis of one customer, streamed."""

from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, assert_never

import typer
from rich.text import Text

from lycosa.analysis.report import (
    Event,
    FactEvent,
    Finding,
    Report,
    ReportEvent,
    Source,
    SourceEvent,
    StepEvent,
    TokenEvent,
)
from lycosa.cli.command import Invocation, command
from lycosa.cli.output import Output, clean, span
from lycosa.cli.session import Session, open_session
from lycosa.errors import Invalid


class ReportLanguage(StrEnum):
    """In which language the report is written."""

    english = "en"
    russian = "ru"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "analyze",
        examples=[
            "lycosa analyze S-001",
            'lycosa analyze S-001 --question "Which products do they sell?" --language en',
            "lycosa analyze S-001 --deep",
            "lycosa analyze S-001 --json | jq -c 'select(.event == \"fact\")'",
        ],
    )(analyze)


async def analyze(
    run: Invocation,
    customer: Annotated[str, typer.Argument(metavar="ID", help="The customer's id, or external id.")],
    question: Annotated[str | None, typer.Option("--question", "-q", help="What to look at.")] = None,
    language: Annotated[ReportLanguage | None, typer.Option(help="Of the report.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Write it anew, whatever the cache holds.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="From stored texts alone.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="With several thorough searches of the web.")] = False,
) -> None:
    """Analyze a customer: steps, sources, facts and prose as they come, then the findings.

    Every fact's quote was found in its source. With the same inputs it comes from the cache.
    """
    if quick and deep:
        raise Invalid(
            "--quick and --deep exclude each other",
            code="INVALID_ARGUMENT",
            details={"argument": "deep", "problem": "stands beside --quick"},
        )
    mode = "quick" if quick else "deep" if deep else "standard"
    spoken = language.value if language else None
    async with open_session(run.settings) as session:
        await stream(run, session, customer, question, spoken, fresh=fresh, mode=mode)


async def stream(
    run: Invocation,
    session: Session,
    customer: str,
    question: str | None = None,
    language: str | None = None,
    *,
    fresh: bool = False,
    mode: str = "standard",
) -> Report:
    """Show the analysis as it comes and give the report."""
    found = await session.services.customers.locate(session.identity, customer)
    await session.services.prepare()
    events = session.services.analyses.analyze(
        session.identity,
        found.id,
        question,
        language,
        fresh,
        mode=mode,
    )
    screen = Screen(run.output)
    report: Report | None = None
    async with aclosing(events):
        async for event in events:
            if run.output.json:
                run.output.document(event)
            else:
                screen.show(event)
            if isinstance(event, ReportEvent):
                report = event.report
    assert report is not None, "an analysis ends with its report"
    return report


class Screen:
    """Writes events for people, under a heading whenever their kind changes."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._part = ""

    def show(self, event: Event) -> None:
        """Write one event."""
        match event:
            case StepEvent():
                self._begin("Steps")
                self._output.print(
                    Text(clean(f"  {event.elapsed_ms:6.0f} ms  {event.name:<10} {event.detail}"), style="dim")
                )
            case SourceEvent():
                self._begin("Sources")
                self._output.print(_source(event.source))
            case FactEvent():
                self._begin("Facts")
                fact = event.fact
                self._output.print(f"  - {fact.statement} [{fact.source}]")
                if fact.quote not in fact.statement:
                    self._output.print(Text(clean(f"    “{fact.quote}”"), style="dim"))
            case TokenEvent():
                self._begin("Summary")
                self._output.write(event.text)
            case ReportEvent():
                self._report(event.report)
            case _:
                assert_never(event)

    def _begin(self, part: str) -> None:
        """A heading before the first of a kind; prose has no newline of its own at its end."""
        if part == self._part:
            return
        if self._part == "Summary":
            self._output.write("\n")
        self._output.print(Text(("\n" if self._part else "") + part, style="bold"))
        self._part = part

    def _report(self, report: Report) -> None:
        for heading, findings in (
            ("Risks", report.risks),
            ("Opportunities", report.opportunities),
            ("Open questions", report.open_questions),
        ):
            if findings:
                self._begin(heading)
            for finding in findings:
                self._output.print(_finding(finding))
        self._begin("Report")
        timings = report.timings
        tokens = report.tokens
        lines = [
            f"written by {report.model} ({report.writer}) for {report.customer_name}",
            f"from the cache: {'yes' if report.cached else 'no'}; request {report.request_id}",
            f"gathered in {span(timings.gather_ms)}, first prose after {span(timings.first_token_ms)}, "
            f"model {span(timings.model_ms)}, total {span(timings.total_ms)}",
            f"tokens: {tokens.input} in, {tokens.output} out"
            + (f" ({tokens.counted})" if tokens.counted != "none" else ""),
            *([f"web: {report.web_cost_microusd / 1e6:.4f} US dollars"] if report.web_cost_microusd else []),
        ]
        if report.dropped_facts or report.dropped_sentences:
            lines.append(
                f"left out as not borne out by a source: {report.dropped_facts} facts, "
                f"{report.dropped_sentences} sentences"
            )
        lines.extend(f"degraded: {reason}" for reason in report.degraded)
        for line in lines:
            self._output.print(f"  {line}")


def _source(source: Source) -> str:
    place = f"  {source.url}" if source.url else ""
    passage = f"#{source.chunk}" if source.chunk is not None else ""
    score = f"  {source.score:.2f}" if source.score is not None else ""
    return f"  [{source.id}] {source.kind:<8} {source.title}  ({source.ref}{passage}){score}{place}"


def _finding(finding: Finding) -> str:
    quote = f" “{finding.quote}”" if finding.quote and finding.quote not in finding.statement else ""
    return f"  - {finding.statement}{quote}{f' [{finding.source}]' if finding.source else ''}"
