"""Two Arrow columns of one feature as two comparable samples, with their pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import doubles
from fstk.engines.types import spark_type
from fstk.errors import TypeMismatch, UnsupportedType
from fstk.sparklines import LUMP, edges, shares, sparklines

_CATEGORIES = 20  # more make the Jensen-Shannon distance of two samples of 2,000 rows near its limit by chance
_FEW_VALUES = 5
_BINS = 8
_LEAST_BINS = 3
_REACH = 10  # times the width of the reference's middle half: what lies further from its median counts as there
_OTHERS = "(others)"
Of = Literal["values", "missing", "unseen"]
"""What of a feature is compared: its values, the share of rows without one, or that of values unseen before."""


@dataclass(frozen=True)
class Sample:
    """A feature then and now: float arrays when ``numeric`` (NaN: no value), else object arrays of strings (None: no
    value); ``sizes`` counts the values of each side; ``pictures`` are two sparklines on one scale, or two shares."""

    reference: np.ndarray
    now: np.ndarray
    numeric: bool
    sizes: tuple[int, int]
    pictures: tuple[str, str]
    adjusted: str = ""
    """What was done to the numbers that are compared, as their report says it."""


def pair(name: str, reference: pa.ChunkedArray, now: pa.ChunkedArray) -> dict[Of, Sample]:
    """Return the samples of the values (unless a side has none), of what is missing (if anything is), and of values
    that the reference never had (if more than chance explains, and the categories of the values do not show it).
    TypeMismatch: columns of two kinds. UnsupportedType: arrays, maps, structs or bytes."""
    kinds = {kind for kind in (_kind(name, reference.type), _kind(name, now.type)) if kind != "void"}
    if len(kinds) > 1:
        raise TypeMismatch(
            f"feature {name} is {spark_type(reference.type)} in reference_df and {spark_type(now.type)} in current_df."
        )
    if kinds <= {"category"}:
        sides = [np.asarray(side.cast(pa.string()).to_pylist(), dtype=object) for side in (reference, now)]
        there = [np.asarray(pc.is_valid(side)) for side in (reference, now)]
    else:
        sides = [_floats(side) for side in (reference, now)]
        there = [np.isfinite(side) for side in sides]
    found: dict[Of, Sample] = {}
    if all(side.any() for side in there):
        found["values"] = _categories(sides, there) if kinds <= {"category"} else _numbers(sides, there)
        unseen = _unseen(*(side[mask].astype(str) for side, mask in zip(sides, there, strict=True)))
        if unseen and _OTHERS in found["values"].reference:
            found["unseen"] = _shares(unseen, ("known", "unseen"), there)
    if not all(side.all() for side in there):
        found["missing"] = _shares(
            [~mask for mask in there], ("present", "missing"), [np.ones_like(mask) for mask in there]
        )
    return found


def _kind(name: str, arrow: pa.DataType) -> str:
    if pa.types.is_null(arrow):
        return "void"
    if pa.types.is_string(arrow) or pa.types.is_boolean(arrow):
        return "category"
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow) or pa.types.is_decimal(arrow):
        return "number"
    if pa.types.is_timestamp(arrow) or pa.types.is_date(arrow):
        return "time"
    raise UnsupportedType(
        f"feature {name} is {spark_type(arrow)}; drift compares numbers, times, booleans and strings."
    )


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        # Seconds: the unit a person can read in the report.
        column = pc.divide(column.cast(pa.int64()).cast(pa.float64(), safe=False), 1e6)
    values = doubles(column).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)


def _numbers(sides: list[np.ndarray], there: list[np.ndarray]) -> Sample:
    clean = [side[mask] for side, mask in zip(sides, there, strict=True)]
    both = np.concatenate(clean)
    if len(np.unique(both)) <= _FEW_VALUES:
        order = {value: f"{value:.16g}" for value in np.unique(both).tolist()}  # 0.1 + 0.2 is 0.3 here
        texts = [np.asarray([order.get(value) for value in side.tolist()], dtype=object) for side in sides]
        return _categories(texts, there, list(dict.fromkeys(order.values())))
    pictured = _pictured(clean, both)
    low, middle, high = np.quantile(clean[0], [0.25, 0.5, 0.75])
    bounds = middle - _REACH * (high - low), middle + _REACH * (high - low)
    clipped = low < high and bool(both.min() < bounds[0] or both.max() > bounds[1])
    if clipped:  # else the spread is that of a few outliers, beside which no shift of all others shows
        sides, clean = ([np.clip(side, *bounds) for side in some] for some in (sides, clean))
    sides, standardised = _standardised(sides, clean)
    adjusted = ", ".join(word for word, done in (("clipped", clipped), ("standardised", standardised)) if done)
    return Sample(sides[0], sides[1], True, _sizes(there), _sparklines(pictured), adjusted)


def _pictured(clean: list[np.ndarray], both: np.ndarray) -> list[np.ndarray]:
    """Return the shares of both sides in bins of one width, or, where nearly all would lie in one of these, as money
    does, in bins that hold as many values each of the two sides together."""
    alike = edges(both, _BINS)
    pictured = [shares(side, alike) for side in clean]
    if max(float(side.max()) for side in pictured) <= LUMP:
        return pictured
    ranked = np.unique(np.quantile(both, np.linspace(0, 1, _BINS + 1)))
    return [shares(side, ranked) for side in clean] if len(ranked) > _LEAST_BINS else pictured


def _standardised(sides: list[np.ndarray], clean: list[np.ndarray]) -> tuple[list[np.ndarray], bool]:
    # Evidently takes no standard deviation below 0.001 and its histograms need distinguishable edges. Both tests of
    # numbers give the same answer after a shift and a change of unit, so extreme columns get one.
    size = max(float(np.abs(side).max()) for side in clean)
    units = [side / size for side in clean]
    spread = float(np.std(units[0])) or float(np.std(np.concatenate(units)))
    if spread > 1e-9 and 0.01 <= spread * size <= 1e100:
        return sides, False
    centre = float(np.mean(units[0]))
    return [(side / size - centre) / spread for side in sides], True


def _categories(sides: list[np.ndarray], there: list[np.ndarray], order: list[str] | None = None) -> Sample:
    """Return samples of strings; ``order`` is that of the pictures' bars, None for the most common first."""
    if order is None:
        both = np.concatenate([side[mask] for side, mask in zip(sides, there, strict=True)]).astype(str)
        names, counts = np.unique(both, return_counts=True)
        order = [str(name) for name in names[np.argsort(-counts, kind="stable")]]
    if len(order) > _CATEGORIES:
        kept = set(order[:_CATEGORIES])
        sides = [
            np.asarray([v if v is None or v in kept else _OTHERS for v in side.tolist()], dtype=object)
            for side in sides
        ]
        order = [*order[:_CATEGORIES], _OTHERS]
    shares = [
        np.array([np.count_nonzero(side[mask] == name) for name in order[:_BINS]]) / mask.sum()
        for side, mask in zip(sides, there, strict=True)
    ]
    return Sample(sides[0], sides[1], False, _sizes(there), _sparklines(shares))


def _unseen(reference: np.ndarray, now: np.ndarray) -> list[np.ndarray] | None:
    """Return which rows now have a value that the reference never had, after those of the reference whose value no
    other row of it has: so often the next row of the same data is new. None where now is no newer than that."""
    values, back, counts = np.unique(reference, return_inverse=True, return_counts=True)
    unseen, alone = ~np.isin(now, values), counts[back] == 1
    if unseen.all():  # nothing in common is no chance
        alone[:] = False
    return [alone, unseen] if unseen.mean() > alone.mean() else None


def _shares(masks: list[np.ndarray], words: tuple[str, str], among: list[np.ndarray]) -> Sample:
    sides = [np.full(len(rows), None, dtype=object) for rows in among]
    for side, mask, rows in zip(sides, masks, among, strict=True):
        side[rows] = np.array(words, dtype=object)[mask.astype(np.intp)]
    shares = [f"{100 * mask.mean():.1f} %" for mask in masks]
    return Sample(sides[0], sides[1], False, _sizes(among), (shares[0], shares[1]))


def _sizes(there: list[np.ndarray]) -> tuple[int, int]:
    return int(there[0].sum()), int(there[1].sum())


def _sparklines(pictured: list[np.ndarray]) -> tuple[str, str]:
    reference, now = sparklines(pictured)
    return reference, now
