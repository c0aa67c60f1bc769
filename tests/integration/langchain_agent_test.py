"""The agent of the examples: its tools, its bounds, and conversations that go on elsewhere."""

import secrets
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.exceptions import ModelAPIError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from examples.agent import main, make_agent
from examples.scripted_model import ScriptedModel
from lycosa.identity import Identity
from lycosa.langchain.connection import LycosaConnection
from lycosa.services import Services
from lycosa.settings import Settings
from tests.conftest import Store


@pytest.fixture(scope="module")
def connection(settings: Settings) -> Iterator[LycosaConnection]:
    identity = Identity(f"t-{secrets.token_hex(6)}")
    with LycosaConnection(settings, identity=identity) as opened:

        async def fill(services: Services) -> bool:
            text = "Клиент просит продлить договор в мае. The rest does not matter."
            rows = [{"id": "n-1", "title": "Звонок", "text": text, "customer_id": "c-1"}]
            await services.customers.upsert(identity, [{"id": "c-1", "name": "Ромашка", "segment": "smb"}])
            await services.documents.put(identity, rows)
            return (await services.documents.search(identity, "договор")).waiting == 0

        while not opened.run(fill):
            pass
        yield opened


def said(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def test_it_answers_from_the_store_and_goes_on_elsewhere(connection: LycosaConnection) -> None:
    agent = make_agent(connection, ScriptedModel())
    found = agent.invoke(said("Что с договором у «Ромашка»?"), thread("t"))["messages"]
    assert [message.name for message in found if isinstance(message, ToolMessage)] == [
        "find_customers",
        "search_documents",
    ]
    answer = str(found[-1].text)
    assert "Ромашка (c-1), segment smb." in answer
    assert "Клиент просит продлить договор в мае [n-1]" in answer
    # Another process: nothing of the first is left but what is in the store.
    with LycosaConnection(connection._settings, identity=connection.identity) as elsewhere:
        again = make_agent(elsewhere, ScriptedModel()).invoke(said("и ещё?"), thread("t"))["messages"]
        assert again[: len(found)] == found
        assert "Что с договором у «Ромашка»?" in str(again[-1].text)
        fresh = make_agent(elsewhere, ScriptedModel()).invoke(said("и ещё?"), thread("other"))["messages"]
        assert len(fresh) == 2


class Failing(ScriptedModel):
    """Fails `times` times, then answers."""

    times: int = 1_000
    _asked: int = PrivateAttr(default=0)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self._asked += 1
        if self._asked <= self.times:
            raise ModelAPIError("overloaded")
        return super()._generate(messages, *args, **kwargs)


async def test_a_model_that_fails_is_tried_again_and_then_replaced(connection: LycosaConnection) -> None:
    patient = Failing(times=1)
    answer = (await make_agent(connection, patient).ainvoke(said("Кто «Никто»?"), thread("r")))["messages"][
        -1
    ]
    assert (answer.text, patient._asked) == ("There is no such customer.", 3)
    broken = Failing()
    agent = make_agent(connection, broken, ScriptedModel())
    answer = (await agent.ainvoke(said("Кто «Никто»?"), thread("f")))["messages"][-1]
    # Three times before each of the two answers.
    assert (answer.text, broken._asked) == ("There is no such customer.", 6)


class Endless(ScriptedModel):
    """Asks a tool and never answers."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        call = tool_call(name="get_customer", args={"key": "c-1"}, id=secrets.token_hex(4))
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=[call]))])


async def test_one_that_never_ends_is_ended(connection: LycosaConnection) -> None:
    found = (await make_agent(connection, Endless()).ainvoke(said("x"), thread("e")))["messages"]
    assert sum(isinstance(message, ToolMessage) for message in found) == 8
    assert "limit" in str(found[-1].text).lower()


def test_the_example_runs(
    server: Store,
    connection: LycosaConnection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LYCOSA_DATA", str(server.data))
    monkeypatch.setenv("TARANTOOL_HOST", str(server.socket))
    monkeypatch.setenv("LYCOSA_TENANT", connection.identity.tenant)
    monkeypatch.setattr(sys, "argv", ["agent", "Что с договором у «Ромашка»?", "--thread", "x"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "-> find_customers {'value': 'Ромашка'}"
    assert lines[1].startswith("<- find_customers: success, ")
    assert lines[-1] == "- Звонок: Клиент просит продлить договор в мае [n-1]"
