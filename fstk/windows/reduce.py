"""Windows reduced to one number each: extremes, variances, deviations, slopes."""

from __future__ import annotations

from itertools import pairwise, zip_longest

import numpy as np

from fstk.windows.exact import Digits, Integers, Numbers, Spans, magnitudes, normal, scientific, sums

# Products of two digits below 2^27, up to 128 of them, stay below 2^61.
_WIDTH = 27


def extremes(values: np.ndarray, spans: Spans, better: np.ufunc) -> np.ndarray:
    """Return the least (``better`` is np.minimum) or greatest (np.maximum) of ``values`` in each window, shaped as
    ``spans.low``; 0 where the window is empty."""
    low, length = spans.low.ravel(), spans.length.ravel()
    level = (np.frexp(length.astype(np.float64))[1] - 1).astype(np.int8)  # −1 for an empty window
    order = np.argsort(level, kind="stable")
    ends = np.searchsorted(level[order], np.arange(-1, spans.longest.bit_length()), side="right")
    out, table = np.zeros(len(length), values.dtype), values
    # A table of the extreme of every run of 2^k rows, two of which cover a window, is kept for one k at a time: each
    # window is answered at the level of its own length.
    for step, (start, end) in enumerate(pairwise(ends)):
        if step:
            half = 1 << (step - 1)
            table = better(table[:-half], table[half:])
        at = order[start:end]
        out[at] = better(table[low[at]], table[low[at] + length[at] - (1 << step)])
    return out.reshape(spans.low.shape)


Scientific = tuple[np.ndarray, np.ndarray]
"""Fractions and powers: each number is fraction · 2^power, rounded once."""


def picked(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the values at positions, anything where there is none."""
    return values[np.clip(positions, 0, len(values) - 1)] if len(values) else np.zeros(positions.shape, values.dtype)


def spread(numbers: Numbers, spans: Spans, count: np.ndarray) -> Scientific:
    """Return n·Σx² − (Σx)² of each window of n = ``count`` values.

    It is exact in integers, so nothing cancels: values around 1e16 that differ by 1 are as right as any, 1e300 and
    1e-300 neither overflow nor vanish.
    """
    digits = numbers.digits(_WIDTH)
    size, _ = magnitudes(digits, _WIDTH)
    total, _ = magnitudes(_grown(sums(digits, spans)), _WIDTH)
    fraction, power = _excess(sums(_product(size, size), spans), count, _product(total, total))
    return fraction, power + 2 * numbers.exponent


def variances(spread: Scientific, divisor: np.ndarray) -> np.ndarray:
    """Return ``spread`` / ``divisor``."""
    fraction, power = spread
    return np.ldexp(fraction / divisor, power)


def deviations(spread: Scientific, divisor: np.ndarray) -> np.ndarray:
    """Return √(``spread`` / ``divisor``)."""
    fraction, power = spread
    odd = power & 1
    return np.ldexp(np.sqrt(np.ldexp(fraction, odd) / divisor), (power - odd) // 2)


def slopes(
    times: Integers, numbers: Numbers, spans: Spans, count: np.ndarray, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of ``numbers`` on ``times`` (≥ 0) by least squares in each window of ``count`` rows, per
    ``unit`` of time, and whether there are two different times at least."""
    below, below_power = spread(times, spans, count)
    moments, digits = times.digits(_WIDTH), numbers.digits(_WIDTH)
    total = _product(_grown(sums(moments, spans)), _grown(sums(digits, spans)))
    above, power = _excess(sums(_product(moments, digits), spans), count, total)
    return np.ldexp(above / below * unit, power + numbers.exponent - below_power), below > 0


def _excess(products: Digits, count: np.ndarray, total: Digits) -> Scientific:
    """Return ``count`` · ``products`` − ``total``."""
    grown = [digit * count for digit in _grown(products)]
    places = zip_longest(grown, total, fillvalue=np.zeros_like(count))
    return scientific([a - b for a, b in places], _WIDTH)


def _grown(digits: Digits) -> Digits:
    # One more place, so that the highest digit is small again and products of digits fit.
    return normal([*digits, np.zeros_like(digits[0])], _WIDTH)


def _product(left: Digits, right: Digits) -> Digits:
    places = [np.zeros_like(left[0]) for _ in range(len(left) + len(right))]
    # One 1e300 among cents makes forty digits, of which five are anything but zero.
    there = [j for j, b in enumerate(right) if b.any()]
    for i, a in enumerate(left):
        for j in there if a.any() else ():
            places[i + j] += a * right[j]
    return normal(places, _WIDTH)
