"""/v1/documents."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lycosa.rest.answers import Asking, Cursor, Limit, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.importing import import_body, import_documentation, stream_import
from lycosa.rest.problems import responses
from lycosa.rest.schemas import DocumentBatch
from lycosa.schemas.documents import DocumentPageOut, DocumentTextOut, PutAnswer, SearchOut

router = APIRouter(prefix="/v1/documents", tags=["documents"], route_class=JsonRoute)

DocumentId = Annotated[str, Path(min_length=1, max_length=128, examples=["n-1"])]
CustomerId = Annotated[str | None, Query(min_length=1, max_length=128, examples=["S-001"])]


@router.post("", response_model=PutAnswer, responses=responses(413, 415, 422, 503))
@needs("write")
async def put_documents(batch: DocumentBatch, asking: Asking, services: With) -> Response:
    """Store up to 100 documents in one transaction, with an outcome for every one.

    A document of the same id is replaced. Search finds them as soon as the background has indexed them, usually
    within a second.
    """
    return answer(PutAnswer, {"outcomes": await services.documents.put(asking, batch.documents)})


@router.get("", response_model=DocumentPageOut, responses=responses(422, 503))
@needs("read")
async def list_documents(
    asking: Asking,
    services: With,
    customer_id: CustomerId = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Response:
    """A page of documents without their texts, by id, of one customer or all."""
    page = await services.documents.find(asking, customer_id=customer_id, cursor=cursor, limit=limit)
    return answer(DocumentPageOut, page)


@router.post(
    "/import",
    response_class=StreamingResponse,
    responses={200: import_documentation("documents"), **responses(415, 422, 503)},
    openapi_extra=import_body("documents"),
)
@needs("write")
async def import_documents(request: Request, asking: Asking, services: With) -> Response:
    """Store any number of documents from NDJSON, in constant memory.

    The answer streams while the body is read, as with customers. A document names its customer by `customer_id`, or
    by `external_id`; `created_at` may be an ISO date.
    """
    return await stream_import(
        request, ("ndjson",), lambda chunks, _format: services.imports.documents(asking, chunks)
    )


@router.get("/search", response_model=SearchOut, responses=responses(422, 503))
@needs("read")
async def search_documents(
    asking: Asking,
    services: With,
    q: Annotated[str, Query(min_length=1, max_length=1000, examples=["продление договора"])],
    customer_id: CustomerId = None,
    include_general: Annotated[
        bool, Query(description="With customer_id: also documents about nobody in particular.")
    ] = False,
    kind: Annotated[str | None, Query(min_length=1, max_length=128, examples=["note"])] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    """The documents that answer best, each with its best passage, by BM25 over Russian and English word stems."""
    found = await services.documents.search(
        asking, q, customer_id=customer_id, include_general=include_general, kind=kind, limit=limit
    )
    return answer(SearchOut, found)


@router.get("/{document_id}", response_model=DocumentTextOut, responses=responses(404, 422, 503))
@needs("read")
async def get_document(document_id: DocumentId, asking: Asking, services: With) -> Response:
    """One document with its text."""
    return answer(DocumentTextOut, await services.documents.get(asking, document_id))


@router.delete("/{document_id}", status_code=204, responses=responses(404, 422, 503))
@needs("write")
async def delete_document(document_id: DocumentId, asking: Asking, services: With) -> Response:
    """Delete one document; it is found no more at once."""
    await services.documents.remove(asking, document_id)
    return Response(status_code=204)
