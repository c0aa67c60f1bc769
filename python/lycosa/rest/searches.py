"""/v1/search: knowledge from outside, bought once."""

from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from lycosa.providers.findings import SearchOptions
from lycosa.rest.analyses import CLIENT_GONE
from lycosa.rest.answers import Asking, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.rest.streaming import Gone, unless_gone
from lycosa.schemas.searches import FoundOut
from lycosa.schemas.shape import Asked

router = APIRouter(prefix="/v1", tags=["search"], route_class=JsonRoute)


class SearchAsked(Asked):
    """What to search for. Equal questions with equal options are bought once, whoever asks them."""

    question: str = Field(min_length=1, max_length=4096, examples=["What does Acme Corp sell?"])
    options: SearchOptions = Field(
        default_factory=SearchOptions, description="Other options, another question."
    )
    answer: bool = Field(
        False, description="Ask those first who write an answer; they are dearer and slower."
    )
    max_age: float | None = Field(
        None, ge=0, le=31_536_000, description="Seconds; an older answer only when nobody can be asked."
    )
    timeout: float | None = Field(
        None, gt=0, le=590, description="Seconds; LYCOSA_SEARCH_TIMEOUT when absent."
    )
    customer_id: str | None = Field(
        None, min_length=1, max_length=128, description="Whom what is found is kept with.", examples=["S-001"]
    )


@router.post(
    "/search",
    response_model=FoundOut,
    responses=responses(409, 413, 415, 422, 429, 503, 504),
)
@needs("spend")
async def search(
    asked: SearchAsked,
    request: Request,
    asking: Asking,
    services: With,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=128, description="Of the row in the history."),
    ] = None,
) -> Response:
    """Answer from the cache, or by the first provider that can be had.

    Callers who ask the same at once share one call. An old answer is served at once and renewed behind it. 429 says
    that every provider is spent or told us to wait, 503 that none can be reached; `details.providers` says why each,
    `Retry-After` when to come back. Whoever hangs up stops the call.
    """
    await services.prepare()
    searching = services.lookups.search(
        asking,
        asked.question,
        asked.options,
        max_age=asked.max_age,
        deadline=asked.timeout,
        request_id=idempotency_key,
        customer_id=asked.customer_id,
        agents=asked.answer,
    )
    try:
        return answer(FoundOut, FoundOut.of(await unless_gone(request, searching)))
    except Gone:
        return Response(status_code=CLIENT_GONE)
