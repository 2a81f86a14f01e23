"""A plan handed to an engine: each join maps pairs of buckets of labels and feature rows through its kernel."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk import journal
from fstk.columns.instants import FIRST_INSTANT, LAST_INSTANT
from fstk.engines.base import CHANGE_FEED, Engine, Frame, Schema, Within
from fstk.engines.types import INSTANT, quoted_name
from fstk.errors import ExpiredSnapshot
from fstk.training import bitemporal, explain, kernel
from fstk.training.functions import steps
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join
from fstk.training.summary import COUNTS, Summary, count_without_time, partial_counts, summarized

_DUPLICATES: Schema = {"rows": "bigint", "example": "string"}


def join(plan: TrainingPlan, labels: Frame, engine: Engine, as_known: bool = False) -> Frame:
    """Return the training set of a frame of labels: one row per label row, the columns of ``plan.schema``.

    ``labels`` is the engine's own frame; Spark engines only plan, and raise DuplicateKeys (a label met several rows of
    one key and time) when the frame is computed. ``as_known`` needs all changes of every table.
    """
    schema = plan.label_columns
    frame = _columns(labels, list(schema), engine)
    match = bitemporal.as_known_join if as_known else partial(kernel.as_of_join, threads=engine.threads)
    for one in plan.joins_as_known() if as_known else plan.joins:
        if not one.outputs:
            continue
        schema = schema | {output.name: output.type for output in one.outputs}
        outputs = [output.feature for output in one.outputs]
        features = _features(one, outputs, engine, as_known, _seen(one, labels))
        frame = engine.map_pair(frame, one.label_keys, features, one.table_keys, partial(match, join=one), schema)
        journal.note("read", one.table, one.version, None)
    for step in steps(plan.functions):
        own = {column: quoted_name(column) for column in schema}
        frame = engine.select(frame, own | {one.name: one.expression for one in step})
        schema = schema | {one.name: one.type for one in step}
    return _columns(frame, list(plan.schema), engine)


def explanation(plan: TrainingPlan, labels: Frame, engine: Engine, as_known: bool = False) -> Frame:
    """Return one row per label row and lookup that says what the label saw of it; see :mod:`fstk.training.explain`."""
    schema = explain.label_schema(plan)
    frame = _numbered(labels, list(schema), engine)
    schema = {explain.ROW: "bigint"} | schema
    find = bitemporal.find_known if as_known else kernel.find
    for number, one in enumerate(plan.joins_as_known() if as_known else plan.joins):
        schema = schema | explain.answer_schema(number)
        match = partial(explain.with_answer, join=one, number=number, find=partial(find, join=one, later=True))
        features = _features(one, [], engine, as_known)
        frame = engine.map_pair(frame, one.label_keys, features, one.table_keys, match, schema)
    return engine.map_slices(frame, partial(explain.rows_per_lookup, plan=plan), explain.schema(plan))


def summary(plan: TrainingPlan, rows: Frame, engine: Engine) -> Summary:
    """Return the summary of the rows of :func:`explanation`; runs them, and counts the feature rows without a time,
    which only others than fstk write."""
    parts = engine.arrow(engine.map(rows, ["label_row"], partial(partial_counts, plan=plan), COUNTS))
    nulls = []
    for one in plan.joins:
        if one.table_time is None or one.keys_known_unique:
            nulls.append(0)
            continue
        features = _features(one, [], engine, as_known=False)
        count = partial(count_without_time, column=one.table_time)
        found = engine.arrow(engine.map(features, one.table_keys, count, {"rows": "bigint"}))
        nulls.append(sum(found.column("rows").to_pylist()))
    return summarized(plan, parts, nulls)


def refuse_duplicates(plan: TrainingPlan, engine: Engine) -> None:
    """Raise DuplicateKeys when rows of a table whose keys are not known to be unique share keys and time."""
    unknown = {one.source: one for one in plan.joins if not one.keys_known_unique}
    for one in unknown.values():
        features = _features(one, [], engine, as_known=False)
        count = partial(kernel.duplicates, keys=one.table_keys, time=one.table_time)
        found = engine.arrow(engine.map(features, one.table_keys, count, _DUPLICATES))
        if found.num_rows:
            examples = found.column("example").to_pylist()[: kernel.SHOWN]
            raise kernel.duplicate_keys(one, examples, sum(found.column("rows").to_pylist()))


def _seen(one: Join, labels: Frame) -> Within | None:
    """Return the keys and times of the rows that labels in memory can see at all."""
    if not isinstance(labels, pa.Table):
        return None
    found: dict[str, tuple[pa.Scalar, pa.Scalar]] = {}
    for label, key in zip(one.label_keys, one.table_keys, strict=True):
        bounds = pc.min_max(labels.column(label))
        found[key] = bounds["min"], bounds["max"]
    times, absent = kernel.times(labels, one.label_time)
    times = np.clip(times[~absent], FIRST_INSTANT, LAST_INSTANT)
    if one.table_time is not None and len(times):
        first = FIRST_INSTANT if one.lookback is None else max(FIRST_INSTANT, int(times.min()) - one.lookback)
        found[one.table_time] = pa.scalar(first, INSTANT), pa.scalar(int(times.max()), INSTANT)
    return found


def _features(one: Join, outputs: list[str], engine: Engine, as_known: bool, within: Within | None = None) -> Frame:
    columns = list(dict.fromkeys([*one.table_columns, *outputs]))
    if not as_known:
        return engine.read(one.source, columns, within)
    columns += CHANGE_FEED
    try:
        return _columns(engine.changes(one.source), columns, engine)
    except ExpiredSnapshot as error:
        raise ExpiredSnapshot(
            f"as_known needs all changes of {one.table} up to version {one.version}, and they cannot be read ({error}) "
            "Tables created by fstk keep them from the start."
        ) from error


def _columns(frame: Frame, columns: list[str], engine: Engine) -> Frame:
    return engine.select(frame, {column: quoted_name(column) for column in columns})


def _numbered(labels: Frame, columns: list[str], engine: Engine) -> Frame:
    """Return the label columns with a number for each row: from 0 in a local frame, in Spark whatever is unique."""
    if isinstance(labels, pa.Table):
        return labels.select(columns).add_column(0, explain.ROW, pa.array(np.arange(labels.num_rows)))
    expressions = {explain.ROW: "monotonically_increasing_id()"}
    return engine.select(labels, expressions | {column: quoted_name(column) for column in columns})
