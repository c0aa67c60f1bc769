"""`lycosa import`: customers and documents from files."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, BinaryIO

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from lycosa.cli.command import Invocation, command
from lycosa.cli.output import bar, record, table
from lycosa.cli.session import Session, open_session
from lycosa.errors import Denied, Invalid, NotFound
from lycosa.services.imports import Format, ImportSummary, RowOutcome

_CHUNK = 256 * 1024
_PEEK = 64 * 1024
_REFUSED = frozenset({"invalid", "conflict"})
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class Kind(StrEnum):
    """What the rows are."""

    customers = "customers"
    documents = "documents"


class FileFormat(StrEnum):
    """How the rows are written."""

    csv = "csv"
    ndjson = "ndjson"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "import",
        examples=[
            "lycosa import data/samples/customers.csv",
            "lycosa import data/samples/documents.ndjson --kind documents",
            "zcat people.csv.gz | lycosa import - --format csv --bad-rows refused.ndjson",
        ],
    )(import_file)


async def import_file(
    run: Invocation,
    file: Annotated[str, typer.Argument(help="CSV with a header, or NDJSON; - for standard input.")],
    kind: Annotated[
        Kind | None, typer.Option(help="What the rows are; told by the first one's fields when absent.")
    ] = None,
    format: Annotated[FileFormat | None, typer.Option(help="When the name does not end in it.")] = None,
    bad_rows: Annotated[
        Path | None,
        typer.Option(help="Where refused rows go, each with its reason; FILE.bad.ndjson here when absent."),
    ] = None,
) -> None:
    """Import customers or documents of any number; the same file again changes nothing.

    Rows that are wrong are written to a file with their reasons and the rest is stored; then the exit status is 2.
    """
    name = "stdin" if file == "-" else Path(file).name
    with _opened(file) as source, Refused(bad_rows or Path(f"{name}.bad.ndjson")) as refused:
        head = await asyncio.to_thread(source.read, _PEEK)
        form = _format(file, format)
        async with open_session(run.settings) as session:
            summary = await load(
                run, session, _chunks(head, source), kind or _kind(head, form), form, refused, _size(source)
            )
        kept = str(refused.path) if refused.rows else None
        columns = list(summary.outcomes)
        largest = max(summary.outcomes.values(), default=0)
        rate = summary.rows / summary.seconds if summary.seconds else 0.0
        run.output.show(
            {**summary._asdict(), "rows_per_second": round(rate, 1), "bad_rows": kept},
            table(
                ["outcome", "rows", ""],
                [[name, summary.outcomes[name], bar(summary.outcomes[name], largest)] for name in columns],
                right=["rows"],
            ),
            record({"total": f"{summary.rows:,} rows in {summary.seconds:.2f} s ({rate:,.0f} rows/s)"}),
        )
    if refused.rows:
        raise Invalid(
            f"{refused.rows:,} of {summary.rows:,} rows were refused, the rest is stored; reasons in {kept}",
            code="ROWS_REFUSED",
            details={"rows": refused.rows, "bad_rows": str(kept)},
        )


async def load(
    run: Invocation,
    session: Session,
    chunks: AsyncIterator[bytes],
    kind: Kind,
    form: Format,
    refused: "Refused",
    size: int | None = None,
) -> ImportSummary:
    """Import a stream, draw its progress, keep what was refused; gives the summary.

    Raises Invalid when documents are not NDJSON.
    """
    imports = session.services.imports
    if kind is Kind.documents and form != "ndjson":
        raise Invalid(
            "documents are imported from NDJSON, not CSV",
            code="INVALID_ARGUMENT",
            details={"argument": "format"},
        )
    with _drawn(run, size) as advance:
        measured = _measured(chunks, advance)
        items = (
            imports.customers(session.identity, measured, form)
            if kind is Kind.customers
            else imports.documents(session.identity, measured)
        )
        async with contextlib.aclosing(items):
            async for item in items:
                if isinstance(item, ImportSummary):
                    return item
                advance(0, len(item))
                for outcome in item:
                    if outcome.outcome in _REFUSED:
                        refused.add(outcome)
    raise AssertionError("an import ends with its summary")


class Refused:
    """Refused rows with their reasons as NDJSON. The file is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._file: IO[str] | None = None

    def __enter__(self) -> "Refused":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, outcome: RowOutcome) -> None:
        """Write one row. Raises Denied when the file cannot be written."""
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8")
            except OSError as problem:
                raise Denied(
                    f"cannot write refused rows to {self.path} ({problem.strerror}); name another with --bad-rows",
                    code="FILE_NOT_WRITABLE",
                ) from problem
        self.rows += 1
        fields = outcome._asdict()
        fields["record"] = None if outcome.record is None else outcome.record.decode(errors="replace")
        self._file.write(json.dumps(fields, ensure_ascii=False) + "\n")


def _opened(file: str) -> contextlib.AbstractContextManager[BinaryIO]:
    if file == "-":
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        return open(file, "rb")
    except OSError as problem:
        kind = NotFound if isinstance(problem, FileNotFoundError) else Denied
        raise kind(f"cannot read {file}: {problem.strerror}", code="FILE_NOT_READABLE") from problem


def _size(source: BinaryIO) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        if source.seekable():
            return os.fstat(source.fileno()).st_size
    return None


def _format(file: str, given: FileFormat | None) -> Format:
    if given is not None:
        return given.value
    found = _SUFFIXES.get(Path(file).suffix.lower())
    if found is None:
        raise Invalid(
            f"the name {file} does not say what is in it; add --format csv or --format ndjson",
            code="FORMAT_UNKNOWN",
            details={"argument": "format"},
        )
    return found


def _kind(head: bytes, form: Format) -> Kind:
    """Documents have a text, customers a name."""
    line = head.split(b"\n", 1)[0]
    if form == "ndjson" and b'"text"' in line and b'"name"' not in line:
        return Kind.documents
    return Kind.customers


async def _chunks(head: bytes, source: BinaryIO) -> AsyncGenerator[bytes, None]:
    chunk = head
    while chunk:
        yield chunk
        chunk = await asyncio.to_thread(source.read, _CHUNK)


async def chunks_of(path: Path) -> AsyncGenerator[bytes, None]:
    """The bytes of a file. Raises NotFound or Denied when it cannot be opened."""
    with _opened(str(path)) as source:
        async for chunk in _chunks(await asyncio.to_thread(source.read, _CHUNK), source):
            yield chunk


async def _measured(chunks: AsyncIterator[bytes], advance: "_Advance") -> AsyncGenerator[bytes, None]:
    async for chunk in chunks:
        yield chunk
        advance(len(chunk), 0)


class _Advance:
    """Counts bytes read and rows answered; draws them when there is a terminal."""

    def __init__(self, progress: Progress | None, size: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=size, rows="") if progress else None
        self._rows = 0
        self._began = time.monotonic()

    def __call__(self, size: int, rows: int) -> None:
        self._rows += rows
        if self._progress is not None and self._task is not None:
            rate = self._rows / max(time.monotonic() - self._began, 1e-3)
            self._progress.update(self._task, advance=size, rows=f"{self._rows:,} rows  {rate:,.0f} rows/s")


@contextlib.contextmanager
def _drawn(run: Invocation, size: int | None) -> Iterator[_Advance]:
    if not run.output.live:
        yield _Advance(None, size)
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rows]}"), TimeElapsedColumn())
    with Progress(*columns, console=run.output.notes, transient=True) as progress:
        yield _Advance(progress, size)
