"""Values of a windowed feature, down to the events that made them, and computed again from these alone."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.keys import pair_ids
from fstk.engines.types import quoted_name
from fstk.tables.definition import FeatureDefinition
from fstk.windows.expression import Parsed
from fstk.windows.recorded import declared
from fstk.windows.spec import Aggregate

_ENTITY = "__fstk_entity"
_NAME = "value"
_GROUP = "group_by"  # an argument of Aggregate that makes its value a map


@dataclass(frozen=True)
class Trace:
    """Of each point the events that count in its window, and the value that is computed of no other: ``events[i]``
    belongs to the point in row ``of[i]``."""

    events: pa.Table
    of: np.ndarray
    values: pa.ChunkedArray


def trace(definition: FeatureDefinition, events: pa.Table, points: pa.Table) -> Trace:
    """Return what made a feature at ``points``, rows of the entity's columns and an instant, all called as those of
    ``events``, which hold at least what the entities had in the windows.

    >>> at = pa.array([0, 86_400_000_000, 2 * 86_400_000_000], pa.timestamp("us", "UTC"))
    >>> events = pa.table({"id": [1, 1, 1], "at": at, "amount": [4.0, 5.0, None]})
    >>> definition = FeatureDefinition("sum(amount)", "7d", ("id",), "at", closed="both")
    >>> found = trace(definition, events, events.select(["id", "at"]).slice(2))
    >>> found.events["amount"].to_pylist(), found.values.to_pylist()
    ([4.0, 5.0], [9.0])
    """
    point, event = _pairs(definition, events, points)
    pairs, times = events.take(event), points.column(definition.timestamp)
    group = definition.others.get(_GROUP)
    counting = [_counting(call) for _, call in Aggregate(definition.expression, _NAME).parsed.aggregates]
    if group is not None:  # its value in any row of the window is a key of the map
        counting = [f"count(*) filter (where {quoted_name(group)} IS NOT NULL)"]
    ungrouped = {name: value for name, value in definition.others.items() if name != _GROUP}
    every = np.arange(len(event))

    def counts(expression: str) -> np.ndarray:
        # each pair is an entity of its own, whose one event is in the window or not
        counted_by = msgspec.structs.replace(definition, expression=expression, others=ungrouped)
        return pc.equal(_apart(counted_by, pairs, every, times.take(point), every), 1).to_numpy()

    counted = np.logical_or.reduce([counts(one) for one in counting])
    made, of = pairs.filter(pa.array(counted)), point[counted]
    return Trace(made, of, _apart(definition, made, of, times, np.arange(len(points))))


def computed(definition: FeatureDefinition, events: pa.Table, points: pa.Table) -> pa.ChunkedArray:
    """Return the feature at ``points``, rows of the entity's columns and an instant, all called as those of ``events``.

    >>> at = pa.array([0, 86_400_000_000], pa.timestamp("us", "UTC"))
    >>> events = pa.table({"id": [1, 1], "at": at, "amount": [4.0, 5.0]})
    >>> computed(FeatureDefinition("sum(amount)", "7d", ("id",), "at"), events, events.select(["id", "at"])).to_pylist()
    [None, 4.0]
    """
    made = declared({_NAME: definition}, events)
    return made.at(points).column(made.columns[_NAME])


def _counting(call: Parsed) -> str:
    """Return the aggregate that counts the rows which another looks at."""
    condition = "" if call.filter is None else f" filter (where {call.filter})"
    return f"count({call.argument or '*'}){condition}"


def same_bits(one: pa.Scalar, other: pa.Scalar) -> bool:
    """Tell whether two values are one to the last bit; every NaN is the same."""
    if one.type != other.type or one.is_valid != other.is_valid:
        return False
    if pa.types.is_map(one.type) and one.is_valid:  # in any order; a number is written so that its bits are told
        return repr(sorted(one.as_py())) == repr(sorted(other.as_py()))
    if not pa.types.is_floating(one.type) or not one.is_valid:
        return one.equals(other)
    two = np.array([one.as_py(), other.as_py()])
    return bool(np.isnan(two).all() or two[0].tobytes() == two[1].tobytes())


def _pairs(definition: FeatureDefinition, events: pa.Table, points: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers of points and events, one of each for every pair of one entity."""
    keys = definition.entity
    of_point, of_event, _ = pair_ids(points, keys, events, keys)
    order = np.argsort(of_event, kind="stable")
    first = np.searchsorted(of_event[order], of_point)
    count = np.where(of_point < 0, 0, np.searchsorted(of_event[order], of_point, side="right") - first)
    point = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(point)) - np.repeat(np.cumsum(count) - count, count)
    return point, order[first[point] + within]


def _apart(
    definition: FeatureDefinition, events: pa.Table, of: np.ndarray, times: pa.ChunkedArray, entities: np.ndarray
) -> pa.ChunkedArray:
    """Return the feature at ``times`` of ``entities``, whose events are those ``of`` them."""
    points = pa.table({_ENTITY: pa.array(entities), definition.timestamp: times})
    alone = msgspec.structs.replace(definition, entity=(_ENTITY,))
    return computed(alone, events.append_column(_ENTITY, pa.array(of)), points)
