"""Feature values as bytes and back, without loss: one MessagePack array per row, typed by the table's layout.

| Spark type | in the array | read back as |
|---|---|---|
| boolean, tinyint … bigint, float, double | itself (float widened exactly) | bool, int, float |
| string, binary | itself | str, bytes |
| decimal | its digits as text | Decimal, scale kept |
| date | days since 1970-01-01 | date |
| timestamp | microseconds since 1970-01-01 UTC | aware datetime in UTC |
| timestamp_ntz | the same, of its wall clock | naive datetime |
| array, struct, map | array; array in field order; array of pairs | list; dict; dict |

A null is nil at every depth, so NaN and null stay apart.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import FIRST_DAY, FIRST_INSTANT, LAST_DAY, LAST_INSTANT, day, instant, wall
from fstk.engines.base import Schema
from fstk.engines.types import arrow_schema
from fstk.errors import DamagedTable, InvalidInput, UnsupportedType

Reader = Callable[[Any], Any]


class RowCodec:
    """Encodes and decodes the feature columns of one layout; UnsupportedType as :func:`supported`."""

    def __init__(self, columns: Schema) -> None:
        self.names = tuple(columns)
        self._types = supported(columns)
        self._readers = _readers(self._types)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list).decode

    def encode(self, rows: pa.RecordBatch | pa.Table) -> list[bytes]:
        """Return one value per row, from the columns of this layout found by name; InvalidInput as :func:`plain`."""
        if not len(self._types):
            return [self._encode(())] * rows.num_rows
        columns = [plain(rows.column(field.name), field) for field in self._types]
        return [self._encode(row) for row in zip(*columns, strict=True)]

    def decode(self, value: bytes, row: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the row as name → Python value, written into ``row`` where that is given; DamagedTable for what
        :meth:`encode` cannot have written."""
        row = {} if row is None else row
        try:
            row.update(zip(self.names, self._decode(value), strict=True))
            for name, reader in self._readers:
                item = row[name]
                if item is not None:
                    row[name] = reader(item)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError) as error:
            raise DamagedTable(f"an online row is not as it was written: {error}") from error
        return row


def surely_within(size: int, rows: pa.RecordBatch) -> bool:
    """Tell, without encoding them, of rows that :func:`plain` takes and that together do not reach ``size``: a value
    that is not nested takes at most thrice its bytes in Arrow and a head of ten."""
    if any(pa.types.is_nested(field.type) for field in rows.schema):
        return False
    small = 3 * rows.nbytes + 10 * rows.num_rows * rows.num_columns <= size
    return small and all(_inside(*_count(column)) for column in rows.columns if pa.types.is_temporal(column.type))


def supported(columns: Schema) -> pa.Schema:
    """Return the Arrow types of ``columns``; UnsupportedType names one that no Python value could carry whole."""
    schema = arrow_schema(columns)
    for field in schema:
        _refuse(field.name, columns[field.name], field.type)
    return schema


def _refuse(column: str, spark: str, arrow: pa.DataType) -> None:
    if pa.types.is_null(arrow):
        raise UnsupportedType(f"column {column} is {spark}: void has no values to publish; cast it or leave it out.")
    if isinstance(arrow, pa.MapType) and pa.types.is_nested(arrow.key_type):
        no_form = "a map with nested keys has no Python form; leave it out with features=."
        raise UnsupportedType(f"column {column} is {spark}: {no_form}")
    for index in range(arrow.num_fields):
        _refuse(column, spark, arrow.field(index).type)


def plain(column: pa.Array | pa.ChunkedArray, field: pa.Field) -> list[Any]:
    """Return the column's values as what MessagePack holds (see the table of this module), or raise InvalidInput for a
    time outside the years 0001 to 9999."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return _plain(column.cast(field.type), field.name)


def _plain(column: pa.Array, name: str) -> list[Any]:
    kind = column.type
    if pa.types.is_temporal(kind):
        return whole(*_count(column), name)
    if pa.types.is_decimal(kind):
        return [None if value is None else str(value) for value in column.to_pylist()]
    if pa.types.is_struct(kind):
        valid = column.is_valid().to_pylist()
        fields = [_plain(part, name) for part in column.flatten()]
        rows = zip(*fields, strict=True) if fields else iter([()] * len(column))
        return [row if is_valid else None for row, is_valid in zip(rows, valid, strict=True)]
    if pa.types.is_map(kind):
        # keys and items are the whole buffers even of a slice; offsets point into them
        pairs = list(zip(_plain(column.keys, name), _plain(column.items, name), strict=True))
        return _slices(column, pairs, column.offsets.to_pylist())
    if pa.types.is_list(kind):
        return _slices(column, _plain(column.values, name), column.offsets.to_pylist())
    return column.to_pylist()


def _slices(column: pa.Array, items: list[Any], offsets: list[int]) -> list[Any]:
    valid = column.is_valid().to_pylist()
    return [items[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(len(column))]


def whole(column: pa.Array, first: int, last: int, name: str) -> list[Any]:
    """Return times as the whole numbers that they are counted in; InvalidInput where one is not of ``first`` to
    ``last``, the years 0001 to 9999."""
    if not _inside(column, first, last):
        raise InvalidInput(f"column {name} holds a time outside the years 0001 to 9999; it cannot be published.")
    return column.to_pylist()


def _count(times: pa.Array) -> tuple[pa.Array, int, int]:
    """Return instants in microseconds, or dates in days, with the first and last that Python has."""
    if pa.types.is_date32(times.type):
        return times.view(pa.int32()), FIRST_DAY, LAST_DAY
    return times.view(pa.int64()), FIRST_INSTANT, LAST_INSTANT


def _inside(numbers: pa.Array, first: int, last: int) -> bool:
    bounds = pc.min_max(numbers).as_py()
    return bounds["min"] is None or first <= bounds["min"] <= bounds["max"] <= last


def _reader(kind: pa.DataType) -> Reader | None:
    """Return what turns a stored item into its Python value; None when the item is the value already."""
    if isinstance(kind, pa.TimestampType):
        return wall if kind.tz is None else instant
    if pa.types.is_date32(kind):
        return day
    if pa.types.is_decimal(kind):
        return Decimal
    if isinstance(kind, pa.ListType):
        inner = _reader(kind.value_type)
        return None if inner is None else lambda items: [_apply(inner, item) for item in items]
    if isinstance(kind, pa.MapType):
        key, value = _reader(kind.key_type), _reader(kind.item_type)
        return lambda pairs: {_apply(key, k): _apply(value, v) for k, v in pairs}
    return _struct_reader(kind) if isinstance(kind, pa.StructType) else None


def _apply(reader: Reader | None, item: Any) -> Any:
    return item if reader is None or item is None else reader(item)


def _readers(fields: pa.Schema | pa.StructType) -> list[tuple[str, Reader]]:
    """Return what reads each field whose items are not the values already."""
    return [(field.name, reader) for field in fields if (reader := _reader(field.type)) is not None]


def _struct_reader(fields: pa.StructType) -> Reader:
    names, readers = [field.name for field in fields], _readers(fields)

    def read(items: list[Any]) -> dict[str, Any]:
        row = dict(zip(names, items, strict=True))
        for name, reader in readers:
            row[name] = _apply(reader, row[name])
        return row

    return read
