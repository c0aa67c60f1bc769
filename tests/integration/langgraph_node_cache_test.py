"""LangGraph's cache of nodes: what its own tests of a cache ask, over the store's cache."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
import pytest_asyncio
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage
from langchain_core.prompts import PromptTemplate
from langgraph.cache.base import FullKey
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy

from lycosa.errors import Unavailable
from lycosa.identity import Identity
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.node_cache import LycosaNodeCache
from lycosa.settings import Settings
from tests.conftest import Clock

ONE: FullKey = (("graph", "node 1"), "key")
TWO: FullKey = (("graph", "node 2"), "key")
OTHER: FullKey = (("other",), "key")


@pytest_asyncio.fixture
async def connection(settings: Settings, identity: Identity) -> AsyncIterator[LycosaConnection]:
    async with LycosaConnection(settings, identity=identity) as connection:
        yield connection


@pytest.fixture
def cache(connection: LycosaConnection) -> LycosaNodeCache[Any]:
    return LycosaNodeCache(connection)


async def test_values_of_any_kind_by_namespace_and_key(cache: LycosaNodeCache[Any]) -> None:
    assert await cache.aget([]) == {}
    assert await cache.aget([ONE]) == {}
    await cache.aset({})
    pairs: dict[FullKey, tuple[Any, int | None]] = {
        ONE: ({"n": 42, "text": "слово"}, None),
        TWO: (AIMessage("hello"), 60),
        OTHER: ([b"bytes", {1, 2}], None),
        ((), "no namespace"): ([1, None], None),
        (("a:b/c", "%", ""), "k:%/" * 300): (b"\xff", None),
        (("a:b", "c"), "long" * 300): ("x" * 500_000, None),
        (("n" * 600,), "k"): (None, None),
    }
    pairs |= {(("many",), f"k{n}"): (n, None) for n in range(150)}
    await cache.aset(pairs)
    assert await cache.aget([*pairs, (("many",), "none")]) == {
        key: value for key, (value, _) in pairs.items()
    }
    await cache.aset({ONE: ("x" * 1_000_001, None), TWO: ("y", 0)})
    assert (await cache.aget([ONE]))[ONE] == {"n": 42, "text": "слово"}


async def test_values_end_with_their_time(cache: LycosaNodeCache[Any], frozen: Clock) -> None:
    await cache.aset({ONE: (1, 10), TWO: (2, 10**9), OTHER: (3, None)})
    await frozen.advance(10)
    assert await cache.aget([ONE, TWO, OTHER]) == {TWO: 2, OTHER: 3}


async def test_clearing_takes_these_namespaces_and_no_more(cache: LycosaNodeCache[Any]) -> None:
    deeper: FullKey = (("other", "below"), "key")
    alike: FullKey = (("othe",), "r:key")
    keys = [ONE, TWO, OTHER, deeper, alike]
    await cache.aset(dict.fromkeys(keys, (1, None)))
    await cache.aclear([("other",), ("graph", "node 1"), ("none",)])
    assert set(await cache.aget(keys)) == {TWO, deeper, alike}
    await cache.aclear([])
    assert len(await cache.aget(keys)) == 3
    await cache.aclear()
    assert await cache.aget(keys) == {}


def test_code_without_a_loop_does_the_same(settings: Settings, identity: Identity) -> None:
    with LycosaConnection(settings, identity=identity) as connection:
        cache: LycosaNodeCache[int] = LycosaNodeCache(connection)
        cache.set({ONE: (1, None)})
        assert cache.get([ONE, TWO]) == {ONE: 1}
        cache.clear()
        assert cache.get([ONE]) == {}


async def test_what_cannot_be_read_is_not_there(
    connection: LycosaConnection, cache: LycosaNodeCache[Any]
) -> None:
    await cache.aset({ONE: (1, None), TWO: (2, None)})
    services = await connection.services()
    await services.cache.set(
        connection.identity, "langgraph.node:graph/node 1:key", b"junk", media_type="pickle"
    )
    assert await cache.aget([ONE, TWO]) == {TWO: 2}
    # What writes the cache over REST chooses the bytes and their media type.
    made = json.dumps(dumpd(PromptTemplate.from_template("{x}"))).encode()
    await services.cache.set(connection.identity, "langgraph.node:graph/node 1:key", made, media_type="json")
    assert await cache.aget([ONE, TWO]) == {TWO: 2}


async def test_a_store_that_is_away_costs_only_the_cache(tmp_path: Path, settings: Settings) -> None:
    away = settings.model_copy(update={"tarantool_host": str(tmp_path / "none.sock"), "call_timeout": 0.05})
    async with LycosaConnection(away) as connection:
        cache: LycosaNodeCache[int] = LycosaNodeCache(connection)
        assert await cache.aget([ONE]) == {}
        await cache.aset({ONE: (1, None)})
        with pytest.raises(Unavailable):
            await cache.aclear()


class Counted(TypedDict):
    n: int


async def test_a_node_runs_once_for_two_processes(settings: Settings, identity: Identity) -> None:
    ran: list[int] = []

    async def double(state: Counted) -> Counted:
        ran.append(state["n"])
        return {"n": state["n"] * 2}

    async def run(n: int) -> int:
        async with LycosaConnection(settings, identity=identity) as connection:
            graph: Any = (
                StateGraph(Counted)
                .add_node(double, cache_policy=CachePolicy(ttl=60))
                .add_edge(START, "double")
                .compile(cache=LycosaNodeCache(connection))
            )
            return int((await graph.ainvoke({"n": n}))["n"])

    assert await run(21) == 42
    assert list(await asyncio.gather(run(21), run(21))) == [42, 42]
    assert ran == [21]
    assert await run(4) == 8


async def test_what_cannot_be_kept_costs_only_the_cache(settings: Settings, identity: Identity) -> None:
    class Any_(TypedDict):
        n: Any

    async with LycosaConnection(settings, identity=identity) as connection:
        cache: LycosaNodeCache[Any] = LycosaNodeCache(connection)
        graph: Any = (
            StateGraph(Any_)
            .add_node("make", lambda _: {"n": object}, cache_policy=CachePolicy())
            .add_edge(START, "make")
            .compile(cache=cache)
        )
        assert await graph.ainvoke({"n": 1}) == {"n": object}
        await cache.aset({ONE: (object(), None), TWO: (2, None)})
        assert await cache.aget([ONE, TWO]) == {TWO: 2}
    assert await graph.ainvoke({"n": 1}) == {"n": object}
    assert cache.get([TWO]) == {}
    cache.set({TWO: (3, None)})
