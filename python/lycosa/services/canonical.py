"""One form for every value that can be a part of a cache key: equal forms are equal values of one type."""

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from lycosa.errors import Invalid

__all__ = ["canonical"]

# Deeper is no argument but an accident, such as a list that holds itself.
_DEEPEST = 32


def canonical(name: str, value: object) -> Any:
    """The value as JSON's own types, with its type beside it: 1, 1.0, True and "1" are four different keys.

    Raises Invalid, naming the argument, for a value that has no such form.
    """
    return _form(name, value, 0)


def _form(name: str, value: object, depth: int) -> Any:
    if depth > _DEEPEST:
        raise Invalid.argument(name, "is nested too deep")
    if value is None or type(value) is bool:
        return value
    if type(value) is str:
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Invalid.argument(name, "is not valid Unicode text") from None
        return value
    if type(value) is int:
        return ["int", str(value)]
    if type(value) is float:
        if not math.isfinite(value):
            raise Invalid.argument(name, "is not a finite number")
        return ["float", value.hex()]
    return _composed(name, value, depth) or _named(name, value, depth)


def _composed(name: str, value: object, depth: int) -> Any:
    """The form of a collection, None for anything else."""
    kind = type(value)
    if kind is list or kind is tuple:
        return [kind.__name__, [_form(name, part, depth + 1) for part in value]]  # type: ignore[attr-defined]
    if isinstance(value, set | frozenset):
        return ["set", sorted((_form(name, part, depth + 1) for part in value), key=json.dumps)]
    if kind is dict:
        assert isinstance(value, Mapping)
        if not all(type(key) is str for key in value):
            raise Invalid.argument(name, "holds a dictionary with keys that are no text")
        return ["dict", [[key, _form(name, value[key], depth + 1)] for key in sorted(value)]]
    return None


def _named(name: str, value: object, depth: int) -> Any:
    """The form of a value of a class, with the name of the class."""
    kind = type(value)
    title = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, Enum):
        return [title, value.name]
    if isinstance(value, bytes):
        return [title, value.hex()]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return [title, value.isoformat()]
    if isinstance(value, datetime.timedelta):
        return [title, [value.days, value.seconds, value.microseconds]]
    if isinstance(value, UUID):
        return [title, str(value)]
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise Invalid.argument(name, "is not a finite number")
        return [title, str(value)]
    if isinstance(value, BaseModel):
        fields = {field: getattr(value, field) for field in type(value).model_fields}
        fields |= value.model_extra or {}
        return [title, _form(name, fields, depth + 1)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [title, _form(name, fields, depth + 1)]
    raise Invalid.argument(name, f"is of type {title}, which has no canonical form")
