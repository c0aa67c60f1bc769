"""Amounts of quotas: decimals for people, whole numbers of the smallest unit for the store. Nothing is rounded."""

from collections.abc import Mapping
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

from lycosa.errors import Exhausted, Invalid

# More digits than any amount of the store has; what would have to be rounded is refused.
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])
_MOST_DIGITS = 18


def smallest_units(amount: Decimal, scale: int, argument: str = "amount") -> int:
    """A decimal amount as a whole number of units of 10 to the power of -`scale`.

    Raises Invalid, naming the `argument`, when it is none.
    """
    try:
        units = amount.scaleb(scale, context=_EXACT)
    except DecimalException:
        units = Decimal("NaN")
    if not units.is_finite() or units.adjusted() > _MOST_DIGITS or units != units.to_integral_value():
        raise Invalid(
            f"{argument} {str(amount)[:40]} is no whole number of units with {scale} decimals",
            code="INVALID_ARGUMENT",
            details={"argument": argument, "scale": scale},
        )
    return int(units)


def decimal_amount(units: int, scale: int) -> Decimal:
    """A whole number of smallest units as a decimal, exactly."""
    return Decimal((int(units < 0), tuple(int(digit) for digit in str(abs(units))), -scale))


def plain_amount(units: int, scale: int) -> str:
    """A whole number of smallest units as people write it: with all `scale` decimals and no exponent."""
    return f"{decimal_amount(units, scale):f}"


def in_decimals(refusal: Exhausted) -> Exhausted:
    """The refusal of a claim with its amounts as decimals; any other error as it is."""
    details = dict(refusal.details)
    scale, names = details.get("scale"), ("left", "limit", "amount")
    if not isinstance(scale, int) or not all(isinstance(details.get(name), int) for name in names):
        return refusal
    left, limit, amount = (plain_amount(int(details[name]), scale) for name in names)
    details |= {"left": left, "limit": limit, "amount": amount}
    return type(refusal)(
        f"quota {details.get('quota')} has {left} of {limit} left, {amount} were asked for",
        code=refusal.code,
        details=details,
        retry_after=refusal.retry_after,
    )


def units_by_quota(amounts: Mapping[str, Decimal], scales: Mapping[str, int]) -> dict[str, int]:
    """Decimal amounts of limits in their smallest units. Raises Invalid, naming the limit whose scale is not known."""
    unknown = sorted(set(amounts) - set(scales))
    if unknown:
        raise Invalid(
            f"quota {unknown[0]} is not part of it",
            code="INVALID_ARGUMENT",
            details={"argument": "amounts", "quota": unknown[0]},
        )
    return {quota: smallest_units(amount, scales[quota]) for quota, amount in amounts.items()}


def with_decimals(row: Any, *names: str) -> dict[str, Any]:
    """The fields of a store's record that has a `scale`, those named as decimals in strings."""
    fields: dict[str, Any] = row._asdict()
    for name in names:
        if fields[name] is not None:
            fields[name] = plain_amount(fields[name], row.scale)
    return fields


def shown_limit(row: Any) -> dict[str, Any]:
    """A limit as it was defined, for people."""
    fields = with_decimals(row, "amount", "burst")
    for name in ("tenant", "bucket_id", "utc_offsets"):
        del fields[name]
    return fields


def shown_report(row: Any) -> dict[str, Any]:
    """A limit's figures, for people."""
    return with_decimals(row, "limit", "used", "reserved", "unknown", "left", "over")


def shown_reservation(row: Any, scales: Mapping[str, int]) -> dict[str, Any]:
    """A reservation, for people; amounts of limits that are gone stay in smallest units."""
    fields: dict[str, Any] = row._asdict()
    fields["claims"] = [
        {
            "quota": claim.quota,
            "kind": claim.kind,
            "amount": plain_amount(claim.amount, scales.get(claim.quota, 0)),
            "spent": None if claim.spent is None else plain_amount(claim.spent, scales.get(claim.quota, 0)),
        }
        for claim in row.claims
    ]
    return fields
