"""Providers of outside knowledge as an administrator sees them: how they are, what is left, who is asked first."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lycosa.errors import Denied, Invalid, NotFound
from lycosa.identity import Identity
from lycosa.procedures import LookupProvider, Procedures, QuotaReport
from lycosa.providers.findings import Provider, SearchOptions
from lycosa.providers.usage import UsageWatch
from lycosa.services.amounts import plain_amount
from lycosa.services.lookup_forms import MODEL
from lycosa.services.lookup_setup import keep_usage, watches_of
from lycosa.services.lookups import Lookups

__all__ = ["ProviderQuota", "ProviderService", "ProviderState"]

State = Literal[
    "ready", "off", "refused", "throttled", "exhausted", "open", "half_open", "spent", "not_configured"
]
_MOST_PLACES: Final = 100


class ProviderQuota(BaseModel):
    """One limit that a call of the provider takes from. Amounts are decimals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quota: str = Field(examples=["tavily.k1.month"])
    window: str | None = Field(description="None of a rate.", examples=["month"])
    unit: str = Field(examples=["credits"])
    limit: str = Field(examples=["1000"])
    used: str = Field(examples=["12"])
    reserved: str = Field(examples=["1"])
    unknown: str = Field(description="Of calls whose end nobody told; counts as spent.", examples=["0"])
    left: str = Field(examples=["987"])
    reset: float | None = Field(description="When it is whole again, unix seconds.")


class ProviderDrift(BaseModel):
    """What the provider's own account told, beside what is counted here, in credits."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    told: int
    counted: int
    drift: int = Field(description="Told less counted: above zero somebody else spends with the key.")
    adopted: int = Field(description="How many of them were counted here at once.")
    read_at: float


class ProviderState(BaseModel):
    """One provider, or one key of it. Times are unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(examples=["tavily"])
    state: State = Field(
        description="ready, or why it is not asked: off (by an administrator), refused (it refused us and waits to be "
        "switched on), throttled or exhausted (until `retry_at`), open or half_open (its breaker), spent (a quota), "
        "not_configured (by this process)."
    )
    enabled: bool
    place: int | None = Field(description="Among the others, from 1; None: after those that have one.")
    breaker: Literal["closed", "open", "half_open"]
    failures: int = Field(description="That count towards opening the breaker.")
    retry_at: float | None = Field(description="When it may be asked again, where waiting helps.")
    last_error: str | None = Field(
        description="What the provider said itself is shown to whose account it is."
    )
    last_error_at: float | None
    calls: int = Field(description="Since it was first asked.")
    errors: int
    cost_microusd: int | None = Field(description="What a plain search is expected to cost.")
    spent_this_month: str | None = Field(
        description="With its unit; None where nothing is counted by the month."
    )
    quotas: list[ProviderQuota]
    drift: ProviderDrift | None = Field(description="As this process read it last; None when it never did.")


class ProviderService:
    """The use-cases of providers. Every method takes who asks first.

    How they are, their quotas and their order are those of the account (`Lookups.account`), whoever asks. Every tenant
    sees them; the account's own tenant changes them, and sees what a provider said itself.
    """

    def __init__(self, procedures: Procedures, lookups: Lookups) -> None:
        self._procedures = procedures
        self._lookups = lookups
        self._watches: Mapping[str, UsageWatch] = {}

    async def watch(self, identity: Identity) -> None:
        """Define the quotas of the providers and compare their accounts with what is counted here, for ever."""
        self._watches = watches_of(self._lookups, self._procedures, identity)
        await keep_usage(self._lookups, self._watches, identity)

    async def find(self, identity: Identity) -> list[ProviderState]:
        """Every provider in the order in which they are asked; also those that were asked once and are gone now."""
        await self._lookups.define_quotas(identity)
        account = self._lookups.account(identity)
        stored = {row.provider: row for row in await self._procedures.lookup_providers(tenant=account.tenant)}
        providers = self._lookups.providers(identity, agents=True)
        reports = await self._reports(account, providers.values())
        now, is_own = self._procedures.server_time(), self._is_own(identity)
        states = [
            _state(name, providers.get(name), stored.get(name), reports, now, self._watches.get(name), is_own)
            for name in [*providers, *(name for name in stored if name not in providers and name != MODEL)]
        ]
        # Stable: those without a place stay in the order of the settings.
        return sorted(states, key=lambda one: one.place or _MOST_PLACES + 1)

    async def breakers(self, identity: Identity, timeout: float | None = None) -> list[LookupProvider]:
        """What the store knows of the providers that were ever asked."""
        tenant = self._lookups.account(identity).tenant
        return await self._procedures.lookup_providers(tenant=tenant, timeout=timeout)

    async def get(self, identity: Identity, name: str) -> ProviderState:
        """One provider. Raises NotFound."""
        for state in await self.find(identity):
            if state.name == name:
                return state
        raise NotFound(
            f"there is no provider {name}", code="PROVIDER_NOT_FOUND", details={"provider": name[:128]}
        )

    async def change(
        self, identity: Identity, name: str, *, enabled: bool | None = None, place: int | None = None
    ) -> ProviderState:
        """Switch a provider on or off, or give it a place (1..100) among the others; what is not given stays.

        Switching it on forgets what blocked it and closes its breaker. Raises NotFound, Denied (OPERATOR_ONLY) for
        another tenant than the account's.
        """
        self._require_own(identity)
        await self.get(identity, name)
        await self._procedures.lookup_set_provider(
            tenant=identity.tenant, provider=name, enabled=enabled, place=place
        )
        return await self.get(identity, name)

    async def order(self, identity: Identity, names: Sequence[str]) -> list[ProviderState]:
        """Ask providers in this order; those that are not named follow as they were.

        Raises NotFound, Invalid, Denied (OPERATOR_ONLY) for another tenant than the account's.
        """
        self._require_own(identity)
        if len(set(names)) < len(names) or not names:
            raise Invalid("name each provider once", code="INVALID_ARGUMENT", details={"argument": "names"})
        known = [state.name for state in await self.find(identity)]
        for name in names:
            if name not in known:
                await self.get(identity, name)
        wanted = [*names, *(name for name in known if name not in names)]
        for place, name in enumerate(wanted, 1):
            await self._procedures.lookup_set_provider(tenant=identity.tenant, provider=name, place=place)
        return await self.find(identity)

    def _is_own(self, identity: Identity) -> bool:
        return self._lookups.account(identity).tenant == identity.tenant

    def _require_own(self, identity: Identity) -> None:
        if not self._is_own(identity):
            raise Denied(
                "providers are shared by every tenant of this server: its own, LYCOSA_TENANT, switches and orders them",
                code="OPERATOR_ONLY",
            )

    async def _reports(self, account: Identity, providers: Any) -> dict[str, QuotaReport]:
        names = sorted({claim["quota"] for one in providers for claim in one.claims(SearchOptions())})
        found: dict[str, QuotaReport] = {}
        for name in names:
            try:
                page = await self._procedures.quota_report(tenant=account.tenant, quotas=[name])
            except NotFound:
                continue
            found[name] = page.rows[0]
        return found


def _state(
    name: str,
    provider: Provider | None,
    row: LookupProvider | None,
    reports: dict[str, QuotaReport],
    now: float,
    watch: UsageWatch | None,
    is_own: bool,
) -> ProviderState:
    claims = [] if provider is None else provider.claims(SearchOptions())
    mine = {claim["quota"]: reports[claim["quota"]] for claim in claims if claim["quota"] in reports}
    lacking = [
        mine[one["quota"]]
        for one in claims
        if one["quota"] in mine and mine[one["quota"]].left < one["amount"]
    ]
    state, retry_at = _standing(row, now)
    if provider is None:
        state, retry_at = "not_configured", None
    elif state == "ready" and any(not report.shadow for report in lacking):
        state = "spent"
        retry_at = min((report.reset for report in lacking if report.reset is not None), default=None)
    month = next((report for report in mine.values() if report.window == "month"), None)
    spent = None
    if month is not None:
        spent = f"{plain_amount(month.used + month.unknown, month.scale)} {month.unit}".rstrip()
    return ProviderState(
        name=name,
        state=state,
        enabled=row is None or row.enabled,
        place=None if row is None else row.place,
        breaker="closed" if row is None else row.breaker,
        failures=0 if row is None else row.failures,
        retry_at=retry_at,
        last_error=None if row is None else _said(row.last_error, is_own),
        last_error_at=None if row is None else row.last_error_at,
        calls=0 if row is None else row.calls,
        errors=0 if row is None else row.errors,
        cost_microusd=None if provider is None else provider.cost(SearchOptions()),
        spent_this_month=spent,
        quotas=[_quota(report) for report in mine.values()],
        drift=None if watch is None or watch.last is None else ProviderDrift.model_validate(watch.last),
    )


def _said(error: str | None, is_own: bool) -> str | None:
    """The last error. What the provider said itself stands behind a colon, and may repeat what its tenant asked."""
    return error if error is None or is_own else error.partition(":")[0]


def _standing(row: LookupProvider | None, now: float) -> tuple[State, float | None]:
    """What the store knows of a provider, its quotas apart."""
    if row is None:
        return "ready", None
    if not row.enabled:
        return ("refused" if row.blocked_by == "refused" else "off"), None
    if row.blocked_by is not None and row.blocked_until > now:
        return row.blocked_by, row.blocked_until
    if row.breaker == "open":
        return "open", row.opens_until
    if row.breaker == "half_open":
        return "half_open", None
    return "ready", None


def _quota(report: QuotaReport) -> ProviderQuota:
    amounts = {
        name: plain_amount(getattr(report, name), report.scale)
        for name in ("limit", "used", "reserved", "unknown", "left")
    }
    return ProviderQuota(
        quota=report.quota, window=report.window, unit=report.unit, reset=report.reset, **amounts
    )
