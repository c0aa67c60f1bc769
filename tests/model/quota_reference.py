"""The reference of the quota model: reservations and limits by the book, without the store's short cuts."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

MINUTE, DAY = 60, 86400
KEPT = 86400
WINDOWS = ("minute", "day", "total")

# Name -> what is passed to define. Periods and times are multiples of an eighth, so that no number is rounded.
LIMITS: dict[str, dict[str, Any]] = {
    "rate": {"kind": "rate", "amount": 8, "period": 4, "burst": 12},
    "minute": {"kind": "window", "window": "minute", "amount": 20},
    "day": {"kind": "window", "window": "day", "amount": 40},
    "total": {"kind": "window", "window": "total", "amount": 60, "scale": 6, "unit": "USD"},
    "slots": {"kind": "slots", "amount": 5},
}


@dataclass
class Held:
    """A reservation of the reference."""

    claims: dict[str, int]
    lapses_at: float
    # Written down as lapsed: it stays so when the clock goes back.
    moved: bool = False
    # Limits that were reset when it was unknown to them, or whose window it was unknown in is over.
    gone: set[str] = field(default_factory=set)
    closed: tuple[str, dict[str, int]] | None = None
    closed_at: float = 0.0

    @property
    def is_counted(self) -> bool:
        return any(name in WINDOWS for name in self.claims)

    @property
    def forgotten_at(self) -> float:
        """When the step may delete it. No run is so long that it would forget what is unknown."""
        if self.closed is not None:
            return self.closed_at + KEPT
        return math.inf if self.is_counted else self.lapses_at + KEPT

    def is_open(self, now: float) -> bool:
        return self.closed is None and not self.moved and self.lapses_at > now

    def is_due(self, now: float) -> bool:
        """Whether the step has something to write down or to forget."""
        return (self.closed is None and not self.moved and self.lapses_at <= now) or self.forgotten_at <= now

    def state(self, now: float) -> str:
        if self.closed is not None:
            return self.closed[0]
        if self.is_open(now):
            return "reserved"
        return "unknown" if self.is_counted else "lapsed"


@dataclass
class Limit:
    """A limit of the reference: by the book, without the store's short cuts."""

    name: str
    amount: int
    now: float
    shadow: bool = False
    used: int = 0
    since: float = 0.0
    ends: float = math.inf
    # Theoretical arrival time of the rate, and when it was last found idle.
    arrival: Fraction = field(default_factory=Fraction)
    busy_since: float = 0.0
    burst: int = 0
    near_count: int = 0
    shadowed: int = 0

    def __post_init__(self) -> None:
        self.begin(self.now)

    @property
    def interval(self) -> Fraction:
        return Fraction(4) / self.amount

    def begin(self, now: float) -> None:
        self.used, self.since, self.busy_since, self.arrival = 0, now, now, Fraction(now)
        self.ends = self.window(now)[1]
        self.near_count = self.shadowed = 0

    def window(self, now: float) -> tuple[float, float]:
        length = {"minute": MINUTE, "day": DAY}.get(self.name)
        return (
            (now, math.inf) if length is None else (now // length * length, now // length * length + length)
        )

    def rolled(self, now: float) -> tuple[int, float, float]:
        """used, since and ends at a moment."""
        return (0, *self.window(now)) if now >= self.ends else (self.used, self.since, self.ends)

    def roll(self, now: float) -> None:
        self.used, self.since, self.ends = self.rolled(now)

    def owed(self, now: float) -> Fraction:
        """Units of the rate that have not flowed off."""
        return max(Fraction(0), (self.arrival - Fraction(max(now, self.busy_since))) / self.interval)

    def idle(self, now: float) -> None:
        """Begin a new busy period when everything has flowed off."""
        if self.arrival <= now:
            self.arrival, self.busy_since = Fraction(now), max(now, self.busy_since)

    def flow_in(self, now: float, amount: int) -> None:
        self.idle(now)
        self.arrival += amount * self.interval
