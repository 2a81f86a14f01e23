"""Windowed features on their way into a feature table, shown before anything is written: plan, real rows, findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from itertools import chain, product
from operator import and_, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.keys import pair_ids
from fstk.display import Displayed, Sheet, Stacked, instant, plural
from fstk.engines.base import Engine, Frame, Schema
from fstk.engines.direct import DirectEngine, stored_schema
from fstk.engines.types import arrow_schema, quoted_name
from fstk.lint.report import BESIDE, LintReport
from fstk.lint.windows import lint_windows
from fstk.matrix import MANY, closed, matrix, on_request
from fstk.previews.distribution import TOLD, distribution
from fstk.previews.loaded import rows_among
from fstk.tables.definition import redefined
from fstk.tables.plan import TablePlan, plan_create
from fstk.tables.redefinition import Difference, Redefinition, RedefinitionPlan
from fstk.tables.spec import FeatureTable, TableDefinition, define, fraction_notes, keys_text
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.meaning import definitions
from fstk.windows.plan import WindowPlan, meaning
from fstk.windows.report import COUNTS, SourceReport, count_events
from fstk.windows.run import read_clock, source_tables

_LOOKED_AT = 10_000  # rows of a Spark source among which entities are chosen
_EXAMPLES = 3  # rows that a changed meaning is shown on
_MORE = 3  # samples beside the first
_LOW = 7  # aggregates in sight below controls


@dataclass(frozen=True)
class Sample:
    """The features of one entity at one instant; ``where`` says which: ``17 at 1997-06-30``."""

    where: str
    values: dict[str, Any]


@dataclass(frozen=True, repr=False)
class WindowPreview(Stacked):
    """What windowed features would be as a feature table: the table's plan, columns with meaning, rows of a few
    entities, findings. Nothing is written. ``spread`` is how each column's values are distributed in those rows;
    ``below_controls`` further rows stand closed, and fewer lines are in sight."""

    table: TablePlan
    windows: WindowPlan
    samples: tuple[Sample, ...]
    spread: Mapping[str, str]
    lint: LintReport
    events: SourceReport
    redefinition: RedefinitionPlan | None = None
    closing: str = "write it: --write · plain Python: --code"
    below_controls: bool = False

    def parts(self) -> Sequence[Displayed]:
        """Return what lint found, the plan, and further rows."""
        clean = "lint: clean · " if self.lint.clean else ""
        closing = f"{clean}nothing written yet · {self.closing}"
        if self.table.refusal is not None:
            closing = "it is refused, and nothing can be written as planned"
        changes = [] if self.redefinition is None else [self.redefinition]
        many = len(self.windows.features) > MANY
        further = [closed(one) if self.below_controls else one for one in self._further()]
        plan = self._folded() if many else [self.every_column(), *further]
        shown = [*changes, *plan, Sheet("", (), (), [closing])]
        return shown if self.lint.clean else [replace(self.lint, in_sight=BESIDE), *shown]

    def _folded(self) -> list[Sheet]:
        """Return the columns by aggregate and window, with how their values are spread, and each of them on request."""
        every = self.every_column()
        places = [one.place(self.spread.get(one.column, one.type)) for one in self.windows.features]
        shown = matrix(every.title, places, [*self._told(), *every.notes])
        return [
            replace(shown, tall=_LOW) if self.below_controls else shown,
            on_request(replace(every, notes=()), len(places)),
        ]

    def _further(self) -> list[Sheet]:
        """Return how each feature's values are spread, and the features of the other samples, a column each."""
        more = self.samples[1 : 1 + _MORE]
        rows = [
            (one.column, self.spread[one.column], *(sample.values[one.column] for sample in more))
            for one in self.windows.features
            if self.spread
        ]
        return [Sheet("", ("column", "spread", *(one.where for one in more)), rows, self._told())] if rows else []

    def _told(self) -> list[str]:
        return [f"{TOLD} · in the rows of a few entities"] if self.spread else []

    @property
    def notes(self) -> tuple[str, ...]:
        """What the features take for granted, and the events that they leave out."""
        return (*self.windows.notes, *_ignored(self.events))

    def every_column(self) -> Sheet:
        """Return the table's plan with a line per feature: its type, its meaning, its value in the first sample."""
        table, change = self.table.table, self.table.action.upper()
        features = plural(len(self.windows.features), "feature")
        title = f"{table.name} · plan: {change}, keys {keys_text(table)}, {features}"
        columns = ["column", "type", "meaning"]
        first = self.samples[0] if self.samples else None
        rows = []
        for one in self.windows.features:
            row = [f"{one.column} (new)" if one.column in self.table.added else one.column, one.type, one.meaning]
            rows.append([*row, first.values[one.column]] if first else row)
        refusal = [str(self.table.refusal)] if self.table.refusal else []
        none = [] if first else ["the source has no event with a key and a time: no row to show"]
        fractions = fraction_notes(table) if self.table.action == "create" else []
        notes = [*refusal, *none, *fractions, *self.notes]
        return Sheet(title, [*columns, f"sample: {first.where}"] if first else columns, rows, notes)


def _ignored(events: SourceReport) -> list[str]:
    """Return what a person should know of events that no window holds."""
    if not events.ignored:
        return []
    counted = (events.null_key, "without a key"), (events.null_time, "without a time")
    parts = " and ".join(f"{number:,} {what}" for number, what in counted if number)
    return [f"of {events.events:,} events {parts} belong to no window"]


def definition(features: WindowedFeatures, windows: WindowPlan, name: str, time: str) -> TableDefinition:
    """Return the feature table that holds ``features``: entity keys, the time column called ``time``, the features."""
    keys = {key: windows.points[key] for key in (column_of(windows.points, key) for key in features.keys)}
    types = {one.column: one.type for one in windows.features}
    return define(name, list(keys), {**keys, time: windows.points[windows.time], **types}, timeseries_column=time)


def column_of(names: Iterable[str], column: str) -> str:
    """Return a column as a frame spells it; SQL does not tell cases apart."""
    return next((name for name in names if name.lower() == column.lower()), column)


def preview(
    features: WindowedFeatures,
    points: Any,
    name: str,
    *,
    time: str,
    points_time: str | None,
    existing: FeatureTable | None,
    engine: Engine,
) -> WindowPreview:
    """Return the preview of ``features`` at ``points`` as the feature table ``name``.

    ``time`` is the feature table's time column, ``points_time`` that of a frame of points, or what a calendar's is
    called; ``engine`` computes the rows of a few entities only. Raises as :meth:`WindowedFeatures.compute`, and
    BadExpression on ``direct`` for an aggregate that needs Spark.
    """
    source, schema = _source(features, engine)
    empty = arrow_schema(schema).empty_table() if isinstance(engine, DirectEngine) else source
    windows = replace(features, source=empty).plan(points, timestamp=points_time, engine=engine)
    windowed = product(features.lengths, features.aggregates)
    said = [meaning(one.text, length, features.closed, time, features.align) for length, one in windowed]
    planned = tuple(replace(one, meaning=words) for one, words in zip(windows.features, said, strict=True))
    windows = replace(windows, source=features.source_name, features=planned)
    wanted = definition(features, windows, name, time)
    keys = [column_of(schema, key) for key in features.keys]
    chosen, all_of_them = _entities(source, keys, features.timestamp, engine)
    own_events = _only(source, keys, chosen)
    rows = _rows(replace(features, source=own_events), points, points_time, windows, chosen, engine)
    events = engine.arrow(read_clock(features, own_events, engine))
    own = [column_of(windows.points, key) for key in features.keys]
    columns = [one.column for one in windows.features]
    at = column_of(schema, features.timestamp)
    found = lint_windows(
        wanted.name, columns, features.closed, rows, own, windows.time, events, keys, at, "sampled event"
    )
    samples = _samples(rows, own, windows, chosen)
    plan = plan_create(wanted, existing)
    changed = None
    if existing is not None and not plan.refusal:
        changed = _redefinition(features, points, existing, rows, own, some=not all_of_them)
    counted = _counted(source, keys, at, features.source_name, engine)
    spread = {name: distribution(rows.column(name)) for name in columns} if rows.num_rows else {}
    return WindowPreview(plan, windows, samples, spread, LintReport.of(found), counted, changed)


def _redefinition(
    features: WindowedFeatures, points: Any, table: FeatureTable, rows: pa.Table, keys: Sequence[str], *, some: bool
) -> RedefinitionPlan | None:
    """Return which features of ``table`` would change their meaning, and how they differ in ``rows``, of ``some``
    entities or of all; None where none does."""
    source = next(iter(source_tables(features)), None)
    changed = redefined(definitions(features, source, points), table.definitions)
    if not changed:
        return None
    among = {key: rows.column(own) for key, own in zip(table.primary_keys, keys, strict=True)}
    there = rows_among(table.at(table.version), among, [*table.keys, *changed])
    places = [tuple(row.values()) for row in rows.select(range(len(table.keys))).to_pylist()]
    before = {tuple(row[key] for key in table.keys): row for row in there.to_pylist()}
    found = []
    for name, (then, now) in changed.items():
        after = dict(zip(places, rows.column(name).to_pylist(), strict=True))
        both = [(place, before[place][name], after[place]) for place in after if place in before]
        other = [(place, old, new) for place, old, new in both if not _same(old, new)]
        examples = [f"{_place(place)}: {old} → {new}" for place, old, new in other[:_EXAMPLES]]
        found.append(Redefinition(name, then, now, Difference(len(both), len(other), tuple(examples), some)))
    return RedefinitionPlan(table.name, table.timeseries_column or "the point", tuple(found))


def _same(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)  # NaN is a value


def _place(values: tuple[Any, ...]) -> str:
    *keys, at = values
    return f"{', '.join(map(str, keys))} at {instant(at) if isinstance(at, datetime) else at}"


def _source(features: WindowedFeatures, engine: Engine) -> tuple[Frame, Schema]:
    """Return the source's frame, of a local table only the columns that are needed, and all its columns' types."""
    if not isinstance(features.source, str):
        frame = engine.frame(features.source, "source")
        return frame, engine.schema(frame)
    [table] = source_tables(features)
    if not isinstance(engine, DirectEngine):
        frame = engine.read(table)
        return frame, engine.schema(frame)
    schema = stored_schema(table)
    read = [(*one.parsed.columns, *([one.group_by] if one.group_by else [])) for one in features.aggregates]
    asked = [*features.keys, features.timestamp, *chain.from_iterable(read)]
    used = [name for name in dict.fromkeys(column_of(schema, name) for name in asked) if name in schema]
    return engine.read(table, used), schema


def _counted(source: Frame, keys: Sequence[str], time: str, name: str, engine: Engine) -> SourceReport:
    """Return the events that belong to no window; of Spark's in one pass over keys and time alone."""
    if isinstance(source, pa.Table):
        counted = count_events(source.select([*keys, time]), time)
    else:
        no_key = " OR ".join(f"{quoted_name(key)} IS NULL" for key in keys)
        no_time = f"{quoted_name(time)} IS NULL AND NOT ({no_key})"
        counts = ("count(*)", f"count_if({no_key})", f"count_if({no_time})")
        counted = engine.arrow(source.selectExpr(*(f"{one} AS {of}" for one, of in zip(counts, COUNTS, strict=True))))
    [row] = counted.to_pylist()
    return SourceReport(name, **row)


def _entities(source: Frame, keys: list[str], time: str, engine: Engine) -> tuple[pa.Table, bool]:
    """Return the keys of the entity with the most events, of a middling one and of one with the fewest, and whether
    these are known to be all."""
    columns = [*keys, column_of(engine.schema(source), time)]
    whole = isinstance(source, pa.Table)
    if not isinstance(source, pa.Table):
        source = source.select(*map(quoted_name, columns)).limit(_LOOKED_AT)
    events = engine.arrow(source).select(columns).drop_null()
    counts = events.group_by(keys).aggregate([([], "count_all")])
    counts = counts.sort_by([("count_all", "descending"), *((key, "ascending") for key in keys)])
    last = counts.num_rows - 1
    chosen = sorted({0, counts.num_rows // 2, last}) if last >= 0 else pa.array([], pa.int64())
    return counts.select(keys).take(chosen), whole and len(chosen) == counts.num_rows


def _only(frame: Frame, keys: Sequence[str], entities: pa.Table) -> Frame:
    """Return the rows of a frame whose ``keys`` are those of one of the entities."""
    if isinstance(frame, pa.Table):
        entities = entities.rename_columns(list(keys)).cast(pa.schema([frame.schema.field(key) for key in keys]))
        _, entity, _ = pair_ids(entities, keys, frame, keys)
        return frame.filter(pa.array(entity >= 0))
    if not entities.num_rows:
        return frame.limit(0)
    alike = [
        reduce(and_, (frame[quoted_name(key)] == value for key, value in zip(keys, one.values(), strict=True)))
        for one in entities.to_pylist()
    ]
    return frame.where(reduce(or_, alike))


def _rows(
    features: WindowedFeatures, points: Any, time: str | None, windows: WindowPlan, entities: pa.Table, engine: Engine
) -> pa.Table:
    """Return keys, time and features of the chosen entities, a row per point, in their order."""
    if not isinstance(points, str | Calendar):
        frame = engine.frame(points, "points")
        own = [column_of(engine.schema(frame), key) for key in features.keys]
        points = _only(frame, own, entities)
    rows = engine.arrow(features.compute(points, timestamp=time, engine=engine))
    keys = [column_of(windows.points, key) for key in features.keys]
    rows = rows.select([*keys, windows.time, *(one.column for one in windows.features)])
    rows = rows.filter(pc.field(windows.time).is_valid())
    return rows.sort_by([(name, "ascending") for name in (*keys, windows.time)])


def _samples(rows: pa.Table, keys: list[str], windows: WindowPlan, entities: pa.Table) -> tuple[Sample, ...]:
    """Return a row from the middle of the first entity's history, and the newest row of each."""
    places: dict[tuple[Any, ...], list[int]] = {tuple(one.values()): [] for one in entities.to_pylist()}
    for place, row in enumerate(rows.select(keys).to_pylist()):
        places.setdefault(tuple(row.values()), []).append(place)
    histories = [history for history in places.values() if history]
    middle = [history[len(history) // 2] for history in histories[:1]]
    samples = []
    for place in dict.fromkeys([*middle, *(history[-1] for history in histories)]):
        row = rows.slice(place, 1).to_pylist()[0]
        at = row[windows.time]
        when = instant(at) if isinstance(at, datetime) else str(at)
        where = f"{', '.join(str(row[key]) for key in keys)} at {when}"
        samples.append(Sample(where, {one.column: row[one.column] for one in windows.features}))
    return tuple(samples)
