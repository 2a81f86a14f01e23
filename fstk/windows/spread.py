"""Sample standard deviation over windows, from exact sums of values and of their squares.

With n rows, S = Σx and Q = Σx², n·Q − S² is exact in integers, so nothing cancels: values around 1e16 that differ by
1 are as right as any, 1e300 and 1e-300 neither overflow nor vanish.
"""

from __future__ import annotations

import numpy as np

from fstk.windows.exact import Digits, Numbers, Spans, magnitudes, normal, scientific, sums

# Products of two digits below 2^27, up to 128 of them, stay below 2^61.
_WIDTH = 27


def deviations(numbers: Numbers, spans: Spans, count: np.ndarray) -> np.ndarray:
    """Return the sample standard deviation of each window of ``count`` values; meaningless where ``count`` < 2."""
    digits = numbers.digits(_WIDTH)
    size, _ = magnitudes(digits, _WIDTH)
    excess = [digit * count for digit in _grown(sums(_product(size, size), spans))]
    total, _ = magnitudes(_grown(sums(digits, spans)), _WIDTH)
    squared = _product(total, total)
    places = max(len(excess), len(squared))
    blank = np.zeros_like(count)
    excess += [blank] * (places - len(excess))
    squared += [blank] * (places - len(squared))
    fraction, power = scientific([a - b for a, b in zip(excess, squared, strict=True)], _WIDTH)
    power = power + 2 * numbers.exponent
    odd = power & 1
    pairs = np.maximum(count, 2).astype(np.float64)
    variance = np.ldexp(fraction, odd) / (pairs * (pairs - 1.0))
    return np.ldexp(np.sqrt(variance), (power - odd) // 2)


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
