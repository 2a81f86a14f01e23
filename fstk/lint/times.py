"""Leaks that times alone can tell: those of rows, of the events that they were made of, and of labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import Align, aligned, microseconds
from fstk.columns.keys import pair_ids
from fstk.display import instant, plural
from fstk.engines.base import CHANGE_TYPE, COMMIT_TIMESTAMP, WRITTEN, Schema
from fstk.engines.types import TIME_TYPES
from fstk.lint.power import is_number, numbers
from fstk.lint.report import Finding, percent
from fstk.training.kernel import find, times
from fstk.training.resolve import Join
from fstk.windows.bounds import Rows, number_entities

LEAST = 20
"""Labels, or entities, of which a share says something."""
_DAY = 86_400_000_000  # what a nightly load delays is no leak
_ROUNDED, _USUAL = 0.95, 0.5  # share of labels with an event on the day that they end, and on the day before it
_SAME = 0.99  # share of entities with the total of their events
_LAST_SECOND = 1_000_000
_RECORDED = re.compile(
    r"(\w+_)?(load|ingest|updat|modif|chang|insert|record|publish|import|sync|receiv|arriv|available|known)\w*",
    re.IGNORECASE,
)
_PLANNED = re.compile(
    r"(^|_)(until|expir\w*|due|ends?|renew\w*|valid|effective|planned|scheduled|promised|expected|deadline|maturity)"
    r"(_|$)",
    re.IGNORECASE,
)
_PERIOD = re.compile(r"(^|_)(year|quarter|month|week|day|date|period)(_|$)", re.IGNORECASE)
_AS_OF = re.compile(r"as_?of|snapshot|(^|_)(available|known|valid|effective|since|from|until|end)(_|$)", re.IGNORECASE)
FIRST: dict[Align, str] = {"month": "first of its month", "week": "Monday of its week", "day": "start of its day"}
"""Periods, and what instants at their start are, the longest first."""


class Moments(NamedTuple):
    """Rows of whom and of when: labels, feature rows or events."""

    rows: pa.Table
    keys: Sequence[str]
    time: str


def recorded(schema: Schema, besides: Iterable[str]) -> list[str]:
    """Return the time columns, ``besides`` the named, that by their names say when a row was written or changed."""
    timed = [name for name, kind in schema.items() if kind in TIME_TYPES and _RECORDED.fullmatch(name)]
    return [name for name in timed if name not in besides]


def later_stamps(schema: Schema, besides: Sequence[str], expressions: Iterable[str]) -> list[str]:
    """Return the time columns of events, ``besides`` the named, that may tell of what came later: that say when a row
    was written or changed, or that ``expressions`` of features read."""
    words = {word.lower() for expression in expressions for word in re.findall(r"\w+", expression)}
    timed = [name for name, kind in schema.items() if kind in TIME_TYPES and name not in besides]
    read = [name for name in timed if name.lower() in words and not _PLANNED.search(name)]
    return list(dict.fromkeys([*recorded(schema, besides), *read]))


def recorded_later(table: str, stored: Moments) -> list[Finding]:
    """Name the columns of a feature table by which rows were recorded more than a day after their own time."""
    findings = []
    for column in stored.rows.column_names:
        if _RECORDED.fullmatch(column) and column not in (*stored.keys, stored.time):
            late = _late(stored.rows, stored.time, column)
            if late.any():
                findings.append(_known_later(table, stored.time, column, late, "row"))
    return findings


def seen_too_early(join: Join, labels: pa.Table, rows: pa.Table) -> list[Finding]:
    """Name the times beside a table's own time that are later than labels which see their row."""
    assert join.table_time is not None
    row = find(labels, rows, join).row
    at, _ = times(labels, join.label_time)
    seen = row >= 0
    looked_up = {output.feature for output in join.outputs}
    findings = []
    for field in rows.schema:
        column = field.name
        timed = pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)
        told = _RECORDED.fullmatch(column)
        if column in join.table_columns or not timed or not (told or column in looked_up):
            continue
        stamped, empty = times(rows, column)
        ahead = _late(rows, join.table_time, column) if told else ~empty & (not _PLANNED.search(column))
        late = np.zeros(len(row), bool)
        late[seen] = ahead[row[seen]] & (stamped[row[seen]] > at[seen])
        if late.any():
            findings.append(_known_later(join.table, join.table_time, column, late, "label"))
    return findings


def start_of_period(join: Join, labels: pa.Table, rows: pa.Table) -> list[Finding]:
    """Name a table whose rows are stamped with the start of a period, where labels within the period see them; a time
    that is called as when something was known is none."""
    time = str(join.table_time)
    dated = pa.types.is_date(rows.schema.field(time).type)
    period = period_of(rows, time)
    if period is None or _AS_OF.search(time) or not (dated or _PERIOD.search(time)):
        return []
    matches = find(labels, rows, join)
    at, _ = times(labels, join.label_time)
    within = (matches.row >= 0) & (aligned(at, period) == matches.at)
    if not within.any():
        return []
    wrong = (
        f"is the {FIRST[period]} in every row: if a row holds its {period}, labels of that {period} know the rest of "
        f"it.\n{plural(len(within), 'label')}, {percent(float(within.mean()))} lie within the {period} of the row that "
        "they see."
    )
    cure = f"stamp each row with the end of its {period}; a time at which all of a row was known is called as_of."
    return [Finding("start-of-period", f"{join.table}.{time}", wrong, cure)]


def period_of(rows: pa.Table, column: str) -> Align | None:
    """Return of which period all of a column's instants are the start: a month, a week or a day."""
    at, unknown = times(rows, column)
    known = np.unique(at[~unknown])
    if len(known) < 2:
        return None
    return next((period for period in FIRST if (aligned(known, period) == known).all()), None)


def without_time(table: str, labels: Moments | None = None, events: Moments | None = None) -> list[Finding]:
    """Name a table of aggregates of events that has no time column; of ``labels`` and ``events``, where they are known,
    only if a label sees events that are not before it."""
    proof = ""
    if labels is not None and events is not None:
        asking, happened = number_entities([labels, events])
        newest = np.full(int(asking.entity.max(initial=-1)) + 2, np.iinfo(np.int64).min)  # the last of no entity
        np.maximum.at(newest, happened.entity, happened.time)
        newest[-1] = np.iinfo(np.int64).min
        late = newest[asking.entity] >= asking.time
        if not late.any():
            return []
        proof = (
            f"\n{plural(len(late), 'label')}, {percent(float(late.mean()))} see events that are not before the label."
        )
    wrong = "is made of events and has no time column: every label sees the state of the day on which it was computed."
    cure = "compute it on a Calendar, or at the labels' instants, and give it that time (timeseries_column=…)."
    return [Finding("static-aggregates", table, wrong + proof, cure)]


def changed_later(
    table: str, source: str, column: str, asked: Moments, happened: Moments, called: str = "label"
) -> list[Finding]:
    """Name a time of a source's events that is later than labels which count these; ``asked`` are labels, or rows of
    another kind, as they are ``called``."""
    asking, events = number_entities([asked, happened])
    late = _late(happened.rows, happened.time, column) & (events.entity >= 0)
    stamped, _ = times(happened.rows, column)
    order, first, last = _within(asking, events.entity[late], events.time[late] + 1, stamped[late])
    begun = np.zeros(len(order) + 1, np.int64)
    np.add.at(begun, first, 1)
    np.add.at(begun, last, -1)
    touched = np.cumsum(begun)[:-1] > 0
    if not touched.any():
        return []
    wrong = (
        f"is made of {source} by {happened.time}, and {column} is later: its events were changed, or came, after they "
        f"count.\n{plural(len(touched), called)}, {percent(float(touched.mean()))} count an event whose {column} is "
        f"after the {called}."
    )
    cure = f"take {column} for the events' time, or keep every change as an event of its own."
    return [Finding("changed-later", table, wrong, cure)]


def written_later(join: Join, labels: pa.Table, rows: pa.Table, changes: pa.Table, first: datetime) -> list[Finding]:
    """Name a back-fill: labels from the ``first`` commit on that see a row which was written, or changed, more than a
    day after them; ``changes`` are the table's, of all commits that may be."""
    changes = changes.filter(pc.field(CHANGE_TYPE).isin(WRITTEN))
    number, changed, _ = pair_ids(rows, join.table_columns, changes, join.table_columns)
    newest = np.full(int(number.max(initial=-1)) + 2, np.iinfo(np.int64).min)  # the last of no row
    np.maximum.at(newest, changed, times(changes, COMMIT_TIMESTAMP)[0])
    newest[-1] = np.iinfo(np.int64).min
    row = find(labels, rows, join).row
    at, unknown = times(labels, join.label_time)
    asked = ~unknown & (at >= microseconds(first))
    late = asked & (row >= 0)
    late[late] = newest[number[row[late]]] > at[late] + _DAY
    if not late.any():
        return []
    wrong = (
        f"holds a back-fill: of {plural(int(asked.sum()), 'label')} after its first commit ({instant(first)}) "
        f"{percent(float(late.sum() / asked.sum()))} see a row that was written, or changed, more than a day after the "
        "label."
    )
    cure = "--as-known, or as_known=True: a row counts from the commit that wrote it."
    return [Finding("written-later", f"{join.table}.{join.table_time}", wrong, cure)]


def total_in(rows: pa.Table, events: pa.Table, keys: Sequence[str], time: str) -> str | None:
    """Return the column of ``rows``, of which entities have one each, that is an aggregate of all their ``events``: the
    number, the newest ``time``, or of another number the sum, the mean or the greatest; None: none is."""
    own, of, _ = pair_ids(rows, keys, events, keys)
    events, of = events.filter(pa.array(of >= 0)), of[of >= 0]
    known = np.isin(own, of)
    totals = [total[own[known]] for total in _totals(events, of, [*keys, time], time)]
    for field in rows.schema:
        if field.name not in keys and (is_number(field.type) or pa.types.is_temporal(field.type)):
            values = numbers(rows.column(field.name))[known]
            if any(_is_total(values, total) for total in totals):
                return field.name
    return None


def _totals(events: pa.Table, of: np.ndarray, besides: Sequence[str], time: str) -> Iterator[np.ndarray]:
    """Return aggregates of the events ``of`` each entity; of a column that is an attribute of the entity, the same in
    all its events, none."""
    size = int(of.max(initial=-1)) + 1
    count = np.bincount(of, minlength=size)
    yield count.astype(float)
    newest = _greatest(numbers(events.column(time)), of, size)
    yield from (newest, newest // _DAY * _DAY)  # as an instant, and as a date
    for field in events.schema:
        if field.name in besides or not is_number(field.type):
            continue
        values = numbers(events.column(field.name))
        there = np.isfinite(values)
        greatest, least = (sign * _greatest(sign * values[there], of[there], size) for sign in (1, -1))
        if not (greatest > least)[count > 1].any():
            continue
        total = np.bincount(of[there], values[there], minlength=size)
        yield from (total, total / np.maximum(np.bincount(of[there], minlength=size), 1), greatest)


def _greatest(values: np.ndarray, of: np.ndarray, size: int) -> np.ndarray:
    greatest = np.full(size, -np.inf)
    np.maximum.at(greatest, of, values)
    return greatest


def _is_total(values: np.ndarray, total: np.ndarray) -> bool:
    same = np.isclose(values, total, rtol=1e-9, atol=0)
    return len(same) >= LEAST and same.mean() >= _SAME and len(np.unique(values[same])) > 2


def rounded_up(asked: Moments, happened: Moments) -> list[Finding]:
    """Name a time of labels that is the end of a day, on which, and not on the day before, their entities had an
    event: the event's instant, rounded up."""
    if asked.rows.num_rows < LEAST or not pa.types.is_timestamp(asked.rows.schema.field(asked.time).type):
        return []
    asking, events = number_entities([asked, happened])
    ends = -(-asking.time // _DAY) * _DAY
    whole = (asking.time == ends).all() or (ends - asking.time <= _LAST_SECOND).all()
    if not whole or (events.time % _DAY == 0).mean() > _USUAL:
        return []
    on, before = (_share_within(events, asking.entity, ends - days * _DAY) for days in (1, 2))
    if on < _ROUNDED or before > _USUAL:
        return []
    wrong = (
        f"is the end of a day in every label, and {percent(on)} have an event on that day, {percent(before)} on the "
        "day before: it looks like an event's instant, rounded up, and lets the rest of the event's day in."
    )
    return [Finding("rounded-label", f"label time {asked.time}", wrong, "label at the event's own instant.")]


def _share_within(events: Rows, entity: np.ndarray, start: np.ndarray) -> float:
    """Return the share of entities with an event on the day from ``start``."""
    _, first, last = _within(events, entity, start, start + _DAY)
    return float((last > first).mean())


def _late(rows: pa.Table, time: str, column: str) -> np.ndarray:
    """Return which rows have a time more than a day after their own; of one that is the same in all rows, which were
    loaded at once, none."""
    (at, unknown), (stamped, empty) = times(rows, time), times(rows, column)
    if len(np.unique(stamped[~empty])) < 2:
        return np.zeros(rows.num_rows, bool)
    return ~unknown & ~empty & (stamped > at + _DAY)


def _known_later(table: str, time: str, column: str, late: np.ndarray, called: str) -> Finding:
    seen = "were recorded more than a day after it" if called == "row" else "see a row before it was known"
    wrong = (
        f"is later than {time}, from which on labels see the row: it was not known then.\n"
        f"{plural(len(late), called)}, {percent(float(late.mean()))} {seen}."
    )
    cure = f'take the later of both for the time column, or this one (timeseries_column="{column}").'
    return Finding("known-later", f"{table}.{column}", wrong, cure)


def _within(
    rows: Rows, entity: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an order of ``rows``, and for each asked ``entity`` from where to where in it those of its rows are whose
    instants are from ``start`` on and before ``stop``; of the entity −1 there are none."""
    moments = np.unique(rows.time)
    width = len(moments) + 1
    code = rows.entity * width + np.searchsorted(moments, rows.time)
    order = np.argsort(code, kind="stable")
    asked = np.where(entity < 0, np.iinfo(np.int32).min, entity) * width
    first, last = (np.searchsorted(code[order], asked + np.searchsorted(moments, edge)) for edge in (start, stop))
    return order, first, np.maximum(first, last)
