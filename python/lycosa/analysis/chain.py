"""The chain: gather, look into the cache, write with one model call, apply the rules, remember."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

import structlog
from pydantic import ValidationError

from lycosa.analysis import prompts
from lycosa.analysis.calling import Spent, named
from lycosa.analysis.gather import Asked, Gathered, Standing, gather, look
from lycosa.analysis.key import analysis_key, question_key
from lycosa.analysis.knowledge import Knowledge
from lycosa.analysis.model import Writer
from lycosa.analysis.report import (
    Event,
    FactEvent,
    Finding,
    Language,
    Mode,
    PastRequest,
    Report,
    Source,
    SourceEvent,
    StepEvent,
    Timings,
    TokenEvent,
    Tokens,
)
from lycosa.analysis.rules import apply_rules
from lycosa.analysis.writing import Draft, write_extractive, write_offline, write_with_model
from lycosa.errors import LycosaError

__all__ = ["Job", "Memory", "Note", "recall", "run_chain"]

_log = structlog.get_logger(__name__)


class Note(NamedTuple):
    """Which report answered a question, when it was written, and how the store stood."""

    witness: str
    key: str
    written: str


class Memory(Protocol):
    """Where reports are kept by key. Methods raise LycosaError."""

    async def get(self, key: str) -> str | None:
        """The report's JSON, None when there is none or it has expired."""

    async def put(self, key: str, report: str) -> None:
        """Keep a report's JSON for the time of the settings."""

    async def note(self, question: str, witness: str, key: str, written: datetime) -> None:
        """Note which report answers a question as long as the witness is the same, for a minute. Raises nothing."""

    async def noted(self, question: str) -> Note | None:
        """What was noted for a question."""

    async def report(self, note: Note) -> Report | None:
        """The report that a note names, None when it is gone or was written anew since."""

    async def lead(self, key: str, question: str, waits: Callable[[], None]) -> str | None:
        """Take the lead in writing, or wait for whoever has it (`waits` is told): what he kept; None: write it."""

    async def release(self, key: str) -> None:
        """Give the lead away, if one has it. Raises nothing."""


@dataclass(slots=True)
class Job:
    """One request, and what has become known while it ran: enough to record it wherever it breaks off."""

    request_id: str
    tenant: str
    customer_id: str
    question: str | None
    language: Language | None
    fresh: bool
    mode: Mode
    # Tokens that the sources may take of a prompt.
    budget: int
    emit: Callable[[Event], None]
    started: float = field(default_factory=time.perf_counter)
    spent: Spent = field(default_factory=Spent)
    sources: list[Source] = field(default_factory=list)
    model: str | None = None
    first_token: float | None = None

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return round((time.perf_counter() - self.started) * 1000, 2)

    def step(self, name: str, detail: str) -> None:
        """Tell of a step that has ended."""
        self.emit(StepEvent(name=name, detail=detail, elapsed_ms=self.elapsed_ms()))

    def say(self, text: str) -> None:
        """The next piece of prose."""
        if self.first_token is None:
            self.first_token = self.elapsed_ms()
        self.emit(TokenEvent(text=text))


def _prompt_version(writer: Writer) -> str:
    if writer.kind == "extractive":
        return prompts.EXTRACTIVE_VERSION
    return prompts.version(prompts.REPORT if writer.kind == "model" else prompts.SUMMARY)


async def run_chain(job: Job, knowledge: Knowledge, memory: Memory, writer: Writer) -> Report:
    """The report of one request; its events go to `job.emit` on the way, all but the report itself.

    Raises LycosaError when the customer's record cannot be read. A model that fails does not fail the report.
    """
    asked, short = _asked(job, writer)
    standing = await _look(job, knowledge, memory, asked, short)
    kept = await _unchanged(job, memory, standing)
    if kept is not None:
        return kept
    gathered = await gather(knowledge, asked, standing, started=job.started, emit=job.emit)
    report = await _answered(job, gathered, memory, writer)
    if standing.witness is not None and not gathered.degraded:
        await memory.note(short, standing.witness, report.key, report.created_at)
    return report


async def recall(job: Job, knowledge: Knowledge, memory: Memory, writer: Writer) -> Report | None:
    """What `run_chain` answers without gathering; None when it would gather. Raises as it does."""
    asked, short = _asked(job, writer)
    return await _unchanged(job, memory, await _look(job, knowledge, memory, asked, short))


def _asked(job: Job, writer: Writer) -> tuple[Asked, str]:
    """What is asked, and the key of the note on it."""
    asked = Asked(job.request_id, job.customer_id, job.question, job.language, job.mode, job.budget)
    return asked, question_key(asked, job.tenant, _prompt_version(writer), writer.name)


async def _look(job: Job, knowledge: Knowledge, memory: Memory, asked: Asked, short: str) -> Standing:
    note = None if job.fresh else lambda: memory.noted(short)
    return await look(knowledge, asked, note, started=job.started, emit=job.emit)


async def _answered(job: Job, gathered: Gathered, memory: Memory, writer: Writer) -> Report:
    """The report on what was gathered: kept, written by somebody else just now, or written here."""
    gather_ms = job.elapsed_ms()
    job.sources = gathered.sources
    key = analysis_key(
        tenant=job.tenant,
        customer=gathered.customer,
        question=job.question,
        mode=job.mode,
        language=gathered.language,
        sources=gathered.sources,
        prompt_version=_prompt_version(writer),
        model=writer.name,
    )
    kept = await _recalled(job, memory, key)
    if kept is not None:
        return _again(job, kept, gathered.past, gather_ms, gathered)
    if writer.kind == "extractive":
        return await _written(job, gathered, memory, writer, key, gather_ms)
    try:
        kept = None if job.fresh else await _shared(job, memory, key)
        if kept is not None:
            return _again(job, kept, gathered.past, gather_ms, gathered)
        return await _written(job, gathered, memory, writer, key, gather_ms)
    finally:
        # Whoever waits for us must not wait for nothing, whatever has ended us.
        await asyncio.shield(memory.release(key))


async def _written(
    job: Job, gathered: Gathered, memory: Memory, writer: Writer, key: str, gather_ms: float
) -> Report:
    """A new report, kept where it may answer others."""
    for source in gathered.sources:
        job.emit(SourceEvent(source=source))
    draft, used, fell_back = await _write(job, gathered, writer)
    report = _report(job, gathered, draft, used, key, _prompt_version(writer), gather_ms)
    for fact in report.facts:
        job.emit(FactEvent(fact=fact))
    degraded = list(report.degraded)
    if gathered.complete and not fell_back:
        # Kept without what only holds for this moment: what gathering lacked is said anew each time.
        stored = report.model_copy(update={"degraded": draft.degraded})
        try:
            await memory.put(key, stored.model_dump_json())
        except LycosaError as problem:
            degraded.append(f"cache: {problem.code}")
    timings = report.timings.model_copy(update={"total_ms": job.elapsed_ms()})
    return report.model_copy(update={"degraded": degraded, "timings": timings})


async def _shared(job: Job, memory: Memory, key: str) -> Report | None:
    """The report that somebody else writes just now, None when it is ours to write."""
    text = await memory.lead(
        key, job.question or "", lambda: job.step("cache", "waiting: the same report is being written")
    )
    try:
        return Report.model_validate_json(text) if text is not None else None
    except ValidationError:
        return None


async def _recalled(job: Job, memory: Memory, key: str) -> Report | None:
    if job.fresh:
        job.step("cache", "not asked: a fresh answer is wanted")
        return None
    try:
        text = await memory.get(key)
        report = Report.model_validate_json(text) if text is not None else None
    except LycosaError as problem:
        job.step("cache", f"failed: {problem.code}")
        return None
    except ValidationError:
        # Written by another version of the report's form.
        report = None
    job.step("cache", "hit" if report is not None else "miss")
    return report


async def _unchanged(job: Job, memory: Memory, standing: Standing) -> Report | None:
    """The report that was given to the same question a moment ago, when nothing it rests on has changed since."""
    if standing.note is None or standing.witness is None or standing.note.witness != standing.witness:
        return None
    try:
        kept = await memory.report(standing.note)
    except LycosaError:
        return None
    if kept is None:
        return None
    job.step("cache", "hit: asked a moment ago, and nothing has changed")
    return _again(job, kept, [answer.request for answer in standing.past], job.elapsed_ms())


def _again(
    job: Job, kept: Report, past: list[PastRequest], gather_ms: float, gathered: Gathered | None = None
) -> Report:
    """A kept report as the answer to this request; `gathered` what was read for it."""
    job.sources, job.model = kept.sources, kept.model
    for source in kept.sources:
        job.emit(SourceEvent(source=source))
    for fact in kept.facts:
        job.emit(FactEvent(fact=fact))
    job.say(kept.summary)
    timings = Timings(gather_ms=gather_ms, first_token_ms=job.first_token, total_ms=job.elapsed_ms())
    return kept.model_copy(
        update={
            "request_id": job.request_id,
            "question": job.question,
            "past_requests": past,
            "tokens": Tokens(),
            "web_cost_microusd": gathered.web_cost_microusd if gathered else 0,
            "timings": timings,
            "cached": True,
            "degraded": [*kept.degraded, *(gathered.degraded if gathered else ())],
        }
    )


async def _write(job: Job, gathered: Gathered, writer: Writer) -> tuple[Draft, Writer, bool]:
    """The draft, who wrote it, and whether that was for want of the model asked: such a report is not kept."""
    extractive = Writer("extractive", "extractive")
    if writer.kind == "extractive":
        draft = write_extractive(gathered, job.question, job.say)
        if writer.reason:
            draft.degraded.append(writer.reason)
        job.model = writer.name
        job.step("write", f"{writer.name}: {len(draft.facts)} facts")
        return draft, writer, False
    write = write_with_model if writer.kind == "model" else write_offline
    try:
        draft = await write(writer, gathered, job.question, job.say, job.spent)
    except Exception as problem:
        failures = job.spent.failures
        reason = f"the model {job.spent.model or writer.name} failed ({named(problem)})"
        if job.spent.model is None and len(failures) > 1:
            reason = "; ".join(failures)
        _log.warning("model_gave_up", problem=reason, pieces=job.spent.pieces)
        draft = write_extractive(gathered, job.question, job.say if job.first_token is None else _unsaid)
        draft.degraded.append(f"extractive: {reason}")
        job.model = extractive.name
        job.step("write", f"{writer.name} failed after {job.spent.pieces} tokens, extractive instead")
        return draft, extractive, True
    used = extractive if job.spent.model is None else replace(writer, name=job.spent.model)
    if used.kind != "extractive" and used.name != writer.name:
        draft.degraded.append(f"model: {'; '.join(job.spent.failures)}, {used.name} wrote instead")
    job.model = used.name
    dropped = f", {draft.dropped_facts} without a true quote" if draft.dropped_facts else ""
    job.step("write", f"{used.name}: {job.spent.tokens().output} tokens, {len(draft.facts)} facts{dropped}")
    return draft, used, used.kind != "extractive" and used.name != writer.name


def _unsaid(_: str) -> None:
    """Prose already streams: the extractive summary stands in the report only."""


def _report(
    job: Job, gathered: Gathered, draft: Draft, used: Writer, key: str, prompt_version: str, gather_ms: float
) -> Report:
    """The draft with what the rules find where the writer found nothing."""
    rules = apply_rules(
        gathered.customer, gathered.segment, gathered.sources, gathered.notes, job.question, gathered.language
    )
    model_ms = job.spent.milliseconds
    kind: Literal["model", "offline", "extractive"] = used.kind

    def first(own: list[Finding] | None, ruled: list[Finding]) -> list[Finding]:
        return own or ruled

    return Report(
        request_id=job.request_id,
        customer_id=gathered.customer.id,
        customer_name=gathered.customer.name,
        question=job.question,
        mode=job.mode,
        language=gathered.language,
        summary=draft.summary,
        facts=draft.facts,
        risks=first(draft.risks, rules.risks),
        opportunities=first(draft.opportunities, rules.opportunities),
        open_questions=first(draft.open_questions, rules.open_questions),
        sources=gathered.sources,
        past_requests=gathered.past,
        writer=kind,
        model=used.name,
        tokens=job.spent.tokens(),
        web_cost_microusd=gathered.web_cost_microusd,
        timings=Timings(
            gather_ms=gather_ms,
            first_token_ms=job.first_token,
            model_ms=round(model_ms, 2) if model_ms is not None else None,
            total_ms=job.elapsed_ms(),
        ),
        cached=False,
        degraded=[*draft.degraded, *gathered.degraded],
        dropped_facts=draft.dropped_facts,
        dropped_sentences=draft.dropped_sentences,
        prompt_version=prompt_version,
        key=key,
        created_at=datetime.now(UTC),
    )
