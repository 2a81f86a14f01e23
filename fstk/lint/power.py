"""What one input alone knows of the label, as a figure with its interval: AUC of classes, R² of a quantity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import doubles
from fstk.columns.instants import instants

_CLASSES = 20  # a label of more different texts tells rows apart, no classes
_BINS = 20
_LEAST_ROWS = 20
_SIGMAS = 1.96  # of an interval that holds in 95 of 100 samples
_MIX = 2_654_435_761  # Knuth's multiplier: which half an entity falls into follows no order of its rows


@dataclass(frozen=True)
class Power:
    """How well one input alone tells the label: ``value`` is an AUC (0.5 is chance) or an R² (0 is chance), with the
    interval that holds it in 95 of 100 samples; ``right`` is the share of each class on its side of the best cut
    (of a quantity: the R²)."""

    measure: Literal["AUC", "R²"]
    value: float
    low: float
    high: float
    right: float

    def __str__(self) -> str:
        return f"{self.measure} {self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def power(feature: pa.ChunkedArray, label: pa.ChunkedArray, entity: np.ndarray) -> Power | None:
    """Return what ``feature`` alone tells of ``label``, whichever of its order, its ranges or its values tells most.

    Only rows with a label count, and at least 20 of them. ``entity`` numbers the rows' entities: what a value of the
    feature stands for is learnt from one half of the entities and judged on the other, and rows of one entity that say
    the same twice narrow no interval. None for a nested feature, a label of one value or of more than 20 texts.
    """
    if pa.types.is_nested(feature.type):
        return None
    rows = known(label)
    feature, label, entity = feature.filter(pa.array(rows)), label.filter(pa.array(rows)), entity[rows]
    classes = codes(label)
    kinds = int(classes.max(initial=-1)) + 1
    if len(classes) < _LEAST_ROWS or kinds < 2 or (kinds > _CLASSES and not is_number(label.type)):
        return None
    single = len(np.unique(np.stack([entity, codes(feature), classes]), axis=1)[0]) / len(classes)
    half = (entity.astype(np.uint64) * np.uint64(_MIX) >> np.uint64(16)) % 2 == 0
    if kinds > 2 and is_number(label.type):
        return _explained(feature, numbers(label), half, single)
    return _told_apart(feature, classes, half, single)


def _told_apart(feature: pa.ChunkedArray, classes: np.ndarray, half: np.ndarray, single: float) -> Power:
    found, weights, cuts = [], [], []
    for one in range(int(classes.max()) + 1):
        member = classes == one
        learnt = _learnt(feature, member.astype(float), half)
        areas, right = [_area(learnt, member)], [_cut(learnt, member)]
        for kept in _ordered_rows(feature):
            area = _area(numbers(feature)[kept], member[kept])
            areas.append(max(area, 1 - area))
            right.append(_cut(numbers(feature)[kept], member[kept]))
        found.append(max(areas))
        weights.append(member.sum())
        cuts.append(max(right))
    value = float(np.average(found, weights=weights))
    rarest = min(weights) * single
    error = _area_error(min(value, 1 - 0.5 / max(rarest, 1)), rarest, len(classes) * single - rarest)
    return Power("AUC", value, max(0.0, value - _SIGMAS * error), min(1.0, value + _SIGMAS * error), min(cuts))


def _explained(feature: pa.ChunkedArray, label: np.ndarray, half: np.ndarray, single: float) -> Power:
    shares = [max(0.0, _correlation(_learnt(feature, label, half), label)) ** 2]
    for kept in _ordered_rows(feature):
        values, wanted = numbers(feature)[kept], label[kept]
        shares += [_correlation(values, wanted) ** 2, _correlation(_ranks(values), _ranks(wanted)) ** 2]
    value = max(shares)
    depth, error = math.atanh(min(math.sqrt(value), 1 - 1e-12)), 1 / math.sqrt(max(len(label) * single - 3, 1))
    low, high = (math.tanh(max(0.0, depth + sign * _SIGMAS * error)) ** 2 for sign in (-1, 1))
    return Power("R²", value, low, high, value)


def _ordered_rows(feature: pa.ChunkedArray) -> list[np.ndarray]:
    """Return, once for a column that has an order, the rows that have a place in it, if they are half of all."""
    if not (is_number(feature.type) or pa.types.is_temporal(feature.type)):
        return []
    kept = np.isfinite(numbers(feature))
    return [kept] if kept.sum() >= max(_LEAST_ROWS, len(kept) / 2) else []


def _learnt(feature: pa.ChunkedArray, label: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return for each row the mean label that its value (of many numbers: its range of them) has in the other half."""
    value = codes(feature)
    if len(np.unique(value)) > _BINS and _ordered_rows(feature):
        place = numbers(feature)
        edges = np.quantile(place[np.isfinite(place)], np.linspace(0, 1, _BINS + 1)[1:-1])
        value = np.where(np.isfinite(place), np.searchsorted(edges, place, side="right"), _BINS)
    score = np.empty(len(label))
    for judged in (half, ~half):
        learning = ~judged
        number = np.bincount(value[learning], minlength=int(value.max()) + 1)
        total = np.bincount(value[learning], label[learning], minlength=len(number))
        usual = label[learning].mean() if learning.any() else 0.0
        mean = np.where(number > 0, total / np.maximum(number, 1), usual)
        score[judged] = mean[value[judged]] - usual
    return score


def _area(score: np.ndarray, member: np.ndarray) -> float:
    """Return the chance that a member's score is the greater of the two, of equal ones half."""
    inside = int(member.sum())
    pairs = inside * (len(member) - inside)
    return float((_ranks(score)[member].sum() - inside * (inside + 1) / 2) / pairs) if pairs else 0.5


def _cut(score: np.ndarray, member: np.ndarray) -> float:
    """Return the mean share of members and of others on their side of the cut that parts them best."""
    inside, outside = int(member.sum()), int((~member).sum())
    if not inside or not outside:
        return 0.5
    _, which = np.unique(score, return_inverse=True)
    below = np.cumsum(np.bincount(which[member], minlength=int(which.max()) + 1)) / inside
    others = np.cumsum(np.bincount(which[~member], minlength=len(below))) / outside
    return float(0.5 + np.abs(below - others).max() / 2)


def _area_error(area: float, inside: float, outside: float) -> float:
    """Return the standard error of an area under the curve (Hanley and McNeil, 1982)."""
    one, two, square = area / (2 - area), 2 * area**2 / (1 + area), area**2
    spread = area * (1 - area) + (inside - 1) * (one - square) + (outside - 1) * (two - square)
    return math.sqrt(max(spread, 0.0) / max(inside * outside, 1.0))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[which]


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    ok = np.isfinite(left) & np.isfinite(right)
    left, right = left[ok], right[ok]
    if len(left) < _LEAST_ROWS or np.ptp(left) == 0 or np.ptp(right) == 0:
        return 0.0
    return float(np.corrcoef(left / np.abs(left).max(), right / np.abs(right).max())[0, 1])


def known(column: pa.ChunkedArray) -> np.ndarray:
    """Return which rows hold a value, which NaN is not."""
    valid = np.asarray(pc.is_valid(column).to_numpy())
    if pa.types.is_floating(column.type):
        valid &= ~np.isnan(numbers(column))
    return valid


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number from 0 for each value, equal values alike, null and NaN together as one."""
    valid = known(column)
    encoded = pc.if_else(pa.array(valid), column, pa.scalar(None, column.type)).combine_chunks()
    indices = encoded.dictionary_encode().indices
    return np.unique(pc.fill_null(indices, len(encoded)).to_numpy(zero_copy_only=False), return_inverse=True)[1]


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column of this type is a quantity."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return numbers and instants as floats, null as NaN."""
    if pa.types.is_temporal(column.type):
        times, null = instants(column)
        return np.where(null, np.nan, times.astype(float))
    return doubles(column).to_numpy(zero_copy_only=False)
