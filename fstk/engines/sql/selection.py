"""Which rows an expression is computed for, and how two columns compare, as Spark does both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Run = Callable[[pa.Table], pa.Array]


def only_where(chosen: pa.Array, table: pa.Table, run: Run) -> pa.Array:
    """Return what ``run`` computes for the chosen rows alone, null elsewhere."""
    if pc.all(chosen).as_py() is not False:
        return run(table)
    rows = pc.indices_nonzero(chosen)
    found = run(table.take(rows))
    position = np.cumsum(chosen.to_numpy(zero_copy_only=False)) - 1
    return found.take(pa.array(position, mask=~chosen.to_numpy(zero_copy_only=False)))


def first_that_holds(tests: Sequence[Run], results: Sequence[Run], table: pa.Table) -> pa.Array:
    """Return, for each row, the result of the first test that holds, or the last result."""
    left = np.arange(table.num_rows)
    pieces: list[pa.Array] = []
    order: list[np.ndarray] = []
    for position, result in enumerate(results):
        rows = table if len(left) == table.num_rows else table.take(left)
        here = np.ones(len(left), bool)
        if position < len(tests):
            here = pc.fill_null(tests[position](rows), False).to_numpy(zero_copy_only=False).astype(bool)
        taken = rows if here.all() else rows.filter(pa.array(here))
        pieces.append(result(taken))
        order.append(left[here])
        left = left[~here]
    inverse = np.empty(table.num_rows, np.int64)
    inverse[np.concatenate(order)] = np.arange(table.num_rows)
    return pa.concat_arrays(pieces).take(pa.array(inverse))


def compare(sign: str, left: pa.Array, right: pa.Array) -> pa.Array:
    """Compare two arrays of one type by ``= <> < <= > >=``; null where a side is null."""
    if pa.types.is_null(left.type):
        return pa.nulls(len(left), pa.bool_())
    if not pa.types.is_floating(left.type):
        return _ORDER[sign](left, right)
    # NaN equals NaN and is greater than every number.
    nan_left, nan_right = pc.is_nan(left), pc.is_nan(right)
    if sign in {"=", "<>"}:
        equal = pc.or_(pc.equal(left, right), pc.and_(nan_left, nan_right))
        return equal if sign == "=" else pc.invert(equal)
    if sign in {">", ">="}:
        return compare({">": "<", ">=": "<="}[sign], right, left)
    less = pc.or_(pc.less(left, right), pc.and_(pc.invert(nan_left), nan_right))
    return less if sign == "<" else pc.or_(less, compare("=", left, right))


_ORDER = {"=": pc.equal, "<>": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
