"""Distinct values over windows: a row counts when the row before it of the same value lies outside the window."""

from __future__ import annotations

import numpy as np

from fstk.windows.exact import Spans


def distinct(entity: np.ndarray, values: np.ndarray, spans: Spans) -> np.ndarray:
    """Return how many different ``values`` each window holds; rows are grouped by ``entity``, windows are in one."""
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
