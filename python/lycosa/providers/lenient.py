"""Reading JSON of strangers: a field that is not what it should be is as good as absent."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["mapping", "mappings", "number", "whole"]


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a list, and nothing of anything else."""
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    """A number of things from 0 to a million millions, rounded up; None for anything else."""
    found = number(value)
    return math.ceil(found) if found is not None and 0 <= found <= 1e12 else None
