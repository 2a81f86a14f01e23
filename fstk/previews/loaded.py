"""The rows of feature tables and of their events that some labels can meet, read once: what a preview computes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from fstk.engines.base import TableVersion, Within
from fstk.engines.choice import engine_for
from fstk.engines.direct import DirectEngine
from fstk.tables.provenance import EventSource
from fstk.training import run
from fstk.training.plan import TrainingPlan


class LoadedRows(DirectEngine):
    """The engine without a JVM, over feature rows that are in memory already."""

    def __init__(self, rows: Mapping[TableVersion, pa.Table]) -> None:
        self.rows = rows
        self._changes: dict[TableVersion, pa.Table] = {}

    def read(self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None) -> pa.Table:
        rows = self.rows[table]
        return rows if columns is None else rows.select(list(columns))

    def changes(self, table: TableVersion, since: int = 0) -> pa.Table:
        if table not in self._changes:
            engine = engine_for(tables={table: None}, changes=True)
            self._changes[table] = engine.arrow(engine.changes(table, since))
        return self._changes[table]


@dataclass(frozen=True)
class LoadedJoin:
    """A join of some labels with all that it reads in memory: asked about any of them, nothing is read again.

    ``labels`` have the columns of ``plan``; ``events`` are, by feature table, keys and time of the events in
    ``sources`` that the labels' entities had.
    """

    plan: TrainingPlan
    labels: pa.Table
    as_known: bool
    engine: LoadedRows
    sources: Mapping[str, EventSource]
    events: Mapping[str, pa.Table]

    @classmethod
    def read(
        cls, plan: TrainingPlan, labels: pa.Table, sources: Mapping[str, EventSource], *, as_known: bool = False
    ) -> LoadedJoin:
        """Read the tables of ``plan``, and the events of ``sources``, as far as their keys are among the labels'."""
        wanted: dict[TableVersion, dict[str, list[pa.ChunkedArray]]] = {}
        events = {}
        for join in plan.joins:
            keys = {key: labels.column(column) for key, column in zip(join.table_keys, join.label_keys, strict=True)}
            for key, column in keys.items():
                wanted.setdefault(join.source, {}).setdefault(key, []).append(column)
            if join.table in sources:
                source = sources[join.table]
                events[join.table] = rows_among(source.events, keys, [*join.table_keys, source.time])
        rows = {
            source: rows_among(source, {name: _together(columns) for name, columns in among.items()})
            for source, among in wanted.items()
        }
        return cls(plan, labels, as_known, LoadedRows(rows), sources, events)

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The rows of the feature tables that the labels' keys have, by name."""
        return {join.table: self.engine.rows[join.source] for join in self.plan.joins}

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


def _together(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for one in columns for chunk in one.chunks], columns[0].type)
