"""Tables of every kind that Spark writes are read without it to the same rows, or refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from fstk.engines.base import TableVersion
from fstk.engines.connect import direct, engine_of
from fstk.errors import UnsupportedType

pytestmark = pytest.mark.spark

ROWS = pa.table(
    {
        "id": pa.array(range(10), pa.int64()),
        "at": pa.array([dt.datetime(2024, 1, 1 + day, tzinfo=dt.UTC) for day in range(10)], pa.timestamp("us", "UTC")),
        "group": ["a", "b"] * 5,
        "x": [1.0, float("nan"), None, 4.0, 5.0, -0.0, 7.0, 8.0, 9.0, 10.0],
    }
)
KINDS = {
    "plain": "SELECT 1",
    "partitioned": "SELECT 1",
    "mapped": "ALTER TABLE delta.`{0}` RENAME COLUMN `x` TO `y`",
    "vectors": "DELETE FROM delta.`{0}` WHERE id IN (3, 4)",
    "grown": "ALTER TABLE delta.`{0}` ADD COLUMNS (z INT)",
}
PROPERTIES = {
    "mapped": {"delta.columnMapping.mode": "name"},
    "vectors": {"delta.enableDeletionVectors": "true", "delta.enableChangeDataFeed": "true"},
}


def _write(spark: SparkSession, folder: Path, kind: str, rows: pa.Table = ROWS) -> TableVersion:
    writer = engine_of(spark).frame(rows, "rows").coalesce(1).write.format("delta")
    for name, value in PROPERTIES.get(kind, {}).items():
        writer = writer.option(name, value)
    (writer.partitionBy("group") if kind == "partitioned" else writer).save(str(folder))
    spark.sql(KINDS[kind].format(folder))
    return TableVersion("s.t", str(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_the_same_without_spark(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    table = _write(spark, tmp_path / "t", kind)
    theirs, ours = engine_of(spark).arrow(engine_of(spark).read(table)), direct().read(table)
    two = ["at", "id"]
    assert direct().read(table, two).equals(ours.select(two))
    assert engine_of(spark).read(table, two).columns == two
    assert ours.schema.names == theirs.schema.names
    assert ours.schema.types == theirs.schema.types
    assert [str(row) for row in ours.sort_by("id").to_pylist()] == [
        str(row) for row in theirs.sort_by("id").to_pylist()
    ]
    assert ours.num_rows == (8 if kind == "vectors" else 10)


def test_times_that_delta_rs_would_read_wrongly_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    old = ROWS.set_column(1, "at", pa.array([dt.datetime(1600, 1, 1, tzinfo=dt.UTC)] * 10, pa.timestamp("us", "UTC")))
    spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
    near, far = _write(spark, tmp_path / "near", "vectors"), _write(spark, tmp_path / "far", "vectors", old)
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    assert direct().read(near).num_rows == 8
    assert direct().changes(near).num_rows == 12
    for read in (direct().read, direct().changes):
        with pytest.raises(UnsupportedType, match="s.t, column at: times before 1677"):
            read(far)
