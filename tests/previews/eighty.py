"""Eighty-four windowed features of made-up purchases, previewed without a JVM."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from fstk import Aggregate, WindowedFeatures
from fstk.engines.direct import DirectEngine
from fstk.previews.windows import WindowPreview, preview
from fstk.windows.calendar import Calendar

WINDOWS = ["1d", "7d", "14d", "30d", "60d", "90d", None]


def purchases(rows: int) -> pa.Table:
    """Return purchases of sixty customers in 1997."""
    dice, first = random.Random(7), datetime(1997, 1, 1, tzinfo=UTC)
    times = [first + timedelta(hours=dice.randint(0, 8_000)) for _ in range(rows)]
    return pa.table(
        {
            "customer_id": [dice.randint(1, 60) for _ in range(rows)],
            "purchased_at": pa.array(times, pa.timestamp("us", "UTC")),
            "amount": [round(dice.lognormvariate(3, 1), 2) for _ in range(rows)],
            "quantity": [dice.randint(1, 9) for _ in range(rows)],
        }
    )


def eighty() -> WindowPreview:
    """Return the preview of twelve aggregates over seven windows, at weeks of a year."""
    each = [(one, column) for one in ("sum", "avg", "min", "max", "median") for column in ("amount", "quantity")]
    aggregates = [Aggregate(f"{one}({column})", f"{one}_{column}") for one, column in each]
    aggregates += [Aggregate("count(*)", "txn_count")]
    aggregates += [Aggregate("sum(amount) filter (where quantity > 5)", "bulk_spend")]
    return preview(
        WindowedFeatures(purchases(1_000), "customer_id", "purchased_at", aggregates, WINDOWS),
        Calendar(date(1997, 2, 1), date(1997, 11, 1), "7d"),
        "feature_store.customer_features",
        time="as_of",
        points_time="as_of",
        existing=None,
        engine=DirectEngine(),
    )
