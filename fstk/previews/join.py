"""A training set looked at before it is made: what each lookup comes to, what stays null, the picture of one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from fstk.display import Displayed, Sheet, Stacked
from fstk.engines.base import TableVersion
from fstk.lint.report import Finding, LintReport
from fstk.lint.training import lint_training_set
from fstk.lint.windows import lint_windows
from fstk.previews.held import Held, hold, rows_among
from fstk.previews.pictures import draw, telling
from fstk.previews.timeline import Timeline
from fstk.tables.spec import FeatureTable
from fstk.training import run
from fstk.training.plan import TrainingPlan
from fstk.training.summary import Summary


@dataclass(frozen=True)
class FeatureShare:
    """How many labels find null in a feature: because no row was found, and because the row found holds null."""

    feature: str
    table: str
    labels: int
    without_row: int
    null_in_row: int


@dataclass(frozen=True)
class KnownShare:
    """What "as known at" changes for one lookup: labels matched without and with it, and labels that differ."""

    table: str
    labels: int
    matched: int
    matched_as_known: int
    differ: int


@dataclass(frozen=True, repr=False)
class TrainingSetPreview(Stacked):
    """What a training set would be, seen on ``summary.labels`` of all ``of`` labels."""

    summary: Summary
    of: int
    features: tuple[FeatureShare, ...]
    known: tuple[KnownShare, ...]
    pictures: tuple[Timeline, ...]
    lint: LintReport
    closing: str

    def parts(self) -> Sequence[Displayed | Sheet]:
        """Return findings first when there are any, then shares per lookup and feature, and the pictures."""
        shown: list[Displayed | Sheet] = [] if self.lint.clean else [self.lint]
        shown += [self._lookups(), self._features()]
        shown += [self._known()] if self.known else []
        clean = "lint: clean · " if self.lint.clean else ""
        return [*shown, *self.pictures, Sheet("", (), (), [clean + self.closing])]

    def _lookups(self) -> Sheet:
        table = self.summary.display()
        some = "all" if self.summary.labels == self.of else f"a sample of {self.of:,}"
        labels, rest = table.title.split(" × ", 1)
        rows = [(self._short[row[0]], *row[1:]) for row in table.rows]
        return replace(table, title=f"{labels} ({some}) × {rest}", rows=rows)

    def _features(self) -> Sheet:
        rows = [
            (
                one.feature,
                self._short[one.table],
                *(_share(count, one.labels) for count in (one.without_row, one.null_in_row)),
            )
            for one in self.features
        ]
        return Sheet("", ("feature", "of", "null: no row", "null: in its row"), rows)

    @property
    def _short(self) -> dict[str, str]:
        return short_names([one.table for one in self.summary.lookups])

    def _known(self) -> Sheet:
        rows = [
            (
                self._short[one.table],
                _share(one.matched, one.labels),
                _share(one.matched_as_known, one.labels),
                _share(one.differ, one.labels),
            )
            for one in self.known
        ]
        title = "as known at: a row counts from the commit that wrote it, so a backfill is not seen"
        return Sheet(title, ("lookup", "matched", "matched as known", "labels that see other values"), rows)


def short_names(tables: Sequence[str]) -> dict[str, str]:
    """Return for each table name its last part, where that tells the tables apart."""
    last = {name: name.rpartition(".")[2] for name in tables}
    return {name: part if list(last.values()).count(part) == 1 else name for name, part in last.items()}


def preview(
    plan: TrainingPlan,
    labels: pa.Table,
    of: int,
    tables: Mapping[str, FeatureTable],
    *,
    as_known: bool,
    one: pa.Table | None,
    sources: Mapping[str, TableVersion],
    closing: str,
) -> TrainingSetPreview:
    """Return what the training set of ``plan`` comes to for ``labels``.

    Args:
        plan: what is looked up where.
        labels: all labels or a sample, in Arrow, with the columns of the plan.
        of: the number of all labels.
        tables: by name, the plan's tables.
        as_known: also say what a join as known at the label's time changes; the picture is then of that join.
        one: the label to draw, a table of one row; None chooses one that has something to tell.
        sources: by feature table, the events it was computed of, where they are known.
        closing: the last line.

    Raises:
        DuplicateKeys: a label met several rows of one key and time. InvalidInput: as
            :meth:`TrainingPlan.joins_as_known`.
    """
    held = hold(plan, labels)
    answers = run.explanation(plan, labels, held)
    summary = run.summary(plan, answers, held)
    rows = run.join(plan, labels, held)
    events = _events(plan, labels, tables, sources)
    known: tuple[KnownShare, ...] = ()
    drawn = answers
    if as_known:
        drawn = run.explanation(plan, labels, held, as_known=True)
        known = _known(plan, rows, run.join(plan, labels, held, as_known=True), answers, drawn)
    if one is not None:
        pictures = pictures_of(plan, one, tables, sources, as_known=as_known)
    else:
        row = telling(drawn)
        about = drawn.filter(pc.field("label_row") == row)
        pictures = () if row is None else draw(plan, labels.slice(row, 1), about, held, events, as_known=as_known)
    lint = _lint(plan, labels, tables, held, events)
    return TrainingSetPreview(summary, of, _features(plan, rows, summary), known, pictures, lint, closing)


def lint_labels(
    plan: TrainingPlan, labels: pa.Table, tables: Mapping[str, FeatureTable], sources: Mapping[str, TableVersion]
) -> LintReport:
    """Return what lint finds when ``labels`` meet the tables of ``plan``; see :func:`preview` for the arguments."""
    return _lint(plan, labels, tables, hold(plan, labels), _events(plan, labels, tables, sources))


def _lint(
    plan: TrainingPlan,
    labels: pa.Table,
    tables: Mapping[str, FeatureTable],
    held: Held,
    events: Mapping[str, pa.Table],
) -> LintReport:
    report = lint_training_set(plan, labels, {join.table: held.rows[join.source] for join in plan.joins})
    return LintReport.of([*report.findings, *_closed(plan, labels, tables, events)])


def pictures_of(
    plan: TrainingPlan,
    label: pa.Table,
    tables: Mapping[str, FeatureTable],
    sources: Mapping[str, TableVersion],
    *,
    as_known: bool,
) -> tuple[Timeline, ...]:
    """Return the pictures of the one label in ``label``; see :func:`preview` for the arguments."""
    held = hold(plan, label)
    answers = run.explanation(plan, label, held, as_known)
    return draw(plan, label, answers, held, _events(plan, label, tables, sources), as_known=as_known)


def _features(plan: TrainingPlan, rows: pa.Table, summary: Summary) -> tuple[FeatureShare, ...]:
    shares = []
    matched = {plan.joined[place]: one.statuses["matched"] for place, one in enumerate(summary.lookups)}
    for number, join in enumerate(plan.joins):
        without = summary.labels - matched[number]
        for output in join.outputs:
            nulls = rows.column(output.name).null_count
            own = max(0, nulls - without) if output.default is None else 0
            shares.append(FeatureShare(output.name, join.table, summary.labels, min(nulls, without), own))
    return tuple(shares)


def _known(
    plan: TrainingPlan, rows: pa.Table, rows_known: pa.Table, answers: pa.Table, answers_known: pa.Table
) -> tuple[KnownShare, ...]:
    shares = []
    for place, number in enumerate(plan.joined):
        join = plan.joins[number]
        status, known = (
            one.filter(pc.equal(one.column("lookup"), place)).column("status") for one in (answers, answers_known)
        )
        differ = pl.Series(pc.not_equal(status, known))
        for output in join.outputs:
            left, right = (pl.Series(one.column(output.name)) for one in (rows, rows_known))
            differ |= left.ne_missing(right)
        matched, matched_known = (pc.sum(pc.equal(one, "matched")).as_py() or 0 for one in (status, known))
        shares.append(KnownShare(join.table, rows.num_rows, matched, matched_known, int(differ.sum())))
    return tuple(shares)


def _events(
    plan: TrainingPlan, labels: pa.Table, tables: Mapping[str, FeatureTable], sources: Mapping[str, TableVersion]
) -> dict[str, pa.Table]:
    """Return, by feature table, its keys and time in the events of the labels' entities."""
    found = {}
    for join in plan.joins:
        source, time = sources.get(join.table), tables[join.table].tags.get("event_time")
        if source is None or time is None:
            continue
        among = {key: labels.column(column) for key, column in zip(join.table_keys, join.label_keys, strict=True)}
        found[join.table] = rows_among(source, among, [*join.table_keys, time])
    return found


def _closed(
    plan: TrainingPlan, labels: pa.Table, tables: Mapping[str, FeatureTable], events: Mapping[str, pa.Table]
) -> list[Finding]:
    findings = []
    for join in plan.joins:
        tags = tables[join.table].tags
        if join.table in events and join.label_time is not None:
            findings += lint_windows(
                join.table,
                [output.feature for output in join.outputs],
                tags.get("closed", "left"),
                labels,
                join.label_keys,
                join.label_time,
                events[join.table],
                join.table_keys,
                tags["event_time"],
            )
    return findings


def _share(count: int, labels: int) -> str:
    """Return a share to a tenth of a percent; what is some reads neither as none nor as all."""
    tenths = round(1000 * count / labels) if labels else 0
    if 0 < count < labels:
        tenths = min(max(tenths, 1), 999)
    return f"{tenths / 10:.1f} %"
