"""The contenders that run in one process, on rows that already lie in memory in the form each likes best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from bench import data
from bench.cases import FROM_FILES, join_plan, windowed
from fstk.engines.base import TableVersion, Within
from fstk.engines.direct import DirectEngine
from fstk.training.run import join

Run = Callable[[], Any]


class InMemory(DirectEngine):
    """The engine ``direct``, its tables read beforehand."""

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self._tables = tables

    def read(self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None) -> pa.Table:
        """Return ``columns`` (None for all) of a table that lies in memory."""
        rows = self._tables[table.name]
        return rows if columns is None else rows.select(list(columns))


def direct(case: str, folder: Path) -> Run:
    """Return fstk's run of ``case`` on its engine without a JVM."""
    if case in FROM_FILES:
        labels = data.load(folder, "wide_labels")
        plan = FROM_FILES[case].plan(folder)
        return lambda: DirectEngine().arrow(join(plan, labels, DirectEngine()))
    if case == "join":
        labels = data.load(folder, "labels")
        engine = InMemory({"bench.features": data.load(folder, "features")})
        plan = join_plan(folder)
        return lambda: engine.arrow(join(plan, labels, engine))
    features, points = windowed(data.load(folder, "events"), case)
    return lambda: features.compute(points, engine=DirectEngine())


def polars(case: str, folder: Path) -> Run:
    """Return Polars' run: ``join_asof``, or ``rolling`` once per window."""
    if case in FROM_FILES:
        files = FROM_FILES[case]
        stored = pl.scan_parquet(files.files(folder)).select("key", "ts", *files.names)
        wide = _frame(data.load(folder, "wide_labels")).lazy()
        return lambda: (
            wide.sort("ts")
            .join_asof(stored.sort("ts"), on="ts", by="key", strategy="backward", check_sortedness=False)
            .collect()
        )
    if case == "join":
        labels, features = (_frame(data.load(folder, name)) for name in ("labels", "features"))
        return lambda: labels.sort("ts").join_asof(
            features.sort("ts"), on="ts", by="key", strategy="backward", check_sortedness=False
        )
    events = _frame(data.load(folder, "events"))
    if case == "windows at events":
        return lambda: _rolling(events.sort("key", "ts"), ["id", "key", "ts", "amount"])

    def on_calendar() -> pl.DataFrame:
        first = events.group_by("key").agg(pl.col("ts").min().alias("first"))
        points = first.join(_calendar(), how="cross").filter(pl.col("first") < pl.col("ts")).drop("first")
        both = pl.concat([events.select("key", "ts", "amount"), points], how="diagonal").sort("key", "ts")
        found = _rolling(both.with_columns(point=pl.col("amount").is_null()), ["key", "ts", "point"])
        return found.filter("point").drop("point")

    return on_calendar


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table)).rechunk()


def _calendar() -> pl.DataFrame:
    instants = range(data.START, data.START + data.DAYS * data.DAY, data.CALENDAR_STEP * data.DAY)
    return pl.DataFrame({"ts": pl.Series(instants, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))})


def _rolling(ordered: pl.DataFrame, own: list[str]) -> pl.DataFrame:
    amount = pl.col("amount")
    parts = [
        ordered.rolling("ts", period=f"{days}d", closed="left", group_by="key")
        .agg(
            amount.count().alias(f"n_{days}d"),
            # Polars sums nothing to 0; the rules say null.
            pl.when(amount.count() > 0).then(amount.sum()).alias(f"total_{days}d"),
            amount.mean().alias(f"mean_{days}d"),
        )
        .drop("key", "ts")
        for days in data.WINDOWS
    ]
    return pl.concat([ordered.select(own), *parts], how="horizontal")


def duck(case: str, folder: Path) -> Run:
    """Return DuckDB's run: ``ASOF LEFT JOIN``, or window functions over ranges."""
    session = duckdb.connect()
    if case in FROM_FILES:
        files = FROM_FILES[case]
        session.execute(f"CREATE TABLE labels AS SELECT * FROM read_parquet('{folder / 'wide_labels'}.parquet')")
        listed = ", ".join(f"'{file}'" for file in files.files(folder))
        names = ", ".join(files.names)
        session.execute(f"CREATE VIEW features AS SELECT key, ts, {names} FROM read_parquet([{listed}])")
        return lambda: session.sql(_ASOF.replace("f1, f2, f3", names)).to_arrow_table()
    for name in ("labels", "features") if case == "join" else ("events",):
        # A TIMESTAMP in UTC: arithmetic with TIMESTAMPTZ goes through ICU and is slower.
        session.execute(
            f"CREATE TABLE {name} AS SELECT * REPLACE (ts::TIMESTAMPTZ AT TIME ZONE 'UTC' AS ts) "
            f"FROM read_parquet('{folder / name}.parquet')"
        )
    sql = {"join": _ASOF, "windows at events": _duck_at_events(), "windows on calendar": _duck_on_calendar()}[case]
    return lambda: session.sql(sql).to_arrow_table()


_ASOF = """
    SELECT labels.*, f1, f2, f3 FROM labels
    ASOF LEFT JOIN features ON labels.key = features.key AND labels.ts >= features.ts
"""


def _ranges() -> tuple[str, str]:
    columns = ", ".join(
        f"count(amount) OVER w{d} AS n_{d}d, sum(amount) OVER w{d} AS total_{d}d, avg(amount) OVER w{d} AS mean_{d}d"
        for d in data.WINDOWS
    )
    windows = ", ".join(
        # Integers: a seventh faster than intervals.
        f"w{d} AS (PARTITION BY key ORDER BY epoch_us(ts) RANGE BETWEEN {d * data.DAY} PRECEDING AND 1 PRECEDING)"
        for d in data.WINDOWS
    )
    return columns, windows


def _duck_at_events() -> str:
    columns, windows = _ranges()
    return f"SELECT *, {columns} FROM events WINDOW {windows}"


def _duck_on_calendar() -> str:
    columns, windows = _ranges()
    return f"""
        WITH points AS (
            SELECT key, ts FROM (SELECT key, min(ts) AS first FROM events GROUP BY key),
            (SELECT make_timestamp({data.START} + {data.CALENDAR_STEP * data.DAY} * i) AS ts
             FROM range({data.DAYS // data.CALENDAR_STEP}) AS steps(i))
            WHERE first < ts
        ), both_ AS (SELECT key, ts, amount FROM events UNION ALL SELECT key, ts, NULL FROM points)
        SELECT * EXCLUDE (amount) FROM (SELECT *, {columns} FROM both_ WINDOW {windows}) WHERE amount IS NULL
    """
