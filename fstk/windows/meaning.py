"""What windowed features are, as a table that they are written to will tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from fstk.engines.base import TableVersion
from fstk.tables.definition import FeatureDefinition
from fstk.windows.calendar import Calendar

if TYPE_CHECKING:
    from fstk.windows.features import WindowedFeatures

_OWN = {"source", "entity", "timestamp", "aggregates", "windows", "closed", "expression", "name"}


def definitions(features: WindowedFeatures, table: TableVersion | None, points: Any) -> dict[str, FeatureDefinition]:
    """Return the definition of each feature, computed of the events of ``table`` (None: of a frame) at ``points``."""
    return {
        column: FeatureDefinition(
            expression=aggregate.expression,
            window=length.name,
            entity=features.keys,
            timestamp=features.timestamp,
            closed=features.closed,
            source=None if table is None else table.name.removeprefix("default."),
            source_version=None if table is None else table.version,
            points=_told(points),
            others={**_further(features), **_further(aggregate)},
            zone=points.zone if isinstance(points, Calendar) else None,
        )
        for column, aggregate, length in features.features
    }


def _further(spec: Any) -> Mapping[str, Any]:
    """Return the arguments of a spec that a definition has no place of its own for, where they are given."""
    known = {name: one.default for name, one in spec.__pydantic_fields__.items() if name not in _OWN}
    values = {name: getattr(spec, name) for name in known}
    return {name: value for name, value in values.items() if value != known[name]}


def _told(points: Any) -> str:
    if isinstance(points, Calendar):
        given = [getattr(points, one.name) for one in fields(points)]
        return f"calendar {', '.join(str(value) for value in given if value is not None)}"
    return points if isinstance(points, str) else "a frame"
