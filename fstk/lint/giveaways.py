"""Features that give the label away: a copy of it, one that tells it apart without a single mistake, or nearly so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import numpy as np
import pyarrow as pa

from fstk.lint.inputs import Input
from fstk.lint.power import codes, is_number, known, numbers

_LUCK = math.log(1e-3)  # how likely, at most, an honest feature would be perfect on these rows
_LUCK_OF_ORDER = math.log(1e-8)  # of one that follows the label, as honest features do
_LUCK_OF_A_COPY = math.log(0.02)
_CLASSES = 20  # a label of more different numbers is a quantity
_LEAST_ROWS = 4
_NEAR = {"AUC": 0.98, "R²": 0.99}
_SURE = 0.95  # what the interval of a feature that is nearly the label lies above
_ALWAYS_NEAR = {
    "AUC": 0.98,
    "R²": 0.999,
}  # when it was as near a step earlier: amounts of large and small customers are
_STRONG = {"AUC": 0.95, "R²": 0.9}
_PERSISTENT = (1.4, 6.0)  # how much more an honest state that seldom changes errs a step earlier
_PAIRED = 0.999
_TINY = 1e-9  # of two columns that are the same up to their scale
_MOST_PAIRED = 30  # columns of which pairs are looked at


def gives_away(
    feature: pa.ChunkedArray, label: pa.ChunkedArray, entity: np.ndarray
) -> Literal["copy", "predictor"] | None:
    """Return whether ``feature`` alone gives the label: a copy (or recoded, negated, rescaled) or a perfect predictor.

    Only rows with a label count. A feature's nulls (and NaN) count as a value of their own; when that is no perfect
    predictor they are left out, as long as half of the rows remain. ``entity`` numbers the rows' entities: rows of one
    entity with the same label count once, so that a name which each entity has for itself is no predictor. What chance
    alone would make perfect on so few rows is not named.
    """
    labelled = known(label)
    feature, label, entity = feature.filter(pa.array(labelled)), label.filter(pa.array(labelled)), entity[labelled]
    given = known(feature)
    for rows in (np.ones(len(given), bool), given):
        if rows.sum() >= max(_LEAST_ROWS, len(given) / 2):
            mask = pa.array(rows)
            found = _judge(feature.filter(mask), label.filter(mask), entity[rows])
            if found:
                return found
    return None


def nearly(one: Input) -> Literal["near", "falls"] | None:
    """Return whether an input is nearly the label, or so strong at the label's instant and so weak a step earlier that
    its row must hold what came after it.

    A state that seldom changes, such as a subscription, is nearly the label a step later, too, and errs about twice as
    often two steps later; that is no leak, and is not named.
    """
    if one.now is None:
        return None
    measure = one.now.measure
    if one.falls and one.same is not None and one.same.value >= _STRONG[measure]:
        return "falls"
    if one.now.right < _NEAR[measure] or one.now.low < _SURE:
        return None
    if one.same is None or one.earlier is None:
        return "near"
    ratio = max(1 - one.earlier.value, 1e-9) / max(1 - one.same.value, 1e-9)
    low, high = _PERSISTENT
    return "near" if not low < ratio < high and one.now.right >= _ALWAYS_NEAR[measure] else None


def pairs(features: Mapping[str, pa.ChunkedArray], label: pa.ChunkedArray) -> list[tuple[str, str]]:
    """Return the pairs of numbers of which neither is the label, and whose weighted sum is: or, of a label of two
    classes, whose difference or sum goes through these once each."""
    rows, kinds = known(label), codes(label)
    quantity = is_number(label.type) and int(kinds.max(initial=0)) > 1
    kinds = np.unique(kinds[rows], return_inverse=True)[1]
    columns = {name: numbers(one)[rows] for name, one in features.items() if is_number(one.type)}
    columns = {name: one for name, one in columns.items() if np.isfinite(one).all() and np.ptp(one) > 0}
    names = list(columns)[:_MOST_PAIRED]
    if len(names) < 2 or len(kinds) < _CLASSES or kinds.max() == 0:
        return []
    if quantity:
        correlations = np.corrcoef([*(columns[name] for name in names), numbers(label)[rows]])
        return [(names[one], names[two]) for one, two in _explaining(correlations)]
    if kinds.max() > 1 or _luck_of_order(np.bincount(kinds)) >= _LUCK_OF_ORDER:
        return []
    two = combinations(names, 2)
    return [(one, other) for one, other in two if _apart(columns[one], columns[other], kinds)]


def _explaining(correlations: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of columns that explain the last one, which neither does alone."""
    found = []
    for one, other in combinations(range(len(correlations) - 1), 2):
        left, right, both = correlations[one, -1], correlations[other, -1], correlations[one, other]
        if 1 - both**2 < _TINY or max(left**2, right**2) > _NEAR["R²"]:
            continue
        if (left**2 + right**2 - 2 * left * right * both) / (1 - both**2) >= _PAIRED:
            found.append((one, other))
    return found


def _apart(left: np.ndarray, right: np.ndarray, classes: np.ndarray) -> bool:
    orders = (np.argsort(value, kind="stable") for value in (left - right, left + right))
    return any((np.diff(classes[order]) != 0).sum() == 1 for order in orders)


def _judge(feature: pa.ChunkedArray, label: pa.ChunkedArray, entity: np.ndarray) -> Literal["copy", "predictor"] | None:
    classes, values = codes(label), codes(feature)
    kinds = int(classes.max()) + 1
    if kinds == 1:
        return None
    if kinds > _CLASSES and is_number(label.type):
        return _same_quantity(feature, label)
    single = np.unique(np.stack([entity, values, classes]), axis=1, return_index=True)[1]
    if len(np.unique(values * kinds + classes)) != int(values.max()) + 1:
        return None  # a value that goes with two classes
    by_class = np.bincount(classes[single])
    pure = _luck_of_values(np.bincount(values[single]), by_class / by_class.sum())
    # With as many values as classes every value names one class: the label under other names.
    if int(values.max()) + 1 == kinds and pure < _LUCK_OF_A_COPY:
        return "copy"
    # A value that only one row has tells nothing: classes told by it alone may be one at most.
    alone = np.bincount(values)[values] == 1
    told = len(np.unique(classes[alone])) <= 1
    if _ordered(feature.take(single), classes[single]):  # as an honest number may be, which follows the label
        return "predictor" if _luck_of_order(by_class) < _LUCK_OF_ORDER else None
    return "predictor" if told and pure < _LUCK else None


def _ordered(feature: pa.ChunkedArray, classes: np.ndarray) -> bool:
    """Tell whether a number, sorted, goes through the classes once each."""
    if not (is_number(feature.type) or pa.types.is_temporal(feature.type)):
        return False
    order = np.argsort(numbers(feature), kind="stable")
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
    if not is_number(feature.type) or feature.null_count:
        return None
    left, right = numbers(feature), numbers(label)
    ok = np.isfinite(left) & np.isfinite(right)
    left, right = left[ok], right[ok]
    if len(left) < 2 * _LEAST_ROWS or left.std() == 0 or right.std() == 0:
        return None
    return "copy" if abs(float(np.corrcoef(left, right)[0, 1])) > 1 - 1e-9 else None
