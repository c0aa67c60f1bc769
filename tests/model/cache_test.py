"""The cache against a dictionary that expires (B1, B2), and what of it a kill -9 leaves (B5).

Whom eviction takes is the server's choice, so after every call the reference asks which rows are there. It then knows
how many were evicted and how many swept, and all figures must say so; a look-up may miss only what is gone. The steps
of the cache run when they are told to: whoever looks after a call could not tell an entry that was evicted, set and
evicted again from one that was evicted once.
"""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from lycosa.procedures import CacheEntry
from tests.conftest import Store
from tests.model.cache_reference import Entry, Sight, Tenant, look
from tests.model.store_driver import Driver

START = 1_700_000_000.0
BUDGET_MB = 8
BUDGET = BUDGET_MB * 1024 * 1024

KEYS = ["a", "user:1", "user:10", "user:2", "users", "ключ:1", "ключ:2", "tmp:1", "tmp:2", "tmp", "x", "y"]
# One line: what the console sees of two is two programs.
STEPS_WAIT = (
    "local daemon = require('lycosa.core.daemon') daemon.stop() "
    "for _, step in ipairs(require('lycosa.core.memory').steps) do daemon.register(step) end daemon.start()"
)
STEP = "while require('lycosa.cache.{room}').step.run(100) == true do require('fiber').yield() end"

PREFIXES = ["user:", "user", "user:1", "ключ:", "t", "tmp:", "x", "nothing"]
TAGS = ["red", "green", "синий"]

keys = st.sampled_from(KEYS)
items = st.fixed_dictionaries(
    {
        "key": keys,
        "value": st.builds(
            lambda first, size: (first + b"\xff\x00text" * (size // 6 + 1))[:size],
            st.binary(max_size=4),
            st.sampled_from([0, 3, 1000, 300_000, 990_000]),
        ),
        "ttl": st.sampled_from([0.5, 1.0, 10.0, 1000.0]),
        "stale_for": st.sampled_from([0.0, 0.25, 100.0, 100.0]),
    },
    optional={
        "media_type": st.sampled_from(["text/plain", "application/json"]),
        "negative": st.booleans(),
        "tags": st.lists(st.sampled_from(TAGS), max_size=4),
    },
)


@pytest.fixture
def store() -> Iterator[Store]:
    """A cache that is soon full, with a volatile namespace."""
    data = Path(f"/tmp/lycosa-{secrets.token_hex(4)}")
    store = Store(data, LYCOSA_CACHE_BUDGET_MB=str(BUDGET_MB), LYCOSA_CACHE_VOLATILE="tmp, other")
    store.start()
    yield store
    store.stop()
    shutil.rmtree(data, ignore_errors=True)


class CacheMachine(RuleBasedStateMachine):
    """Every procedure of the domain, by chance, for two tenants who share the budget."""

    store: ClassVar[Store]
    driver: ClassVar[Driver]
    example: ClassVar[int] = 0
    seen: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        # Whatever another example has left expires before this one begins.
        CacheMachine.example += 1
        self.now = START + 1_000_000 * self.example
        self.driver.run(self.driver.clock.freeze(self.now))
        self.step("expiry")
        self.tenants = {f"t{number}-{secrets.token_hex(4)}": Tenant() for number in range(2)}
        self.names = list(self.tenants)

    def call(self, name: str, number: int, **args: Any) -> Any:
        procedure = getattr(self.driver.procedures, f"cache_{name}")
        return self.driver.run(procedure(tenant=self.names[number], **args))

    def step(self, room: str) -> None:
        """Run the background's step until it has nothing left."""
        self.store.console(STEP.format(room=room))

    def tenant(self, number: int) -> Tenant:
        return self.tenants[self.names[number]]

    # What always holds.

    def check(self) -> Sight:
        """Learn what the server has let go of; then everything must add up."""
        sight = look(self.store, self.names)
        assert sight.whole["bytes"] <= BUDGET * 1.02
        assert sight.whole["entries"] == len(sight.rows)
        assert sight.whole["bytes"] == sum(row.weight for row in sight.rows.values())
        for name, tenant in self.tenants.items():
            rows = {key: row for (owner, key), row in sight.rows.items() if owner == name}
            tenant.settle(rows, self.now)
            assert sorted(rows) == sorted(tenant.entries)
            assert all((row.space == "cache_volatile") == key.startswith("tmp:") for key, row in rows.items())
            figures = sight.figures[name]
            assert 0 <= figures["expired"] - tenant.counts["expired"] <= tenant.swept_at_most
            tenant.counts["expired"], tenant.swept_at_most = figures["expired"], 0
            assert figures == {
                "entries": len(rows),
                "bytes": sum(row.weight for row in rows.values()),
                "budget": BUDGET // 2,
                **{
                    counted: tenant.counts[counted]
                    for counted in ("hits", "stale_hits", "misses", "expired", "evicted", "invalidated")
                },
            }
            self.seen.update(counted for counted, count in tenant.counts.items() if count)
        return sight

    def compare(self, number: int, key: str, stale: bool, found: CacheEntry | None) -> Entry | None:
        """One answer of a look-up. Gives the entry that was missed, if there is one."""
        counted, entry = self.tenant(number).find(key, stale, self.now)
        if found is None:
            # Who has never stored anything has no counts.
            self.tenant(number).counts["misses"] += self.tenant(number).known
            return entry
        assert entry is not None, f"{key} is served, but has expired or was never set"
        self.tenant(number).counts[counted] += 1
        assert found._replace(bucket_id=0, seq=0) == CacheEntry(
            self.names[number], 0, key, entry.value, entry.media_type, entry.created_at, entry.expires_at,
            entry.stale_until, entry.negative, entry.tags, 0,
        )  # fmt: skip
        return None

    def check_missed(self, number: int, missed: dict[str, Entry]) -> None:
        """What was missed must have been let go of."""
        self.check()
        for key, entry in missed.items():
            assert self.tenant(number).entries.get(key) is not entry, f"{key} is there, but was not served"

    # What may happen.

    def stored(self, number: int, item: dict[str, Any]) -> tuple[float, float, float]:
        tenant, key = self.tenant(number), item["key"]
        before = tenant.entries.get(key)
        tenant.replaced(key, self.now)
        tenant.known = True
        expires_at = self.now + item["ttl"]
        entry = Entry(
            item["value"],
            item.get("media_type", "application/json"),
            self.now,
            expires_at,
            expires_at + item.get("stale_for", 0),
            item.get("negative", False),
            list(dict.fromkeys(item.get("tags", []))),
            before.seq if before is not None else 0,
        )
        tenant.entries[key] = entry
        return entry.created_at, entry.expires_at, entry.stale_until

    @rule(number=st.integers(0, 1), item=items)
    def set_one(self, number: int, item: dict[str, Any]) -> None:
        times = self.call("set", number, **item)
        assert (times.created_at, times.expires_at, times.stale_until) == self.stored(number, item)
        sight = self.check()
        assert (self.names[number], item["key"]) in sight.rows

    @rule(number=st.integers(0, 1), batch=st.lists(items, max_size=4))
    def set_some(self, number: int, batch: list[dict[str, Any]]) -> None:
        self.set_many(number, batch)

    def set_many(self, number: int, batch: list[dict[str, Any]]) -> None:
        times = self.call("set_many", number, entries=batch)
        assert [(one.created_at, one.expires_at, one.stale_until) for one in times] == [
            self.stored(number, item) for item in batch
        ]
        self.check()

    @rule(number=st.integers(0, 1), large=st.lists(keys, min_size=3, max_size=4, unique=True))
    def flood(self, number: int, large: list[str]) -> None:
        self.set_many(number, [{"key": key, "value": b"v" * 990_000, "ttl": 100.0} for key in large])

    @rule(number=st.integers(0, 1), key=keys, stale=st.sampled_from([True, True, False]))
    def get(self, number: int, key: str, stale: bool) -> None:
        missed = self.compare(number, key, stale, self.call("get", number, key=key, stale=stale))
        self.check_missed(number, {key: missed} if missed else {})

    @rule(number=st.integers(0, 1))
    def get_stale(self, number: int) -> None:
        entries = self.tenant(number).entries
        stale = [key for key, entry in entries.items() if entry.expires_at <= self.now < entry.stale_until]
        if stale:
            self.get(number, stale[0], True)

    @rule(
        number=st.integers(0, 1),
        asked=st.lists(keys, min_size=3, max_size=14),
        stale=st.sampled_from([True, True, False]),
    )
    def get_many(self, number: int, asked: list[str], stale: bool) -> None:
        found = self.call("get_many", number, keys=asked, stale=stale)
        answers = [
            (key, self.compare(number, key, stale, one)) for key, one in zip(asked, found, strict=True)
        ]
        self.check_missed(number, {key: missed for key, missed in answers if missed is not None})

    @rule(number=st.integers(0, 1), key=keys)
    def take(self, number: int, key: str) -> None:
        found = self.call("take", number, key=key)
        missed = self.compare(number, key, False, found)
        if found is not None:
            del self.tenant(number).entries[key]
        self.check_missed(number, {key: missed} if missed else {})

    @rule(number=st.integers(0, 1), named=st.lists(keys, max_size=4))
    def delete(self, number: int, named: list[str]) -> None:
        deleted = self.call("delete", number, keys=named).deleted
        tenant = self.tenant(number)
        # What the server let go of meanwhile was not there to be deleted.
        tenant.counts["evicted"] += tenant.removed(named, self.now) - deleted
        self.check()

    @rule(
        number=st.integers(0, 1),
        meant=st.one_of(
            st.sampled_from(TAGS).map(lambda tag: {"tag": tag}),
            st.sampled_from(PREFIXES).map(lambda prefix: {"prefix": prefix}),
        ),
        limit=st.integers(1, 5),
    )
    def invalidate(self, number: int, meant: dict[str, str], limit: int) -> None:
        answer = self.call("invalidate", number, limit=limit, **meant)
        tenant = self.tenant(number)
        matching = [
            key
            for key, entry in tenant.entries.items()
            if meant.get("tag") in entry.tags or key.startswith(meant.get("prefix", "\0"))
        ]
        rows = look(self.store, self.names).rows
        gone = [key for key in matching if (self.names[number], key) not in rows]
        assert answer.deleted <= min(limit, len(gone))
        assert len(gone) >= limit if answer.more else len(gone) == len(matching)
        tenant.counts["evicted"] += tenant.removed(gone, self.now) - answer.deleted
        tenant.counts["invalidated"] += answer.deleted
        self.check()

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 5.0, 10.0, 100.0]))
    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.driver.run(self.driver.clock.advance(seconds))
        self.check()

    @rule(number=st.integers(0, 1))
    def come_to_an_expiry(self, number: int) -> None:
        coming = [entry.expires_at for entry in self.tenant(number).entries.values()]
        coming = [at for at in coming if at > self.now]
        if coming:
            self.advance(min(coming) - self.now)
            self.get_stale(number)

    @rule()
    def sweep(self) -> None:
        self.step("expiry")
        self.check()
        for tenant in self.tenants.values():
            assert all(entry.stale_until > self.now for entry in tenant.entries.values())

    @rule()
    def evict(self) -> None:
        self.step("budget")
        assert self.check().whole["bytes"] <= BUDGET * 0.96


def everything_once(machine: CacheMachine) -> None:
    """What chance may leave out: every way in which an entry is found or goes."""
    for key in ("user:1", "ключ:1"):
        machine.set_one(0, {"key": key, "value": b"v", "ttl": 1.0, "stale_for": 100.0, "tags": ["red"]})
    machine.get(0, "user:1", False)
    machine.get(0, "nothing", True)
    machine.invalidate(0, {"prefix": "user:"}, 5)
    machine.advance(1.0)
    machine.get_stale(0)
    machine.advance(100.0)
    machine.sweep()
    for number in (0, 1, 0):
        machine.flood(number, ["a", "x", "y", "users"])
    machine.evict()


def test_the_cache_is_as_the_reference(store: Store) -> None:
    store.console(STEPS_WAIT)
    CacheMachine.store, CacheMachine.driver = store, Driver(store)
    try:
        everything_once(CacheMachine())
        run_state_machine_as_test(
            CacheMachine,
            settings=settings(deadline=None, suppress_health_check=list(HealthCheck)),
        )
        assert CacheMachine.seen == {"hits", "stale_hits", "misses", "expired", "evicted", "invalidated"}
    finally:
        CacheMachine.driver.close()


def test_entries_survive_kill_9_but_for_volatile_ones(store: Store) -> None:
    driver = Driver(store)
    try:
        for key in ("report:1", "tmp:1", "other:1", "no namespace"):
            driver.run(driver.procedures.cache_set(tenant="t", key=key, value=b"\xff", ttl=1000, tags=["x"]))
        driver.run(driver.procedures.cache_set(tenant="t", key="short", value=b"v", ttl=0.001))
        before = driver.run(driver.procedures.cache_figures(tenant="t"))
        store.kill()
    finally:
        driver.close()
    store.start()
    driver = Driver(store)
    try:
        asked = ["report:1", "no namespace", "tmp:1", "other:1", "short"]
        found = driver.run(driver.procedures.cache_get_many(tenant="t", keys=asked))
        assert [entry and entry.value for entry in found] == [b"\xff", b"\xff", None, None, None]
        driver.run(driver.clock.drain("cache.expire"))
        figures = driver.run(driver.procedures.cache_figures(tenant="t"))
        assert figures.entries == 2
        assert 0 < figures.bytes < before.bytes
        # Numbers go on where they were: eviction still knows old from new.
        driver.run(driver.procedures.cache_set(tenant="t", key="new", value=b"v", ttl=1000))
        new = driver.run(driver.procedures.cache_get(tenant="t", key="new"))
        assert new.seq > max(entry.seq for entry in found if entry)
        answer = driver.run(driver.procedures.cache_invalidate(tenant="t", tag="x"))
        assert (answer.deleted, answer.more) == (2, False)
    finally:
        driver.close()
