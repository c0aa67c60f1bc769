"""Records of a file as rows for the store: CSV by its header, NDJSON as it is written."""

import csv
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from lycosa.errors import Invalid
from lycosa.services.encodable import unencodable

Row = dict[str, object]


class RowProblem(Exception):
    """One row cannot be read; the others can."""

    def __init__(self, field: str | None, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


def decoded(data: bytes) -> str:
    """The text of a record. Raises RowProblem naming the first byte that is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise RowProblem(None, f"is not valid UTF-8 at byte {problem.start + 1}") from None


# NDJSON


def _refuse_constant(name: str) -> object:
    raise RowProblem(None, f"holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def json_row(data: bytes, times: tuple[str, ...]) -> Row:
    """One line of NDJSON. The fields named in `times` may be ISO dates. Raises RowProblem."""
    try:
        row = _DECODER.decode(decoded(data))
    except json.JSONDecodeError as problem:
        raise RowProblem(None, f"is not JSON: {problem.msg} at character {problem.pos + 1}") from None
    except (RecursionError, ValueError):
        raise RowProblem(None, "is nested too deep or holds a number that is too long") from None
    if not isinstance(row, dict):
        raise RowProblem(None, "is not an object of named fields")
    for field in times:
        if isinstance(row.get(field), str):
            row[field] = _time(field, row[field])
    refuse_unencodable(row)
    return row


def refuse_unencodable(row: Mapping[str, object]) -> None:
    """Raises RowProblem for what the store cannot be sent."""
    found = unencodable(row)
    if found is not None:
        raise RowProblem(*found)


# CSV

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_SECONDS = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def _text(_field: str, cell: str) -> object:
    return cell


def _whole(field: str, cell: str) -> object:
    if cell.isdigit() and cell.isascii() and len(cell) < 19:
        return int(cell)
    if not _WHOLE.fullmatch(cell):
        raise RowProblem(field, "is not a whole number")
    return int(cell)


def _time(field: str, cell: str) -> object:
    seconds = _seconds(cell)
    if seconds is None:
        raise RowProblem(field, "is neither an ISO date nor unix seconds")
    return seconds


# Dates of a file repeat.
@lru_cache(maxsize=4096)
def _seconds(cell: str) -> float | None:
    if len(cell) > 64:
        return None
    if _SECONDS.fullmatch(cell) and len(cell) != 4:
        return float(cell)
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tags(_field: str, cell: str) -> object:
    return [tag for part in cell.split(";") if (tag := part.strip())]


_COLUMNS: dict[str, Callable[[str, str], object]] = {
    "id": _text,
    "external_id": _text,
    "name": _text,
    "email": _text,
    "segment": _text,
    "tags": _tags,
    "country": _text,
    "industry": _text,
    "revenue_cents": _whole,
    "orders": _whole,
    "since": _time,
    "version": _whole,
}

_DELIMITERS = (",", ";", "\t")


class CsvRows:
    """Reads records by a header.

    Known columns: id, external_id, name, email, segment, tags (separated by `;`), country, industry, revenue_cents,
    orders, since (ISO date, or unix seconds), version. Any other column `X` goes to the customer's profile as text
    under its name; `profile.X` is the same. An empty cell says nothing: what is stored is kept.
    """

    def __init__(self, header: bytes) -> None:
        """Raises Invalid, naming the column, when the header cannot be used."""
        try:
            text = decoded(header)
        except RowProblem as problem:
            raise _bad_header(f"the header {problem.problem}", "") from None
        self.delimiter = max(_DELIMITERS, key=text.count)
        names = [name.strip() for name in next(csv.reader([text], delimiter=self.delimiter))]
        for position, name in enumerate(names, 1):
            if not name:
                raise _bad_header(f"column {position} has no name", str(position))
            if names.index(name) != position - 1:
                raise _bad_header(f"column {name} stands twice", name)
        if "name" not in names:
            raise _bad_header("column name is missing", "name")
        if "id" not in names and "external_id" not in names:
            raise _bad_header("column id or external_id is missing", "external_id")
        self._names = names
        self._readers = [_COLUMNS.get(name) for name in names]

    def row(self, data: bytes) -> Row:
        """One record. Raises RowProblem naming the column."""
        text = decoded(data)
        try:
            cells = next(csv.reader([text], delimiter=self.delimiter))
        except (csv.Error, StopIteration) as problem:
            raise RowProblem(None, f"is not CSV: {problem}") from None
        if len(cells) != len(self._names):
            raise RowProblem(None, f"has {len(cells)} cells where the header has {len(self._names)}")
        row: Row = {}
        profile: dict[str, str] = {}
        for name, read, cell in zip(self._names, self._readers, cells, strict=True):
            value = cell.strip()
            if not value:
                continue
            if read is None:
                profile[name.removeprefix("profile.")] = value
            else:
                row[name] = read(name, value)
        if profile:
            row["profile"] = profile
        return row


def _bad_header(problem: str, column: str) -> Invalid:
    return Invalid(
        f"{problem}; a CSV file begins with a header that has name, and id or external_id",
        code="INVALID_HEADER",
        details={"column": column[:80], "line": 1},
    )
