"""Entities divided by the values of a column, so that an aggregate by that column is one of more entities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.columns.ordinals import ordinals
from fstk.windows.bounds import Rows


@dataclass(frozen=True)
class Groups:
    """``events`` by entity and value (−1 where the value is null), and each point once for every value of its entity:
    ``points`` of the rows ``point``, ascending, with the ``keys``, each point's ascending."""

    events: Rows
    points: Rows
    point: np.ndarray
    keys: pa.Array

    def map_of(self, items: pa.Array, present: np.ndarray, points: int) -> pa.MapArray:
        """Return for each of all ``points`` a map from its ``present`` keys to their items."""
        chosen = pa.array(np.flatnonzero(present))
        ends = np.cumsum(np.bincount(self.point[present], minlength=points))
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        return pa.MapArray.from_arrays(offsets, self.keys.take(chosen), items.take(chosen))


def by_group(column: pa.ChunkedArray, events: Rows, points: Rows) -> Groups:
    """Return events and points by the values of a ``column`` of the events."""
    values = ordinals(column)
    rows = np.flatnonzero((events.entity >= 0) & ~values.null)
    order = rows[np.lexsort((values.values[rows], events.entity[rows]))]
    entity, value = events.entity[order], values.values[order]
    new = np.ones(len(order), bool)
    new[1:] = (entity[1:] != entity[:-1]) | (value[1:] != value[:-1])
    group = np.full(len(events.entity), -1)
    group[order] = np.cumsum(new) - 1
    entity, value = entity[new], value[new]

    known = np.where(points.entity >= 0, points.entity, np.iinfo(np.int64).max)
    first = np.searchsorted(entity, known)
    number = np.searchsorted(entity, known, side="right") - first
    point = np.repeat(np.arange(len(number)), number)
    of = np.arange(len(point)) - np.repeat(np.cumsum(number) - number - first, number)
    asked = None if points.asked is None else points.asked[point]
    keys = values.decode(value[of], np.ones(len(of), bool))
    return Groups(Rows(group, events.time), Rows(of, points.time[point], asked), point, keys)
