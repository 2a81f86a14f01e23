"""Windows by the ranks of their values: how many are different, the k-th smallest, the most frequent.

All of them walk wavelet matrices: bit by bit from the highest, rows whose number has a 0 are moved before those with a
1, and every window follows the half that holds its answer. A window of a million rows costs as much as one of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fstk.windows.exact import Spans
from fstk.windows.reduce import picked

_FEW = 32  # different values of an entity, up to which each is counted in a pass of its own


@dataclass(frozen=True)
class Ranked:
    """Rows grouped by ``entity``, each with a value; windows lie within one entity."""

    entity: np.ndarray
    values: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """The rows by entity, value and position."""
        return np.lexsort((self.values, self.entity))  # stable: equal pairs stay in the order of their rows

    @cached_property
    def sorted(self) -> np.ndarray:
        """The values by entity and value."""
        return self.values[self.order]

    @cached_property
    def begins(self) -> np.ndarray:
        """For each row the position of its entity's first."""
        return np.maximum.accumulate(np.where(_changes(self.entity), np.arange(len(self.entity)), 0))

    @cached_property
    def group(self) -> np.ndarray:
        """For each sorted row a number of its entity and value, ascending from 0."""
        return np.cumsum(_changes(self.entity) | _changes(self.sorted)) - 1

    @cached_property
    def ranks(self) -> np.ndarray:
        """For each row its position among its entity's in the order of values."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(len(self.order)) - self.begins
        return ranks


def distinct(rows: Ranked, spans: Spans) -> np.ndarray:
    """Return how many different values each window holds.

    A row counts when the row before it of the same value lies outside the window.
    """
    order = rows.order
    previous = np.zeros(len(order), np.int64)  # one plus its position; 0 when there is none
    previous[order[1:]] = np.where(rows.group[1:] == rows.group[:-1], order[:-1] + 1, 0)
    return _below(previous, spans, spans.low + 1)


def smallest(rows: Ranked, spans: Spans, place: np.ndarray) -> np.ndarray:
    """Return the value at ``place`` (from 0; of the windows' shape, or several such arrays) in the order of each
    window's values; anything where there is none."""
    ranks, (low, high) = rows.ranks, _both(spans)
    begin = picked(rows.begins, low)
    rank = np.zeros(place.shape, np.int64)
    for bit in reversed(range(_bits(ranks))):
        before, order = _halves(ranks, bit)
        zero_low, zero_high = before[low], before[high]
        up = place >= zero_high - zero_low
        place = np.where(up, place - (zero_high - zero_low), place)
        low = np.where(up, before[-1] + low - zero_low, zero_low)
        high = np.where(up, before[-1] + high - zero_high, zero_high)
        rank |= up.astype(np.int64) << bit
        ranks = ranks[order]
    return picked(rows.sorted, begin + rank)


def most_frequent(rows: Ranked, spans: Spans) -> np.ndarray:
    """Return the value that is most often in each window, of equals the smallest; anything where there is none.

    Values that an entity has often are few: each is counted in a pass over the rows. The passes for the others look for
    a value that is there once, twice, … as often as such a value can be.
    """
    if not len(rows.group):
        return np.zeros(spans.low.shape, np.int64)
    size = np.bincount(rows.group)
    first = np.cumsum(size) - size
    entity_begin = rows.begins[first]
    number = np.arange(len(size)) - np.searchsorted(entity_begin, entity_begin)  # among the values of its entity
    most_rows = int((np.arange(len(rows.begins)) - rows.begins).max()) + 1
    often = size > (0 if int(number.max()) < _FEW else int(np.sqrt(most_rows)))
    counted, group = _of_frequent(rows, spans, often, entity_begin)
    rest, other = _of_rare(rows, spans, ~often)
    better = (rest > counted) | ((rest == counted) & (other < group))
    return rows.sorted[first[np.where(better, other, group)]]


def _of_frequent(rows: Ranked, spans: Spans, often: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the greatest count of a group that is ``often`` there, and the group; ``begin``: its entity's rows."""
    low, high = _both(spans)
    best, group = np.zeros(low.shape, np.int64), np.zeros(low.shape, np.int64)
    groups = np.flatnonzero(often)
    number = np.arange(len(groups)) - np.searchsorted(begin[groups], begin[groups])
    turn = np.full(len(often), -1)
    turn[groups] = number
    turn_of_row = np.empty(len(rows.order), np.int64)
    turn_of_row[rows.order] = turn[rows.group]
    first = np.searchsorted(begin[groups], picked(rows.begins, low))
    for one in range(int(number.max(initial=-1)) + 1):
        count = _counts(turn_of_row == one, low, high)
        better = count > best
        best = np.where(better, count, best)
        group = np.where(better, first + one, group)
    return best, picked(groups, group)


def _of_rare(rows: Ranked, spans: Spans, rare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the greatest count of a ``rare`` group, and the smallest group of that count."""
    low, high = (side.ravel() for side in _both(spans))
    best, group = np.zeros(low.shape, np.int64), np.zeros(low.shape, np.int64)
    total, windows = len(rows.order), np.arange(len(low))
    starts = np.flatnonzero(rare[rows.group])  # in sorted order
    count = 0
    ahead: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    while len(windows):
        count += 1
        starts = starts[starts + count - 1 < total]
        starts = starts[rows.group[starts + count - 1] == rows.group[starts]]
        # From each row on, the nearest row at which a value has been seen ``count`` times.
        position, reach = rows.order[starts], rows.order[starts + count - 1]
        nearest = np.full(total + 1, total)
        nearest[position] = reach
        nearest = np.minimum.accumulate(nearest[::-1])[::-1]
        held = nearest[low[windows]] < high[windows]
        done = windows[~held]
        if ahead is not None and len(done):
            group[done] = _least_held(*ahead, low[done], high[done])
        windows = windows[held]
        best[windows] = count
        ahead = position, reach, rows.group[starts]
    shape = spans.low.shape
    return best.reshape(shape), group.reshape(shape)


def _least_held(
    position: np.ndarray, reach: np.ndarray, group: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return for each window the least group whose stretch from ``position`` to ``reach`` lies in it; there is one."""
    by_reach = np.argsort(reach)
    places = np.sort(position)
    ranks, group = np.searchsorted(places, position)[by_reach], group[by_reach]
    least = np.searchsorted(places, low)
    begin, end = np.zeros(len(low), np.int64), np.searchsorted(reach[by_reach], high)
    best = np.full(len(low), np.iinfo(np.int64).max)
    for bit in reversed(range(_bits(ranks))):
        before, order = _halves(ranks, bit)
        zero_begin, zero_end = before[begin], before[end]
        one_begin, one_end = before[-1] + begin - zero_begin, before[-1] + end - zero_end
        ranks, group = ranks[order], group[order]
        # All of a node's ones lie in the window when its own bit is 0.
        so_far = _least_so_far(group, ranks >> bit)
        up = (least >> bit) & 1 == 1
        whole = ~up & (one_end > one_begin)
        best[whole] = np.minimum(best[whole], so_far[one_end[whole] - 1])
        begin, end = np.where(up, one_begin, zero_begin), np.where(up, one_end, zero_end)
    last = end > begin
    best[last] = np.minimum(best[last], _least_so_far(group, ranks)[end[last] - 1])
    return best


def _least_so_far(values: np.ndarray, node: np.ndarray) -> np.ndarray:
    """Return the least of the values up to each, within a run of one ``node``; values are from 0."""
    shift = np.cumsum(_changes(node)) * (int(values.max(initial=0)) + 1)
    return np.minimum.accumulate(values - shift) + shift


def _below(numbers: np.ndarray, spans: Spans, limit: np.ndarray) -> np.ndarray:
    """Return how many of each window's ``numbers`` (0 ≤ number ≤ rows) are below its ``limit`` (≤ rows + 1)."""
    count = np.zeros(limit.shape, np.int64)
    low, high = _both(spans)
    for bit in reversed(range((len(numbers) + 1).bit_length())):
        before, order = _halves(numbers, bit)
        zero_low, zero_high = before[low], before[high]
        up = (limit >> bit) & 1 == 1
        count += np.where(up, zero_high - zero_low, 0)
        low = np.where(up, before[-1] + low - zero_low, zero_low)
        high = np.where(up, before[-1] + high - zero_high, zero_high)
        numbers = numbers[order]
    return count


def _halves(numbers: np.ndarray, bit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how many numbers before each position, and in all, have a 0 at ``bit``, and the order that moves these
    before the others."""
    ones = (numbers >> bit) & 1
    before = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(1 - ones, out=before[1:])
    return before, np.concatenate([np.flatnonzero(ones == 0), np.flatnonzero(ones)])


def _counts(chosen: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    before = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(chosen, out=before[1:])
    return before[high] - before[low]


def _changes(values: np.ndarray) -> np.ndarray:
    """Return which rows differ from the one before."""
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])


def _both(spans: Spans) -> tuple[np.ndarray, np.ndarray]:
    return spans.low, np.broadcast_to(spans.high, spans.low.shape)


def _bits(numbers: np.ndarray) -> int:
    return int(numbers.max(initial=0)).bit_length()
