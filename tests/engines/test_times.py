"""An instant is the same microsecond whatever the zone of the session and of the process, from 0001 to 9999."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from fstk.engines.base import TableVersion
from fstk.engines.connect import direct
from fstk.engines.spark import SparkEngine

INSTANTS = [
    dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1582, 10, 10, 23, 59, 59, 999999, tzinfo=dt.UTC),  # a day that Julian calendars lack
    dt.datetime(1883, 11, 18, 16, 59, 59, 1, tzinfo=dt.UTC),  # New York before standard time
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
    dt.datetime(2024, 3, 10, 7, 30, tzinfo=dt.UTC),  # the hour that New York skips
    dt.datetime(2024, 11, 3, 5, 30, tzinfo=dt.UTC),  # the hour that it has twice
    dt.datetime(2024, 11, 3, 6, 30, tzinfo=dt.UTC),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
]
ROWS = pa.table(
    {
        "at": pa.array(INSTANTS, pa.timestamp("us", "UTC")),
        "ntz": pa.array([instant.replace(tzinfo=None) for instant in INSTANTS], pa.timestamp("us")),
        "day": pa.array([instant.date() for instant in INSTANTS], pa.date32()),
        "list": pa.array([[instant] for instant in INSTANTS], pa.list_(pa.timestamp("us", "UTC"))),
        "i": range(len(INSTANTS)),
    }
)
MICROS = ROWS.column("at").cast(pa.int64()).to_pylist()


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, spark_engine: SparkEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the session and of this process."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        spark_engine.session.conf.set("spark.sql.session.timeZone", request.param)
        yield request.param
        spark_engine.session.conf.set("spark.sql.session.timeZone", "UTC")
    time.tzset()


def test_to_spark_through_a_kernel_to_delta_and_back(spark_engine: SparkEngine, zone: str, tmp_path: Path) -> None:
    def seen(table: pa.Table) -> pa.Table:
        return table.append_column("micros", table.column("at").cast(pa.int64()))

    frame = spark_engine.frame(ROWS, "rows")
    schema = spark_engine.schema(frame) | {"micros": "bigint"}
    mapped = spark_engine.map(frame, ["at"], seen, schema)
    mapped.write.format("delta").save(str(tmp_path / "t"))
    stored = TableVersion("t", str(tmp_path / "t"))
    for table in (spark_engine.arrow(spark_engine.read(stored)), direct().read(stored)):
        table = table.sort_by("i")
        assert table.column("micros").to_pylist() == MICROS
        assert table.select(ROWS.column_names).equals(ROWS)


@pytest.mark.spark
def test_int96_as_other_writers_leave_it_is_read_exactly(spark: SparkSession, tmp_path: Path) -> None:
    spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
    spark.createDataFrame(ROWS.select(["at", "i"])).write.format("delta").save(str(tmp_path / "t"))
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    assert direct().read(TableVersion("t", str(tmp_path / "t"))).sort_by("i").column("at").to_pylist() == INSTANTS
