"""The history: every question asked, its answer, its cost."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.procedures import Procedures, RequestPage, RequestTotals, RequestWithSources

RequestLookUp = Literal["time", "customer", "status"]
Order = Literal["asc", "desc"]

_EPOCH = date(1970, 1, 1)


class RequestService:
    """The use-cases of the history. Every method takes who asks first."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def get(self, identity: Identity, request_id: str) -> RequestWithSources:
        """One request with its answer and its sources in their order. Raises NotFound."""
        return await self._procedures.request_get(tenant=identity.tenant, id=request_id)

    async def find(
        self,
        identity: Identity,
        by: RequestLookUp = "time",
        value: str | None = None,
        *,
        created_from: float | None = None,
        created_until: float | None = None,
        order: Order = "desc",
        cursor: str | None = None,
        limit: int = 20,
    ) -> RequestPage:
        """A page of up to `limit` (1..1000) requests in order of time, with cursors both ways.

        Of everything, of one customer or of one status; bounded by the time of asking (unix seconds,
        `created_until` exclusive). Rows come without their answers. Raises Invalid for a cursor of another query.
        """
        return await self._procedures.request_list(
            tenant=identity.tenant,
            by=by,
            value=value,
            from_=created_from,
            until=created_until,
            order=order,
            cursor=cursor,
            limit=limit,
        )

    async def totals(
        self,
        identity: Identity,
        *,
        first: date | None = None,
        last: date | None = None,
        kind: str | None = None,
    ) -> RequestTotals:
        """Exact sums of requests, cost (millionths of a US dollar) and tokens over days of UTC, both ends included.

        At most 366 days; the last 30 when neither end is given. Raises Invalid.
        """
        until = last or datetime.now(UTC).date()
        since = first or until - timedelta(days=29)
        if since > until:
            raise Invalid(
                "the first day is after the last", code="INVALID_ARGUMENT", details={"argument": "first"}
            )
        return await self._procedures.request_totals(
            tenant=identity.tenant,
            from_day=(since - _EPOCH).days,
            until_day=(until - _EPOCH).days + 1,
            kind=kind,
        )
