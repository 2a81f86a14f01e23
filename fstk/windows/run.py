"""Windowed features handed to an engine: columns checked, arguments evaluated, buckets given to the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fstk import journal
from fstk.engines import choice
from fstk.engines.base import Engine, Frame, Schema, TableVersion
from fstk.engines.clocks import Clock
from fstk.engines.direct import DirectEngine, stored_schema
from fstk.engines.sql.scalar import check_columns
from fstk.engines.types import TIME_TYPES, arrow_schema, quoted_name
from fstk.errors import (
    BadExpression,
    InvalidInput,
    NameCollision,
    TypeMismatch,
    UnknownColumn,
    UnknownTable,
    UnsupportedType,
    nearest,
)
from fstk.tables.configured import local_names, local_table, open_catalog
from fstk.windows.aggregates import KEYS, is_of
from fstk.windows.bounds import Months
from fstk.windows.calendar import Calendar
from fstk.windows.expression import Parsed
from fstk.windows.kernel import Reduction, WindowKernel
from fstk.windows.meaning import definitions
from fstk.windows.plan import PlannedFeature, WindowPlan, meaning
from fstk.windows.report import COUNTS, SourceReport, count_events

if TYPE_CHECKING:
    from fstk.windows.features import WindowedFeatures


_NO_ZONE = "has no zone and is taken as UTC; of local clock times say timestamp_zone, in a line --tz"
_OF_A_TABLE = ", where the source is made: fe.create_source, fstk load"


def engine_for(features: WindowedFeatures, points: Any, *, rows: bool = True) -> Engine:
    """Return the engine that computes ``features`` as any frame, or without ``rows`` only plans them."""
    tables = {table: None if rows else 0 for table in source_tables(features)}
    return choice.engine_for(features.source, points, tables=tables, trial=lambda engine: evaluate(features, engine))


def source_tables(features: WindowedFeatures) -> list[TableVersion]:
    return [_table(features.source)] if isinstance(features.source, str) else []


def evaluate(features: WindowedFeatures, engine: Engine) -> None:
    """Evaluate the aggregates' arguments and filters on no rows, so that their errors are raised."""
    source, _ = _source(features, engine, rows=False)
    source = read_clock(features, source, engine)
    asked = _asked(features, engine.schema(source))
    events = engine.select(source, asked.evaluated)
    if not all(aggregate.parsed.alone for aggregate in features.aggregates):
        _types(features, asked, _computed(features, asked, engine.schema(events)), engine)


def plan(features: WindowedFeatures, points: Any, engine: Engine, timestamp: str | None = None) -> WindowPlan:
    """Return what :func:`compute` will return; see :meth:`fstk.windows.features.WindowedFeatures.plan`."""
    _, plan, _ = _prepare(features, points, engine, timestamp, rows=False)
    return plan


def compute(
    features: WindowedFeatures, points: Any, engine: Engine, timestamp: str | None = None, *, zone: str | None = None
) -> Frame:
    """Return the features at ``points``; see :meth:`fstk.windows.features.WindowedFeatures.compute`. Windows at other
    points than a Calendar's, which has its own, are aligned in ``zone``, None in UTC."""
    table, _, run = _prepare(features, points, engine, timestamp, rows=True, zone=zone)
    defined = definitions(features, table, points)
    frame = engine.noted(run(), {column: one.to_json() for column, one in defined.items()})
    _note(table)
    return frame


def report(features: WindowedFeatures, engine: Engine | None) -> SourceReport:
    """Count the source's events; see :meth:`fstk.windows.features.WindowedFeatures.report`."""
    engine = engine or choice.engine_for(features.source, tables=dict.fromkeys(source_tables(features)))
    source, table = _source(features, engine, rows=True)
    keys, time = _identity(engine.schema(source), features.keys, features.timestamp, "source")
    events = engine.select(source, {**_keys(keys), "time": quoted_name(time)})
    counts = engine.arrow(engine.map(events, list(_keys(keys)), partial(count_events, time="time"), COUNTS))
    _note(table)
    return SourceReport(features.source_name, *(sum(counts.column(name).to_pylist()) for name in COUNTS))


@dataclass(frozen=True)
class _Task:
    """``points`` are the output's first columns, ``time`` their instant, ``evaluated`` the types of arguments and
    filters; ``run`` computes, given the output's schema."""

    points: Schema
    time: str
    evaluated: Mapping[str, str]
    run: Callable[[Schema], Frame]


def _prepare(
    features: WindowedFeatures,
    points: Any,
    engine: Engine,
    timestamp: str | None,
    *,
    rows: bool,
    zone: str | None = None,
) -> tuple[TableVersion | None, WindowPlan, Callable[[], Frame]]:
    source, table = _source(features, engine, rows=rows)
    if features.clock is not None:
        source, points = _read_clocks(features, features.clock, source, points, engine, timestamp)
    asked = _asked(features, engine.schema(source))
    request = _Request(features, engine, source, asked, timestamp, zone)
    if isinstance(points, str):
        if points != "events" or timestamp is not None:
            raise InvalidInput(f"points must be 'events' (without timestamp=), a frame or a Calendar; got {points!r}.")
        task = _at_events(request)
    elif isinstance(points, Calendar):
        task = _on_calendar(request, points)
    else:
        task = _at_points(request, points)
    computed = _computed(features, asked, task.evaluated)
    types = _types(features, asked, computed, engine)
    planned = tuple(
        PlannedFeature(
            column,
            types[column],
            meaning(one.text, length, features.closed, task.time, features.align),
            one.text,
            length.name,
        )
        for column, one, length in features.features
    )
    schema = engine.schema(source)
    clocks = {column for column in schema if column.lower() == features.timestamp.lower()}
    without_zone = [column for column in sorted(clocks) if schema[column] == "timestamp_ntz"]
    if task.points[task.time] == "timestamp_ntz" and task.time not in without_zone:
        without_zone.append(task.time)
    where = _OF_A_TABLE if isinstance(features.source, str) else ""
    notes = tuple(f"{column} {_NO_ZONE}{where}" for column in without_zone)
    plan = WindowPlan(features.source_name, features.keys, task.time, task.points, planned, notes)
    own = {column.lower(): column for column in plan.points}
    for column in dict.fromkeys([*features.columns, *computed]):
        if column.lower() in own:
            raise NameCollision(
                f"feature {column} and the points' column {own[column.lower()]} would share a name; "
                "rename the aggregate or leave the column out."
            )
    if tuple(computed) == features.columns:
        return table, plan, partial(task.run, plan.schema)
    texts = {column: quoted_name(column) for column in plan.points} | _texts(features, asked)
    return table, plan, lambda: engine.select(task.run({**plan.points, **computed}), texts)


def read_clock(features: WindowedFeatures, events: Frame, engine: Engine) -> Frame:
    """Return events of the source, at instants where their times have no zone and one was told."""
    if features.clock is None:
        return events
    time = _column(engine.schema(events), features.timestamp, "source")
    return features.clock.instants(events, [time], engine, "source")


def _read_clocks(
    features: WindowedFeatures, clock: Clock, source: Frame, points: Any, engine: Engine, timestamp: str | None
) -> tuple[Frame, Any]:
    """Return source and points at instants; InvalidInput: all of their times have a zone."""
    events = read_clock(features, source, engine)
    if isinstance(points, str | Calendar):
        at = points
    else:
        points = engine.frame(points, "points")
        time = _column(engine.schema(points), timestamp or features.timestamp, "points")
        at = clock.instants(points, [time], engine, "points")
    if events is source and at is points:
        raise clock.idle([features.timestamp])
    return events, at


@dataclass(frozen=True)
class _Request:
    features: WindowedFeatures
    engine: Engine
    source: Frame
    asked: _Asked
    timestamp: str | None
    zone: str | None

    def identity(self) -> tuple[tuple[str, ...], str]:
        return _identity(self.engine.schema(self.source), self.features.keys, self.features.timestamp, "source")

    def kernel(self, keys: tuple[str, ...], time: str) -> WindowKernel:
        features, threads = self.features, self.engine.threads
        windows = tuple((one.name, Months(one.months) if one.months else one.micros) for one in features.lengths)
        return WindowKernel(
            keys, time, windows, features.closed, self.asked.reductions, threads, align=features.align, zone=self.zone
        )

    def events(self) -> tuple[Frame, tuple[str, ...], WindowKernel]:
        """Return the events with nothing but what the kernel needs, their key columns, and the kernel."""
        keys, time = self.identity()
        own = _keys(keys)
        events = self.engine.select(self.source, {**own, "time": quoted_name(time), **self.asked.evaluated})
        return events, tuple(own), self.kernel(tuple(own), "time")


def _at_events(request: _Request) -> _Task:
    engine = request.engine
    schema = engine.schema(request.source)
    keys, time = request.identity()
    events = engine.select(request.source, {**{name: quoted_name(name) for name in schema}, **request.asked.evaluated})
    at_events = partial(request.kernel(keys, time).at_events, columns=tuple(schema))
    return _Task(schema, time, engine.schema(events), partial(engine.map, events, keys, at_events))


def _on_calendar(request: _Request, calendar: Calendar) -> _Task:
    engine = request.engine
    schema = engine.schema(request.source)
    keys, _ = request.identity()
    time = request.timestamp or request.features.timestamp
    if time in keys:
        raise NameCollision(f"the calendar's time column and an entity column would both be called {time}.")
    events, event_keys, kernel = request.events()
    instants, ends = calendar.instants, calendar.ends(request.features.align)
    made = partial(kernel.on_calendar, instants=instants, ends=ends, entity=keys, time=time)
    points = {**{key: schema[key] for key in keys}, time: "timestamp"}
    return _Task(points, time, engine.schema(events), partial(engine.map, events, event_keys, made))


def _at_points(request: _Request, points: Any) -> _Task:
    engine, features = request.engine, request.features
    schema = engine.schema(request.source)
    frame = engine.frame(points, "points")
    own = engine.schema(frame)
    keys, _ = request.identity()
    own_keys, time = _identity(own, keys, request.timestamp or features.timestamp, "points")
    for key, own_key in zip(keys, own_keys, strict=True):
        if schema[key] != own[own_key]:
            raise TypeMismatch(
                f"entity {key} is {schema[key]} in the source but {own[own_key]} in points; cast one of them."
            )
    events, event_keys, kernel = request.events()
    paired = partial(kernel.at_points, entity=own_keys, time=time)
    run = partial(engine.map_pair, frame, own_keys, events, event_keys, paired)
    return _Task(own, time, engine.schema(events), run)


def _source(features: WindowedFeatures, engine: Engine, *, rows: bool) -> tuple[Frame, TableVersion | None]:
    """Return the events, and the table they are read from, if it is one; a plan needs no ``rows`` of it."""
    source = features.source
    if not isinstance(source, str):
        return engine.frame(source, "source"), None
    table = _table(source)
    try:
        if isinstance(engine, DirectEngine) and not rows:
            return arrow_schema(stored_schema(table)).empty_table(), table
        return engine.read(table), table
    except UnknownTable as error:
        known = nearest(source, local_names())
        raise UnknownTable(f"source: no table {source}.{known}\n{open_catalog().where}") from error


def _table(name: str) -> TableVersion:
    """Return the local Delta table of that name, else what the session knows by that name."""
    return local_table(name) or TableVersion(name, None)


def _note(table: TableVersion | None) -> None:
    if table is not None:
        journal.note("read", table.name, table.version, None)


def _identity(schema: Schema, keys: tuple[str, ...], time: str, argument: str) -> tuple[tuple[str, ...], str]:
    """Return the key columns and the time column as the frame spells them, having checked their types."""
    found = tuple(_column(schema, key, argument) for key in keys)
    for key in found:
        if not is_of(schema[key], KEYS):
            raise UnsupportedType(f"{argument}: entity {key} is {schema[key]}; a key must be comparable for equality.")
    at = _column(schema, time, argument)
    if schema[at] not in TIME_TYPES:
        raise TypeMismatch(
            f"{argument}: time column {at} is {schema[at]}, not timestamp, timestamp_ntz or date. Nothing is parsed "
            f"as a time by itself; make it one first, for example with to_timestamp({at})."
        )
    return found, at


def _column(schema: Schema, name: str, argument: str) -> str:
    if name in schema:
        return name
    alike = [column for column in schema if column.lower() == name.lower()]
    if len(alike) != 1:
        raise UnknownColumn(f"{argument}: no column {name}.{nearest(name, schema)}")
    return alike[0]


def _keys(keys: tuple[str, ...]) -> dict[str, str]:
    return {f"key_{position}": quoted_name(key) for position, key in enumerate(keys)}


@dataclass(frozen=True)
class _Asked:
    """``evaluated`` is what to evaluate of the events for the reductions (column → Spark SQL), each different text
    once; ``parts`` are the names of the reductions that each aggregate is made of, by the aggregate's name."""

    reductions: tuple[Reduction, ...]
    evaluated: Mapping[str, str]
    parts: Mapping[str, tuple[str, ...]]


def _asked(features: WindowedFeatures, schema: Schema) -> _Asked:
    calls = [call for aggregate in features.aggregates for _, call in aggregate.parsed.aggregates]
    valued = {(call.argument, call.filter) for call in calls if call.function.valued}
    prefix = "fstk_"
    while any(column.lower().startswith(prefix) for column in schema):
        prefix += "_"  # so that no evaluated column is called as one of the source's
    names: dict[str, str] = {}

    def evaluated(text: str | None) -> str | None:
        return None if text is None else names.setdefault(text, f"{prefix}{len(names)}")

    def reduction(name: str, text: str, call: Parsed, group_by: str | None) -> Reduction:
        value, condition = call.argument, call.filter
        if not call.function.valued and value is not None and (value, condition) not in valued:
            # Only whether it is null matters, whatever its type; the value need not travel.
            present = f"({value}) IS NOT NULL"
            value, condition = None, present if condition is None else f"{present} AND ({condition})"
        group = None if group_by is None else quoted_name(_column(schema, group_by, "group_by"))
        return Reduction(name, call.function, evaluated(value), evaluated(condition), text, evaluated(group))

    reductions: dict[str, Reduction] = {}
    parts: dict[str, tuple[str, ...]] = {}
    inner: dict[str, str] = {}
    for aggregate in features.aggregates:
        read = aggregate.parsed
        check_columns(read.columns, schema, aggregate.expression)
        called = [aggregate.name] if read.alone else [_name_of(text, inner) for text, _ in read.aggregates]
        for name, (text, call) in zip(called, read.aggregates, strict=True):
            shown = aggregate.text if read.alone else text
            reductions.setdefault(name, reduction(name, shown, call, aggregate.group_by))
        parts[aggregate.name] = tuple(called)
    return _Asked(tuple(reductions.values()), {name: text for text, name in names.items()}, parts)


def _name_of(text: str, known: dict[str, str]) -> str:
    """Return what an aggregate inside of an expression is called: as its text, which no feature's name can be; SQL does
    not tell cases apart, where its texts do."""
    name = text
    while text not in known and name.lower() in (other.lower() for other in known.values()):
        name += "'"
    return known.setdefault(text, name)


def _computed(features: WindowedFeatures, asked: _Asked, evaluated: Mapping[str, str]) -> Schema:
    """Return the columns and types that the kernel gives, whose arguments and filters have the types ``evaluated``."""
    kinds: dict[str, str] = {}
    for reduction in asked.reductions:
        if reduction.filter is not None and evaluated[reduction.filter] != "boolean":
            raise BadExpression(f"{reduction.text}: the filter is {evaluated[reduction.filter]}, not a condition.")
        argument = None if reduction.value is None else evaluated[reduction.value]
        kind = reduction.function.feature_type(argument, reduction.text)
        group = reduction.group
        kinds[reduction.name] = kind if group is None else _map_type(reduction, evaluated[group], kind)
    return {f"{name}_{length.name}": kind for length in features.lengths for name, kind in kinds.items()}


def _texts(features: WindowedFeatures, asked: _Asked) -> dict[str, str]:
    """Return the Spark SQL of each feature over the kernel's columns."""
    return {
        column: one.parsed.over([f"{part}_{length.name}" for part in asked.parts[one.name]])
        for column, one, length in features.features
    }


def _types(features: WindowedFeatures, asked: _Asked, computed: Schema, engine: Engine) -> Schema:
    """Return the features' types, of columns that the kernel computes."""
    if tuple(computed) == features.columns:
        return computed
    nothing = engine.frame(arrow_schema(computed).empty_table(), "aggregates")
    return engine.schema(engine.select(nothing, _texts(features, asked)))


def _map_type(reduction: Reduction, key: str, kind: str) -> str:
    if not is_of(key, KEYS):
        raise UnsupportedType(f"{reduction.text}: its group is {key}; a map's key must be comparable for equality.")
    return f"map<{key},{kind}>"
