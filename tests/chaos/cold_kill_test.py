"""kill -9 while requests move from memory to disk: each is there once, whole, wherever it is (D5, D6)."""

import asyncio
import contextlib
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lycosa.procedures import Procedures, RequestSourceInput, connect
from tests.conftest import Clock, Store

TENANT = "cold"
REQUESTS = 200
DAYS_AGO = 10
# Where the process dies, as the n-th write to a space: before anything is on disk, amid the writing to disk, between it
# and the leaving of memory, amid the leaving, and in a later slice.
POINTS = [
    ("request_boundary", 1),
    ("request_cold", 1),
    ("request_cold_summary", 20),
    ("request_source", 1),
    ("request", 12),
    ("request_cold", 70),
    ("request", 90),
]

# Dies in the midst of a transaction: what was written before it is in the log, and nothing of it is.
DIE = (
    "local ffi = require('ffi') ffi.cdef('int kill(int pid, int signal); int getpid(void);') local left = {count} "
    "box.space.{space}:on_replace(function() left = left - 1 "
    "if left == 0 then ffi.C.kill(ffi.C.getpid(), 9) end end) "
)
MOVE = "require('lycosa.request').configure{request_cold_days = 1}"


@contextlib.asynccontextmanager
async def connected(store: Store) -> AsyncIterator[Procedures]:
    async with connect(store.settings()) as client:
        yield Procedures(client)


def source_count(number: int) -> int:
    return number % 5


async def fill(store: Store) -> None:
    """Requests of three customers, ten days old; some share their moment."""
    async with connect(store.settings()) as client:
        procedures, clock = Procedures(client), Clock(client)
        await clock.freeze(time.time() - DAYS_AGO * 86_400)
        for number in range(REQUESTS):
            sources: list[RequestSourceInput] = [
                {"kind": "document", "ref": f"d-{position}", "title": "Источник", "quote": f"{number}"}
                for position in range(source_count(number))
            ]
            await procedures.request_append(
                tenant=TENANT,
                id=f"r-{number}",
                customer_id=f"c-{number % 3}",
                kind="analysis",
                status="done",
                question="Что дальше?",
                answer=f"Ответ {number} " + "x" * 500,
                tokens_in=1,
                sources=sources,
            )
            if number % 4 == 0:
                await clock.advance(60)
        await clock.release()


async def listed(procedures: Procedures, by: str, value: str | None, order: str) -> list[str]:
    """Ids of all pages."""
    found: list[str] = []
    cursor = None
    while True:
        page = await procedures.request_list(
            tenant=TENANT,
            by=by,  # type: ignore[arg-type]
            value=value,
            order=order,  # type: ignore[arg-type]
            limit=37,
            cursor=cursor,
        )
        found += [row.id for row in page.rows]
        cursor = page.next
        if cursor is None:
            return found


async def faults(store: Store) -> list[str]:
    """Requests that are lost, shown twice, in the wrong order, or not whole."""
    found: list[str] = []
    async with connected(store) as procedures:
        upwards = await listed(procedures, "time", None, "asc")
        found += [f"{name} is listed {count} times" for name, count in Counter(upwards).items() if count > 1]
        found += sorted({f"r-{number}" for number in range(REQUESTS)} - set(upwards))
        if upwards[::-1] != await listed(procedures, "time", None, "desc"):
            found.append("newest first is not oldest first read backwards")
        for customer in range(3):
            names = await listed(procedures, "customer", f"c-{customer}", "asc")
            if names != [name for name in upwards if int(name[2:]) % 3 == customer]:
                found.append(f"the pages of customer {customer} are not those of all")
        whole = await asyncio.gather(
            *(procedures.request_get(tenant=TENANT, id=f"r-{number}") for number in range(REQUESTS)),
            return_exceptions=True,
        )
        for number, one in enumerate(whole):
            if isinstance(one, BaseException):
                found.append(f"r-{number}: {one}")
            elif (
                len(one.sources) != source_count(number)
                or any(source.quote != str(number) for source in one.sources)
                or not (one.request.answer or "").startswith(f"Ответ {number} ")
            ):
                found.append(f"r-{number} is not whole")
        day = int(time.time() // 86_400)
        totals = await procedures.request_totals(tenant=TENANT, from_day=day - 20, until_day=day + 1)
        if totals.requests != REQUESTS:
            found.append(f"sums count {totals.requests}")
    return found


def places(store: Store) -> tuple[int, int]:
    """How many requests are in memory, and how many on disk."""
    answer = store.console("return box.space.request:len(), #box.space.request_cold:select()")
    in_memory, on_disk = re.findall(r"^- (\d+)$", answer, re.M)
    return int(in_memory), int(on_disk)


def move_all(store: Store) -> None:
    """Let everything move."""
    store.console(MOVE)
    deadline = time.monotonic() + 10
    while places(store) != (0, REQUESTS):
        assert time.monotonic() < deadline, places(store)
        time.sleep(0.02)


async def test_requests_that_move_survive_a_kill_at_any_point(own_server: Store) -> None:
    await fill(own_server)
    seen = []
    for space, count in POINTS:
        own_server.console(DIE.format(space=space, count=count) + MOVE)
        own_server.wait_killed()
        own_server.start()
        assert await faults(own_server) == [], f"after a kill at {space} {count}"
        seen.append(places(own_server))
    # Some died before the first was on disk, some while requests were in both places, some with a part of them gone.
    assert seen[0] == (REQUESTS, 0)
    assert any(in_memory + on_disk > REQUESTS for in_memory, on_disk in seen)
    assert any(0 < in_memory < REQUESTS and on_disk > 0 for in_memory, on_disk in seen)
    move_all(own_server)
    assert await faults(own_server) == []
    own_server.kill()
    own_server.start()
    assert await faults(own_server) == []
    # Negative control: were the check blind, it would say nothing here either.
    own_server.console(f"box.space.request_cold:delete{{'{TENANT}', 'r-7'}}")
    assert [fault.split(":")[0] for fault in await faults(own_server)] == ["r-7"]


@pytest.fixture
def restored() -> Iterator[Store]:
    store = Store(Path(f"/tmp/lycosa-{secrets.token_hex(4)}"))
    yield store
    store.stop()
    shutil.rmtree(store.data, ignore_errors=True)


async def test_a_backup_holds_what_is_on_disk(own_server: Store, restored: Store) -> None:
    await fill(own_server)
    move_all(own_server)
    own_server.console("box.snapshot()")
    answer = own_server.console("return box.backup.start()")
    names = [name.removeprefix("./") for name in re.findall(r"^\s*- (?:- )?(\S+)$", answer, re.M)]
    assert any(name.endswith(".run") for name in names)
    for name in [*names, "password"]:
        target = restored.data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(own_server.data / name, target)
    own_server.console("box.backup.stop()")
    restored.start()
    assert places(restored) == (0, REQUESTS)
    assert await faults(restored) == []
