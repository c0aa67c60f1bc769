"""The store's documents as LangChain's document index: written, read by id, and searched."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.indexing import DeleteResponse, UpsertResponse
from langchain_core.indexing.base import DocumentIndex
from pydantic import ConfigDict, Field

from lycosa.batches import batches
from lycosa.errors import NotFound
from lycosa.identity import Identity
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.retriever import LycosaRetriever
from lycosa.services import Services
from lycosa.services.documents import MAX_DOCUMENTS
from lycosa.services.kv import KvEntry

__all__ = ["LycosaDocumentIndex"]

# Of one write; the store takes 512 KiB of text.
_MOST_BYTES: Final = 400_000
_AT_ONCE: Final = 32
# Metadata that documents have fields for, by which they are found; all of it comes back from where it is kept whole.
_FIELDS: Final = ("title", "source", "kind", "customer_id")
_NAMESPACE: Final = "langchain.documents"


class LycosaDocumentIndex(DocumentIndex):
    """Documents with whatever metadata JSON can hold.

    Of the metadata `title`, `source`, `kind` and `customer_id`, where they are texts, become the document's own; the
    rest is kept beside it. Search finds what was written as soon as the background has indexed it, usually within a
    second.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    connection: LycosaConnection
    k: int = Field(default=4, ge=1, le=100, description="Passages at the most.")

    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """Write documents, replacing those of the same id; one without an id is given one.

        `failed` are those that the store refused: with an empty text, or more than 256 KiB. Raises Unavailable when it
        is away, TypeError for metadata that JSON cannot hold.
        """
        return self.connection.run(lambda services: self._upsert(services, items))

    async def aupsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """`upsert` on the running event loop."""
        return await self._upsert(await self.connection.services(), items)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Delete documents by id; those that are not there are no failure. Raises ValueError without ids."""
        return self.connection.run(lambda services: self._delete(services, ids))

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """`delete` on the running event loop."""
        return await self._delete(await self.connection.services(), ids)

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """The documents of these ids that there are, with their metadata."""
        return self.connection.run(lambda services: self._get(services, ids))

    async def aget(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """`get` on the running event loop."""
        return await self._get(await self.connection.services(), ids)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self._retriever().invoke(query, {"callbacks": run_manager.get_child()}, **kwargs)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return await self._retriever().ainvoke(query, {"callbacks": run_manager.get_child()}, **kwargs)

    def _retriever(self) -> LycosaRetriever:
        return LycosaRetriever(connection=self.connection, k=self.k)

    async def _upsert(self, services: Services, items: Sequence[Document]) -> UpsertResponse:
        identity = self.connection.identity
        named = [(item.id or str(uuid4()), item) for item in items]
        # The metadata first: should the process end between, it waits for a document that never comes.
        kept = {
            identifier: json.dumps(item.metadata, ensure_ascii=False).encode() for identifier, item in named
        }
        before = await services.kv.get_many(identity, _NAMESPACE, list(kept))
        await services.kv.set_many(identity, _NAMESPACE, kept)
        succeeded: list[str] = []
        failed: list[str] = []
        for part in batches(named, _size, MAX_DOCUMENTS, _MOST_BYTES):
            rows = [_row(identifier, item) for identifier, item in part]
            outcomes = await services.documents.put(identity, rows)
            for (identifier, _), outcome in zip(part, outcomes, strict=True):
                (failed if outcome.outcome == "invalid" else succeeded).append(identifier)
        await self._put_back(services, set(failed) - set(succeeded), before)
        return UpsertResponse(succeeded=succeeded, failed=failed)

    async def _put_back(
        self, services: Services, refused: set[str], before: Sequence[KvEntry | None]
    ) -> None:
        """Let documents that were refused have the metadata that they had, those that do not exist none."""
        entries = {entry.key: entry.value for entry in before if entry is not None and entry.key in refused}
        await services.kv.set_many(self.connection.identity, _NAMESPACE, entries)
        await services.kv.delete(self.connection.identity, _NAMESPACE, list(refused - set(entries)))

    async def _delete(self, services: Services, ids: Sequence[str] | None) -> DeleteResponse:
        if ids is None:
            raise ValueError("ids of the documents to delete are needed")
        identity, deleted = self.connection.identity, 0
        for start in range(0, len(ids), 1_000):
            part = ids[start : start + 1_000]
            deleted += await services.documents.delete(identity, part)
            await services.kv.delete(identity, _NAMESPACE, part)
        return DeleteResponse(num_deleted=deleted, num_failed=0)

    async def _get(self, services: Services, ids: Sequence[str]) -> list[Document]:
        identity, gate = self.connection.identity, asyncio.Semaphore(_AT_ONCE)

        async def text_of(identifier: str) -> str | None:
            async with gate:
                return await _text(services, identity, identifier)

        unique = list(dict.fromkeys(ids))
        texts = await asyncio.gather(*(text_of(identifier) for identifier in unique))
        metadata = await services.kv.get_many(identity, _NAMESPACE, unique)
        return [
            Document(
                id=identifier, page_content=text, metadata={} if entry is None else json.loads(entry.value)
            )
            for identifier, text, entry in zip(unique, texts, metadata, strict=True)
            if text is not None
        ]


async def _text(services: Services, identity: Identity, identifier: str) -> str | None:
    try:
        return (await services.documents.get(identity, identifier)).text
    except NotFound:
        return None


def _row(identifier: str, item: Document) -> dict[str, object]:
    given = {name: item.metadata.get(name) for name in _FIELDS}
    return {
        "id": identifier,
        "text": item.page_content,
        **{name: value for name, value in given.items() if isinstance(value, str) and value},
    }


def _size(named: tuple[str, Document]) -> int:
    return len(named[1].page_content.encode("utf-8", "replace"))
