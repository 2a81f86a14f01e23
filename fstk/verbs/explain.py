"""What ``fstk explain`` answers: one key of a training set, or of a feature table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fstk.display import Displayed, Sheet, Stacked, plural
from fstk.engines.base import TableVersion
from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput, UnknownName, nearest
from fstk.previews.loaded import LoadedJoin, rows_among
from fstk.previews.pictures import draw
from fstk.previews.timeline import Timeline
from fstk.tables.configured import open_catalog
from fstk.tables.spec import FeatureTable
from fstk.training import run
from fstk.training.explain import column_names, label_schema
from fstk.training.functions import CompiledFunctions
from fstk.training.plan import TrainingPlan
from fstk.training.summary import short_names
from fstk.training.training_set import TrainingSet
from fstk.verbs.pit import label_of, rows_of_key

_NEWEST = 4  # feature rows shown, newest first


@dataclass(frozen=True, repr=False)
class LabelExplanation(Stacked):
    """Why the labels of one key see what they see: a line per label and lookup, and of the newest label pictures and a
    line per function: its name, expression and value."""

    title: str
    lines: tuple[tuple[Any, ...], ...]
    pictures: tuple[Timeline, ...]
    computed: tuple[tuple[str, str, Any], ...] = ()

    def parts(self) -> Sequence[Displayed]:
        columns = ("label at (UTC)", "lookup", "status", "row at (UTC)", "age", "later rows", "first of them")
        computed = [Sheet("", ("function", "expression", "value"), self.computed)] if self.computed else []
        return [Sheet(self.title, columns, self.lines), *computed, *self.pictures]


@dataclass(frozen=True, repr=False)
class KeyRows(Displayed):
    """The newest rows that a feature table holds of one key; ``rows`` counts all of them."""

    title: str
    times: tuple[Any, ...]
    columns: dict[str, tuple[Any, ...]]

    def display(self) -> Sheet:
        """Return a line per feature and a column per row."""
        return Sheet(
            self.title,
            ("feature", *(Sheet("", ("t",), [[time]]).text().splitlines()[1].strip() for time in self.times)),
            [(name, *values) for name, values in self.columns.items()],
        )


def explain(namespace: Mapping[str, Any], name: str, key: str) -> Displayed:
    """Return the answer for a training set that a variable holds, or for a feature table; raises UnknownName,
    InvalidInput."""
    value = namespace.get(name)
    if isinstance(value, TrainingSet):
        return _of_training_set(value, name, key)
    catalog = open_catalog()
    if name in namespace and "." not in name:
        sets = [known for known, one in namespace.items() if isinstance(one, TrainingSet)]
        raise UnknownName(
            f"{name} is a {type(value).__name__}; explain takes a training set or a feature table."
            f"{nearest(name, [*sets, *catalog.names()])}"
        )
    return _of_table(catalog.get(name), key)


def _of_training_set(training_set: TrainingSet, name: str, key: str) -> LabelExplanation:
    plan = training_set.plan
    answers = training_set.explain().to_arrow()
    shown = column_names(plan)
    for join in plan.joins:
        found = rows_of_key(answers, tuple(shown[column] for column in join.label_keys), key)
        if found.num_rows:
            break
    else:
        keys = " or ".join(dict.fromkeys(", ".join(join.label_keys) for join in plan.joins))
        raise UnknownName(f"no label of {name} has {keys} {key}.")
    time = next((join.label_time for join in plan.joins if join.label_time is not None), None)
    newest = [] if time is None else [(shown[time], "descending")]
    found = found.sort_by([*newest, ("label_row", "ascending"), ("lookup", "ascending")])
    first = found.slice(0, 1)
    label = pa.table({column: first.column(shown[column]) for column in label_schema(plan)})
    tables = [open_catalog().get(join.table) for join in plan.joins]
    pictures = draw(LoadedJoin.read(plan, label, tables, as_known=training_set.as_known), 0)
    labels = len(set(found.column("label_row").to_pylist()))
    title = f"{name} · key {key} · {plural(labels, 'label')}, newest first"
    return LabelExplanation(title, lines_of(found, plan), pictures, _computed(training_set, key))


def _computed(training_set: TrainingSet, key: str) -> tuple[tuple[str, str, Any], ...]:
    """Return what each function comes to for the newest label of ``key``, or why it comes to nothing here."""
    plan = training_set.plan
    if not plan.functions:
        return ()
    joined = LoadedJoin.read(plan, label_of(training_set.labels, plan, key), as_known=training_set.as_known)
    looked_up = {output.name: output.type for join in plan.joins for output in join.outputs}
    read = replace(plan, functions=(), schema=plan.label_columns | looked_up)
    row = run.join(read, joined.labels, joined.engine, training_set.as_known)
    lines: list[tuple[str, str, Any]] = []
    for one in plan.functions:
        try:
            row = CompiledFunctions([one], plan.types)(row)
            lines.append((one.name, one.expression, row.column(one.name)[0].as_py()))
        except InvalidInput as error:
            lines.append((one.name, one.expression, str(error)))
    return tuple(lines)


def lines_of(answers: pa.Table, plan: TrainingPlan) -> tuple[tuple[Any, ...], ...]:
    """Return the lines of :class:`LabelExplanation` for rows of an explanation, in their order."""
    shown = column_names(plan)
    time = next((join.label_time for join in plan.joins if join.label_time is not None), None)
    short = short_names([join.table for join in plan.joins])
    lines = []
    for row in answers.to_pylist():
        age = None if row["age_seconds"] is None else timedelta(seconds=row["age_seconds"])
        at = None if time is None else row[shown[time]]
        table, status = short[row["table_name"]], row["status"].replace("_", " ")
        lines.append((at, table, status, row["feature_time"], age, row["later_rows"], row["next_time"]))
    return tuple(lines)


def key_values(table: FeatureTable, key: str) -> dict[str, pa.ChunkedArray]:
    """Return the values of a table's key columns that ``key`` is, several with commas between; raises InvalidInput."""
    parts = [part.strip() for part in key.split(",")]
    keys = table.primary_keys
    if len(parts) != len(keys):
        raise InvalidInput(f"{table.name} has the key {', '.join(keys)}; got {key!r}.   Several go with commas: 17,web")
    among = {}
    for column, part in zip(keys, parts, strict=True):
        try:
            among[column] = pa.chunked_array([pa.array([part])]).cast(arrow_type(table.schema[column]))
        except pa.ArrowInvalid as error:
            raise InvalidInput(f"{table.name}: key {column} is {table.schema[column]}; got {part!r}.") from error
    return among


def rows_of(table: TableVersion, among: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Return the rows of a table whose columns of ``among`` hold its one value each."""
    rows = rows_among(table, among)
    for column, values in among.items():
        rows = rows.filter(pc.equal(rows.column(column), values[0]))
    return rows


def _of_table(table: FeatureTable, key: str) -> KeyRows:
    keys = table.primary_keys
    rows = rows_of(table.at(table.version), key_values(table, key))
    if not rows.num_rows:
        raise UnknownName(f"{table.name} v{table.version} has no row of {', '.join(keys)} {key}.")
    time = table.timeseries_column
    newest = rows if time is None else rows.sort_by([(time, "descending")])
    newest = newest.slice(0, _NEWEST)
    some = "row" if rows.num_rows == 1 else f"rows, {newest.num_rows} newest" if time is not None else "rows"
    return KeyRows(
        f"{table.name} v{table.version} · {', '.join(keys)} {key} · {rows.num_rows:,} {some}",
        ("value",) if time is None else tuple(newest.column(time).to_pylist()),
        {name: tuple(newest.column(name).to_pylist()) for name in table.features},
    )
