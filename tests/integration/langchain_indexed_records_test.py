"""LangChain's book of what was indexed, alone and under its own `index`."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import aindex, index
from langchain_core.vectorstores import InMemoryVectorStore

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.indexed_records import LycosaRecordManager
from lycosa.settings import Settings
from tests.conftest import Clock


@pytest_asyncio.fixture
async def connection(settings: Settings, identity: Identity) -> AsyncIterator[LycosaConnection]:
    async with LycosaConnection(settings, identity=identity) as connection:
        yield connection


@pytest.fixture
def records(connection: LycosaConnection) -> LycosaRecordManager:
    return LycosaRecordManager("store/документы", connection)


async def test_records_by_time_and_group(records: LycosaRecordManager, frozen: Clock) -> None:
    """The clock stands still: times rise all the same."""
    await records.acreate_schema()
    await records.aupdate(["a", "b"], group_ids=["g", None])
    middle = await records.aget_time()
    assert middle < await records.aget_time()
    await records.aupdate(["c", "a"], group_ids=["g", "h"], time_at_least=middle)
    assert await records.aexists(["a", "none", "c"]) == [True, False, True]
    assert await records.alist_keys() == ["a", "b", "c"]
    assert await records.alist_keys(before=middle) == ["b"]
    assert await records.alist_keys(after=middle) == ["a", "c"]
    assert await records.alist_keys(group_ids=["g"]) == ["c"]
    assert sorted(await records.alist_keys(group_ids=["h", "g", "none"])) == ["a", "c"]
    assert await records.alist_keys(group_ids=["h"], before=middle) == []
    assert await records.alist_keys(limit=2) == ["a", "b"]
    await records.adelete_keys(["a", "none"])
    assert await records.alist_keys() == ["b", "c"]
    assert await records.alist_keys(group_ids=["h"]) == []
    assert await LycosaRecordManager("store", records._connection).alist_keys() == []


async def test_what_would_lose_records_is_refused(records: LycosaRecordManager, frozen: Clock) -> None:
    with pytest.raises(ValueError, match="group ids"):
        await records.aupdate(["a", "b"], group_ids=["g"])
    later = await records.aget_time() + 3600
    with pytest.raises(ValueError, match="time_at_least"):
        await records.aupdate(["a"], time_at_least=later)
    with pytest.raises(Invalid, match="namespace"):
        LycosaRecordManager("n" * 401, records._connection)


async def test_many_records(records: LycosaRecordManager) -> None:
    keys = [f"k{n:04}" for n in range(1100)]
    await records.aupdate(keys, group_ids=["g" if n % 4 else "h" for n in range(1100)])
    assert await records.aexists(keys) == [True] * 1100
    assert len(await records.alist_keys()) == 1100
    assert len(await records.alist_keys(group_ids=["g"])) == 825
    assert len(await records.alist_keys(group_ids=["h"], limit=200)) == 200
    await records.adelete_keys(keys)
    assert await records.alist_keys() == await records.alist_keys(group_ids=["g", "h"]) == []


def _documents(*texts: str) -> list[Document]:
    return [Document(text, metadata={"source": text.split()[0]}) for text in texts]


async def test_indexing_does_what_has_changed(records: LycosaRecordManager) -> None:
    vectors = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))

    async def run(documents: list[Document], cleanup: Any) -> tuple[int, int, int]:
        done = await aindex(
            documents,
            records,
            vectors,
            cleanup=cleanup,
            source_id_key="source",
            key_encoder="sha256",
            cleanup_batch_size=2,
        )
        return done["num_added"], done["num_skipped"], done["num_deleted"]

    first = _documents("a one", "a two", "b раз", "b два", "c x")
    assert await run(first, "incremental") == (5, 0, 0)
    assert await run(first, "incremental") == (0, 5, 0)
    assert await run(_documents("a one", "a three"), "incremental") == (1, 1, 1)
    assert await run(_documents("b раз", "c x"), "full") == (0, 2, 3)
    assert sorted(found["text"] for found in vectors.store.values()) == ["b раз", "c x"]
    assert len(await records.alist_keys()) == 2


def test_indexing_without_a_loop(settings: Settings, identity: Identity) -> None:
    with LycosaConnection(settings, identity=identity) as connection:
        records = LycosaRecordManager("sync", connection)
        records.create_schema()
        vectors = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
        for expected in ((2, 0), (0, 2)):
            done = index(
                _documents("a one", "b two"),
                records,
                vectors,
                cleanup="scoped_full",
                source_id_key="source",
                key_encoder="sha256",
            )
            assert (done["num_added"], done["num_skipped"]) == expected
        assert records.exists(["none"]) == [False]
        records.delete_keys(records.list_keys())
        assert records.list_keys() == []
