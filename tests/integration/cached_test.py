"""`cached` over the real store."""

import asyncio
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lycosa.errors import Invalid, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services.cache import CacheService
from lycosa.services.cached import Cached, Place, cached
from tests.conftest import Store


class Rate(BaseModel):
    currency: str
    price: Decimal
    at: datetime


@pytest.fixture
def cache(procedures: Procedures) -> CacheService:
    return CacheService(procedures)


@pytest.fixture
def place(cache: CacheService, identity: Identity) -> Callable[[], Place]:
    return lambda: (cache, identity)


class Rates:
    """A function to cache, and how often it was called."""

    def __init__(self, place: Callable[[], Place], **options: Any) -> None:
        self.calls: list[tuple[str, int]] = []
        self.problem: Exception | None = None
        self.answer: Rate | None = Rate(
            currency="EUR", price=Decimal("1.10"), at=datetime(2026, 1, 1, tzinfo=UTC)
        )

        async def rate(currency: str, day: int = 0, *, note: object = None) -> Rate | None:
            self.calls.append((currency, day))
            await asyncio.sleep(0.01)
            if self.problem is not None:
                raise self.problem
            return self.answer

        self.get: Cached[Any, Rate | None] = cached(place, **({"prefix": "rates"} | options))(rate)


async def test_an_answer_is_kept_by_its_typed_arguments(place: Callable[[], Place]) -> None:
    rates = Rates(place, ttl=60)
    first = await rates.get("EUR")
    assert first == rates.answer
    assert await rates.get(currency="EUR", day=0) == first
    assert type((await rates.get("EUR")).price) is Decimal  # type: ignore[union-attr]
    assert rates.calls == [("EUR", 0)]
    await rates.get("EUR", 1)
    await rates.get("EUR", True)
    await rates.get("EUR", 1.0)
    assert len(rates.calls) == 4
    assert vars(rates.get)["__name__"] == "rate"


async def test_answers_are_stored_as_json_under_the_prefix(
    place: Callable[[], Place], cache: CacheService, identity: Identity
) -> None:
    rates = Rates(place, ttl=60, tags=lambda currency: ["rates", f"currency:{currency}"])
    await rates.get("EUR")
    key = rates.get.key("EUR")
    assert key.startswith("rates:")
    entry = await cache.get(identity, key)
    assert entry is not None
    assert Rate.model_validate_json(entry.value) == rates.answer
    assert (entry.media_type, list(entry.tags)) == ("application/json", ["rates", "currency:EUR"])
    assert (await cache.invalidate(identity, tag="currency:EUR")).deleted == 1
    await rates.get("EUR")
    await rates.get.forget("EUR")
    await rates.get("EUR")
    assert len(rates.calls) == 3


async def test_arguments_without_a_form_are_refused_by_name_or_ignored(place: Callable[[], Place]) -> None:
    rates = Rates(place)
    with pytest.raises(Invalid, match="argument note is of type"):
        await rates.get("EUR", note=object())
    assert rates.calls == []
    careless = Rates(place, ignore=["note"])
    await careless.get("EUR", note=object())
    await careless.get("EUR", note=object())
    assert len(careless.calls) == 1


async def test_a_stale_answer_is_given_at_once_and_renewed_by_one(place: Callable[[], Place]) -> None:
    rates = Rates(place, ttl=0.05, stale_for=60)
    old = await rates.get("EUR")
    await asyncio.sleep(0.1)
    rates.answer = Rate(currency="EUR", price=Decimal(2), at=datetime(2026, 1, 2, tzinfo=UTC))
    assert await asyncio.gather(*(rates.get("EUR") for _ in range(20))) == [old] * 20
    await rates.get.settled()
    assert len(rates.calls) == 2
    assert await rates.get("EUR") == rates.answer
    assert len(rates.calls) == 2


async def test_a_renewal_that_fails_leaves_the_stale_answer(place: Callable[[], Place]) -> None:
    rates = Rates(place, ttl=0.05, stale_for=60)
    old = await rates.get("EUR")
    await asyncio.sleep(0.1)
    rates.problem = RuntimeError("provider is down")
    for calls in (2, 3):
        assert await rates.get("EUR") == old
        await rates.get.settled()
        assert len(rates.calls) == calls


async def test_what_the_function_raises_is_raised_and_not_kept(place: Callable[[], Place]) -> None:
    rates = Rates(place)
    rates.problem = RuntimeError("provider is down")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="down"):
            await rates.get("EUR")
    assert len(rates.calls) == 2


async def test_none_is_kept_for_a_time_of_its_own_or_not_at_all(
    place: Callable[[], Place], cache: CacheService, identity: Identity
) -> None:
    rates = Rates(place, ttl=600)
    rates.answer = None
    assert [await rates.get("XXX"), await rates.get("XXX")] == [None, None]
    assert len(rates.calls) == 2
    negative = Rates(place, ttl=600, stale_for=60, negative_ttl=5)
    negative.answer = None
    assert [await negative.get("XXX"), await negative.get("XXX")] == [None, None]
    assert len(negative.calls) == 1
    entry = await cache.get(identity, negative.get.key("XXX"))
    assert entry is not None
    assert entry.negative
    assert entry.stale_until - entry.created_at == pytest.approx(5, abs=0.1)


class Malice:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("media_type", ["application/json", "application/x-pickle"])
async def test_a_stored_pickle_is_bytes_and_never_executed(
    place: Callable[[], Place], cache: CacheService, identity: Identity, tmp_path: Path, media_type: str
) -> None:
    mark = tmp_path / "executed"
    payload = pickle.dumps(Malice(mark))
    pickle.loads(payload)
    assert mark.exists(), "the payload is harmless, so this test would show nothing"
    mark.unlink()
    rates = Rates(place)
    await cache.set(identity, rates.get.key("EUR"), payload, media_type=media_type)
    assert await rates.get("EUR") == rates.answer
    assert not mark.exists()
    # The true answer has taken its place.
    await rates.get("EUR")
    assert len(rates.calls) == 1


@pytest.mark.parametrize("stored", [b"", b"{}", b'{"currency": 5}', b"\xff", b"[" * 100_000])
async def test_what_does_not_fit_the_return_type_is_as_good_as_nothing(
    place: Callable[[], Place], cache: CacheService, identity: Identity, stored: bytes
) -> None:
    rates = Rates(place)
    await cache.set(identity, rates.get.key("EUR"), stored, media_type="application/json")
    assert await rates.get("EUR") == rates.answer
    assert len(rates.calls) == 1


async def test_what_cannot_be_stored_is_answered_all_the_same(place: Callable[[], Place]) -> None:
    calls = []

    @cached(place, prefix="big")
    async def big(size: int) -> str:
        calls.append(size)
        return "x" * size

    @cached(place, prefix="wrong")
    async def wrong() -> int:
        return "no number"  # type: ignore[return-value]

    assert len(await big(1_100_000)) == len(await big(1_100_000)) == 1_100_000
    assert len(calls) == 2
    assert await wrong() == "no number"  # type: ignore[comparison-overlap]


async def test_a_cache_that_fails_never_fails_the_function(own_server: Store, identity: Identity) -> None:
    async with connect(own_server.settings(call_timeout=0.5)) as client:
        rates = Rates(lambda: (CacheService(Procedures(client)), identity), patience=0.1)
        own_server.kill()
        for _ in range(2):
            assert await asyncio.wait_for(rates.get("EUR"), 1) == rates.answer
        assert len(rates.calls) == 2
        with pytest.raises(Unavailable):
            await asyncio.wait_for(rates.get.forget("EUR"), 10)


async def test_a_cache_that_hangs_costs_its_patience(own_server: Store, identity: Identity) -> None:
    async with connect(own_server.settings(call_timeout=0.5)) as client:
        rates = Rates(lambda: (CacheService(Procedures(client)), identity), patience=0.1)
        own_server.pause()
        try:
            assert await asyncio.wait_for(rates.get("EUR"), 1) == rates.answer
        finally:
            own_server.resume()


def test_what_cannot_be_cached_is_refused_when_it_is_declared(place: Callable[[], Place]) -> None:
    def plain() -> int:
        return 1

    async def untyped():  # type: ignore[no-untyped-def]
        return 1

    async def fine(a: int) -> int:
        return a

    with pytest.raises(TypeError, match="async"):
        cached(place, prefix="p")(plain)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="return type"):
        cached(place, prefix="p")(untyped)
    with pytest.raises(TypeError, match="no parameter b"):
        cached(place, prefix="p", ignore=["b"])(fine)
