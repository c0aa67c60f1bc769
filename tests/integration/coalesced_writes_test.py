"""Sets and takes of one tick over the real store: one call, and each with an answer of its own."""

import asyncio
from typing import Any

import pytest

from lycosa.client import Client
from lycosa.errors import Invalid
from lycosa.procedures import Procedures, QuotaExceeded, QuotaUnknown


async def calls(procedures: Procedures, *names: str) -> list[int]:
    figures = (await procedures.system_figures()).procedures
    return [figures[name].calls if name in figures else 0 for name in names]


async def test_sets_of_one_tick_are_few_transactions_and_each_has_its_times(
    procedures: Procedures, tenant: str
) -> None:
    before = await calls(procedures, "cache.set", "cache.set_many")
    times = await asyncio.gather(
        *(procedures.cache_set(tenant=tenant, key=f"k{n}", value=b"%d" % n, ttl=10 + n) for n in range(70))
    )
    after = await calls(procedures, "cache.set", "cache.set_many")
    assert [done - begun for begun, done in zip(before, after, strict=True)] == [0, 3]
    for number, one in enumerate(times):
        assert one.expires_at - one.created_at == pytest.approx(10 + number)
    entries = await asyncio.gather(*(procedures.cache_get(tenant=tenant, key=f"k{n}") for n in range(70)))
    assert [entry and entry.value for entry in entries] == [b"%d" % n for n in range(70)]
    figures = await procedures.cache_figures(tenant=tenant)
    assert figures.entries == 70


async def test_the_last_set_of_a_key_stays_and_its_weight_is_counted_once(
    procedures: Procedures, tenant: str
) -> None:
    await asyncio.gather(
        *(procedures.cache_set(tenant=tenant, key="k", value=b"x" * n, ttl=60) for n in (5, 900, 7))
    )
    entry = await procedures.cache_get(tenant=tenant, key="k")
    assert entry is not None
    assert entry.value == b"x" * 7
    weight = (await procedures.cache_figures(tenant=tenant)).bytes
    await procedures.cache_set(tenant=tenant, key="k", value=b"x" * 7, ttl=60)
    assert (await procedures.cache_figures(tenant=tenant)).bytes == weight


async def test_a_set_that_is_refused_spoils_no_other(procedures: Procedures, tenant: str) -> None:
    many: list[dict[str, Any]] = [
        {"key": "good", "ttl": 60},
        {"key": "", "ttl": 60},
        {"key": "never", "ttl": -1},
        {"key": "better", "ttl": 60},
    ]
    done = await asyncio.gather(
        *(procedures.cache_set(tenant=tenant, value=b"1", **one) for one in many), return_exceptions=True
    )
    assert [one.details["argument"] if isinstance(one, Invalid) else None for one in done] == [
        None, "key", "ttl", None
    ]  # fmt: skip
    assert (await procedures.cache_figures(tenant=tenant)).entries == 2


@pytest.mark.parametrize("value", [None, 5])
async def test_a_value_of_no_kind_is_refused_as_it_is_alone(
    client: Client, procedures: Procedures, tenant: str, value: Any
) -> None:
    for each in (procedures, Procedures(client, coalesce=False)):
        with pytest.raises(Invalid) as refused:
            await each.cache_set(tenant=tenant, key="k", value=value, ttl=60)
        assert refused.value.details["argument"] == "value"


async def test_large_values_travel_alone(procedures: Procedures, tenant: str) -> None:
    before = await calls(procedures, "cache.set", "cache.set_many")
    await asyncio.gather(
        *(procedures.cache_set(tenant=tenant, key=f"k{n}", value=b"x" * 16_385, ttl=60) for n in range(3))
    )
    after = await calls(procedures, "cache.set", "cache.set_many")
    assert [done - begun for begun, done in zip(before, after, strict=True)] == [3, 0]


async def test_takes_of_one_tick_let_exactly_the_limit_through(procedures: Procedures, tenant: str) -> None:
    await procedures.quota_define(tenant=tenant, quota="day", kind="window", window="day", amount=100)
    before = await calls(procedures, "quota.take", "quota.take_many")

    taken = await asyncio.gather(
        *(procedures.quota_take(tenant=tenant, claims=[{"quota": "day", "amount": 1}]) for _ in range(250)),
        return_exceptions=True,
    )
    refused = [one for one in taken if isinstance(one, QuotaExceeded)]
    assert (len(taken) - len(refused), len(refused)) == (100, 150)
    assert {(one.details["quota"], one.details["left"]) for one in refused} == {("day", 0)}
    assert all(one.retry_after is not None and one.retry_after > 0 for one in refused)
    after = await calls(procedures, "quota.take", "quota.take_many")
    assert [done - begun for begun, done in zip(before, after, strict=True)] == [0, 8]
    (row,) = (await procedures.quota_report(tenant=tenant)).rows
    assert (row.used, row.left) == (100, 0)


async def test_a_take_that_makes_no_sense_spoils_no_other(
    client: Client, procedures: Procedures, tenant: str
) -> None:
    await procedures.quota_define(tenant=tenant, quota="day", kind="window", window="day", amount=100)
    claims: list[Any] = [
        [{"quota": "day", "amount": 3}],
        [{"quota": "unheard of", "amount": 1}],
        [{"quota": "day", "amount": 0}],
        [],
        [{"quota": "day", "amount": 1}, {"quota": "day", "amount": 1}],
        [{"quota": "day", "amount": 4}],
    ]
    together = await asyncio.gather(
        *(procedures.quota_take(tenant=tenant, claims=one) for one in claims), return_exceptions=True
    )
    alone = Procedures(client, coalesce=False)
    apart = await asyncio.gather(
        *(alone.quota_take(tenant=tenant, claims=one) for one in claims), return_exceptions=True
    )
    assert [type(one) for one in together] == [type(one) for one in apart]
    assert isinstance(together[1], QuotaUnknown)
    assert [str(one) for one in together[1:5]] == [str(one) for one in apart[1:5]]
    (row,) = (await procedures.quota_report(tenant=tenant)).rows
    assert row.used == 14
