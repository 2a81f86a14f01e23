"""The mutual information of single inputs and the label, by scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fstk.errors import MissingPackage
from fstk.lint.power import codes, is_number, known, numbers
from fstk.optional import need

_PARTS = 5  # the sample is looked at in so many parts, whose spread gives the interval
_T = 2.776  # of an interval that holds in 95 of 100 samples, of five parts
_LEAST_ROWS = 20  # in a part
_DISCRETE = 20


class Information(NamedTuple):
    """Mutual information in bits, and half the length of the interval that holds it in 95 of 100 samples."""

    bits: float
    spread: float


def informations(features: Mapping[str, pa.ChunkedArray], label: pa.ChunkedArray) -> dict[str, Information]:
    """Return the information of each feature that is not nested; of none where scikit-learn is not installed, or too
    few rows have a label."""
    try:
        selection = need("sklearn.feature_selection")
    except MissingPackage:
        return {}
    rows = known(label)
    features = {name: one.filter(pa.array(rows)) for name, one in features.items() if not pa.types.is_nested(one.type)}
    label = label.filter(pa.array(rows))
    if not features or len(label) < _PARTS * _LEAST_ROWS:
        return {}
    quantity = is_number(label.type) and int(codes(label).max()) >= _DISCRETE
    wanted = numbers(label) if quantity else codes(label)
    measure = selection.mutual_info_regression if quantity else selection.mutual_info_classif
    columns, discrete = zip(*(_column(one) for one in features.values()), strict=True)
    table = np.stack(columns, axis=1)
    order = np.random.default_rng(0).permutation(len(wanted))
    parts = np.array_split(order, _PARTS)
    if not quantity and any(np.bincount(wanted[part])[np.unique(wanted[part])].min() < 2 for part in parts):
        return {}  # a class so rare says nothing of a part
    found = [
        measure(table[part], wanted[part], discrete_features=np.array(discrete), random_state=0) / math.log(2)
        for part in parts
    ]
    bits, spread = np.mean(found, axis=0), _T * np.std(found, axis=0, ddof=1) / math.sqrt(_PARTS)
    return {name: Information(float(bits[n]), float(spread[n])) for n, name in enumerate(features)}


def _column(feature: pa.ChunkedArray) -> tuple[np.ndarray, bool]:
    """Return a feature as numbers, its nulls as one of them, and whether these are names rather than quantities."""
    if not (is_number(feature.type) or pa.types.is_temporal(feature.type)):
        return codes(feature).astype(float), True
    values = numbers(feature)
    finite = values[np.isfinite(values)]
    low = finite.min() - np.ptp(finite) - 1 if len(finite) else 0.0
    return np.nan_to_num(values, nan=low, posinf=finite.max(initial=low), neginf=low), False
