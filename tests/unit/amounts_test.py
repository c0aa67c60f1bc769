"""Decimals at the edge: exact or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lycosa.errors import Exhausted, Invalid
from lycosa.services.amounts import decimal_amount, in_decimals, plain_amount, smallest_units, units_by_quota


@given(units=st.integers(-(10**15), 10**15), scale=st.integers(0, 9))
def test_units_survive_the_way_to_decimals_and_back(units: int, scale: int) -> None:
    amount = decimal_amount(units, scale)
    assert smallest_units(amount, scale) == units
    assert Decimal(plain_amount(units, scale)) == amount
    assert "E" not in plain_amount(units, scale)


@pytest.mark.parametrize(
    ("amount", "scale", "units"),
    [
        ("1.25", 6, 1_250_000),
        ("0.1", 1, 1),
        ("3.000", 0, 3),
        ("1E+3", 2, 100_000),
        ("0", 9, 0),
        ("-1.5", 1, -15),
    ],
)
def test_what_is_a_whole_number_of_units_is_taken(amount: str, scale: int, units: int) -> None:
    assert smallest_units(Decimal(amount), scale) == units


@pytest.mark.parametrize(
    ("amount", "scale"),
    [
        ("0.001", 2), ("1.5", 0), ("NaN", 2), ("sNaN", 2), ("Infinity", 0), ("-Infinity", 3), ("1E+30", 0),
        ("1E+999999", 0), ("1E-999999", 9), ("0.1000000000000000000000000000000000000000000001", 1), ("9" * 60, 0),
    ],
)  # fmt: skip
def test_what_would_have_to_be_rounded_is_refused(amount: str, scale: int) -> None:
    with pytest.raises(Invalid) as refused:
        smallest_units(Decimal(amount), scale)
    assert refused.value.details["argument"] == "amount"


def test_amounts_keep_their_decimals() -> None:
    assert plain_amount(500, 2) == "5.00"
    assert plain_amount(1, 6) == "0.000001"
    assert plain_amount(-1, 9) == "-0.000000001"
    assert plain_amount(0, 0) == "0"


def test_a_refusal_speaks_in_decimals() -> None:
    refusal = Exhausted(
        "quota usd has 150 of 1000 left, 200 were asked for",
        code="QUOTA_EXCEEDED",
        details={"quota": "usd", "left": 150, "limit": 1000, "amount": 200, "scale": 2},
        retry_after=3.5,
    )
    said = in_decimals(refusal)
    assert said.message == "quota usd has 1.50 of 10.00 left, 2.00 were asked for"
    assert said.details == {"quota": "usd", "left": "1.50", "limit": "10.00", "amount": "2.00", "scale": 2}
    assert (type(said), said.code, said.retry_after) == (Exhausted, "QUOTA_EXCEEDED", 3.5)
    other = Exhausted("spent", code="OTHER", details={"scale": 2})
    assert in_decimals(other) is other


def test_amounts_of_several_limits_take_the_scale_of_each() -> None:
    scales = {"usd": 2, "calls": 0}
    assert units_by_quota({"usd": Decimal("1.5"), "calls": Decimal(2)}, scales) == {"usd": 150, "calls": 2}
    with pytest.raises(Invalid) as refused:
        units_by_quota({"eur": Decimal(1)}, scales)
    assert refused.value.details["quota"] == "eur"
