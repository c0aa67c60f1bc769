"""Days and months of quotas against Python's time zone database."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lycosa.services.quotas import QuotaWindow
from lycosa.services.time_zones import utc_offsets
from tests.conftest import Store
from tests.model.store_driver import Driver

ZONES = [
    "UTC", "Europe/Moscow", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana",
    "Asia/Kathmandu", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca",
]  # fmt: skip


@pytest.fixture
def driver(own_server: Store) -> Iterator[Driver]:
    driver = Driver(own_server)
    yield driver
    driver.close()


def _date(zone: ZoneInfo, at: float, window: str) -> tuple[int, ...]:
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    return (local.year, local.month, local.day)[: 3 if window == "day" else 2]


def test_days_and_months_end_when_the_zone_database_says(driver: Driver) -> None:
    """A window ends at the first second whose date is later than every date before it."""

    @given(
        zone=st.sampled_from(ZONES),
        at=st.integers(1_500_000_000, 1_900_000_000),
        window=st.sampled_from(["day", "month"]),
    )
    def check(zone: str, at: int, window: QuotaWindow) -> None:
        driver.run(driver.clock.freeze(float(at)))
        args: dict[str, Any] = {"tenant": secrets.token_hex(6), "quota": "q"}
        driver.run(
            driver.procedures.quota_define(
                **args,
                kind="window",
                window=window,
                amount=1,
                time_zone=zone,
                utc_offsets=utc_offsets(zone, at),
            )
        )
        ends = driver.run(driver.procedures.quota_report(tenant=args["tenant"])).rows[0].reset
        info = ZoneInfo(zone)
        # The latest date up to now; clocks that were put back across midnight do not begin it anew.
        today = max(_date(info, at, window), _date(info, at - 3 * 3600, window))
        assert ends > at
        assert _date(info, ends, window) > today
        for before in (1, 60, 1800, 3600, 7200):
            assert ends - before <= at or _date(info, ends - before, window) <= today

    check()
