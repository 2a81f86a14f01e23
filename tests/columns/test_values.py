"""A default value fits its column exactly, or is refused with value and type."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fstk.columns.values import fitted, plain
from fstk.errors import NaiveDatetime, TypeMismatch

INSTANT, LOCAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
LARGEST = float(np.finfo(np.float32).max)
NEW_YEAR = dt.datetime(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
STRUCT = pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))])

FITS: list[tuple[Any, pa.DataType, Any]] = [
    (127, pa.int8(), 127),
    (-(2**63), pa.int64(), -(2**63)),
    (1, pa.float64(), 1.0),
    (0.1, pa.float32(), 0.1),
    (math.inf, pa.float32(), math.inf),
    (LARGEST, pa.float32(), LARGEST),
    (-LARGEST, pa.float32(), -LARGEST),
    (2**53, pa.float64(), 2.0**53),
    (1e300, pa.float64(), 1e300),
    (True, pa.bool_(), True),
    ("x", pa.string(), "x"),
    (b"x", pa.binary(), b"x"),
    (bytearray(b"x"), pa.binary(), b"x"),
    pytest.param(memoryview(b"x"), pa.binary(), b"x", id="memoryview"),
    (dt.date(1, 1, 1), pa.date32(), dt.date(1, 1, 1)),
    (NEW_YEAR, INSTANT, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    (NEW_YEAR, LOCAL, dt.datetime(2024, 1, 1)),
    (pd.Timestamp("2024-01-01T01:00:00.000001+01:00"), INSTANT, dt.datetime(2024, 1, 1, microsecond=1, tzinfo=dt.UTC)),
    (0.1, pa.decimal128(3, 2), Decimal("0.10")),
    (Decimal("9.99"), pa.decimal128(3, 2), Decimal("9.99")),
    (Decimal("9" * 38), pa.decimal128(38, 0), Decimal("9" * 38)),
    (7, pa.decimal128(3, 2), Decimal("7.00")),
    (Decimal("1e1"), pa.decimal128(4, 2), Decimal("10.00")),
    ([1, None], pa.list_(pa.int8()), [1, None]),
    ((), pa.list_(pa.int8()), []),
    ({"b": ["x"], "a": 1}, STRUCT, {"a": 1, "b": ["x"]}),
    ({"k": 1}, pa.map_(pa.string(), pa.int8()), [("k", 1)]),
]
MISFITS: list[tuple[Any, pa.DataType]] = [
    (128, pa.int8()),
    (-129, pa.int8()),
    (2**63, pa.int64()),
    (1.0, pa.int64()),
    (True, pa.int64()),
    ("1", pa.int64()),
    (2**53 + 1, pa.float64()),
    (10**400, pa.float64()),
    (1e39, pa.float32()),
    (math.nextafter(LARGEST, math.inf), pa.float32()),
    (-math.nextafter(LARGEST, math.inf), pa.float32()),
    (True, pa.float64()),
    (Decimal("0.5"), pa.float64()),
    (1, pa.bool_()),
    (1, pa.string()),
    ("\ud800", pa.string()),
    ("x", pa.binary()),
    ("2024-01-01", pa.date32()),
    (NEW_YEAR, pa.date32()),
    (NEW_YEAR, pa.string()),
    (dt.date(2024, 1, 1), INSTANT),
    ("2024-01-01", INSTANT),
    (pd.Timestamp("2024-01-01T00:00:00.000000001+00:00"), INSTANT),
    (pd.NaT, INSTANT),
    (Decimal("9.995"), pa.decimal128(3, 2)),
    (0.005, pa.decimal128(3, 2)),
    (10, pa.decimal128(3, 2)),
    (Decimal("9" * 39), pa.decimal128(38, 0)),
    (Decimal("NaN"), pa.decimal128(3, 2)),
    (math.inf, pa.decimal128(3, 2)),
    ("1.0", pa.decimal128(3, 2)),
    ([1, "x"], pa.list_(pa.int8())),
    ("x", pa.list_(pa.string())),
    ({"a": 1}, STRUCT),
    ({"a": 1, "b": [], "c": 1}, STRUCT),
    ({None: 1}, pa.map_(pa.string(), pa.int8())),
    (None, pa.int64()),
    (1, pa.null()),
]


@pytest.mark.parametrize(("value", "kind", "want"), FITS, ids=lambda item: repr(item)[:40])
def test_fits(value: Any, kind: pa.DataType, want: Any) -> None:
    got = fitted(value, kind, "default_values['x']")
    assert (got, type(got)) == (want, type(want))
    assert pa.scalar(got, kind).is_valid  # Arrow takes it as it is


@pytest.mark.parametrize(("value", "kind"), MISFITS, ids=lambda item: repr(item)[:40])
def test_does_not_fit(value: Any, kind: pa.DataType) -> None:
    with pytest.raises(TypeMismatch, match=r"default_values\['x'\].*does not fit"):
        fitted(value, kind, "default_values['x']")


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64()])
def test_integers_end_where_their_type_does(kind: pa.DataType) -> None:
    bound = 2 ** (kind.bit_width - 1)
    assert [fitted(value, kind, "x") for value in (-bound, bound - 1)] == [-bound, bound - 1]
    for value in (-bound - 1, bound):
        with pytest.raises(TypeMismatch, match=rf"x: {value} \(int\) does not fit the column's type {kind}"):
            fitted(value, kind, "x")


def test_only_values_of_numpy_are_unwrapped() -> None:
    assert plain(np.array([1, 2])) == [1, 2]
    at = pd.Timestamp(NEW_YEAR)
    assert plain(at) is at


def test_a_datetime_without_a_zone_is_refused_as_such() -> None:
    for kind in (INSTANT, LOCAL, pa.list_(INSTANT)):
        value = dt.datetime(2024, 1, 1)
        with pytest.raises(NaiveDatetime, match="default_values"):
            fitted([value] if pa.types.is_list(kind) else value, kind, "default_values['x']")


def test_a_value_of_sixty_letters_is_shown_whole() -> None:
    for size, shown in ((58, f"'{'a' * 58}'"), (59, f"'{'a' * 58}…")):
        with pytest.raises(TypeMismatch) as caught:
            fitted("a" * size, pa.int8(), "x")
        assert str(caught.value) == f"x: {shown} (str) does not fit the column's type int8."


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(TypeMismatch) as caught:
        fitted("x" * 10_000, pa.int64(), "default_values['x']")
    assert len(str(caught.value)) < 200


def test_a_column_of_decimals_has_no_minus_zero() -> None:
    assert str(fitted(Decimal("-0"), pa.decimal128(3, 2), "x")) == "0.00"
