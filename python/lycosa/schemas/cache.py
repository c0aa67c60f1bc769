"""The cache's figures on the wire."""

from typing import Self

from pydantic import Field

from lycosa.schemas.shape import Answer
from lycosa.services.cache import CacheFigures, hit_rate


class CacheOut(Answer):
    """What the cache holds of this tenant, and what became of gets and entries since the store started."""

    entries: int = Field(description="Those that expired and are not swept yet included.", examples=[120])
    bytes: int = Field(description="What they weigh, their indexes included.", examples=[143_220])
    budget: int = Field(description="The tenant's share of the cache, in bytes.", examples=[33_554_432])
    hits: int = Field(examples=[4_100])
    stale_hits: int = Field(description="Answered within the stale period.", examples=[12])
    misses: int = Field(examples=[310])
    hit_rate: float | None = Field(description="Of all gets; null before the first.", examples=[0.93])
    expired: int = Field(examples=[77])
    evicted: int = Field(description="Let go to keep the budget.", examples=[0])
    invalidated: int = Field(examples=[20])

    @classmethod
    def of(cls, figures: CacheFigures) -> Self:
        """Of the store's record."""
        return cls(**figures._asdict(), hit_rate=hit_rate(figures))


class InvalidatedOut(Answer):
    """What is gone, and whether there may be more."""

    deleted: int = Field(examples=[20])
    more: bool
