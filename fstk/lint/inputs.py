"""All that would reach a model, each column with what it alone tells of the label: now, lately, and a step earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from fstk.columns.keys import pair_ids
from fstk.engines.types import INSTANT
from fstk.errors import InvalidInput
from fstk.lint.information import Information, informations
from fstk.lint.power import Power, power
from fstk.training.bitemporal import as_known_join, find_known
from fstk.training.functions import CompiledFunctions
from fstk.training.kernel import Matches, as_of_join, find, times
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join

LABELS = 2_000
"""Labels that powers are taken of: many more tell no more."""
_EARLIER = "__fstk_earlier"
_NEWEST = 0.2  # share of the labels that are the newest, where these are not all of one instant
_FALL = {"R²": 0.3, "AUC": 0.15}  # what no honest feature is expected to lose within one step


@dataclass(frozen=True)
class Input:
    """One column of a training set besides its label: from ``table`` (None: computed or the labels' own) its
    ``feature``; what it alone tells of the label on all rows, on the ``newest`` as-of dates, and, on the rows that have
    an ``earlier`` state, by the state of then and by that of the label's instant (``same``)."""

    name: str
    table: str | None
    feature: str
    role: str
    now: Power | None = None
    newest: Power | None = None
    earlier: Power | None = None
    same: Power | None = None
    information: Information | None = None

    @property
    def where(self) -> str:
        """Its place, as findings name it."""
        return f"{self.role} {self.name}" if self.table is None else f"{self.table}.{self.feature}"

    @property
    def falls(self) -> bool:
        """Whether it is far better at the label's instant than a step earlier, beyond what chance does."""
        if self.same is None or self.earlier is None:
            return False
        fall = self.same.value - self.earlier.value
        return fall >= _FALL[self.same.measure] and self.earlier.high < self.same.low


@dataclass(frozen=True)
class Seen:
    """What labels see of tables, by canonical name: of their ``rows`` by the times of these, or where ``changes`` are
    given, of these as they were known."""

    rows: Mapping[str, pa.Table]
    changes: Mapping[str, pa.Table] | None = None

    def joins(self, plan: TrainingPlan) -> Sequence[Join]:
        """Return the joins of ``plan`` as this sees them."""
        return plan.joins if self.changes is None else plan.joins_as_known()

    def join(self, labels: pa.Table, join: Join) -> pa.Table:
        """Return ``labels`` with the outputs of ``join``."""
        if self.changes is None:
            return as_of_join(labels, self.rows[join.table], join)
        return as_known_join(labels, self.changes[join.table], join)

    def find(self, labels: pa.Table, join: Join) -> Matches:
        """Return the rows that labels see."""
        if self.changes is None:
            return find(labels, self.rows[join.table], join)
        return find_known(labels, self.changes[join.table], join)


def inputs(plan: TrainingPlan, labels: pa.Table, tables: Seen, *, informed: bool = False) -> list[Input]:
    """Return the inputs of a training set in its columns' order, with their powers on at most 2,000 of ``labels``, and
    when ``informed`` their mutual information.

    ``tables`` have all rows of the labels' keys. A step earlier is the row of the entity before the one that the label
    sees, whatever its age; as known, what was known of it then.
    """
    labels = _some(labels)
    asked = {column for join in plan.joins for column in join.label_keys}
    moments = {join.label_time for join in plan.joins if join.label_time is not None}
    training = labels
    earlier: dict[str, pa.ChunkedArray] = {}
    stepped: dict[str, np.ndarray] = {}
    for join in tables.joins(plan):
        training = tables.join(training, join)
        if join.table_time is not None:
            before, there = _a_step_earlier(labels, tables, join)
            earlier |= {output.name: before.column(output.name) for output in join.outputs}
            stepped |= {output.name: there for output in join.outputs}
    found = {output.name: (join, output.feature) for join in plan.joins for output in join.outputs}
    computed = {one.name for one in plan.functions}
    every = []
    for name in plan.schema:
        if name == plan.label:
            continue
        if name in found:
            join, feature = found[name]
            every.append(Input(name, join.table, feature, "feature"))
        elif name in asked or name in moments:
            every.append(Input(name, None, name, "key" if name in asked else "time"))
        else:
            every.append(Input(name, None, name, "FeatureFunction" if name in computed else "your column"))
    if plan.label is None:
        return every
    training = _with_functions(plan, training)
    newest = _newest(training, moments)
    entity = entities(plan, training)
    outcome = training.column(plan.label)

    def of(column: pa.ChunkedArray, rows: np.ndarray | None = None) -> Power | None:
        if rows is None:
            return power(column, outcome, entity)
        kept = pa.array(rows)
        return power(column.filter(kept), outcome.filter(kept), entity[rows])

    for place, one in enumerate(every):
        if one.role in ("key", "time") or one.name not in training.column_names:
            continue
        feature = training.column(one.name)
        one = replace(one, now=of(feature), newest=None if newest is None else of(feature, newest))
        if one.name in earlier:
            rows = stepped[one.name]
            one = replace(one, earlier=of(earlier[one.name], rows), same=of(feature, rows))
        every[place] = one
    if not informed:
        return every
    measured = {one.name: training.column(one.name) for one in every if one.now is not None}
    known = informations(measured, outcome)
    return [replace(one, information=known.get(one.name)) for one in every]


def entities(plan: TrainingPlan, training: pa.Table) -> np.ndarray:
    """Return a number for each row's entity; a row of no known entity stands for itself."""
    keys = list(dict.fromkeys(key for join in plan.joins for key in join.label_keys))
    if not keys:
        return np.arange(training.num_rows)
    entity = pair_ids(training, keys, training, keys)[0]
    return np.where(entity < 0, training.num_rows + np.arange(len(entity)), entity)


def _a_step_earlier(labels: pa.Table, tables: Seen, join: Join) -> tuple[pa.Table, np.ndarray]:
    """Return ``labels`` with the outputs of ``join`` as they were a row before, and which labels have such a row."""
    seen = tables.find(labels, join)
    at = pa.array(seen.at - 1, pa.int64(), mask=seen.row < 0).cast(INSTANT)
    asked = labels.select(list(join.label_keys)).append_column(_EARLIER, at)
    before = replace(join, label_time=_EARLIER, lookback=None)
    return tables.join(asked, before), tables.find(asked, before).row >= 0


def _with_functions(plan: TrainingPlan, training: pa.Table) -> pa.Table:
    for one in plan.functions:
        try:
            training = CompiledFunctions([one], plan.types)(training)
        except InvalidInput:  # which lint reports as not looked at
            break
    return training


def _newest(training: pa.Table, moments: set[str]) -> np.ndarray | None:
    """Return the labels of the newest as-of dates; None where all are of one instant, or none is said to be newer."""
    if len(moments) != 1:
        return None
    at, unknown = times(training, next(iter(moments)))
    if unknown.all() or np.ptp(at[~unknown]) == 0:
        return None
    return ~unknown & (at >= np.quantile(at[~unknown], 1 - _NEWEST, method="lower"))


def _some(labels: pa.Table) -> pa.Table:
    if labels.num_rows <= LABELS:
        return labels
    places = np.sort(np.random.default_rng(0).choice(labels.num_rows, LABELS, replace=False))
    return labels.take(pa.array(places))
