"""Keys of a provider: what each is called, what is counted of it, and what it may spend."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from pydantic import SecretStr

from lycosa.errors import Invalid
from lycosa.procedures import LookupClaim
from lycosa.providers.findings import ProviderFailure
from lycosa.providers.json_http import Tally

__all__ = ["Account", "Limit", "accounts_of", "microusd", "month_ends_in", "monthly", "rate"]

MICROUSD_SCALE: Final = 6
# The rest of a rate is for attempts made again, which nobody claimed, and for requests that arrive later than
# they were claimed and meet the next ones: half a second of them in a window of one second.
_FLOW_PERCENT: Final = 80
_FLOW_PERCENT_BY_THE_SECOND: Final = 60
_BURST_PERCENT: Final = 10


class Limit(NamedTuple):
    """A quota as `QuotaService.define` takes it: `define(identity, **limit._asdict())`."""

    quota: str
    kind: Literal["rate", "window"]
    amount: int
    unit: str
    scale: int = 0
    period: float | None = None
    burst: int | None = None
    window: Literal["month"] | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One key of a provider; `position` counts from 1 in the order in which they were given."""

    provider: str
    position: int
    secret: str = field(repr=False)

    @property
    def name(self) -> str:
        """What the store knows it by; the first key keeps its name when others are added."""
        return self.provider if self.position == 1 else f"{self.provider}#{self.position}"

    def quota(self, what: str) -> str:
        """The name of one of its quotas, such as `tavily.k1.month`."""
        return f"{self.provider}.k{self.position}.{what}"

    def claims(self, rate_of: str, month: int) -> list[LookupClaim]:
        """What a call claims: one request, and units of the month."""
        return [
            {"quota": self.quota(rate_of), "amount": 1},
            {"quota": self.quota("month"), "amount": max(1, month)},
        ]

    def amounts(self, rate_of: str, tally: Tally, spent: int, each: int) -> dict[str, int]:
        """What a call took: the requests that were sent, what is known to be `spent`, and `each` for every attempt that
        may have been charged.
        """
        return {
            self.quota(rate_of): tally.sent,
            self.quota("month"): spent + each * tally.uncertain,
        }

    @contextmanager
    def billed(self, name: str, rate_of: str, tally: Tally, each: int) -> Iterator[None]:
        """Tell a failure of the block whose it is, whether it was charged and what it took."""
        try:
            yield
        except ProviderFailure as failure:
            failure.provider = name
            failure.charged = each > 0 and tally.uncertain > 0
            failure.amounts = self.amounts(rate_of, tally, 0, each)
            raise


def accounts_of(provider: str, keys: SecretStr | None, variable: str) -> list[Account]:
    """The keys of a setting, between commas, each once. Raises Invalid, naming the variable, for what is no key."""
    given = keys.get_secret_value().split(",") if keys is not None else []
    secrets = list(dict.fromkeys(key.strip() for key in given if key.strip()))
    if not all(key.isascii() and key.isprintable() and " " not in key for key in secrets):
        raise Invalid(
            f"{variable} holds characters that no key has; give keys in ASCII, between commas",
            code="SETTING_INVALID",
            details={"argument": variable},
        )
    return [Account(provider, position, secret) for position, secret in enumerate(secrets, 1)]


def rate(account: Account, what: str, per_minute: int, window: float) -> Limit:
    """Keep under `per_minute` requests, which the provider counts by windows of `window` seconds.

    A tenth of a window's requests may come at once, and eight tenths of them flow in it (six in windows of seconds), so
    that no window is passed, however it is laid.
    """
    within = per_minute * window / 60
    flow = _FLOW_PERCENT if window >= 60 else _FLOW_PERCENT_BY_THE_SECOND
    return Limit(
        quota=account.quota(what),
        kind="rate",
        amount=max(1, per_minute * flow // 100),
        unit="request",
        period=60.0,
        burst=max(1, int(within * _BURST_PERCENT / 100)),
    )


def monthly(account: Account, amount: int, unit: str, scale: int = 0) -> Limit:
    """What may be spent in a calendar month (UTC), in smallest units."""
    return Limit(account.quota("month"), "window", amount, unit, scale=scale, window="month")


def microusd(dollars: Decimal) -> int:
    """Millionths of a dollar, rounded."""
    return int((dollars * 10**MICROUSD_SCALE).to_integral_value())


def month_ends_in() -> float:
    """Seconds until the calendar month ends (UTC), when monthly quotas begin anew."""
    now = datetime.datetime.now(datetime.UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + datetime.timedelta(days=32)).replace(day=1)
    return (following - now).total_seconds()
