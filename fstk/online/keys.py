"""Entity keys as bytes: typed and injective, so that no two different keys ever meet (RULES, online rows 4).

Parts are joined by ``|`` in the order of the table's keys, each one letter for its type and a body that ends itself:
``i17`` an integer, ``b1`` a boolean, ``s3:b:c`` a string with its length, ``xff00`` binary in hex,
``f3ff0000000000000`` the bits of a double, ``m1.20`` a decimal at the column's scale, ``d10957`` a date in days,
``t…`` an instant and ``n…`` a wall clock in microseconds. As in Spark, NaN equals NaN and −0.0 equals 0.0; strings
are compared exactly, code point by code point.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import MAX_PREC, Context, Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa

from fstk.columns.instants import day, days, instant, microseconds, wall, wall_microseconds
from fstk.engines.base import Schema
from fstk.errors import InvalidInput, NaiveDatetime, TypeMismatch, UnknownColumn, UnsupportedType, nearest
from fstk.online.codec import plain, supported

_INTEGER_BITS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}


class KeyCodec:
    """Encodes the keys of one table, from columns when publishing and from Python values when reading.

    Raises:
        UnsupportedType: a key of a nested type; the message names it.
    """

    def __init__(self, keys: Schema) -> None:
        self.keys = keys
        self._types = supported(keys)
        for field in self._types:
            if pa.types.is_nested(field.type):
                raise UnsupportedType(f"key {field.name} is {keys[field.name]}: nested types cannot be keys online.")
        self._parts = [_part(field.type) for field in self._types]

    def encode(self, rows: pa.RecordBatch | pa.Table) -> list[bytes | None]:
        """Return one key per row; None for a row with a null in its key, which equals nothing."""
        columns = [plain(rows.column(field.name), field) for field in self._types]
        return [self._join(row) for row in zip(*columns, strict=True)]

    def encode_one(self, key: Mapping[str, Any], position: int) -> bytes | None:
        """Return the key of one dict of Python values; None when one of them is None. ``position`` names it in errors.

        Raises:
            InvalidInput: not a dict, or a key column is missing.
            UnknownColumn: a name that is no key column.
            TypeMismatch: a value that is not of the column's type: no coercion, so ``1``, ``"1"``, ``1.0`` and
                ``True`` differ.
            NaiveDatetime: a datetime without a zone for a ``timestamp`` key.
        """
        if not isinstance(key, Mapping):
            raise InvalidInput(f"keys[{position}] must be a dict of {', '.join(self.keys)}; got {type(key).__name__}.")
        for name in key:
            if name not in self.keys:
                raise UnknownColumn(
                    f"keys[{position}]: {name!r} is no key of this table.{nearest(str(name), self.keys)}"
                )
        values = []
        for field in self._types:
            if field.name not in key:
                raise InvalidInput(f"keys[{position}]: key {field.name} ({self.keys[field.name]}) is missing.")
            value = key[field.name]
            values.append(None if value is None else self._checked(value, field, f"keys[{position}]: {field.name}"))
        return self._join(values)

    def spelled(self, key: bytes) -> str:
        """Return an encoded key as a person reads it: ``customer_id=17, region=north``."""
        text, parts = key.decode(), []
        for field in self._types:
            if pa.types.is_string(field.type):
                length, _, rest = text[1:].partition(":")
                part, text = rest[: int(length)], rest[int(length) + 1 :]
            else:
                part, _, text = text.partition("|")
                part = _spelled(part)
            parts.append(f"{field.name}={part}")
        return ", ".join(parts)

    def _join(self, row: tuple[Any, ...] | list[Any]) -> bytes | None:
        if None in row:
            return None
        return "|".join([part(value) for part, value in zip(self._parts, row, strict=True)]).encode()

    def _checked(self, value: Any, field: pa.Field, where: str) -> Any:
        """Return the value as :func:`plain` would have read it from a column of the key's type."""
        kind = field.type
        if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
            value = np.float64(value).item() if isinstance(value, np.floating) else value.item()
        if pa.types.is_timestamp(kind) and kind.tz is not None and isinstance(value, datetime) and value.tzinfo is None:
            raise NaiveDatetime(f"{where} is a datetime without a zone; give it one: value.replace(tzinfo=UTC).")
        found = _checked(value, kind)
        if found is None:
            shown = repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:37]}…"
            raise TypeMismatch(f"{where} is {self.keys[field.name]}; got {shown} ({type(value).__name__}).")
        return found


def _part(kind: pa.DataType) -> Callable[[Any], str]:
    if pa.types.is_boolean(kind):
        return lambda value: "b1" if value else "b0"
    if pa.types.is_integer(kind):
        return lambda value: f"i{value}"
    if pa.types.is_floating(kind):
        return _double
    if pa.types.is_decimal(kind):
        return lambda value: f"m{Decimal(value):f}"
    if pa.types.is_string(kind):
        return lambda value: f"s{len(value)}:{value}"
    if pa.types.is_binary(kind):
        return lambda value: f"x{value.hex()}"
    if pa.types.is_date32(kind):
        return lambda value: f"d{value}"
    return (lambda value: f"n{value}") if kind.tz is None else (lambda value: f"t{value}")


def _spelled(part: str) -> str:
    kind, body = part[0], part[1:]
    if kind == "f" and body != "nan":
        return repr(struct.unpack(">d", bytes.fromhex(body))[0])
    if kind == "b":
        return "true" if body == "1" else "false"
    if kind == "d":
        return str(day(int(body)))
    if kind == "t":
        return instant(int(body)).isoformat()
    if kind == "n":
        return wall(int(body)).isoformat()
    return body


def _double(value: float) -> str:
    if math.isnan(value):
        return "fnan"
    return f"f{struct.pack('>d', value + 0.0).hex()}"  # −0.0 + 0.0 is 0.0


def _checked(value: Any, kind: pa.DataType) -> Any:
    """Return the value in the form of :func:`fstk.online.codec.plain`; None when the type cannot hold it exactly."""
    if pa.types.is_boolean(kind):
        return value if isinstance(value, bool) else None
    if pa.types.is_integer(kind):
        limit = 1 << (_INTEGER_BITS[kind] - 1)
        return value if type(value) is int and -limit <= value < limit else None
    if pa.types.is_floating(kind):
        return _float(value, kind)
    if pa.types.is_decimal(kind):
        return _decimal(value, kind)
    if pa.types.is_string(kind):
        return value if isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value) else None
    if pa.types.is_binary(kind):
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
    if pa.types.is_date32(kind):
        return days(value) if isinstance(value, date) and not isinstance(value, datetime) else None
    if not isinstance(value, datetime) or getattr(value, "nanosecond", 0):  # a pandas Timestamp may be finer than µs
        return None
    if kind.tz is not None:
        return microseconds(value)
    return wall_microseconds(value) if value.tzinfo is None else None


def _float(value: Any, kind: pa.DataType) -> float | None:
    if not isinstance(value, float):
        return None
    if pa.types.is_float64(kind) or math.isnan(value):
        return value
    with np.errstate(over="ignore"):
        return value if float(np.float32(value)) == value else None


def _decimal(value: Any, kind: pa.Decimal128Type) -> str | None:
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    if value and value.adjusted() >= kind.precision - kind.scale:
        return None
    with localcontext(Context(prec=MAX_PREC)):
        scaled = value.quantize(Decimal(1).scaleb(-kind.scale)) if value else Decimal(0).scaleb(-kind.scale)
    return str(scaled) if scaled == value else None
