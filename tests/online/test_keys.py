"""Two keys meet only when they are equal; nothing is coerced; what publishing encodes, reading finds."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput, NaiveDatetime, TypeMismatch, UnknownColumn, UnsupportedType
from fstk.online.keys import KeyCodec
from tests.generated import examples

NOON = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)


def _one(spark: str, value: Any) -> bytes | None:
    return KeyCodec({"k": spark}).encode_one({"k": value}, 0)


def test_the_keys_of_the_rules_are_all_different() -> None:
    pair = KeyCodec({"a": "string", "b": "string"})
    keys = [
        _one("bigint", 1),
        _one("string", "1"),
        _one("double", 1.0),
        _one("boolean", True),
        pair.encode_one({"a": "a", "b": "b:c"}, 0),
        pair.encode_one({"a": "a:b", "b": "c"}, 0),
    ]
    assert len(set(keys)) == len(keys)


_ATOMS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "tinyint": st.integers(-128, 127),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "string": st.text(alphabet="ab1:|s\x00é\N{ROCKET}", max_size=6),
    "binary": st.binary(max_size=4),
    "date": st.dates(),
    "timestamp": st.datetimes(timezones=st.just(UTC)),
    "timestamp_ntz": st.datetimes(),
    "decimal(38,9)": st.integers(1 - 10**38, 10**38 - 1).map(lambda digits: Decimal(f"{digits}e-9")),
    "decimal(12,3)": st.integers(1 - 10**12, 10**12 - 1).map(lambda digits: Decimal(f"{digits}e-3")),
}
_KEYS = st.lists(
    st.sampled_from(sorted(_ATOMS)).flatmap(lambda name: st.tuples(st.just(name), _ATOMS[name])), min_size=1, max_size=3
)


def _meaning(key: list[tuple[str, Any]]) -> str:
    """What makes two keys equal, said another way: the family of the type and the exact value, as Spark compares it."""
    parts = []
    for name, value in key:
        family = "integer" if name in {"tinyint", "bigint"} else "real" if name in {"float", "double"} else name
        if isinstance(value, float):
            value = "nan" if math.isnan(value) else struct.pack("<d", 0.0 if value == 0 else value)
        parts.append((family, repr(value.replace(fold=0) if isinstance(value, datetime) else value)))
    return repr(parts)


@pytest.mark.parametrize(
    ("spark", "value", "stored"),
    [
        ("boolean", True, b"b1"),
        ("smallint", -7, b"i-7"),
        ("double", 1.5, b"f3ff8000000000000"),
        ("float", math.nan, b"fnan"),
        ("decimal(38,2)", Decimal("999999999999999999999999999999999999.99"), b"m" + 36 * b"9" + b".99"),
        ("string", "é|1", "s3:é|1".encode()),
        ("binary", b"\x00a", b"x0061"),
        ("date", date(1970, 1, 3), b"d2"),
        ("timestamp", NOON, b"t1709208000000001"),
        ("timestamp_ntz", datetime(1969, 12, 31, 23, 59, 59), b"n-1000000"),
    ],
)
def test_what_a_store_holds_is_found_by_every_later_version(spark: str, value: Any, stored: bytes) -> None:
    assert _one(spark, value) == stored


@settings(max_examples=examples(500), deadline=None)
@given(_KEYS, _KEYS)
def test_keys_meet_exactly_when_they_are_equal(one: list[tuple[str, Any]], two: list[tuple[str, Any]]) -> None:
    encoded = []
    for key in (one, two):
        codec = KeyCodec({f"k{i}": name for i, (name, _) in enumerate(key)})
        values = {f"k{i}": value for i, (_, value) in enumerate(key)}
        read = codec.encode_one(values, 0)
        published = codec.encode(
            pa.table({f"k{i}": pa.array([value], arrow_type(name)) for i, (name, value) in enumerate(key)})
        )
        assert published == [read]
        encoded.append(read)
    assert (encoded[0] == encoded[1]) == (_meaning(one) == _meaning(two))


@pytest.mark.parametrize(
    ("spark", "value"),
    [
        ("bigint", "1"),
        ("bigint", 1.0),
        ("bigint", True),
        ("bigint", np.bool_(True)),
        ("bigint", 2**63),
        ("bigint", Decimal(1)),
        ("tinyint", 128),
        ("tinyint", -129),
        ("string", 1),
        ("string", b"1"),
        ("string", "\ud800"),
        ("boolean", 1),
        ("boolean", "true"),
        ("double", 1),
        ("double", "1.0"),
        ("float", 0.1),
        ("float", 1e300),
        ("decimal(4,2)", 1),
        ("decimal(20,0)", True),
        ("decimal(20,0)", 10**20),
        ("decimal(4,2)", 1.5),
        ("decimal(4,2)", Decimal("1.234")),
        ("decimal(4,2)", Decimal("100")),
        ("decimal(4,2)", Decimal("1e999999")),
        ("decimal(4,2)", Decimal("1e-999999")),
        ("decimal(4,2)", Decimal("NaN")),
        ("binary", "a"),
        ("date", "2024-01-01"),
        ("date", NOON),
        ("timestamp", date(2024, 1, 1)),
        ("timestamp", "2024-01-01T00:00:00Z"),
        ("timestamp", 0),
        ("timestamp", pd.Timestamp(1, unit="ns", tz="UTC")),
        ("timestamp_ntz", NOON),
        ("bigint", [1]),
    ],
)
def test_a_value_of_another_type_is_refused_not_missing(spark: str, value: Any) -> None:
    with pytest.raises(TypeMismatch, match=r"keys\[4\]: k is "):
        KeyCodec({"k": spark}).encode_one({"k": value}, 4)


def test_what_is_refused_is_shown_shortened() -> None:
    with pytest.raises(TypeMismatch, match=r"k is bigint; got '1' \(str\)\.$"):
        _one("bigint", "1")
    with pytest.raises(TypeMismatch, match=r"k is bigint; got '1{36}… \(str\)\.$"):
        _one("bigint", "1" * 50)


@pytest.mark.parametrize(
    ("spark", "value", "same"),
    [
        ("bigint", np.int64(7), 7),
        ("int", np.int16(7), 7),
        ("double", np.float64(0.1), 0.1),
        ("double", -0.0, 0.0),
        ("double", float("nan"), -float("nan")),
        ("float", np.float32(0.1), 0.10000000149011612),
        ("string", np.str_("a"), "a"),
        ("boolean", np.bool_(True), True),
        ("decimal(4,2)", Decimal("1.5000"), Decimal("1.5")),
        ("decimal(4,2)", Decimal("-0"), Decimal("0.00")),
        ("decimal(20,0)", 2**64 - 1, Decimal(2**64 - 1)),
        ("decimal(4,2)", Decimal("1e1"), Decimal("10")),
        ("binary", bytearray(b"a"), b"a"),
        ("timestamp", NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), NOON),
        ("timestamp", pd.Timestamp(NOON), NOON),
    ],
)
def test_one_value_in_two_forms_is_one_key(spark: str, value: Any, same: Any) -> None:
    assert _one(spark, value) == _one(spark, same)


def test_strings_compare_exactly() -> None:
    values = ["a", "A", "a ", " a", "é", "e\N{COMBINING ACUTE ACCENT}", ""]
    assert len({_one("string", value) for value in values}) == len(values)


def test_a_naive_datetime_is_named() -> None:
    with pytest.raises(NaiveDatetime, match=r"keys\[0\]: k .*zone"):
        _one("timestamp", datetime(2024, 1, 1))


def test_null_equals_nothing() -> None:
    codec = KeyCodec({"a": "bigint", "b": "string"})
    assert codec.encode_one({"a": 1, "b": None}, 0) is None
    assert codec.encode(pa.table({"a": [1, 1], "b": [None, "x"]})) == [None, codec.encode_one({"a": 1, "b": "x"}, 0)]


def test_names_of_keys_are_checked() -> None:
    codec = KeyCodec({"customer_id": "bigint", "region": "string"})
    with pytest.raises(UnknownColumn, match=r"'costumer_id' is no key.*Nearest: customer_id"):
        codec.encode_one({"costumer_id": 1, "region": "x"}, 0)
    with pytest.raises(UnknownColumn, match="'day' is no key"):  # beside all that are
        codec.encode_one({"customer_id": 1, "region": "x", "day": 3}, 0)
    with pytest.raises(InvalidInput, match=r"keys\[2\]: key region \(string\) is missing"):
        codec.encode_one({"customer_id": 1}, 2)
    with pytest.raises(InvalidInput, match="must be a dict of customer_id, region"):
        codec.encode_one([1, "x"], 0)  # type: ignore[arg-type]


def test_nested_keys_are_refused() -> None:
    with pytest.raises(UnsupportedType, match="key k"):
        KeyCodec({"k": "array<int>"})


def test_a_key_is_spelled_for_people() -> None:
    codec = KeyCodec({"a": "string", "b": "bigint", "c": "string", "d": "double", "e": "timestamp", "f": "boolean"})
    key = codec.encode_one({"a": "x|y:", "b": -7, "c": "", "d": 0.5, "e": NOON, "f": False}, 0)
    assert key is not None
    assert codec.spelled(key) == "a=x|y:, b=-7, c=, d=0.5, e=2024-02-29T12:00:00.000001+00:00, f=false"
    days = KeyCodec({"a": "date", "b": "timestamp_ntz", "c": "binary", "d": "decimal(4,2)", "e": "double"})
    of_day = {"a": date(2024, 2, 29), "b": datetime(2024, 2, 29, 12), "c": b"\x01", "d": Decimal("1.5"), "e": math.nan}
    key = days.encode_one(of_day, 0)
    assert key is not None
    assert days.spelled(key) == "a=2024-02-29, b=2024-02-29T12:00:00, c=01, d=1.50, e=nan"
