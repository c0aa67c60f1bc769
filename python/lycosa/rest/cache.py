"""/v1/cache: how the cache is used, and what shall be forgotten."""

from typing import Self

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from lycosa.rest.answers import Asking, With, answer
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.rest.schemas import Answer, Asked
from lycosa.services.cache import CacheFigures, hit_rate

router = APIRouter(prefix="/v1/cache", tags=["cache"], route_class=JsonRoute)


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


class Invalidation(Asked):
    """What shall be forgotten: exactly one of `tag` and `prefix`."""

    tag: str | None = Field(None, min_length=1, description="All entries of a tag.", examples=["analysis"])
    prefix: str | None = Field(None, min_length=1, description="All whose key begins with it.")
    limit: int = Field(
        10_000, ge=1, le=100_000, description="How many at the most; ask again while `more` is true."
    )


class InvalidatedOut(Answer):
    """What is gone, and whether there may be more."""

    deleted: int = Field(examples=[20])
    more: bool


@router.get("", response_model=CacheOut, responses=responses(422, 503))
async def cache_figures(asking: Asking, services: With) -> Response:
    """Entries, bytes, budget and the counts of the tenant."""
    return answer(CacheOut, CacheOut.of(await services.cache.figures(asking)))


@router.post("/invalidate", response_model=InvalidatedOut, responses=responses(413, 415, 422, 503))
async def invalidate_cache(wanted: Invalidation, asking: Asking, services: With) -> Response:
    """Forget entries by tag or by the beginning of their keys. May be repeated."""
    gone = await services.cache.invalidate(asking, tag=wanted.tag, prefix=wanted.prefix, at_most=wanted.limit)
    return answer(InvalidatedOut, gone)
