"""Entity keys as bytes: typed and injective, so that no two different keys ever meet (docs/rules.md#online-4).

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
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fstk.columns.instants import day, days, instant, microseconds, wall, wall_microseconds
from fstk.columns.values import fitted
from fstk.columns.values import plain as python_value
from fstk.engines.base import Schema
from fstk.errors import InvalidInput, NaiveDatetime, TypeMismatch, UnknownColumn, UnsupportedType, nearest
from fstk.online.codec import plain, supported


class KeyCodec:
    """Encodes the keys of one table, from columns when publishing and from Python values when reading."""

    def __init__(self, keys: Schema) -> None:
        self.keys = keys
        self._types = supported(keys)
        for field in self._types:
            if pa.types.is_nested(field.type):
                raise UnsupportedType(f"key {field.name} is {keys[field.name]}: nested types cannot be keys online.")
        self._parts = [_Part(field.name, keys[field.name], field.type, *_form(field.type)) for field in self._types]
        self._sure = [(part.name, _sure(part.arrow), part.text) for part in self._parts]

    def encode(self, rows: pa.RecordBatch | pa.Table) -> list[bytes | None]:
        """Return one key per row; None for a row with a null in its key, which equals nothing."""
        columns = [plain(rows.column(field.name), field) for field in self._types]
        return [self._join(row) for row in zip(*columns, strict=True)]

    def encode_one(self, key: Mapping[str, Any], position: int, of: str = "keys") -> bytes | None:
        """Return the key of one dict of Python values, None when one of them is None; errors name it
        ``{of}[{position}]``. Nothing is coerced: ``1``, ``"1"``, ``1.0`` and ``True`` differ."""
        if type(key) is dict and len(key) == len(self._sure):
            texts = [text(value) for name, sure, text in self._sure if sure(value := key.get(name))]
            if len(texts) == len(key):
                return "|".join(texts).encode()
        where = f"{of}[{position}]"
        if not isinstance(key, Mapping):
            raise InvalidInput(f"{where} must be a dict of {', '.join(self.keys)}; got {type(key).__name__}.")
        for name in key:
            if name not in self.keys:
                hint = nearest(str(name), self.keys)
                raise UnknownColumn(f"{where}: {name!r} is no key of this table.{hint}")
        values = []
        for part in self._parts:
            if part.name not in key:
                raise InvalidInput(f"{where}: key {part.name} ({part.spark}) is missing.")
            value = key[part.name]
            values.append(None if value is None else _exactly(value, part, f"{where}: {part.name}"))
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
        return "|".join([part.text(value) for part, value in zip(self._parts, row, strict=True)]).encode()


class _Part(NamedTuple):
    """One key column: its name and types; the Python types of its values, none of which is coerced; a fitted value as
    :func:`fstk.online.codec.plain` has it (None: not exactly); and that as text."""

    name: str
    spark: str
    arrow: pa.DataType
    python: type | tuple[type, ...]
    plain: Callable[[Any], Any]
    text: Callable[[Any], str]


def _exactly(value: Any, part: _Part, where: str) -> Any:
    """Return the value as :func:`fstk.online.codec.plain` would have read it from the key's column."""
    value = value if isinstance(value, np.datetime64) else python_value(value)
    wall_clock = isinstance(value, datetime) and value.tzinfo is None
    if wall_clock and part.spark == "timestamp":
        raise NaiveDatetime(f"{where} is a datetime without a zone; give it one: value.replace(tzinfo=UTC).")
    found = None
    if isinstance(value, part.python) and (wall_clock or part.spark != "timestamp_ntz"):
        with suppress(TypeMismatch):
            found = part.plain(fitted(value.replace(tzinfo=UTC) if wall_clock else value, part.arrow, where))
    if found is None:
        shown = repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:37]}…"
        raise TypeMismatch(f"{where} is {part.spark}; got {shown} ({type(value).__name__}).")
    return found


def _form(kind: pa.DataType) -> tuple[Any, Callable[[Any], Any], Callable[[Any], str]]:
    if pa.types.is_boolean(kind):
        return bool, bool, lambda value: "b1" if value else "b0"
    if pa.types.is_integer(kind):
        return int, int, lambda value: f"i{value}"
    if pa.types.is_floating(kind):
        return float, float if pa.types.is_float64(kind) else _single, _double
    if pa.types.is_decimal(kind):
        whole = kind.scale == 0  # as an unsigned 64-bit id is kept
        return (int, Decimal) if whole else Decimal, str, lambda value: f"m{Decimal(value):f}"
    if pa.types.is_string(kind):
        return str, str, lambda value: f"s{len(value)}:{value}"
    if pa.types.is_binary(kind):
        return (bytes, bytearray, memoryview), bytes, lambda value: f"x{value.hex()}"
    if pa.types.is_date32(kind):
        return date, days, lambda value: f"d{value}"
    if kind.tz is None:
        return datetime, wall_microseconds, lambda value: f"n{value}"
    return datetime, microseconds, lambda value: f"t{value}"


def _sure(kind: pa.DataType) -> Callable[[Any], bool]:
    """Return what tells the plainest values of a type, which need not be fitted to it, from all others."""
    if pa.types.is_integer(kind):
        bound = 2 ** (kind.bit_width - 1)
        return lambda value: type(value) is int and -bound <= value < bound
    if pa.types.is_string(kind):
        return lambda value: type(value) is str and value.isascii()
    return lambda value: False


def _single(value: float) -> float | None:
    return value if math.isnan(value) or float(np.float32(value)) == value else None


def _double(value: float) -> str:
    return "fnan" if math.isnan(value) else f"f{struct.pack('>d', value + 0.0).hex()}"  # −0.0 + 0.0 is 0.0


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
