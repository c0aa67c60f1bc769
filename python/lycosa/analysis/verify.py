"""A fact leaves only when its quoted passage stands in its source."""

import re
import unicodedata

from lycosa.analysis.report import Fact, Source

__all__ = ["is_quoted", "is_supported", "normalised"]

_QUOTES = str.maketrans(dict.fromkeys("«»“”„‟‘’‚‛`´″′", '"') | {"'": '"', "ё": "е"})
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"\d+(?:[.,  ]\d+)*")
# Shorter passages are found everywhere and prove nothing.
_MIN_QUOTE = 12


def normalised(text: str) -> str:
    """Case, white space, quote marks, dashes, ё and compatibility forms made equal."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_QUOTES).translate(_DASHES)
    return _SPACE.sub(" ", folded.replace("\u00ad", "")).strip()


def _stripped(quote: str) -> str:
    """Without the marks a writer puts around a quotation."""
    return normalised(quote).strip('" .…')


def is_quoted(quote: str, source: str) -> bool:
    """Whether the passage stands in the source, whole words, give or take what `normalised` makes equal."""
    needle, hay = _stripped(quote), normalised(source)
    if len(needle) < min(_MIN_QUOTE, len(hay)) or not needle:
        return False
    at = hay.find(needle)
    while at >= 0:
        end = at + len(needle)
        if not (at > 0 and hay[at - 1].isalnum()) and not (end < len(hay) and hay[end].isalnum()):
            return True
        at = hay.find(needle, at + 1)
    return False


def numbers(text: str) -> set[str]:
    """The numbers of a text, digits only."""
    return {re.sub(r"\D", "", match) for match in _NUMBER.findall(normalised(text))}


def is_supported(fact: Fact, sources: dict[str, Source]) -> bool:
    """Whether the fact's quote stands in the source it names, and every number it states stands in the quote."""
    source = sources.get(fact.source)
    return (
        source is not None
        and is_quoted(fact.quote, source.text)
        and numbers(fact.statement) <= numbers(fact.quote)
    )
