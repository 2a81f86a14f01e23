"""Windowed features asked for by the definitions that a feature table has of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fstk.columns.length import LIFETIME
from fstk.engines.notes import notes_of
from fstk.engines.types import quoted_name
from fstk.errors import InvalidInput
from fstk.tables.definition import Definitions, FeatureDefinition
from fstk.windows import run
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

if TYPE_CHECKING:
    from fstk.engines.base import Engine, Frame
    from fstk.tables.spec import FeatureTable
    from fstk.windows.calendar import Calendar

_DECLARE = "Declare the features: WindowedFeatures(…).compute(Calendar(…))"


@dataclass(frozen=True)
class Declared:
    """What definitions say, as one declaration: ``columns`` tells for each of them its column of ``features``, whose
    windows are aligned in ``zone``."""

    features: WindowedFeatures
    columns: Mapping[str, str]
    zone: str | None

    def at(self, points: pa.Table) -> pa.Table:
        """Return ``points``, rows of the entity's columns and an instant, with the features at each."""
        engine = run.engine_for(self.features, points)
        return engine.arrow(run.compute(self.features, points, engine, zone=self.zone))


def declared(definitions: Definitions, source: str | pa.Table) -> Declared:
    """Return the declaration of definitions that differ in nothing but aggregates and windows, over ``source``."""
    first = next(iter(definitions.values()))
    aggregates: dict[str, Aggregate] = {}
    columns = {}
    for name, one in definitions.items():
        further = _among(one.others, Aggregate)
        new = Aggregate(one.expression, f"feature{len(aggregates)}", **further)
        columns[name] = f"{aggregates.setdefault(new.text, new).name}_{one.window}"
    windows = dict.fromkeys(one.window for one in definitions.values())
    features = WindowedFeatures(
        source,
        first.entity,
        first.timestamp,
        list(aggregates.values()),
        [None if window == LIFETIME else window for window in windows],
        closed=first.closed,
        **_among(first.others, WindowedFeatures),
    )
    return Declared(features, columns, first.aligned_in)


def on_calendar(table: FeatureTable, calendar: Calendar, engine: Engine) -> Frame:
    """Return keys, time and all features of ``table`` whose definitions are recorded, computed of its source as it is
    now. Raises InvalidInput: there are none, or one declaration cannot say them all."""
    time = table.timeseries_column
    definitions = {name: one for name, one in table.definitions.items() if one.source is not None}
    if time is None or not definitions:
        missing = "it has no time column" if time is None else "of none of its features is a definition recorded"
        raise InvalidInput(f"{table.name}: {missing}, so nothing can be computed again.   {_DECLARE}")
    name, first = next(iter(definitions.items()))
    for other, one in definitions.items():
        if _said_once(one) != _said_once(first):
            raise InvalidInput(
                f"{table.name}: {name} is {first.sentence(time)}, but {other} {one.sentence(time)}; they are not of "
                f"one declaration.   {_DECLARE}"
            )
    assert first.source is not None
    made = declared(definitions, first.source)
    texts = {name: quoted_name(column) for name, column in made.columns.items()}
    texts |= {key: quoted_name(column) for key, column in first.entity_of(table.primary_keys).items()}
    kind = table.schema[time]
    texts[time] = quoted_name(time) if kind == "timestamp" else f"CAST({quoted_name(time)} AS {kind})"
    rows = made.features.compute(calendar, timestamp=time, engine=engine)
    notes = notes_of(rows)
    found = engine.select(rows, {column: texts[column] for column in table.schema if column in texts})
    return engine.noted(found, {name: notes[column] for name, column in made.columns.items()})


def _said_once(one: FeatureDefinition) -> tuple[Any, ...]:
    """Return what the definitions of one declaration have in common."""
    return one.source, one.entity, one.timestamp, one.closed, one.aligned_in, _among(one.others, WindowedFeatures)


def _among(others: Mapping[str, Any], spec: type) -> dict[str, Any]:
    known = {one.name for one in fields(spec)}
    return {name: value for name, value in others.items() if name in known}
