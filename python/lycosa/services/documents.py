"""Documents: texts about customers, stored and searched."""

from collections.abc import Mapping, Sequence

from lycosa.batches import batches
from lycosa.errors import Invalid, NotFound
from lycosa.identity import Identity
from lycosa.procedures import (
    DocumentFigures,
    DocumentHit,
    DocumentMatch,
    DocumentMatches,
    DocumentOutcome,
    DocumentPage,
    DocumentSearch,
    DocumentText,
    Procedures,
)
from lycosa.services.encodable import unencodable

__all__ = ["MAX_DOCUMENTS", "DocumentHit", "DocumentService"]

MAX_DOCUMENTS = 100
# Of one text to be matched, and of all of one call, in bytes.
MOST_MATCHED = 65_536
_MATCHED_BYTES, _MATCHED_TEXTS = 262_144, 100


class DocumentService:
    """The use-cases of documents. Every method takes who asks first."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def put(self, identity: Identity, documents: Sequence[object]) -> list[DocumentOutcome]:
        """Store up to 100 documents, 512 KiB of text, in one transaction, with an outcome for every one, in order.

        A stored document of the same id is replaced, one of the same content left as it is. They are found by search
        as soon as the background step has indexed them. An invalid one names its field and stops no other.
        Raises Invalid when there is more, Unavailable when the store is away or full.
        """
        if len(documents) > MAX_DOCUMENTS:
            raise Invalid(
                f"documents holds {len(documents)} items, at most {MAX_DOCUMENTS} are taken in one call; "
                "import larger sets",
                code="INVALID_ARGUMENT",
                details={"argument": "documents", "limit": MAX_DOCUMENTS},
            )
        refused: dict[int, DocumentOutcome] = {}
        sent: list[Mapping[str, object]] = []
        for position, document in enumerate(documents):
            if not isinstance(document, Mapping):
                refused[position] = DocumentOutcome(None, "invalid", None, "is not an object of named fields")
            elif (found := unencodable(document)) is not None:
                refused[position] = DocumentOutcome(None, "invalid", *found)
            else:
                sent.append(document)
        stored = iter(
            await self._procedures.document_put(tenant=identity.tenant, documents=sent) if sent else []
        )
        return [refused.get(position) or next(stored) for position in range(len(documents))]

    async def search(
        self,
        identity: Identity,
        query: str,
        *,
        customer_id: str | None = None,
        include_general: bool | None = None,
        kind: str | None = None,
        limit: int = 10,
    ) -> DocumentSearch:
        """The best passages (1..100), one a document, by BM25 over Russian and English word stems.

        With `customer_id` only documents about that customer, and with `include_general` also those about nobody in
        particular. The answer says how many documents still wait to be indexed, and whether the bound on work was
        reached.
        """
        return await self._procedures.document_search(
            tenant=identity.tenant,
            query=query,
            customer_id=customer_id,
            include_general=include_general,
            kind=kind,
            limit=limit,
        )

    async def match(self, identity: Identity, query: str, texts: Sequence[str]) -> list[DocumentMatch]:
        """How many words each text has, and how often each term of the query is among them, by the stems of `search`.

        For ranking what is kept elsewhere; nothing is stored. Texts are cut at 65,536 bytes; any number goes, in calls
        of 262,144 bytes.
        """
        found: list[DocumentMatch] = []
        plain = [_plain(text) for text in texts]
        for part in batches(plain, lambda text: len(text.encode()), _MATCHED_TEXTS, _MATCHED_BYTES):
            answer: DocumentMatches = await self._procedures.document_match(
                tenant=identity.tenant, query=_plain(query)[:500], texts=part
            )
            found += answer.matches
        return found

    async def get(self, identity: Identity, document_id: str) -> DocumentText:
        """One document with its text. Raises NotFound."""
        return await self._procedures.document_get(tenant=identity.tenant, id=document_id)

    async def find(
        self,
        identity: Identity,
        *,
        customer_id: str | None = None,
        prefix: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> DocumentPage:
        """A page of documents by id, of one customer or all, without their texts; `prefix` is how their ids begin.

        Raises Invalid for a bad cursor.
        """
        return await self._procedures.document_list(
            tenant=identity.tenant, customer_id=customer_id, prefix=prefix, cursor=cursor, limit=limit
        )

    async def delete(self, identity: Identity, ids: Sequence[str]) -> int:
        """Delete up to 1,000 documents by id; gives how many there were. They are found no more at once."""
        return (await self._procedures.document_delete(tenant=identity.tenant, ids=ids)).deleted

    async def remove(self, identity: Identity, document_id: str) -> None:
        """Delete one document. Raises NotFound when there is none."""
        if not await self.delete(identity, [document_id]):
            raise NotFound(
                f"document {document_id} does not exist",
                code="DOCUMENT_NOT_FOUND",
                details={"id": document_id},
            )

    async def figures(self, identity: Identity) -> DocumentFigures:
        """Documents, passages, terms and postings, and how far the index lags behind (documents, seconds)."""
        return await self._procedures.document_figures(tenant=identity.tenant)


def _plain(text: str) -> str:
    """Text as the store takes it: without control characters and what has no UTF-8, and no longer than it may be."""
    cut = text.encode("utf-8", "replace")[:MOST_MATCHED].decode("utf-8", "ignore")
    return "".join(character if character.isprintable() else " " for character in cut) or " "
