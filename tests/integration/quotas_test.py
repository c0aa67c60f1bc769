"""The service of quotas: decimals, zones, and blocks that hold units."""

import secrets
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lycosa.errors import Conflict, Exhausted, NotFound
from lycosa.identity import Identity
from lycosa.procedures import Procedures, UtcOffsetInput
from lycosa.services.quotas import QuotaService
from tests.conftest import Clock


@pytest.fixture
def quotas(procedures: Procedures) -> QuotaService:
    return QuotaService(procedures)


async def _zone(quotas: QuotaService, identity: Identity, quota: str) -> list[list[int]]:
    rows = (await quotas.find(identity)).rows
    return [list(entry) for row in rows if row.quota == quota for entry in row.utc_offsets or ()]


async def test_a_table_that_ran_out_is_read_anew_and_counters_stay(
    quotas: QuotaService, procedures: Procedures, identity: Identity
) -> None:
    """A table of one entry is what is left of a zone twenty years after it was read."""
    ended: list[UtcOffsetInput] = [{"starts_at": 0, "minutes": 60}]
    for quota, zone in (("berlin", "Europe/Berlin"), ("office", "Office/Ours")):
        await procedures.quota_define(
            tenant=identity.tenant,
            quota=quota,
            kind="window",
            window="day",
            amount=10,
            time_zone=zone,
            utc_offsets=ended,
        )
    await quotas.define(identity, "moscow", "window", 10, window="day", time_zone="Europe/Moscow")
    await quotas.take(identity, {"berlin": 3})
    moscow = await _zone(quotas, identity, "moscow")
    assert await quotas.renew_zones() >= 1
    assert len(await _zone(quotas, identity, "berlin")) > 30
    # The database does not know this one, and that one is fresh.
    assert await _zone(quotas, identity, "office") == [[0, 60]]
    assert await _zone(quotas, identity, "moscow") == moscow
    report = await quotas.figures(identity, "berlin")
    assert (report.used, report.left) == (3, 7)
    assert report.reset is not None
    midnight = datetime.fromtimestamp(report.reset, UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert await quotas.renew_zones() == 0


async def test_a_limit_that_changed_meanwhile_is_not_renewed(
    quotas: QuotaService, procedures: Procedures, identity: Identity
) -> None:
    await quotas.define(identity, "day", "window", 10, window="day", time_zone="Europe/Moscow")
    before = await _zone(quotas, identity, "day")
    for quota, zone in (("day", "Europe/Berlin"), ("gone", "Europe/Moscow")):
        answer = await procedures.quota_renew_zone(
            tenant=identity.tenant, quota=quota, time_zone=zone, utc_offsets=[{"starts_at": 0, "minutes": 60}]
        )
        assert not answer.renewed
    assert await _zone(quotas, identity, "day") == before


async def test_zones_of_all_tenants_are_walked_page_by_page(procedures: Procedures) -> None:
    made = set()
    for _ in range(3):
        tenant = f"t-{secrets.token_hex(4)}"
        for quota, zone in (("a", "Asia/Omsk"), ("b", None)):
            await procedures.quota_define(
                tenant=tenant,
                quota=quota,
                kind="window",
                window="day",
                amount=1,
                time_zone=zone,
                utc_offsets=[{"starts_at": 0, "minutes": 360}] if zone else None,
            )
        made.add((tenant, "a"))
    found, cursor = set(), None
    while True:
        page = await procedures.quota_zoned(cursor=cursor, limit=2)
        found |= {(row.tenant, row.quota) for row in page.rows if row.time_zone == "Asia/Omsk"}
        cursor = page.next
        if cursor is None:
            break
    assert made <= found


async def test_a_block_is_settled_with_what_it_spent(quotas: QuotaService, identity: Identity) -> None:
    await quotas.define(identity, "usd", "window", 1000, window="total", unit="USD", scale=2)
    await quotas.define(identity, "slots", "slots", 1)
    async with quotas.held(identity, {"usd": 500, "slots": 1}, 60) as spent:
        with pytest.raises(Exhausted):
            await quotas.reserve(identity, "other", {"slots": 1}, 60)
        assert (await quotas.figures(identity, "usd")).reserved == 500
        spent["usd"] = 120
    report = await quotas.figures(identity, "usd")
    assert (report.used, report.reserved, report.left) == (120, 0, 880)


async def test_a_block_that_fails_becomes_unknown_and_is_reconciled(
    quotas: QuotaService, identity: Identity, frozen: Clock
) -> None:
    await quotas.define(identity, "usd", "window", 1000, window="total", unit="USD", scale=2)
    with pytest.raises(RuntimeError, match="provider"):
        async with quotas.held(identity, {"usd": 500}, 60):
            raise RuntimeError("the provider did not answer")
    await frozen.advance(61)
    report = await quotas.figures(identity, "usd")
    assert (report.used, report.unknown, report.left) == (0, 500, 500)
    await frozen.drain("quota.lapse")
    [lost] = (await quotas.reservations(identity)).rows
    assert (await quotas.reservation(identity, lost.id)).state == "unknown"
    await quotas.reconcile(identity, lost.id, {"usd": 30})
    with pytest.raises(Conflict):
        await quotas.refund(identity, lost.id)
    report = await quotas.figures(identity, "usd")
    assert (report.used, report.unknown, report.left) == (30, 0, 970)


async def test_tenants_do_not_see_each_other(
    quotas: QuotaService, procedures: Procedures, identity: Identity
) -> None:
    other = Identity(tenant=f"{identity.tenant}-other")
    await quotas.define(identity, "usd", "window", 10, window="total")
    await quotas.reserve(identity, "r", {"usd": 1}, 60)
    assert (await quotas.report(other)).rows == []
    for call in (quotas.figures(other, "usd"), quotas.settle(other, "r"), quotas.reset(other, "usd")):
        with pytest.raises(NotFound):
            await call
    assert not await quotas.remove(other, "usd")
    survey = await quotas.survey(1000)
    assert (identity.tenant, "usd") in {(row.tenant, row.quota) for row in survey.rows}
    assert survey.limits >= 1
    assert len((await quotas.survey(1)).rows) == 1
