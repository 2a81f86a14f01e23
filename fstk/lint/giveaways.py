"""Features that give the label away: a copy of it, or one that tells it apart without a single mistake."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import doubles
from fstk.columns.instants import instants

_LUCK = math.log(1e-3)  # how likely, at most, an honest feature would be perfect on these rows
_LUCK_OF_A_COPY = math.log(0.02)
_CLASSES = 20  # a label of more different numbers is a quantity
_LEAST_ROWS = 4


def gives_away(
    feature: pa.ChunkedArray, label: pa.ChunkedArray, entity: np.ndarray
) -> Literal["copy", "predictor"] | None:
    """Return whether ``feature`` alone gives the label: a copy (or recoded, negated, rescaled) or a perfect predictor.

    Only rows with a label count. A feature's nulls (and NaN) count as a value of their own; when that is no perfect
    predictor they are left out, as long as half of the rows remain. ``entity`` numbers the rows' entities: rows of one
    entity with the same label count once, so that a name which each entity has for itself is no predictor. What chance
    alone would make perfect on so few rows is not named.
    """
    known = _known(label)
    feature, label, entity = feature.filter(pa.array(known)), label.filter(pa.array(known)), entity[known]
    given = _known(feature)
    for rows in (np.ones(len(given), bool), given):
        if rows.sum() >= max(_LEAST_ROWS, len(given) / 2):
            mask = pa.array(rows)
            found = _judge(feature.filter(mask), label.filter(mask), entity[rows])
            if found:
                return found
    return None


def _judge(feature: pa.ChunkedArray, label: pa.ChunkedArray, entity: np.ndarray) -> Literal["copy", "predictor"] | None:
    classes, values = _codes(label), _codes(feature)
    kinds = int(classes.max()) + 1
    if kinds == 1:
        return None
    if kinds > _CLASSES and _number(label.type):
        return _same_quantity(feature, label)
    single = np.unique(np.stack([entity, values, classes]), axis=1, return_index=True)[1]
    if len(np.unique(values * kinds + classes)) != int(values.max()) + 1:
        return None  # a value that goes with two classes
    by_class = np.bincount(classes[single])
    pure = _luck_of_values(np.bincount(values[single]), by_class / by_class.sum())
    # With as many values as classes every value names one class: the label under other names.
    if int(values.max()) + 1 == kinds and pure < _LUCK_OF_A_COPY:
        return "copy"
    if pure < _LUCK or (_ordered(feature.take(single), classes[single]) and _luck_of_order(by_class) < _LUCK):
        return "predictor"
    return None


def _ordered(feature: pa.ChunkedArray, classes: np.ndarray) -> bool:
    """Tell whether a number, sorted, goes through the classes once each."""
    if not (_number(feature.type) or pa.types.is_temporal(feature.type)):
        return False
    order = np.argsort(_floats(feature), kind="stable")
    return int((np.diff(classes[order]) != 0).sum()) == len(np.unique(classes)) - 1


def _luck_of_values(by_value: np.ndarray, shares: np.ndarray) -> float:
    """Return the log of the chance that the rows of each value are all of one class."""
    sizes, times = np.unique(by_value, return_counts=True)
    return float(sum(n * math.log(max((shares**k).sum(), 1e-300)) for k, n in zip(sizes, times, strict=True)))


def _luck_of_order(by_class: np.ndarray) -> float:
    """Return the log of the chance that rows in random order come class by class."""
    ways = math.lgamma(by_class.sum() + 1) - sum(math.lgamma(count + 1) for count in by_class)
    return math.lgamma(len(by_class) + 1) - ways


def _same_quantity(feature: pa.ChunkedArray, label: pa.ChunkedArray) -> Literal["copy"] | None:
    if not _number(feature.type) or feature.null_count:
        return None
    left, right = _floats(feature), _floats(label)
    ok = np.isfinite(left) & np.isfinite(right)
    left, right = left[ok], right[ok]
    if len(left) < 2 * _LEAST_ROWS or left.std() == 0 or right.std() == 0:
        return None
    return "copy" if abs(float(np.corrcoef(left, right)[0, 1])) > 1 - 1e-9 else None


def _known(column: pa.ChunkedArray) -> np.ndarray:
    known = np.asarray(pc.is_valid(column).to_numpy())
    if pa.types.is_floating(column.type):
        known &= ~np.isnan(_floats(column))
    return known


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number from 0 for each value, equal values alike, null and NaN together as one."""
    known = _known(column)
    encoded = pc.if_else(pa.array(known), column, pa.scalar(None, column.type)).combine_chunks()
    indices = encoded.dictionary_encode().indices
    return np.unique(pc.fill_null(indices, len(encoded)).to_numpy(zero_copy_only=False), return_inverse=True)[1]


def _number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """Return numbers and instants as floats, null as NaN."""
    if pa.types.is_temporal(column.type):
        times, null = instants(column)
        return np.where(null, np.nan, times.astype(float))
    return doubles(column).to_numpy(zero_copy_only=False)
