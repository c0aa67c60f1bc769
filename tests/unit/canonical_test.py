"""Forms of cache keys: equal for equal values of one type, different for all else."""

import dataclasses
import datetime
import json
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from lycosa.errors import Invalid
from lycosa.services.canonical import canonical


class Colour(Enum):
    RED = 1


class Sized(BaseModel):
    model_config = ConfigDict(extra="allow")
    size: int


class Weighed(BaseModel):
    size: int


@dataclasses.dataclass
class Point:
    x: int


def form(value: object) -> str:
    return json.dumps(canonical("value", value), allow_nan=False)


DIFFERENT: list[object] = [
    None, True, False, 0, 1, 2**70, 0.0, -0.0, 1.0, 0.1, "1", "", "None", "é", b"1", b"", Decimal("1"), Decimal("1.0"),
    datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    datetime.time(1), datetime.timedelta(1), UUID(int=1), Colour.RED, Sized(size=1), Weighed(size=1),
    Sized(size=1, colour="red"), Point(1), [], (), {}, frozenset(), [1], (1,), {1}, ["int", "1"], [["int", "1"]],
    {"a": 1}, {"a": "1"}, {"size": 1}, [None], [[]], ["a", "b"], ["ab"],
]  # fmt: skip


def test_different_values_have_different_forms() -> None:
    forms = [form(value) for value in DIFFERENT]
    assert len(set(forms)) == len(DIFFERENT)


def test_order_matters_where_it_means_something() -> None:
    assert form({"a": 1, "b": 2}) == form({"b": 2, "a": 1})
    assert form({3, 1, 2}) == form({2, 3, 1}) == form(frozenset({1, 2, 3}))
    assert form([1, 2]) != form([2, 1])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def typed(value: object) -> object:
    """What equality forgets: the types."""
    if isinstance(value, dict):
        return {key: typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part) for part in value]
    return type(value), value.hex() if isinstance(value, float) else value


@given(VALUES, VALUES)
def test_forms_are_equal_exactly_when_values_are(one: object, other: object) -> None:
    assert (form(one) == form(other)) == (typed(one) == typed(other))


class Opaque:
    pass


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Opaque(), "Opaque, which has no canonical form"),
        ([1, {"a": Opaque()}], "Opaque, which has no canonical form"),
        (lambda: None, "function, which has no canonical form"),
        (float("nan"), "not a finite number"),
        (Decimal("NaN"), "not a finite number"),
        ({1: "a"}, "keys that are no text"),
        ("\ud800", "not valid Unicode"),
        (LOOP, "nested too deep"),
        (Point, "no canonical form"),
    ],
)
def test_what_has_no_form_is_refused_by_name(value: object, problem: str) -> None:
    with pytest.raises(Invalid, match="argument rows .*" + problem) as raised:
        canonical("rows", value)
    assert raised.value.details["argument"] == "rows"
