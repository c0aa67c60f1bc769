"""Reading JSON of strangers: a field that is not what it should be is as good as absent."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["mapping", "mappings", "whole"]


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a list, and nothing of anything else."""
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def whole(value: Any) -> int | None:
    """A number of things from 0 to a million millions, rounded up; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e12:
        return None
    return -int(-value // 1)
