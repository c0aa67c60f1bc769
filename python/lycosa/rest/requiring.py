"""Routes that spend: a dependency that takes from a quota before the route runs.

    @router.get("/search", dependencies=[Depends(RequireQuota("search"))], responses=responses(429, 503))
    @needs("spend")

or, where the route wants to know what is left:

    Search = Annotated[QuotaLeft, Depends(RequireQuota("search", amount=2))]
"""

import math
import time
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

from starlette.requests import Request

from lycosa.errors import Exhausted, NotFound, Unavailable
from lycosa.rest.answers import Asking, With, add_header
from lycosa.services.amounts import decimal_amount, in_decimals, smallest_units

# The largest integer of a structured field (RFC 8941).
_MOST = 999_999_999_999_999


@dataclass(frozen=True, slots=True)
class QuotaLeft:
    """What a request left of a limit. `reset` is unix seconds, None where time changes nothing."""

    quota: str
    left: Decimal
    limit: Decimal
    near: bool
    reset: float | None


class RequireQuota:
    """Takes `amount` of the tenant's limit `quota` for each request, before the route runs.

    When there is not so much left the route does not run: 429 as problem+json, with Retry-After where waiting helps.
    Every answer, that one too, carries RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers), in the
    limit's smallest units. What is taken stays taken when the route fails.

    An `amount` that is no whole number needs the limit's `scale`. A tenant without such a limit is refused with 503,
    since nothing is known of what it may spend, unless `optional`: then it is not limited, and the dependency's value
    is None. Raises Invalid for an amount that is no whole number of units, ValueError for one below the smallest unit.
    """

    def __init__(
        self, quota: str, amount: int | Decimal = 1, *, scale: int = 0, optional: bool = False
    ) -> None:
        units = smallest_units(Decimal(amount), scale)
        if units < 1:
            raise ValueError(f"amount {amount} of quota {quota}: at least one smallest unit has to be taken")
        self._quota = quota
        self._units = units
        self._scale = scale
        self._optional = optional

    async def __call__(self, request: Request, asking: Asking, services: With) -> QuotaLeft | None:
        """Take. Raises Exhausted, and Unavailable where the limit is not defined."""
        try:
            [state] = await services.quotas.take(asking, {self._quota: self._units})
        except Exhausted as refusal:
            left, limit = refusal.details.get("left"), refusal.details.get("limit")
            if isinstance(left, int) and isinstance(limit, int):
                _tell(request, self._quota, left, limit, refusal.retry_after)
            raise in_decimals(refusal) from None
        except NotFound as missing:
            if self._optional:
                return None
            raise Unavailable(
                f"quota {self._quota} has to be defined before this can be asked for",
                code=missing.code,
                details={"quota": self._quota},
            ) from None
        wait = None if state.reset is None else max(0.0, state.reset - time.time())
        _tell(request, state.quota, state.left, state.limit, wait)
        return QuotaLeft(
            quota=state.quota,
            left=decimal_amount(state.left, self._scale),
            limit=decimal_amount(state.limit, self._scale),
            near=state.near,
            reset=state.reset,
        )


def _tell(request: Request, quota: str, left: int, limit: int, seconds: float | None) -> None:
    # A string of a structured field is printable ASCII without quotes.
    name = quote(quota, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
    add_header(request, "ratelimit-policy", f'"{name}";q={min(limit, _MOST)}')
    reset = "" if seconds is None else f";t={min(math.ceil(seconds), _MOST)}"
    add_header(request, "ratelimit", f'"{name}";r={min(left, _MOST)}{reset}')
