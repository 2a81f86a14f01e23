"""What labels see of feature tables before and after a rewriting, and the first place where it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from fstk.training.kernel import as_of_join, times
from fstk.training.resolve import Join

_ROUNDING = 1e-12  # of sums that Spark adds up in another order


@dataclass(frozen=True)
class Difference:
    """One feature of one label that changed: the label's row, the ``table`` and its ``feature``, both values, and how
    many labels it differs for."""

    row: int
    table: str
    feature: str
    before: Any
    after: Any
    labels: int


def differences(
    labels: pa.Table,
    joins: Sequence[Join],
    before: Mapping[str, pa.Table],
    after: Mapping[str, pa.Table],
    left_out: str | None,
) -> list[Difference]:
    """Return for each feature that any label sees another value of the newest such label; ``left_out`` is the label's
    own column, which may know the future."""
    found = []
    for join in joins:
        one, other = (
            as_of_join(labels.select(list(join.label_columns)), rows[join.table], join) for rows in (before, after)
        )
        for output in join.outputs:
            if output.feature == left_out:
                continue
            rows = np.flatnonzero(_differ(one.column(output.name), other.column(output.name)))
            if len(rows):
                at, _ = times(labels, join.label_time)
                row = int(rows[np.argmax(at[rows])])
                old, new = (joined.column(output.name)[row].as_py() for joined in (one, other))
                found.append(Difference(row, join.table, output.feature, old, new, len(rows)))
    return found


def _differ(before: pa.ChunkedArray, after: pa.ChunkedArray) -> np.ndarray:
    left, right = pl.Series(before), pl.Series(after)
    differ = left.ne_missing(right).to_numpy()
    if pa.types.is_floating(before.type):
        one, other = (side.fill_null(np.nan).to_numpy() for side in (left, right))
        both = np.isfinite(one) & np.isfinite(other)
        far = np.abs(one[both] - other[both]) > _ROUNDING * np.maximum(np.abs(one[both]), np.abs(other[both]))
        differ = differ.copy()
        differ[both] &= far
    return differ
