"""kill -9 of the store under 64 writers: what was acknowledged is there, and nothing is half there (D5)."""

import asyncio
import contextlib
import itertools
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lycosa.errors import TimedOut, Unavailable
from lycosa.procedures import Customer, Procedures, RequestSourceInput, connect
from tests.conftest import ROOT, Store

TENANT = "chaos"
ROUNDS = 3
SECONDS = 1.0
# 64 writers in all.
CUSTOMER_WRITERS, REQUEST_WRITERS, DOCUMENT_WRITERS = 44, 16, 4
ROWS_OF_A_BATCH = 5
SEGMENTS = ("", "enterprise", "малый")

Item = TypeVar("Item")


@dataclass
class Acknowledged:
    """What the store said it had done: the newest value of each row."""

    customers: dict[str, int] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)
    documents: dict[str, str] = field(default_factory=dict)
    calls: int = 0


def source_count(request_id: str) -> int:
    """How many sources a request of this id is appended with."""
    return int(request_id.rsplit("-", 1)[1]) % 5


async def write_customers(
    procedures: Procedures, writer: int, done: Acknowledged, numbers: Iterator[int]
) -> None:
    """Upsert the writer's own rows, each time with a larger value and often in another segment."""
    while True:
        number = next(numbers)
        rows = [
            {
                "id": f"c-{writer}-{number % 50}-{row}",
                "name": f"Клиент {writer}",
                "revenue_cents": number,
                "orders": 1,
                "segment": SEGMENTS[(number + row) % 3],
            }
            for row in range(ROWS_OF_A_BATCH)
        ]
        outcomes = await procedures.customer_upsert(tenant=TENANT, rows=rows)
        for row, outcome in zip(rows, outcomes, strict=True):
            assert outcome.outcome in ("inserted", "updated", "unchanged"), outcome
            done.customers[str(row["id"])] = number
        done.calls += 1


async def write_requests(
    procedures: Procedures, writer: int, done: Acknowledged, numbers: Iterator[int]
) -> None:
    """Append requests with their sources."""
    while True:
        identifier = f"r-{writer}-{next(numbers)}"
        sources: list[RequestSourceInput] = [
            {"kind": "document", "ref": f"d-{position}", "title": "Источник", "quote": identifier}
            for position in range(source_count(identifier))
        ]
        await procedures.request_append(
            tenant=TENANT,
            id=identifier,
            kind="analysis",
            status="done",
            question="Что дальше?",
            answer="x" * 500,
            tokens_in=1,
            sources=sources,
        )
        done.requests.add(identifier)
        done.calls += 1


async def write_documents(
    procedures: Procedures, writer: int, done: Acknowledged, numbers: Iterator[int]
) -> None:
    """Store and replace documents while the background indexes them."""
    while True:
        number = next(numbers)
        identifier = f"d-{writer}-{number % 20}"
        text = f"Версия {number:09d} документа. " * 20
        (outcome,) = await procedures.document_put(
            tenant=TENANT, documents=[{"id": identifier, "text": text}]
        )
        assert outcome.outcome in ("inserted", "replaced"), outcome
        done.documents[identifier] = text.strip()
        done.calls += 1


@contextlib.asynccontextmanager
async def connected(store: Store) -> AsyncIterator[Procedures]:
    async with connect(store.settings(call_timeout=2.0)) as client:
        yield Procedures(client)


async def kill_under_load(store: Store, done: Acknowledged, numbers: Iterator[int]) -> None:
    """64 writers write until the store is killed in their midst."""
    async with connected(store) as procedures:
        work = [
            *(write_customers(procedures, writer, done, numbers) for writer in range(CUSTOMER_WRITERS)),
            *(write_requests(procedures, writer, done, numbers) for writer in range(REQUEST_WRITERS)),
            *(write_documents(procedures, writer, done, numbers) for writer in range(DOCUMENT_WRITERS)),
        ]
        writers = [asyncio.create_task(one) for one in work]
        assert len(writers) == 64
        await asyncio.sleep(SECONDS)
        store.kill()
        # What is not acknowledged within the time of a call is not acknowledged.
        await asyncio.sleep(0.1)
        for writer in writers:
            writer.cancel()
        for ended in await asyncio.gather(*writers, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError | Unavailable | TimedOut), repr(ended)


async def in_parts(calls: list[Any], size: int = 500) -> list[Any]:
    """Await many calls, not all at once."""
    found = []
    for start in range(0, len(calls), size):
        found += await asyncio.gather(*calls[start : start + size], return_exceptions=True)
    return found


async def all_customers(procedures: Procedures) -> list[Customer]:
    rows: list[Customer] = []
    cursor = None
    while True:
        page = await procedures.customer_find(tenant=TENANT, by="all", limit=1000, cursor=cursor)
        rows += page.rows
        cursor = page.next
        if cursor is None:
            return rows


async def all_requests(procedures: Procedures) -> set[str]:
    found: set[str] = set()
    cursor = None
    while True:
        page = await procedures.request_list(tenant=TENANT, limit=1000, cursor=cursor)
        found |= {row.id for row in page.rows}
        cursor = page.next
        if cursor is None:
            return found


async def lost_customers(procedures: Procedures, done: Acknowledged) -> list[str]:
    """Rows that are not there or older than acknowledged, and figures that differ from a recount."""
    rows = await all_customers(procedures)
    stored = {row.id: row.revenue_cents for row in rows}
    lost = [key for key, number in done.customers.items() if stored.get(key, -1) < number]
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        for position, amount in enumerate((1, row.revenue_cents, row.orders)):
            counted[row.segment][position] += amount
    kept = {
        row.segment: [row.customers, row.revenue_cents, row.orders]
        for row in (await procedures.customer_segments(tenant=TENANT)).rows
    }
    if kept != counted:
        lost.append(f"figures {kept} differ from a recount {dict(counted)}")
    if await procedures.customer_count(tenant=TENANT) != len(rows):
        lost.append("the count differs from a recount")
    return lost


async def lost_requests(procedures: Procedures, done: Acknowledged) -> list[str]:
    """Requests that are not there, those without all their sources, and sums that differ from a recount."""
    stored = await all_requests(procedures)
    lost = sorted(done.requests - stored)
    names = sorted(stored)
    found = await in_parts([procedures.request_get(tenant=TENANT, id=name) for name in names])
    lost += [
        f"{name} has {len(one.sources)} sources"
        for name, one in zip(names, found, strict=True)
        if len(one.sources) != source_count(name)
    ]
    today = int(time.time() // 86_400)
    totals = await procedures.request_totals(tenant=TENANT, from_day=today - 1, until_day=today + 2)
    if (totals.requests, totals.tokens_in) != (len(stored), len(stored)):
        lost.append(f"sums {totals} differ from a recount {len(stored)}")
    return lost


async def lost_documents(procedures: Procedures, done: Acknowledged) -> list[str]:
    """Documents that are not there or older than acknowledged."""
    names = sorted(done.documents)
    found = await in_parts([procedures.document_get(tenant=TENANT, id=name) for name in names])
    return [
        name
        for name, one in zip(names, found, strict=True)
        if isinstance(one, BaseException) or one.text.strip() < done.documents[name]
    ]


async def lost(store: Store, done: Acknowledged) -> list[str]:
    """Everything acknowledged that the store does not have, and everything that is half there."""
    async with connected(store) as procedures:
        return [
            *await lost_customers(procedures, done),
            *await lost_requests(procedures, done),
            *await lost_documents(procedures, done),
        ]


async def test_nothing_acknowledged_is_lost_by_a_kill(own_server: Store) -> None:
    done = Acknowledged()
    numbers = itertools.count(1)
    for turn in range(1, ROUNDS + 1):
        before = done.calls
        await kill_under_load(own_server, done, numbers)
        assert done.calls - before > 100, "too little was written to prove anything"
        own_server.start()
        missing = await lost(own_server, done)
        assert missing == [], f"round {turn}: {len(missing)} problems, first {missing[:5]}"
    print(
        f"{done.calls} acknowledged calls over {ROUNDS} kills: {len(done.customers)} customers, "
        f"{len(done.requests)} requests, {len(done.documents)} documents"
    )
    assert done.customers
    assert done.requests
    assert done.documents


class Forgetful(Store):
    """Keeps no log of its writes."""

    script = ROOT / "tests" / "chaos" / "without_wal.lua"


@pytest.fixture
def forgetful(own_server: Store) -> Iterator[Store]:
    """Beside own_server only for its short path."""
    data = Path(f"{own_server.data}-forgetful")
    # Spaces on disk cannot be made without a log.
    made = Store(data)
    made.start()
    made.stop()
    store = Forgetful(data)
    store.start()
    yield store
    store.stop()
    shutil.rmtree(store.data, ignore_errors=True)


async def test_the_check_sees_what_a_store_without_a_log_loses(forgetful: Store) -> None:
    """Negative control: were the check blind, it would say nothing here either."""
    done = Acknowledged()
    await kill_under_load(forgetful, done, itertools.count(1))
    forgetful.start()
    missing = set(await lost(forgetful, done))
    assert missing >= done.customers.keys()
    assert missing >= done.requests
    assert missing >= done.documents.keys()
