"""The helper that notebooks know by name: count, total and average of the days before each transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fstk.engines.types import quoted_name
from fstk.windows.spec import Aggregate, WindowedFeatures

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

    ``df`` is any frame with the columns that ``entity`` (keys), ``timestamp`` (timestamp, timestamp_ntz or date) and
    ``amount`` (a number) name. A window is closed at both ends, [t − d, t]: a transaction counts itself and every
    other at its instant, which makes these features a leak when they are joined at the transaction they describe. For
    features that end before the point use :class:`WindowedFeatures`, whose windows are closed on the left.

    Counts are bigint, totals follow the rules of sums, averages are double. Errors are those of
    :meth:`WindowedFeatures.compute`.
    """
    column = quoted_name(amount)
    aggregates = [
        Aggregate("count(*)", name="txn_count"),
        Aggregate(f"sum({column})", name="total_spend"),
        Aggregate(f"avg({column})", name="avg_spend"),
    ]
    return WindowedFeatures(df, entity, timestamp, aggregates, windows, closed="both").compute("events", engine=engine)
