"""How answers are written, and what every route is given."""

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from lycosa.identity import Identity
from lycosa.services import Services

# Where the state of a request keeps the headers that are added to its answer.
ADDED_HEADERS = "added_headers"


def answer(model: type[BaseModel], value: Any, status: int = 200) -> Response:
    """The store's record as JSON through its model. A record that does not fit is a fault of ours: 500."""
    return Response(
        model.model_validate(value).model_dump_json(by_alias=True), status, media_type="application/json"
    )


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _identity(request: Request) -> Identity:
    # As `authorize` found them, before anything of the request was read.
    identity: Identity = request.state.identity
    return identity


def request_id(request: Request) -> str:
    """The id of this request, as the middleware made or took it."""
    identifier: str = request.state.request_id
    return identifier


def add_header(request: Request, name: str, value: str) -> None:
    """Have the answer to this request carry a header, whatever its route answers, an error too."""
    request.scope.setdefault("state", {}).setdefault(ADDED_HEADERS, []).append(
        (name.encode("latin-1"), value.encode("latin-1"))
    )


Asking = Annotated[Identity, Depends(_identity)]
With = Annotated[Services, Depends(_services)]
Cursor = Annotated[
    str | None, Query(max_length=4096, description="`next` or `previous` of another page of the same query.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows in a page.")]
