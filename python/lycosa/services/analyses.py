"""The main job: a sourced analysis of one customer, streamed, and recorded however it ends."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Final, Literal, TypeVar, cast, get_args
from uuid import uuid4

import structlog
from pydantic import ValidationError

from lycosa.analysis.chain import Job, recall, run_chain
from lycosa.analysis.key import normal_question
from lycosa.analysis.model import Writer
from lycosa.analysis.report import (
    Event,
    FactEvent,
    Language,
    Mode,
    Report,
    ReportEvent,
    Source,
    SourceEvent,
    TokenEvent,
)
from lycosa.analysis.texts import clean, clip_bytes
from lycosa.cancellation import cancelled
from lycosa.errors import Conflict, Internal, Invalid, LycosaError, NotFound, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures, RequestSourceInput
from lycosa.providers.llm import Models
from lycosa.services.cache import Cache, CacheService
from lycosa.services.events import EventService, Journal
from lycosa.services.knowledge import ANALYSIS, StoreKnowledge
from lycosa.services.lookups import Lookups
from lycosa.services.reports import Recent, ReportMemory
from lycosa.settings import Settings

__all__ = ["AnalysisService"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Status = Literal["done", "degraded", "failed", "cancelled"]
# Bytes that the history takes.
_MAX_QUESTION: Final = 4_096
_MAX_ANSWER: Final = 262_144
_MAX_REF: Final = 2_048
_MAX_TITLE: Final = 1_024
_MAX_QUOTE: Final = 2_048
_MAX_NAME: Final = 128
# Records that may be written behind their answers.
_MOST_BEHIND: Final = 256


class AnalysisService:
    """The use-case of analysing. `aclose` ends the models and what is still being recorded."""

    def __init__(
        self,
        procedures: Procedures,
        settings: Settings,
        cache: Cache | None = None,
        lookups: Lookups | None = None,
    ) -> None:
        """`cache` keeps the reports; the store's own when absent. `lookups` search the web; nobody does when absent."""
        self._procedures = procedures
        self._settings = settings
        self._cache = cache or CacheService(procedures)
        self._lookups = lookups
        self._events = EventService(procedures)
        self._models: Models | None = None
        self._recent: Recent = {}
        # Work that outlives whoever asked for it: kept here so that it is neither lost nor collected.
        self._background: set[asyncio.Task[Any]] = set()

    async def analyze(
        self,
        identity: Identity,
        customer_id: str,
        question: str | None = None,
        language: str | None = None,
        fresh: bool = False,
        request_id: str | None = None,
        *,
        mode: str = "standard",
        is_kept: bool = False,
        goes_on: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Gather what is known about a customer and write a sourced analysis: events, the report as the last.

        `question` (at most 4,096 bytes) turns it to one matter; `language` is en or ru, else that of the question or
        customer; `mode` is quick (stored texts only), standard (one search of the web) or deep (several, thorough);
        `fresh` writes anew whatever the cache holds. `request_id` is the idempotency key: a request that
        was answered before is answered again as it was recorded. `is_kept` keeps the events for ten minutes under the
        request's id (EventService.follow). Closing the generator stops the model call, unless it `goes_on`.
        Raises NotFound for an unknown customer, Invalid, Unavailable or TimedOut when the record cannot be read,
        Conflict when the request id stands for another request; all before the first event.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        identifier = request_id or str(uuid4())
        journal = self._events.journal(identity, identifier) if is_kept else None

        def emit(event: Event) -> None:
            events.put_nowait(event)
            if journal is not None:
                journal.add(event.event, event.model_dump_json())

        job = Job(
            request_id=identifier,
            tenant=identity.tenant,
            customer_id=customer_id,
            question=_checked_question(question),
            language=_checked_language(language),
            fresh=fresh,
            mode=_checked_mode(mode),
            budget=self._settings.analysis_budget,
            emit=emit,
        )
        work = self._start(self._answer(job, identity, is_named=request_id is not None))
        work.add_done_callback(lambda _: events.put_nowait(None))
        if journal is not None:
            work.add_done_callback(lambda ended: self._end_journal(journal, ended))
        try:
            while (event := await events.get()) is not None:
                yield event
            await work
        finally:
            if not work.done() and not goes_on:
                # Whoever closes us may be cancelled too, by anyio again and again: the work is stopped and records its
                # end all the same, see _record_end.
                await asyncio.shield(self._start(cancelled({work}), "stop"))
                await asyncio.shield(self._settled())

    async def recall(
        self,
        identity: Identity,
        customer_id: str,
        question: str | None = None,
        language: str | None = None,
        *,
        mode: str = "standard",
    ) -> Report | None:
        """The report that was given to the same question within the last minute, while nothing it rests on has changed.

        It is recorded as a request of its own, behind the answer. None: ask `analyze`, which also says what is wrong.
        Raises Invalid.
        """
        job = Job(
            request_id=str(uuid4()),
            tenant=identity.tenant,
            customer_id=customer_id,
            question=_checked_question(question),
            language=_checked_language(language),
            fresh=False,
            mode=_checked_mode(mode),
            budget=self._settings.analysis_budget,
            emit=_unheard,
        )
        knowledge = StoreKnowledge(self._procedures, identity, self._lookups)
        try:
            report = await recall(job, knowledge, self._memory(identity), self._writer())
        except LycosaError:
            return None
        if report is not None:
            # Behind the answer, which cost nothing: the disk may take longer than all the rest. Not without bound.
            recording = self._start(self._record(job, report), "record")
            if len(self._background) > _MOST_BEHIND:
                await asyncio.wait({recording})
        return report

    def _memory(self, identity: Identity) -> ReportMemory:
        ttl = self._settings.analysis_ttl
        return ReportMemory(self._procedures, self._cache, identity, ttl, self._recent)

    async def aclose(self) -> None:
        """Finish recording, stop what still runs, end the models."""
        # Each begins to record its end before it is done.
        await cancelled([task for task in self._background if task.get_name() != "record"])
        await self._settled()
        if self._models is not None:
            await self._models.close()

    async def _settled(self) -> None:
        """Wait for the records that are being written."""
        recording = [task for task in self._background if task.get_name() == "record"]
        if recording:
            await asyncio.wait(recording)

    def _start(self, work: Coroutine[Any, Any, T], name: str = "analysis") -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            # Taken note of, also when whoever asked has gone.
            task.exception()

    def _end_journal(self, journal: Journal, work: asyncio.Task[None]) -> None:
        """Write the end of the events behind the work, as it ended."""
        problem: LycosaError | None = None
        if work.cancelled():
            problem = Unavailable("whoever asked hung up before the end", code="ANALYSIS_CANCELLED")
        elif isinstance(found := work.exception(), LycosaError):
            problem = found
        writing = journal.end(problem)
        if writing is not None:
            writing.set_name("record")
            self._background.add(writing)
            writing.add_done_callback(self._background.discard)

    def _writer(self) -> Writer:
        if self._models is None:
            self._models = Models(self._settings)
        return self._models.writer

    async def _answer(self, job: Job, identity: Identity, *, is_named: bool) -> None:
        """Do the work of one request and record how it ended."""
        if is_named:
            recorded = await self._recorded(job)
            if recorded is not None:
                _replay(job, recorded)
                return
        try:
            report = await run_chain(
                job,
                StoreKnowledge(self._procedures, identity, self._lookups),
                self._memory(identity),
                self._writer(),
            )
        except asyncio.CancelledError:
            # Not awaited: whoever cancelled us need not wait for it, and a second cancellation must not stop it.
            self._start(self._record_end(job, "cancelled", "the caller went away"), "record")
            raise
        except LycosaError as problem:
            await self._record_failure(job, f"{problem.code}: {problem.message}")
            raise
        except Exception as problem:
            _log.exception("analysis_failed", request=job.request_id)
            await self._record_failure(job, f"INTERNAL: {type(problem).__name__}")
            raise Internal("the analysis failed; see the log", code="INTERNAL") from problem
        # Shielded: an answer that is there is recorded as answered, whether or not anybody still listens.
        unrecorded = await asyncio.shield(self._start(self._record(job, report), "record"))
        if unrecorded is not None:
            report = report.model_copy(update={"degraded": [*report.degraded, unrecorded]})
        job.emit(ReportEvent(report=report))

    async def _recorded(self, job: Job) -> Report | None:
        """The report that was recorded under this request's id, None when the id is new.

        Raises Conflict when it stands for something else, or for something without an answer.
        """
        try:
            found = await self._procedures.request_get(tenant=job.tenant, id=job.request_id)
        except NotFound:
            return None
        request = found.request
        is_same = (
            request.kind == ANALYSIS
            and request.customer_id == job.customer_id
            and normal_question(request.question) == normal_question(job.question)
            and request.status in ("done", "degraded")
        )
        if is_same and request.answer is not None:
            with contextlib.suppress(ValidationError):
                return Report.model_validate_json(request.answer)
        raise Conflict(
            f"request {job.request_id} was recorded before and is not an answer to this question",
            code="REQUEST_EXISTS",
            details={"id": job.request_id},
        )

    async def _record(self, job: Job, report: Report) -> str | None:
        """Append the answered request; what kept it from being recorded, if anything did."""
        status: Status = "degraded" if report.degraded else "done"
        answer = report.model_dump_json()
        if len(answer.encode()) > _MAX_ANSWER:
            answer = report.summary
        try:
            await self._procedures.request_append(
                tenant=job.tenant,
                id=job.request_id,
                customer_id=job.customer_id,
                kind=ANALYSIS,
                status=status,
                question=job.question or "",
                answer=answer,
                model=clip_bytes(report.model, _MAX_NAME),
                tokens_in=report.tokens.input,
                tokens_out=report.tokens.output,
                cached=report.cached,
                duration_ms=math.ceil(report.timings.total_ms),
                sources=_sources(report.sources, report),
            )
        except LycosaError as problem:
            _log.warning("request_not_recorded", request=job.request_id, code=problem.code)
            return f"history: the request was not recorded ({problem.code})"
        return None

    async def _record_failure(self, job: Job, error: str) -> None:
        """Record that it failed, whether or not anybody still listens."""
        await asyncio.shield(self._start(self._record_end(job, "failed", error), "record"))

    async def _record_end(self, job: Job, status: Status, error: str) -> None:
        """Append a request that has no answer, with the tokens it has cost."""
        tokens = job.spent.tokens()
        try:
            await self._procedures.request_append(
                tenant=job.tenant,
                id=job.request_id,
                customer_id=job.customer_id,
                kind=ANALYSIS,
                status=status,
                question=job.question or "",
                model=clip_bytes(self._writer().name, _MAX_NAME) if job.spent.began is not None else None,
                tokens_in=tokens.input,
                tokens_out=tokens.output,
                duration_ms=math.ceil(job.elapsed_ms()),
                error=clip_bytes(clean(error, 1_000), 1_024),
                sources=_sources(job.sources, None),
            )
        except LycosaError as problem:
            # The store is away, or the ids are no names at all: what failed first is what the caller hears.
            _log.warning("request_not_recorded", request=job.request_id, status=status, code=problem.code)


def _unheard(_: Event) -> None:
    """Nobody follows what is answered at once."""


def _checked_question(question: str | None) -> str | None:
    if question is None or not question.strip():
        return None
    if len(question.encode(errors="replace")) > _MAX_QUESTION:
        raise Invalid.argument("question", f"is longer than {_MAX_QUESTION} bytes")
    return clip_bytes(clean(question, _MAX_QUESTION), _MAX_QUESTION) or None


def _checked_language(language: str | None) -> Language | None:
    if language not in (None, "en", "ru"):
        raise Invalid.argument("language", "is not one of en, ru")
    return cast("Language | None", language)


def _checked_mode(mode: str) -> Mode:
    if mode not in get_args(Mode):
        raise Invalid.argument("mode", f"is not one of {', '.join(get_args(Mode))}")
    return cast("Mode", mode)


def _sources(sources: list[Source], report: Report | None) -> list[RequestSourceInput]:
    """The sources as the history keeps them: with the quote of their first fact, else their beginning."""
    quotes = {fact.source: fact.quote for fact in reversed(report.facts)} if report is not None else {}
    kinds: dict[str, Literal["document", "record", "history", "web"]] = {
        "document": "document",
        "history": "history",
        "web": "web",
    }
    return [
        RequestSourceInput(
            kind=kinds.get(source.kind, "record"),
            ref=clip_bytes(source.ref, _MAX_REF),
            title=clip_bytes(source.title, _MAX_TITLE),
            quote=clip_bytes(quotes.get(source.id, source.text), _MAX_QUOTE),
        )
        for source in sources
    ]


def _replay(job: Job, report: Report) -> None:
    """The recorded answer again, as it was."""
    job.step("history", f"answered before, {report.created_at.isoformat(timespec='seconds')}")
    for source in report.sources:
        job.emit(SourceEvent(source=source))
    for fact in report.facts:
        job.emit(FactEvent(fact=fact))
    job.emit(TokenEvent(text=report.summary))
    job.emit(ReportEvent(report=report))
