"""Look-ups: knowledge from outside, bought once and shared with everybody who asks the same."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import structlog
from pydantic import ValidationError

from lycosa.errors import Conflict, LycosaError, NotFound, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import (
    CacheEntry,
    LookupBusy,
    LookupDecision,
    LookupLease,
    Procedures,
    QuotaUnknown,
    RequestExists,
)
from lycosa.providers.findings import Provider, SearchOptions
from lycosa.services.lookup_forms import (
    SEARCH,
    Kept,
    LookupAnswer,
    Outcome,
    Search,
    checked_question,
    denied,
    late,
    passed_over,
    search_key,
)
from lycosa.services.lookup_leader import LEASE_SLACK, Leader
from lycosa.telemetry import LookupMetrics

__all__ = ["LookupAnswer", "Lookups"]

_log = structlog.get_logger("lycosa.lookups")

_MOST_SECONDS: Final = 590.0
# A provider that had less is not blamed for using it up; nor one that had less than this part of the usual deadline.
_FAIR_SECONDS: Final = 2.0
_FAIR_PART: Final = 0.25
# That the gate takes.
_MOST_PROVIDERS: Final = 8
# What is under way at the end has this long to bring its answer home.
_END_SECONDS: Final = 3.0


class Lookups:
    """The use-case of searching outside. `aclose` waits for what is under way and ends the providers."""

    def __init__(
        self,
        procedures: Procedures,
        providers: Sequence[Provider],
        *,
        agents: Sequence[Provider] = (),
        own: Callable[[Identity], Provider] | None = None,
        define: Callable[[Identity], Awaitable[None]] | None = None,
        account: str | None = None,
        timeout: float = 20.0,
        ttl: float = 86_400.0,
        stale_for: float = 604_800.0,
    ) -> None:
        """`providers` of results and `agents`, which write answers, in order of preference; `own` makes the one of a
        tenant's own knowledge, the last resort. `account` is the tenant whose quotas and breakers they are, whoever
        asks; absent, each tenant's own. `define` defines the quotas that they claim for an account.

        An answer is fresh for `ttl` seconds, and served old for `stale_for` more while it is renewed; `timeout` is the
        deadline of a search that gives none.
        """
        self._procedures = procedures
        self._providers, self._agents = tuple(providers), tuple(agents)
        self._own = own
        self._define = define
        self._account = None if account is None else Identity(account)
        # Accounts whose quotas this process has defined.
        self._defined: set[str] = set()
        self._defining = asyncio.Lock()
        self._timeout = timeout
        self.metrics = LookupMetrics()
        fair = min(_FAIR_SECONDS, timeout * _FAIR_PART)
        self._leader = Leader(procedures, self.metrics, self._spawn, ttl, stale_for, fair)
        # Work that outlives whoever asked for it: kept here so that it is neither lost nor collected.
        self._background: set[asyncio.Task[Any]] = set()

    def account(self, identity: Identity) -> Identity:
        """Whose the quotas, the breakers and the order of the providers are that a caller asks."""
        return self._account or identity

    def providers(self, identity: Identity, *, agents: bool = False) -> dict[str, Provider]:
        """Who can be asked by name, in order of preference; `agents` before those who bring results."""
        own = [] if self._own is None else [self._own(identity)]
        outside = [*(self._agents if agents else ()), *self._providers][: _MOST_PROVIDERS - len(own)]
        return {provider.name: provider for provider in (*outside, *own)}

    async def search(
        self,
        identity: Identity,
        question: str,
        options: SearchOptions | None = None,
        *,
        max_age: float | None = None,
        deadline: float | None = None,
        request_id: str | None = None,
        customer_id: str | None = None,
        agents: bool = False,
    ) -> LookupAnswer:
        """Answer a question from the cache, or by the first provider that can be had.

        Callers who ask the same at once share one call. An old answer is given at once and renewed behind it; with
        `max_age` (seconds) only when nobody can be asked. `deadline` is in seconds; `request_id` names the row in the
        history, `customer_id` (of at most 128 bytes) whom it is about. Cancelling it stops the call, and what was sent
        counts as spent. With `agents` those are asked first who write an answer. Raises Invalid, Exhausted and
        Unavailable with `retry_after`, TimedOut, Conflict for a request id that stands for something else.
        """
        question, options = checked_question(question), options or SearchOptions()
        seconds = min(self._timeout if deadline is None else max(0.05, deadline), _MOST_SECONDS)
        search = Search(
            identity=identity,
            account=self.account(identity),
            question=question,
            options=options,
            key=search_key(question, options, agents=agents),
            providers=self.providers(identity, agents=agents),
            ends=time.monotonic() + seconds,
            request_id=request_id or str(uuid4()),
            asked_at=self._procedures.server_time(),
            customer_id=customer_id,
            max_age=max_age,
            takes_old=max_age is None,
        )
        try:
            answer = await self._answer(search)
        except asyncio.CancelledError:
            self._spawn(self._record_end(search, "cancelled", "the caller went away"), "record")
            raise
        except LycosaError as problem:
            self.metrics.answered(problem.kind)
            self._spawn(self._record_end(search, "failed", f"{problem.code}: {problem.message}"), "record")
            raise
        self.metrics.answered(answer.outcome)
        _log.info(
            "search",
            cache=answer.outcome,
            provider=answer.provider,
            cost_microusd=answer.cost_microusd,
            results=len(answer.findings.results),
            degraded=len(answer.degraded),
            duration_ms=search.elapsed_ms,
            request=answer.request_id,
        )
        return answer

    async def define_quotas(self, identity: Identity) -> None:
        """Define the quotas of a caller's providers, once for each account; what they have counted stays."""
        account = self.account(identity)
        if self._define is None or account.tenant in self._defined:
            return
        async with self._defining:
            if account.tenant not in self._defined:
                await self._define(account)
                self._defined.add(account.tenant)

    async def aclose(self) -> None:
        """Wait for answers that are being brought home and renewed, then let go of the providers."""
        until = time.monotonic() + _END_SECONDS
        while self._background and time.monotonic() < until:
            await asyncio.wait(set(self._background), timeout=until - time.monotonic())
        for _ in range(2):
            # The first who are cancelled give up their leases.
            for task in set(self._background):
                if task.get_name() == "refresh":
                    task.cancel()
            if self._background:
                await asyncio.wait(set(self._background), timeout=0.5)
        for provider in (*self._providers, *self._agents):
            await provider.close()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._background.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            _log.error("background_failed", work=task.get_name(), problem=repr(problem))

    async def _answer(self, search: Search) -> LookupAnswer:
        """Go from decision to decision until there is an answer."""
        if not search.providers:
            raise Unavailable("no provider is set up", code="LOOKUP_UNAVAILABLE")
        await self.define_quotas(search.identity)
        decision, is_follower = await self._begin(search), False
        while True:
            if decision.entry is not None:
                answer = await self._served(search, decision, decision.entry, is_follower)
                if answer is not None:
                    return answer
                decision = await self._begin(search)
            elif decision.outcome == "pending":
                is_follower = True
                decision = await self._follow(search, decision)
            elif decision.lease is not None:
                bought = await self._leader.buy(search, decision.lease, decision.skipped)
                if isinstance(bought, LookupAnswer):
                    return bought
                decision = bought or await self._begin(search)
            elif not search.takes_old and decision.denial and decision.denial.kind != "invalid":
                # Better an old answer than none.
                search.degraded, search.takes_old = [decision.denial.reason], True
                decision = await self._begin(search)
            else:
                raise denied(decision)

    async def _begin(self, search: Search) -> LookupDecision:
        """The gate's decision. Raises TimedOut when the time is over."""
        if search.left <= 0:
            raise late(search)
        for attempt in (1, 2):
            try:
                return await self._deciding(
                    search,
                    self._procedures.lookup_begin(
                        tenant=search.identity.tenant,
                        key=search.key,
                        question=search.question,
                        providers=search.candidates(),
                        max_age=None if search.takes_old else search.max_age,
                        stale_for=None if search.takes_old else 0.0,
                        lease=search.left + LEASE_SLACK,
                        request=search.asked(),
                        account=search.account.tenant,
                    ),
                )
            except RequestExists:
                if attempt == 2:
                    raise
                await self._renamed(search)
            except QuotaUnknown:
                if attempt == 2 or self._define is None:
                    raise
                # Somebody has removed it since.
                self._defined.discard(search.account.tenant)
                await self.define_quotas(search.identity)
        raise AssertionError("two attempts end it")

    async def _follow(self, search: Search, pending: LookupDecision) -> LookupDecision:
        """Wait for the leader as long as the deadline lets us. Raises TimedOut."""
        if search.left <= 0 or pending.ticket is None:
            raise late(search)
        try:
            return await self._deciding(
                search,
                self._procedures.lookup_await(
                    tenant=search.identity.tenant,
                    key=search.key,
                    question=search.question,
                    providers=search.candidates(),
                    max_age=None if search.takes_old else search.max_age,
                    stale_for=None if search.takes_old else 0.0,
                    lease=search.left + LEASE_SLACK,
                    request=search.asked(),
                    account=search.account.tenant,
                    ticket=pending.ticket,
                    wait=search.left,
                    since=search.asked_at,
                ),
            )
        except LookupBusy as problem:
            pause = problem.retry_after or 0.5
            if pause >= search.left:
                raise
            await asyncio.sleep(pause)
            return pending
        except RequestExists:
            await self._renamed(search)
            return pending
        except Unavailable as problem:
            if problem.code != "CONNECTION_LOST":
                raise
            # The store has restarted, and leases have survived it: whoever leads may still finish.
            return await self._begin(search)

    async def _deciding(self, search: Search, call: Awaitable[LookupDecision]) -> LookupDecision:
        """A call to the gate. Should the caller go meanwhile, a lease that it brings is given up again."""
        deciding = asyncio.ensure_future(call)
        try:
            return await asyncio.shield(deciding)
        except asyncio.CancelledError:
            self._spawn(self._leader.disown(search, deciding), "disown")
            raise

    async def _renamed(self, search: Search) -> None:
        """The request was recorded before: when it asked the same, this is another one. Raises Conflict."""
        try:
            found = (
                await self._procedures.request_get(tenant=search.identity.tenant, id=search.request_id)
            ).request
        except NotFound:
            return
        if (
            found.kind != SEARCH
            or found.question != search.question
            or found.customer_id != search.customer_id
        ):
            raise Conflict(
                f"request {search.request_id} was recorded before and is not this question",
                code="REQUEST_EXISTS",
                details={"id": search.request_id},
            )
        search.request_id = str(uuid4())

    async def _served(
        self, search: Search, decision: LookupDecision, entry: CacheEntry, is_follower: bool
    ) -> LookupAnswer | None:
        """An answer of the cache. One that cannot be read is deleted, and None given."""
        try:
            kept = Kept.of(entry)
        except ValidationError as problem:
            _log.warning("answer_refused", problems=problem.error_count(), request=search.request_id)
            await self._procedures.cache_delete(tenant=search.identity.tenant, keys=[search.key])
            if decision.lease is not None:
                await self._leader.release(search, decision.lease, charged=False)
            search.request_id = str(uuid4())
            return None
        if decision.lease is not None:
            self._spawn(self._renew(search, decision.lease), "refresh")
        outcome: Outcome = "shared" if is_follower else "hit"
        # What was lacking when an answer was bought is no news to who finds it later.
        degraded = [*(kept.degraded if is_follower or not kept.paid else []), *search.degraded]
        now = self._procedures.server_time()
        if decision.outcome == "stale" or search.is_old(entry.created_at, now):
            outcome = "stale"
            degraded += passed_over(decision.skipped) if decision.lease is None else []
            made = datetime.fromtimestamp(entry.created_at, UTC)
            degraded.append(f"cache: the answer is of {made.isoformat(timespec='seconds')}")
        return LookupAnswer(
            findings=kept.findings,
            outcome=outcome,
            provider=kept.provider,
            degraded=degraded,
            cost_microusd=search.wasted_microusd,
            answered_at=entry.created_at,
            request_id=search.request_id,
        )

    async def _renew(self, asked: Search, lease: LookupLease) -> None:
        """Buy a new answer behind somebody who was given the old one. The history has a row of its own for it."""
        search = Search(
            identity=asked.identity,
            account=asked.account,
            question=asked.question,
            options=asked.options,
            key=asked.key,
            providers=asked.providers,
            ends=asked.ends,
            request_id=str(uuid4()),
            asked_at=self._procedures.server_time(),
            customer_id=asked.customer_id,
        )
        try:
            await self._leader.buy(search, lease, [])
        except LycosaError as problem:
            _log.warning("not_renewed", code=problem.code, request=asked.request_id)

    async def _record_end(self, search: Search, status: Any, error: str) -> None:
        """Append a search that has no answer, with what it has cost."""
        try:
            await self._procedures.request_append(
                tenant=search.identity.tenant,
                id=search.request_id,
                customer_id=search.customer_id,
                kind=SEARCH,
                status=status,
                question=search.question,
                cost_microusd=search.wasted_microusd,
                duration_ms=search.elapsed_ms,
                error=error.encode()[:1000].decode(errors="ignore"),
            )
        except LycosaError as problem:
            _log.warning("request_not_recorded", request=search.request_id, code=problem.code)
