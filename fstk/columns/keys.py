"""Keys of any plain type, one column or several, as integers that are equal exactly where the keys are.

Integers, so that sorting and searching can be NumPy's. Equality is RULES' (point-in-time join 7): exact, null equal
to nothing, NaN to NaN, −0.0 to 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_Numbers = np.ndarray
_DAY = 86_400_000_000
_DAYS = 100_000_000  # days past which an instant would leave int64; far outside 0001..9999
_MOST = 2**31  # ids stay below, so that a key and the rank of a time fit in one int64 together


def pair_ids(
    left: pa.Table, left_keys: Sequence[str], right: pa.Table, right_keys: Sequence[str]
) -> tuple[_Numbers, _Numbers, int]:
    """Return int64 ids of the rows of ``left`` and of ``right``, and a number that no id reaches.

    Ids are equal where the keys are; −1 is a left row with a null among its keys, and a right row whose keys are null
    or those of no left row.
    """
    lefts, rights, size = _column(left.column(left_keys[0]), right.column(right_keys[0]))
    for left_key, right_key in zip(left_keys[1:], right_keys[1:], strict=True):
        more_lefts, more_rights, more = _column(left.column(left_key), right.column(right_key))
        lefts = np.where((lefts < 0) | (more_lefts < 0), -1, lefts * more + more_lefts)
        rights = np.where((rights < 0) | (more_rights < 0), -1, rights * more + more_rights)
        size *= more
        if size > _MOST:
            columns = pa.chunked_array([lefts]), pa.chunked_array([rights])
            lefts, rights, size = _numbered(columns[0], lefts < 0, columns[1], rights < 0)
    return lefts, rights, size


def instants(column: pa.ChunkedArray) -> tuple[_Numbers, _Numbers]:
    """Return the instants of a TIMESTAMP, TIMESTAMP_NTZ or DATE column in int64 microseconds since 1970 UTC, and its
    nulls."""
    if column.type == pa.date32():
        days = _integers(column.cast(pa.int32())).astype(np.int64)
        return np.clip(days, -_DAYS, _DAYS) * _DAY, _nulls(column)
    return _integers(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())), _nulls(column)


def _column(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[_Numbers, _Numbers, int]:
    left_null, right_null = _nulls(left), _nulls(right)
    left, right = _comparable(left), _comparable(right)
    if pa.types.is_integer(left.type):
        lefts = _integers(left).astype(np.int64, copy=False)
        known = lefts[~left_null] if left_null.any() else lefts
        low, high = (int(known.min()), int(known.max())) if len(known) else (0, -1)
        if high - low < 2 * len(lefts) + 1024:  # dense enough to be ids as they stand
            rights = _integers(right).astype(np.int64, copy=False)
            outside = right_null | (rights < low) | (rights > high)
            return np.where(left_null, -1, lefts - low), np.where(outside, -1, rights - low), high - low + 1
    return _numbered(left, left_null, right, right_null)


def _numbered(
    left: pa.ChunkedArray, left_null: _Numbers, right: pa.ChunkedArray, right_null: _Numbers
) -> tuple[_Numbers, _Numbers, int]:
    values = (left.filter(pa.array(~left_null)) if left_null.any() else left).unique()
    lefts = _integers(pc.index_in(left, value_set=values)).astype(np.int64)
    found = pc.index_in(right, value_set=values)
    lefts[left_null] = -1
    rights = _integers(found).astype(np.int64)
    rights[right_null | _nulls(found)] = -1
    return lefts, rights, len(values)


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column in a type whose values are equal where RULES has the keys equal."""
    kind = column.type
    if pa.types.is_floating(kind):
        values = _integers(column) + kind.to_pandas_dtype()(0)  # −0.0 + 0.0 is 0.0
        values[np.isnan(values)] = np.nan  # of all NaNs the one
        return pa.chunked_array([values.view(np.int64 if kind == pa.float64() else np.int32)])
    if kind == pa.date32():
        return column.cast(pa.int32())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.int64())
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8())
    return column


def _integers(column: pa.ChunkedArray) -> _Numbers:
    """Return the values as NumPy has them, any number where the column is null."""
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(0, column.type))
    return column.to_numpy()


def _nulls(column: pa.ChunkedArray) -> _Numbers:
    if not column.null_count:
        return np.zeros(len(column), dtype=bool)
    return column.is_null().to_numpy()
