"""Leaks that show when labels meet feature tables, each named with its place and its cure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.display import instant
from fstk.engines.base import Schema
from fstk.engines.types import TIME_TYPES
from fstk.errors import InvalidInput
from fstk.lint.giveaways import gives_away, nearly, pairs
from fstk.lint.inputs import Input, Seen, entities, inputs
from fstk.lint.report import Finding, LintReport, percent
from fstk.lint.times import (
    FIRST,
    Moments,
    changed_later,
    later_stamps,
    period_of,
    recorded_later,
    rounded_up,
    seen_too_early,
    start_of_period,
    without_time,
)
from fstk.lint.windows import lint_windows
from fstk.tables.provenance import EventSource
from fstk.tables.spec import FeatureTable
from fstk.training.functions import CompiledFunctions
from fstk.training.kernel import find, times
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join

OF_TABLE = frozenset(
    ("one-instant", "time-outside-keys", "holds-the-label", "known-later", "static-aggregates", "changed-later")
)
"""What a table alone is looked at for, before any label is known."""
_MOST = 0.5
_PREDICTION = "prediction"  # what score_batch adds: a table of scores, honestly all of one instant after one scoring
# A date may well be an attribute (a birthday, the first purchase); one called like this says when the row was known.
_STAMP = re.compile(
    r"(as_?of|(event|snapshot|load(ed)?|ingest(ed|ion)?|update[ds]?|modified|effective|valid|partition)(_\w+)?|"
    r"ds|dt|day|date|ts|time|timestamp)(_(at|on|ts|time|date|day|from))?",
    re.IGNORECASE,
)


def lint_table(table: FeatureTable, rows: pa.Table | None = None) -> LintReport:
    """Check one feature table, before any label is known; ``rows`` has its keys, its time column and what
    :func:`fstk.lint.times.recorded` names, of all rows or of a random sample: None leaves out the checks that need
    rows."""
    time = table.timeseries_column
    if time is None:
        return LintReport.of(
            _time_outside(table.name, column, None, 0)
            for column, kind in _times_of(table.schema, table.primary_keys).items()
            if kind != "date" or _STAMP.fullmatch(column)
        )
    if rows is None or _PREDICTION in table.schema:
        return LintReport()
    found = [
        *_one_instant(table.name, time, rows.column(time)),
        *recorded_later(table.name, Moments(rows, table.primary_keys, time)),
    ]
    return LintReport.of(found)


def lint_events(
    table: str, columns: Sequence[str], source: EventSource, asked: Moments, happened: Moments, called: str = "label"
) -> list[Finding]:
    """Check the windowed features ``columns`` of a table against the events that they were made of; ``asked`` are
    labels, or rows of another kind, as they are ``called``."""
    findings = lint_windows(table, columns, source.closed, *asked, *happened, called=called)
    for column in later_stamps(source.schema, [*happened.keys, happened.time], source.expressions):
        findings += changed_later(table, source.events.name, column, asked, happened, called)
    return findings


def lint_training_set(
    plan: TrainingPlan,
    labels: pa.Table,
    tables: Mapping[str, pa.Table],
    measured: Sequence[Input] | None = None,
    *,
    sources: Mapping[str, EventSource] | None = None,
    events: Mapping[str, pa.Table] | None = None,
    changes: Mapping[str, pa.Table] | None = None,
) -> LintReport:
    """Check a training set: its labels (all or a random sample) against the feature tables they look into.

    ``tables`` are by canonical name, with all columns, and all rows of the labels' keys; ``measured`` is what
    :func:`fstk.lint.inputs.inputs` found of the same, None where nobody has asked yet; ``changes`` are those of the
    tables, where the training set is as known. ``sources`` and ``events`` are
    those of the tables whose events are known, with the times that :func:`fstk.lint.times.later_stamps` names.
    """
    findings: list[Finding] = []
    label_times = {join.label_time for join in plan.joins if join.label_time is not None}
    for join in plan.joins:
        rows = tables[join.table]
        if join.table_time is not None:
            findings += _one_instant(join.table, join.table_time, rows.column(join.table_time))
            findings += _newer_than_labels(join, labels, rows)
            findings += seen_too_early(join, labels, rows)
            findings += [] if join.table in (sources or {}) else start_of_period(join, labels, rows)
        elif len(label_times) == 1:
            findings += _later_outside(join, next(iter(label_times)), labels, rows)
    findings += _of_events(plan, labels, label_times, sources or {}, events or {})
    if plan.label is None:
        return LintReport.of(findings)
    seen = Seen(tables, changes)
    every = inputs(plan, labels, seen) if measured is None else measured
    training = labels
    for join in seen.joins(plan):
        training = seen.join(training, join)
    stamps = {join.table: join.table_time for join in plan.joins if join.table_time is not None}
    periods = {table: _period(tables[table], column) for table, column in stamps.items()}
    findings += _given_away(plan, training, plan.label, every, periods)
    findings += _later_of_labels(plan, labels, every, label_times)
    found, unread = _computed(plan, training, plan.label)
    return LintReport.of([*findings, *found], unread)


def _of_events(
    plan: TrainingPlan,
    labels: pa.Table,
    label_times: set[str],
    sources: Mapping[str, EventSource],
    events: Mapping[str, pa.Table],
) -> list[Finding]:
    findings: list[Finding] = []
    rounded: list[Finding] = []
    for join in plan.joins:
        source = sources.get(join.table)
        if source is None:
            continue
        happened = Moments(events[join.table], join.table_keys, source.time)
        at = join.label_time or (next(iter(label_times)) if len(label_times) == 1 else None)
        asked = None if at is None else Moments(labels, join.label_keys, at)
        if join.table_time is None:
            findings += without_time(join.table, asked, happened)
        elif asked is not None:
            findings += lint_events(join.table, [one.feature for one in join.outputs], source, asked, happened)
        rounded = rounded or ([] if asked is None else rounded_up(asked, happened))
    return [*findings, *rounded]


def _one_instant(table: str, column: str, at: pa.ChunkedArray) -> list[Finding]:
    seen = pc.unique(at.drop_null())
    if len(at) < 2 or len(seen) != 1:
        return []
    wrong = (
        f"is {_said(seen)} in all {len(at):,} rows: that is when they were loaded, not when each was known. Labels "
        "before it find nothing, labels after it see a state of any age."
    )
    cure = "stamp each row with the instant its values were known at, such as the points of a Calendar."
    return [Finding("one-instant", f"{table}.{column}", wrong, cure)]


def _said(seen: pa.Array) -> str:
    value = seen[0].as_py()
    return instant(value) if pa.types.is_timestamp(seen.type) and seen.type.tz else str(value)


def _newer_than_labels(join: Join, labels: pa.Table, rows: pa.Table) -> list[Finding]:
    found = find(labels, rows, join, later=True)
    only_later = (found.later > 0) & ~found.earlier
    known = (found.later > 0) | found.earlier
    share = float(only_later.sum() / max(1, known.sum()))
    if share <= _MOST:
        return []
    wrong = (
        f"begins after most labels: of {int(known.sum()):,} labels with rows in the table {percent(share)} come before "
        "the first of them, and get nulls."
    )
    cure = "compute the features for the labels' own period (a Calendar that starts before them), or take later labels."
    return [Finding("newer-than-labels", f"{join.table}.{join.table_time}", wrong, cure)]


def _later_outside(join: Join, label_time: str, labels: pa.Table, rows: pa.Table) -> list[Finding]:
    row = find(labels, rows, join).row
    at, unknown = times(labels, label_time)
    seen = (row >= 0) & ~unknown
    findings = []
    for column in _times_in(rows, join.table_keys):
        stamped, empty = times(rows, column)
        later = seen.copy()
        later[seen] = ~empty[row[seen]] & (stamped[row[seen]] > at[seen])
        if later.any():
            findings.append(_time_outside(join.table, column, float(later.mean()), labels.num_rows))
    return findings


def _time_outside(table: str, column: str, share: float | None, labels: int) -> Finding:
    proof = "" if share is None else f"\n{labels:,} labels, {percent(share)} see a row stamped later than the label."
    wrong = "is a time outside the table's keys: every label sees the row as it is now, whatever the label's time."
    cure = f'make it the time column (timeseries_column="{column}") and keep a row per instant, or drop it if it is no '
    return Finding("time-outside-keys", f"{table}.{column}", wrong + proof, cure + "stamp.")


def _times_of(schema: Schema, keys: tuple[str, ...]) -> Schema:
    return {name: kind for name, kind in schema.items() if kind in TIME_TYPES and name not in keys}


def _times_in(rows: pa.Table, keys: tuple[str, ...]) -> list[str]:
    return [
        field.name
        for field in rows.schema
        if field.name not in keys and (pa.types.is_timestamp(field.type) or pa.types.is_date(field.type))
    ]


def _computed(plan: TrainingPlan, training: pa.Table, label: str) -> tuple[list[Finding], list[str]]:
    """Return what functions give away, and why one could not be looked at."""
    findings = []
    entity = entities(plan, training)
    for one in plan.functions:
        where = f"FeatureFunction {one.name}"
        try:
            training = CompiledFunctions([one], plan.types)(training)
        except InvalidInput as error:  # what only Spark evaluates, or a row for which it fails
            return findings, [f"{where}: {error}"]
        column = training.column(one.name)
        kind = None if pa.types.is_nested(column.type) else gives_away(column, training.column(label), entity)
        if kind is not None:
            what = f"is the label {label} itself" if kind == "copy" else f"alone predicts {label} without a mistake"
            cure = "leave it out, or compute it of columns that are known before the outcome."
            wrong = f"{what}: {one.expression} reads what was known with the outcome."
            findings.append(Finding("label-copy" if kind == "copy" else "perfect-predictor", where, wrong, cure))
    return findings, []


def _given_away(
    plan: TrainingPlan, training: pa.Table, label: str, every: Sequence[Input], periods: Mapping[str, str]
) -> list[Finding]:
    entity = entities(plan, training)
    findings = []
    honest = {}
    for one in every:
        if one.role not in ("feature", "your column") or pa.types.is_nested(training.column(one.name).type):
            continue
        column = training.column(one.name)
        kind = gives_away(column, training.column(label), entity) or nearly(one)
        if kind is None:
            honest[one.name] = column
        else:
            findings.append(_named(one, kind, label, periods))
    for left, right in pairs(honest, training.column(label)):
        wrong = f"together are the label {label}, though neither is alone: as a difference or a sum of the two."
        cure = "leave one of them out, unless both are known before the outcome."
        findings.append(Finding("label-of-two", f"{left} and {right}", wrong, cure))
    return findings


def _named(one: Input, kind: str, label: str, periods: Mapping[str, str]) -> Finding:
    out = f'--exclude {one.name}, or exclude_columns=["{one.name}"]'
    if kind == "copy":
        wrong = f"is the label {label} itself under another name."
        cure = f"leave it out of the lookup; a past {label} needs a time column that says when it was known."
        return Finding("label-copy", one.where, wrong, cure if one.table else f"leave it out: {out}.")
    if kind == "predictor":
        wrong = f"alone predicts {label} without a mistake: it was written after the outcome was known."
        cure = "leave it out, or stamp its rows with the instant they were known at."
        return Finding("perfect-predictor", one.where, wrong, cure if one.table else f"leave it out: {out}.")
    if kind == "falls" and one.same is not None and one.earlier is not None and one.table is not None:
        measure = one.same.measure
        then = f"{measure} {one.same.value:.2f} at the label's instant, {one.earlier.value:.2f} one step earlier."
        wrong = f"looks like the label {label}: {then}{periods[one.table]}"
        cure = "stamp each row with the end of its period, when its values were known."
        return Finding("knows-the-outcome", one.where, wrong, cure)
    wrong = f"is nearly the label {label}: {one.now}."
    cure = "leave it out, or stamp its rows with the instant they were known at."
    return Finding("nearly-the-label", one.where, wrong, cure if one.table else f"leave it out: {out}.")


def _period(rows: pa.Table, column: str) -> str:
    """Return what the stamps of all rows have in common, when that is the start of a month, a week or a day."""
    period = period_of(rows, column)
    if period is None:
        return ""
    return f"\nIts rows are stamped with the {FIRST[period]}, so the row seen then may hold all of that {period}."


def _later_of_labels(
    plan: TrainingPlan, labels: pa.Table, every: Sequence[Input], label_times: set[str]
) -> list[Finding]:
    """Name the labels' own times that come after the labels by more than one and the same length."""
    if len(label_times) != 1:
        return []
    at, unknown = times(labels, next(iter(label_times)))
    findings = []
    for one in every:
        if one.role != "your column" or plan.schema[one.name] not in TIME_TYPES:
            continue
        stamped, empty = times(labels, one.name)
        ahead = (stamped - at)[~empty & ~unknown]
        if len(np.unique(ahead[ahead > 0])) > 1:
            wrong = (
                "is a time that comes after the label's own: when it was stamped, the outcome was known.\n"
                f"{len(labels):,} labels, {percent(float((ahead > 0).mean()))} have a later one."
            )
            cure = f'leave it out: --exclude {one.name}, or exclude_columns=["{one.name}"].'
            findings.append(Finding("later-than-label", one.where, wrong, cure))
    return findings
