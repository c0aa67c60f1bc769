"""What the command prints: tables and lines for people, one JSON document or NDJSON for programs.

Results go to standard output, everything else (progress, notes, errors) to standard error. Without a terminal there is
no colour, no wrapping and no cursor movement. Text from the store is never read as markup.
"""

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from lycosa.errors import LycosaError

# Rows of a table without a terminal stay on one line each, whatever their length.
_UNWRAPPED = 4000
_TICKS = "▁▂▃▄▅▆▇█"
_BAR = "█"
# Moves or restyles the terminal when printed: C0 but newline and tab, DEL, C1.
_CONTROLS = {code: "�" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def _console(stream: TextIO) -> Console:
    with contextlib.suppress(AttributeError):
        stream.reconfigure(errors="replace")  # type: ignore[attr-defined]
    plain = not stream.isatty()
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        width=_UNWRAPPED if plain else None,
        soft_wrap=plain,
    )


class Output:
    """Where a command's results go. `json` chooses the form; commands give both."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.console = _console(sys.stdout)
        self.notes = _console(sys.stderr)

    @property
    def live(self) -> bool:
        """Whether progress may be drawn: a terminal that a person reads."""
        return self.notes.is_terminal and not self.json

    def document(self, value: Any) -> None:
        """One JSON value on one line, for programs; also one line of a stream."""
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()

    def show(self, value: Any, *renderables: RenderableType) -> None:
        """The result: `value` as JSON when asked for, else what people read."""
        if self.json:
            self.document(value)
            return
        for renderable in renderables:
            self.print(renderable)

    def print(self, renderable: RenderableType, *, end: str = "\n") -> None:
        """For people, on standard output."""
        if isinstance(renderable, str):
            renderable = clean(renderable)
        if self.console.is_terminal:
            self.console.print(renderable, end=end)
            return
        with self.console.capture() as captured:
            self.console.print(renderable, end=end)
        for line in captured.get().splitlines(keepends=True):
            ended = line.endswith("\n")
            sys.stdout.write(line.rstrip() + "\n" if ended else line)
        sys.stdout.flush()

    def write(self, text: str) -> None:
        """A piece of running text, as it comes."""
        sys.stdout.write(clean(text))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Beside the result: progress, hints, what was skipped. Silent with --json."""
        if not self.json:
            self.notes.print(clean(text), style="dim" if self.notes.is_terminal else None)

    def error(self, problem: LycosaError) -> None:
        """`error: CODE: message` on standard error; with --json an object of kind, code, message and details."""
        if self.json:
            answer: dict[str, Any] = {
                "kind": problem.kind,
                "code": problem.code,
                "message": problem.message,
                "details": problem.details,
            }
            if problem.retry_after is not None:
                answer["retry_after"] = problem.retry_after
            line = json.dumps({"error": answer}, ensure_ascii=False)
        else:
            line = f"error: {problem.code}: {' '.join(problem.message.split())}"
        sys.stderr.write(clean(line) + "\n")
        sys.stderr.flush()


def plain(value: Any) -> Any:
    """The value in JSON's own types: models and records become objects, times stay numbers."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def clean(text: str) -> str:
    """The text without characters that would command the terminal."""
    return text.translate(_CONTROLS)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> Table:
    """An aligned table without lines; columns named in `right` hold numbers."""
    numbers = set(right)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(clean(cell(value))) for value in row))
    return made


def record(fields: Mapping[str, object]) -> Table:
    """One thing: its fields below each other, those that hold nothing left out."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            made.add_row(name, Text(clean(cell(value))))
    return made


def cell(value: object) -> str:
    """A value as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={cell(part)}" for name, part in value.items())
    return str(value)


def moment(seconds: float | None) -> str:
    """Unix seconds as UTC, to the minute."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def day(seconds: float | None) -> str:
    """Unix seconds as a UTC date."""
    return moment(seconds)[:10]


def money(cents: int) -> str:
    """Cents as units with two decimals."""
    return f"{cents // 100:,}.{cents % 100:02d}"


def size(count: float) -> str:
    """Bytes in the largest fitting binary unit."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def span(milliseconds: float | None) -> str:
    """A duration: milliseconds below ten seconds, else seconds."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def bar(value: float, largest: float, width: int = 24) -> str:
    """A bar whose length is the value's share of the largest; a value above zero is never empty."""
    if value <= 0 or largest <= 0:
        return ""
    return _BAR * max(1, round(width * min(value, largest) / largest))


def sparkline(values: Sequence[float]) -> str:
    """The values as one row of block heights, from their smallest to their largest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        return _TICKS[0] * len(values)
    return "".join(_TICKS[round((value - low) / (high - low) * (len(_TICKS) - 1))] for value in values)
