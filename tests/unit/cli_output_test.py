"""Tables, lines and JSON as the command prints them."""

import io
import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lycosa.cli import output
from lycosa.cli.output import Output
from lycosa.errors import Unavailable


class Row(NamedTuple):
    name: str
    sizes: list[float]


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_columns_of_russian_and_english_text_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["Яндекс", 5], ["Лаборатория Касперского", 12_345], ["IBM", 7]]
    Output(json=False).print(output.table(["name", "orders"], rows, right=["orders"]))
    header, *body = lines_of(capsys)
    assert header.index("orders") + len("orders") == len(body[1])
    assert {len(line) for line in body} == {len(header)}
    assert body[1].endswith("12,345")


def test_without_a_terminal_nothing_is_coloured_wrapped_or_padded(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(json=False)
    long = "слово " * 300 + "end"
    out.print(output.record({"text": long, "none": None, "flag": True}))
    out.print("a line")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert printed.splitlines() == [f"text  {long}", "flag  yes", "a line"]


def test_text_of_the_store_commands_neither_the_terminal_nor_the_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Output(json=False)
    out.print(output.table(["name"], [["\x1b[31m[bold]Acme[/bold]\x9b2J"]]))
    out.write("\x1b]0;title\x07")
    out.note("see\x1b[2J")
    printed = capsys.readouterr()
    assert "[bold]Acme[/bold]" in printed.out
    assert not set("\x1b\x9b\x07") & set(printed.out + printed.err)


def test_json_is_one_document_whatever_the_value_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(json=True)
    out.show({"rows": [Row("Ёлка", [1.5, float("nan")])], "tags": {"a"}}, "for people")
    out.note("for people")
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"rows": [{"name": "Ёлка", "sizes": [1.5, None]}], "tags": ["a"]}
    assert "Ёлка" in printed.out
    assert printed.err == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    problem = Unavailable("first\nsecond", code="AWAY", details={"row": 3}, retry_after=1.5)
    Output(json=as_json).error(problem)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    if as_json:
        assert json.loads(printed.err)["error"] == {
            "kind": "unavailable",
            "code": "AWAY",
            "message": "first\nsecond",
            "details": {"row": 3},
            "retry_after": 1.5,
        }
    else:
        assert printed.err == "error: AWAY: first second\n"


def test_a_stream_that_cannot_hold_a_character_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    Output(json=False).print("Яндекс █")
    assert raw.getvalue() == b"?????? ?\n"


@given(st.lists(st.floats(0, 1e9), max_size=40))
def test_a_sparkline_has_a_tick_a_value_and_never_falls_where_values_rise(values: list[float]) -> None:
    ticks = output.sparkline(sorted(values))
    assert len(ticks) == len(values)
    assert list(ticks) == sorted(ticks)


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.integers(1, 60))
def test_a_bar_stays_in_its_width_and_shows_whatever_is_above_zero(
    value: float, largest: float, width: int
) -> None:
    drawn = output.bar(value, largest, width)
    assert len(drawn) <= width
    assert bool(drawn) == (value > 0 and largest > 0)


def test_units() -> None:
    assert [output.size(count) for count in (0, 1023, 1024, 5 * 1024**2, 3 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 MiB",
        "3.0 GiB",
    ]
    assert output.money(123_456_789) == "1,234,567.89"
    assert output.moment(86_400 * 365) == "1971-01-01 00:00"
    assert output.day(0) == output.day(None) == ""
    assert [output.span(time) for time in (None, 12.4, 12_340)] == ["-", "12 ms", "12.3 s"]
    assert output.cell({"a": [1, True], "b": 2.5}) == "a=1, yes, b=2.50"
