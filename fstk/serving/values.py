"""A JSON value → the Python value of a column's type, exactly, or why not.

| Spark type | JSON |
|---|---|
| integers | a number without a point; where it is no key ``3.0`` is 3 |
| float, double | a number |
| decimal | a number, or its digits as text |
| boolean, string | itself |
| date, timestamp, timestamp_ntz | text: ``2024-03-01``, ``2024-03-01T12:00:00Z`` with an offset, the same without one |
| binary | base64 |
| array, struct, map | a list, an object of exactly the fields, an object |
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from fstk.columns.values import fitted
from fstk.engines.types import arrow_type
from fstk.errors import FstkError

Reader = Callable[[Any], Any]
"""Raises ValueError, whose message holds nothing of the value, where it does not fit."""

_MISFITS = (FstkError, ValueError, TypeError, AttributeError, InvalidOperation, OverflowError, RecursionError)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?")
_DIGITS = re.compile(r"-?\d{1,38}(\.\d{1,38})?")


def reader(spark: str, key: bool = False) -> Reader:
    """Return what reads a column of Spark type ``spark``; nulls are the caller's. Of a ``key`` nothing is converted."""
    kind = arrow_type(spark)
    convert, wanted = _conversion(kind, key)

    def read(value: Any) -> Any:
        try:
            return fitted(convert(value), kind, "value")
        except _MISFITS as error:
            raise ValueError(f"must be {spark}: {wanted}") from error

    return read


def example(spark: str) -> Any:
    """Return a JSON value that a column of Spark type ``spark`` takes; null where none is obvious."""
    kind = arrow_type(spark)
    if pa.types.is_integer(kind):
        return 1
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return 1.0
    if pa.types.is_boolean(kind):
        return True
    if isinstance(kind, pa.TimestampType):
        return "2024-03-01T12:00:00Z" if kind.tz else "2024-03-01T12:00:00"
    if pa.types.is_date32(kind):
        return "2024-03-01"
    return "a" if pa.types.is_string(kind) else None


def _conversion(kind: pa.DataType, key: bool) -> tuple[Reader, str]:
    if pa.types.is_integer(kind):
        return (_same if key else _whole), "a whole number of that size"
    if pa.types.is_floating(kind):
        return _float, "a number"
    if pa.types.is_decimal(kind):
        return _decimal, "a number, or text, of no more digits than that"
    if pa.types.is_date32(kind):
        return _date, "text such as 2024-03-01"
    if isinstance(kind, pa.TimestampType):
        if kind.tz:
            return _instant, "text such as 2024-03-01T12:00:00Z, with an offset or Z"
        return _wall, "text such as 2024-03-01T12:00:00, without an offset"
    if pa.types.is_binary(kind):
        return _bytes, "text in base64"
    if pa.types.is_nested(kind):
        return _nested(kind), "a value of that shape"
    return _same, "true or false" if pa.types.is_boolean(kind) else "text"


def _same(value: Any) -> Any:
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float | Decimal) and abs(value) <= 2**53 and value == int(value) else value


def _float(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large")
    return number


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("no digits")
    return Decimal(value) if isinstance(value, str) else value


def _date(value: Any) -> date:
    if not _DAY.fullmatch(value):
        raise ValueError("no date")
    return date.fromisoformat(value)


def _moment(value: Any, zoned: bool) -> datetime:
    found = _INSTANT.fullmatch(value)
    if found is None or (found[3] is not None) is not zoned:
        raise ValueError("no time")
    return datetime.fromisoformat(value)


def _instant(value: Any) -> datetime:
    return _moment(value, zoned=True)


def _wall(value: Any) -> datetime:
    return _moment(f"{value}Z" if _moment(value, zoned=False) else value, zoned=True)  # whose UTC reading is taken


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _nested(kind: pa.DataType) -> Reader:
    if isinstance(kind, pa.MapType):
        key, item = _conversion(kind.key_type, True)[0], _each(kind.item_type)
        return lambda value: {key(name): item(part) for name, part in value.items()}
    if isinstance(kind, pa.StructType):
        parts = {field.name: _each(field.type) for field in kind}
        return lambda value: {name: parts[name](part) if name in parts else part for name, part in value.items()}
    assert isinstance(kind, pa.ListType)
    item = _each(kind.value_type)
    return lambda value: [item(part) for part in value] if isinstance(value, list) else value


def _each(kind: pa.DataType) -> Reader:
    convert = _conversion(kind, False)[0]
    return lambda value: None if value is None else convert(value)
