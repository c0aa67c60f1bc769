"""Graphs over the checkpoint saver: what LangGraph's own suite of savers does not ask."""

import operator
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
import pytest_asyncio
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.langchain.checkpoint_saver import LycosaCheckpointSaver
from lycosa.langchain.connection import LycosaConnection
from lycosa.settings import Settings
from tests.conftest import Clock

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


@pytest_asyncio.fixture
async def connection(settings: Settings, identity: Identity) -> AsyncIterator[LycosaConnection]:
    async with LycosaConnection(settings, identity=identity) as connection:
        yield connection


@pytest.fixture
def saver(connection: LycosaConnection) -> LycosaCheckpointSaver:
    return LycosaCheckpointSaver(connection)


def _asking(saver: LycosaCheckpointSaver) -> Any:
    """A graph that asks a person and then answers."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"вы сказали: {interrupt('продолжать?')}")]}

    return StateGraph(MessagesState).add_node(ask).add_edge(START, "ask").compile(checkpointer=saver)


async def test_what_one_process_began_another_ends(
    saver: LycosaCheckpointSaver, settings: Settings, identity: Identity
) -> None:
    begun = await _asking(saver).ainvoke({"messages": [HumanMessage("привет")]}, THREAD)
    assert begun["__interrupt__"][0].value == "продолжать?"
    async with LycosaConnection(settings, identity=identity) as other:
        ended = await _asking(LycosaCheckpointSaver(other)).ainvoke(Command(resume="да"), THREAD)
    assert [message.content for message in ended["messages"]] == ["привет", "вы сказали: да"]
    assert [type(message) for message in ended["messages"]] == [HumanMessage, AIMessage]


def test_code_without_a_loop_does_the_same(settings: Settings, identity: Identity) -> None:
    with LycosaConnection(settings, identity=identity) as connection:
        saver = LycosaCheckpointSaver(connection)
        graph = _asking(saver)
        graph.invoke({"messages": [HumanMessage("hello")]}, THREAD)
        assert graph.invoke(Command(resume="yes"), THREAD)["messages"][-1].content == "вы сказали: yes"
        states = list(saver.list(THREAD))
        assert [found.metadata["step"] for found in states] == [1, 0, -1]
        assert next(saver.list(None)) == states[0] == saver.get_tuple(THREAD)
        saver.copy_thread("t", "u")
        saver.prune(["t"])
        assert len(list(saver.list(THREAD))) == 1
        saver.delete_thread("t")
        saver.delete_for_runs(["none"])
        assert saver.get_tuple(THREAD) is None
        assert len(list(saver.list(None, limit=2))) == 2


class Log(TypedDict):
    entries: Annotated[list[str], operator.add]


async def test_branches_of_a_thread_keep_their_own_values(saver: LycosaCheckpointSaver) -> None:
    """Both branches write the next version of one channel."""

    def step(state: Log) -> dict[str, list[str]]:
        return {"entries": [f"after {state['entries'][-1]}"]}

    graph: Any = StateGraph(Log).add_node(step).add_edge(START, "step").compile(checkpointer=saver)
    await graph.ainvoke({"entries": ["a"]}, THREAD)
    root = await graph.aget_state(THREAD)
    await graph.ainvoke({"entries": ["b"]}, root.config)
    left = await graph.aget_state(THREAD)
    await graph.ainvoke({"entries": ["c"]}, root.config)
    right = await graph.aget_state(THREAD)
    assert (await graph.aget_state(left.config)).values["entries"] == ["a", "after a", "b", "after b"]
    assert right.values["entries"] == ["a", "after a", "c", "after c"]


async def test_a_branch_is_whole_though_what_it_began_from_went(saver: LycosaCheckpointSaver) -> None:
    """The state before is pruned while a step runs that changes one channel of two."""

    class Two(TypedDict):
        kept: str
        n: int

    async def step(state: Two) -> dict[str, int]:
        if state["n"] == 1:
            await saver.aprune(["t"])
            await saver.adelete_thread("t")
        return {"n": state["n"] + 1}

    graph: Any = StateGraph(Two).add_node(step).add_edge(START, "step").compile(checkpointer=saver)
    assert await graph.ainvoke({"kept": "слово", "n": 0}, THREAD) == {"kept": "слово", "n": 1}
    await graph.ainvoke({"n": 1}, THREAD)
    assert (await graph.aget_state(THREAD)).values == {"kept": "слово", "n": 2}


def _extended(state: list[str], writes: Sequence[list[str]]) -> list[str]:
    return [*state, *(entry for write in writes for entry in write)]


class Deltas(TypedDict):
    entries: Annotated[list[str], DeltaChannel(_extended, snapshot_frequency=5)]


@pytest.mark.parametrize("turns", [2, 7])
async def test_pruning_keeps_what_deltas_are_made_again_from(
    saver: LycosaCheckpointSaver, turns: int
) -> None:
    """Before the first snapshot everything is needed, after it only what is newer."""

    def step(state: Deltas) -> dict[str, list[str]]:
        return {"entries": ["step"]}

    graph: Any = StateGraph(Deltas).add_node(step).add_edge(START, "step").compile(checkpointer=saver)
    for turn in range(turns):
        await graph.ainvoke({"entries": [f"turn {turn}"]}, THREAD)
    before = (await graph.aget_state(THREAD)).values
    count = len([found async for found in saver.alist(THREAD)])
    await saver.aprune(["t"])
    assert (await graph.aget_state(THREAD)).values == before
    assert len(before["entries"]) == 2 * turns
    left = len([found async for found in saver.alist(THREAD)])
    assert left < count if turns == 7 else left == count
    await saver.aprune(["t"], strategy="delete")
    assert await saver.aget_tuple(THREAD) is None
    with pytest.raises(Invalid, match="strategy"):
        await saver.aprune(["t"], strategy="keep_some")


async def test_any_metadata_filters_as_python_compares(saver: LycosaCheckpointSaver) -> None:
    def config(thread: str) -> RunnableConfig:
        return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}

    many = {f"key {n}": n for n in range(70)}
    stored: list[dict[str, Any]] = [
        {"n": 1, "flag": True, "text": "слово", "none": None, "deep": {"a": [1]}},
        {"n": 2**60, "flag": False, "text": "x" * 2000, "bell": "\x07"},
        {"n": 1.5, **many},
    ]
    for number, metadata in enumerate(stored):
        state: Any = {
            "v": 1,
            "id": f"1-{number}",
            "ts": "",
            "channel_values": {},
            "channel_versions": {},
            "versions_seen": {},
        }
        await saver.aput(config("t"), state, metadata, {})  # type: ignore[arg-type]

    async def found(**filter: object) -> list[int]:
        return [
            int(state.checkpoint["id"].removeprefix("1-"))
            async for state in saver.alist(config("t"), filter=filter)
        ]

    assert await found() == [2, 1, 0]
    assert await found(n=1) == await found(n=True) == await found(n=1.0) == [0]
    assert await found(flag=1, text="слово") == [0]
    assert await found(none=None, deep={"a": [1]}) == [0]
    assert await found(none=None, text="слово", deep={"a": [2]}) == []
    assert await found(n=2**60) == await found(text="x" * 2000) == await found(bell="\x07") == [1]
    assert await found(n=1.5) == await found(**{"key 69": 69}) == await found(**many) == [2]


@dataclass
class Ours:
    name: str


class Holding(TypedDict):
    value: Any


async def test_classes_come_back_only_when_they_are_allowed(connection: LycosaConnection) -> None:
    def keep(state: Holding) -> dict[str, Any]:
        return {"value": Ours("x")}

    for allowed, expected in (([Ours], Ours("x")), (None, {"name": "x"})):
        saver = LycosaCheckpointSaver(connection, allowed_msgpack_modules=allowed)
        graph: Any = StateGraph(Holding).add_node(keep).add_edge(START, "keep").compile(checkpointer=saver)
        await graph.ainvoke({"value": 1}, THREAD)
        assert (await graph.aget_state(THREAD)).values["value"] == expected

    def unserializable(state: Holding) -> dict[str, Any]:
        return {"value": lambda: None}

    graph = (
        StateGraph(Holding)
        .add_node(unserializable)
        .add_edge(START, "unserializable")
        .compile(checkpointer=LycosaCheckpointSaver(connection))
    )
    with pytest.raises(TypeError, match="serializable"):
        await graph.ainvoke({"value": 1}, THREAD)


async def test_a_thread_ends_whole(connection: LycosaConnection, frozen: Clock) -> None:
    saver = LycosaCheckpointSaver(connection, ttl=60)
    graph = _asking(saver)
    await graph.ainvoke({"messages": [HumanMessage("one")]}, THREAD)
    await frozen.advance(59)
    await graph.ainvoke(Command(resume="two"), THREAD)
    await frozen.advance(59)
    assert len([found async for found in saver.alist(THREAD)]) == 3
    await frozen.advance(1)
    assert await saver.aget_tuple(THREAD) is None
    assert [found async for found in saver.alist(None)] == []
