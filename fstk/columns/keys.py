"""Keys of any plain type, one column or several, as integers that are equal exactly where the keys are.

Integers, so that sorting and searching can be NumPy's. Equality is that of docs/rules.md#join-7: exact, null equal to
nothing, NaN to NaN, −0.0 to 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import Column, integers, nulls
from fstk.columns.ordinals import fixed

_MOST = 2**31  # ids stay below, so that a key and the rank of a time fit in one int64 together


def pair_ids(
    left: pa.Table, left_keys: Sequence[str], right: pa.Table, right_keys: Sequence[str], most: int = _MOST
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return int64 ids of the rows of ``left`` and of ``right``, and a number that no id reaches.

    Ids are equal where the keys are; −1 is a left row with a null among its keys, and a right row whose keys are null
    or those of no left row. Ids of several columns that would pass ``most`` are numbered anew, without gaps.
    """
    lefts, rights, size = _column(left.column(left_keys[0]), right.column(right_keys[0]))
    for left_key, right_key in zip(left_keys[1:], right_keys[1:], strict=True):
        more_lefts, more_rights, more = _column(left.column(left_key), right.column(right_key))
        lefts = np.where((lefts < 0) | (more_lefts < 0), -1, lefts * more + more_lefts)
        rights = np.where((rights < 0) | (more_rights < 0), -1, rights * more + more_rights)
        size *= more
        if size > most:
            lefts, rights, size = _numbered(pa.array(lefts, mask=lefts < 0), pa.array(rights, mask=rights < 0))
    return lefts, rights, size


def _column(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, int]:
    lefts, rights = fixed(left), fixed(right)
    if lefts is None or rights is None:
        return _numbered(left, right)
    left_null, right_null = nulls(left), nulls(right)
    known = lefts[~left_null] if left_null.any() else lefts
    low, high = (int(known.min()), int(known.max())) if len(known) else (0, -1)
    if high - low >= 2 * len(lefts) + 1024:  # not dense enough to be ids as they stand
        return _numbered(pa.array(lefts, mask=left_null), pa.array(rights, mask=right_null))
    outside = right_null | (rights < low) | (rights > high)
    return np.where(left_null, -1, lefts - low), np.where(outside, -1, rights - low), high - low + 1


def _numbered(left: Column, right: Column) -> tuple[np.ndarray, np.ndarray, int]:
    chunks = [left] if isinstance(left, pa.Array) else left.chunks
    parts = pa.chunked_array(chunks, left.type).dictionary_encode().chunks
    values = parts[-1].dictionary if parts else pa.array([], left.type)  # each part has all of them
    lefts = [pc.fill_null(part.indices, -1).to_numpy() for part in parts]
    rights = pc.fill_null(pc.index_in(right, value_set=values), -1)
    return np.concatenate([np.zeros(0, np.int64), *lefts]), integers(rights), len(values)
