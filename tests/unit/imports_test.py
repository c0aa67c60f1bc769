"""Cutting bytes into records and reading records as rows, at every split of the input."""

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lycosa.errors import Invalid
from lycosa.services.records import MAX_LINES, MAX_RECORD, Assembler, CsvAssembler, LineAssembler, Record
from lycosa.services.rows import CsvRows, RowProblem, json_row

HEADER = b"id,name,segment,tags,revenue_cents,orders,since,website,profile.founded"


def cut(assembler: Assembler, pieces: Iterable[bytes]) -> list[Record]:
    records = [record for piece in pieces for record in assembler.feed(piece)]
    return records + list(assembler.finish())


def split(data: bytes, places: Iterable[int]) -> list[bytes]:
    at = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(at)]


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)),
    ending=st.sampled_from(["\n", "\r\n"]),
    closed=st.booleans(),
    places=st.lists(st.integers(0, 10_000), max_size=5),
)
def test_lines_are_the_same_however_the_bytes_arrive(
    lines: list[str], ending: str, closed: bool, places: list[int]
) -> None:
    data = ("\ufeff" + ending.join(lines) + (ending if closed else "")).encode()
    records = cut(LineAssembler(), split(data, places))
    kept = [(number, line) for number, line in enumerate(lines, 1)]
    if kept and kept[0][1].startswith("\ufeff"):
        return
    assert [(record.line, record.data.decode()) for record in records] == kept


cells = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=12)


@given(
    rows=st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=8),
    places=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_quoted_newlines_and_quotes_survive_any_split(rows: list[list[str]], places: list[int]) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows(rows)
    records = cut(CsvAssembler(), split(text.getvalue().encode(), places))
    assert [next(csv.reader([record.data.decode()])) for record in records] == rows
    assert all(record.problem is None for record in records)


def test_line_numbers_count_lines_of_the_file() -> None:
    data = b'h,i\n\n"a\nb",c\r\nd,e\n'
    assert [(record.line, record.data) for record in cut(CsvAssembler(), [data])] == [
        (1, b"h,i"),
        (3, b'"a\nb",c'),
        (5, b"d,e"),
    ]


@pytest.mark.parametrize("assembler", [LineAssembler, CsvAssembler])
def test_a_line_that_is_too_long_costs_itself_only(assembler: type[Assembler]) -> None:
    made = assembler()
    pieces = [b"a,b\n", *([b"x" * 65_536] * 800), b"\nc,d\n"]
    records = cut(made, pieces)
    assert [record.line for record in records] == [1, 2, 3]
    assert records[1].problem == f"is {65_536 * 800} bytes long, at most {MAX_RECORD} are taken"
    assert records[1].data == b""
    assert records[2].data == b"c,d"


def test_an_open_quote_costs_its_own_line_only() -> None:
    rows = [b"%d,fine" % number for number in range(2 * MAX_LINES)]
    rows[3] = b'3,"open'
    records = cut(CsvAssembler(), [b"\n".join(rows)])
    assert [record.line for record in records] == list(range(1, 2 * MAX_LINES + 1))
    assert [record.line for record in records if record.problem] == [4]
    assert records[4].data == b"4,fine"


def test_an_open_quote_at_the_end_keeps_what_follows() -> None:
    records = cut(CsvAssembler(), [b'a,"open\nb,c\nd,"also\ne,f'])
    # The second quote closes the first: what stands between is one record, as CSV has it.
    assert [(record.line, record.problem is None) for record in records] == [(1, True), (4, True)]
    records = cut(CsvAssembler(), [b'a,"open\nb,c\nd,e'])
    assert [(record.line, record.problem is None) for record in records] == [(1, False), (2, True), (3, True)]


def test_a_quote_inside_a_plain_field_is_a_character() -> None:
    records = cut(CsvAssembler(), [b'5" pipe,a\n6" pipe,b\n'])
    assert len(records) == 2


def test_a_row_by_its_header() -> None:
    reader = CsvRows(HEADER)
    row = reader.row(
        "К-1, ООО «Ромашка» ,smb,retail; приоритет;,125000,7,2020-01-01,https://example.com,1998".encode()
    )
    assert row == {
        "id": "К-1",
        "name": "ООО «Ромашка»",
        "segment": "smb",
        "tags": ["retail", "приоритет"],
        "revenue_cents": 125_000,
        "orders": 7,
        "since": 1_577_836_800.0,
        "profile": {"website": "https://example.com", "founded": "1998"},
    }
    assert reader.row(b"K-2,Acme,,,,,,,") == {"id": "K-2", "name": "Acme"}


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (b"1,A,,,12.5,,,,", "revenue_cents", "is not a whole number"),
        (b"1,A,,,NaN,,,,", "revenue_cents", "is not a whole number"),
        (b"1,A,,,,99999999999999999999,,,", "orders", "is not a whole number"),
        (b"1,A,,,,,yesterday,,", "since", "is neither an ISO date nor unix seconds"),
        (b"1,A,,,,,1998,,", "since", "is neither an ISO date nor unix seconds"),
        (b"1,A", None, "has 2 cells where the header has 9"),
        (b"1,\xff\xfe,,,,,,,", None, "is not valid UTF-8 at byte 3"),
        (b"1,a\rb,,,,,,,", None, "is not CSV"),
    ],
)
def test_a_bad_cell_is_named(line: bytes, field: str | None, problem: str) -> None:
    with pytest.raises(RowProblem) as raised:
        CsvRows(HEADER).row(line)
    assert raised.value.field == field
    assert raised.value.problem.startswith(problem)


@pytest.mark.parametrize(
    "moment", ["2020-01-01T03:00:00+03:00", "2020-01-01T00:00:00Z", "1577836800", "1577836800.0"]
)
def test_moments_are_utc(moment: str) -> None:
    assert CsvRows(b"id,name,since").row(f"1,A,{moment}".encode())["since"] == 1_577_836_800.0


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (b"id,segment", "name"),
        (b"name,segment", "external_id"),
        (b"id,name,name", "name"),
        (b"id,,name", "2"),
        (b"id,\xff,name", ""),
        (b"", "name"),
    ],
)
def test_a_bad_header_names_its_column(header: bytes, column: str) -> None:
    with pytest.raises(Invalid) as raised:
        CsvRows(header)
    assert raised.value.code == "INVALID_HEADER"
    assert raised.value.details["column"] == column


@pytest.mark.parametrize(("header", "line"), [(b"id;name", b"1;A,B"), (b"id\tname", b"1\tA,B")])
def test_other_separators_are_found_in_the_header(header: bytes, line: bytes) -> None:
    assert CsvRows(header).row(line) == {"id": "1", "name": "A,B"}


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (b"{", None, "is not JSON"),
        (b"[1]", None, "is not an object"),
        (b'{"orders": NaN}', None, "holds NaN"),
        (b'{"orders": -Infinity}', None, "holds -Infinity"),
        (b'{"orders": 1' + b"0" * 40 + b"}", "orders", "is beyond 64 bits"),
        (b'{"orders": 1' + b"0" * 5000 + b"}", None, "is nested too deep or holds a number"),
        (b"[" * 100_000, None, "is nested too deep"),
        (rb'{"name": "\ud800"}', "name", "is not valid Unicode text"),
        (rb'{"profile": {"\ud800": 1}}', "profile", "is not valid Unicode text"),
        (b'{"profile": {"a": [1]}}', "profile", "holds a list or a map inside"),
        (b'{"name": "\xff"}', None, "is not valid UTF-8 at byte 11"),
        (b'{"since": "never"}', "since", "is neither an ISO date"),
    ],
)
def test_a_bad_line_of_json_is_named(line: bytes, field: str | None, problem: str) -> None:
    with pytest.raises(RowProblem) as raised:
        json_row(line, ("since",))
    assert raised.value.field == field
    assert raised.value.problem.startswith(problem)


def test_a_line_of_json_is_taken_as_it_is() -> None:
    row = {"id": "1", "name": "ООО", "tags": ["a"], "profile": {"x": None, "y": 1.5}, "unknown": 1}
    assert json_row(json.dumps(row).encode(), ("since",)) == row
    assert json_row(b'{"since": "2020-01-01"}', ("since",)) == {"since": 1_577_836_800.0}
