"""Quotas on the wire. Amounts are decimals in strings, so that no reader rounds them; a body may also give numbers."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from lycosa.schemas.shape import SINCE, Answer, Asked
from lycosa.services.amounts import shown_limit, shown_report

Kind = Literal["rate", "window", "slots"]
Window = Literal["minute", "hour", "day", "month", "total"]
Amount = Annotated[str, Field(description="A decimal with `scale` decimals.", examples=["12.50"])]


class QuotaDefinition(Asked):
    """A limit as it shall be: a rate needs `period`, a window needs `window`."""

    kind: Kind = Field(examples=["window"])
    amount: Decimal = Field(ge=0, description="The limit, with at most `scale` decimals.", examples=["25.00"])
    unit: str = Field("", max_length=32, description="What is counted.", examples=["USD"])
    scale: int = Field(
        0, ge=0, le=9, description="Decimals of the smallest amount that is counted.", examples=[2]
    )
    shadow: bool = Field(False, description="Count and report, refuse nothing.")
    period: float | None = Field(
        None, ge=0.001, le=31_536_000, description="Of a rate: seconds in which the amount flows in."
    )
    burst: Decimal | None = Field(
        None, gt=0, description="Of a rate: how much at once; the amount when absent."
    )
    window: Window | None = Field(None, description="Of a window: how long it counts.", examples=["month"])
    time_zone: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="Of a window: an IANA name; UTC when absent.",
        examples=["Europe/Moscow"],
    )


class QuotaOut(Answer):
    """A limit as it was defined."""

    quota: str = Field(examples=["usd.month"])
    kind: Kind
    amount: Amount
    unit: str = Field(examples=["USD"])
    scale: int = Field(examples=[2])
    shadow: bool
    period: float | None
    burst: Amount | None
    window: Window | None
    time_zone: str | None
    created_at: float = Field(description=SINCE)
    updated_at: float = Field(description=SINCE)

    @classmethod
    def of(cls, row: Any) -> Self:
        """Of the store's record."""
        return cls(**shown_limit(row))


class QuotaPageOut(Answer):
    """A page of limits with cursors both ways; null at the ends."""

    rows: list[QuotaOut]
    next: str | None
    previous: str | None


class QuotaReportOut(Answer):
    """What counts against a limit. Of a window, used + reserved + unknown + left is the limit unless it is over."""

    quota: str = Field(examples=["usd.month"])
    kind: Kind
    unit: str = Field(examples=["USD"])
    scale: int = Field(examples=[2])
    shadow: bool
    window: Window | None
    limit: Amount
    used: Amount
    reserved: Annotated[str, Field(description="Held by open reservations.")]
    unknown: Annotated[str, Field(description="Of reservations that were never settled; counts as spent.")]
    left: Amount
    over: Annotated[str, Field(description="How far the limit is passed.")]
    near: bool = Field(description="Whether 80 % are taken.")
    near_count: int = Field(description="Claims that left it with 80 % taken or more.")
    shadowed: int = Field(description="Claims that were let through only because of shadow mode.")
    since: float = Field(description="What the figures count from. " + SINCE)
    reset: float | None = Field(description="When it is whole again; null where time changes nothing.")

    @classmethod
    def of(cls, row: Any) -> Self:
        """Of the store's record."""
        return cls(**shown_report(row))


class QuotaReportPageOut(Answer):
    """A page of reports with cursors both ways; null at the ends."""

    rows: list[QuotaReportOut]
    next: str | None
    previous: str | None
