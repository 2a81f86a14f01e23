"""The rows of feature tables and of their events that some labels can meet, read once: what a preview computes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.base import TableVersion, Within
from fstk.engines.choice import engine_for
from fstk.engines.direct import DirectEngine
from fstk.engines.types import arrow_type
from fstk.lint.power import is_number
from fstk.lint.times import LEAST, later_stamps, total_in
from fstk.tables.provenance import EventSource, event_sources
from fstk.tables.source import all_sources
from fstk.tables.spec import FeatureTable
from fstk.training import run
from fstk.training.plan import TrainingPlan


class LoadedRows(DirectEngine):
    """The engine without a JVM, over feature rows that are in memory already."""

    def __init__(self, rows: Mapping[TableVersion, pa.Table]) -> None:
        self.rows = rows
        self._changes: dict[tuple[TableVersion, int], pa.Table] = {}

    def read(self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None) -> pa.Table:
        rows = self.rows[table]
        return rows if columns is None else rows.select(list(columns))

    def changes(self, table: TableVersion, since: int = 0) -> pa.Table:
        if (table, since) not in self._changes:
            engine = engine_for(tables={table: None}, changes=True)
            self._changes[table, since] = engine.arrow(engine.changes(table, since))
        return self._changes[table, since]


@dataclass(frozen=True)
class LoadedJoin:
    """A join of some labels with all that it reads in memory: asked about any of them, nothing is read again.

    ``labels`` have the columns of ``plan``; ``known`` are feature tables by name; ``events`` are, by feature table,
    keys and times of the events in ``sources`` that the labels' entities had.
    """

    plan: TrainingPlan
    labels: pa.Table
    as_known: bool
    engine: LoadedRows
    known: Mapping[str, FeatureTable]
    sources: Mapping[str, EventSource]
    events: Mapping[str, pa.Table]

    @classmethod
    def read(
        cls, plan: TrainingPlan, labels: pa.Table, tables: Iterable[FeatureTable] = (), *, as_known: bool = False
    ) -> LoadedJoin:
        """Read the tables of ``plan``, and the events that ``tables`` tell of, as far as their keys are among the
        labels'."""
        wanted: dict[TableVersion, dict[str, list[pa.ChunkedArray]]] = {}
        events = {}
        known = {table.name: table for table in tables}
        sources = event_sources(known.values())
        for join in plan.joins:
            keys = {key: labels.column(column) for key, column in zip(join.table_keys, join.label_keys, strict=True)}
            for key, column in keys.items():
                wanted.setdefault(join.source, {}).setdefault(key, []).append(column)
            if join.table in sources:
                source = sources[join.table]
                named = [*join.table_keys, source.time]
                columns = [*named, *later_stamps(source.schema, named, source.expressions)]
                events[join.table] = rows_among(source.events, keys, columns)
        rows = {
            source: rows_among(source, {name: _together(columns) for name, columns in among.items()})
            for source, among in wanted.items()
        }
        for join in plan.joins:
            found = None
            if join.table_time is None and join.table in known and join.table not in sources:
                found = source_of_totals(known[join.table], partial(rows.__getitem__, join.source))
            if found is not None:
                sources[join.table], events[join.table] = found
        return cls(plan, labels, as_known, LoadedRows(rows), known, sources, events)

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The rows of the feature tables that the labels' keys have, by name."""
        return {join.table: self.engine.rows[join.source] for join in self.plan.joins}

    @cached_property
    def changes(self) -> dict[str, pa.Table] | None:
        """The changes of the feature tables that the labels' keys had, by name, where the join is as known."""
        if not self.as_known:
            return None
        found = {}
        for join in self.plan.joins:
            changes = self.engine.changes(join.source)
            for key, column in zip(join.table_keys, join.label_keys, strict=True):
                own, asked = changes.column(key), self.labels.column(column)
                if not pa.types.is_floating(own.type):  # of which equal keys may have other bits
                    changes = changes.filter(pc.is_in(own, asked.unique()))
            found[join.table] = changes
        return found

    @cached_property
    def answers(self) -> pa.Table:
        """The explanation of the join, label rows numbered as in ``labels``."""
        return run.explanation(self.plan, self.labels, self.engine, self.as_known)

    @cached_property
    def answers_of_now(self) -> pa.Table:
        """The explanation of the same join by feature times alone."""
        return run.explanation(self.plan, self.labels, self.engine) if self.as_known else self.answers


def rows_among(
    source: TableVersion, among: Mapping[str, pa.ChunkedArray], columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of a table whose columns of ``among`` hold one of those values; more rows may come with them."""
    engine = engine_for(tables={source: 0})  # few rows come, whatever the table's size
    return engine.arrow(engine.read_part(source, columns, among))


def source_of_totals(table: FeatureTable, read: Callable[[], pa.Table]) -> tuple[EventSource, pa.Table] | None:
    """Return the source that rows of a table without a time column hold totals of, as their values show, and its events
    of their entities; None: they hold of none, or are too few to tell. Nothing is ``read`` of a table whose keys no
    source has."""
    alike = [
        source
        for source in all_sources({table.name})
        if all(source.schema.get(key) == table.schema[key] for key in table.primary_keys)
    ]
    rows = read() if alike else None
    if rows is None or rows.num_rows < LEAST:
        return None
    for source in alike:
        at = TableVersion(source.name, source.location, source.version)
        number = [name for name, kind in source.schema.items() if is_number(arrow_type(kind))]
        columns = list(dict.fromkeys([*table.primary_keys, source.event_time, *number]))
        events = rows_among(at, {key: rows.column(key) for key in table.primary_keys}, columns)
        if total_in(rows, events, table.primary_keys, source.event_time) is not None:
            return EventSource(at, source.event_time, "left", source.schema), events
    return None


def _together(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for one in columns for chunk in one.chunks], columns[0].type)
