"""What a writer gives: a draft whose every quote was checked."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from lycosa.analysis import prompts
from lycosa.analysis.calling import Spent, stream_answer
from lycosa.analysis.extractive import best_sentences, extract_facts, extractive_summary, opening
from lycosa.analysis.gather import Gathered
from lycosa.analysis.model import Writer
from lycosa.analysis.prose import Prose, SentenceGate, read_block
from lycosa.analysis.report import Fact, Finding, Source
from lycosa.analysis.texts import one_line
from lycosa.analysis.verify import is_quoted, is_supported

__all__ = ["Draft", "write_extractive", "write_offline", "write_with_model"]

_MAX_FACTS: Final = 12
_MAX_FINDINGS: Final = 5
_MAX_STATEMENT: Final = 600
# Characters of the offline model's prompt: it reads about 110 tokens a second on one thread.
_OFFLINE_PROMPT: Final = 1_100

Say = Callable[[str], None]


@dataclass(slots=True)
class Draft:
    """What a writer gives. Lists that are None were not asked of it."""

    summary: str
    facts: list[Fact]
    risks: list[Finding] | None = None
    opportunities: list[Finding] | None = None
    open_questions: list[Finding] | None = None
    dropped_facts: int = 0
    dropped_sentences: int = 0
    degraded: list[str] = field(default_factory=list)


def _in_words(text: str, say: Say) -> None:
    for number, word in enumerate(text.split(" ")):
        say(word if number == 0 else f" {word}")


def write_extractive(gathered: Gathered, question: str | None, say: Say) -> Draft:
    """A report without a model: the best sentences as they stand."""
    best = best_sentences(gathered.sources, gathered.customer, question, gathered.language, limit=6)
    summary = extractive_summary(gathered.customer, best, gathered.language)
    _in_words(summary, say)
    return Draft(summary, extract_facts(best, gathered.sources[0], gathered.language))


async def write_with_model(
    writer: Writer, gathered: Gathered, question: str | None, say: Say, spent: Spent
) -> Draft:
    """Prose as it comes, then the block of facts, every quote looked up. Raises what the model raises."""
    mark = prompts.new_mark()
    values = {
        "mark": mark,
        "language": prompts.language_name(gathered.language),
        "question": one_line(question, 4_096) if question else "none; give the overall picture",
        "sources": prompts.fenced(gathered.sources, mark),
    }
    prose = Prose()
    async with aclosing(stream_answer(writer, prompts.REPORT, values, spent)) as pieces:
        async for piece in pieces:
            shown = prose.feed(piece)
            if shown:
                say(shown)
    rest = prose.finish()
    if rest:
        say(rest)
    block = read_block(prose.block)
    sources = {source.id: source for source in gathered.sources}
    facts, false_facts = _facts(block.get("facts"), sources)
    risks, false_risks = _findings(block.get("risks"), sources)
    opportunities, false_opportunities = _findings(block.get("opportunities"), sources)
    questions, false_questions = _findings(block.get("open_questions"), sources)
    draft = Draft(
        prose.text,
        facts,
        risks,
        opportunities,
        questions,
        dropped_facts=false_facts + false_risks + false_opportunities + false_questions,
    )
    if not draft.summary or not draft.facts:
        _complete(draft, gathered, question, say)
    return draft


def _complete(draft: Draft, gathered: Gathered, question: str | None, say: Say) -> None:
    """What the model left out is extracted, and said so."""
    best = best_sentences(gathered.sources, gathered.customer, question, gathered.language, limit=6)
    if not draft.summary:
        draft.degraded.append("extractive summary: the model wrote no prose")
        draft.summary = extractive_summary(gathered.customer, best, gathered.language)
        _in_words(draft.summary, say)
    if not draft.facts:
        draft.degraded.append("extractive facts: the model gave none that could be verified")
        draft.facts = extract_facts(best, gathered.sources[0], gathered.language)


def _field(item: Any, name: str, limit: int) -> str:
    value = item.get(name) if isinstance(item, dict) else None
    return one_line(value, limit) if isinstance(value, str) else ""


def _items(value: Any, most: int) -> Sequence[Any]:
    return value[:most] if isinstance(value, list) else ()


def _facts(value: Any, sources: dict[str, Source]) -> tuple[list[Fact], int]:
    """The facts whose quotes were found, and how many were not."""
    kept = []
    items = _items(value, 2 * _MAX_FACTS)
    for item in items:
        quote = _field(item, "quote", _MAX_STATEMENT)
        fact = Fact(
            statement=_field(item, "statement", _MAX_STATEMENT) or quote,
            quote=quote,
            source=_field(item, "source", 10).strip("[]"),
        )
        if is_supported(fact, sources):
            kept.append(fact)
    return kept[:_MAX_FACTS], len(items) - len(kept)


def _findings(value: Any, sources: dict[str, Source]) -> tuple[list[Finding], int]:
    """Findings without a quote are the model's own conclusions; one with a false quote is left out."""
    kept: list[Finding] = []
    false = 0
    for item in _items(value, 2 * _MAX_FINDINGS):
        plain = isinstance(item, str)
        statement = one_line(item, _MAX_STATEMENT) if plain else _field(item, "statement", _MAX_STATEMENT)
        quote, source = _field(item, "quote", _MAX_STATEMENT), _field(item, "source", 10).strip("[]")
        known = sources.get(source)
        if not statement:
            continue
        if quote and (known is None or not is_quoted(quote, known.text)):
            false += 1
        else:
            kept.append(Finding(statement=statement, source=source if known else None, quote=quote or None))
    return kept[:_MAX_FINDINGS], false


async def write_offline(
    writer: Writer, gathered: Gathered, question: str | None, say: Say, spent: Spent
) -> Draft:
    """A summary of the best English sentences by the small model, sentence by sentence as each is borne out.

    Facts are the extractive ones. Without English texts, or in Russian, which the model does not speak, no model is
    asked. Raises what the model raises.
    """
    best = best_sentences(gathered.sources, gathered.customer, question, gathered.language, limit=6)
    facts = extract_facts(best, gathered.sources[0], gathered.language)
    english = best_sentences(gathered.sources, gathered.customer, question, "en", limit=3, only="en")
    reason = _unfit(gathered, bool(english))
    if reason is not None:
        draft = write_extractive(gathered, question, say)
        draft.degraded.append(reason)
        return draft
    first = opening(gathered.customer, gathered.language)
    given = [first]
    for item in english:
        if sum(map(len, given)) + len(item.text) <= _OFFLINE_PROMPT:
            given.append(item.text)
    _in_words(first, say)
    gate = SentenceGate(given)
    mark = prompts.new_mark()
    values = {
        "name": one_line(gathered.customer.name, 100),
        "sources": f"{mark}\n" + "\n".join(given[1:]) + f"\n{mark}",
    }
    async with aclosing(stream_answer(writer, prompts.SUMMARY, values, spent)) as pieces:
        async for piece in pieces:
            for sentence in gate.feed(piece):
                _in_words(f" {sentence}", say)
            if gate.is_done:
                break
    for sentence in gate.finish():
        _in_words(f" {sentence}", say)
    draft = Draft(" ".join([first, *gate.accepted]), facts, dropped_sentences=gate.dropped)
    if not gate.accepted:
        rest = "".join(f" {item.text} [{item.source.id}]" for item in english[:2])
        _in_words(rest, say)
        draft.summary += rest
        draft.degraded.append(
            "extractive summary: no sentence of the offline model was borne out by the sources"
        )
    return draft


def _unfit(gathered: Gathered, has_english: bool) -> str | None:
    """Why the offline model is not asked."""
    if gathered.language != "en":
        return "extractive: the offline model writes English only"
    if not has_english:
        return "extractive: there is no English text for the offline model to summarise"
    return None
