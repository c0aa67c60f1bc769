"""Gathering what is known: record and history at once, then figures and texts at once."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableLambda, RunnableParallel

from lycosa.analysis.extractive import record_text, segment_text
from lycosa.analysis.knowledge import (
    Customer,
    Found,
    Knowledge,
    Passage,
    PastAnswer,
    Segment,
    guess_language,
)
from lycosa.analysis.report import Language, PastRequest, Source, StepEvent
from lycosa.analysis.texts import clean, clip_bytes, one_line
from lycosa.analysis.wording import say
from lycosa.errors import LycosaError

__all__ = ["Gathered", "gather"]

# Passages of a report; about 1,000 characters each.
MAX_PASSAGES = 10
MAX_PASSAGE = 2_000
MAX_PAST_ANSWERS = 3
# Bytes of a query the store accepts.
_MAX_QUERY = 1_000

Emit = Callable[[StepEvent], None]


@dataclass(slots=True)
class Gathered:
    """What an analysis rests on. `degraded` names what could not be had."""

    customer: Customer
    language: Language
    segment: Segment | None
    past: list[PastRequest]
    sources: list[Source]
    notes: frozenset[str]
    degraded: list[str] = field(default_factory=list)
    # Whether every part could be read.
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Part:
    """What one branch brought: a value or the error that kept it from it."""

    value: Any = None
    problem: LycosaError | None = None


def _branch(read: Callable[[], Awaitable[Any]]) -> RunnableLambda[Any, _Part]:
    """A branch whose failure is its result: one that fails does not undo the others."""

    async def run(_: Any) -> _Part:
        try:
            return _Part(value=await read())
        except LycosaError as problem:
            return _Part(problem=problem)

    return RunnableLambda(run)


async def _parallel(
    branches: Mapping[str, Callable[[], Awaitable[Any]]], ended: Callable[[str, _Part], None]
) -> dict[str, _Part]:
    """Run all branches at once; `ended` hears of each as it ends."""
    parts: dict[str, _Part] = {}
    runnable = RunnableParallel({name: _branch(read) for name, read in branches.items()})
    stream = cast(AsyncGenerator[dict[str, _Part], None], runnable.astream(None))
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            for name, part in chunk.items():
                parts[name] = part
                ended(name, part)
    return parts


def _told(name: str, part: _Part) -> str:
    """What a step found, in a few words."""
    if part.problem is not None:
        return f"failed: {part.problem.code}"
    value = part.value
    if isinstance(value, Customer):
        return f"{one_line(value.name, 100)}, version {value.version}"
    if isinstance(value, Segment):
        return f"{one_line(value.name, 100)}: {value.customers} customers"
    if isinstance(value, Found):
        waiting = f", {value.waiting} documents not yet indexed" if value.waiting else ""
        return f"{len(value.passages)} passages{', search bounded' if value.bounded else ''}{waiting}"
    if isinstance(value, list):
        return f"{len(value)} {'requests' if name == 'history' else 'documents'}"
    return "none"


async def gather(
    knowledge: Knowledge,
    customer_id: str,
    question: str | None,
    language: Language | None,
    *,
    started: float,
    emit: Emit,
) -> Gathered:
    """Everything known about the customer, as sources in the report's language.

    `started` is the moment of the request (perf_counter); `emit` hears of every step as it ends. Raises what the
    record raises (NotFound, Unavailable); any other part that fails is missing and named in `degraded`.
    """

    def ended(name: str, part: _Part) -> None:
        elapsed = (time.perf_counter() - started) * 1000
        emit(StepEvent(name=name, detail=_told(name, part), elapsed_ms=round(elapsed, 2)))

    held: list[tuple[str, _Part]] = []
    first = await _parallel(
        {
            "customer": lambda: knowledge.customer(customer_id),
            "history": lambda: knowledge.history(customer_id),
        },
        lambda name, part: held.append((name, part)),
    )
    record = first["customer"]
    if record.problem is not None:
        # Nothing was emitted yet: the caller can still answer with the error alone.
        raise record.problem
    for name, part in held:
        ended(name, part)
    customer: Customer = record.value
    branches: dict[str, Callable[[], Awaitable[Any]]] = {
        "documents": lambda: knowledge.search(_query(customer), customer_id, kind=None, limit=8),
        "notes": lambda: knowledge.search(_query(customer, question), customer_id, kind="note", limit=4),
        "own": lambda: knowledge.own(customer_id, 4),
    }
    if customer.segment:
        branches["segment"] = lambda: knowledge.segment(customer.segment)
    if question:
        branches["question"] = lambda: knowledge.search(
            clip_bytes(question, _MAX_QUERY), customer_id, kind=None, limit=5
        )
    parts = first | await _parallel(branches, ended)
    return _assemble(customer, question, language, parts)


def _query(customer: Customer, question: str | None = None) -> str:
    """What to look for when nothing, or not only a question, is asked: name, industry, tags."""
    words = [question or "", customer.name, customer.industry or "", *customer.tags]
    return clip_bytes(" ".join(word for word in words if word), _MAX_QUERY)


def _assemble(
    customer: Customer, question: str | None, language: Language | None, parts: Mapping[str, _Part]
) -> Gathered:
    degraded = [f"{name}: {part.problem.code}" for name, part in parts.items() if part.problem is not None]
    found = [part.value for part in parts.values() if isinstance(part.value, Found)]
    waiting = max((answer.waiting for answer in found), default=0)
    if waiting:
        degraded.append(f"documents: {waiting} stored but not yet indexed")
    if any(answer.bounded for answer in found):
        degraded.append("documents: the search reached its work bound, better passages may exist")
    passages = _chosen(parts, customer.id)
    past: list[PastAnswer] = _value(parts, "history") or []
    own = [passage.language for passage in passages if passage.customer_id == customer.id]
    spoken = language or guess_language(question, customer, own)
    segment: Segment | None = _value(parts, "segment")
    sources, notes = _sources(customer, segment, passages, past, spoken)
    return Gathered(
        customer=customer,
        language=spoken,
        segment=segment,
        past=[answer.request for answer in past],
        sources=sources,
        notes=notes,
        degraded=degraded,
        complete=all(part.problem is None for part in parts.values()),
    )


def _value(parts: Mapping[str, _Part], name: str) -> Any:
    part = parts.get(name)
    return part.value if part is not None else None


def _chosen(parts: Mapping[str, _Part], customer_id: str) -> list[Passage]:
    """The passages in order of use: those of the question, the notes, the rest, own ones not found; none twice."""
    ordered: list[Passage] = []
    for name in ("question", "notes", "documents"):
        found: Found | None = _value(parts, name)
        if found is not None:
            ordered.extend(found.passages)
    chosen: dict[tuple[str, int], Passage] = {}
    for passage in ordered:
        if passage.customer_id in (None, customer_id):
            chosen.setdefault((passage.document_id, passage.chunk), passage)
    documents = {passage.document_id for passage in ordered}
    for passage in _value(parts, "own") or []:
        if passage.document_id not in documents:
            chosen[passage.document_id, passage.chunk] = passage
    return list(chosen.values())[:MAX_PASSAGES]


def _sources(
    customer: Customer,
    segment: Segment | None,
    passages: list[Passage],
    past: list[PastAnswer],
    language: Language,
) -> tuple[list[Source], frozenset[str]]:
    """Numbered sources, cleaned and bounded; and which of them are notes."""
    drafts: list[dict[str, Any]] = [
        {
            "kind": "record",
            "ref": customer.id,
            "title": say("record.title", language),
            "text": record_text(customer, language),
        }
    ]
    if segment is not None:
        title, text = say("segment.title", language), segment_text(segment, language)
        drafts.append({"kind": "segment", "ref": segment.name, "title": title, "text": text})
    notes = set()
    for passage in passages:
        if passage.kind == "note":
            notes.add(f"S{len(drafts) + 1}")
        drafts.append(
            {
                "kind": "document",
                "ref": passage.document_id,
                "title": passage.title,
                "text": passage.text,
                "url": passage.url,
                "language": passage.language,
                "chunk": passage.chunk,
                "score": passage.score,
            }
        )
    for answer in [answer for answer in past if answer.answer][:MAX_PAST_ANSWERS]:
        drafts.append(
            {
                "kind": "history",
                "ref": answer.request.id,
                "title": answer.request.question or answer.request.kind,
                "text": answer.answer,
            }
        )
    sources = []
    for number, draft in enumerate(drafts, start=1):
        cleaned = {
            "title": one_line(draft["title"], 300),
            "text": clean(draft["text"], MAX_PASSAGE),
            "url": one_line(draft["url"], 500) if draft.get("url") else None,
        }
        sources.append(Source(id=f"S{number}", **{**draft, **cleaned}))
    return sources, frozenset(notes)
