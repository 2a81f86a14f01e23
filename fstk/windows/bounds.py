"""Where each window begins and ends among the events: rows laid out by entity and time, in parts that fit the cache."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.columns.ordinals import instants, ordinals

PART_ROWS = 32_768
"""Events and points of one part; one hot entity is divided by time, into parts that overlap by its longest window."""
_MOST_PARTS = 60_000  # part numbers fit 16 bits, which NumPy sorts in linear time
_ROOM = 1 << 62


@dataclass(frozen=True)
class Rows:
    """Events or points: ``entity`` numbers their entities from 0, −1 where a key or the time is null; ``time`` in
    µs."""

    entity: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Part:
    """Points of some entities, and all events that their windows may hold.

    ``events`` are row numbers of the events, ordered by entity and time, ``entity`` their entities; ``points`` are row
    numbers of the points; window w of a point holds the event positions ``low[w]`` ≤ position < ``high``.
    """

    events: np.ndarray
    entity: np.ndarray
    points: np.ndarray
    low: Sequence[np.ndarray]
    high: np.ndarray


def number_entities(tables: Sequence[tuple[pa.Table, Sequence[str], str]]) -> list[Rows]:
    """Number the entities of several tables alike; each comes with its key columns and its time column."""
    sizes = [table.num_rows for table, _, _ in tables]
    known = np.ones(sum(sizes), bool)
    code = np.zeros(sum(sizes), np.int64)
    for position in range(len(tables[0][1])):
        columns = [table.column(keys[position]) for table, keys, _ in tables]
        found = ordinals(pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type))
        if found.valid is not None:
            known &= found.valid
        values = _dense(found.values)
        code = values if position == 0 else _dense(code * (int(values.max(initial=0)) + 1) + values)
    rows = []
    start = 0
    for (table, _, time), size in zip(tables, sizes, strict=True):
        micros, valid = instants(table.column(time))
        ok = known[start : start + size] if valid is None else known[start : start + size] & valid
        entity = code[start : start + size]
        rows.append(Rows(entity if ok.all() else np.where(ok, entity, -1), micros))
        start += size
    return rows


def _dense(values: np.ndarray) -> np.ndarray:
    """Return numbers from 0 that are equal where ``values`` are, not many more than there are rows."""
    if not len(values):
        return values
    lowest = int(values.min())
    if int(values.max()) - lowest <= 4 * len(values) + 1024:
        return values - lowest
    return pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)


def divide(
    events: Rows, points: Rows, longest: int | None, size: int = PART_ROWS
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (event row numbers, point row numbers) of parts; points that can have no event are left out.

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
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for own_events, own_points in zip(event_rows, point_rows, strict=True):
        if longest is not None and max(len(own_events), len(own_points)) > 2 * size:
            pairs += _by_time(events, points, own_events, own_points, min(longest, _ROOM), size)
        else:
            pairs.append((own_events, own_points))
    return [pair for pair in pairs if len(pair[0]) and len(pair[1])]


def _by_time(
    events: Rows, points: Rows, event_rows: np.ndarray, point_rows: np.ndarray, longest: int, size: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide a part at instants between its points; each slice gets the events that its windows reach back to.

    A slice is as long as the longest window or longer, so that events are in two slices on average, not in all.
    """
    event_rows, event_time = _in_time(events, event_rows)
    point_rows, point_time = (event_rows, event_time) if points is events else _in_time(points, point_rows)
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


def lay_out(
    events: Rows,
    points: Rows,
    event_rows: np.ndarray,
    point_rows: np.ndarray,
    lengths: Sequence[int | None],
    closed: str,
) -> Part:
    """Order one part and find its windows; ``lengths`` in µs, None for all that was before; ``closed`` as in the
    rules."""
    entity, time = events.entity[event_rows], events.time[event_rows]
    asked = entity if point_rows is event_rows else points.entity[point_rows]
    first_entity, last_entity = min(int(entity.min()), int(asked.min())), max(int(entity.max()), int(asked.max()))
    first, last = int(time.min()), int(time.max())
    span = last - first + 2
    place: Callable[[np.ndarray], np.ndarray] = lambda at: np.clip(at, first, last + 1) - first  # noqa: E731
    if span * (last_entity - first_entity + 1) >= _ROOM:
        moments = np.unique(time)
        span = len(moments) + 1
        place = lambda at: np.searchsorted(moments, at)  # noqa: E731
    entity -= first_entity
    key = entity * span + place(time)
    order = _order(key)
    key = key[order]

    if point_rows is event_rows:
        point_order, point_time, base = order, time[order], (entity * span)[order]
    else:
        point_time, base = points.time[point_rows], (asked - first_entity) * span
        point_order = _order(base + place(point_time))
        point_time, base = point_time[point_order], base[point_order]

    def position(back: int) -> np.ndarray:
        # Events before point − back: instants lie within 2^61 µs and lengths within 2^62, so nothing wraps.
        return np.searchsorted(key, base + place(point_time - back))

    high = position(0 if closed == "left" else -1)
    low = [
        np.searchsorted(key, base) if length is None else position(min(length, _ROOM) - (closed == "right"))
        for length in lengths
    ]
    return Part(event_rows[order], entity[order], point_rows[point_order], low, high)


def _order(key: np.ndarray) -> np.ndarray:
    if len(key) < 2 or (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    return np.argsort(key)
