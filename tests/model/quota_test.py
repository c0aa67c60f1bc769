"""Quotas against a reference that keeps no counters of what is held: it asks every reservation, each time (B1).

The clock is frozen, goes forward and back, and the step that writes down ended leases runs only now and then.
"""

import math
import secrets
from collections.abc import Coroutine, Iterator
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lycosa.errors import Conflict, Exhausted
from lycosa.procedures import QuotaReport
from tests.conftest import Store
from tests.model.quota_reference import LIMITS, WINDOWS, Held, Limit
from tests.model.store_driver import Driver

START = 1_700_000_000.0


@pytest.fixture
def driver(own_server: Store) -> Iterator[Driver]:
    driver = Driver(own_server)
    yield driver
    driver.close()


class QuotaMachine(RuleBasedStateMachine):
    """Every procedure of the domain, by chance."""

    driver: ClassVar[Driver]

    def __init__(self) -> None:
        super().__init__()
        self.tenant = secrets.token_hex(6)
        self.now = START
        self.went_back = 0
        self.clock(self.driver.clock.freeze(START))
        self.held: dict[str, Held] = {}
        self.limits = {name: Limit(name, fields["amount"], START) for name, fields in LIMITS.items()}
        self.limits["rate"].burst = 12

    @initialize(shadow=st.sets(st.sampled_from(sorted(LIMITS)), max_size=2))
    def define_all(self, shadow: set[str]) -> None:
        for name in LIMITS:
            self.limits[name].shadow = name in shadow
            self.define(name)

    def clock(self, call: Coroutine[Any, Any, None]) -> None:
        self.driver.run(call)

    def call(self, name: str, **args: Any) -> Any:
        return self.driver.run(getattr(self.driver.procedures, f"quota_{name}")(tenant=self.tenant, **args))

    def define(self, name: str) -> None:
        limit = self.limits[name]
        fields = LIMITS[name] | {"amount": limit.amount, "shadow": limit.shadow}
        self.call("define", quota=name, **fields)

    # What the reference says.

    def sums(self, name: str) -> tuple[int, int, int]:
        """used, reserved and unknown of a limit now."""
        limit = self.limits[name]
        if name == "rate":
            return math.ceil(limit.owed(self.now)), 0, 0
        used, since, _ = limit.rolled(self.now)
        mine = [held for held in self.held.values() if name in held.claims and held.closed is None]
        reserved = sum(held.claims[name] for held in mine if held.is_open(self.now))
        if name == "slots":
            return 0, reserved, 0
        unknown = sum(
            held.claims[name]
            for held in mine
            if not held.is_open(self.now) and held.lapses_at > since and name not in held.gone
        )
        return used, reserved, unknown

    def left(self, name: str) -> int:
        limit = self.limits[name]
        if name == "rate":
            return math.floor(limit.burst - limit.owed(self.now))
        return limit.amount - sum(self.sums(name))

    def blocking(self, claims: dict[str, int]) -> list[str]:
        return [name for name, n in claims.items() if n > self.left(name) and not self.limits[name].shadow]

    def charge(self, claims: dict[str, int], *, held: bool) -> set[str]:
        beyond = {name for name, amount in claims.items() if amount > self.left(name)}
        for name, amount in claims.items():
            limit = self.limits[name]
            limit.roll(self.now)
            limit.shadowed += name in beyond
            if name == "rate":
                limit.idle(self.now)
                if name in beyond:
                    continue
                limit.flow_in(self.now, amount)
            elif not held:
                limit.used += amount
            elif name in WINDOWS:
                # Its lease counts here, also when the clock is back before the window and the lease ends before it.
                limit.since = min(limit.since, self.now)
        return beyond

    def count_near(self, claims: dict[str, int], beyond: set[str]) -> None:
        for name in claims:
            if name != "rate" or name not in beyond:
                self.limits[name].near_count += self.is_near(name)

    def is_near(self, name: str) -> bool:
        limit = self.limits[name]
        if name == "rate":
            return limit.owed(self.now) * 5 >= limit.burst * 4
        return sum(self.sums(name)) * 5 >= limit.amount * 4

    def check_refusal(self, refusal: Exhausted, claims: dict[str, int]) -> None:
        name = str(refusal.details["quota"])
        assert name in self.blocking(claims)
        assert refusal.details["left"] == max(0, self.left(name))
        wait, limit = refusal.retry_after, self.limits[name]
        if name == "rate":
            if claims[name] > limit.burst:
                assert wait is None
            else:
                assert wait is not None
                then = Fraction(self.now + wait)
                level = max(Fraction(0), (limit.arrival - then) / limit.interval)
                assert level + claims[name] <= limit.burst
                assert limit.arrival - (then - Fraction(3, 1000)) + claims[name] * limit.interval > (
                    limit.burst * limit.interval
                )
        elif claims[name] > limit.amount or name == "total":
            assert wait is None
        elif name == "slots":
            assert wait is not None
            assert 0 < wait <= 1
        else:
            assert wait is not None
            assert self.now + wait == pytest.approx(limit.rolled(self.now)[2], abs=0.0011)

    # What may happen.

    CLAIMS = st.dictionaries(st.sampled_from(sorted(LIMITS)), st.integers(1, 9), min_size=1, max_size=4)

    @rule(claims=CLAIMS)
    def take(self, claims: dict[str, int]) -> None:
        claims.pop("slots", None)
        if not claims:
            return
        wanted = [{"quota": name, "amount": amount} for name, amount in claims.items()]
        if self.blocking(claims):
            with pytest.raises(Exhausted) as refusal:
                self.call("take", claims=wanted)
            self.check_refusal(refusal.value, claims)
            return
        states = self.call("take", claims=wanted)
        self.count_near(claims, self.charge(claims, held=False))
        assert [(state.quota, state.left) for state in states] == [
            (name, max(0, self.left(name))) for name in claims
        ]

    @rule(claims=CLAIMS, number=st.integers(0, 9), lease=st.sampled_from([0.5, 5.0, 70.0, 3600.0, 100_000.0]))
    def reserve(self, claims: dict[str, int], number: int, lease: float) -> None:
        self.try_to_reserve(claims, number, lease)

    def try_to_reserve(self, claims: dict[str, int], number: int, lease: float) -> None:
        name = f"r{number}"
        wanted = [{"quota": quota, "amount": amount} for quota, amount in claims.items()]
        held = self.held.get(name)
        if held is not None and held.forgotten_at <= self.now:
            return
        if held is not None:
            if held.claims == claims and held.is_open(self.now):
                assert self.call("reserve", id=name, claims=wanted, lease=lease).lapses_at == held.lapses_at
            else:
                with pytest.raises(Conflict):
                    self.call("reserve", id=name, claims=wanted, lease=lease)
        elif self.blocking(claims):
            with pytest.raises(Exhausted) as refusal:
                self.call("reserve", id=name, claims=wanted, lease=lease)
            self.check_refusal(refusal.value, claims)
        else:
            answer = self.call("reserve", id=name, claims=wanted, lease=lease)
            assert answer.state == "reserved"
            beyond = self.charge(claims, held=True)
            self.held[name] = Held(claims, self.now + lease)
            self.count_near(claims, beyond)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9))
    def reserve_again(self, which: int) -> None:
        name = self.existing(which)
        self.try_to_reserve(self.held[name].claims, int(name[1:]), 1.0)

    def existing(self, which: int) -> str:
        names = sorted(self.held)
        return names[which % len(names)]

    @precondition(lambda self: self.held)
    @rule(
        which=st.integers(0, 9),
        verb=st.sampled_from(["settle", "settle", "refund", "reconcile"]),
        told=st.dictionaries(
            st.sampled_from(["rate", "minute", "day", "total"]), st.integers(0, 12), max_size=4
        ),
    )
    def close(self, which: int, verb: str, told: dict[str, int]) -> None:
        name = self.existing(which)
        held = self.held[name]
        if held.forgotten_at <= self.now:
            return
        told = {quota: amount for quota, amount in told.items() if quota in held.claims}
        args: dict[str, Any] = {"id": name}
        if verb == "refund":
            told = {quota: 0 for quota in held.claims if quota not in ("slots", "rate")}
        else:
            args["amounts"] = [{"quota": quota, "amount": amount} for quota, amount in told.items()]
        spent = held.claims | told
        state = {"settle": "settled", "refund": "refunded", "reconcile": "reconciled"}[verb]
        before = held.state(self.now)
        if held.closed == (state, spent):
            assert self.call(verb, **args).state == state
        elif held.closed is not None or (verb == "reconcile" and before != "unknown"):
            with pytest.raises(Conflict) as refusal:
                self.call(verb, **args)
            assert refusal.value.details["state"] == before
        else:
            answer = self.call(verb, **args)
            assert (answer.state, {claim.quota: claim.spent for claim in answer.claims}) == (state, spent)
            self.count_closed(held, spent)
            held.closed, held.closed_at = (state, spent), self.now

    def count_closed(self, held: Held, spent: dict[str, int]) -> None:
        for quota, amount in held.claims.items():
            limit = self.limits[quota]
            limit.roll(self.now)
            if quota == "rate":
                if spent[quota] > amount:
                    limit.flow_in(self.now, spent[quota] - amount)
            elif quota != "slots" and (
                held.is_open(self.now) or (held.lapses_at > limit.since and quota not in held.gone)
            ):
                limit.used += spent[quota]

    @rule(seconds=st.sampled_from([0.125, 0.5, 1.0, 4.375, 30.0, 60.0, 3600.0, 86400.0]))
    def advance(self, seconds: float) -> None:
        self.go_on(seconds)

    @precondition(lambda self: any(held.is_open(self.now) for held in self.held.values()))
    @rule()
    def let_a_lease_end(self) -> None:
        ends = min(held.lapses_at for held in self.held.values() if held.is_open(self.now))
        self.go_on(ends - self.now)

    def go_on(self, seconds: float) -> None:
        self.clock(self.driver.clock.advance(seconds))
        self.now += seconds

    # Preconditions keep the run on what matters: a rule without arguments is tried far more often than the others.
    @precondition(lambda self: any(held.is_due(self.now) for held in self.held.values()))
    @rule()
    def step(self) -> None:
        self.write_all_down()

    def write_all_down(self) -> None:
        self.clock(self.driver.clock.drain("quota.lapse"))
        self.held = {name: held for name, held in self.held.items() if held.forgotten_at > self.now}
        for held in self.held.values():
            held.moved = held.moved or held.lapses_at <= self.now
        self.write_down()
        for held in self.held.values():
            if not held.is_open(self.now):
                held.gone |= {name for name in held.claims if held.lapses_at <= self.limits[name].since}

    def write_down(self) -> None:
        """Define every limit as it is, which stores where it stands: a later step back finds it so."""
        for name, limit in self.limits.items():
            limit.idle(self.now)
            limit.roll(self.now)
            self.define(name)

    # More often and time would not go on: no lease would end.
    @precondition(lambda self: self.held and self.went_back < 3)
    @rule(seconds=st.sampled_from([0.5, 10.0, 4000.0, 100_000.0]))
    def go_back(self, seconds: float) -> None:
        self.went_back += 1
        # Whatever is due is written down before, so that it is known what has been.
        self.write_all_down()
        self.clock(self.driver.clock.advance(-seconds))
        self.now -= seconds

    @rule(name=st.sampled_from(sorted(LIMITS)), amount=st.integers(1, 64), shadow=st.booleans())
    def change(self, name: str, amount: int, shadow: bool) -> None:
        limit = self.limits[name]
        if name == "rate":
            # An amount whose interval is a binary fraction.
            amount = 2 ** (amount.bit_length() - 1)
            if amount != limit.amount:
                owed = math.ceil(limit.owed(self.now))
                limit.amount = amount
                limit.busy_since = max(limit.busy_since, self.now)
                limit.arrival = Fraction(limit.busy_since) + owed * limit.interval
            else:
                limit.idle(self.now)
        limit.roll(self.now)
        limit.amount, limit.shadow = amount, shadow
        self.define(name)

    @rule(name=st.sampled_from(["rate", "minute", "day", "total"]))
    def reset(self, name: str) -> None:
        self.write_all_down()
        self.call("reset", quota=name)
        self.limits[name].begin(self.now)
        for held in self.held.values():
            if not held.is_open(self.now):
                held.gone.add(name)

    # What always holds.

    @invariant()
    def reports_are_right(self) -> None:
        rows: dict[str, QuotaReport] = {row.quota: row for row in self.call("report").rows}
        assert sorted(rows) == sorted(LIMITS)
        for name, row in rows.items():
            assert (row.used, row.reserved, row.unknown) == self.sums(name), name
            assert row.left == max(0, self.left(name)), name
            assert row.over == max(0, -self.left(name)), name
            limit = self.limits[name]
            assert row.near == self.is_near(name), name
            assert (row.near_count, row.shadowed) == (limit.near_count, limit.shadowed), name


def test_quotas_are_as_the_reference(driver: Driver) -> None:
    QuotaMachine.driver = driver
    run_state_machine_as_test(
        QuotaMachine,
        settings=settings(suppress_health_check=list(HealthCheck)),
    )
