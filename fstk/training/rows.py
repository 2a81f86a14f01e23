"""Rows that are computed when asked for, on the engine that fits the labels and the tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from fstk.display import Displayed
from fstk.engines.base import Engine, Frame, TableVersion
from fstk.engines.choice import engine_for, session_for
from fstk.engines.spark import SparkEngine
from fstk.training.plan import TrainingPlan

if TYPE_CHECKING:
    import pandas
    import polars
    from pyspark.sql import DataFrame

_EXACT_DOUBLE = 2**53


def fitting_engine(
    plan: TrainingPlan, labels: Any, session: SparkEngine | None = None, *, as_known: bool = False
) -> Engine:
    """Return the engine that joins ``labels`` with the columns that ``plan`` reads of each table, ``as_known`` of its
    changes."""
    read: Counter[TableVersion] = Counter()
    for join in plan.joins:
        read[join.source] += len(join.table_columns) + len(join.outputs)
    return engine_for(labels, tables=read, changes=as_known, session=session)


class Rows(Displayed):
    """A plan and its labels, a Spark DataFrame or an Arrow table; nothing is computed before it is asked for."""

    def __init__(
        self, plan: TrainingPlan, labels: DataFrame | pa.Table, as_known: bool, session: SparkEngine | None = None
    ) -> None:
        self.plan = plan
        self.as_known = as_known
        self._labels = labels
        self.session = session

    @property
    def labels(self) -> DataFrame | pa.Table:
        """The labels as they were given: a Spark DataFrame, or any other frame as Arrow."""
        return self._labels

    def _engine(self) -> Engine:
        return fitting_engine(self.plan, self._labels, self.session, as_known=self.as_known)

    def _frame(self, engine: Engine) -> Frame:
        raise NotImplementedError  # each kind of rows has its own

    def load_df(self) -> DataFrame:
        """Return the rows as a Spark DataFrame, of the labels' session or else of the client's, or the current one;
        Spark runs at its first action, which raises DuplicateKeys when a label met several rows of one key and time.

        >>> training_set.load_df().count()
        3
        """
        return self._frame(session_for(self._labels, session=self.session))

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

        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a pandas frame, computed as :meth:`to_arrow` is: instants in UTC, integers with nulls as
        floats, or ``Int64`` where floats would lose digits.

        >>> training_set.to_pandas()["spend_30d"].tolist()
        [10.0, 25.0, nan]
        """
        return as_pandas(self.to_arrow())


def as_pandas(table: pa.Table) -> pandas.DataFrame:
    """Return an Arrow table as the frame that models are trained on and scored with; see :meth:`Rows.to_pandas`."""
    import pandas  # heavy, and only this function makes one

    frame = table.to_pandas()
    for name in table.column_names:
        column = table.column(name)
        if column.type == pa.int64() and column.null_count and _large(column):
            frame[name] = column.to_pandas(types_mapper={pa.int64(): pandas.Int64Dtype()}.get)
    return frame


def _large(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is not None and (low < -_EXACT_DOUBLE or high > _EXACT_DOUBLE)
