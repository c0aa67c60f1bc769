"""Ranking texts by the words of a query: BM25 over the store's own Russian and English stems."""

import math
from collections.abc import Sequence
from typing import Final

from lycosa.procedures import DocumentMatch

__all__ = ["scores"]

# As in the store's own search of documents.
_K1: Final = 1.2
_B: Final = 0.75


def scores(matches: Sequence[DocumentMatch]) -> list[float]:
    """A score for each text; 0 where no word of the query is."""
    if not matches:
        return []
    terms = len(matches[0].counts)
    mean = sum(match.words for match in matches) / len(matches) or 1.0
    weights = [
        _weight(len(matches), sum(match.counts[term] > 0 for match in matches)) for term in range(terms)
    ]
    return [
        sum(
            weight * count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * match.words / mean))
            for weight, count in zip(weights, match.counts, strict=True)
            if count
        )
        for match in matches
    ]


def _weight(texts: int, holding: int) -> float:
    return math.log(1 + (texts - holding + 0.5) / (holding + 0.5))
