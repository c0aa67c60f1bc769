"""Gets of one tick over the real store."""

import asyncio

import pytest

from lycosa.client import Client
from lycosa.errors import Invalid, TimedOut, Unavailable
from lycosa.procedures import Procedures, connect
from tests.conftest import Store


async def calls(procedures: Procedures) -> dict[str, int]:
    figures = await procedures.system_figures()
    return {
        name: figures.procedures[name].calls if name in figures.procedures else 0
        for name in ("cache.get", "cache.get_many")
    }


async def test_gets_of_one_tick_are_few_calls_of_the_store(procedures: Procedures, tenant: str) -> None:
    for number in range(0, 250, 2):
        await procedures.cache_set(tenant=tenant, key=f"k{number}", value=b"%d" % number, ttl=60)
    before = await calls(procedures)
    found = await asyncio.gather(
        *(procedures.cache_get(tenant=tenant, key=f"k{number}") for number in range(250))
    )
    after = await calls(procedures)
    assert [entry and entry.value for entry in found] == [
        b"%d" % number if number % 2 == 0 else None for number in range(250)
    ]
    assert after["cache.get_many"] - before["cache.get_many"] == 8
    assert after["cache.get"] == before["cache.get"]


async def test_a_client_may_ask_each_alone(client: Client, procedures: Procedures, tenant: str) -> None:
    alone = Procedures(client, coalesce=False)
    before = await calls(procedures)
    await asyncio.gather(*(alone.cache_get(tenant=tenant, key=f"k{number}") for number in range(5)))
    after = await calls(procedures)
    assert after["cache.get"] - before["cache.get"] == 5
    assert after["cache.get_many"] == before["cache.get_many"]


async def test_one_bad_key_spoils_no_other(procedures: Procedures, tenant: str) -> None:
    await procedures.cache_set(tenant=tenant, key="good", value=b"1", ttl=60)
    keys = ["good", "", "x" * 513, "\ud800", "good"]
    found = await asyncio.gather(
        *(procedures.cache_get(tenant=tenant, key=key) for key in keys), return_exceptions=True
    )
    assert [type(one).__name__ for one in found] == [
        "CacheEntry",
        "InvalidArgument",
        "InvalidArgument",
        "Invalid",
        "CacheEntry",
    ]
    assert isinstance(found[1], Invalid)
    assert found[1].details["argument"] == "key"


async def test_a_store_that_hangs_is_given_up_by_each_in_its_own_time(own_server: Store) -> None:
    async with connect(own_server.settings(call_timeout=0.4)) as client:
        procedures = Procedures(client)
        own_server.pause()
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def waited(timeout: float | None) -> float:
            with pytest.raises(TimedOut):
                await procedures.cache_get(tenant="t", key="k", timeout=timeout)
            return loop.time() - started

        try:
            times = await asyncio.gather(waited(0.1), waited(None), waited(0.8))
        finally:
            own_server.resume()
    assert times == pytest.approx([0.1, 0.4, 0.8], abs=0.15)


async def test_a_lost_store_fails_all_who_wait_and_serves_when_it_is_back(own_server: Store) -> None:
    async with connect(own_server.settings(call_timeout=0.5)) as client:
        procedures = Procedures(client)
        await procedures.cache_set(tenant="t", key="k1", value=b"1", ttl=60)
        own_server.kill()
        found = await asyncio.gather(
            *(procedures.cache_get(tenant="t", key=f"k{number}") for number in range(5)),
            return_exceptions=True,
        )
        assert all(isinstance(one, Unavailable | TimedOut) for one in found)
        own_server.start()
        entries = await asyncio.gather(
            *(procedures.cache_get(tenant="t", key=f"k{number}", timeout=5) for number in range(5))
        )
        assert [entry and entry.value for entry in entries] == [None, b"1", None, None, None]


async def test_gets_that_a_lost_store_had_not_answered_are_asked_again(own_server: Store) -> None:
    async with connect(own_server.settings(call_timeout=10)) as client:
        procedures = Procedures(client)
        await procedures.cache_set(tenant="t", key="k1", value=b"1", ttl=60)
        own_server.pause()
        gets = [asyncio.create_task(procedures.cache_get(tenant="t", key=f"k{n}")) for n in range(5)]
        takes = [
            asyncio.create_task(procedures.quota_take(tenant="t", claims=[{"quota": "q", "amount": 1}]))
            for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        own_server.kill()
        await asyncio.to_thread(own_server.start)
        entries = await asyncio.gather(*gets)
        assert [entry and entry.value for entry in entries] == [None, b"1", None, None, None]
        assert client.retries == 1
        # Whether it was done is unknown, so a take is not.
        lost = await asyncio.gather(*takes, return_exceptions=True)
        assert [getattr(one, "code", one) for one in lost] == ["CONNECTION_LOST"] * 3
