"""Windows reduced to one number each: distinct values, extremes, standard deviations."""

from __future__ import annotations

from itertools import pairwise, zip_longest

import numpy as np

from fstk.windows.exact import Digits, Numbers, Spans, magnitudes, normal, scientific, sums

# Products of two digits below 2^27, up to 128 of them, stay below 2^61.
_WIDTH = 27


def distinct(entity: np.ndarray, values: np.ndarray, spans: Spans) -> np.ndarray:
    """Return how many different ``values`` each window holds; rows are grouped by ``entity``, windows are in one.

    A row counts when the row before it of the same value lies outside the window.
    """
    return _below(_previous(entity, values), spans, spans.low + 1)


def _previous(entity: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return one plus the position of the row before with the same entity and value; 0 when there is none."""
    order = np.lexsort((values, entity))  # stable: equal pairs stay in the order of their rows
    same = (entity[order[1:]] == entity[order[:-1]]) & (values[order[1:]] == values[order[:-1]])
    previous = np.zeros(len(values), np.int64)
    previous[order[1:]] = np.where(same, order[:-1] + 1, 0)
    return previous


def _below(numbers: np.ndarray, spans: Spans, limit: np.ndarray) -> np.ndarray:
    """Return how many of each window's ``numbers`` (0 ≤ number ≤ rows) are below its ``limit`` (≤ rows + 1).

    A wavelet matrix, walked while it is built: bit by bit from the highest, numbers with a 0 are moved before those
    with a 1, and each window follows the half that its limit points to, counting the numbers it leaves below.
    """
    count = np.zeros(limit.shape, np.int64)
    low, high = spans.low, np.broadcast_to(spans.high, limit.shape)
    for bit in reversed(range((len(numbers) + 1).bit_length())):
        ones = (numbers >> bit) & 1
        zeros_before = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(1 - ones, out=zeros_before[1:])
        zero_low, zero_high = zeros_before[low], zeros_before[high]
        up = (limit >> bit) & 1 == 1
        count += np.where(up, zero_high - zero_low, 0)
        zeros = zeros_before[-1]
        low = np.where(up, zeros + low - zero_low, zero_low)
        high = np.where(up, zeros + high - zero_high, zero_high)
        numbers = np.concatenate([numbers[ones == 0], numbers[ones == 1]])
    return count


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


def deviations(numbers: Numbers, spans: Spans, count: np.ndarray) -> np.ndarray:
    """Return the sample standard deviation of each window of ``count`` values; meaningless where ``count`` < 2.

    With n rows, S = Σx and Q = Σx², n·Q − S² is exact in integers, so nothing cancels: values around 1e16 that differ
    by 1 are as right as any, 1e300 and 1e-300 neither overflow nor vanish.
    """
    digits = numbers.digits(_WIDTH)
    size, _ = magnitudes(digits, _WIDTH)
    excess = [digit * count for digit in _grown(sums(_product(size, size), spans))]
    total, _ = magnitudes(_grown(sums(digits, spans)), _WIDTH)
    places = zip_longest(excess, _product(total, total), fillvalue=np.zeros_like(count))
    fraction, power = scientific([a - b for a, b in places], _WIDTH)
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
