"""The helper that notebooks know by name: count, total and average of the days before each transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fstk.engines.types import quoted_name
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

if TYPE_CHECKING:
    from fstk.engines.base import Engine, Frame


def create_time_windowed_features(
    df: Any,
    windows: Sequence[int] = (7, 14, 30, 90),
    *,
    entity: str | Sequence[str] = "customer_id",
    timestamp: str = "transaction_date",
    amount: str = "amount",
    engine: Engine | None = None,
) -> Frame:
    """Return the rows of ``df`` with ``txn_count_{d}d``, ``total_spend_{d}d`` and ``avg_spend_{d}d`` for d days.

    A window is closed at both ends, [t − d, t]: a transaction counts itself and every other at its instant, which
    makes these features a leak when they are joined at the transaction they describe. For features that end before
    the point use :class:`WindowedFeatures`, whose windows are closed on the left.

    Counts are bigint, totals follow the rules of sums (exact for integers and decimals), averages are double.

    Args:
        df: any frame of transactions, a row each; all its columns and rows come first in the result.
        windows: lengths in days of 86,400 s.
        entity: the key column, or a list of them.
        timestamp: the time column: timestamp, timestamp_ntz (taken as UTC) or date (taken as midnight UTC).
        amount: the column of a number that is summed and averaged.
        engine: where to compute; by default the session of a Spark frame given, else the current one.

    Errors are those of :meth:`WindowedFeatures.compute`.

    >>> import pyarrow as pa
    >>> from fstk.engines.connect import direct
    >>> days = pa.array([0, 3, 9], pa.int32()).cast(pa.date32())
    >>> purchases = pa.table({"customer_id": [1, 1, 1], "transaction_date": days, "amount": [10.0, 20.0, 5.0]})
    >>> create_time_windowed_features(purchases, windows=[7], engine=direct())["total_spend_7d"].to_pylist()
    [10.0, 30.0, 25.0]
    """
    column = quoted_name(amount)
    aggregates = [
        Aggregate("count(*)", name="txn_count"),
        Aggregate(f"sum({column})", name="total_spend"),
        Aggregate(f"avg({column})", name="avg_spend"),
    ]
    return WindowedFeatures(df, entity, timestamp, aggregates, windows, closed="both").compute("events", engine=engine)
