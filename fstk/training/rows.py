"""Rows that are computed when asked for, on the engine that fits the labels and the tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fstk.display import Displayed
from fstk.engines.base import Engine, Frame, TableVersion
from fstk.engines.choice import engine_for, session_for
from fstk.engines.spark import SparkEngine
from fstk.engines.types import schema_of
from fstk.training import dtypes
from fstk.training.dtypes import Dtype
from fstk.training.functions import CompiledFunctions
from fstk.training.plan import TrainingPlan

if TYPE_CHECKING:
    import pandas
    import polars
    from pyspark.sql import DataFrame


def fitting_engine(
    plan: TrainingPlan, labels: Any, session: SparkEngine | None = None, *, as_known: bool = False
) -> Engine:
    """Return the engine that joins ``labels`` with the columns that ``plan`` reads of each table, ``as_known`` of its
    changes, and that computes its functions."""
    read: Counter[TableVersion] = Counter()
    for join in plan.joins:
        read[join.source] += len(join.table_columns) + len(join.outputs)

    def compile_functions(_: Engine) -> None:
        CompiledFunctions(plan.functions, plan.types)

    return engine_for(labels, tables=read, changes=as_known, session=session, trial=compile_functions)


class Rows(Displayed, ABC):
    """A plan and its labels, a Spark DataFrame or an Arrow table; nothing is computed before it is asked for."""

    def __init__(
        self, plan: TrainingPlan, labels: DataFrame | pa.Table, as_known: bool, session: SparkEngine | None = None
    ) -> None:
        self.plan = plan
        self.as_known = as_known
        self._labels = labels
        self.session = session
        self.zone: str | None = None
        """Time zone of the session whose frame :meth:`load_df` gave last; None when it was never asked."""
        self._dtypes: dict[str, Dtype] | None = None

    @property
    def labels(self) -> DataFrame | pa.Table:
        """The labels as they were given: a Spark DataFrame, or any other frame as Arrow."""
        return self._labels

    def _engine(self) -> Engine:
        return fitting_engine(self.plan, self._labels, self.session, as_known=self.as_known)

    @abstractmethod
    def _frame(self, engine: Engine) -> Frame:
        """Return the rows on an engine."""

    def load_df(self) -> DataFrame:
        """Return the rows as a Spark DataFrame, of the labels' session or else of the client's, or the current one;
        Spark runs at its first action, which raises DuplicateKeys when a label met several rows of one key and time.

        >>> training_set.load_df().count()
        3
        """
        engine = session_for(self._labels, session=self.session)
        self.zone = str(engine.session.conf.get("spark.sql.session.timeZone"))
        return self._frame(engine)

    def to_arrow(self) -> pa.Table:
        """Return the rows as Arrow: in this process, without a JVM, when the labels are no Spark DataFrame and the
        tables are local and fit in memory.

        Equal to :meth:`load_df` in columns, types and rows, instants in UTC; the rows then also keep the labels' order.

        Raises:
            DuplicateKeys: a label met several rows of one key and time.
            ExpiredSnapshot: the version that was planned with is no longer kept.

        >>> training_set.to_arrow().column_names
        ['customer_id', 'at', 'churned', 'spend_30d']
        """
        engine = self._engine()
        return engine.arrow(self._frame(engine))

    def to_polars(self) -> polars.DataFrame:
        """Return the rows as a Polars frame, computed as :meth:`to_arrow` is.

        >>> training_set.to_polars()["spend_30d"].to_list()
        [10.0, 25.0, None]
        """
        import polars  # heavy, and only this method returns one

        rows = self.to_arrow()
        frame = polars.from_arrow(rows)
        assert isinstance(frame, polars.DataFrame)
        frame.columns = rows.column_names  # Polars gives a column without a name one of its own
        return frame

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a pandas frame, computed as :meth:`to_arrow` is: instants in UTC, integers with nulls as
        floats, or ``Int64`` where floats would lose digits. A model that is logged with this training set is scored
        with frames of the same dtypes.

        >>> training_set.to_pandas()["spend_30d"].tolist()
        [10.0, 25.0, nan]
        """
        rows = self.to_arrow()
        self._dtypes = dtypes.trained(schema_of(rows.schema), dtypes.facts(rows))
        return dtypes.frame(rows, self._dtypes)

    def pandas_dtypes(self) -> dict[str, Dtype]:
        """Return the dtypes of :meth:`to_pandas` by column, as a model's record keeps them; computes the rows unless
        that has done so.

        >>> training_set.pandas_dtypes()["customer_id"].name
        'int64'
        """
        if self._dtypes is None:
            engine = self._engine()
            rows = self._frame(engine)
            schema = engine.schema(rows)
            found = engine.map_slices(rows, dtypes.facts, dtypes.facts_schema(schema))
            self._dtypes = dtypes.trained(schema, engine.arrow(found))
        return self._dtypes
