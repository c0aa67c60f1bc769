"""Risks, opportunities and open questions that need no model: rules over record, figures and texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lycosa.analysis.knowledge import Customer, Segment
from lycosa.analysis.report import Finding, Language, Source
from lycosa.analysis.texts import content_words, sentences
from lycosa.analysis.wording import (
    ABSENT,
    GRAVE,
    NEGATION,
    OPPORTUNITY,
    OPPORTUNITY_LABEL,
    RISK,
    RISK_LABEL,
    money,
    say,
)

__all__ = ["Findings", "apply_rules"]

MAX_FINDINGS = 5
_FIELDS = ("email", "country", "industry", "segment", "since")


@dataclass(frozen=True, slots=True)
class Findings:
    """What the rules found."""

    risks: list[Finding]
    opportunities: list[Finding]
    open_questions: list[Finding]


def _tells(sentence: str, words: re.Pattern[str]) -> bool:
    """Whether the sentence holds one of the words and does not deny it right there."""
    return any(
        not NEGATION.search(sentence[: match.start()]) and not ABSENT.search(sentence[match.end() :])
        for match in words.finditer(sentence)
    )


def _by_texts(sources: Sequence[Source], notes: frozenset[str]) -> tuple[list[Finding], list[Finding]]:
    """Risks and opportunities told in the texts, those that call themselves so first; a sentence is never both."""
    risks: list[tuple[bool, Finding]] = []
    chances: list[tuple[bool, Finding]] = []
    for source in sources:
        if source.kind not in ("document", "web"):
            continue
        note = source.id in notes
        for sentence in sentences(source.text):
            if sentence.endswith("?"):
                continue
            finding = Finding(statement=sentence, source=source.id, quote=sentence)
            if note and OPPORTUNITY_LABEL.match(sentence):
                chances.append((False, finding))
            elif note and RISK_LABEL.match(sentence):
                risks.append((False, finding))
            elif _tells(sentence, RISK if note else GRAVE):
                risks.append((True, finding))
            elif note and _tells(sentence, OPPORTUNITY):
                chances.append((True, finding))
    risks.sort(key=lambda item: item[0])
    chances.sort(key=lambda item: item[0])
    return [finding for _, finding in risks], [finding for _, finding in chances]


def _by_figures(
    customer: Customer, segment: Segment | None, source: Source | None, language: Language
) -> tuple[list[Finding], list[Finding]]:
    """Risks and opportunities of the customer's figures beside the segment's mean."""
    risks: list[Finding] = []
    chances: list[Finding] = []
    if segment is None or source is None or segment.customers < 2:
        return risks, chances
    if customer.orders < segment.mean_orders / 2:
        text = say("risk.orders", language, orders=customer.orders, mean=f"{segment.mean_orders:.1f}")
        risks.append(Finding(statement=text, source=source.id, quote=source.text))
    bought, mean = customer.revenue_cents, segment.mean_revenue_cents
    phrase = "opportunity.below" if bought < mean else "opportunity.above" if bought > 1.5 * mean else None
    if phrase is not None:
        text = say(phrase, language, revenue=money(bought, language), mean=money(mean, language))
        chances.append(Finding(statement=text, source=source.id, quote=source.text))
    return risks, chances


def _open_questions(
    customer: Customer,
    sources: Sequence[Source],
    notes: frozenset[str],
    question: str | None,
    language: Language,
) -> list[Finding]:
    record = next(source for source in sources if source.kind == "record")
    found = []
    texts = [source for source in sources if source.kind in ("document", "history", "web")]
    if question:
        asked = content_words(question) - content_words(customer.name)
        if asked and not any(asked & content_words(source.text) for source in texts):
            found.append(Finding(statement=say("question.unanswered", language, question=question)))
    for source in texts:
        if source.id in notes:
            found.extend(
                Finding(statement=sentence, source=source.id, quote=sentence)
                for sentence in sentences(source.text)
                if sentence.endswith("?")
            )
    if not texts:
        found.append(Finding(statement=say("question.texts", language)))
    elif not notes:
        found.append(Finding(statement=say("question.notes", language)))
    missing = [say(f"field.{name}", language) for name in _FIELDS if not getattr(customer, name)]
    if missing:
        text = say("question.missing", language, field=", ".join(missing))
        found.append(Finding(statement=text, source=record.id))
    return found


def apply_rules(
    customer: Customer,
    segment: Segment | None,
    sources: Sequence[Source],
    notes: frozenset[str],
    question: str | None,
    language: Language,
) -> Findings:
    """All rules. `notes` are the ids of sources that are notes on the relation; sources hold exactly one record."""
    figures = next((source for source in sources if source.kind == "segment"), None)
    risks, chances = _by_figures(customer, segment, figures, language)
    told_risks, told_chances = _by_texts(sources, notes)
    risks, chances = told_risks + risks, told_chances + chances
    questions = _open_questions(customer, sources, notes, question, language)
    return Findings(risks[:MAX_FINDINGS], chances[:MAX_FINDINGS], questions[:MAX_FINDINGS])
