"""The service of namespaced keys: any number of them over calls of a hundred, and many who set by version."""

import asyncio

import pytest

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.procedures import KvConflict, Procedures
from lycosa.services.kv import KvService
from tests.conftest import Clock


@pytest.fixture
def kv(procedures: Procedures) -> KvService:
    return KvService(procedures)


async def test_bytes_come_back_as_they_were(kv: KvService, identity: Identity) -> None:
    values = {"text": "слово".encode(), "binary": b"\x00\xff\xfe\x80", "none": b"", "ключ": b"1"}
    await kv.set_many(identity, "any", values)
    found = await kv.get_many(identity, "any", [*values, "unknown"])
    assert [entry and entry.value for entry in found] == [*values.values(), None]
    together = await asyncio.gather(*(kv.get(identity, "any", key) for key in values))
    assert [entry.value for entry in together if entry] == list(values.values())
    assert (await kv.list(identity, "any")).rows[0].value == values["binary"]
    assert await kv.get(Identity(tenant="another"), "any", "text") is None


async def test_any_number_of_keys_goes_in_parts(kv: KvService, identity: Identity) -> None:
    values = {f"k{number:03}": bytes(1) for number in range(250)}
    await kv.set_many(identity, "deep/a", values, ttl=600)
    await kv.set_many(identity, "deep/b", {"large 1": bytes(1_000_000), "large 2": bytes(999_999)})
    assert all(await kv.get_many(identity, "deep/a", list(values)))
    assert [entry.key async for entry in kv.every(identity, "deep/a")] == list(values)
    assert [facts.bytes async for facts in kv.every_key(identity, "deep/b")] == [1_000_000, 999_999]
    assert len([facts async for facts in kv.every_key(identity, "deep/", nested=True)]) == 252
    assert [name async for name in kv.every_namespace(identity, prefix="deep")] == ["deep/a", "deep/b"]
    assert await kv.touch(identity, "deep/a", list(values)) == 250
    assert await kv.delete(identity, "deep/a", [*list(values)[:120], "unknown"]) == 120
    assert await kv.clear(identity, "deep/a", prefix="k12") == 10
    assert await kv.clear(identity, "deep/", nested=True) == 122
    with pytest.raises(Invalid) as caught:
        await kv.set(identity, "deep/a", "k", bytes(1_000_001))
    assert caught.value.details["argument"] == "value"


async def test_of_many_who_set_by_version_one_does(kv: KvService, identity: Identity) -> None:
    seen = await kv.set(identity, "lock", "k", b"0")
    outcomes = await asyncio.gather(
        *(
            kv.compare_and_set(identity, "lock", "k", str(number).encode(), version=seen.version)
            for number in range(32)
        ),
        return_exceptions=True,
    )
    won = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    assert sum(isinstance(outcome, KvConflict) for outcome in outcomes) == 31
    entry = await kv.get(identity, "lock", "k")
    assert entry is not None
    assert entry.value == str(won[0]).encode()


async def test_an_entry_ends_with_its_time(kv: KvService, identity: Identity, frozen: Clock) -> None:
    stored = await kv.set(identity, "short", "k", b"v", ttl=30)
    entry = await kv.get(identity, "short", "k")
    assert entry is not None
    assert (entry.version, entry.expires_at, entry.ttl) == (stored.version, stored.expires_at, 30)
    await frozen.advance(30)
    assert await kv.get(identity, "short", "k") is None
    await frozen.drain("kv.expire")
    assert [name async for name in kv.every_namespace(identity)] == []
