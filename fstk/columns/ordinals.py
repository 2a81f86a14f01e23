"""Arrow columns as 64-bit integers that compare as the values do.

Equal values get equal integers and smaller values smaller ones, as Spark orders them: NaN is one value above all
numbers, −0.0 equals 0.0, strings and bytes compare by their bytes. So keys, counts of distinct values, minima and
maxima need one kind of array only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

Decode = Callable[[np.ndarray, np.ndarray], pa.Array]
"""Turns (ordinals, valid) back into an Arrow array of the column's type, null where not valid."""

_DAY = 86_400_000_000
_FAR = 1 << 61  # microseconds, some 73,000 years: beyond all instants of the rules, with room for arithmetic
_INT64_DIGITS = 18


@dataclass(frozen=True)
class Ordinals:
    """``values``: int64, one per row, anything where null; ``valid``: boolean, or None when no row is null."""

    values: np.ndarray
    valid: np.ndarray | None
    decode: Decode


def ordinals(column: pa.ChunkedArray) -> Ordinals:
    """Return the ordinals of a column of numbers, strings, bytes, booleans, dates or timestamps."""
    array = whole(column)
    kind = array.type
    valid = valid_rows(array)
    if pa.types.is_floating(kind):
        return Ordinals(_from_float(floats(array)), valid, lambda v, ok: _masked(_to_float(v), ok).cast(kind))
    if pa.types.is_decimal(kind) and kind.precision <= _INT64_DIGITS:
        low = decimal_words(array)[0].view(np.int64)
        return Ordinals(np.ascontiguousarray(low), valid, lambda v, ok: decimals(v.view(np.uint64), v >> 63, ok, kind))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Ordinals(integers(array), valid, lambda v, ok: _from_integers(v, ok, kind))
    return _ranked(array, valid)


def instants(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a DATE or timestamp column as (microseconds since 1970 UTC, valid rows or None when all are)."""
    array = whole(column)
    unit = _DAY if pa.types.is_date32(array.type) else 1
    return np.clip(integers(array), -_FAR // unit, _FAR // unit) * unit, valid_rows(array)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one contiguous array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def valid_rows(array: pa.Array) -> np.ndarray | None:
    """Return which rows are not null, or None when all are."""
    if array.null_count == 0:
        return None
    return np.asarray(array.is_valid())


def integers(array: pa.Array) -> np.ndarray:
    """Return integers, booleans, dates or timestamps as int64; 0 where null."""
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    width = array.type.bit_width
    array = array.view({8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[width])
    if array.null_count:
        array = array.fill_null(0)
    return array.to_numpy().astype(np.int64, copy=False)


def floats(array: pa.Array) -> np.ndarray:
    """Return floating numbers as float64, exactly; 0.0 where null."""
    if array.null_count:
        array = array.fill_null(0.0)
    return array.to_numpy().astype(np.float64, copy=False)


def decimal_words(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the unscaled values of decimals as 128-bit words (low uint64, high int64); 0 where null."""
    array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
    if array.null_count:
        array = array.fill_null(pa.scalar(Decimal(0), array.type))
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    words = np.frombuffer(buffer, np.uint64, 2 * len(array), 16 * array.offset)
    return words[0::2], words[1::2].view(np.int64)


def decimals(low: np.ndarray, high: np.ndarray, valid: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Return 128-bit unscaled values as decimals of ``kind``, null where not valid."""
    words = np.empty(2 * len(low), np.uint64)
    words[0::2] = low
    words[1::2] = high.view(np.uint64)
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(low), [bits, pa.py_buffer(words)])


def _masked(values: np.ndarray, valid: np.ndarray) -> pa.Array:
    return pa.array(values, mask=None if valid.all() else ~valid)


def _from_integers(values: np.ndarray, valid: np.ndarray, kind: pa.DataType) -> pa.Array:
    # An empty window holds a sentinel that need not fit the type.
    array = _masked(np.where(valid, values, 0), valid)
    if pa.types.is_boolean(kind):
        return array.cast(pa.bool_())
    width = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]
    return array.cast(width).view(kind)


def _from_float(values: np.ndarray) -> np.ndarray:
    values = np.where(np.isnan(values), np.nan, values + 0.0)
    bits = values.view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFF_FFFF_FFFF_FFFF), bits)


def _to_float(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, values ^ np.int64(0x7FFF_FFFF_FFFF_FFFF), values).view(np.float64)


def _ranked(array: pa.Array, valid: np.ndarray | None) -> Ordinals:
    encoded = array.dictionary_encode()
    unsorted = pa.table([encoded.dictionary, pa.array(np.arange(len(encoded.dictionary)))], ["value", "code"])
    order = whole(unsorted.sort_by("value").column("code")).to_numpy()
    rank = np.empty(len(order) + 1, np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = 0  # what a null row gets
    codes = encoded.indices.fill_null(len(order)).to_numpy()
    ranked = encoded.dictionary.take(pa.array(order))

    def decode(values: np.ndarray, ok: np.ndarray) -> pa.Array:
        return ranked.take(pa.array(values, mask=~ok))

    return Ordinals(rank[codes], valid, decode)
