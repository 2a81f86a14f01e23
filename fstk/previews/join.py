"""A training set looked at before it is made: what each lookup comes to, what stays null, the picture of one label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from fstk.display import Displayed, Sheet, Stacked, share
from fstk.engines.base import COMMIT_TIMESTAMP
from fstk.errors import ExpiredSnapshot, UnsupportedTable
from fstk.lint.acceptance import Acceptance, in_tags, settled
from fstk.lint.inputs import Input, Seen, inputs
from fstk.lint.power import Power
from fstk.lint.report import BESIDE, Finding, LintReport
from fstk.lint.times import written_later
from fstk.lint.training import lint_training_set
from fstk.matrix import MANY, Place, aggregate_name, closed, matrix, on_request
from fstk.previews.distribution import TOLD, distribution
from fstk.previews.loaded import LoadedJoin
from fstk.previews.pictures import draw, moments, most_telling
from fstk.previews.timeline import Timeline
from fstk.tables.definition import Definitions
from fstk.training import run
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join, Output
from fstk.training.summary import Summary, short_names

_TELLING = 6  # inputs that are listed of many
_TALL = 12  # of those that are listed, in sight above a picture
_MOST_CHANGED = 2_000_000  # rows that commits wrote, past which these are not looked at
_MOST = "the inputs that tell most, and those of the labels' own frame"
_BAR = 40  # letters of a bar that tells all
_FROM = {"FeatureFunction": "function", "key": "frame: key", "time": "frame: time"}
_NO_TIME_TELLS = (
    "what each alone tells of the label: now, on the newest as-of dates, and by its state a step earlier · times of "
    "rows do not say what a row was made of"
)


@dataclass(frozen=True)
class FeatureShare:
    """How many labels find null in a feature: because no row was found, and because the row found holds null.

    Of a function ``table`` is None, and all its nulls are its own."""

    feature: str
    table: str | None
    labels: int
    without_row: int
    null_in_row: int


@dataclass(frozen=True)
class KnownShare:
    """What "as known at" changes for one lookup: labels matched by the times of rows alone and as known, and labels
    that differ; ``late`` is when the table's first row was written, if that was after every label."""

    table: str
    labels: int
    matched: int
    matched_as_known: int
    differ: int
    late: datetime | None = None


@dataclass(frozen=True, repr=False)
class TrainingSetPreview(Stacked):
    """What a training set would be, seen on ``summary.labels`` of all ``total`` labels; ``joined`` is what it was
    computed on, for further questions. ``defined`` is, by table, how windowed features were made, and ``spread`` how
    the values of each input are distributed. ``below_controls``, by which single labels are stepped through, inputs
    stand closed, and no label is named as served worst."""

    joined: LoadedJoin
    summary: Summary
    total: int
    features: tuple[FeatureShare, ...]
    inputs: tuple[Input, ...]
    known: tuple[KnownShare, ...]
    pictures: tuple[Timeline, ...]
    lint: LintReport
    closing: str
    defined: Mapping[str, Definitions] = field(default_factory=dict)
    spread: Mapping[str, str] = field(default_factory=dict)
    below_controls: bool = False

    def parts(self) -> Sequence[Displayed]:
        """Return findings first when there are any, then shares per lookup and feature, and the pictures."""
        told = not self.lint.clean or self.lint.accepted or self.lint.notes
        shown: list[Displayed] = [replace(self.lint, in_sight=BESIDE)] if told else []
        listed = [closed(one) for one in self._inputs()] if self.below_controls else self._inputs()
        shown += [self._lookups(), *listed, *self._falls()]
        shown += [self._known()] if self.known else []
        clean = "lint: clean · " if self.lint.clean else ""
        return [*shown, *self.pictures, Sheet("", (), (), [clean + self.closing])]

    def _lookups(self) -> Sheet:
        table = (replace(self.summary, worst=()) if self.below_controls else self.summary).display()
        some = "all" if self.summary.labels == self.total else f"a sample of {self.total:,}"
        labels, rest = table.title.split(" × ", 1)
        notes = [*table.notes, *self.joined.plan.zone_notes.values()]
        return replace(table, title=f"{labels} ({some}) × {rest}", notes=notes)

    def _inputs(self) -> list[Sheet]:
        """Return a line per input; of many those that tell most and the frame's own, and the others on request."""
        every = replace(self.every_column(), tall=_TALL)
        if len(self.inputs) <= MANY:
            return [every]
        places: dict[str, list[Place]] = {}
        for one in self.inputs:
            found = None if one.table is None else self.defined.get(one.table, {}).get(one.feature)
            if found is not None:
                aggregate = aggregate_name(one.name, found.window, found.expression)
                places.setdefault(self._from(one), []).append(Place(aggregate, found.window, self.spread[one.name]))
        looked_up = {one.name for one in self.inputs if one.table is not None}
        telling = sorted((one for one in self.inputs if one.now), key=lambda one: -one.now.value if one.now else 0)
        chosen = {one.name for one in telling[:_TELLING]} | {row[0] for row in every.rows} - looked_up
        first = replace(every, title=_MOST, rows=[row for row in every.rows if row[0] in chosen])
        folded = [closed(matrix(f"{table}: {TOLD}", some)) for table, some in places.items()]
        return [first, *folded, on_request(replace(every, notes=()), len(every.rows))]

    def every_column(self) -> Sheet:
        """Return a line per column that would reach a model: what it alone tells of the label, and its nulls."""
        nulls = {one.feature: one for one in self.features}
        measure = next((one.now.measure for one in self.inputs if one.now is not None), None)
        rows = []
        for one in self.inputs:
            empty = nulls.get(one.name)
            told = [_told(one.now), _short_power(one.newest), _short_power(one.earlier), _bits(one)] if measure else []
            rows.append((one.name, self._from(one), *told, *(_nulls(empty) if empty else (None, None))))
        left_out = [(name, "left out", *[None] * (6 if measure else 2)) for name in self.joined.plan.exclude_columns]
        powers = (f"{measure} now", "newest", "earlier", "bits") if measure else ()
        notes = [_NO_TIME_TELLS] if measure else []
        return Sheet("", ("input", "from", *powers, "no row", "null"), [*rows, *left_out], notes)

    def _from(self, one: Input) -> str:
        if one.table is not None:
            return self._short[one.table]
        return _FROM.get(one.role, "your frame")

    def _falls(self) -> list[Sheet]:
        """Return, of each input that is far better at the label's instant than a step earlier, both as bars."""
        rows = []
        for one in self.inputs:
            if one.falls and one.same is not None and one.earlier is not None:
                for when, power in (("at the label's instant", one.same), ("a step earlier", one.earlier)):
                    rows.append((one.name, when, f"{power.measure} {power.value:.2f} {_bar(power)}"))
        title = "far better at the label's instant than a step earlier: does a row hold what came after its time?"
        return [Sheet(title, ("input", "its state", "what it alone tells of the label"), rows)] if rows else []

    @property
    def _short(self) -> dict[str, str]:
        return short_names([one.table for one in self.summary.lookups])

    def _known(self) -> Sheet:
        rows = [
            (self._short[one.table], *_shares(one.labels, one.matched, one.matched_as_known, one.differ))
            for one in self.known
        ]
        title = "as known at: a row counts from the commit that wrote it, so a backfill is not seen"
        heads = ("lookup", "matched by row times alone", "matched as known", "labels that see other values")
        notes = [
            f"{self._short[one.table]} was first written on {one.late.date()}, after every label: as known, none sees "
            "a row of it · as known is for tables that were kept up as time went by"
            for one in self.known
            if one.late is not None
        ]
        return Sheet(title, heads, rows, [*notes, "the labels, nulls and powers above are as known, too"])


def _told(power: Power | None) -> str | None:
    return None if power is None else f"{power.value:.2f} ({power.low:.2f}–{power.high:.2f})"


def _short_power(power: Power | None) -> str | None:
    return None if power is None else f"{power.value:.2f}"


def _bits(one: Input) -> str | None:
    return None if one.information is None else f"{one.information.bits:.2f} ± {one.information.spread:.2f}"


def _bar(power: Power) -> str:
    least = 0.5 if power.measure == "AUC" else 0.0
    return "█" * max(1, round(_BAR * (power.value - least) / (1 - least)))


def _nulls(one: FeatureShare) -> tuple[str | None, str]:
    if one.table is None:
        return None, share(one.null_in_row, one.labels)
    return share(one.without_row, one.labels), share(one.null_in_row, one.labels)


def _shares(labels: int, *counts: int) -> list[str]:
    return [share(count, labels) for count in counts]


def preview(
    joined: LoadedJoin,
    total: int,
    one: LoadedJoin | None = None,
    *,
    closing: str,
    defined: Mapping[str, Definitions] | None = None,
    accepted: Iterable[Acceptance] = (),
) -> TrainingSetPreview:
    """Return what the training set of ``joined`` comes to for its labels, all of ``total`` or a sample.

    ``one`` is a join of the one label to draw; None chooses one of ``joined`` that has something to tell. When a join
    is as known, the preview also says what that changes. ``closing`` is the last line, ``defined`` how the features of
    each table are computed, where that is known; ``accepted`` are findings that the tables' tags do not accept yet.
    """
    plan, labels, engine = joined.plan, joined.labels, joined.engine
    summary = run.summary(plan, joined.answers, engine)
    rows = run.join(plan, labels, engine, as_known=joined.as_known)
    known = _known(joined, run.join(plan, labels, engine), rows) if joined.as_known else ()
    row = most_telling(joined.answers)
    pictures = draw(one, 0) if one is not None else () if row is None else draw(joined, row)
    features = _features(plan, rows, summary)
    told = inputs(plan, labels, Seen(joined.tables, joined.changes), informed=True)
    found = lint_join(joined, told)
    tagged = [one for table in joined.known.values() for one in in_tags(table.tags, table.name)]
    lint = settled(found.findings, [*tagged, *accepted], found.unread)
    spread = {name: distribution(rows.column(name)) for name in (one.name for one in told) if name in rows.schema.names}
    return TrainingSetPreview(
        joined, summary, total, features, tuple(told), known, pictures, lint, closing, defined or {}, spread
    )


def lint_join(joined: LoadedJoin, measured: Sequence[Input] | None = None) -> LintReport:
    """Return what lint finds when the labels meet the tables, the events of these, and when they were written;
    ``measured`` as :func:`lint_training_set` takes it."""
    report = lint_training_set(
        joined.plan,
        joined.labels,
        joined.tables,
        measured,
        sources=joined.sources,
        events=joined.events,
        changes=joined.changes,
    )
    return LintReport.of([*report.findings, *_back_filled(joined)], report.unread)


def _back_filled(joined: LoadedJoin) -> list[Finding]:
    """Name the tables of which labels see rows that were written later; as known, none does. Tables that were first
    written after every label, as those of old data are, were not kept up as time went by, and are not looked at."""
    findings = []
    for join in [] if joined.as_known else joined.plan.joins:
        table = joined.known.get(join.table)
        if table is None or table.location is None or not table.written_by_fstk or join.table_time is None:
            continue
        commits = sorted((version for version in table.versions if version.rows), key=lambda one: one.version)
        asked = [at for at in moments(joined.labels, str(join.label_time)) if commits and at >= commits[0].timestamp]
        late = [one for one in commits if asked and one.timestamp > min(asked)]
        if not late or sum(one.rows or 0 for one in late) > _MOST_CHANGED:
            continue
        try:
            changes = joined.engine.changes(join.source, late[0].version)
        except (ExpiredSnapshot, UnsupportedTable):  # what is no longer kept, or not in its files, tells nothing
            continue
        findings += written_later(join, joined.labels, joined.tables[join.table], changes, commits[0].timestamp)
    return findings


def _features(plan: TrainingPlan, rows: pa.Table, summary: Summary) -> tuple[FeatureShare, ...]:
    shares = []
    matched = {plan.joined[place]: one.statuses["matched"] for place, one in enumerate(summary.lookups)}
    for number, join in enumerate(plan.joins):
        without = summary.labels - matched[number]
        for output in _shown(join, plan):
            nulls = rows.column(output.name).null_count
            own = max(0, nulls - without) if output.default is None else 0
            shares.append(FeatureShare(output.name, join.table, summary.labels, min(nulls, without), own))
    for one in plan.functions:
        if one.name in plan.schema:
            shares.append(FeatureShare(one.name, None, summary.labels, 0, rows.column(one.name).null_count))
    return tuple(shares)


def _shown(join: Join, plan: TrainingPlan) -> list[Output]:
    """Return what is looked up for the training set itself, and not for a function alone."""
    return [output for output in join.outputs if output.name in plan.schema]


def _known(joined: LoadedJoin, rows: pa.Table, rows_known: pa.Table) -> tuple[KnownShare, ...]:
    import polars as pl  # takes as long to import as another preview takes

    shares = []
    for place, number in enumerate(joined.plan.joined):
        join = joined.plan.joins[number]
        own = [one.filter(pc.equal(one.column("lookup"), place)) for one in (joined.answers_of_now, joined.answers)]
        status, known = (one.column("status") for one in own)
        differ = pl.Series(pc.not_equal(status, known))
        for output in _shown(join, joined.plan):
            left, right = (pl.Series(one.column(output.name)) for one in (rows, rows_known))
            differ |= left.ne_missing(right)
        matched, matched_known = (pc.sum(pc.equal(one, "matched")).as_py() or 0 for one in (status, known))
        shares.append(
            KnownShare(join.table, rows.num_rows, matched, matched_known, int(differ.sum()), _late(joined, join))
        )
    return tuple(shares)


def _late(joined: LoadedJoin, join: Join) -> datetime | None:
    """Return when a table's first row was written, if that was after every label."""
    if join.label_time is None or join.table_time is None:
        return None
    asked = moments(joined.labels, join.label_time)
    written = moments(joined.engine.changes(join.source), COMMIT_TIMESTAMP)
    return min(written) if asked and written and min(written) > max(asked) else None
