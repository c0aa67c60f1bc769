"""Quotas: limits that many processes share and none can pass."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

from lycosa.errors import Invalid
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
    UtcOffsetInput,
)

QuotaKind = Literal["rate", "window", "slots"]
QuotaWindow = Literal["minute", "hour", "day", "month", "total"]
ReservationState = Literal["reserved", "unknown", "lapsed", "settled", "refunded", "reconciled"]

# The store keeps up to 64 changes of a zone; two a year is the rule.
_YEARS = 20
_MOST_OFFSETS = 64
_DAY = 86400

# More digits than any amount of the store has; what would have to be rounded is refused.
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])
_MOST_DIGITS = 18


class QuotaService:
    """The use-cases of quotas. Every method takes who asks first.

    Amounts are whole numbers of a limit's smallest unit; `smallest_units` makes them of decimals, `decimal_amount`
    turns them back.
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
        minute, hour, day or month of the calendar of `time_zone` (an IANA name, UTC when absent; known for 20 years
        ahead), or in total; slots are held by `amount` reservations at a time. In shadow mode it counts and refuses
        nothing. Raises Invalid, Conflict when kind or scale would change.
        """
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
            utc_offsets=None if time_zone is None else utc_offsets(time_zone, time.time()),
        )

    async def find(self, identity: Identity, *, cursor: str | None = None, limit: int = 20) -> QuotaLimitPage:
        """A page of up to `limit` (1..100) limits by name, as they were defined."""
        return await self._procedures.quota_list(tenant=identity.tenant, cursor=cursor, limit=limit)

    async def report(
        self, identity: Identity, *, cursor: str | None = None, limit: int = 20
    ) -> QuotaReportPage:
        """What is used, reserved, unknown and left of up to `limit` (1..100) limits by name, and when they reset."""
        return await self._procedures.quota_report(tenant=identity.tenant, cursor=cursor, limit=limit)

    async def figures(self, identity: Identity, quota: str) -> QuotaReport:
        """What is used, reserved, unknown and left of one limit, and when it resets. Raises NotFound."""
        page = await self._procedures.quota_report(tenant=identity.tenant, quotas=[quota])
        return page.rows[0]

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
        """One reservation. Closed ones are kept for a day. Raises NotFound."""
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


def smallest_units(amount: Decimal, scale: int) -> int:
    """A decimal amount as a whole number of units of 10 to the power of -`scale`. Raises Invalid when it is none."""
    try:
        units = amount.scaleb(scale, context=_EXACT)
    except DecimalException:
        units = Decimal("NaN")
    if not units.is_finite() or units.adjusted() > _MOST_DIGITS or units != units.to_integral_value():
        raise Invalid(
            f"amount {str(amount)[:40]} is no whole number of units with {scale} decimals",
            code="INVALID_ARGUMENT",
            details={"argument": "amount", "scale": scale},
        )
    return int(units)


def decimal_amount(units: int, scale: int) -> Decimal:
    """A whole number of smallest units as a decimal, exactly."""
    return Decimal((int(units < 0), tuple(int(digit) for digit in str(abs(units))), -scale))


def utc_offsets(time_zone: str, at: float) -> list[UtcOffsetInput]:
    """Minutes that a zone is ahead of UTC around a moment (unix seconds) and at every change in 20 years from it on.

    Raises Invalid for a zone that is not known here, or whose offsets are no whole minutes.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (OSError, ValueError, KeyError) as problem:
        raise _invalid_zone(f"time_zone {time_zone!r} is not known") from problem
    # The window that the moment lies in may have begun a month before.
    moment = max(0, int(at) - 40 * _DAY)
    offsets: list[UtcOffsetInput] = [{"starts_at": moment, "minutes": _minutes(zone, moment)}]
    until = moment + _YEARS * 366 * _DAY
    while moment < until and len(offsets) < _MOST_OFFSETS:
        following = moment + _DAY
        if _minutes(zone, following) != offsets[-1]["minutes"]:
            changes_at = _change(zone, moment, following)
            offsets.append({"starts_at": changes_at, "minutes": _minutes(zone, changes_at)})
        moment = following
    return offsets


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The first second in (before, after] at which the offset is no longer that of `before`."""
    minutes = _minutes(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _minutes(zone, middle) == minutes:
            before = middle
        else:
            after = middle
    return after


def _minutes(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    seconds = int(offset.total_seconds())
    if seconds % 60:
        raise _invalid_zone(f"time_zone {zone.key} is {seconds} s from UTC, no whole minutes")
    return seconds // 60


def _invalid_zone(message: str) -> Invalid:
    return Invalid(message, code="INVALID_ARGUMENT", details={"argument": "time_zone"})


def _claims(claims: Mapping[str, int]) -> Sequence[QuotaClaim]:
    return [{"quota": quota, "amount": amount} for quota, amount in claims.items()]


def _amounts(amounts: Mapping[str, int] | None) -> Sequence[QuotaAmount]:
    return [{"quota": quota, "amount": amount} for quota, amount in (amounts or {}).items()]
