"""Which passages a report rests on: the best first, none twice, within a budget of tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from lycosa.analysis.knowledge import Passage
from lycosa.analysis.texts import clean, words

__all__ = ["Chosen", "choose", "in_turns", "normal_url", "tokens_of"]

# Characters of one passage.
MAX_PASSAGE: Final = 2_000
# What the lines around a source take.
_FRAME_TOKENS: Final = 24
# A passage is cut to what is left of the budget, but not to less.
_LEAST_TOKENS: Final = 60
# Words in a row that are compared, and the part of them that makes a text a repeat.
_SHINGLE: Final = 4
_SAME: Final = 0.8
_TRACKING: Final = ("utm_", "gclid", "fbclid", "yclid", "mc_cid", "mc_eid")


@dataclass(slots=True)
class Chosen:
    """The passages in their order, and what was left out."""

    passages: list[Passage] = field(default_factory=list)
    repeats: int = 0
    beyond_budget: int = 0
    tokens: int = 0


def tokens_of(text: str) -> int:
    """About how many tokens a text is: one for four bytes, so that a Cyrillic letter counts as half a token."""
    return len(text.encode()) // 4 + 1


def normal_url(url: str) -> str:
    """An address without what does not change the page: scheme, www, case of the host, fragment, tracking, order."""
    try:
        parts = urlsplit(url.strip())
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:
        return url.strip()
    query = sorted(
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not name.lower().startswith(_TRACKING)
    )
    host = (parts.hostname or "").removeprefix("www.")
    return f"{host}{port}{parts.path.rstrip('/')}{'?' if query else ''}{urlencode(query)}"


def in_turns(groups: Iterable[Sequence[Passage]]) -> list[Passage]:
    """The first of every group, then the second of every one: each group's best comes before any one's rest."""
    return [passage for row in zip_longest(*groups) for passage in row if passage is not None]


def choose(candidates: Iterable[Passage], *, most: int, budget: int, taken: int = 0) -> Chosen:
    """At most `most` of the candidates, which stand best first, within `budget` tokens of which `taken` are spent.

    Left out are the same passage, another text from the same address, and a text whose word sequences already stand
    in an earlier one. The last passage is cut to what is left of the budget.
    """
    chosen = Chosen(tokens=taken)
    places: set[tuple[str, int]] = set()
    pages: dict[str, str] = {}
    seen: list[frozenset[tuple[str, ...]]] = []
    for candidate in candidates:
        passage = replace(candidate, text=clean(candidate.text, MAX_PASSAGE))
        place = (passage.document_id, passage.chunk)
        page = normal_url(passage.url) if passage.url else f"document {passage.document_id}"
        known = pages.setdefault(page, passage.document_id) == passage.document_id
        told = _shingles(passage.text)
        if place in places:
            continue
        places.add(place)
        if not passage.text or not known or _is_repeat(told, seen):
            chosen.repeats += 1
            continue
        fitting = _fitting(passage, budget - chosen.tokens)
        if fitting is None or len(chosen.passages) == most:
            chosen.beyond_budget += 1
            continue
        chosen.passages.append(fitting)
        chosen.tokens += tokens_of(fitting.text) + _FRAME_TOKENS
        seen.append(told)
    return chosen


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    found = words(text)
    if len(found) <= _SHINGLE:
        return frozenset([tuple(found)])
    return frozenset(tuple(found[at : at + _SHINGLE]) for at in range(len(found) - _SHINGLE + 1))


def _is_repeat(told: frozenset[tuple[str, ...]], seen: Iterable[frozenset[tuple[str, ...]]]) -> bool:
    """Whether an earlier text holds most of it. A longer version of an earlier text is no repeat: it says more."""
    return any(len(told & earlier) >= _SAME * len(told) for earlier in seen)


def _fitting(passage: Passage, left: int) -> Passage | None:
    """The passage as far as it fits, None when too little of it would."""
    tokens = tokens_of(passage.text) + _FRAME_TOKENS
    if tokens <= left:
        return passage
    room = left - _FRAME_TOKENS
    if room < _LEAST_TOKENS:
        return None
    # In proportion: bytes and characters differ between scripts.
    return replace(passage, text=clean(passage.text, len(passage.text) * room // (tokens - _FRAME_TOKENS)))
