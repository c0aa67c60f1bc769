"""Events of an analysis read on after the stream was lost, on another server than the one that writes them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from httpx_sse import ServerSentEvent, aconnect_sse

from lycosa.client import Client
from lycosa.errors import Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.services.events import Journal
from tests.conftest import ROOT, Clock, Store, until
from tests.integration.analysis_world import answer
from tests.integration.rest_client import free_port, serving
from tests.standins.openai_model import OpenAIModel, Script

STREAM = {"accept": "text/event-stream"}
ASKED = {"customer_id": "c-1", "question": "What could make them leave?"}


@dataclass
class Two:
    """Two servers over one store, and the model that both ask."""

    one: httpx.AsyncClient
    other: httpx.AsyncClient
    model: OpenAIModel


@pytest_asyncio.fixture
async def two(server: Store, tenant: str) -> AsyncIterator[Two]:
    async with OpenAIModel(Script(answer("One. ", "Two. ", "Three."))) as model:
        given: dict[str, Any] = {
            "tenant": tenant,
            "llm": "openai:scripted",
            "openai_base_url": model.base_url,
        }
        given |= {"openai_api_key": "sk-secret"}
        async with (
            serving(server.settings(http_port=free_port(), **given)) as one,
            serving(server.settings(http_port=free_port(), **given)) as other,
        ):
            await one.post("/v1/customers", json={"rows": [{"id": "c-1", "name": "Acme", "segment": "smb"}]})
            yield Two(one, other, model)


async def events_of(client: httpx.AsyncClient, path: str, after: int = 0) -> list[ServerSentEvent]:
    headers = {"last-event-id": str(after)}
    async with aconnect_sse(client, "GET", path, headers=headers) as source:
        assert source.response.status_code == 200, await source.response.aread()
        return [event async for event in source.aiter_sse()]


def told(events: list[ServerSentEvent]) -> list[tuple[str, str, str]]:
    return [(event.id, event.event, event.data) for event in events]


async def begin(two: Two, pieces: int, **asked: Any) -> tuple[str, list[ServerSentEvent]]:
    """Ask for a stream, read some of its tokens and hang up: where it is, and what was read."""
    two.model.script = Script(answer(*["word "] * pieces), pause=0.02)
    read: list[ServerSentEvent] = []
    body = ASKED | asked
    async with aconnect_sse(two.one, "POST", "/v1/analyses", json=body, headers=STREAM) as source:
        path = source.response.headers["content-location"]
        async for event in source.aiter_sse():
            read.append(event)
            if [one.event for one in read].count("token") == 3:
                break
    return path, read


async def test_a_stream_is_read_again_from_any_event(two: Two) -> None:
    async with aconnect_sse(two.one, "POST", "/v1/analyses", json=ASKED, headers=STREAM) as source:
        path = source.response.headers["content-location"]
        first = [event async for event in source.aiter_sse()]
    assert first[-1].event == "report"
    assert told(await events_of(two.other, path)) == told(first)
    assert told(await events_of(two.other, path, 4)) == told(first[4:])
    assert (await two.other.get(path, headers={"last-event-id": first[-1].id})).status_code == 204
    assert (await two.other.get(path, headers={"last-event-id": "x"})).status_code == 422


async def test_what_goes_on_is_followed_to_its_report(two: Two) -> None:
    path, read = await begin(two, 40, goes_on=True)
    rest = await events_of(two.other, path, int(read[-1].id))
    assert [int(event.id) for event in rest] == list(range(int(read[-1].id) + 1, int(rest[-1].id) + 1))
    assert rest[-1].event == "report"
    assert [event.event for event in [*read, *rest]].count("token") == 40
    assert two.model.calls[0].sent >= 40


async def test_who_hangs_up_stops_the_work_and_the_events_say_so(two: Two) -> None:
    # The answer would take forty seconds: whoever hears of the end before it was hung up on.
    path, read = await begin(two, 2_000)
    await until(lambda: any(call.hung_up.is_set() for call in two.model.calls), 20)
    rest = await events_of(two.other, path, int(read[-1].id))
    assert rest[-1].event == "error"
    assert rest[-1].json()["code"] == "ANALYSIS_CANCELLED"
    assert rest[-1].json()["status"] == 503
    assert told(await events_of(two.other, path))[-1][:2] == (rest[-1].id, "error")


async def test_unknown_is_404_and_expired_is_410(two: Two, frozen: Clock) -> None:
    assert (await two.other.get("/v1/analyses/none/events")).json()["code"] == "EVENT_STREAM_NOT_FOUND"
    async with aconnect_sse(two.one, "POST", "/v1/analyses", json=ASKED, headers=STREAM) as source:
        path = source.response.headers["content-location"]
        assert [event async for event in source.aiter_sse()][-1].event == "report"
    await events_of(two.other, path)
    await frozen.advance(601)
    gone = await two.other.get(path)
    assert (gone.status_code, gone.json()["code"]) == (410, "GONE")
    assert path.split("/")[3] in gone.json()["detail"]


KILLED = """
import asyncio
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services.events import EventService
from lycosa.settings import Settings

async def main():
    settings = Settings(_env_file=None)
    async with connect(settings) as client:
        journal = EventService(Procedures(client)).journal(Identity(settings.tenant), "r-killed")
        for number in range(1000):
            journal.add("token", '{"event": "token", "text": "word "}')
            await asyncio.sleep(0.02)
            print(number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_process_leaves_a_stream_that_ends_with_an_error(
    two: Two, server: Store, tenant: str, frozen: Clock
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT / "python"),
            "LYCOSA_DATA": str(server.data),
            "LYCOSA_TARANTOOL_HOST": str(server.socket),
            "LYCOSA_TENANT": tenant,
        },
    )
    assert process.stdout is not None
    while (await process.stdout.readline()).strip() != b"20":
        assert process.returncode is None
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await frozen.advance(11)
    events = await events_of(two.other, "/v1/analyses/r-killed/events")
    assert "token" in [event.event for event in events]
    assert events[-1].event == "error"
    assert events[-1].json()["code"] == "WRITER_LOST"


async def test_a_store_that_fails_costs_only_the_stream(client: Client, identity: Identity) -> None:
    class Failing(Procedures):
        async def event_append(self, **given: Any) -> Any:
            raise Unavailable("scripted", code="SCRIPTED")

    journal = Journal(Failing(client), identity.tenant, "s")
    journal.add("token", "{}")
    writing = journal.end()
    assert writing is not None
    await writing
    assert journal.is_lost
    journal.add("token", "{}")


async def test_what_waits_for_a_slow_store_is_bounded(procedures: Procedures, identity: Identity) -> None:
    journal = Journal(procedures, identity.tenant, "s")
    for _ in range(5_001):
        journal.add("token", "{}")
    assert journal.is_lost


@pytest.mark.parametrize("size", [10, 300_000])
async def test_batches_keep_within_the_bounds_of_a_call(
    procedures: Procedures, identity: Identity, size: int
) -> None:
    journal = Journal(procedures, identity.tenant, f"s-{size}")
    for _ in range(150 if size < 100 else 5):
        journal.add("token", f'"{"x" * size}"')
    writing = journal.end()
    assert writing is not None
    await writing
    assert not journal.is_lost
    page = await procedures.event_read(tenant=identity.tenant, stream=f"s-{size}")
    assert page.ended
    assert page.last == (150 if size < 100 else 5)
