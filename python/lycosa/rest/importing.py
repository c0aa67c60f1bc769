"""Imports over HTTP: the body streams in, outcomes stream out as NDJSON."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import Any, Literal

import structlog
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lycosa.errors import Invalid, LycosaError
from lycosa.rest.answers import request_id
from lycosa.rest.bodies import body_stream, import_format, media_type
from lycosa.rest.problems import internal, of_error
from lycosa.rest.schemas import ImportSummaryOut, RowOutcomeOut
from lycosa.rest.spool import Spool
from lycosa.services.imports import Format, ImportSummary, Progress, RowOutcome

NDJSON = "application/x-ndjson"

Importer = Callable[[AsyncIterable[bytes], Format], AsyncGenerator[Progress, None]]

_log = structlog.get_logger("lycosa.rest")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_UPLOAD_PIECE = 64 * 1024


async def stream_import(
    request: Request, accepted: tuple[Literal["csv", "ndjson"], ...], importer: Importer
) -> Response:
    """Run an import of the body. What is wrong from the first byte on has a status of its own.

    Raises Invalid for a header that cannot be used, HTTPException 415 for another media type.
    """
    if media_type(request) == "multipart/form-data":
        chunks, format = await _uploaded(request, accepted)
    else:
        format = import_format(request, *accepted)
        chunks = body_stream(request)
    progress = importer(chunks, format)
    first = await anext(progress)
    return _Answer(_lines(request_id(request), first, progress), media_type=NDJSON)


class _Answer(StreamingResponse):
    """A streaming response that leaves the request's messages to the import, which is still reading them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        await self.stream_response(send)


async def _lines(
    identifier: str, first: Progress, progress: AsyncGenerator[Progress, None]
) -> AsyncIterator[bytes]:
    spool = Spool()
    importing = asyncio.create_task(_import(identifier, first, progress, spool), name="lycosa-import")
    try:
        async for piece in spool.read():
            yield piece
    finally:
        importing.cancel()
        await asyncio.gather(importing, return_exceptions=True)
        spool.close()


async def _import(
    identifier: str, first: Progress, progress: AsyncGenerator[Progress, None], spool: Spool
) -> None:
    """Write outcomes as they come. The answer has begun, so an error is its last line and not its status."""
    item: Progress | None = first
    try:
        while item is not None:
            await spool.write(_written(item))
            item = await anext(progress, None)
    except LycosaError as problem:
        await spool.write(
            _encode(of_error(problem, identifier).model_dump()).encode("utf-8", "replace") + b"\n"
        )
    except ClientDisconnect:
        _log.info("import_left")
    except Exception as problem:
        _log.exception("import_failed", error=type(problem).__name__)
        await spool.write(_encode(internal(identifier).model_dump()).encode() + b"\n")
    finally:
        await progress.aclose()
        spool.end()


def _written(item: Progress) -> bytes:
    if isinstance(item, ImportSummary):
        summary = ImportSummaryOut(rows=item.rows, outcomes=item.outcomes, seconds=round(item.seconds, 3))
        return summary.model_dump_json().encode() + b"\n"
    return "".join([_encode(_row(outcome)) + "\n" for outcome in item]).encode("utf-8", "replace")


def _row(outcome: RowOutcome) -> dict[str, Any]:
    return {
        "row": outcome.row,
        "line": outcome.line,
        "outcome": outcome.outcome,
        "id": outcome.id,
        "version": outcome.version,
        "field": outcome.field,
        "problem": outcome.problem,
    }


async def _uploaded(
    request: Request, accepted: tuple[Literal["csv", "ndjson"], ...]
) -> tuple[AsyncIterable[bytes], Literal["csv", "ndjson"]]:
    """The file of a form, in its field `file`. Larger ones wait on disk, not in memory."""
    form = await request.form(max_files=1, max_fields=8)
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Invalid(
            "the form has no file in its field `file`", code="INVALID_ARGUMENT", details={"argument": "file"}
        )
    name = (file.filename or "").lower()
    format: Literal["csv", "ndjson"] = "csv" if name.endswith(".csv") else "ndjson"
    if format not in accepted or not name.endswith((".csv", ".ndjson", ".jsonl")):
        raise HTTPException(415, f"the file must be named *.{' or *.'.join(accepted)}")

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while piece := await file.read(_UPLOAD_PIECE):
                yield piece
        finally:
            await form.close()

    return pieces(), format


_EXAMPLES = {
    "customers": {
        "text/csv": "external_id,name,segment,tags,orders,since\nS-001,ООО Ромашка,smb,retail;priority,7,2020-01-01\n",
        NDJSON: '{"external_id": "S-001", "name": "ООО Ромашка", "segment": "smb", "orders": 7}\n',
    },
    "documents": {
        NDJSON: '{"id": "n-1", "external_id": "S-001", "title": "Call", "text": "Wants to renew in May."}\n',
    },
}


def import_body(kind: Literal["customers", "documents"]) -> dict[str, Any]:
    """The documentation of an import's body."""
    content: dict[str, Any] = {
        media: {"schema": {"type": "string"}, "example": text} for media, text in _EXAMPLES[kind].items()
    }
    content["multipart/form-data"] = {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"}},
        }
    }
    return {"requestBody": {"required": True, "content": content}}


def import_documentation(kind: Literal["customers", "documents"]) -> dict[str, Any]:
    """The documentation of an import's answer."""
    row = {
        "row": 1,
        "line": 2 if kind == "customers" else 1,
        "outcome": "inserted",
        "id": "S-001" if kind == "customers" else "n-1",
        "version": 1 if kind == "customers" else None,
        "field": None,
        "problem": None,
    }
    summary = {"summary": True, "rows": 1, "outcomes": {"inserted": 1}, "seconds": 0.01}
    return {
        "description": "One JSON object a line: an outcome for each row, then the summary.",
        "content": {
            NDJSON: {
                "schema": {
                    "anyOf": [RowOutcomeOut.model_json_schema(), ImportSummaryOut.model_json_schema()]
                },
                "example": f"{_encode(row)}\n{_encode(summary)}\n",
            }
        },
    }
