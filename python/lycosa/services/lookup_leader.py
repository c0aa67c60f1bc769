"""The leader of a look-up: buys the answer under a lease; what was paid is neither lost nor hidden."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Literal
from uuid import uuid4

import structlog

from lycosa.errors import Invalid, LycosaError, TimedOut, Unavailable
from lycosa.procedures import (
    LeaseLost,
    LookupDecision,
    LookupLease,
    LookupSkipped,
    Procedures,
    QuotaReservationState,
    RequestExists,
)
from lycosa.providers.findings import Cause, Findings, ProviderFailure
from lycosa.services.lookup_forms import Kept, LookupAnswer, Search, family, passed_over
from lycosa.telemetry import LookupMetrics

__all__ = ["LEASE_SLACK", "Leader", "Spawn"]

_log = structlog.get_logger("lycosa.lookups")

# Seconds that a lease lasts beyond its leader's deadline, to bring the answer home.
LEASE_SLACK: Final = 2.0
# Beyond the deadline that a provider was given: it should have seen to that itself.
_GRACE: Final = 0.25
# Seconds by topic after which an answer is old, at the most.
_FRESH: Final = {"general": 31_536_000.0, "news": 3_600.0, "finance": 900.0}
_NOTHING_FOUND: Final = 600.0
_OWN_KNOWLEDGE: Final = 60.0
_FINISH_AGAIN: Final = (0.1, 0.4)
_MOST_BYTES: Final = 1_000_000

# The part of its time that a provider has used up which failed for want of it.
_USED_UP: Final = 0.8

Result = Cause | Literal["ok", "cancelled", "fault"]
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


class Leader:
    """Buys under leases. Whatever has to happen although the caller has gone is spawned."""

    def __init__(
        self,
        procedures: Procedures,
        metrics: LookupMetrics,
        spawn: Spawn,
        ttl: float,
        stale_for: float,
        fair: float,
    ) -> None:
        """`ttl` and `stale_for` are the seconds that an answer is fresh, and may be served after that. A provider that
        was given less than `fair` seconds is not blamed for using them up.
        """
        self._procedures = procedures
        self._metrics = metrics
        self._spawn = spawn
        self._ttl = ttl
        self._stale_for = stale_for
        self._fair = fair

    async def buy(
        self, search: Search, lease: LookupLease, skipped: Sequence[LookupSkipped]
    ) -> LookupAnswer | LookupDecision | None:
        """Ask the provider of a lease, and the next ones while they fail.

        Gives the answer, or the denial when nobody is left, or None when the question has to be put to the gate again:
        the lease has gone to somebody else, or only the store's own knowledge is left where a bought answer is kept.
        """
        passed, tried = list(skipped), 0
        while True:
            if not search.is_paid(lease.provider) and await self._has_bought_answer(search):
                await self.release(search, lease, charged=False)
                search.degraded, search.takes_old = self._reasons(search, lease, passed), True
                return None
            try:
                findings = await self._ask(search, lease, len(search.providers) - tried)
            except ProviderFailure as failure:
                decision = await self._failed(search, lease, failure)
                if decision is None or decision.lease is None:
                    return decision
                tried += 1
                passed += decision.skipped
                lease = decision.lease
            except asyncio.CancelledError:
                # What was sent is spent, as far as anybody knows.
                self._spawn(self.release(search, lease, charged=True), "release")
                search.wasted_microusd += search.providers[lease.provider].cost(search.options)
                raise
            else:
                search.degraded = self._reasons(search, lease, passed)
                # An answer that is there is paid for: it is brought home whether or not anybody still waits for it.
                await asyncio.shield(self._spawn(self._bring_home(search, lease, findings), "finish"))
                return self._bought(search, lease, findings)

    def _bought(self, search: Search, lease: LookupLease, findings: Findings) -> LookupAnswer:
        return LookupAnswer(
            findings=findings,
            outcome="bought",
            provider=lease.provider,
            degraded=search.degraded,
            cost_microusd=findings.cost_microusd + search.wasted_microusd,
            answered_at=self._procedures.server_time(),
            request_id=search.request_id,
        )

    def _reasons(self, search: Search, lease: LookupLease, passed: Sequence[LookupSkipped]) -> list[str]:
        """Who did not answer, and why; another key of the provider that does is not worth a word."""
        mine = family(lease.provider)
        others = [one for one in passed if family(one.provider) != mine]
        return [
            *(f"{name}: {problem}" for name, problem in search.failures if family(name) != mine),
            *passed_over(others),
        ]

    async def _has_bought_answer(self, search: Search) -> bool:
        entry = await self._procedures.cache_get(tenant=search.identity.tenant, key=search.key, stale=True)
        try:
            return entry is not None and Kept.of(entry).paid
        except ValueError:
            return False

    async def _ask(self, search: Search, lease: LookupLease, others: int) -> Findings:
        """One provider. Half of the time is kept for those behind it, as long as there are any."""
        provider = search.providers[lease.provider]
        seconds = search.left if others <= 1 else search.left / 2
        started = time.perf_counter()
        result: Result = "cancelled"
        status, cost = 0, 0
        try:
            async with asyncio.timeout(seconds + _GRACE):
                findings = await provider.search(search.question, search.options, seconds)
            result, status, cost = "ok", findings.status, findings.cost_microusd
            return findings
        except ProviderFailure as failure:
            if failure.cause == "transient" and self._is_hurried(seconds, started):
                failure.cause = "late"
            result, status = failure.cause, failure.status or 0
            raise
        except TimeoutError:
            cause: Cause = "late" if self._is_hurried(seconds, started) else "transient"
            result = cause
            raise ProviderFailure(
                f"no answer within {seconds:.1f} s", provider=provider.name, cause=cause, charged=True
            ) from None
        except Exception as problem:
            result = "fault"
            _log.exception("provider_faulty", provider=lease.provider, request=search.request_id)
            raise ProviderFailure(
                f"a fault of ours ({type(problem).__name__})",
                provider=provider.name,
                cause="transient",
                charged=True,
            ) from problem
        finally:
            elapsed = time.perf_counter() - started
            self._metrics.called(lease.provider, result, elapsed, cost)
            _log.info(
                "provider_called",
                provider=lease.provider,
                result=result,
                status=status,
                cost_microusd=cost,
                duration_ms=round(elapsed * 1000, 1),
                request=search.request_id,
            )

    def _is_hurried(self, seconds: float, started: float) -> bool:
        """Whether a provider failed for want of time. It is not to blame: its breaker is everybody's, and callers in a
        hurry would open it to all.
        """
        return seconds < self._fair and time.perf_counter() - started >= _USED_UP * seconds

    async def _failed(
        self, search: Search, lease: LookupLease, failure: ProviderFailure
    ) -> LookupDecision | None:
        """Tell the gate. None when the lease was lost meanwhile."""
        search.failures.append((lease.provider, failure.message[:300]))
        if failure.charged:
            search.wasted_microusd += search.providers[lease.provider].cost(search.options)
        telling = asyncio.ensure_future(
            self._procedures.lookup_fail(
                tenant=search.identity.tenant,
                key=search.key,
                token=lease.token,
                cause=failure.cause,
                # Where it is known what was taken, that is counted: requests that cost nothing have a rate, too.
                charged=failure.charged or bool(failure.amounts),
                amounts=search.amounts(lease.provider, failure.amounts),
                error=failure.message.encode()[:1000].decode(errors="ignore"),
                retry_after=failure.retry_after,
            )
        )
        try:
            return await asyncio.shield(telling)
        except asyncio.CancelledError:
            self._spawn(self.disown(search, telling), "disown")
            raise
        except LeaseLost:
            _log.warning("lease_lost", provider=lease.provider, request=search.request_id, answered=False)
            await self._reconcile(search, lease, failure.amounts, charged=failure.charged)
            return None

    async def disown(self, search: Search, deciding: "asyncio.Future[LookupDecision]") -> None:
        """Wait for a decision that nobody waits for any more, and give up its lease, if there is one."""
        try:
            decision = await deciding
        except LycosaError:
            return
        if decision.lease is not None:
            await self.release(search, decision.lease, charged=False)

    async def release(
        self, search: Search, lease: LookupLease, *, charged: bool, findings: Findings | None = None
    ) -> None:
        """Give a lease up without blame. When that fails the lease ends by itself."""
        try:
            await self._procedures.lookup_release(
                tenant=search.identity.tenant,
                key=search.key,
                token=lease.token,
                charged=charged,
                amounts=None if findings is None else search.amounts(lease.provider, findings.amounts),
            )
        except LycosaError as problem:
            _log.warning("lease_not_released", provider=lease.provider, code=problem.code)

    async def _bring_home(self, search: Search, lease: LookupLease, findings: Findings) -> None:
        """Finish the lease. What cannot be stored is logged and told in `search.degraded`; the caller is answered."""
        for pause in (*_FINISH_AGAIN, None):
            try:
                await self._finish(search, lease, findings)
                return
            except RequestExists:
                # Somebody has taken the id since: the history gets one of its own.
                search.request_id = str(uuid4())
            except LeaseLost:
                _log.warning("lease_lost", provider=lease.provider, request=search.request_id, answered=True)
                await self._reconcile(search, lease, findings.amounts, charged=True)
                await self._append(search, findings)
                return
            except (Unavailable, TimedOut) as problem:
                if pause is None:
                    self._unrecorded(search, lease, problem)
                    return
                await asyncio.sleep(pause)
            except LycosaError as problem:
                self._unrecorded(search, lease, problem)
                await self.release(search, lease, charged=True, findings=findings)
                return

    def _unrecorded(self, search: Search, lease: LookupLease, problem: LycosaError) -> None:
        _log.error(
            "answer_not_kept",
            provider=lease.provider,
            request=search.request_id,
            code=problem.code,
            problem=problem.message,
        )
        search.degraded.append(f"history: the search was not recorded ({problem.code})")

    async def _finish(self, search: Search, lease: LookupLease, findings: Findings) -> None:
        paid = search.is_paid(lease.provider)
        is_empty = not findings.results and not findings.answer
        ttl = min(self._ttl, _FRESH[search.options.topic])
        if not paid:
            ttl = min(ttl, _OWN_KNOWLEDGE)
        elif is_empty:
            ttl = min(ttl, _NOTHING_FOUND)
        kept = Kept(provider=lease.provider, paid=paid, degraded=search.degraded, findings=findings)
        value = kept.model_dump_json().encode()
        if len(value) > _MOST_BYTES:
            raise Invalid("the answer is larger than the store takes", code="ANSWER_TOO_LARGE")
        answer = await self._procedures.lookup_finish(
            tenant=search.identity.tenant,
            key=search.key,
            token=lease.token,
            value=value,
            ttl=ttl,
            stale_for=self._stale_for if paid and not is_empty else None,
            negative=is_empty or None,
            tags=["search", f"provider:{family(lease.provider)}"],
            amounts=search.amounts(lease.provider, findings.amounts),
            request=search.answered(findings),
            documents=search.documents(findings) if paid else None,
        )
        if answer.problem is not None or not answer.cached:
            _log.warning("answer_kept_in_part", cached=answer.cached, problem=answer.problem)

    async def _reconcile(
        self, search: Search, lease: LookupLease, amounts: Mapping[str, int], *, charged: bool
    ) -> None:
        """Say what a reservation really cost whose lease was lost: it counts as unknown until then."""
        if lease.reservation_id is None:
            return
        tenant, id_, spent = (
            search.account.tenant,
            lease.reservation_id,
            search.amounts(lease.provider, amounts),
        )
        try:
            if charged or spent:
                await self._procedures.quota_reconcile(
                    tenant=tenant,
                    id=id_,
                    amounts=[{"quota": one["quota"], "amount": one["amount"]} for one in spent],
                )
            else:
                await self._procedures.quota_refund(tenant=tenant, id=id_)
        except QuotaReservationState:
            # Closed after all: by a call of ours whose answer had not come.
            pass
        except LycosaError as problem:
            _log.error("not_reconciled", reservation=id_, code=problem.code)

    async def _append(self, search: Search, findings: Findings) -> None:
        row = search.answered(findings)
        try:
            await self._procedures.request_append(
                tenant=search.identity.tenant,
                id=search.request_id,
                customer_id=search.customer_id,
                kind=row["kind"],
                status=row["status"],
                question=search.question,
                answer=row.get("answer"),
                model=row["model"],
                cost_microusd=row["cost_microusd"],
                tokens_in=row["tokens_in"],
                tokens_out=row["tokens_out"],
                duration_ms=row["duration_ms"],
                sources=[{**source} for source in row["sources"]],
            )
        except RequestExists:
            # Written by our own finish.
            pass
        except LycosaError as problem:
            _log.warning("request_not_recorded", request=search.request_id, code=problem.code)
