"""How the values of one feature are spread, in the place of one word."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import doubles
from fstk.sparklines import LUMP, edges, shares, sparklines

_BARS = 5
TOLD = "bars: how its values are spread · %: null"


def distribution(column: pa.ChunkedArray) -> str:
    """Return bars of a column's numbers or most frequent other values, and the share of nulls, if there are any.

    >>> distribution(pa.chunked_array([[1.0, 2.0, 2.0, 3.0, None]]))
    '▅▁█▁▅ 20%'
    """
    null = column.null_count
    there = column.drop_null()
    if not len(there):
        return "null"
    pictured = _shares(there)
    bars = "" if pictured is None else sparklines([pictured])[0]
    return f"{bars} {_percent(null, len(column))}".strip()


def _shares(there: pa.ChunkedArray) -> np.ndarray | None:
    kind = there.type
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        counts = there.value_counts().field("counts").to_numpy(zero_copy_only=False)
        return np.sort(counts)[::-1][:_BARS] / len(there)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    values = doubles(there).to_numpy(zero_copy_only=False)
    finite = values[np.isfinite(values)]
    return _pictured(finite) if len(finite) else None


def _pictured(values: np.ndarray) -> np.ndarray:
    """Return shares in bins of one width, of the numbers or, where nearly all would lie in one, of their logarithms."""
    if values.min() == values.max():
        return np.ones(1)
    pictured = shares(values, edges(values, _BARS))
    if pictured.max() <= LUMP:
        return pictured
    values = np.sign(values) * np.log1p(np.abs(values))
    return shares(values, edges(values, _BARS))


def _percent(count: int, total: int) -> str:
    """Return a share in a few letters; what is some reads neither as none nor as all."""
    if count in (0, total):
        return "" if not count else "100%"
    percent = 100 * count / total
    return "<1%" if percent < 1 else ">99%" if percent > 99 else f"{percent:.0f}%"
