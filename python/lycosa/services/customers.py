"""Customers: storing, finding and counting them."""

from collections.abc import Mapping, Sequence
from typing import Literal

from lycosa.errors import Invalid, NotFound
from lycosa.identity import Identity
from lycosa.procedures import (
    Customer,
    CustomerPage,
    Procedures,
    SegmentFigures,
    SegmentPage,
    UpsertOutcome,
)
from lycosa.services.encodable import unencodable

LookUp = Literal["id", "external_id", "email", "segment", "tag", "name", "all"]
Order = Literal["asc", "desc"]

MAX_ROWS = 1000


class CustomerService:
    """The use-cases of customers. Every method takes who asks first."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def upsert(self, identity: Identity, rows: Sequence[object]) -> list[UpsertOutcome]:
        """Insert and change up to 1,000 customers in one transaction, with an outcome for every row, in their order.

        A row is a patch: an absent field keeps what is stored, null clears it. It is found by `id`, else by
        `external_id`; a new one needs a name. An invalid row names its field and stops no other.
        Raises Invalid when there are more than 1,000 rows, Unavailable when the store is away or full.
        """
        if len(rows) > MAX_ROWS:
            raise Invalid(
                f"rows holds {len(rows)} items, at most {MAX_ROWS} are taken in one call; import larger sets",
                code="INVALID_ARGUMENT",
                details={"argument": "rows", "problem": f"holds {len(rows)} items", "limit": MAX_ROWS},
            )
        refused: dict[int, UpsertOutcome] = {}
        sent: list[Mapping[str, object]] = []
        for position, row in enumerate(rows):
            outcome = _refusal(row)
            if outcome is not None:
                refused[position] = outcome
            elif isinstance(row, Mapping):
                sent.append(row)
        stored = await self._procedures.customer_upsert(tenant=identity.tenant, rows=sent) if sent else []
        if not refused:
            return stored
        answers = iter(stored)
        return [refused.get(position) or next(answers) for position in range(len(rows))]

    async def get(self, identity: Identity, customer_id: str) -> Customer:
        """One customer by id. Raises NotFound."""
        return await self._procedures.customer_get(tenant=identity.tenant, id=customer_id)

    async def locate(self, identity: Identity, key: str) -> Customer:
        """One customer by id, else by external id: what a person types. Raises NotFound."""
        try:
            return await self.get(identity, key)
        except NotFound:
            page = await self.find(identity, "external_id", key, limit=1)
            if not page.rows:
                raise
            return page.rows[0]

    async def find(
        self,
        identity: Identity,
        by: LookUp,
        value: str | None = None,
        *,
        prefix: str | None = None,
        since_from: float | None = None,
        since_until: float | None = None,
        order: Order = "asc",
        cursor: str | None = None,
        limit: int = 20,
    ) -> CustomerPage:
        """A page of up to `limit` (1..1000) customers by one of the look-ups, with cursors both ways.

        `name` finds by prefix in any case, Russian too; `segment` is ordered by the time the relation began and may be
        bounded by it (unix seconds, `since_until` exclusive); the others are equal and ordered by id; `all` takes no
        value but the `prefix` of ids. Raises Invalid for a cursor of another query.
        """
        return await self._procedures.customer_find(
            tenant=identity.tenant,
            by=by,
            value=value,
            prefix=prefix,
            from_=since_from,
            until=since_until,
            order=order,
            cursor=cursor,
            limit=limit,
        )

    async def delete(self, identity: Identity, ids: Sequence[str]) -> int:
        """Delete up to 1,000 customers by id; gives how many there were."""
        return (await self._procedures.customer_delete(tenant=identity.tenant, ids=ids)).deleted

    async def remove(self, identity: Identity, customer_id: str) -> None:
        """Delete one customer. Raises NotFound when there is none."""
        if not await self.delete(identity, [customer_id]):
            raise NotFound(
                f"customer {customer_id} does not exist",
                code="CUSTOMER_NOT_FOUND",
                details={"id": customer_id},
            )

    async def segments(
        self, identity: Identity, *, prefix: str | None = None, cursor: str | None = None, limit: int = 20
    ) -> SegmentPage:
        """Figures of the segments by name: customers, revenue in cents, orders. Kept by every write.

        Of all, or of those whose names begin with the prefix.
        """
        return await self._procedures.customer_segments(
            tenant=identity.tenant, prefix=prefix, cursor=cursor, limit=limit
        )

    async def segment(self, identity: Identity, segment: str) -> SegmentFigures:
        """Figures of one segment; the empty name stands for the customers in none. Raises NotFound."""
        return await self._procedures.customer_segment(tenant=identity.tenant, segment=segment)

    async def count(self, identity: Identity) -> int:
        """How many customers there are."""
        return await self._procedures.customer_count(tenant=identity.tenant)


def _refusal(row: object) -> UpsertOutcome | None:
    """The outcome of a row that cannot be sent."""
    if not isinstance(row, Mapping):
        return UpsertOutcome("invalid", None, None, None, "is not an object of named fields")
    found = unencodable(row)
    if found is None:
        return None
    return UpsertOutcome("invalid", None, None, *found)
