"""Where each window begins and ends among the events: rows laid out by entity and time, in parts that fit the cache."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.columns.instants import add_months, instants
from fstk.columns.keys import pair_ids
from fstk.windows.exact import Spans

PART_ROWS = 32_768
"""Events and points of one part; one hot entity is divided by time, into parts that overlap by its longest window."""
_MOST_PARTS = 60_000  # part numbers fit 16 bits, which NumPy sorts in linear time
_ROOM = 1 << 62
_FAR = 1 << 61  # microseconds, some 73,000 years: beyond all instants of the rules, with room for arithmetic
_LONGEST_MONTH = 31 * 86_400_000_000
Pair = tuple[np.ndarray, np.ndarray]
"""Row numbers of a part's events, and of its points."""


@dataclass(frozen=True)
class Months:
    """A window's length in calendar months."""

    number: int


Reach = int | Months | None
"""How far a window reaches back: microseconds, months, or without a beginning."""


@dataclass(frozen=True)
class Rows:
    """Events or points: ``entity`` from 0, −1 where a key or the time is null; ``time`` in µs, within ±2^61.

    Windows end at the points' ``time``; ``asked`` are the points' own instants where these are others.
    """

    entity: np.ndarray
    time: np.ndarray
    asked: np.ndarray | None = None


@dataclass(frozen=True)
class Part:
    """Row numbers of points of some entities, and of all events that their windows may hold, ordered by ``entity`` and
    ``time``; ``asked`` are the points' instants, ``spans`` their windows over the positions of ``events``."""

    events: np.ndarray
    entity: np.ndarray
    time: np.ndarray
    points: np.ndarray
    asked: np.ndarray
    spans: Spans


def number_entities(tables: Sequence[tuple[pa.Table, Sequence[str], str]]) -> list[Rows]:
    """Number the entities of one table, or alike those of two; each comes with its key columns and its time column.

    A row of the second table gets −1 too when its entity is not in the first.
    """
    (first, first_keys, _), *others = tables
    last, last_keys, _ = others[0] if others else (first.slice(0, 0), first_keys, "")
    most = 4 * (first.num_rows + last.num_rows) + 1024  # entities, few enough for an array of them
    ids = pair_ids(first, first_keys, last, last_keys, most)
    rows = []
    for (table, _, column), entity in zip(tables, ids[:2], strict=False):
        time, unknown = instants(table.column(column))
        rows.append(Rows(np.where(unknown, -1, entity) if unknown.any() else entity, np.clip(time, -_FAR, _FAR)))
    return rows


def divide(events: Rows, points: Rows, longest: int | None, size: int = PART_ROWS) -> list[Pair]:
    """Return parts; points that can have no event are left out.

    ``longest`` is the longest window in µs, None when one has no beginning: a hot entity then stays in one part.
    """
    entities = int(events.entity.max(initial=-1)) + 1
    if entities == 0:
        return []
    weight = np.zeros(entities, np.int64)
    for rows in {id(events): events, id(points): points}.values():
        weight += np.bincount(rows.entity[(rows.entity >= 0) & (rows.entity < entities)], minlength=entities)
    filled = np.cumsum(weight)
    size = max(size, int(filled[-1]) // _MOST_PARTS + 1)
    part = (filled - weight) // size
    event_rows = _by_part(events, part)
    point_rows = event_rows if points is events else _by_part(points, part)
    pairs: list[Pair] = []
    for pair in zip(event_rows, point_rows, strict=True):
        if longest is not None and max(map(len, pair)) > 2 * size:
            pairs += _by_time(events, points, pair, min(longest, _ROOM), size)
        else:
            pairs.append(pair)
    return [pair for pair in pairs if len(pair[0]) and len(pair[1])]


def _by_time(events: Rows, points: Rows, pair: Pair, longest: int, size: int) -> list[Pair]:
    """Divide a part at instants between its points; each slice gets the events that its windows reach back to.

    A slice is as long as the longest window or longer, so that events are in two slices on average, not in all.
    """
    event_rows, event_time = _in_time(events, pair[0])
    point_rows, point_time = (event_rows, event_time) if points is events else _in_time(points, pair[1])
    moments = event_time if points is events else np.sort(np.concatenate([event_time, point_time]))
    marks = moments[::size]
    reach = np.searchsorted(event_time, marks, side="right") - np.searchsorted(event_time, marks - longest)
    begin = np.searchsorted(point_time, moments[:: max(size, int(reach.max()))])
    pairs = []
    for start, end in itertools.pairwise([*begin.tolist(), len(point_time)]):
        if start < end:
            low = np.searchsorted(event_time, point_time[start] - longest)
            high = np.searchsorted(event_time, point_time[end - 1], side="right")
            pairs.append((event_rows[low:high], point_rows[start:end]))
    return pairs


def _in_time(rows: Rows, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    some = some[np.argsort(rows.time[some])]
    return some, rows.time[some]


def _by_part(rows: Rows, part: np.ndarray) -> list[np.ndarray]:
    count = int(part[-1]) + 1
    if count == 1:
        return [np.flatnonzero((rows.entity >= 0) & (rows.entity < len(part)))]
    lookup = np.concatenate([part, [count]]).astype(np.uint16)  # the last number is for rows of no entity
    number = lookup[np.where(rows.entity >= 0, np.minimum(rows.entity, len(part)), len(part))]
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number, minlength=count + 1))
    return np.split(order, ends[:-1])[:count]


class _Places:
    """The instants of one part's events as small numbers in their order, which leave room for a number of entities.

    They are microseconds from the first event or, where these would be too far apart, ranks among the instants.
    """

    def __init__(self, time: np.ndarray, entities: int) -> None:
        self._first, self._last = int(time.min()), int(time.max())
        self._ranked = np.unique(time) if (self._last - self._first + 2) * entities >= _ROOM else None
        self.number = self._last - self._first + 2 if self._ranked is None else len(self._ranked) + 1

    def of(self, at: np.ndarray) -> np.ndarray:
        """Return the place of the first event that is not before each instant; past the last event the last place."""
        if self._ranked is None:
            return np.clip(at, self._first, self._last + 1) - self._first
        return np.searchsorted(self._ranked, at)


def longest_of(lengths: Sequence[Reach]) -> int | None:
    """Return what no window is longer than, in µs; None when one has no beginning."""
    bounded = [one.number * _LONGEST_MONTH if isinstance(one, Months) else one for one in lengths]
    known = [one for one in bounded if one is not None]
    return max(known) if len(known) == len(lengths) else None


def _begins(end: np.ndarray, length: int | Months) -> np.ndarray:
    return add_months(end, -length.number) if isinstance(length, Months) else end - min(length, _ROOM)


def lay_out(events: Rows, points: Rows, pair: Pair, lengths: Sequence[Reach], closed: str) -> Part:
    """Order one part and find its windows; ``closed`` as in docs/rules.md#windows-1."""
    event_rows, point_rows = pair
    entity, asked = events.entity[event_rows], points.entity[point_rows]
    lowest = min(int(entity.min()), int(asked.min()))
    places = _Places(events.time[event_rows], max(int(entity.max()), int(asked.max())) - lowest + 1)
    start = (entity - lowest) * places.number  # each entity's keys begin here
    key = start + places.of(events.time[event_rows])
    order = _order(key)
    key = key[order]

    if point_rows is event_rows:
        point_order, point_time, start = order, points.time[point_rows][order], start[order]
    else:
        point_time, start = points.time[point_rows], (asked - lowest) * places.number
        point_order = _order(start + places.of(point_time))
        point_time, start = point_time[point_order], start[point_order]

    # Instants lie within 2^61 µs and lengths within 2^62, so nothing wraps.
    end = point_time if closed == "left" else point_time + 1
    high = np.searchsorted(key, start + places.of(end))
    low = []
    for length in lengths:
        place = 0 if length is None else places.of(_begins(point_time, length) + (closed == "right"))
        low.append(np.searchsorted(key, start + place))
    event_rows, point_rows = event_rows[order], point_rows[point_order]
    asked_at = point_time if points.asked is None else points.asked[point_rows]
    return Part(event_rows, entity[order], events.time[event_rows], point_rows, asked_at, Spans(np.stack(low), high))


def _order(key: np.ndarray) -> np.ndarray:
    if len(key) < 2 or (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    return np.argsort(key)
