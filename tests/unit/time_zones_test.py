"""Zones as tables of their changes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lycosa.errors import Invalid
from lycosa.services.time_zones import is_fresh, utc_offsets

NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
DAY = 86400


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kathmandu"]
)
def test_a_table_tells_the_zone_for_twenty_years(name: str) -> None:
    table, zone = utc_offsets(name, NOW), ZoneInfo(name)
    assert len(table) <= 64
    for hours in range(0, 19 * 366 * 24, 97):
        at = NOW + hours * 3600
        [*_, entry] = [entry for entry in table if entry["starts_at"] <= at]
        offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
        assert offset is not None
        assert entry["minutes"] * 60 == offset.total_seconds()


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "a" * 5000, "x\0y", "/etc/passwd"])
def test_a_zone_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        utc_offsets(name, NOW)
    assert refused.value.details == {"argument": "time_zone"}


def test_a_table_is_fresh_for_a_month() -> None:
    table = [(entry["starts_at"], entry["minutes"]) for entry in utc_offsets("Europe/Berlin", NOW)]
    assert is_fresh(table, NOW)
    assert is_fresh(table, NOW + 29 * DAY)
    assert not is_fresh(table, NOW + 30 * DAY)
    assert not is_fresh([(0, 60)], NOW)
    assert not is_fresh([], NOW)
