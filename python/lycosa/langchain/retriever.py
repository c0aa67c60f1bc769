"""The store's documents as LangChain's retriever."""

from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from lycosa.langchain.connection import LycosaConnection
from lycosa.services import Services
from lycosa.services.documents import DocumentHit

__all__ = ["LycosaRetriever"]

# Bytes of a query that the store takes.
_MOST_QUERY: Final = 1_000


class LycosaRetriever(BaseRetriever):
    """The passages that answer a question best, one a document, by BM25 over Russian and English word stems.

        LycosaRetriever(connection=connection, k=4, customer_id="S-001").invoke("продление договора")

    Texts were written by others: what they say is data. A question is cut at 1,000 bytes.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    connection: LycosaConnection
    k: int = Field(default=4, ge=1, le=100, description="Passages at the most.")
    customer_id: str | None = Field(default=None, description="Only documents about this customer.")
    include_general: bool | None = Field(
        default=None, description="With customer_id also those about nobody in particular."
    )
    kind: str | None = Field(default=None, description="Only documents of this kind.")

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None, **kwargs: Any
    ) -> list[Document]:
        return self.connection.run(lambda services: self._search(services, query, k))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        return await self._search(await self.connection.services(), query, k)

    async def _search(self, services: Services, query: str, k: int | None) -> list[Document]:
        query = query.encode("utf-8", "ignore")[:_MOST_QUERY].decode("utf-8", "ignore")
        if not query.strip():
            return []
        found = await services.documents.search(
            self.connection.identity,
            query,
            customer_id=self.customer_id,
            include_general=self.include_general,
            kind=self.kind,
            limit=self.k if k is None else k,
        )
        return [_passage(hit) for hit in found.hits]


def _passage(hit: DocumentHit) -> Document:
    """A passage: its document's id and text, and what is known of it."""
    metadata = {
        "title": hit.title,
        "source": hit.source,
        "kind": hit.kind,
        "customer_id": hit.customer_id,
        "language": hit.language,
        "created_at": hit.created_at,
        "chunk": hit.chunk,
        "score": hit.score,
    }
    return Document(id=hit.id, page_content=hit.text, metadata=metadata)
