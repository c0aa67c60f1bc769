"""Chat histories over HTTP, against the real store."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from tests.conftest import Store
from tests.integration.rest_client import free_port, serving


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


async def test_a_chat_from_beginning_to_end(rest: httpx.AsyncClient) -> None:
    """A17: messages and the current agent, 404 for an unknown session."""
    asked = {"id": "c-1", "current_agent": "sales", "metadata": {"channel": "чат"}, "idle": 600}
    made = (await rest.post("/v1/sessions", json=asked)).json()
    assert {name: made[name] for name in asked} == asked
    messages = [
        {"role": "user", "content": "Здравствуйте!", "id": "m-1"},
        {"role": "assistant", "content": "Hello", "tokens": 3, "extra": {"model": "offline"}},
    ]
    appended = await rest.post("/v1/sessions/c-1/messages", json={"messages": messages})
    assert (appended.status_code, appended.json()["last"], appended.json()["ids"][0]) == (200, 2, "m-1")
    again = await rest.post("/v1/sessions/c-1/messages", json={"messages": messages[:1]})
    assert again.json() == {"ids": ["m-1"], "last": 2}
    waits = await rest.post(
        "/v1/sessions/c-1/messages?durable=false",
        json={"messages": [{"role": "tool", "content": "{}", "body": "b"}]},
    )
    assert (waits.status_code, waits.json()["last"]) == (202, None)

    found = (await rest.get("/v1/sessions/c-1/history")).json()
    assert found["current_agent"] == "sales"
    assert [(one["number"], one["role"], one["content"]) for one in found["messages"]] == [
        (1, "user", "Здравствуйте!"),
        (2, "assistant", "Hello"),
        (3, "tool", "{}"),
    ]
    assert (found["messages"][1]["extra"], found["messages"][1]["tokens"]) == ({"model": "offline"}, 3)
    assert (found["more"], found["session"]["messages"]) == (False, 3)
    page = (await rest.get("/v1/sessions/c-1/history", params={"limit": 1, "before": 3})).json()
    assert ([one["number"] for one in page["messages"]], page["more"]) == ([2], True)
    changed = (await rest.patch("/v1/sessions/c-1", json={"current_agent": "support"})).json()
    assert (changed["current_agent"], changed["metadata"]) == ("support", {"channel": "чат"})
    assert (await rest.get("/v1/sessions/c-1")).json()["current_agent"] == "support"

    other = (await rest.post("/v1/sessions", json={})).json()["id"]
    rows = (await rest.get("/v1/sessions")).json()["rows"]
    assert [row["id"] for row in rows] == [other, "c-1"]
    assert (await rest.delete("/v1/sessions/c-1")).status_code == 204
    for answer in (
        await rest.delete("/v1/sessions/c-1"),
        await rest.get("/v1/sessions/c-1"),
        await rest.get("/v1/sessions/c-1/history"),
        await rest.patch("/v1/sessions/c-1", json={}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")


async def test_what_is_wrong_is_named(rest: httpx.AsyncClient) -> None:
    for body, field in (
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "x", "text": "y"}]}, "messages.0.text"),
    ):
        answer = await rest.post("/v1/sessions/s/messages", json=body)
        assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    answer = await rest.post(
        "/v1/sessions/s/messages", json={"messages": [{"role": "user", "content": "\u0007"}]}
    )
    assert (answer.status_code, answer.json()["details"]["argument"]) == (422, "content")
    message = {"role": "user", "content": "a", "id": "m"}
    assert (await rest.post("/v1/sessions/s/messages", json={"messages": [message]})).status_code == 200
    message["content"] = "b"
    answer = await rest.post("/v1/sessions/s/messages", json={"messages": [message]})
    assert (answer.status_code, answer.json()["code"]) == (409, "SESSION_MESSAGE_EXISTS")
    answer = await rest.post("/v1/sessions", json={"id": "s", "current_agent": "a"})
    assert (answer.status_code, answer.json()["code"]) == (409, "SESSION_EXISTS")
    answer = await rest.get("/v1/sessions/s/history", params={"after": 1, "before": 2})
    assert answer.status_code == 422


async def test_what_waits_is_shown_and_written_before_the_end(server: Store, tenant: str) -> None:
    settings = server.settings(tenant=tenant, http_port=free_port(), session_write_least=5.0)
    async with serving(settings) as rest:
        sent = [
            rest.post(
                f"/v1/sessions/s{number % 3}/messages?durable=false",
                json={"messages": [{"role": "user", "content": str(number)}]},
            )
            for number in range(30)
        ]
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {202}
        figures = (await rest.get("/metrics")).text
        assert "lycosa_session_waiting 30.0" in figures
        assert "lycosa_session_messages_total 0.0" in figures
    async with serving(settings) as rest:
        found = [(await rest.get(f"/v1/sessions/s{number}/history")).json() for number in range(3)]
        assert [len(one["messages"]) for one in found] == [10, 10, 10]
