"""Honest features, made at random with pandas, Polars, DuckDB and Spark: none is ever named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.proof.pipelines import proof_of
from tests.proof.test_leaks import events, labels, orders

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHORT, ALL = 40, 200
"""Pipelines of a process's own on every push, and every night."""
PAST = "OVER (PARTITION BY k ORDER BY {at} ROWS BETWEEN {n} PRECEDING AND {end})"
SPAN = "RANGE BETWEEN INTERVAL {span} SECONDS PRECEDING AND INTERVAL 1 SECONDS PRECEDING"
WINDOW = f"OVER (PARTITION BY k ORDER BY {{at}} {SPAN})"
SQL = {
    "last": f"sum(amount) {PAST.replace('{end}', '1 PRECEDING')}",
    "with_own": f"avg(amount) {PAST.replace('{end}', 'CURRENT ROW')}",
    "in_window": f"count(amount) {WINDOW}",
    "most": f"max(amount) {WINDOW}",
    "lagged": "lag(amount, {n}) OVER (PARTITION BY k ORDER BY {at})",
    "number": "row_number() OVER (PARTITION BY k ORDER BY {at}) % ({n} + 1)",
    "of_store": "sum(CASE WHEN status = 'paid' THEN amount END) OVER (PARTITION BY store ORDER BY {at}) / {n}",
}


def by_pandas(source: pa.Table, names: list[str], n: int) -> pa.Table:
    rows = source.to_pandas()
    of = rows.groupby("k")["amount"]
    timed = rows.set_index("at").groupby("k")["amount"].rolling(f"{n}D", closed="left")
    order = rows.sort_values(["k", "at"]).index
    paid = rows["amount"].where(rows["status"] == "paid").groupby(rows["store"])
    made: dict[str, Callable[[], Any]] = {
        "last": lambda: of.transform(lambda one: one.shift(1).rolling(n, min_periods=1).sum()),
        "with_own": lambda: of.transform(lambda one: one.rolling(n + 1, min_periods=1).mean()),
        "in_window": lambda: pd.Series(timed.count().to_numpy(), order),
        "most": lambda: pd.Series(timed.max().to_numpy(), order),
        "lagged": lambda: of.shift(n),
        "number": lambda: rows.groupby("k").cumcount() % (n + 1),
        "of_store": lambda: paid.cumsum() / n,
    }
    columns = {name: made[name]() for name in names}
    return pa.Table.from_pandas(rows[["k", "at"]].assign(**columns), preserve_index=False)


def by_polars(source: pa.Table, names: list[str], n: int) -> pa.Table:
    amount = pl.col("amount")
    made = {
        "last": amount.shift(1).rolling_sum(n, min_samples=1).over("k"),
        "with_own": amount.rolling_mean(n + 1, min_samples=1).over("k"),
        "in_window": amount.is_not_null().cast(pl.Int64).rolling_sum_by("at", f"{n}d", closed="left").over("k"),
        "most": amount.rolling_max_by("at", f"{n}d", closed="left").over("k"),
        "lagged": amount.shift(n).over("k"),
        "number": pl.int_range(pl.len()).over("k") % (n + 1),
        "of_store": pl.when(pl.col("status") == "paid").then(amount).cum_sum().over("store") / n,
    }
    frame = pl.DataFrame(source).sort("at")
    return frame.select("k", "at", **{name: made[name] for name in names}).to_arrow()


def statement(names: list[str], n: int, at: str) -> str:
    made = [f"{SQL[name].format(n=n, at=at, span=n * 86_400)} AS {name}" for name in names]
    return f"SELECT k, {at}, {', '.join(made)} FROM source"


def by_duckdb(source: pa.Table, names: list[str], n: int) -> pa.Table:
    with duckdb.connect() as own:
        own.execute("SET TimeZone = 'UTC'").register("source", source)
        return own.sql(statement(names, n, '"at"')).to_arrow_table()


def by_spark_sql(session: SparkSession, source: pa.Table, names: list[str], n: int) -> pa.Table:
    session.createDataFrame(source).createTempView("source")
    try:
        return session.sql(statement(names, n, "at")).toArrow()
    finally:
        session.catalog.dropTempView("source")  # the session is of all tests


def by_pyspark(session: SparkSession, source: pa.Table, names: list[str], n: int) -> pa.Table:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy("k").orderBy("at")
    past = Window.partitionBy("k").orderBy(F.col("at").cast("long")).rangeBetween(-n * 86_400, -1)
    paid = F.when(F.col("status") == "paid", F.col("amount"))
    made = {
        "last": F.sum("amount").over(order.rowsBetween(-n, -1)),
        "with_own": F.avg("amount").over(order.rowsBetween(-n, 0)),
        "in_window": F.count("amount").over(past),
        "most": F.max("amount").over(past),
        "lagged": F.lag("amount", n).over(order),
        "number": F.row_number().over(order) % (n + 1),
        "of_store": F.sum(paid).over(Window.partitionBy("store").orderBy("at")) / n,
    }
    return session.createDataFrame(source).select("k", "at", *(made[name].alias(name) for name in names)).toArrow()


def prove(make: Callable[[pa.Table, list[str], int], pa.Table], seed: int) -> None:
    """Prove some features at random, of sources at random, of rows of their own or of labels."""
    rng = np.random.default_rng(seed)
    names = rng.choice(list(SQL), rng.integers(1, 4), replace=False).tolist()
    source = orders(events(seed, int(rng.integers(3, 20)), int(rng.integers(60, 400))))
    asked = (labels(seed), "t") if rng.random() < 0.5 else (None, None)
    found = proof_of(lambda rows: make(rows, names, 1 + seed % 9), source, ["k"], "at", *asked)
    assert not found.leaks, names
    assert found.moved > 0
    assert found.features == len(names)


@pytest.mark.parametrize(
    "seed", [*range(SHORT), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(SHORT, ALL))]
)
def test_what_was_known_gives_no_alarm(seed: int) -> None:
    prove((by_pandas, by_polars, by_duckdb)[seed % 3], seed)


@pytest.mark.spark
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(2, 40))])
def test_what_was_known_gives_no_alarm_in_spark(spark: SparkSession, seed: int) -> None:
    prove(partial((by_spark_sql, by_pyspark)[seed % 2], spark), seed)
