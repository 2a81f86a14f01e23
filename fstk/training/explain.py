"""Why each label sees what it sees: one row per label row and lookup. Pure Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from fstk.columns.instants import instants
from fstk.engines.base import Schema
from fstk.engines.types import INSTANT
from fstk.training.kernel import Matches
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join

STATUSES: tuple[str, ...] = (
    "matched",
    "unknown_key",
    "only_later_rows",
    "outside_lookback",
    "null_key",
    "null_timestamp",
)
"""What a lookup can come to for a label row.

``unknown_key``: the table has no row of these keys that any label time could see. ``only_later_rows``: all it has
come after the label (with ``as_known``: or were written after it). ``outside_lookback``: the newest one not after it
is too old.
"""
ROW = "__fstk_row"

_ANSWER: Schema = {"status": "string", "time": "timestamp", "next": "timestamp", "later": "bigint"}
_FIXED: Schema = {
    "lookup": "int",
    "table_name": "string",
    "status": "string",
    "feature_time": "timestamp",
    "age_seconds": "double",
    "next_time": "timestamp",
    "later_rows": "bigint",
}


def label_schema(plan: TrainingPlan) -> Schema:
    """Return the label columns that the lookups read, in the labels' order."""
    read = {column for join in plan.joins for column in join.label_columns}
    return {name: kind for name, kind in plan.labels.items() if name in read}


def schema(plan: TrainingPlan) -> Schema:
    """Return the columns of an explanation, see :class:`fstk.training.training_set.Explanation`: in Spark ``label_row``
    is any number that is unique; a label column named like one of these is called ``label_…``."""
    own = {new: label_schema(plan)[old] for old, new in column_names(plan).items()}
    return {"label_row": "bigint", **own, **_FIXED}


def answer_schema(number: int) -> Schema:
    """Return the columns that :func:`with_answer` adds for the join ``number``."""
    return {_answer(number, name): kind for name, kind in _ANSWER.items()}


def with_answer(
    labels: pa.Table, features: pa.Table, join: Join, number: int, find: Callable[[pa.Table, pa.Table], Matches]
) -> pa.Table:
    """Return ``labels`` with what one join found for each, in the columns of :func:`answer_schema`."""
    found = find(labels, features)
    matched = found.row >= 0
    status = np.select(
        [found.null_key, found.null_time, matched, found.earlier, found.later > 0],
        ["null_key", "null_timestamp", "matched", "outside_lookback", "only_later_rows"],
        "unknown_key",
    )
    timeless = join.table_time is None
    columns = {
        "status": pa.array(status.astype(object), pa.string()),
        "time": pa.array(found.at, pa.int64(), mask=~matched | timeless).cast(INSTANT),
        "next": pa.array(found.next_at, pa.int64(), mask=found.later == 0).cast(INSTANT),
        "later": pa.array(found.later),
    }
    for name, column in columns.items():
        labels = labels.append_column(_answer(number, name), column)
    return labels


def rows_per_lookup(answers: pa.Table, plan: TrainingPlan) -> pa.Table:
    """Return one row per label row and lookup, in the columns of :func:`schema`, from all joins' answers."""
    rows, lookups = answers.num_rows, len(plan.lookups)
    if not lookups:
        return pa.table({name: pa.array([], pa.int64()) for name in schema(plan)})
    parts = [_one_lookup(answers, plan, position) for position in range(lookups)]
    by_label = np.arange(rows * lookups).reshape(lookups, rows).T.ravel()
    return pa.concat_tables(parts).take(pa.array(by_label))


def _one_lookup(answers: pa.Table, plan: TrainingPlan, position: int) -> pa.Table:
    number = plan.joined[position]
    join = plan.joins[number]
    time = answers.column(_answer(number, "time"))
    age = pa.nulls(answers.num_rows, pa.float64())
    if join.label_time is not None:
        label, _ = instants(answers.column(join.label_time))
        feature, none = instants(time)
        age = pa.array((label - feature) / 1e6, mask=none)
    lookup = pa.array(np.full(answers.num_rows, position, dtype=np.int32))
    table = pa.array([join.table] * answers.num_rows, pa.string())
    status, following, later = (answers.column(_answer(number, name)) for name in ("status", "next", "later"))
    own = [answers.column(name) for name in (ROW, *label_schema(plan))]
    return pa.table([*own, lookup, table, status, time, age, following, later], names=list(schema(plan)))


def column_names(plan: TrainingPlan) -> dict[str, str]:
    """Return for each label column of an explanation the name it has there."""
    names = {}
    for name in label_schema(plan):
        new = name
        while new.lower() in {"label_row", *_FIXED} or (new != name and new in plan.labels):
            new = f"label_{new}"
        names[name] = new
    return names


def _answer(number: int, name: str) -> str:
    return f"__fstk_{number}_{name}"
