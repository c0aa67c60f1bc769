"""What the web is asked about a customer: made from the record and the question, and from nothing else."""

from typing import Final

from lycosa.analysis.knowledge import Customer
from lycosa.analysis.report import Language, Mode
from lycosa.analysis.texts import content_words, one_line
from lycosa.analysis.wording import say

__all__ = ["web_queries"]

# Characters that every provider takes.
_MAX_QUERY: Final = 380
_DEEP: Final = ("web.news", "web.risks", "web.plans")


def web_queries(customer: Customer, question: str | None, language: Language, mode: Mode) -> list[str]:
    """The queries of one analysis: none (quick), one (standard), or besides it news, risks and plans (deep).

    Only the name, the industry and the country of the record leave the house, never figures, addresses or notes.
    """
    if mode == "quick":
        return []
    about = " ".join(part for part in (customer.industry, customer.country) if part)
    values = {"name": customer.name, "about": about}
    if question:
        # As in the key of an analysis, the closing mark makes no other question.
        question = question.rstrip(" ?!.")
        named = content_words(customer.name) <= content_words(question)
        asked = question if named else f"{customer.name}: {question}"
    else:
        asked = say("web.news", language, **values)
    wanted = [asked, *(say(phrase, language, **values) for phrase in _DEEP if mode == "deep")]
    return list(dict.fromkeys(one_line(query, _MAX_QUERY) for query in wanted))
