"""The writer that needs no model: the best-ranked sentences, each quoted exactly as it stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lycosa.analysis.knowledge import Customer, Segment
from lycosa.analysis.report import Fact, Language, Source
from lycosa.analysis.texts import content_words, language_of, sentences
from lycosa.analysis.wording import money, say

__all__ = [
    "Ranked",
    "best_sentences",
    "extract_facts",
    "extractive_summary",
    "opening",
    "record_text",
    "segment_text",
]

MAX_FACTS = 6
MAX_PER_SOURCE = 2
# Characters of a sentence that can stand alone: shorter ones are headings, longer ones lists.
_MIN_SENTENCE, _MAX_SENTENCE = 36, 420
_SAME = 0.6


@dataclass(frozen=True, slots=True)
class Ranked:
    """A sentence of a source with its rank."""

    text: str
    source: Source
    score: float


def record_text(customer: Customer, language: Language) -> str:
    """The record as sentences that can be quoted, one a line."""
    lines = [say("record.name", language, name=customer.name)]
    if customer.segment:
        lines.append(say("record.segment", language, segment=customer.segment))
    if customer.country:
        lines.append(say("record.place", language, country=customer.country))
    if customer.industry:
        lines.append(say("record.industry", language, industry=customer.industry))
    lines.append(
        say(
            "record.sales",
            language,
            orders=customer.orders,
            revenue=money(customer.revenue_cents, language),
        )
    )
    if customer.since_date:
        lines.append(say("record.since", language, since=customer.since_date))
    if customer.tags:
        lines.append(say("record.tags", language, tags=", ".join(customer.tags)))
    lines.extend(f"{name}: {value}" for name, value in sorted(customer.profile.items()) if value != "")
    return "\n".join(lines)


def segment_text(segment: Segment, language: Language) -> str:
    """The figures of the segment as one sentence."""
    return say(
        "segment.text",
        language,
        segment=segment.name,
        customers=segment.customers,
        orders=f"{segment.mean_orders:.1f}",
        revenue=money(segment.mean_revenue_cents, language),
    )


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(min(len(one), len(other)), 1)


def best_sentences(
    sources: Iterable[Source],
    customer: Customer,
    question: str | None,
    language: Language,
    *,
    limit: int,
    only: Language | None = None,
) -> list[Ranked]:
    """The sentences that say most, best first, none twice, at most two of one source.

    Words of the question weigh most, then those of the name and industry, then the rank of the passage; the report's
    language is preferred, `only` leaves others out.
    """
    asked = content_words(question or "")
    about = content_words(" ".join([customer.name, customer.industry or "", *customer.tags]))
    ranked = []
    for order, source in enumerate(
        source for source in sources if source.kind in ("document", "history", "web")
    ):
        for place, text in enumerate(sentences(source.text)):
            if not _MIN_SENTENCE <= len(text) <= _MAX_SENTENCE or text.endswith("?"):
                continue
            spoken = language_of(text)
            if only is not None and spoken != only:
                continue
            found = content_words(text)
            score = 3.0 * len(found & asked) / max(len(asked), 1) + min(len(found & about), 3) * 0.3
            score += 0.6 / (1 + order) + 0.4 / (1 + place) + (1.2 if spoken == language else 0.0)
            ranked.append(Ranked(text, source, score))
    ranked.sort(key=lambda item: (-item.score, item.source.id, item.text))
    return _without_repeats(ranked, limit)


def _without_repeats(ranked: Sequence[Ranked], limit: int) -> list[Ranked]:
    kept: list[Ranked] = []
    seen: list[set[str]] = []
    for item in ranked:
        found = content_words(item.text)
        of_source = sum(1 for other in kept if other.source.id == item.source.id)
        if of_source >= MAX_PER_SOURCE or any(_overlap(found, other) > _SAME for other in seen):
            continue
        kept.append(item)
        seen.append(found)
        if len(kept) == limit:
            break
    return kept


def extract_facts(best: Sequence[Ranked], record: Source, language: Language) -> list[Fact]:
    """A fact for each sentence, and what the record says of sales; each is its own quote."""
    facts = [Fact(statement=item.text, quote=item.text, source=item.source.id) for item in best[:MAX_FACTS]]
    # The line of the record that `record.sales` wrote: the one that begins like it.
    beginning = say("record.sales", language, orders="", revenue="").split(":")[0]
    for line in record.text.splitlines():
        if line.startswith(beginning + ":"):
            facts.append(Fact(statement=line, quote=line, source=record.id))
    return facts


def opening(customer: Customer, language: Language) -> str:
    """One sentence: who the customer is to us, by the record."""
    text = say("summary.who", language, name=customer.name)
    if customer.segment:
        text += say("summary.where", language, segment=customer.segment)
    if customer.since_date:
        text += say("summary.since", language, since=customer.since_date)
    revenue = money(customer.revenue_cents, language)
    return text + say("summary.sales", language, orders=customer.orders, revenue=revenue)


def extractive_summary(customer: Customer, best: Sequence[Ranked], language: Language) -> str:
    """Who the customer is to us, then the best two sentences as they stand, with their sources."""
    text = opening(customer, language)
    if not best:
        return f"{text} {say('summary.nothing', language)}"
    quoted = " ".join(f"{item.text} [{item.source.id}]" for item in best[:2])
    return f"{text} {say('summary.texts', language)}{quoted}"
