"""Health and figures, for whoever runs the server."""

import contextlib

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

import lycosa
from lycosa.errors import Denied, LycosaError
from lycosa.identity import Identity
from lycosa.rest.answers import With, answer
from lycosa.rest.authorized import SCHEME, authorize, needs
from lycosa.rest.problems import responses
from lycosa.rest.schemas import LiveOut, ReadyOut
from lycosa.telemetry import CONTENT_TYPE, HttpMetrics

router = APIRouter(tags=["operations"])

_FIGURES_WITHIN = 2.0
# Series are kept for ever by whoever scrapes them, so their number is bounded.
_QUOTAS_SHOWN = 100


@router.get("/health", include_in_schema=False)
@router.get("/healthz", response_model=LiveOut)
async def live() -> Response:
    """Whether this process answers, whatever the store does. A supervisor restarts it when it does not."""
    return answer(LiveOut, {"version": lycosa.__version__})


@router.get("/ready", include_in_schema=False)
@router.get("/readyz", response_model=ReadyOut, responses=responses(503))
async def ready(services: With) -> Response:
    """Whether requests can be served: 503 while the store is away. A load balancer waits until it is back."""
    return answer(ReadyOut, await services.system.ready())


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"example": "lycosa_store_up 1.0\n"}}},
        **responses(401, 403, 503),
    },
    openapi_extra={"security": [{SCHEME: ["admin"]}]},
)
@needs("admin")
async def metrics(request: Request, services: With) -> Response:
    """Figures of this process and of the store, in Prometheus's text format.

    They are of all tenants, so where authentication is required they are for keys of the server's own tenant,
    LYCOSA_TENANT, with the scope admin.
    """
    operator: Identity = request.app.state.identity
    if (await authorize(request, "admin")).tenant != operator.tenant:
        raise Denied("figures are of all tenants, and for the server's own", code="OPERATOR_ONLY")
    own: HttpMetrics = request.app.state.metrics
    figures = memory = quotas = lookups = providers = None
    with contextlib.suppress(LycosaError):
        figures = await services.system.figures(_FIGURES_WITHIN)
        memory = await services.system.memory(_FIGURES_WITHIN)
        quotas = await services.quotas.survey(_QUOTAS_SHOWN, _FIGURES_WITHIN)
        if services.searches:
            lookups = services.lookups.metrics
            providers = await services.providers.breakers(operator, _FIGURES_WITHIN)
    text = own.exposition(figures, memory, quotas, lookups, providers)
    return Response(text, media_type=CONTENT_TYPE)
