"""Arrow columns as 64-bit integers that compare as the values do.

Equal values get equal integers and smaller values smaller ones, as Spark orders them: NaN is one value above all
numbers, −0.0 equals 0.0, strings and bytes compare by their bytes. So keys, counts of distinct values, minima and
maxima need one kind of array only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import (
    INT64_DIGITS,
    decimal_words,
    decimals,
    floats,
    from_integers,
    integers,
    masked,
    nulls,
    whole,
)

_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class Ordinals:
    """``values``: int64, one per row, anything where ``null``; ``kind``: the column's type.

    ``ranked``: the column's different values in their order when the ordinals are their ranks, else None.
    """

    values: np.ndarray
    null: np.ndarray
    kind: pa.DataType
    ranked: pa.Array | None

    def decode(self, values: np.ndarray, valid: np.ndarray) -> pa.Array:
        """Return ordinals as an Arrow array of the column's type, null where not valid."""
        if self.ranked is not None:
            return self.ranked.take(pa.array(values, mask=~valid))
        if pa.types.is_floating(self.kind):
            return masked(_to_float(values), valid).cast(self.kind)
        if pa.types.is_decimal(self.kind):
            return decimals(values.view(np.uint64), values >> 63, valid, self.kind)
        return from_integers(values, valid, self.kind)


def ordinals(column: pa.ChunkedArray) -> Ordinals:
    """Return the ordinals of a column of numbers, strings, bytes, booleans, dates or timestamps."""
    values, ranked = fixed(column), None
    if values is None:
        values, ranked = _ranks(whole(column))
    return Ordinals(values, nulls(column), column.type, ranked)


def fixed(column: pa.ChunkedArray) -> np.ndarray | None:
    """Return the ordinals of a column whose values fit 64 bits by themselves, whatever else is in the column: those
    of equal types compare with each other. None of other types: strings, bytes, decimals of more than 18 digits."""
    kind = column.type
    if pa.types.is_floating(kind):
        return _from_float(floats(column))
    if pa.types.is_decimal(kind):
        wide = kind.precision > INT64_DIGITS
        return None if wide else np.ascontiguousarray(decimal_words(whole(column))[0].view(np.int64))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return integers(column)
    return None


def _from_float(values: np.ndarray) -> np.ndarray:
    values = np.where(np.isnan(values), np.nan, values + 0.0)  # of all NaNs the one; −0.0 + 0.0 is 0.0
    bits = values.view(np.int64)
    return np.where(bits < 0, bits ^ _MAGNITUDE, bits)


def _to_float(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, values ^ _MAGNITUDE, values).view(np.float64)


def _ranks(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    encoded = array.dictionary_encode()
    unsorted = pa.table([encoded.dictionary, pa.array(np.arange(len(encoded.dictionary)))], ["value", "code"])
    order = whole(unsorted.sort_by("value").column("code")).to_numpy()
    rank = np.empty(len(order) + 1, np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = 0  # what a null row gets
    codes = encoded.indices.fill_null(len(order)).to_numpy()
    return rank[codes], encoded.dictionary.take(pa.array(order))
