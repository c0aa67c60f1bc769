"""A small gate to compare with: no indexes, no steps, everything asked anew at each moment."""

from dataclasses import dataclass, field
from typing import Any

UNITS = 10
# Provider -> cost; those of none claim nothing.
COSTS = {"dear": 8, "cheap": 5, "own": 0}
KEEP_FAILED = 5.0
WAITS = {"throttled": 1.0, "exhausted": 3600.0}


@dataclass
class Health:
    """A provider as the reference knows it."""

    threshold: int = 5
    window: float = 60.0
    cooldown: float = 30.0
    enabled: bool = True
    place: int | None = None
    breaker: str = "closed"
    failures: int = 0
    since: float = 0.0
    opens_until: float = 0.0
    probe: str | None = None
    probe_ends: float = 0.0
    blocked_until: float = 0.0
    blocked_by: str | None = None
    calls: int = 0
    errors: int = 0

    def state(self, now: float) -> str:
        if self.breaker == "closed":
            return "closed"
        return "half_open" if self.opens_until <= now else "open"

    def obstacle(self, now: float) -> tuple[str, float | None] | None:
        if not self.enabled:
            return ("refused" if self.blocked_by == "refused" else "off"), None
        if self.blocked_until > now:
            return str(self.blocked_by), self.blocked_until - now
        if self.state(now) == "open":
            return "open", self.opens_until - now
        if self.state(now) == "half_open" and self.probe is not None and self.probe_ends > now:
            return "probing", self.probe_ends - now
        return None

    def close(self) -> None:
        if self.breaker != "closed":
            self.breaker, self.failures, self.since, self.probe = "closed", 0, 0.0, None

    def abandon(self, token: str) -> None:
        if self.probe == token:
            self.probe = None

    def fail(self, cause: str, token: str, wait: float | None, now: float) -> None:
        self.errors += 1
        if cause == "transient":
            is_probe = self.probe == token
            if self.breaker == "closed" or is_probe:
                within = self.since + self.window > now
                self.failures = self.failures + 1 if within else 1
                self.since = self.since if within else now
                if is_probe or self.failures >= self.threshold:
                    self.breaker, self.opens_until = "open", now + self.cooldown
                    self.failures, self.since, self.probe = 0, 0.0, None
            return
        if cause == "late":
            pass
        elif cause == "refused":
            self.enabled, self.blocked_by = False, "refused"
        else:
            self.blocked_by = cause
            self.blocked_until = max(self.blocked_until, now + (WAITS[cause] if wait is None else wait))
        self.abandon(token)


@dataclass
class Reservation:
    """One unit, or what it really was."""

    provider: str
    ends: float
    spent: int | None = None


@dataclass
class Lease:
    """Of one key. `state` is leased or failed; a lease that is finished or given up is none."""

    token: str
    ticket: str
    ends: float
    provider: str
    reservation: Reservation | None
    state: str = "leased"
    attempt: int = 1
    tried: list[str] = field(default_factory=list)
    denial: Any = None


@dataclass
class Entry:
    created: float
    expires: float
    stale_until: float
    value: bytes


@dataclass
class Choice:
    """Who buys, why, and who was passed over."""

    provider: str | None
    reason: str
    skipped: list[tuple[str, str]]
    # What denials are made of: (kind that waits, seconds).
    waits: list[tuple[str, float | None]]


class Gate:
    """The whole reference of one tenant."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.health = {name: Health() for name in COSTS}
        self.reservations: list[Reservation] = []
        self.leases: dict[str, Lease] = {}
        self.entries: dict[str, Entry] = {}

    def sums(self, provider: str) -> tuple[int, int, int]:
        """used, reserved, unknown."""
        mine = [one for one in self.reservations if one.provider == provider]
        used = sum(one.spent for one in mine if one.spent is not None)
        return (
            used,
            sum(one.spent is None and one.ends > self.now for one in mine),
            sum(one.spent is None and one.ends <= self.now for one in mine),
        )

    def left(self, provider: str) -> int:
        return UNITS - sum(self.sums(provider))

    def order(self) -> list[str]:
        return sorted(COSTS, key=lambda name: self.health[name].place or 1_000)

    def _saves(self, order: list[str], at: int, tried: list[str]) -> bool:
        """Whether a dear one gives way to a cheaper one."""
        name = order[at]
        if COSTS[name] == 0 or self.left(name) < 1 or (UNITS - self.left(name)) * 5 < UNITS * 4:
            return False
        return any(
            0 < COSTS[other] < COSTS[name]
            and other not in tried
            and self.health[other].obstacle(self.now) is None
            for other in order[at + 1 :]
        )

    def choose(self, tried: list[str]) -> Choice:
        order, saved = self.order(), None
        choice = Choice(None, "", [], [])
        for at, name in enumerate(order):
            if name in tried:
                continue
            obstacle = self.health[name].obstacle(self.now)
            if obstacle is not None:
                choice.skipped.append((name, obstacle[0]))
                choice.waits.append(obstacle)
            elif saved is None and self._saves(order, at, tried):
                saved = name
                choice.skipped.append((name, "near_limit"))
                choice.waits.append(("near_limit", None))
            elif COSTS[name] == 0 and saved is not None:
                choice.provider, choice.reason = saved, "first"
                return choice
            elif COSTS[name] == 0 or self.left(name) >= 1:
                choice.provider = name
                choice.reason = "near_limit" if saved else "first" if at == 0 else "fallback"
                return choice
            else:
                choice.skipped.append((name, "quota"))
                choice.waits.append(("quota", None))
        if saved is not None:
            choice.provider, choice.reason = saved, "first"
        return choice

    def lend(self, choice: Choice, token: str, ends: float) -> Reservation | None:
        """Reserve, and note the call."""
        assert choice.provider is not None
        health = self.health[choice.provider]
        health.calls += 1
        if health.state(self.now) == "half_open":
            health.probe, health.probe_ends = token, ends
        if COSTS[choice.provider] == 0:
            return None
        made = Reservation(choice.provider, ends)
        self.reservations.append(made)
        return made

    def denial(self, failed: list[str], choice: Choice) -> tuple[str, float | None]:
        """Kind and seconds."""
        waits = [self.health[name].obstacle(self.now) or ("failed", None) for name in failed] + choice.waits
        kind = "exhausted" if {reason for reason, _ in waits} & {"quota", *WAITS} else "unavailable"
        return kind, min((wait for _, wait in waits if wait is not None), default=None)

    def usable(self, key: str, max_age: float | None, stale_for: float, since: float | None) -> str | None:
        entry = self.entries.get(key)
        if entry is None or entry.stale_until <= self.now:
            return None
        age, most = self.now - entry.created, float("inf") if max_age is None else max_age
        is_new = since is not None and entry.created >= since
        if entry.expires > self.now and (age < most or is_new):
            return "hit"
        return "stale" if age < most + stale_for else None

    def current(self, key: str, ticket: str | None) -> Lease | None:
        lease = self.leases.get(key)
        if lease is None or lease.ends <= self.now or (lease.state == "failed" and lease.ticket != ticket):
            return None
        return lease

    def held(self, key: str, token: str) -> Lease | None:
        lease = self.leases.get(key)
        if lease is None or lease.state != "leased" or lease.token != token or lease.ends <= self.now:
            return None
        return lease
