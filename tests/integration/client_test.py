"""The client against the real store: errors by kind, deadlines, reconnects, contract comparison."""

import asyncio
import functools
import time
from pathlib import Path
from typing import Any

import pytest
from asynctnt.exceptions import TarantoolDatabaseError

from lycosa.client import Client
from lycosa.errors import Conflict, Denied, Invalid, TimedOut, Unavailable
from lycosa.procedures import (
    DeadlineExceeded,
    LookupClaim,
    Procedures,
    QuotaUnknown,
    UnknownArgument,
    connect,
    contract,
)
from tests.conftest import Store


async def test_a_call_answers_a_typed_record(procedures: Procedures) -> None:
    health = await procedures.system_health()
    assert health.status == "running"
    assert health.writable is True


async def test_a_catalogued_error_becomes_its_class(client: Client) -> None:
    with pytest.raises(UnknownArgument) as raised:
        await client.call("lycosa.system.health", {"colour": "red"})
    assert raised.value.kind == "invalid"
    assert raised.value.details == {"argument": "colour", "procedure": "system.health"}


async def test_arguments_that_cannot_be_encoded_are_invalid(client: Client) -> None:
    with pytest.raises(Invalid) as raised:
        await client.call("lycosa.system.health", {"number": 2**70})
    assert raised.value.code == "INVALID_ARGUMENT"
    with pytest.raises(Invalid):
        await client.call("lycosa.system.health", {"text": "\ud800"})


async def test_the_user_may_call_its_procedures_and_nothing_else(client: Client) -> None:
    for name in ("box.info", "lycosa.start", "os.execute", "box.space._user:select", "loadstring"):
        with pytest.raises((Denied, Conflict)):
            await client.call(name, {})
    connection = client._connection
    assert connection is not None
    with pytest.raises(TarantoolDatabaseError) as raised:
        await connection.eval("return 1")
    assert raised.value.code == 42
    with pytest.raises(TarantoolDatabaseError) as raised:
        await connection.select(280)
    assert raised.value.code in (36, 42)


async def test_a_deadline_passed_before_the_server_began_does_nothing(client: Client) -> None:
    connection = client._connection
    assert connection is not None
    with pytest.raises(TarantoolDatabaseError) as raised:
        await connection.call("lycosa.system.health", [{}, time.time() - 5])
    assert isinstance(client._translate(raised.value, "system.health"), DeadlineExceeded)


async def test_a_frozen_server_times_out(own_server: Store) -> None:
    async with connect(own_server.settings()) as client:
        procedures = Procedures(client)
        await procedures.system_health()
        own_server.pause()
        started = time.monotonic()
        with pytest.raises(TimedOut):
            await procedures.system_health(timeout=0.2)
        assert time.monotonic() - started < 1
        own_server.resume()
        assert (await procedures.system_health()).status == "running"


async def test_calls_survive_a_restart_of_the_store(own_server: Store) -> None:
    async with connect(own_server.settings()) as client:
        procedures = Procedures(client)
        await procedures.system_health()
        own_server.kill()
        with pytest.raises(Unavailable) as raised:
            await procedures.system_health(timeout=0.3)
        assert raised.value.retry_after is not None
        waiting = asyncio.create_task(procedures.system_health(timeout=10))
        await asyncio.sleep(0.05)
        own_server.start()
        assert (await waiting).status == "running"
        assert client.reconnects == 1


async def test_no_task_is_left_behind_by_reconnects(own_server: Store) -> None:
    async with connect(own_server.settings()) as client:
        before = len(asyncio.all_tasks())
        for _ in range(3):
            own_server.kill()
            own_server.start()
            await Procedures(client).system_health(timeout=10)
        assert len(asyncio.all_tasks()) <= before + 1
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "lycosa-connect"]


async def test_an_absent_store_is_unavailable_with_advice(server: Store) -> None:
    settings = server.settings(tarantool_host="/tmp/lycosa-nobody-listens.sock")
    with pytest.raises(Unavailable, match="lycosa up"):
        await connect(settings).open(timeout=0.3)


async def test_a_wrong_password_is_denied(server: Store) -> None:
    with pytest.raises(Denied):
        await connect(server.settings(password="wrong")).open(timeout=1)


async def test_a_missing_password_file_is_named(server: Store, tmp_path: object) -> None:
    with pytest.raises(Invalid, match="LYCOSA_PASSWORD"):
        await connect(server.settings(data=tmp_path)).open(timeout=0.3)


async def test_another_contract_is_refused_by_the_procedure_that_differs(server: Store) -> None:
    changed = contract()
    changed["digest"] = "0" * 16
    for procedure in changed["procedures"]:
        if procedure["name"] == "system.health":
            procedure["digest"] = "0" * 16
            procedure["args"] = [{"name": "colour", "type": {"kind": "name", "min": 1, "max": 128}}]
    client = Client(server.settings(), contract=changed)
    with pytest.raises(Conflict, match=r"system\.health: argument colour is gone"):
        await client.open(timeout=1)


async def test_a_closed_client_refuses(server: Store) -> None:
    client = connect(server.settings())
    await client.open()
    await client.close()
    with pytest.raises(Unavailable, match="closed"):
        await Procedures(client).system_health()


async def test_rows_packed_for_the_wire_equal_rows_as_they_are(client: Client, tenant: str) -> None:
    rows: list[dict[str, object]] = [
        {"id": f"c{number:02}", "name": f"Ёлкин {number}", "tags": ["б", "a"], "profile": {"город": "Пермь"}}
        for number in range(18)
    ]
    procedures = Procedures(client)
    await procedures.customer_upsert(tenant=tenant, rows=rows)
    # One to fifteen rows and more of them begin with different bytes of MessagePack.
    for limit in (1, 15, 16, 18):
        page = await procedures.customer_find(tenant=tenant, by="all", limit=limit)
        plain = await client.call("lycosa.customer.find", {"tenant": tenant, "by": "all", "limit": limit})
        assert [list(row) for row in page.rows] == [list(row) for row in plain["rows"]]
        assert page.next == plain["next"]
    assert (await procedures.customer_find(tenant="nobody", by="all")).rows == []


async def test_a_stranger_at_the_address_is_said_to_be_one(server: Store, tmp_path: Path) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n".ljust(128, b"x"))
        await writer.drain()

    address = str(tmp_path / "stranger.sock")
    async with await asyncio.start_unix_server(answer, address):
        client = connect(server.settings(tarantool_host=address))
        with pytest.raises(Unavailable, match=r"stranger\.sock"):
            await client.open(timeout=0.5)


async def test_procedures_that_wait_have_a_connection_of_their_own(own_server: Store, tenant: str) -> None:
    asked: dict[str, Any] = {"tenant": tenant, "key": "k", "question": "q", "providers": [{"provider": "p"}]}
    async with connect(own_server.settings(call_timeout=0.3)) as client:
        procedures = Procedures(client)
        assert not client._waits
        decided = await procedures.lookup_begin(**asked, lease=30)
        # Longer than the deadline of other calls.
        pending = await procedures.lookup_await(**asked, ticket=str(decided.ticket), wait=0.5)
        assert pending.outcome == "pending"
        waits = vars(client)["_waits"]
        assert waits._connection is not client._connection
        # It comes back like the first, on its own.
        own_server.kill()
        await asyncio.to_thread(own_server.start)
        again = await procedures.lookup_await(**asked, ticket=str(decided.ticket), wait=0.2)
        assert again.outcome in ("lease", "pending")
        waiting = asyncio.create_task(procedures.lookup_await(**asked, ticket="other", wait=60))
        await asyncio.sleep(0.1)
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable, match="closed"):
        await procedures.lookup_await(**asked, ticket="other", wait=1)


async def test_who_waits_keeps_nobody_else_waiting(
    client: Client, procedures: Procedures, tenant: str
) -> None:
    asked: dict[str, Any] = {"tenant": tenant, "key": "k", "question": "q", "providers": [{"provider": "p"}]}
    lease = (await procedures.lookup_begin(**asked)).lease
    assert lease is not None
    waiting = [
        asyncio.create_task(procedures.lookup_await(**asked, ticket=lease.ticket, wait=20))
        for _ in range(2000)
    ]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in waiting)
    await procedures.system_health(timeout=0.5)
    await procedures.lookup_finish(
        tenant=tenant, key="k", token=lease.token, value=b"v", ttl=60, request={"id": "r"}
    )
    assert {decided.outcome for decided in await asyncio.gather(*waiting)} == {"hit"}


async def test_what_is_sent_again_and_again_is_packed_checked_and_bounded(
    client: Client, tenant: str
) -> None:
    begin = functools.partial(Procedures(client).lookup_begin, tenant=tenant, question="q")
    claims: list[LookupClaim] = [{"quota": f"{number}{'q' * 100}", "amount": 1} for number in range(16)]
    # Too long to be packed: it goes as it is, and is refused for what it says.
    with pytest.raises(QuotaUnknown, match="0q"):
        await begin(key="long", providers=[{"provider": f"p{n}", "claims": claims} for n in range(3)])
    for _ in range(2):
        with pytest.raises(Invalid) as refused:
            await begin(key="wrong", providers=[{"provider": "p"}, {"provider": "q", "cost": -1}])
        assert refused.value.details["argument"] == "providers[2].cost"
    unpackable: Any = [{"provider": "p", "cost": object()}]
    with pytest.raises(Invalid, match="argument providers cannot be packed"):
        await begin(key="none", providers=unpackable)
    for key in ("first", "second"):
        assert (await begin(key=key, providers=[{"provider": "p"}])).outcome == "lease"
