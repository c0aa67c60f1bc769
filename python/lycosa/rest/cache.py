"""/v1/cache: how the cache is used, and what shall be forgotten."""

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from lycosa.rest.answers import Asking, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.schemas.cache import CacheOut, InvalidatedOut
from lycosa.schemas.shape import Asked

router = APIRouter(prefix="/v1/cache", tags=["cache"], route_class=JsonRoute)


class Invalidation(Asked):
    """What shall be forgotten: exactly one of `tag` and `prefix`."""

    tag: str | None = Field(None, min_length=1, description="All entries of a tag.", examples=["analysis"])
    prefix: str | None = Field(None, min_length=1, description="All whose key begins with it.")
    limit: int = Field(
        10_000, ge=1, le=100_000, description="How many at the most; ask again while `more` is true."
    )


@router.get("", response_model=CacheOut, responses=responses(422, 503))
@needs("read")
async def cache_figures(asking: Asking, services: With) -> Response:
    """Entries, bytes, budget and the counts of the tenant."""
    return answer(CacheOut, CacheOut.of(await services.cache.figures(asking)))


@router.post("/invalidate", response_model=InvalidatedOut, responses=responses(413, 415, 422, 503))
@needs("admin")
async def invalidate_cache(wanted: Invalidation, asking: Asking, services: With) -> Response:
    """Forget entries by tag or by the beginning of their keys. May be repeated."""
    gone = await services.cache.invalidate(asking, tag=wanted.tag, prefix=wanted.prefix, at_most=wanted.limit)
    return answer(InvalidatedOut, gone)
