"""What the cache must hold: entries with their times, and what the server may have let go of by itself."""

import json
from collections import Counter
from dataclasses import dataclass, field

from tests.conftest import Store

# One line, so that nothing runs between the rows and the figures.
LOOK = (
    "local rows, figures = {{}}, {{}} for _, tenant in ipairs({{{tenants}}}) do "
    "figures[tenant] = lycosa.cache.figures{{tenant = tenant}} "
    "for _, name in ipairs({{'cache_entry', 'cache_volatile'}}) do "
    "for _, row in box.space[name]:pairs() do if row.tenant == tenant then "
    "table.insert(rows, {{tenant, row.key, row.seq, row:bsize() + 72 + 24 * #row.tags, name}}) end end end end "
    "return (require('json').encode({{rows = rows, figures = figures, whole = lycosa.cache.figures{{}}}})"
    ":gsub('.', function(c) return ('%02x'):format(c:byte()) end))"
)


@dataclass
class Row:
    """A row as it stands in the store."""

    seq: int
    weight: int
    space: str


@dataclass
class Sight:
    """Rows and figures at one moment, marks of eviction untouched."""

    rows: dict[tuple[str, str], Row]
    figures: dict[str, dict[str, int]]
    whole: dict[str, int]


def look(store: Store, tenants: list[str]) -> Sight:
    """What stands in the store of these tenants."""
    line = LOOK.format(tenants=", ".join(f"'{tenant}'" for tenant in tenants))
    answer = store.console(line).split("- ", 1)[1].split()[0].strip("'\"")
    seen = json.loads(bytes.fromhex(answer))
    rows = {(tenant, key): Row(*rest) for tenant, key, *rest in seen["rows"]}
    return Sight(rows, seen["figures"], seen["whole"])


@dataclass
class Entry:
    """What was set."""

    value: bytes
    media_type: str
    created_at: float
    expires_at: float
    stale_until: float
    negative: bool
    tags: list[str]
    seq: int = 0


@dataclass
class Tenant:
    """What one tenant has set, and its counts. `swept_at_most` more may have been counted as expired."""

    entries: dict[str, Entry] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    swept_at_most: int = 0
    known: bool = False

    def find(self, key: str, stale: bool, now: float) -> tuple[str, Entry | None]:
        """What a look-up counts as, and the entry it answers if nothing was let go."""
        entry = self.entries.get(key)
        if entry is None or (entry.expires_at <= now and not (stale and entry.stale_until > now)):
            return "misses", None
        return ("hits" if entry.expires_at > now else "stale_hits"), entry

    def replaced(self, key: str, now: float) -> None:
        """An entry is about to be set. One that has ended may be swept before or be replaced."""
        before = self.entries.get(key)
        if before is not None and before.stale_until <= now:
            self.swept_at_most += 1
            before.seq = 0

    def removed(self, keys: list[str], now: float) -> int:
        """Entries go by the caller's wish. How many of them are still kept."""
        gone = [entry for key in keys if (entry := self.entries.pop(key, None)) is not None]
        kept = sum(entry.stale_until > now for entry in gone)
        self.swept_at_most += len(gone) - kept
        return kept

    def settle(self, rows: dict[str, Row], now: float) -> None:
        """Drop what the server has let go of, and count it."""
        for key, entry in list(self.entries.items()):
            row = rows.get(key)
            if row is None:
                self.counts["expired" if entry.stale_until <= now else "evicted"] += 1
                del self.entries[key]
            else:
                # An entry that is still kept has its number for good: another number is another entry.
                if entry.seq not in (0, row.seq):
                    self.counts["evicted"] += 1
                entry.seq = row.seq
