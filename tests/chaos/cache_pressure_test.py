"""A small store under four times its memory in sets (B2): nothing is refused, and the budget holds."""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lycosa.procedures import Procedures, connect
from tests.chaos.cache_load import MEMORY_MB, TENANTS, press
from tests.conftest import Store

MEBIBYTE = 1024 * 1024
# Fewer sets than the benchmark of the same load needs for as many bytes.
LARGE_SIZES = (300, 3000, 40_000)


@pytest.fixture
def small_store() -> Iterator[Store]:
    data = Path(f"/tmp/lycosa-{secrets.token_hex(4)}")
    store = Store(data, LYCOSA_MEMORY_MB=str(MEMORY_MB))
    store.start()
    yield store
    store.stop()
    shutil.rmtree(data, ignore_errors=True)


@pytest_asyncio.fixture
async def small(small_store: Store) -> AsyncIterator[Procedures]:
    async with connect(small_store.settings(call_timeout=30.0)) as client:
        yield Procedures(client)


@pytest.mark.alone
async def test_a_small_store_holds_under_four_times_its_memory_in_sets(small: Procedures) -> None:
    pressed = await press(small, seconds=0, set_bytes=4 * MEMORY_MB * MEBIBYTE, sizes=LARGE_SIZES)
    assert pressed.refused == {}
    assert pressed.most <= 1.02
    assert pressed.most > 0.9
    assert min(pressed.done[what] for what in ("sets", "customers", "requests")) > 0
    assert pressed.evicted > 1000
    figures = [await small.cache_figures(tenant=tenant) for tenant in TENANTS]
    whole = await small.cache_figures()
    assert whole.bytes == sum(of_tenant.bytes for of_tenant in figures)
    assert whole.entries == sum(of_tenant.entries for of_tenant in figures)
    # What was written beside is all there.
    assert await small.customer_count(tenant="work") == min(5000, 10 * pressed.done["customers"])
