"""Arrow columns as NumPy arrays, and back: the one home of what every kernel needs of a column."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa

Column = pa.Array | pa.ChunkedArray
INT64_DIGITS = 18
"""Digits of which any decimal fits 64 bits."""
_EXACT_INTEGERS = 2**53  # up to here every integer is a double, as every power of ten is up to 10^22
_EXACT_SCALE = 22
_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def whole(column: Column) -> pa.Array:
    """Return a column as one contiguous array."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def nulls(column: Column) -> np.ndarray:
    """Return which rows are null."""
    if not column.null_count:
        return np.zeros(len(column), bool)
    return column.is_null().to_numpy(zero_copy_only=False)


def integers(column: Column) -> np.ndarray:
    """Return integers, booleans, dates or timestamps as int64; 0 where null."""
    array = whole(column)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    array = array.view(_SIGNED[array.type.bit_width])
    if array.null_count:
        array = array.fill_null(0)
    return array.to_numpy().astype(np.int64, copy=False)


def floats(column: Column) -> np.ndarray:
    """Return floating numbers as float64, exactly; 0.0 where null."""
    array = whole(column)
    if array.null_count:
        array = array.fill_null(pa.scalar(0.0, array.type))
    return array.to_numpy().astype(np.float64, copy=False)


def doubles(column: Column) -> Column:
    """Return numbers as a column of float64, each the nearest to its number; null stays null.

    >>> doubles(pa.array([Decimal("0.07"), None], pa.decimal128(10, 2))).to_pylist()
    [0.07, None]
    """
    kind = column.type
    if not pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    low, high = decimal_words(whole(column))
    unscaled = low.view(np.int64)
    narrow = (high == unscaled >> 63) & (unscaled <= _EXACT_INTEGERS) & (unscaled >= -_EXACT_INTEGERS)
    if kind.scale <= _EXACT_SCALE and narrow.all():  # one division of two doubles, rounded once
        return pa.array(unscaled / 10.0**kind.scale, mask=nulls(column))
    return pa.array([None if value is None else float(value) for value in column.to_pylist()], pa.float64())


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


def masked(values: np.ndarray, valid: np.ndarray) -> pa.Array:
    """Return values as Arrow, null where not valid."""
    return pa.array(values, mask=None if valid.all() else ~valid)


def from_integers(values: np.ndarray, valid: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Return what :func:`integers` gave as Arrow of ``kind``, null where not valid; values need not fit there."""
    array = masked(np.where(valid, values, 0), valid)
    if pa.types.is_boolean(kind):
        return array.cast(pa.bool_())
    return array.cast(_SIGNED[kind.bit_width]).view(kind)
