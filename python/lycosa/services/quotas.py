"""Quotas: limits that many processes share and none can pass."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal

import structlog

from lycosa.errors import Invalid, LycosaError, NotFound, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import (
    Procedures,
    QuotaAmount,
    QuotaClaim,
    QuotaLimit,
    QuotaLimitPage,
    QuotaReport,
    QuotaReportPage,
    QuotaReservation,
    QuotaReservationPage,
    QuotaState,
    QuotaSurvey,
    UtcOffsetInput,
)
from lycosa.services.time_zones import is_fresh, utc_offsets

QuotaKind = Literal["rate", "window", "slots"]
QuotaWindow = Literal["minute", "hour", "day", "month", "total"]
ReservationState = Literal["reserved", "unknown", "lapsed", "settled", "refunded", "reconciled"]

_log = structlog.get_logger("lycosa.quotas")

_RENEW_EVERY = 86400.0
_RENEW_AGAIN = 60.0


class QuotaService:
    """The use-cases of quotas. Every method takes who asks first.

    Amounts are whole numbers of a limit's smallest unit; `lycosa.services.amounts` makes them of decimals and turns
    them back.
    """

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def define(
        self,
        identity: Identity,
        quota: str,
        kind: QuotaKind,
        amount: int,
        *,
        unit: str = "",
        scale: int = 0,
        shadow: bool = False,
        period: float | None = None,
        burst: int | None = None,
        window: QuotaWindow | None = None,
        time_zone: str | None = None,
    ) -> QuotaLimit:
        """Define a limit, or change one and keep its counters.

        A rate lets `amount` units flow in every `period` seconds and `burst` at once; a window holds `amount` for a
        minute, hour, day or month of the calendar of `time_zone` (an IANA name, UTC when absent; see `keep_zones`),
        or in total; slots are held by `amount` reservations at a time. In shadow mode it counts and refuses
        nothing. Raises Invalid, Conflict when kind or scale would change.
        """
        offsets = None
        if time_zone is not None:
            # Twenty years of a zone are ten milliseconds of work.
            offsets = await asyncio.to_thread(utc_offsets, time_zone, time.time())
        return await self._procedures.quota_define(
            tenant=identity.tenant,
            quota=quota,
            kind=kind,
            amount=amount,
            unit=unit,
            scale=scale,
            shadow=shadow,
            period=period,
            burst=burst,
            window=window,
            time_zone=time_zone,
            utc_offsets=offsets,
        )

    async def find(
        self, identity: Identity, *, prefix: str | None = None, cursor: str | None = None, limit: int = 20
    ) -> QuotaLimitPage:
        """A page of up to `limit` (1..100) limits by name, as they were defined; `prefix` is how their names begin."""
        return await self._procedures.quota_list(
            tenant=identity.tenant, prefix=prefix, cursor=cursor, limit=limit
        )

    async def report(
        self,
        identity: Identity,
        quotas: Sequence[str] | None = None,
        *,
        cursor: str | None = None,
        limit: int = 20,
    ) -> QuotaReportPage:
        """What is used, reserved, unknown and left of limits, and when they reset.

        Of those named (up to 100; raises NotFound), or of a page of up to `limit` (1..100) of all by name.
        """
        return await self._procedures.quota_report(
            tenant=identity.tenant, quotas=quotas, cursor=cursor, limit=limit
        )

    async def figures(self, identity: Identity, quota: str) -> QuotaReport:
        """What is used, reserved, unknown and left of one limit, and when it resets. Raises NotFound."""
        return (await self.report(identity, [quota])).rows[0]

    async def scales(self, identity: Identity, quotas: Iterable[str]) -> dict[str, int]:
        """Decimals of limits; those that are not defined are left out."""
        found: dict[str, int] = {}
        for quota in set(quotas):
            with suppress(NotFound):
                found[quota] = (await self.figures(identity, quota)).scale
        return found

    async def survey(self, limit: int = 100, timeout: float | None = None) -> QuotaSurvey:
        """Figures of the first `limit` (1..1000) limits of all tenants by tenant and name, and how many there are."""
        return await self._procedures.quota_survey(limit=limit, timeout=timeout)

    async def renew_zones(self) -> int:
        """Read the zones of all tenants' limits anew that were read a month ago or more. Gives how many there were.

        The store knows a zone only as far as it was told, 20 years ahead, and as the law was then. A zone that the
        database here does not know stays as its definer gave it.
        """
        now, renewed, cursor = time.time(), 0, None
        tables: dict[str, list[UtcOffsetInput] | None] = {}
        while True:
            page = await self._procedures.quota_zoned(cursor=cursor)
            for row in page.rows:
                zone = row.time_zone
                if zone is None or is_fresh(row.utc_offsets or (), now):
                    continue
                if zone not in tables:
                    tables[zone] = await asyncio.to_thread(_table, zone, now)
                if (table := tables[zone]) is not None:
                    answer = await self._procedures.quota_renew_zone(
                        tenant=row.tenant, quota=row.quota, time_zone=zone, utc_offsets=table
                    )
                    renewed += answer.renewed
            if page.next is None:
                return renewed
            cursor = page.next

    async def keep_zones(self) -> None:
        """Renew zones now and once a day, for ever; again after a minute when the store was away."""
        while True:
            pause = _RENEW_EVERY
            try:
                if renewed := await self.renew_zones():
                    _log.info("zones_renewed", limits=renewed)
            except LycosaError as problem:
                pause = _RENEW_AGAIN
                if not isinstance(problem, (Unavailable, TimedOut)):
                    _log.warning("zones_not_renewed", code=problem.code)
            await asyncio.sleep(pause)

    async def reset(self, identity: Identity, quota: str) -> QuotaLimit:
        """Forget what was used and what is unknown of a limit; what is reserved stays. Raises NotFound."""
        return await self._procedures.quota_reset(tenant=identity.tenant, quota=quota)

    async def remove(self, identity: Identity, quota: str) -> bool:
        """Remove a limit; False when there was none. Raises Conflict while open reservations hold it."""
        return (await self._procedures.quota_remove(tenant=identity.tenant, quota=quota)).removed

    async def take(self, identity: Identity, claims: Mapping[str, int]) -> list[QuotaState]:
        """Take units of up to 16 limits, all or nothing.

        A refusal changes nothing. Raises Exhausted, which names the limit, what is left of it and when to come back,
        and NotFound for a limit that is not defined.
        """
        return await self._procedures.quota_take(tenant=identity.tenant, claims=_claims(claims))

    async def reserve(
        self, identity: Identity, reservation_id: str, claims: Mapping[str, int], lease: float
    ) -> QuotaReservation:
        """Hold units of up to 16 limits for `lease` seconds until the true amounts are known, all or nothing.

        The same id with the same claims answers the reservation that is there. When the lease ends unsettled, slots
        go back and what may have been spent counts as unknown. Raises Exhausted, NotFound, Conflict.
        """
        return await self._procedures.quota_reserve(
            tenant=identity.tenant, id=reservation_id, claims=_claims(claims), lease=lease
        )

    async def settle(
        self, identity: Identity, reservation_id: str, amounts: Mapping[str, int] | None = None
    ) -> QuotaReservation:
        """Close a reservation with what was really spent; limits that are not named count as reserved.

        Raises NotFound, and Conflict when it was closed with another outcome.
        """
        return await self._procedures.quota_settle(
            tenant=identity.tenant, id=reservation_id, amounts=_amounts(amounts)
        )

    async def refund(self, identity: Identity, reservation_id: str) -> QuotaReservation:
        """Close a reservation of which nothing was spent. Units of rates do not come back. Raises as `settle`."""
        return await self._procedures.quota_refund(tenant=identity.tenant, id=reservation_id)

    async def reconcile(
        self, identity: Identity, reservation_id: str, amounts: Mapping[str, int] | None = None
    ) -> QuotaReservation:
        """Say what was really spent of a reservation that is unknown. Raises as `settle`."""
        return await self._procedures.quota_reconcile(
            tenant=identity.tenant, id=reservation_id, amounts=_amounts(amounts)
        )

    async def reservation(self, identity: Identity, reservation_id: str) -> QuotaReservation:
        """One reservation. Closed ones are kept for a day, unknown ones for 90 or longer. Raises NotFound."""
        return await self._procedures.quota_reservation(tenant=identity.tenant, id=reservation_id)

    async def reservations(
        self,
        identity: Identity,
        state: ReservationState = "unknown",
        *,
        cursor: str | None = None,
        limit: int = 20,
    ) -> QuotaReservationPage:
        """A page of up to `limit` (1..100) reservations in one state, those whose lease ends first at the top."""
        return await self._procedures.quota_reservations(
            tenant=identity.tenant, state=state, cursor=cursor, limit=limit
        )

    @asynccontextmanager
    async def held(
        self, identity: Identity, claims: Mapping[str, int], lease: float
    ) -> AsyncIterator[dict[str, int]]:
        """Hold units around a block. The block fills the mapping it gets with what it really spent.

        A block that ends well is settled, with what is not in the mapping counted as reserved. One that fails is
        left to its lease: whether its provider charged is not known then, and what it spent becomes unknown.
        """
        reservation_id = secrets.token_urlsafe(18)
        await self.reserve(identity, reservation_id, claims, lease)
        spent: dict[str, int] = {}
        yield spent
        await self.settle(identity, reservation_id, spent)


def _table(zone: str, now: float) -> list[UtcOffsetInput] | None:
    try:
        return utc_offsets(zone, now)
    except Invalid:
        return None


def _claims(claims: Mapping[str, int]) -> Sequence[QuotaClaim]:
    return [{"quota": quota, "amount": amount} for quota, amount in claims.items()]


def _amounts(amounts: Mapping[str, int] | None) -> Sequence[QuotaAmount]:
    return [{"quota": quota, "amount": amount} for quota, amount in (amounts or {}).items()]
