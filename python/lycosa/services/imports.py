"""Files of any size into the store: read as a stream, sent in batches, answered row by row, in constant memory."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

import stamina

from lycosa.errors import LycosaError, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import MemoryFull, Procedures
from lycosa.services.records import Assembler, CsvAssembler, LineAssembler, Record
from lycosa.services.rows import CsvRows, Row, RowProblem, json_row

Format = Literal["csv", "ndjson"]

# What one call carries. The store takes 1,000 customers a call, but seven index entries a row hold it for 12 ms and
# more then, and everybody else waits; a quarter of that is 3 ms, and as fast over all.
MAX_CUSTOMERS = 250
MAX_DOCUMENTS = 100
MAX_CUSTOMER_BYTES = 1024 * 1024
MAX_DOCUMENT_BYTES = 512 * 1024
IN_FLIGHT = 2

# How much is cut into rows before other work on the event loop gets its turn: a few milliseconds.
_SLICE = 16 * 1024
_RETRY_FOR = 30.0


class RowOutcome(NamedTuple):
    """What became of one row.

    `row` counts data rows from 1, `line` is the line of the file on which it begins. `outcome` is inserted, updated,
    replaced, unchanged, invalid or conflict. `record` is the row as it was sent, kept for refused rows only.
    """

    row: int
    line: int
    outcome: str
    id: str | None
    version: int | None
    field: str | None
    problem: str | None
    record: bytes | None


class ImportSummary(NamedTuple):
    """The last item of an import: how many rows, how many of each outcome, and how long it took."""

    rows: int
    outcomes: dict[str, int]
    seconds: float


Progress: TypeAlias = list[RowOutcome] | ImportSummary


# The store's answer for one row, whatever the domain: outcome, id, version, field, problem.
StoredRow: TypeAlias = tuple[str, str | None, int | None, str | None, str | None]

_Send = Callable[[list[Row]], Awaitable[Sequence[StoredRow]]]


class _Reader(Protocol):
    """How one format is cut and read."""

    assembler: Assembler

    def read(self, record: Record) -> Row | None:
        """The row of a record, None when it is none. Raises RowProblem."""
        ...

    def finish(self) -> None:
        """The input has ended. Raises Invalid when something is missing."""
        ...


class _Entry(NamedTuple):
    number: int
    record: Record
    row: Row | None
    refused: RowProblem | None


class ImportService:
    """Imports of customers and documents. Rows that are wrong are reported and the rest is stored."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    def customers(
        self, identity: Identity, chunks: AsyncIterable[bytes], format: Format
    ) -> AsyncGenerator[Progress, None]:
        """Upsert customers from CSV (with a header) or NDJSON, in batches of at most 1,000 rows and 1 MiB.

        Gives lists of outcomes in the order of the rows, then one ImportSummary. A batch that the store cannot take
        just now is sent again for up to 30 s, which is harmless; what rows before it did, stays done.
        Raises Invalid for a header that cannot be used, and what the store answers when it stays away; then
        `details` say which row was the first not stored.
        """

        async def send(rows: list[Row]) -> Sequence[StoredRow]:
            return await self._procedures.customer_upsert(tenant=identity.tenant, rows=rows)

        reader = _CsvReader() if format == "csv" else _JsonReader(("since",))
        return _run(chunks, reader, send, (MAX_CUSTOMERS, MAX_CUSTOMER_BYTES), ("id", "external_id"))

    def documents(self, identity: Identity, chunks: AsyncIterable[bytes]) -> AsyncGenerator[Progress, None]:
        """Put documents from NDJSON, in batches of at most 100 documents and 512 KiB.

        A document names its customer by `customer_id`, or by `external_id`, which must be a stored customer's.
        `created_at` may be an ISO date. Otherwise as `customers`.
        """
        links = _CustomerLinks(self._procedures, identity)

        async def send(rows: list[Row]) -> Sequence[StoredRow]:
            problems = await links.resolve(rows)
            kept = [row for position, row in enumerate(rows) if position not in problems]
            answer = iter(
                await self._procedures.document_put(tenant=identity.tenant, documents=kept) if kept else []
            )
            stored: list[StoredRow] = []
            for position in range(len(rows)):
                if position in problems:
                    stored.append(problems[position])
                else:
                    given = next(answer)
                    stored.append((given.outcome, given.id, None, given.field, given.problem))
            return stored

        return _run(chunks, _JsonReader(("created_at",)), send, (MAX_DOCUMENTS, MAX_DOCUMENT_BYTES), ("id",))


class _CustomerLinks:
    """Ids of customers by external id, looked up once each."""

    _KEPT = 10_000

    def __init__(self, procedures: Procedures, identity: Identity) -> None:
        self._procedures = procedures
        self._tenant = identity.tenant
        self._ids: dict[str, str | None] = {}

    async def resolve(self, rows: list[Row]) -> dict[int, StoredRow]:
        """Put customer_id in the place of external_id; gives the rows where that cannot be done.

        Those are left as they are: their batch may be sent again, and they must be refused again.
        """
        named = {key for row in rows if isinstance(key := row.get("external_id"), str)}
        if len(self._ids) > self._KEPT:
            self._ids.clear()
        # Of this call alone: while it waits, another batch may empty what is kept.
        ids = {key: self._ids[key] for key in named if key in self._ids}
        wanted = [key for key in named if key not in ids]
        ids.update(zip(wanted, await asyncio.gather(*map(self._look_up, wanted)), strict=True))
        self._ids.update(ids)
        problems: dict[int, StoredRow] = {}
        for position, row in enumerate(rows):
            key = row.get("external_id")
            found = ids.get(key) if isinstance(key, str) else None
            if key is not None and found is None:
                problems[position] = _no_customer(row)
                continue
            row.pop("external_id", None)
            if found is not None and row.get("customer_id") is None:
                row["customer_id"] = found
        return problems

    async def _look_up(self, key: str) -> str | None:
        page = await self._procedures.customer_find(tenant=self._tenant, by="external_id", value=key, limit=1)
        return page.rows[0].id if page.rows else None


def _no_customer(row: Row) -> StoredRow:
    identifier = row.get("id")
    return (
        "invalid",
        identifier if isinstance(identifier, str) else None,
        None,
        "external_id",
        "is no stored customer's",
    )


class _JsonReader:
    """NDJSON: every line a row."""

    def __init__(self, times: tuple[str, ...]) -> None:
        self.assembler: Assembler = LineAssembler()
        self._times = times

    def read(self, record: Record) -> Row | None:
        """The row of a record. Raises RowProblem."""
        if record.problem is not None:
            raise RowProblem(None, record.problem)
        return json_row(record.data, self._times)

    def finish(self) -> None:
        """An empty file is an empty import."""


class _CsvReader:
    """CSV: the first record is the header."""

    def __init__(self) -> None:
        self._assembler = CsvAssembler()
        self.assembler: Assembler = self._assembler
        self._rows: CsvRows | None = None

    def read(self, record: Record) -> Row | None:
        """The row of a record, None for the header. Raises RowProblem, or Invalid for a bad header."""
        if self._rows is None:
            self._rows = CsvRows(record.data if record.problem is None else b"")
            self._assembler.delimiter = self._rows.delimiter.encode()
            return None
        if record.problem is not None:
            raise RowProblem(None, record.problem)
        return self._rows.row(record.data)

    def finish(self) -> None:
        """Raises Invalid when there was no header."""
        if self._rows is None:
            CsvRows(b"")


class _Batch:
    """Rows on their way to the store, in order, the refused ones among them."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.bytes = 0

    def keys(self, names: tuple[str, ...]) -> set[str]:
        """The values by which its rows are told apart: those of the named fields."""
        rows = [entry.row for entry in self.entries if entry.row is not None]
        return {key for row in rows for name in names if isinstance(key := row.get(name), str)}

    def add(self, entry: _Entry) -> None:
        self.entries.append(entry)
        self.bytes += len(entry.record.data)

    async def deliver(self, send: _Send) -> list[RowOutcome]:
        rows = [entry.row for entry in self.entries if entry.row is not None]
        try:
            stored = iter(await _patiently(send, rows) if rows else [])
        except LycosaError as problem:
            problem.details["row"] = self.entries[0].number
            raise
        outcomes = [_outcome(entry, stored) for entry in self.entries]
        # The connection leaves a reference to its arguments to the collector: it shall not keep the rows.
        rows.clear()
        return outcomes


def _outcome(entry: _Entry, stored: Iterator[StoredRow]) -> RowOutcome:
    number, record, _, refused = entry
    if refused is not None:
        return RowOutcome(
            number, record.line, "invalid", None, None, refused.field, refused.problem, record.data
        )
    answer = next(stored)
    failed = answer[0] in ("invalid", "conflict")
    return RowOutcome(number, record.line, *answer, record.data if failed else None)


def _worth_repeating(problem: Exception) -> bool:
    return isinstance(problem, Unavailable | TimedOut) and not isinstance(problem, MemoryFull)


async def _patiently(send: _Send, rows: list[Row]) -> Sequence[StoredRow]:
    async for attempt in stamina.retry_context(
        on=_worth_repeating,
        attempts=None,
        timeout=_RETRY_FOR,
        wait_initial=0.1,
        wait_max=3.0,
        wait_jitter=0.5,
    ):
        with attempt:
            return await send(rows)
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _run(
    chunks: AsyncIterable[bytes],
    reader: _Reader,
    send: _Send,
    bounds: tuple[int, int],
    key_fields: tuple[str, ...],
) -> AsyncGenerator[Progress, None]:
    started = time.monotonic()
    counts: dict[str, int] = {}
    # Each with the keys of its rows.
    in_flight: deque[tuple[asyncio.Task[list[RowOutcome]], set[str]]] = deque()
    try:
        async for batch in _batches(chunks, reader, *bounds):
            keys = batch.keys(key_fields)
            # A batch may overtake the one before it, which is sent again when the store was away. Rows of one key
            # must not: what the file says last is what is stored.
            while any(not keys.isdisjoint(others) for _, others in in_flight):
                yield _counted(counts, await in_flight.popleft()[0])
            in_flight.append((asyncio.create_task(batch.deliver(send)), keys))
            if len(in_flight) == IN_FLIGHT:
                yield _counted(counts, await in_flight.popleft()[0])
        while in_flight:
            yield _counted(counts, await in_flight.popleft()[0])
    finally:
        tasks = [task for task, _ in in_flight]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    yield ImportSummary(sum(counts.values()), counts, time.monotonic() - started)


def _counted(counts: dict[str, int], outcomes: list[RowOutcome]) -> list[RowOutcome]:
    for outcome in outcomes:
        counts[outcome.outcome] = counts.get(outcome.outcome, 0) + 1
    return outcomes


async def _batches(
    chunks: AsyncIterable[bytes], reader: _Reader, max_rows: int, max_bytes: int
) -> AsyncGenerator["_Batch", None]:
    batch = _Batch()
    number = 0
    async for piece in _slices(chunks):
        records = reader.assembler.finish() if piece is None else reader.assembler.feed(piece)
        for record in records:
            entry = _entry(reader, record, number + 1)
            if entry is None:
                continue
            number += 1
            if batch.entries and batch.bytes + len(record.data) > max_bytes:
                yield batch
                batch = _Batch()
            batch.add(entry)
            if len(batch.entries) == max_rows:
                yield batch
                batch = _Batch()
    reader.finish()
    if batch.entries:
        yield batch


def _entry(reader: _Reader, record: Record, number: int) -> _Entry | None:
    """What a record became; None when it is no row."""
    try:
        row = reader.read(record)
    except RowProblem as problem:
        return _Entry(number, record, None, problem)
    return None if row is None else _Entry(number, record, row, None)


async def _slices(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes | None, None]:
    """The input in small pieces with a pause after each, then None."""
    async for chunk in chunks:
        for start in range(0, len(chunk), _SLICE):
            yield chunk[start : start + _SLICE]
            await asyncio.sleep(0)
    yield None
