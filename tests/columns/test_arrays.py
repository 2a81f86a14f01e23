"""Columns as NumPy arrays: a decimal is the nearest double, whatever its digits; times keep their microseconds."""

from __future__ import annotations

import datetime as dt
import decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.columns.arrays import doubles
from fstk.columns.instants import instants

_EXACT = decimal.Context(prec=76)


@pytest.mark.parametrize(("precision", "scale"), [(5, 2), (16, 16), (18, 2), (38, 0), (38, 10), (38, 38)])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_decimal_is_the_nearest_double(precision: int, scale: int, data: st.DataObject) -> None:
    digits = st.integers(1 - 10**precision, 10**precision - 1) | st.integers(-(10**4), 10**4)
    numbers = data.draw(st.lists(st.none() | digits.map(lambda n: decimal.Decimal(n).scaleb(-scale, _EXACT))))
    column = pa.chunked_array([pa.array(numbers, pa.decimal128(precision, scale))])
    assert doubles(column).to_pylist() == [None if number is None else float(number) for number in numbers]


def test_times_of_every_unit_are_microseconds() -> None:
    at = dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)
    for unit in ("us", "ms", "ns"):
        values, null = instants(pa.chunked_array([pa.array([at, None], pa.timestamp(unit))]))
        assert (values[0], null.tolist()) == (-1_000, [False, True])
    values, null = instants(pa.chunked_array([pa.array([dt.date(1970, 1, 2), None])]))
    assert (values[0], null.tolist()) == (86_400_000_000, [False, True])
