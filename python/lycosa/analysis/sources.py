"""Sources of a report: numbered, cleaned, bounded, chosen within the budget of the prompt."""

from collections.abc import Sequence
from typing import Any, Final

from lycosa.analysis.extractive import record_text, segment_text
from lycosa.analysis.knowledge import WEB, Customer, Passage, PastAnswer, Segment
from lycosa.analysis.passages import MAX_PASSAGE, Chosen, choose, tokens_of
from lycosa.analysis.report import Language, Mode, Source
from lycosa.analysis.texts import clean, one_line
from lycosa.analysis.wording import say

__all__ = ["HISTORY", "history_passages", "make_sources"]

HISTORY: Final = "history"
MAX_PAST_ANSWERS: Final = 3
# Passages of a report; about 1,000 characters each.
_MOST_PASSAGES: Final[dict[Mode, int]] = {"quick": 10, "standard": 14, "deep": 24}


def history_passages(past: Sequence[PastAnswer]) -> list[Passage]:
    """The past answers that brought knowledge from elsewhere, as passages."""
    return [
        Passage(
            answer.request.id,
            1,
            answer.request.question or answer.request.kind,
            answer.answer,
            HISTORY,
            is_past=True,
        )
        for answer in past
        if answer.answer
    ][:MAX_PAST_ANSWERS]


def make_sources(
    customer: Customer,
    segment: Segment | None,
    candidates: Sequence[Passage],
    language: Language,
    mode: Mode,
    budget: int,
) -> tuple[list[Source], frozenset[str], Chosen]:
    """The sources, which of them are notes, and what was left out. Record and segment always stand among them; the
    candidates, best first, fill the rest of the budget (tokens).
    """
    fixed: list[dict[str, Any]] = [
        {
            "kind": "record",
            "ref": customer.id,
            "title": say("record.title", language),
            "text": record_text(customer, language),
        }
    ]
    if segment is not None:
        title, text = say("segment.title", language), segment_text(segment, language)
        fixed.append({"kind": "segment", "ref": segment.name, "title": title, "text": text})
    taken = sum(tokens_of(draft["text"]) for draft in fixed)
    chosen = choose(candidates, most=_MOST_PASSAGES[mode], budget=budget, taken=taken)
    drafts = [*fixed, *(_draft(passage) for passage in chosen.passages)]
    notes = frozenset(
        f"S{number}"
        for number, passage in enumerate(chosen.passages, start=len(fixed) + 1)
        if passage.kind == "note"
    )
    return [_source(number, draft) for number, draft in enumerate(drafts, start=1)], notes, chosen


def _draft(passage: Passage) -> dict[str, Any]:
    if passage.is_past:
        return {"kind": HISTORY, "ref": passage.document_id, "title": passage.title, "text": passage.text}
    is_live = passage.is_live and passage.kind == WEB
    return {
        "kind": WEB if is_live else "document",
        "ref": passage.document_id,
        "title": passage.title,
        "text": passage.text,
        "url": passage.url,
        "language": passage.language,
        "chunk": None if is_live else passage.chunk,
        "score": passage.score,
    }


def _source(number: int, draft: dict[str, Any]) -> Source:
    cleaned = {
        "title": one_line(draft["title"], 300),
        "text": clean(draft["text"], MAX_PASSAGE),
        "url": one_line(draft["url"], 2_048) if draft.get("url") else None,
    }
    return Source(id=f"S{number}", **{**draft, **cleaned})
