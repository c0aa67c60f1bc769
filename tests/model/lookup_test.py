"""The gate against a small reference: every procedure of the domain by chance, under a frozen clock (C1, C5, C7)."""

import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lycosa.procedures import LeaseLost, LookupDecision
from tests.conftest import Store
from tests.model.lookup_reference import COSTS, KEEP_FAILED, UNITS, Entry, Gate, Lease
from tests.model.store_driver import Driver

START = 1_700_000_000.0
KEYS = st.sampled_from(["k", "ключ"])
MAX_AGES = st.sampled_from([None, None, 0.0, 20.0])
STALE_FOR = st.sampled_from([0.0, 31_536_000.0])
CAUSES = st.sampled_from(
    ["transient", "transient", "transient", "late", "throttled", "exhausted", "refused", "invalid"]
)
# What does not exist at all, a lease long gone, or (mostly) the one that runs.
WHOSE = st.sampled_from(["mine", "mine", "mine", "old", "stranger"])


@pytest.fixture
def driver(own_server: Store) -> Iterator[Driver]:
    driver = Driver(own_server)
    yield driver
    driver.close()


class LookupMachine(RuleBasedStateMachine):
    """Callers of two questions and three providers; all times are whole eighths, so that sums are exact.

    Either one tenant asks both questions, or two tenants one each, for the account of a third.
    """

    driver: ClassVar[Driver]

    def __init__(self) -> None:
        super().__init__()
        self.account = secrets.token_hex(6)
        # Who asks, by key.
        self.asking = {"k": self.account, "ключ": self.account}
        self.gate = Gate(START)
        self.driver.run(self.driver.clock.freeze(START))
        self.tokens: list[str] = ["none"]
        self.tickets: list[str] = ["none"]
        self.requests = 0
        self.history = 0

    def call(self, name: str, **args: Any) -> Any:
        tenant = self.asking.get(args.get("key", ""), self.account)
        if name in ("lookup_begin", "lookup_await") and tenant != self.account:
            args["account"] = self.account
        return self.driver.run(getattr(self.driver.procedures, name)(tenant=tenant, **args))

    @initialize(threshold=st.integers(1, 3), is_shared=st.booleans())
    def define(self, threshold: int, is_shared: bool) -> None:
        if is_shared:
            self.asking = {key: f"{self.account}-{number}" for number, key in enumerate(self.asking)}
        for name, cost in COSTS.items():
            if cost:
                self.call("quota_define", quota=name, kind="window", window="total", amount=UNITS)
            self.call("lookup_set_provider", provider=name, threshold=threshold, cooldown=30.0)
            self.gate.health[name].threshold = threshold

    def candidates(self) -> list[dict[str, Any]]:
        return [
            {"provider": name, "cost": cost, "claims": [{"quota": name, "amount": 1}] if cost else []}
            for name, cost in COSTS.items()
        ]

    def fresh_id(self) -> str:
        self.requests += 1
        return f"r{self.requests}"

    # Decisions.

    def check_decision(
        self, key: str, decided: LookupDecision, found: str | None, ticket: str | None, lease: float
    ) -> None:
        """One decision of begin or await, and what follows from it."""
        gate = self.gate
        if found is not None:
            assert decided.entry is not None
            assert decided.entry.value == gate.entries[key].value
            self.history += 1
        if found == "hit":
            assert decided.outcome == "hit"
            return
        held = gate.current(key, ticket)
        if held is not None and held.state == "leased":
            if found == "stale":
                assert (decided.outcome, decided.reason, decided.lease) == ("stale", "refreshing", None)
            else:
                assert (decided.outcome, decided.ticket, decided.ends_at) == (
                    "pending",
                    held.ticket,
                    held.ends,
                )
            return
        if held is not None and found is None:
            assert (decided.outcome, decided.denial) == ("denied", held.denial)
            return
        if held is not None:
            # Whoever followed a failure and has an old answer.
            assert decided.outcome == "stale"
        self.check_new(key, decided, found, lease)

    def check_new(self, key: str, decided: LookupDecision, found: str | None, lease: float) -> None:
        gate = self.gate
        choice = gate.choose([])
        assert [(one.provider, one.reason) for one in decided.skipped] == choice.skipped
        if choice.provider is None:
            assert decided.lease is None
            if found == "stale":
                assert (decided.outcome, decided.reason) == ("stale", "denied")
                return
            assert decided.outcome == "denied"
            assert decided.denial is not None
            self.check_denial(decided.denial, gate.denial([], choice))
            return
        made = decided.lease
        assert made is not None
        assert decided.outcome == ("stale" if found == "stale" else "lease")
        assert (made.provider, made.reason, made.attempt) == (choice.provider, choice.reason, 1)
        assert (made.refresh, made.ends_at) == (found == "stale", gate.now + lease)
        reservation = gate.lend(choice, made.token, made.ends_at)
        assert (made.reservation_id is None) == (reservation is None)
        gate.leases[key] = Lease(made.token, made.ticket, made.ends_at, made.provider, reservation)
        self.tokens.append(made.token)
        self.tickets.append(made.ticket)

    @staticmethod
    def check_denial(denial: Any, expected: tuple[str, float | None]) -> None:
        kind, wait = expected
        assert denial.kind == kind
        assert denial.retry_after == (None if wait is None else pytest.approx(wait))

    @rule(key=KEYS, max_age=MAX_AGES, stale_for=STALE_FOR, lease=st.sampled_from([0.5, 10.0, 100.0]))
    def begin(self, key: str, max_age: float | None, stale_for: float, lease: float) -> None:
        found = self.gate.usable(key, max_age, stale_for, None)
        decided = self.call(
            "lookup_begin",
            key=key,
            question=key,
            providers=self.candidates(),
            max_age=max_age,
            stale_for=stale_for,
            lease=lease,
            request={"id": self.fresh_id()},
        )
        self.check_decision(key, decided, found, None, lease)

    @rule(
        key=KEYS,
        max_age=MAX_AGES,
        stale_for=STALE_FOR,
        back=st.integers(1, 3),
        ago=st.sampled_from([None, 0.0, 10.0]),
    )
    def follow(self, key: str, max_age: float | None, stale_for: float, back: int, ago: float | None) -> None:
        ticket = self.tickets[-min(back, len(self.tickets))]
        since = None if ago is None else self.gate.now - ago
        found = self.gate.usable(key, max_age, stale_for, since)
        held = self.gate.current(key, ticket)
        if found == "stale" and held is not None and held.state == "failed":
            return
        decided = self.call(
            "lookup_await",
            key=key,
            question=key,
            providers=self.candidates(),
            max_age=max_age,
            stale_for=stale_for,
            lease=10.0,
            request={"id": self.fresh_id()},
            ticket=ticket,
            wait=0.0,
            since=since,
        )
        self.check_decision(key, decided, found, ticket, 10.0)

    # What leaders say.

    def token(self, key: str, whose: str) -> str:
        lease = self.gate.leases.get(key)
        if whose == "mine" and lease is not None:
            return lease.token
        return self.tokens[0] if whose == "stranger" else self.tokens[-1]

    def spend(self, lease: Lease, amount: int) -> None:
        if lease.reservation is not None:
            lease.reservation.spent = amount

    def amounts(self, lease: Lease | None, amount: int) -> list[dict[str, Any]]:
        if lease is None or lease.reservation is None:
            return []
        return [{"quota": lease.provider, "amount": amount}]

    @rule(
        key=KEYS,
        whose=WHOSE,
        amount=st.integers(0, 3),
        ttl=st.sampled_from([5.0, 60.0]),
        stale_for=st.sampled_from([0.0, 500.0]),
    )
    def finish(self, key: str, whose: str, amount: int, ttl: float, stale_for: float) -> None:
        gate, token = self.gate, self.token(key, whose)
        lease = gate.held(key, token)
        value = secrets.token_bytes(4)
        args: dict[str, Any] = {
            "key": key,
            "token": token,
            "value": value,
            "ttl": ttl,
            "stale_for": stale_for,
        }
        args |= {"amounts": self.amounts(lease, amount), "request": {"id": self.fresh_id()}}
        if lease is None:
            with pytest.raises(LeaseLost):
                self.call("lookup_finish", **args)
            return
        assert self.call("lookup_finish", **args).cached
        self.history += 1
        self.spend(lease, amount)
        gate.health[lease.provider].close()
        gate.entries[key] = Entry(gate.now, gate.now + ttl, gate.now + ttl + stale_for, value)
        del gate.leases[key]

    @rule(
        key=KEYS,
        whose=WHOSE,
        cause=CAUSES,
        charged=st.booleans(),
        amount=st.integers(0, 3),
        wait=st.sampled_from([None, 2.0, 50.0]),
    )
    def fail(self, key: str, whose: str, cause: str, charged: bool, amount: int, wait: float | None) -> None:
        gate, token = self.gate, self.token(key, whose)
        lease = gate.held(key, token)
        args: dict[str, Any] = {
            "key": key,
            "token": token,
            "cause": cause,
            "charged": charged,
            "error": "нет",
        }
        args |= {"amounts": self.amounts(lease, amount) if charged else [], "retry_after": wait}
        if lease is None:
            with pytest.raises(LeaseLost):
                self.call("lookup_fail", **args)
            return
        decided: LookupDecision = self.call("lookup_fail", **args)
        self.spend(lease, amount if charged else 0)
        health = gate.health[lease.provider]
        if cause == "invalid":
            health.close()
            assert decided.denial is not None
            assert (decided.outcome, decided.denial.kind) == ("denied", "invalid")
            self.give_up(lease, decided)
            return
        health.fail(cause, token, wait, gate.now)
        lease.tried.append(lease.provider)
        choice = gate.choose(lease.tried)
        assert [(one.provider, one.reason) for one in decided.skipped] == choice.skipped
        if choice.provider is None:
            assert decided.outcome == "denied"
            self.check_denial(decided.denial, gate.denial(lease.tried, choice))
            self.give_up(lease, decided)
            return
        assert decided.lease is not None
        assert (decided.outcome, decided.lease.provider) == ("lease", choice.provider)
        assert (decided.lease.token, decided.lease.ticket) == (lease.token, lease.ticket)
        assert (decided.lease.ends_at, decided.lease.attempt) == (lease.ends, lease.attempt + 1)
        lease.provider, lease.attempt = choice.provider, lease.attempt + 1
        lease.reservation = gate.lend(choice, token, lease.ends)

    def give_up(self, lease: Lease, decided: LookupDecision) -> None:
        lease.state, lease.denial, lease.ends = "failed", decided.denial, self.gate.now + KEEP_FAILED
        self.gate.health[lease.provider].abandon(lease.token)

    @rule(key=KEYS, whose=WHOSE, charged=st.booleans())
    def release(self, key: str, whose: str, charged: bool) -> None:
        gate, token = self.gate, self.token(key, whose)
        lease = gate.held(key, token)
        if lease is None:
            with pytest.raises(LeaseLost):
                self.call("lookup_release", key=key, token=token, charged=charged)
            return
        self.call("lookup_release", key=key, token=token, charged=charged)
        self.spend(lease, 1 if charged else 0)
        gate.health[lease.provider].abandon(token)
        del gate.leases[key]

    # What administrators and time do.

    @rule(
        name=st.sampled_from(sorted(COSTS)),
        enabled=st.sampled_from([None, True, True, False]),
        place=st.sampled_from([None, 1, 2, 3]),
    )
    def administer(self, name: str, enabled: bool | None, place: int | None) -> None:
        self.call("lookup_set_provider", provider=name, enabled=enabled, place=place)
        health = self.gate.health[name]
        health.place = place or health.place
        if enabled is not None:
            health.enabled = enabled
        if enabled:
            health.blocked_until, health.blocked_by, health.probe = 0.0, None, None
            health.breaker, health.failures = "closed", 0

    @rule(seconds=st.sampled_from([0.125, 0.5, 5.0, 10.0, 30.0, 60.0, 600.0]))
    def advance(self, seconds: float) -> None:
        self.driver.run(self.driver.clock.advance(seconds))
        self.gate.now += seconds

    @rule(cause=st.sampled_from(["transient", "transient", "invalid", "throttled", None]))
    def storm(self, cause: str | None) -> None:
        """Calls fail until breakers open; after the cool-down two callers come, and one of them is the probe."""
        for _ in range(3):
            self.begin("k", 0.0, 0.0, 10.0)
            for _ in COSTS:
                self.fail("k", "mine", "transient", False, 0, None)
        self.advance(30.0)
        self.begin("k", 0.0, 0.0, 10.0)
        self.begin("ключ", 0.0, 0.0, 10.0)
        if cause is None:
            self.advance(10.0)
            self.begin("ключ", 0.0, 0.0, 10.0)
        else:
            self.fail("k", "mine", cause, False, 0, 2.0)

    @rule(step=st.sampled_from(["lookup.forget", "quota.lapse", "cache.expire"]))
    def tidy(self, step: str) -> None:
        self.driver.run(self.driver.clock.drain(step))

    # What always holds.

    @invariant()
    def sums_are_right(self) -> None:
        rows = {row.quota: row for row in self.call("quota_report").rows}
        for name in rows:
            row = rows[name]
            assert (row.used, row.reserved, row.unknown) == self.gate.sums(name), name

    @invariant()
    def providers_are_as_told(self) -> None:
        for row in self.call("lookup_providers"):
            health = self.gate.health[row.provider]
            assert (row.enabled, row.breaker, row.place) == (
                health.enabled,
                health.state(self.gate.now),
                health.place,
            )
            assert (row.failures, row.calls, row.errors) == (health.failures, health.calls, health.errors)
            assert (row.blocked_by, row.blocked_until) == (health.blocked_by, health.blocked_until)

    def teardown(self) -> None:
        rows = [
            row
            for tenant in set(self.asking.values())
            for row in self.driver.run(
                self.driver.procedures.request_list(tenant=tenant, by="time", limit=1000)
            ).rows
        ]
        assert len(rows) == self.history


def test_the_gate_is_as_the_reference(driver: Driver) -> None:
    LookupMachine.driver = driver
    run_state_machine_as_test(
        LookupMachine,
        settings=settings(
            settings.default,
            suppress_health_check=list(HealthCheck),
        ),
    )
