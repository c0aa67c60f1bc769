"""The connection of the LangChain components, from event loops, threads and code without either."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lycosa.errors import Invalid, Unavailable
from lycosa.identity import Identity
from lycosa.langchain.connection import LycosaConnection
from lycosa.services import Services
from lycosa.settings import Settings
from tests.conftest import Store


async def test_a_loop_has_services_of_its_own(settings: Settings, identity: Identity) -> None:
    async with LycosaConnection(settings, identity=identity) as connection:
        ours = await connection.services()
        assert await connection.services() is ours
        await ours.cache.set(identity, "k", b"\xff\x00")

        async def read(services: Services) -> tuple[bool, bytes | None]:
            entry = await services.cache.get(identity, "k")
            return services is ours, entry and entry.value

        assert await asyncio.to_thread(connection.run, read) == (False, b"\xff\x00")


def test_threads_share_one_background_loop(settings: Settings, identity: Identity) -> None:
    with LycosaConnection(settings, identity=identity) as connection, ThreadPoolExecutor(8) as pool:

        def write(number: int) -> int:
            async def work(services: Services) -> int:
                await services.cache.set(identity, f"k{number}", str(number).encode())
                return id(asyncio.get_running_loop())

            return connection.run(work)

        assert len(set(pool.map(write, range(50)))) == 1
        found = connection.run(lambda services: services.cache.get_many(identity, ["k0", "k49", "k50"]))
        assert [entry and entry.value for entry in found] == [b"0", b"49", None]
    assert "lycosa-connection" not in {thread.name for thread in threading.enumerate()}


def test_one_loop_after_another(settings: Settings, identity: Identity) -> None:
    connection = LycosaConnection(settings, identity=identity)

    async def ask() -> bool:
        services = await connection.services()
        await services.cache.set(identity, "k", b"v")
        return await services.cache.get(identity, "k") is not None

    async def ask_and_close() -> bool:
        try:
            return await ask()
        finally:
            await connection.aclose()

    first = asyncio.new_event_loop()
    assert first.run_until_complete(ask())
    first.run_until_complete(next(iter(connection._opened.values())).aclose())
    first.close()
    assert asyncio.run(ask_and_close())
    assert not connection._opened


def test_a_loop_that_stands_still_is_closed_with_the_connection(settings: Settings) -> None:
    loop = asyncio.new_event_loop()
    connection = LycosaConnection(settings)
    services = loop.run_until_complete(connection.services())
    loop.run_until_complete(services.cache.get(connection.identity, "k"))
    client = connection._opened[loop].client
    connection.close()
    assert not client.connected
    loop.close()


def test_errors_of_the_work_reach_the_caller(settings: Settings, identity: Identity) -> None:
    with LycosaConnection(settings, identity=identity) as connection:
        with pytest.raises(Invalid, match="key"):
            connection.run(lambda services: services.cache.get(identity, "x" * 600))

        async def inside(_: Services) -> object:
            return connection.run(lambda services: services.cache.get(identity, "k"))

        with pytest.raises(Invalid, match="asynchronous twin") as caught:
            connection.run(inside)
        assert caught.value.code == "SYNC_IN_LOOP"


async def test_after_closing_nothing_is_opened(settings: Settings) -> None:
    connection = LycosaConnection(settings)
    await connection.services()
    await connection.aclose()
    await connection.aclose()
    connection.close()
    with pytest.raises(Unavailable, match="closed"):
        await connection.services()
    with pytest.raises(Unavailable, match="closed"):
        connection.run(lambda services: services.cache.figures(connection.identity))


def test_no_password_is_said_at_once(server: Store) -> None:
    with (
        LycosaConnection(server.settings(data=server.data / "nowhere")) as connection,
        pytest.raises(Invalid) as caught,
    ):
        connection.run(lambda services: services.cache.figures(connection.identity))
    assert caught.value.code == "PASSWORD_MISSING"


def test_a_program_that_never_closes_loses_nothing_and_imports_little(
    server: Store, identity: Identity
) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from lycosa.identity import Identity
        from lycosa.langchain.connection import LycosaConnection
        from lycosa.services.sessions import Message
        from lycosa.settings import Settings
        settings = Settings(_env_file=None, data=Path(sys.argv[1]), tarantool_host=sys.argv[2])
        connection = LycosaConnection(settings, identity=Identity(sys.argv[3]))
        messages = [Message("user", str(number)) for number in range(10)]
        connection.run(lambda services: services.sessions.append(connection.identity, "s", messages))
        print([name for name in sys.modules if name.startswith(("langchain", "langgraph"))])
    """
    arguments = [str(server.data), str(server.socket), identity.tenant]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.strip() == "[]"
    with LycosaConnection(server.settings(), identity=identity) as connection:
        found = connection.run(lambda services: services.sessions.history(identity, "s"))
        assert [message.content for message in found.messages] == [str(number) for number in range(10)]


def test_what_goes_on_while_it_closes_hears_of_it(settings: Settings) -> None:
    connection = LycosaConnection(settings)
    begun = threading.Event()

    async def wait(_: Services) -> None:
        begun.set()
        await asyncio.sleep(60)

    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(connection.run, wait)
        assert begun.wait(5)
        connection.close()
        with pytest.raises(Unavailable, match="closed"):
            doing.result(5)


def test_a_part_that_fails_to_close_keeps_nothing_else_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = LycosaConnection(settings)
    connection.run(lambda services: services.cache.get(connection.identity, "k"))
    ((loop, opened),) = connection._opened.items()

    async def fail() -> None:
        raise OSError("no")

    monkeypatch.setattr(opened.services.cache, "aclose", fail)
    with pytest.raises(OSError, match="no"):
        connection.close()
    assert loop.is_closed()
    assert not opened.client.connected


async def test_nothing_is_opened_while_it_closes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = LycosaConnection(settings)
    services = await connection.services()
    closing = services.aclose

    async def close_slowly() -> None:
        with pytest.raises(Unavailable, match="closed"):
            await connection.services()
        await closing()

    monkeypatch.setattr(services, "aclose", close_slowly)
    await connection.aclose()
