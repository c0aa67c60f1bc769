"""What of a checkpoint's metadata the store itself can filter by: scalars that it compares as Python does."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["conditions_of", "facts_of"]

_MOST_FACTS: Final = 64
# Beyond it a number is not the same for everybody who reads it.
_MOST_EXACT: Final = 2**46


def _fact(name: object, value: object) -> str | float | None:
    """A piece of metadata that the store can compare as Python does, None when it cannot."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.encode()) <= 128:
        return None
    if isinstance(value, str):
        return value if value.isprintable() and len(value.encode()) <= 1024 else None
    if isinstance(value, int | float) and -_MOST_EXACT < value < _MOST_EXACT:
        # As Python has it, True is 1 and 1 is 1.0.
        return int(value) if value == int(value) else float(value)
    return None


def conditions_of(filter: Mapping[str, Any]) -> dict[str, str | float]:
    """What of a filter the store can judge; the rest is looked at here."""
    judged = {name: fact for name, value in filter.items() if (fact := _fact(name, value)) is not None}
    return dict(list(judged.items())[:_MOST_FACTS])


def facts_of(metadata: Mapping[str, Any]) -> dict[str, str | float] | None:
    """What the store can filter by, None when that would not be all of what it could."""
    facts = {name: fact for name, value in metadata.items() if (fact := _fact(name, value)) is not None}
    return facts if len(facts) <= _MOST_FACTS else None
