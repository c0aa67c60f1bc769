"""Which values the store can be sent at all.

A value that cannot be encoded spoils the whole call, so a row that holds one is refused here, alone and by name.
Everything else about a row is the store's to judge.
"""

from collections.abc import Mapping

_LOWEST = -(2**63)
_HIGHEST = 2**64 - 1


def unencodable(row: Mapping[str, object]) -> tuple[str, str] | None:
    """The field of a row that cannot be sent, and why; None when all can.

    Lists and maps are looked into once: no field of a row holds anything deeper.
    """
    for field, value in row.items():
        problem = _problem(field) or _problem(value)
        if problem is None and isinstance(value, list | tuple):
            problem = next(filter(None, map(_inner_problem, value)), None)
        elif problem is None and isinstance(value, Mapping):
            problem = next(filter(None, map(_inner_problem, [*value, *value.values()])), None)
        if problem is not None:
            return _shown(field), problem
    return None


def _inner_problem(value: object) -> str | None:
    if isinstance(value, list | tuple | Mapping):
        return "holds a list or a map inside a list or a map"
    return _problem(value)


def _problem(value: object) -> str | None:
    if isinstance(value, str):
        # Half of a surrogate pair, as JSON's "\ud800" gives, has no UTF-8. ASCII text is known not to hold one.
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return "is not valid Unicode text"
    elif isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
        return "is beyond 64 bits"
    return None


def _shown(field: str) -> str:
    return field[:128].encode("utf-8", "replace").decode()
