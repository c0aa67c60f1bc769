"""/v1/providers: who is asked outside, how they are, what is left."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, model_validator
from starlette.responses import Response

from lycosa.rest.answers import Asking, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.schemas.shape import Answer, Asked
from lycosa.services.provider_states import ProviderState

router = APIRouter(prefix="/v1/providers", tags=["search"], route_class=JsonRoute)

ProviderName = Annotated[str, Path(min_length=1, max_length=128, examples=["tavily", "tavily#2"])]


class ProvidersOut(Answer):
    """Every provider in the order in which they are asked."""

    rows: list[ProviderState]


class ProviderChange(Asked):
    """What shall be otherwise; what is absent stays."""

    enabled: bool | None = Field(
        None, description="On forgets what blocked it and closes its breaker; off asks it no more."
    )
    place: int | None = Field(None, ge=1, le=100, description="Among the others, before those without one.")

    @model_validator(mode="after")
    def _something(self) -> "ProviderChange":
        if self.enabled is None and self.place is None:
            raise ValueError("give enabled or place")
        return self


@router.get("", response_model=ProvidersOut, responses=responses(422, 503))
@needs("read")
async def list_providers(asking: Asking, services: With) -> Response:
    """State, breaker, quotas, last error and what was spent this month, of every provider and key."""
    await services.prepare()
    return answer(ProvidersOut, {"rows": await services.providers.find(asking)})


@router.put("/{name}", response_model=ProviderState, responses=responses(404, 413, 415, 422, 503))
@needs("admin")
async def change_provider(
    name: ProviderName, change: ProviderChange, asking: Asking, services: With
) -> Response:
    """Switch a provider on or off for every process and tenant, or give it a place among the others.

    It is for keys of the server's own tenant, LYCOSA_TENANT, whose account the providers are.
    """
    await services.prepare()
    changed = await services.providers.change(asking, name, enabled=change.enabled, place=change.place)
    return answer(ProviderState, changed)
