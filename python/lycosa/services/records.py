"""Bytes as they arrive, cut into records: lines, or lines joined where a CSV field's quotes are open.

Memory is bounded whatever the input is: a record never holds more than MAX_RECORD bytes. A newline or a quote byte
never stands inside another UTF-8 character, so cutting comes before decoding and one broken character spoils one
record only.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

MAX_RECORD = 1024 * 1024
# A quote that is never closed costs the lines of one record, not the rest of the file.
MAX_LINES = 100

_BOM = b"\xef\xbb\xbf"
_QUOTE = b'"'


class Record(NamedTuple):
    """One record without its line end, or why there is none."""

    line: int
    data: bytes
    problem: str | None = None


class Assembler(Protocol):
    """Takes bytes in pieces of any size, gives whole records."""

    def feed(self, piece: bytes) -> Iterator[Record]:
        """The records that this piece completes."""
        ...

    def finish(self) -> Iterator[Record]:
        """What is left at the end of the input."""
        ...


class LineAssembler:
    """Records that are lines. The line numbers begin at 1; empty lines are passed over."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._line = 1

    def feed(self, piece: bytes) -> Iterator[Record]:
        """The lines that this piece completes. One that is too long is skipped to its end and reported."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._keep(part)
            yield from self._end()
        self._keep(rest)

    def finish(self) -> Iterator[Record]:
        """The last line, when no newline ended it."""
        yield from self._end()

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_RECORD:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _end(self) -> Iterator[Record]:
        line, size = self._line, self._size
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._line += 1
        if size > MAX_RECORD:
            yield Record(line, b"", f"is {size} bytes long, at most {MAX_RECORD} are taken")
            return
        if line == 1:
            data = data.removeprefix(_BOM)
        data = data.removesuffix(b"\r")
        if data:
            yield Record(line, data)


class CsvAssembler:
    """Records of CSV: a field that begins with a quote may hold newlines."""

    def __init__(self) -> None:
        self._lines = LineAssembler()
        self._held: list[Record] = []
        self._bytes = 0
        self._open = False
        self.delimiter = b","

    def feed(self, piece: bytes) -> Iterator[Record]:
        """The records that this piece completes. A record whose quotes do not close in time is reported by its first
        line, and its other lines are read again as records of their own."""
        for line in self._lines.feed(piece):
            if not self._held and line.problem is None and _QUOTE not in line.data:
                yield line  # by far the most lines
            else:
                yield from self._add(line)

    def finish(self) -> Iterator[Record]:
        """What is left: records, and lines with quotes that nothing closed."""
        for line in self._lines.finish():
            yield from self._add(line)
        while self._held:
            refused, *rest = self._let_go()
            yield _unclosed(refused)
            for line in rest:
                yield from self._add(line)

    def _add(self, line: Record) -> Iterator[Record]:
        todo = [line]
        while todo:
            line = todo.pop()
            if line.problem is None:
                self._held.append(line)
                self._bytes += len(line.data) + 1
                self._open = _ends_open(line.data, self._open, self.delimiter)
                if not self._open:
                    yield _joined(self._let_go())
                    continue
                if len(self._held) < MAX_LINES and self._bytes <= MAX_RECORD:
                    continue
            elif not self._held:
                yield line
                continue
            else:
                todo.append(line)
            refused, *rest = self._let_go()
            todo.extend(reversed(rest))
            yield _unclosed(refused)

    def _let_go(self) -> list[Record]:
        held, self._held = self._held, []
        self._bytes = 0
        self._open = False
        return held


def _joined(lines: list[Record]) -> Record:
    if len(lines) == 1:
        return lines[0]
    return Record(lines[0].line, b"\n".join(line.data for line in lines))


def _unclosed(line: Record) -> Record:
    return Record(line.line, line.data, "opens a quote that is not closed within its record")


def _ends_open(line: bytes, quoted: bool, delimiter: bytes) -> bool:
    """Whether a quoted field is still open at the end of a line, given whether one was at its beginning."""
    if _QUOTE not in line:
        return quoted
    at, end = 0, len(line)
    while True:
        if not quoted and line[at : at + 1] == _QUOTE:
            quoted = True
            at += 1
        if quoted:
            closing = line.find(_QUOTE, at)
            while closing >= 0 and line[closing + 1 : closing + 2] == _QUOTE:
                closing = line.find(_QUOTE, closing + 2)
            if closing < 0:
                return True
            quoted = False
            at = closing + 1
        following = line.find(delimiter, at)
        if following < 0:
            return False
        at = following + 1
        if at >= end:
            return False
