"""The rows of feature tables that some labels can meet, read once and kept: what a preview computes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.direct import DirectEngine
from fstk.training.plan import TrainingPlan


class Held(DirectEngine):
    """The engine without a JVM, over feature rows that are in memory already."""

    def __init__(self, rows: Mapping[TableVersion, pa.Table]) -> None:
        self.rows = rows
        self._changes: dict[TableVersion, pa.Table] = {}

    def read(self, table: TableVersion, columns: Sequence[str] | None = None) -> pa.Table:
        """Return ``columns`` (None for all) of the rows that are kept of a table."""
        rows = self.rows[table]
        return rows if columns is None else rows.select(list(columns))

    def changes(self, table: TableVersion, since: int = 0) -> pa.Table:
        """Return the table's change data feed, read once."""
        if table not in self._changes:
            engine = engine_for(tables={table: None})
            self._changes[table] = engine.arrow(engine.changes(table, since))
        return self._changes[table]


def hold(plan: TrainingPlan, labels: pa.Table) -> Held:
    """Read, of every table of ``plan``, all columns of the rows whose keys are among those of ``labels``.

    Local tables are read by delta-rs, others by the current Spark session.
    """
    wanted: dict[TableVersion, dict[str, list[pa.ChunkedArray]]] = {}
    for join in plan.joins:
        among = wanted.setdefault(join.source, {})
        for key, column in zip(join.table_keys, join.label_keys, strict=True):
            among.setdefault(key, []).append(labels.column(column))
    return Held({source: rows_among(source, _together(among)) for source, among in wanted.items()})


def rows_among(
    source: TableVersion, among: Mapping[str, pa.ChunkedArray], columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of a table whose columns of ``among`` hold one of those values; more rows may come with them."""
    engine = engine_for(tables={source: 0})  # few rows come, whatever the table's size
    return engine.arrow(engine.read_part(source, columns, among))


def _together(among: Mapping[str, list[pa.ChunkedArray]]) -> dict[str, pa.ChunkedArray]:
    return {
        name: pa.chunked_array([chunk for one in columns for chunk in one.chunks], columns[0].type)
        for name, columns in among.items()
    }
