"""A training set: labels, each with what it could honestly know, and the reasons for what it could not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

from fstk.display import Sheet
from fstk.engines.base import Engine, Frame, Schema
from fstk.engines.choice import engine_for, session_for
from fstk.engines.clocks import Clock
from fstk.engines.frames import is_spark
from fstk.engines.spark import SparkEngine
from fstk.engines.types import arrow_schema
from fstk.errors import BadExpression
from fstk.tables.spec import FeatureTable
from fstk.training import run
from fstk.training.functions import FeatureFunction, kind_here
from fstk.training.plan import plan_training_set
from fstk.training.rows import Rows, fitting_engine
from fstk.training.spec import FeatureLookup
from fstk.training.summary import Summary


class Tables(Protocol):
    """Where feature tables are found by name; a catalog is one."""

    def get(self, name: str) -> FeatureTable:
        """Return the table at its newest version; raises UnknownTable with the nearest names."""
        ...


class Explanation(Rows):
    """Why each label sees what it sees: one row per label row and lookup; shown as its :attr:`summary`.

    Its columns: ``label_row`` (bigint, from 0 for local labels), the label columns that the lookups read, ``lookup``
    (int, from 0), ``table_name``, ``status`` (``matched``, ``unknown_key``, ``only_later_rows``, ``outside_lookback``,
    ``null_key`` or ``null_timestamp``), ``feature_time`` (timestamp, UTC) and ``age_seconds`` (double) of the row that
    matched, ``next_time`` (timestamp: when the next row of the keys can be seen) and ``later_rows`` (bigint).

    With Spark labels it is also asked like the DataFrame that :meth:`load_df` returns (``filter``, ``groupBy``,
    ``count`` …).

    >>> training_set.explain().to_pandas()[["status", "age_seconds"]].values.tolist()
    [['matched', 172800.0], ['matched', 86400.0], ['unknown_key', nan]]
    """

    @cached_property
    def summary(self) -> Summary:
        """The counts over all labels; computes the rows once."""
        engine = self._engine()
        return run.summary(self.plan, self._frame(engine), engine)

    def display(self) -> Sheet:
        """Return the summary's table."""
        return self.summary.display()

    def _frame(self, engine: Engine) -> Frame:
        return run.explanation(self.plan, engine.frame(self._labels, "df"), engine, self.as_known)

    def __getattr__(self, name: str) -> Any:
        # Local labels have no DataFrame yet, and a look at a name must not start a session for them.
        if name.startswith("_") or not is_spark(self._labels):
            raise AttributeError(
                f"an explanation has no {name!r}; see load_df(), to_pandas(), to_polars(), to_arrow(), summary."
            )
        return getattr(self.load_df(), name)


class TrainingSet(Rows):
    """Labels joined with features as each label could know them; made by ``create_training_set``.

    ``plan`` says what is joined to what, at which table versions; the rows come from ``load_df()`` (Spark), or from
    ``to_arrow()``, ``to_polars()``, ``to_pandas()``: one per label row, the labels' columns and then the features.
    Each call reads the same versions, so it gives the same rows.

    The examples know one of three labels: customer 1 at 3 and at 9 January, and customer 9, of whom ``shop.spend``
    has no row.

    >>> training_set.plan.features, training_set.label
    (['spend_30d'], 'churned')
    """

    @property
    def label(self) -> str | None:
        """The column to be predicted."""
        return self.plan.label

    def explain(self) -> Explanation:
        """Return, for each label row and lookup, whether it matched, how old the row is, or why there is none.

        >>> training_set.explain()
        3 labels × 1 lookup · 0 saw the future, by the times of the rows
        ...
        """
        return Explanation(self.plan, self._labels, self.as_known, self.session)

    def display(self) -> Sheet:
        """Return the plan's table; computes nothing."""
        table = self.plan.display()
        known = ["as known at: a row counts from the commit that wrote it"] if self.as_known else []
        return Sheet(table.title, table.columns, table.rows, [*table.notes, *known])

    def _frame(self, engine: Engine) -> Frame:
        return run.join(self.plan, engine.frame(self._labels, "df"), engine, self.as_known)


def create_training_set(
    df: Any,
    feature_lookups: Sequence[FeatureLookup | FeatureFunction],
    label: str | None,
    exclude_columns: Sequence[str] | None = None,
    *,
    catalog: Tables,
    session: SparkEngine | None = None,
    as_known: bool = False,
    caller_overrides: bool = False,
    clock: Clock | None = None,
) -> TrainingSet:
    """Plan a training set; see ``FeatureEngineeringClient.create_training_set`` for arguments and errors.

    ``clock`` reads the labels' times without a zone. ``session`` computes what Spark must for labels that are no Spark
    frame; None is that of ``fstk.connect()``. Starts no Spark action, except that keys of a table with commits that are
    not fstk's are checked to be unique now.
    """
    own = engine_for(df)
    labels = own.frame(df, "df")
    if clock is not None:
        labels = read_clock(clock, labels, feature_lookups, own)
    tables: dict[str, FeatureTable] = {}
    for lookup in feature_lookups if isinstance(feature_lookups, Iterable) else ():
        if isinstance(lookup, FeatureLookup) and lookup.table_name not in tables:
            tables[lookup.table_name] = catalog.get(lookup.table_name)

    def kind_of(columns: Schema, expression: str) -> str:
        try:
            return kind_here(columns, expression)
        except BadExpression:  # which Spark may know
            engine = session_for(labels, session=session)
            empty = engine.frame(arrow_schema(columns).empty_table(), "df")
            return engine.schema(engine.select(empty, {"x": expression}))["x"]

    plan = plan_training_set(
        own.schema(labels),
        feature_lookups,
        tables,
        label,
        exclude_columns or (),
        caller_overrides=caller_overrides,
        kind_of=kind_of,
    )
    if as_known:
        plan.joins_as_known()
    if not all(join.keys_known_unique for join in plan.joins):
        run.refuse_duplicates(plan, fitting_engine(plan, labels, session))
    return TrainingSet(plan, labels, as_known, session)


def read_clock(
    clock: Clock, labels: Frame, lookups: Iterable[FeatureLookup | FeatureFunction], engine: Engine
) -> Frame:
    """Return labels in which the times that ``lookups`` name are instants; InvalidInput: all of them are already."""
    times = [one.timestamp_lookup_key for one in lookups if isinstance(one, FeatureLookup)]
    named = [time for time in times if time is not None]
    schema = engine.schema(labels)
    if all(time in schema for time in named) and not clock.read(schema, named):  # the plan names what is missing
        raise clock.idle(named)
    return clock.instants(labels, named, engine, "df")
