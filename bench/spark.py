"""The contenders on one Spark session, that of ``fstk.connect()``: rows from Delta tables, answers to nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench import data
from bench.cases import join_plan, windowed
from fstk.engines import connect
from fstk.engines.base import TableVersion
from fstk.training.run import join

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def warm_up() -> None:
    """Start the session and run something in it, so that neither is part of the first run."""
    connect.connect().range(1_000).selectExpr("sum(id)").collect()


def fstk(case: str, folder: Path) -> DataFrame:
    """Return fstk's answer to ``case``, not yet computed."""
    engine = connect.active()

    def read(name: str) -> DataFrame:
        return engine.read(TableVersion(f"bench.{name}", str(folder / "delta" / name), None))

    if case == "join":
        return join(join_plan(folder), read("labels"), engine)
    features, points = windowed(read("events"), case)
    return features.compute(points, engine=engine)


def native(case: str, folder: Path) -> DataFrame:
    """Return Spark SQL's own answer: last value over a union of both tables, or window functions over ranges."""
    session = connect.connect()
    for name in ("events", "features", "labels"):
        session.read.format("delta").load(str(folder / "delta" / name)).createOrReplaceTempView(name)
    return session.sql({"join": _LAST, "windows at events": _at_events(), "windows on calendar": _on_calendar()}[case])


_LAST = """
    SELECT id, key, ts, label, found.f1, found.f2, found.f3 FROM (
        SELECT *, last(feature, true) OVER (PARTITION BY key ORDER BY ts, is_label
                                            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS found
        FROM (
            SELECT id, key, ts, label, 1 AS is_label,
                   CAST(NULL AS struct<f1: double, f2: bigint, f3: double>) AS feature
            FROM labels
            UNION ALL
            SELECT NULL, key, ts, NULL, 0, named_struct('f1', f1, 'f2', f2, 'f3', f3) FROM features
        )
    ) WHERE is_label = 1
"""


def _ranges() -> tuple[str, str]:
    columns = ", ".join(
        f"count(amount) OVER w{d} AS n_{d}d, sum(amount) OVER w{d} AS total_{d}d, avg(amount) OVER w{d} AS mean_{d}d"
        for d in data.WINDOWS
    )
    windows = ", ".join(
        f"w{d} AS (PARTITION BY key ORDER BY unix_micros(ts) RANGE BETWEEN {d * data.DAY} PRECEDING AND 1 PRECEDING)"
        for d in data.WINDOWS
    )
    return columns, windows


def _at_events() -> str:
    columns, windows = _ranges()
    return f"SELECT *, {columns} FROM events WINDOW {windows}"


def _on_calendar() -> str:
    columns, windows = _ranges()
    last, step = data.DAYS // data.CALENDAR_STEP - 1, data.CALENDAR_STEP * data.DAY
    return f"""
        WITH points AS (
            SELECT key, ts FROM (SELECT key, min(ts) AS first FROM events GROUP BY key)
            CROSS JOIN (SELECT timestamp_micros({data.START} + id * {step}) AS ts FROM range(0, {last + 1}))
            WHERE first < ts
        )
        SELECT * EXCEPT (amount) FROM (
            SELECT *, {columns}
            FROM (SELECT key, ts, amount FROM events UNION ALL SELECT key, ts, NULL FROM points)
            WINDOW {windows}
        ) WHERE amount IS NULL
    """
