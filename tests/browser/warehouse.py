"""A warehouse of real purchases for a person to look at, written without a JVM: what the churn job makes, in small."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from fstk import Aggregate, Calendar, WindowedFeatures
from fstk.demo import cdnow
from fstk.engines.connect import direct
from tests.notebook.tables import write

_CUSTOMERS = 1_500
_LABELS_AT = datetime(1997, 6, 30, tzinfo=UTC)


def fill(warehouse: Path) -> None:
    """Write ``transactions``, ``churn_labels``, ``feature_store.customer_features`` and the static
    ``feature_store.cohort_features``, of the first customers."""
    purchases = pl.DataFrame(cdnow.purchases()).filter(pl.col("customer_id") <= _CUSTOMERS)
    features = WindowedFeatures(
        source=purchases,
        entity="customer_id",
        timestamp="purchased_at",
        aggregates=[Aggregate("count(*)", name="txn_count"), Aggregate("sum(amount)", name="total_spend")],
        windows=["30d", "90d"],
    )
    weekly = Calendar(date(1997, 1, 15), date(1997, 9, 1), every="7d")
    rows = features.compute(weekly, timestamp="as_of", engine=direct())
    cohort = pl.col("purchased_at").min().dt.truncate("1mo").dt.strftime("%Y-%m").alias("cohort")
    firsts = purchases.group_by("customer_id").agg(cohort)
    known = purchases.filter(pl.col("purchased_at") < _LABELS_AT)
    later = purchases.filter(pl.col("purchased_at").is_between(_LABELS_AT, _LABELS_AT + timedelta(days=90)))
    churned = (~pl.col("customer_id").is_in(later["customer_id"].unique().implode())).alias("is_churned")
    labels = known.group_by("customer_id", maintain_order=True).agg(pl.col("purchased_at").max().alias("event_ts"))
    # half of them are asked about on the last day, half two days after their newest purchase, some before any row
    at = (
        pl.when(pl.col("customer_id") % 2 == 0)
        .then(pl.lit(_LABELS_AT))
        .otherwise(pl.col("event_ts") + timedelta(days=2))
    )
    labels = (
        labels.with_columns(at.dt.cast_time_unit("us").alias("event_ts"), churned)
        .join(firsts, "customer_id")
        .sort("customer_id")
    )
    cohorts = firsts.group_by("cohort").agg(pl.len().cast(pl.Int64).alias("cohort_customers")).sort("cohort")
    write(warehouse / "default" / "transactions", purchases.to_arrow())
    write(warehouse / "default" / "churn_labels", labels.to_arrow())
    tags = {"tag.source": "transactions", "tag.event_time": "purchased_at", "tag.closed": "left"}
    store = warehouse / "feature_store"
    write(store / "customer_features", rows, primary_keys='["customer_id"]', timeseries_column="as_of", **tags)
    write(store / "cohort_features", cohorts.to_arrow(), primary_keys='["cohort"]')
