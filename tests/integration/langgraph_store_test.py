"""LangGraph's long-term memory: what its own tests of a store ask, over the real one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import pytest
import pytest_asyncio
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.langchain import store as module
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.store import LycosaStore
from lycosa.settings import Settings
from tests.conftest import Clock


@pytest_asyncio.fixture
async def connection(settings: Settings, identity: Identity) -> AsyncIterator[LycosaConnection]:
    async with LycosaConnection(settings, identity=identity) as connection:
        yield connection


@pytest.fixture
def store(connection: LycosaConnection) -> LycosaStore:
    return LycosaStore(connection)


async def test_an_item_through_its_life(store: LycosaStore, frozen: Clock) -> None:
    users = ("users", "анна")
    value = {"text": "слово", "none": None, "deep": {"list": [1, 2.5, True]}}
    assert await store.aget(users, "k") is None
    await store.aput(users, "k", value)
    first = await store.aget(users, "k")
    assert first is not None
    assert (first.namespace, first.key, first.value) == (users, "k", value)
    assert first.created_at == first.updated_at
    await frozen.advance(5)
    await store.aput(users, "k", {"text": "other"})
    second = await store.aget(users, "k")
    assert second is not None
    assert (second.value, second.created_at) == ({"text": "other"}, first.created_at)
    assert (second.updated_at - first.updated_at).total_seconds() == pytest.approx(5)
    assert await store.aget(("users",), "k") is None
    await store.adelete(users, "k")
    await store.adelete(users, "k")
    assert await store.aget(users, "k") is None


def test_code_without_a_loop_does_the_same(settings: Settings, identity: Identity) -> None:
    with LycosaConnection(settings, identity=identity) as connection:
        store = LycosaStore(connection)
        store.put(("a", "b"), "k", {"n": 1}, ttl=None)
        found = store.get(("a", "b"), "k")
        assert found is not None
        assert [item.key for item in store.search(("a",))] == ["k"]
        assert store.list_namespaces() == [("a", "b")]
        store.delete(("a", "b"), "k")
        assert store.search(()) == []


async def test_a_batch_reads_what_was_there_and_the_last_put_counts(store: LycosaStore) -> None:
    await store.aput(("a",), "old", {"n": 0})
    results = await store.abatch(
        [
            PutOp(("a",), "k", {"n": 1}),
            GetOp(("a",), "old"),
            PutOp(("a",), "k", {"n": 2}),
            PutOp(("a",), "old", None),
            SearchOp(("a",)),
            ListNamespacesOp((MatchCondition("prefix", ("a",)),)),
            *(PutOp(("b", str(n % 3)), f"k{n}", {"n": n}) for n in range(250)),
        ]
    )
    read: Any = results[1]
    assert read.value == {"n": 0}
    searched: Any = results[4]
    assert [item.key for item in searched] == ["old"]
    assert results[5] == [("a",)]
    assert results[0] is results[2] is results[-1] is None
    assert [item.value for item in await store.asearch(("a",))] == [{"n": 2}]
    assert len(await store.asearch(("b",), limit=1000)) == 250
    found = await asyncio.gather(*(store.aget(("b", str(n % 3)), f"k{n}") for n in range(250)))
    assert [item and item.value["n"] for item in found] == list(range(250))


async def test_names_that_would_lead_elsewhere_are_refused(store: LycosaStore) -> None:
    for namespace in ((), ("a.b",), ("a", ""), ("langgraph", "a"), ("a", 1), ("a", "\x00")):
        with pytest.raises(InvalidNamespaceError):
            await store.aput(namespace, "k", {"n": 1})  # type: ignore[arg-type]
    for op in (GetOp(("a.b",), "k"), PutOp(("a.b",), "k", {}), SearchOp(("a.b",))):
        with pytest.raises(InvalidNamespaceError):
            await store.abatch([op])
    for bad in ({"n": object()}, {"n": float("nan")}):
        with pytest.raises(Invalid, match="JSON"):
            await store.abatch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", bad)])
    with pytest.raises(Invalid, match="value"):
        await store.aput(("a",), "k", {"n": "x" * 1_000_000})
    assert await store.asearch(()) == []


async def test_namespaces_are_listed_by_every_condition(store: LycosaStore) -> None:
    names = [
        ("a", "b", "c"),
        ("a", "b", "d", "e"),
        ("a", "b", "d", "i"),
        ("a", "b", "f"),
        ("a", "c", "f"),
        ("a-b", "f"),
        ("ab", "x"),
        ("b", "a", "f"),
        ("users", "1"),
        ("users", "2", "settings"),
    ]
    await store.abatch([PutOp(name, "k", {}) for name in reversed(names)])
    assert await store.alist_namespaces() == sorted(names)
    assert await store.alist_namespaces(prefix=("a", "b")) == names[:4]
    assert await store.alist_namespaces(suffix=("f",)) == [names[3], names[4], names[5], names[7]]
    assert await store.alist_namespaces(prefix=("a",), suffix=("f",)) == [names[3], names[4]]
    assert await store.alist_namespaces(prefix=("a", "*", "f")) == [names[3], names[4]]
    assert await store.alist_namespaces(prefix=("*", "b"), suffix=("*", "e")) == [names[1]]
    assert await store.alist_namespaces(suffix=("*", "settings")) == [names[9]]
    assert await store.alist_namespaces(prefix=("a", "b"), max_depth=3) == [
        ("a", "b", "c"),
        ("a", "b", "d"),
        ("a", "b", "f"),
    ]
    assert await store.alist_namespaces(max_depth=1) == [("a",), ("a-b",), ("ab",), ("b",), ("users",)]
    assert await store.alist_namespaces(prefix=("a", "b"), limit=2, offset=1) == names[1:3]
    assert await store.alist_namespaces(prefix=("none",)) == []
    await store.adelete(("ab", "x"), "k")
    assert ("ab", "x") not in await store.alist_namespaces()


async def test_filters_are_those_of_langgraph(store: LycosaStore) -> None:
    items: dict[str, dict[str, Any]] = {
        "a": {"n": 1, "kind": "report", "tags": ["x", "y"], "deep": {"on": True, "n": 5}},
        "b": {"n": 2.5, "kind": "note", "tags": [], "deep": {"on": False}},
        "c": {"n": "2", "kind": None},
        "d": {},
    }
    await store.abatch([PutOp(("f", key), key, value) for key, value in items.items()])

    async def found(filter: dict[str, Any], **more: Any) -> str:
        return "".join(item.key for item in await store.asearch(("f",), filter=filter, **more))

    assert await found({}) == "abcd"
    assert await found({}, limit=2) == "ab"
    assert await found({}, limit=2, offset=1) == "bc"
    assert await found({"kind": "report"}) == await found({"kind": {"$eq": "report"}}) == "a"
    assert await found({"kind": {"$ne": "report"}}) == "bcd"
    assert await found({"kind": None}) == "cd"
    assert await found({"n": {"$gt": 1}}) == "b"
    assert await found({"n": {"$gte": 1, "$lt": 2.5}}) == "a"
    assert await found({"n": {"$lte": "3"}}) == "c"
    assert await found({"tags": ["x", "y"]}) == "a"
    assert await found({"deep": {"on": True}}) == await found({"deep": {"n": {"$gt": 4}}}) == "a"
    assert await found({"deep": {"on": False}, "kind": "note"}) == "b"
    for key, filter in (("b", {"n": {"$in": [1]}}), ("a", {"deep": {"n": {"$regex": "x"}}})):
        with pytest.raises(ValueError, match="operator"):
            await store.asearch(("f", key), filter=filter)
    with pytest.raises(ValueError, match="negative"):
        await store.asearch(("f",), limit=-1)


async def test_a_query_ranks_by_words_of_either_language(store: LycosaStore) -> None:
    texts = {
        "invoice": {"text": "The customer paid both invoices in March", "n": 1},
        "contract": {"text": "Договор с банком подписан, счета оплачены", "n": 2},
        "long": {"text": "An invoice. " + "Something else entirely about other matters. " * 20, "n": 3},
        "hidden": {"text": "invoices, invoices, invoices", "n": 4},
        "partly": {"title": "invoice", "notes": [{"body": "о договорах"}, {"body": "nothing"}], "n": 5},
        "deep": {"a": {"b": [{"c": "погода в Казани"}]}, "invoice": 12345},
    }
    index: dict[str, Any] = {"hidden": False, "partly": ["notes[*].body"]}
    for key, value in texts.items():
        await store.aput(("m", "x"), key, value, index=index.get(key))

    async def found(query: str, **more: Any) -> list[str]:
        items = await store.asearch(("m",), query=query, **more)
        assert all(item.score is not None and item.score > 0 for item in items)
        assert [item.score for item in items] == sorted((item.score or 0 for item in items), reverse=True)
        return [item.key for item in items]

    assert await found("paying an INVOICE") == ["invoice", "long"]
    assert await found("invoice", limit=1, offset=1) == ["long"]
    assert await found("invoice", filter={"n": {"$gt": 1}}) == ["long"]
    assert await found("договоры") == ["partly", "contract"]
    assert await found("погода Казань 12345") == ["deep"]
    assert await found("nobody has it") == []
    assert await found("?!\x07") == []
    named = LycosaStore(store._connection, fields=["title"], name="named")
    await named.aput(("m",), "k", {"title": "invoice", "text": "bank"})
    assert [item.key for item in await named.asearch((), query="invoice")] == ["k"]
    assert await named.asearch((), query="bank") == []
    with pytest.raises(Invalid, match="name"):
        LycosaStore(store._connection, name="a/b")


async def test_a_search_is_bounded(store: LycosaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.abatch([PutOp(("b", f"{n:02}"), "k", {"text": f"word {n}"}) for n in range(30)])
    monkeypatch.setattr(module, "MOST_RANKED", 20)
    assert len(await store.asearch((), query="word", limit=100)) == 20
    assert await store.asearch((), query="25") == []
    monkeypatch.setattr(module, "MOST_SEARCHED", 10)
    assert len(await store.asearch((), limit=100)) == 10
    monkeypatch.setattr(module, "MOST_LISTED", 5)
    assert len(await store.alist_namespaces()) == 5


async def test_time_to_live_begins_anew_when_an_item_is_read(
    connection: LycosaConnection, frozen: Clock
) -> None:
    store = LycosaStore(connection, ttl={"default_ttl": 1, "refresh_on_read": True})
    for key in ("get", "search", "query", "left"):
        await store.aput(("t",), key, {"text": f"word {key}"})
    await store.aput(("t",), "for ever", {"text": "x"}, ttl=None)
    await store.aput(("t",), "longer", {"text": "x"}, ttl=2)
    await frozen.advance(50)
    assert await store.aget(("t",), "get") is not None
    assert await store.aget(("t",), "left", refresh_ttl=False) is not None
    assert len(await store.asearch(("t",), filter={"text": "word search"})) == 1
    assert len(await store.asearch(("t",), query="query")) == 1
    await frozen.advance(50)
    kept = [item.key for item in await store.asearch(("t",), refresh_ttl=False)]
    assert kept == ["for ever", "get", "longer", "query", "search"]
    quiet = LycosaStore(connection, ttl={"refresh_on_read": False})
    assert await quiet.aget(("t",), "get") is not None
    await frozen.advance(20)
    assert [item.key for item in await quiet.asearch(("t",))] == ["for ever"]


async def test_stores_and_tenants_keep_apart(
    connection: LycosaConnection, settings: Settings, identity: Identity
) -> None:
    await LycosaStore(connection).aput(("a",), "k", {"n": 1})
    assert await LycosaStore(connection, name="default2").asearch(()) == []
    async with LycosaConnection(settings, identity=Identity(tenant=f"{identity.tenant}-2")) as other:
        assert await LycosaStore(other).asearch(()) == []
        assert await LycosaStore(other).alist_namespaces() == []


async def test_nodes_of_a_graph_remember(store: LycosaStore) -> None:
    """One that waits for the store and one that runs in a thread."""

    class State(TypedDict):
        found: list[str]

    async def note(state: State, runtime: Runtime[None]) -> None:
        assert runtime.store is not None
        await runtime.store.aput(("notes", "анна"), "k", {"text": "любит чай"})

    def recall(state: State, runtime: Runtime[None]) -> State:
        assert runtime.store is not None
        return {"found": [item.value["text"] for item in runtime.store.search(("notes",), query="чаем")]}

    graph: Any = (
        StateGraph(State)
        .add_node(note)
        .add_node(recall)
        .add_edge(START, "note")
        .add_edge("note", "recall")
        .compile(store=store)
    )
    assert await graph.ainvoke({"found": []}) == {"found": ["любит чай"]}
