"""What LangGraph's stores are asked for: conditions on the values of items and on the names of namespaces."""

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, Final

from langgraph.store.base import MatchCondition

__all__ = ["is_among", "is_wanted", "literal_prefix"]

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


def is_wanted(value: Mapping[str, Any], filter: Mapping[str, Any] | None) -> bool:
    """Whether a value meets every condition of a filter. Raises ValueError for an operator that does not exist."""
    return all(_meets(value.get(name), wanted) for name, wanted in (filter or {}).items())


def _meets(value: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        if any(isinstance(name, str) and name.startswith("$") for name in wanted):
            return all(_compares(value, operator, operand) for operator, operand in wanted.items())
        return isinstance(value, Mapping) and is_wanted(value, wanted)
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list | tuple) and len(value) == len(wanted) and all(map(_meets, value, wanted))
        )
    return bool(value == wanted)


def _compares(value: object, operator: str, operand: object) -> bool:
    """Numbers are ordered among numbers and texts among texts; what cannot be ordered meets no condition of order."""
    if operator == "$eq":
        return bool(value == operand)
    if operator == "$ne":
        return bool(value != operand)
    if operator not in _ORDERS:
        raise ValueError(f"filter operator {operator} is not one of {', '.join(['$eq', '$ne', *_ORDERS])}")
    for kind in (int | float, str):
        if isinstance(value, kind) and isinstance(operand, kind):
            return _ORDERS[operator](value, operand)
    return False


def is_among(namespace: Sequence[str], conditions: Sequence[MatchCondition]) -> bool:
    """Whether a namespace meets every condition; `*` stands for any one label. Raises ValueError for another type."""
    return all(_fits(namespace, condition) for condition in conditions)


def _fits(namespace: Sequence[str], condition: MatchCondition) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"match type {condition.match_type} is neither prefix nor suffix")
    if len(namespace) < len(path):
        return False
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[-len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(labels, path, strict=False))


def literal_prefix(conditions: Sequence[MatchCondition]) -> tuple[str, ...]:
    """The longest beginning that all namespaces that meet the conditions have in common, as far as it is plain."""
    longest: tuple[str, ...] = ()
    for condition in conditions:
        if condition.match_type == "prefix":
            plain = condition.path[: condition.path.index("*")] if "*" in condition.path else condition.path
            longest = max(longest, tuple(plain), key=len)
    return longest
