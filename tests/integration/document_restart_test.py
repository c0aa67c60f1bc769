"""Documents over kill -9: what was acknowledged is there, and the background goes on where it stood."""

import asyncio

from lycosa.procedures import DocumentFigures, DocumentSearch, Procedures, connect
from tests.conftest import Store

TENANT = "acme"
DOCUMENTS = 400


async def _settled(procedures: Procedures) -> DocumentFigures:
    async with asyncio.timeout(60):
        while True:
            figures = await procedures.document_figures(tenant=TENANT)
            if figures.waiting == 0 and figures.chunks == figures.documents:
                return figures
            await asyncio.sleep(0.02)


async def _search(procedures: Procedures, query: str) -> DocumentSearch:
    return await procedures.document_search(tenant=TENANT, query=query, limit=100)


def _row(number: int, word: str) -> dict[str, str]:
    words = " ".join(f"{word}{(number * factor) % 97}" for factor in range(1, 60))
    return {"id": f"d{number}", "text": f"{word} only{number} {words}"}


async def test_indexing_and_removal_survive_a_kill(own_server: Store) -> None:
    async with connect(own_server.settings()) as client:
        procedures = Procedures(client)
        for first in range(0, DOCUMENTS, 100):
            rows = [_row(number, "old") for number in range(first, first + 100)]
            outcomes = await procedures.document_put(tenant=TENANT, documents=rows)
            assert {outcome.outcome for outcome in outcomes} == {"inserted"}
    own_server.kill()
    own_server.start()
    async with connect(own_server.settings()) as client:
        procedures = Procedures(client)
        figures = await procedures.document_figures(tenant=TENANT)
        assert figures.documents == DOCUMENTS
        figures = await _settled(procedures)
        assert figures.chunks == DOCUMENTS
        rows = [_row(number, "new") for number in range(100)]
        await procedures.document_put(tenant=TENANT, documents=rows)
        gone = [f"d{number}" for number in range(100, 200)]
        assert (await procedures.document_delete(tenant=TENANT, ids=gone)).deleted == 100
    own_server.kill()
    own_server.start()
    async with connect(own_server.settings()) as client:
        procedures = Procedures(client)
        figures = await _settled(procedures)
        assert figures.documents == DOCUMENTS - 100
        for number in (0, 99, 200, DOCUMENTS - 1):
            assert [hit.id for hit in (await _search(procedures, f"only{number}")).hits] == [f"d{number}"]
        for number in (100, 199):
            assert (await _search(procedures, f"only{number}")).hits == []
        assert len((await _search(procedures, "new")).hits) == 100
        old = await _search(procedures, "old")
        assert len(old.hits) == 100
        assert not {hit.id for hit in old.hits} & {f"d{number}" for number in range(200)}
