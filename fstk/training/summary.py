"""The counts of an explanation that a person reads first: labels that matched, ages of their rows, what to look at.

Counted part by part, so that no engine has to bring all rows together; :class:`Summary` is what the parts add up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import instants
from fstk.display import Displayed, Sheet, duration, instant, plural, share
from fstk.engines.base import Schema
from fstk.training.explain import STATUSES, column_names
from fstk.training.kernel import value_text
from fstk.training.plan import TrainingPlan

COUNTS: Schema = {"lookup": "bigint", "kind": "string", "name": "string", "value": "bigint", "count": "bigint"}
"""Columns of :func:`partial_counts`."""

_DIGITS = 12  # binary digits of an age that tell it from another in the median: 0.05 %
_MOST = 2**62
_WORST = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def partial_counts(rows: pa.Table, plan: TrainingPlan) -> pa.Table:
    """Return what a summary needs of some rows of an explanation, in few rows that add up over all parts.

    Kinds: ``status`` (its name), ``later`` (rows refused), ``future`` (matched rows that come after their label),
    ``age`` (``value`` in µs, ages that agree in their leading digits under the smallest), ``oldest`` (``value`` in
    µs), ``missed`` and ``aged`` (``name`` says which label and why, least ``value`` first).
    """
    counts: list[tuple[int, str, str, int, int]] = []
    for position in range(len(plan.lookups)):
        part = rows.filter(pc.equal(rows.column("lookup"), position))
        for item in part.column("status").value_counts().to_pylist():
            counts.append((position, "status", item["values"], 0, item["counts"]))
        counts.append((position, "later", "", 0, pc.sum(part.column("later_rows")).as_py() or 0))
        ages = np.rint(part.column("age_seconds").drop_null().to_numpy() * 1e6).astype(np.int64)
        counts.append((position, "future", "", 0, int((ages < 0).sum())))
        counts += [(position, "age", "", value, count) for value, count in _binned(ages)]
        counts += [(position, "oldest", "", int(ages.max()), 1)] if len(ages) else []
        counts += [(position, kind, text, value, 1) for kind, value, text in _worst(part, plan, position)]
    columns = list(zip(*counts, strict=True)) if counts else [()] * len(COUNTS)
    types = (pa.int64(), pa.string(), pa.string(), pa.int64(), pa.int64())
    return pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=list(COUNTS))


def count_without_time(features: pa.Table, column: str) -> pa.Table:
    """Return the number of feature rows whose time is null; no label ever sees them (docs/rules.md#join-10)."""
    return pa.table({"rows": pa.array([features.column(column).null_count], pa.int64())})


@dataclass(frozen=True)
class LookupSummary:
    """What one lookup came to over all labels; ``later_rows`` counts pairs of a label and a row refused as later,
    ``future`` the labels whose row comes after them, counted from the times of both, whatever chose the row."""

    table: str
    statuses: dict[str, int]
    has_time: bool
    has_lookback: bool
    median_age: timedelta | None
    oldest: timedelta | None
    later_rows: int
    future: int
    rows_without_time: int


@dataclass(frozen=True, repr=False)
class Summary(Displayed):
    """An explanation in one line per lookup; ``worst`` are the labels served worst, in words."""

    labels: int
    lookups: tuple[LookupSummary, ...]
    worst: tuple[str, ...]

    @property
    def future(self) -> int:
        """Pairs of a label and a row of its future that it was given: more than none is a defect of fstk."""
        return sum(lookup.future for lookup in self.lookups)

    def display(self) -> Sheet:
        """Return shares of labels per status; a share is 0.0 % or 100.0 % only when it is none or all."""
        names = ["matched", "only later", "unknown key", "outside look-back", "null key"]
        kinds = ["matched", "only_later_rows", "unknown_key", "outside_lookback", "null_key"]
        rows, notes = [], []
        short = short_names([lookup.table for lookup in self.lookups])
        for lookup in self.lookups:
            shares = [self._share(lookup, kind) for kind in kinds]
            rows.append((short[lookup.table], *shares, lookup.median_age, lookup.oldest))
            without = lookup.statuses.get("null_timestamp", 0)
            if without:
                notes.append(f"{lookup.table}: {plural(without, 'label')} without a time")
            if lookup.later_rows:
                notes.append(f"{lookup.table}: {lookup.later_rows:,} × a row refused because it came after the label")
            if lookup.rows_without_time:
                count = plural(lookup.rows_without_time, "feature row")
                notes.append(f"{lookup.table}: {count} without a time, never seen")
        if self.worst:
            notes.append("\n  ".join([f"{plural(len(self.worst), 'label')} worst served:", *self.worst]))
        labels, lookups = plural(self.labels, "label"), plural(len(self.lookups), "lookup")
        title = f"{labels} × {lookups} · {self.future:,} saw the future, by the times of the rows"
        return Sheet(title, ("lookup", *names, "median age", "oldest"), rows, notes)

    def _share(self, lookup: LookupSummary, kind: str) -> str | None:
        if kind == "only_later_rows" and not lookup.has_time:
            return None
        if kind == "outside_lookback" and not lookup.has_lookback:
            return None
        return share(lookup.statuses.get(kind, 0), self.labels)


def summarized(plan: TrainingPlan, counts: pa.Table, rows_without_time: Sequence[int]) -> Summary:
    """Return what parts of :func:`partial_counts` add up to; ``rows_without_time`` has one number per join."""
    of: dict[tuple[int, str], list[tuple[int, str, int]]] = {}
    for line in counts.to_pylist():
        of.setdefault((line["lookup"], line["kind"]), []).append((line["value"], line["name"], line["count"]))
    lookups, worst = [], []
    for position, number in enumerate(plan.joined):
        join = plan.joins[number]
        statuses = dict.fromkeys(STATUSES, 0)
        for _, name, count in of.get((position, "status"), []):
            statuses[name] += count
        oldest = [value for value, _, _ in of.get((position, "oldest"), [])]
        ages = of.get((position, "age"), [])
        alike = ages and min(value for value, _, _ in ages) == max(oldest)
        some = alike and sum(count for _, _, count in ages) > _WORST  # of many rows of one age none is a worse one
        for kind in ("missed",) if some else ("missed", "aged"):
            worst += [(value, text) for value, text, _ in of.get((position, kind), [])]
        lookups.append(
            LookupSummary(
                table=join.table,
                statuses=statuses,
                has_time=join.table_time is not None,
                has_lookback=join.lookback is not None,
                median_age=_median([(value, count) for value, _, count in of.get((position, "age"), [])]),
                oldest=timedelta(microseconds=max(oldest)) if oldest else None,
                later_rows=sum(count for _, _, count in of.get((position, "later"), [])),
                future=sum(count for _, _, count in of.get((position, "future"), [])),
                rows_without_time=rows_without_time[number],
            )
        )
    labels = sum(lookups[0].statuses.values()) if lookups else 0
    texts = dict.fromkeys(text for _, text in sorted(worst))
    return Summary(labels, tuple(lookups), tuple(texts)[:_WORST])


def short_names(tables: Sequence[str]) -> dict[str, str]:
    """Return for each table name its last part, where that tells the tables apart."""
    last = {name: name.rpartition(".")[2] for name in tables}
    return {name: part if list(last.values()).count(part) == 1 else name for name, part in last.items()}


def _binned(ages: np.ndarray) -> list[tuple[int, int]]:
    """Return (smallest age, number) of the ages that share their leading binary digits."""
    dropped = np.maximum(np.frexp(ages.astype(np.float64))[1] - _DIGITS, 0)
    values, which, numbers = np.unique((ages >> dropped) << dropped, return_inverse=True, return_counts=True)
    smallest = np.full(len(values), _MOST)
    np.minimum.at(smallest, which, ages)
    return list(zip(smallest.tolist(), numbers.tolist(), strict=True))


def _median(ages: list[tuple[int, int]]) -> timedelta | None:
    half = (sum(count for _, count in ages) + 1) // 2
    for value, count in sorted(ages):
        half -= count
        if half <= 0:
            return timedelta(microseconds=value)
    return None


def _worst(part: pa.Table, plan: TrainingPlan, position: int) -> list[tuple[str, int, str]]:
    """Return (kind, rank, words) of the labels to look at first: those that missed a row by little, then of oldest
    row."""
    join = plan.joins[plan.joined[position]]
    if join.label_time is None or join.table_time is None:
        return []
    shown = column_names(plan)
    missed = part.filter(pc.equal(part.column("status"), "only_later_rows"))
    aged = part.filter(pc.greater(part.column("age_seconds"), 0))
    label_time, _ = instants(missed.column(shown[join.label_time]))
    next_time, _ = instants(missed.column("next_time"))
    wait = next_time - label_time
    age = np.rint(aged.column("age_seconds").to_numpy() * 1e6).astype(np.int64)
    worst = []
    first, then = (missed, wait, wait, "first row {} later"), (aged, _MOST - age, age, "its row is {} old")
    for kind, (table, rank, length, words) in (("missed", first), ("aged", then)):
        for row in np.lexsort((table.column("label_row").to_numpy(), rank))[:_WORST]:
            line = table.slice(int(row), 1)
            keys = ", ".join(f"{key} {value_text(line.column(shown[key])[0].as_py())}" for key in join.label_keys)
            at = instant(_EPOCH + timedelta(microseconds=int(instants(line.column(shown[join.label_time]))[0][0])))
            reason = words.format(duration(timedelta(microseconds=int(length[row]))))
            worst.append((kind, int(rank[row]), f"{keys} at {at} ({reason})"))
    return worst
