"""Tavily's own account beside ours: what others spent with the same key is counted here too."""

import time
from typing import TYPE_CHECKING, NamedTuple

import structlog

from lycosa.errors import Exhausted
from lycosa.providers.tavily import Tavily

if TYPE_CHECKING:
    from lycosa.identity import Identity
    from lycosa.services.quotas import QuotaService

__all__ = ["Drift", "UsageWatch"]

_log = structlog.get_logger("lycosa.providers")


class Drift(NamedTuple):
    """What one reading found, in credits.

    `told` is the account's figure for the key; `counted` is what was used here, and beside it what is reserved and
    unknown. `drift` is told less counted: above zero somebody else spends with the key, or what is unknown was charged;
    below it fewer credits were charged than counted. `adopted` of it was counted here at once.
    """

    provider: str
    quota: str
    told: int
    counted: int
    reserved: int
    unknown: int
    drift: int
    adopted: int
    read_at: float


class UsageWatch:
    """Reads one key's account, at most once a minute by all processes together, and takes over what is missing here.

    An account may begin its month on another day than the calendar's. So only what is more than counted is taken over:
    the quota never has more left than the account.
    """

    def __init__(self, tavily: Tavily, quotas: "QuotaService", identity: "Identity") -> None:
        self._tavily = tavily
        self._quotas = quotas
        self._identity = identity
        self._last: Drift | None = None

    @property
    def last(self) -> Drift | None:
        """What the last reading of this process found."""
        return self._last

    async def read(self, deadline: float = 5.0) -> Drift | None:
        """Read the account and compare; None when a process did within the last minute.

        Raises ProviderFailure when the account cannot be read, and the errors of the store.
        """
        try:
            await self._quotas.take(self._identity, {self._tavily.usage_quota: 1})
        except Exhausted:
            return None
        told = (await self._tavily.usage(deadline)).key_used
        quota = self._tavily.month_quota
        figures = await self._quotas.figures(self._identity, quota)
        # What is in flight or unknown here may be part of what is told, or not: it is not taken over twice.
        missing = told - figures.used - figures.reserved - figures.unknown
        adopted = min(max(0, missing), max(0, figures.left))
        if adopted:
            try:
                await self._quotas.take(self._identity, {quota: adopted})
            except Exhausted:
                # Somebody was faster; the next reading sees what is still missing.
                adopted = 0
        self._last = Drift(
            provider=self._tavily.name,
            quota=quota,
            told=told,
            counted=figures.used,
            reserved=figures.reserved,
            unknown=figures.unknown,
            drift=told - figures.used,
            adopted=adopted,
            read_at=time.time(),
        )
        if self._last.drift:
            _log.warning("usage_drift", **self._last._asdict())
        return self._last
