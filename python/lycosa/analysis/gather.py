"""Gathering what is known: record and history at once, then figures, texts and the web at once."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lycosa.analysis.knowledge import (
    WEB,
    Customer,
    Found,
    Knowledge,
    Passage,
    PastAnswer,
    Segment,
    WebFound,
    guess_language,
)
from lycosa.analysis.parts import Part, Read, parallel, together
from lycosa.analysis.passages import Chosen, in_turns
from lycosa.analysis.queries import web_queries
from lycosa.analysis.report import Language, Mode, PastRequest, Source, StepEvent
from lycosa.analysis.sources import history_passages, make_sources
from lycosa.analysis.texts import clip_bytes, one_line
from lycosa.errors import LycosaError

__all__ = ["Asked", "Gathered", "Standing", "gather", "look"]

# Results of one search of the web.
_WEB_RESULTS = 5
# Bytes of a query the store accepts.
_MAX_QUERY = 1_000

Emit = Callable[[StepEvent], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted: about whom, in which depth, within how many tokens of sources."""

    request_id: str
    customer_id: str
    question: str | None
    language: Language | None
    mode: Mode
    budget: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The record, the history, and a witness: equal witnesses mean that record, texts and history are the same. None
    when that cannot be told.
    """

    customer: Customer
    past: list[PastAnswer]
    parts: Mapping[str, Part]
    witness: str | None
    # What the note said: None also where it could not be read.
    note: Any = None


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
    # Whether every part of the store could be read.
    complete: bool = True
    web_cost_microusd: int = 0


def _told(name: str, part: Part) -> str:
    """What a step found, in a few words."""
    if part.problem is not None:
        return f"failed: {_reason(name, part.problem)}"
    value = part.value
    if isinstance(value, Customer):
        return f"{one_line(value.name, 100)}, version {value.version}"
    if isinstance(value, Segment):
        return f"{one_line(value.name, 100)}: {value.customers} customers"
    if isinstance(value, Found):
        waiting = f", {value.waiting} documents not yet indexed" if value.waiting else ""
        return f"{len(value.passages)} passages{', search bounded' if value.bounded else ''}{waiting}"
    if isinstance(value, WebFound):
        return f"{len(value.passages)} results, {value.outcome} by {value.provider or 'nobody'}"
    if isinstance(value, list):
        return f"{len(value)} {'requests' if name == 'history' else 'documents'}"
    return "none"


def _reason(name: str, problem: LycosaError) -> str:
    """What kept a part away, in a few words; of the web also who was asked."""
    return f"{problem.code}, {one_line(problem.message, 200)}" if name.startswith(WEB) else problem.code


async def look(
    knowledge: Knowledge, asked: Asked, note: Read | None = None, *, started: float, emit: Emit
) -> Standing:
    """Whom it is about, and how the store stands: what is read first and always, and with it a `note` if one is wanted.

    `started` is the moment of the request (perf_counter); `emit` hears of every step as it ends. Raises what the
    record raises (NotFound, Unavailable), before any step is told.
    """
    held: list[tuple[str, Part, float]] = []
    branches: dict[str, Read] = {
        "customer": lambda: knowledge.customer(asked.customer_id),
        "history": lambda: knowledge.history(asked.customer_id),
        "revision": knowledge.revision,
    }
    if note is not None:
        branches["note"] = note
    parts = await together(branches, lambda name, part: held.append((name, part, time.perf_counter())))
    record, revision, noted = parts["customer"], parts.pop("revision"), parts.pop("note", Part())
    if record.problem is not None:
        # Nothing was emitted yet: the caller can still answer with the error alone.
        raise record.problem
    for name, part, at in held:
        if name in parts:
            emit(_step(name, _told(name, part), started, at))
    customer: Customer = record.value
    past: list[PastAnswer] = _value(parts, "history") or []
    told = [answer.request.id for answer in past if answer.answer]
    # A store that could not be read stands for nothing.
    known = revision.value is not None and all(part.problem is None for part in parts.values())
    witness = f"{customer.version} {revision.value} {' '.join(told)}" if known else None
    return Standing(customer, past, parts, witness, noted.value)


async def gather(
    knowledge: Knowledge, asked: Asked, standing: Standing, *, started: float, emit: Emit
) -> Gathered:
    """Everything known about the customer, as sources in the report's language. `started` and `emit` as in `look`.

    Raises nothing of the store's: a part that fails is missing and named in `degraded`.
    """

    def ended(name: str, part: Part) -> None:
        emit(_step(name, _told(name, part), started))

    customer = standing.customer
    branches = _stored(knowledge, customer, asked)
    if asked.mode != "quick" and not knowledge.searches_web:
        emit(_step(WEB, "not asked: no provider is configured", started))
    else:
        branches |= _web(knowledge, customer, asked)
    gathered, chosen = _assemble(asked, standing, await parallel(branches, ended))
    left_out = f"{chosen.repeats} repeats and {chosen.beyond_budget} beyond the budget left out"
    emit(_step("sources", f"{len(gathered.sources)}, about {chosen.tokens} tokens; {left_out}", started))
    return gathered


def _step(name: str, detail: str, started: float, at: float | None = None) -> StepEvent:
    elapsed = ((at or time.perf_counter()) - started) * 1000
    return StepEvent(name=name, detail=detail, elapsed_ms=round(elapsed, 2))


def _stored(knowledge: Knowledge, customer: Customer, asked: Asked) -> dict[str, Read]:
    """What is read from the store."""
    question, about = asked.question, _query(customer)
    branches: dict[str, Read] = {
        "documents": lambda: knowledge.search(about, customer.id, kind=None, limit=8),
        "notes": lambda: knowledge.search(_query(customer, question), customer.id, kind="note", limit=4),
        "kept": lambda: knowledge.search(
            _query(customer, question), customer.id, kind=WEB, limit=_WEB_RESULTS
        ),
        "own": lambda: knowledge.own(customer.id, 4),
    }
    if customer.segment:
        branches["segment"] = lambda: knowledge.segment(customer.segment)
    if question:
        clipped = clip_bytes(question, _MAX_QUERY)
        branches["question"] = lambda: knowledge.search(clipped, customer.id, kind=None, limit=5)
    return branches


def _web(knowledge: Knowledge, customer: Customer, asked: Asked) -> dict[str, Read]:
    """What the web is asked, each question under a name of its own."""
    language = asked.language or guess_language(asked.question, customer, [])
    queries = web_queries(customer, asked.question, language, asked.mode)

    # With a random end: asked again under the same id, after a crash, these are other searches.
    prefix = f"{clip_bytes(asked.request_id, 100)}:web-{secrets.token_hex(4)}"

    def ask(number: int, query: str) -> Read:
        return lambda: knowledge.web(
            query,
            request_id=f"{prefix}-{number}",
            limit=_WEB_RESULTS,
            deep=asked.mode == "deep",
            agents=asked.mode == "deep" and number == 1,
        )

    return {
        WEB if number == 1 else f"{WEB}-{number}": ask(number, query)
        for number, query in enumerate(queries, start=1)
    }


def _query(customer: Customer, question: str | None = None) -> str:
    """What to look for when nothing, or not only a question, is asked: name, industry, tags."""
    words = [question or "", customer.name, customer.industry or "", *customer.tags]
    return clip_bytes(" ".join(word for word in words if word), _MAX_QUERY)


def _assemble(asked: Asked, standing: Standing, more: Mapping[str, Part]) -> tuple[Gathered, Chosen]:
    customer, past, parts = standing.customer, standing.past, {**standing.parts, **more}
    candidates = _candidates(parts, customer.id, past)
    own = [passage.language for passage in candidates if passage.customer_id == customer.id]
    language = asked.language or guess_language(asked.question, customer, own)
    segment: Segment | None = _value(parts, "segment")
    sources, notes, chosen = make_sources(customer, segment, candidates, language, asked.mode, asked.budget)
    gathered = Gathered(
        customer=customer,
        language=language,
        segment=segment,
        past=[answer.request for answer in past],
        sources=sources,
        notes=notes,
        degraded=_degraded(parts),
        # The key names the sources that there are: one that was written without the web is no answer with it.
        complete=all(part.problem is None for name, part in parts.items() if not name.startswith(WEB)),
        web_cost_microusd=sum(found.cost_microusd for found in _web_found(parts)),
    )
    return gathered, chosen


def _degraded(parts: Mapping[str, Part]) -> list[str]:
    degraded = [
        f"{name}: {_reason(name, part.problem)}" for name, part in parts.items() if part.problem is not None
    ]
    found = [part.value for part in parts.values() if isinstance(part.value, Found)]
    waiting = max((answer.waiting for answer in found), default=0)
    if waiting:
        degraded.append(f"documents: {waiting} stored but not yet indexed")
    if any(answer.bounded for answer in found):
        degraded.append("documents: the search reached its work bound, better passages may exist")
    degraded.extend(f"{WEB}: {reason}" for answer in _web_found(parts) for reason in answer.degraded)
    return list(dict.fromkeys(degraded))


def _value(parts: Mapping[str, Part], name: str) -> Any:
    part = parts.get(name)
    return part.value if part is not None else None


def _web_found(parts: Mapping[str, Part]) -> list[WebFound]:
    return [part.value for part in parts.values() if isinstance(part.value, WebFound)]


def _candidates(parts: Mapping[str, Part], customer_id: str, past: list[PastAnswer]) -> list[Passage]:
    """The passages best first: those of the question, notes, the web and the rest in turns, then own ones that search
    did not find, then past answers. What searches of the web left in the store counts where the web says nothing now:
    else every search would change the sources of all others.
    """
    groups: list[list[Passage]] = []
    for name in ("question", "notes", "documents"):
        found: Found | None = _value(parts, name)
        passages = found.passages if found is not None else ()
        groups.append([passage for passage in passages if passage.customer_id in (None, customer_id)])
    live = in_turns([found.passages for found in _web_found(parts)])
    kept: Found | None = _value(parts, "kept")
    if not live and kept is not None:
        live = [passage for passage in kept.passages if passage.customer_id in (None, customer_id)]
    groups.insert(2, live)
    documents = {passage.document_id for group in groups for passage in group}
    own = [passage for passage in _value(parts, "own") or [] if passage.document_id not in documents]
    return [*in_turns(groups), *own, *history_passages(past)]
