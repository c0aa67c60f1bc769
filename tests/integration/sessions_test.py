"""Chat histories through their service: order, retries, windows, and what waits while the store is away."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from lycosa.errors import Conflict, Invalid, LycosaError, NotFound, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures, SessionExists, SessionMessageExists, connect
from lycosa.services import session_writer
from lycosa.services.session_messages import Message
from lycosa.services.sessions import SessionService
from lycosa.settings import Settings
from tests.conftest import Store, until


@pytest_asyncio.fixture
async def sessions(procedures: Procedures, settings: Settings) -> AsyncIterator[SessionService]:
    service = SessionService(procedures, settings)
    yield service
    await service.aclose()


def user(text: str, identifier: str | None = None) -> Message:
    return Message("user", text, id=identifier)


async def contents(sessions: SessionService, identity: Identity, session: str) -> list[str]:
    """Everything of a session, page by page."""
    found: list[str] = []
    while True:
        page = await sessions.history(identity, session, after=len(found), limit=100)
        found += [message.content for message in page.messages]
        assert [message.number for message in page.messages] == list(
            range(len(found) - len(page.messages) + 1, len(found) + 1)
        )
        if not page.more:
            return found


async def test_a_process_reads_what_it_has_just_appended(
    sessions: SessionService, identity: Identity
) -> None:
    await sessions.append(identity, "s", [user("здравствуйте"), Message("assistant", "hello")])
    assert sessions.figures().waiting == 2
    found = await sessions.history(identity, "s")
    assert [(one.role, one.content) for one in found.messages] == [
        ("user", "здравствуйте"),
        ("assistant", "hello"),
    ]
    assert (found.session.messages, found.session.tokens, found.more) == (2, 8, False)
    assert sessions.figures().waiting == 0


async def test_sixty_four_writers_keep_their_order(sessions: SessionService, identity: Identity) -> None:
    """E1: order per session strict, concurrent appends lose nothing."""
    chance = random.Random(1)

    async def write(writer: int) -> None:
        for number in range(25):
            await sessions.append(
                identity, f"s{writer % 8}", [user(f"{writer} {number}")], durable=chance.random() < 0.2
            )
            await asyncio.sleep(0)

    await asyncio.gather(*(write(writer) for writer in range(64)))
    for session in range(8):
        found = await contents(sessions, identity, f"s{session}")
        assert len(found) == 8 * 25
        for writer in range(session, 64, 8):
            own = [int(text.split()[1]) for text in found if text.split()[0] == str(writer)]
            assert own == list(range(25))
    figures = sessions.figures()
    assert figures.appended == 64 * 25
    assert figures.writes < figures.appended / 5


async def test_a_repeated_append_adds_nothing(sessions: SessionService, identity: Identity) -> None:
    messages = [user("a", "m1"), user("b", "m2")]
    first = await sessions.append(identity, "s", messages, durable=True)
    again = await sessions.append(identity, "s", messages, durable=True)
    assert first == again == (["m1", "m2"], 2)
    assert await contents(sessions, identity, "s") == ["a", "b"]


async def test_one_bad_message_stops_no_other(sessions: SessionService, identity: Identity) -> None:
    await sessions.append(identity, "s", [user("a", "m1")], durable=True)
    with capture_logs() as logs:
        appended = await asyncio.gather(
            *(
                sessions.append(identity, session, [user(text, identifier)], durable=True)
                for session, text, identifier in (
                    ("s", "b", "m2"),
                    ("s", "not a", "m1"),
                    ("s", "c", "m3"),
                    ("t", "d", "m1"),
                )
            ),
            sessions.append(identity, "s", [user("not a either", "m1")]),
            return_exceptions=True,
        )
        assert await contents(sessions, identity, "s") == ["a", "b", "c"]
    assert isinstance(appended[1], SessionMessageExists)
    assert [isinstance(one, LycosaError) for one in appended] == [False, True, False, False, False]
    assert await contents(sessions, identity, "t") == ["d"]
    with pytest.raises(SessionMessageExists):
        await sessions.append(identity, "t", [user("e", "m2"), user("not d", "m1")], durable=True)
    assert await contents(sessions, identity, "t") == ["d", "e"]
    assert [(line["event"], line["message"]) for line in logs] == [("message_refused", "m1")]
    assert sessions.figures().refused == 3


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Message("robot", "x"), "role"),  # type: ignore[arg-type]
        (user("\x1b[31m"), "content"),
        (user("x" * 262_145), "content"),
        (user("\ud800"), "content"),
        (user("x", ""), "id"),
        (user("x", "a\nb"), "id"),
        (user("x", "й" * 65), "id"),
        (user("x")._replace(body="\0"), "body"),
        (user("x")._replace(tokens=-1), "tokens"),
        (user("x")._replace(created_at=float("nan")), "created_at"),
        (user("x")._replace(extra={"a": float("inf")}), "extra.a"),
        (user("x")._replace(extra={"a": "\x07"}), "extra.a"),
        (user("x")._replace(extra={str(number): 1 for number in range(33)}), "extra"),
    ],
)
async def test_a_wrong_message_is_refused_before_it_waits(
    sessions: SessionService, identity: Identity, message: Message, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await sessions.append(identity, "s", [user("fine"), message])
    assert caught.value.details["argument"] == field
    assert sessions.figures().waiting == 0


async def test_what_is_checked_here_the_store_takes(sessions: SessionService, identity: Identity) -> None:
    largest = Message(
        "tool",
        "\n\t\r" + "й" * 131_000,
        id="й" * 64,
        body="x" * 262_144,
        tokens=10_000_000,
        created_at=253_402_300_799,
        extra={f"ключ {number}": "й" * 512 for number in range(29)}
        | {"n": 2**63 - 1024, "f": -1.5, "b": False},
    )
    await sessions.append(identity, "s", [largest, user("")], durable=True)
    found = (await sessions.history(identity, "s", before=2)).messages[0]
    assert (found.content, found.body, found.extra) == (largest.content, largest.body, largest.extra)


async def test_sessions_have_agents_and_end(sessions: SessionService, identity: Identity) -> None:
    made = await sessions.create(identity, "s", current_agent="sales", metadata={"channel": "web"}, idle=60)
    assert (made.current_agent, made.metadata, made.idle) == ("sales", {"channel": "web"}, 60)
    await sessions.append_tool_result(identity, "s", "call-1", "42")
    assert (await sessions.update(identity, "s", current_agent="support")).messages == 1
    with pytest.raises(SessionExists):
        await sessions.create(identity, "s")
    await sessions.append_message(identity, "t", "user", "привет")
    assert await sessions.exists(identity, "t")
    page = await sessions.find(identity)
    assert [row.id for row in page.rows] == ["t", "s"]
    other = replace(identity, tenant=identity.tenant + "-other")
    assert not await sessions.exists(other, "t")
    await sessions.append_message(identity, "t", "user", "is deleted as well")
    await sessions.remove(identity, "t")
    assert not await sessions.exists(identity, "t")
    with pytest.raises(NotFound):
        await sessions.remove(identity, "t")
    with pytest.raises(Conflict):
        await sessions.create(identity, "s", idle=5)


async def test_messages_are_gathered_longer_the_busier_it_is(
    server: Store, procedures: Procedures, identity: Identity
) -> None:
    sessions = SessionService(procedures, server.settings(session_write_most=10.0))
    await sessions.append(identity, "calm", [user("one")])
    await until(lambda: sessions.figures().writes == 1)
    # A thousand at once do not wait.
    await sessions.append(identity, "busy", [user(str(number)) for number in range(1000)])
    await until(lambda: sessions.figures().writes == 2)
    written = sessions.figures().writes
    for number in range(30):
        await sessions.append(identity, "busy", [user(str(number)) for number in range(10 * number)])
        await asyncio.sleep(0.01)
    figures = sessions.figures()
    # More came than one write holds, so one went; of the rest, many travel together however busy the machine is.
    assert figures.writes - written < 15
    await sessions.append(identity, "busy", [user("one more")])
    figures = sessions.figures()
    assert 0.0 <= figures.oldest_seconds < 10.0
    assert figures.waiting_bytes > figures.waiting * 256 > 0
    await sessions.aclose()
    assert sessions.figures().appended == 1 + 1000 + 10 * sum(range(30)) + 1
    with pytest.raises(Unavailable, match="ending"):
        await sessions.append(identity, "busy", [user("late")])


async def test_how_busy_it_is_is_remembered_until_it_has_been_calm(
    server: Store, procedures: Procedures, identity: Identity
) -> None:
    """A store that has written everything before more comes has not made anybody less busy."""
    sessions = SessionService(procedures, server.settings(session_write_most=2.0))

    async def written(*texts: str) -> float:
        began, writes = time.monotonic(), sessions.figures().writes
        await sessions.append(identity, "s", [user(text) for text in texts])
        await until(lambda: sessions.figures().writes > writes)
        return time.monotonic() - began

    await written(*map(str, range(1000)))
    assert sessions.figures().waiting == 0
    assert await written("soon after") > 1.0
    await until(lambda: not sessions._writer._lines)
    assert await written("much later") < 1.0
    await sessions.aclose()


async def test_nothing_is_lost_while_the_store_is_away(
    own_server: Store, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_writer, "MOST_WAITING", 30)
    settings = own_server.settings(call_timeout=0.3)
    async with connect(settings) as client:
        sessions = SessionService(Procedures(client), settings)
        await sessions.append(identity, "s", [user("0")], durable=True)
        own_server.pause()
        for number in range(1, 25):
            await sessions.append(identity, "s", [user(str(number))])
        waiting = asyncio.create_task(sessions.append(identity, "s", [user("25")], durable=True))
        await until(lambda: sessions.figures().failures > 0)
        with pytest.raises(TimedOut, match="does not take"):
            await sessions.history(identity, "s")
        assert not sessions._writer._lines[identity.tenant].watchers
        with pytest.raises(TimedOut, match="still wait"):
            await waiting
        with pytest.raises(Unavailable, match="wait to be written") as caught:
            await sessions.append(identity, "s", [user("too many")] * 9)
        assert (caught.value.code, caught.value.retry_after) == ("SESSION_QUEUE_FULL", 1.0)
        assert sessions.figures().oldest_seconds > 0.25
        # Killed with an answer outstanding: whether the first attempts were written is not known, and does not matter.
        own_server.kill()
        own_server.start()
        await until(lambda: sessions.figures().waiting == 0)
        assert await contents(sessions, identity, "s") == [str(number) for number in range(26)]
        own_server.kill()
        await sessions.append(identity, "s", [user("never written")])
        late = asyncio.create_task(sessions.append(identity, "s", [user("nor this")], durable=True))
        await asyncio.sleep(0)
        began = time.monotonic()
        with capture_logs() as logs:
            await sessions.aclose()
        assert time.monotonic() - began < 1.5
        assert (sessions.figures().lost, sessions.figures().waiting) == (2, 0)
        assert ("messages_lost", 2) in [(line["event"], line.get("count")) for line in logs]
        with pytest.raises(TimedOut, match="still wait"):
            await late
