"""Each planted leak that changes a training row is named with its column and row; honest pipelines are never named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.preprocessing import StandardScaler

from tests.notebook.tables import DAY, INSTANT, START
from tests.proof.pipelines import Pipeline, proof_of

OUTCOME = pd.Timedelta(days=20)
ZONE = "America/New_York"
Cell = Callable[[pd.DataFrame], pd.Series]


def events(seed: int = 0, customers: int = 12, number: int = 400) -> pa.Table:
    """Orders of 90 days, no two at one instant; each is loaded and closed some days later, for a reason."""
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.choice(90 * 1440, number, replace=False))
    at = [START + int(minute) * DAY / 1440 for minute in minutes]
    closed = [one + float(days) * DAY for one, days in zip(at, rng.uniform(2, 12, number), strict=True)]
    return pa.table(
        {
            "order_id": pa.array(range(number), pa.int64()),
            "k": pa.array(rng.integers(0, customers, number), pa.int64()),
            "store": rng.choice(["north", "south", "west"], number),
            "at": pa.array(at, INSTANT),
            "amount": pa.array(rng.lognormal(1, 1, number), mask=rng.random(number) < 0.05),
            "status": rng.choice(["paid", "open"], number),
            "closed_at": pa.array(closed, INSTANT),
        }
    )


def orders(columns: pa.Table) -> pa.Table:
    """Orders that are known in full at once."""
    return columns.drop_columns(["closed_at"])


def labels(seed: int = 1, number: int = 150) -> pa.Table:
    rng = np.random.default_rng(seed)
    at = [START + float(days) * DAY for days in rng.uniform(15, 75, number)]
    return pa.table({"k": pa.array(rng.integers(0, 12, number), pa.int64()), "t": pa.array(at, INSTANT)})


def by(rows: pd.DataFrame, column: str = "amount") -> Any:
    return rows.groupby("k")[column]


def churned(rows: pd.DataFrame) -> pd.Series:
    """The label: no order in the days after this one."""
    return ~((by(rows, "at").shift(-1) - rows["at"]) <= OUTCOME)


def wrong_for(share: float) -> Cell:
    """Return the label with so much of it turned round."""
    return lambda rows: churned(rows) ^ (np.random.default_rng(0).random(len(rows)) < share)


def total(rows: pd.DataFrame) -> pd.Series:
    return by(rows).transform("sum")


def sql(expression: str) -> Cell:
    """Return the column that DuckDB makes by an expression of windows."""

    def made(rows: pd.DataFrame) -> pd.Series:
        rows = rows.assign(churned=churned(rows))
        with duckdb.connect() as own:
            own.register("rows", rows)
            found = own.execute(f"SELECT order_id, {expression} AS x FROM rows").df()
        by_order = pd.Series(found["x"].to_numpy(), found["order_id"])
        return by_order.reindex(rows["order_id"]).set_axis(rows.index)

    return made


def polars(expression: pl.Expr) -> Cell:
    return lambda rows: pl.DataFrame(rows[["k", "amount"]]).select(expression).to_series().to_pandas()


def encoded(column: str) -> Cell:
    return lambda rows: churned(rows).groupby(rows[column]).transform("mean")


# What leaks.md lists, but for what changes no training row: windows that hold the label's own instant, labels with a
# wrong time, local times that the source has itself, splits, the time of today, a table that begins too late.
AT_EVENTS: dict[str, Cell] = {
    "label, renamed": lambda rows: churned(rows).astype(int),
    "label, negated, as text": lambda rows: (~churned(rows)).map({True: "stays", False: "goes"}),
    "label, filled only after the outcome": lambda rows: churned(rows).where(churned(rows)).astype(object),
    "label, rescaled": lambda rows: churned(rows) * 3.7 - 1.0,
    "label, one row of 600 wrong": wrong_for(1 / 600),
    "label with 1 % noise": wrong_for(0.01),
    "label as a difference of two features": lambda rows: total(rows) - by(rows).cumsum(),
    "time to the next event": lambda rows: (by(rows, "at").shift(-1) - rows["at"]).dt.total_seconds(),
    "daily totals stamped with their own day": lambda rows: (
        rows["amount"].groupby([rows["k"], rows["at"].dt.floor("7D")]).transform("sum")
    ),
    "monthly totals stamped with the 1st": lambda rows: (
        rows["amount"].groupby([rows["k"], rows["at"].dt.strftime("%Y-%m")]).transform("sum")
    ),
    "target encoding per store": encoded("store"),
    "target encoding per entity": encoded("k"),
    "target encoding in SQL": sql("avg(churned::int) OVER (PARTITION BY store)"),
    "normalised by all time": lambda rows: (rows["amount"] - rows["amount"].mean()) / rows["amount"].std(),
    "normalised by all time in SQL": sql("amount / avg(amount) OVER ()"),
    "StandardScaler": lambda rows: pd.Series(StandardScaler().fit_transform(rows[["amount"]])[:, 0], rows.index),
    "lead": sql('lead(amount) OVER (PARTITION BY k ORDER BY "at")'),
    "UNBOUNDED FOLLOWING": sql(
        'sum(amount) OVER (PARTITION BY k ORDER BY "at" ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)'
    ),
    "a descending order": sql('sum(amount) OVER (PARTITION BY k ORDER BY "at" DESC)'),
    "an unordered window": sql("max(amount) OVER (PARTITION BY k)"),
    "bfill": lambda rows: rows["amount"].where(rows["amount"] > 5).groupby(rows["k"]).bfill(),
    "shift(-1)": lambda rows: by(rows).shift(-1),
    "rolling(center=True)": lambda rows: by(rows).transform(lambda one: one.rolling(3, center=True).mean()),
    "rank of all time": lambda rows: by(rows).rank(),
    "interpolated": lambda rows: by(rows).transform(lambda one: one.interpolate(limit_area="inside")),
    "polars: shift(-1)": polars(pl.col("amount").shift(-1).over("k")),
    "polars: backward fill": polars(pl.when(pl.col("amount") > 5).then("amount").backward_fill().over("k")),
    "polars: all time": polars(pl.col("amount").sum().over("k")),
    "polars: reversed": polars(pl.col("amount").cum_sum(reverse=True).over("k")),
}


def at_events(cell: Cell) -> Pipeline:
    """Return the pipeline of a row an order with a leak, and beside it what was known."""

    def made(source: pa.Table) -> pa.Table:
        rows = source.to_pandas()
        rows = rows.assign(leak=cell(rows), so_far=by(rows).transform(lambda one: one.fillna(0).cumsum()))
        return pa.Table.from_pandas(rows[["k", "at", "leak", "so_far"]], preserve_index=False)

    return made


@pytest.mark.parametrize("leak", AT_EVENTS)
def test_a_leak_at_the_time_of_events_is_named_and_nothing_else(leak: str) -> None:
    found = proof_of(at_events(AT_EVENTS[leak]), orders(events()), ["k"], "at", labels(), "t")
    (one,) = found.leaks
    assert one.feature == "made.leak"
    assert one.source_at > one.at
    assert one.entity.startswith("k ")
    assert one.source_at in one.picture.events
    assert sum(at < one.at for at in one.picture.events) > 1


def known_late(source: pa.Table) -> pa.Table:
    """What an order was closed with, at the time of the order."""
    return source.select(["k", "at", "status"])


def stamped_locally(source: pa.Table) -> pa.Table:
    """As from_utc_timestamp does: a time that is some hours early."""
    rows = source.to_pandas()
    local = rows["at"].dt.tz_convert(ZONE).dt.tz_localize(None).dt.tz_localize("UTC")
    return pa.table({"k": source.column("k"), "as_of": pa.array(local, INSTANT), "amount": source.column("amount")})


def of_the_day(source: pa.Table) -> pa.Table:
    """A day's total, as a DATE: its midnight."""
    days = source.to_pandas().assign(day=lambda rows: rows["at"].dt.date)
    return pa.Table.from_pandas(days.groupby(["k", "day"], as_index=False)["amount"].sum(), preserve_index=False)


def all_at_once(source: pa.Table) -> pa.Table:
    """Totals of all time, as if known at one instant."""
    totals = source.to_pandas().groupby("k", as_index=False)["amount"].sum()
    return pa.Table.from_pandas(totals.assign(as_of=pd.Timestamp(START)), preserve_index=False)


def profile(source: pa.Table) -> pa.Table:
    """Aggregates of all events, without any time."""
    ever = source.to_pandas().groupby("k").agg(amount=("amount", "sum"), last_at=("at", "max")).reset_index()
    return pa.Table.from_pandas(ever.assign(last_day=ever["last_at"].dt.date), preserve_index=False)


@pytest.mark.parametrize(
    ("make", "source", "time", "asked", "columns"),
    [
        (known_late, events(), "at", labels(), {"status"}),
        (stamped_locally, orders(events()), "as_of", None, {"amount"}),
        (of_the_day, orders(events()), "day", labels(), {"amount"}),
        (all_at_once, orders(events()), "as_of", labels(), {"amount"}),
        (profile, orders(events()), None, labels(), {"amount", "last_at", "last_day"}),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_leak_by_a_wrong_time_or_none_is_named(
    make: Pipeline, source: pa.Table, time: str | None, asked: pa.Table | None, columns: set[str]
) -> None:
    found = proof_of(make, source, ["k"], time, asked, "t")
    assert {leak.feature for leak in found.leaks} == {f"made.{column}" for column in columns}


def test_what_the_label_frame_itself_gives_away_is_named_when_it_is_made_of_the_source() -> None:
    """A reason that an order was closed for, among the rows of its opening."""

    def made(source: pa.Table) -> pa.Table:
        return source.select(["order_id", "at", "status", "store"])

    found = proof_of(made, events(), ["order_id"], "at")
    assert {leak.feature for leak in found.leaks} == {"made.status", "made.store"}
