"""Tables of every kind that Spark writes are read without it to the same rows, or refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from fstk import FeatureEngineeringClient
from fstk.engines.base import TableVersion
from fstk.engines.connect import direct, engine_of
from fstk.errors import ExpiredSnapshot, InvalidInput, UnsupportedType

pytestmark = pytest.mark.spark

ROWS = pa.table(
    {
        "id": pa.array(range(10), pa.int64()),
        "at": pa.array([dt.datetime(2024, 1, 1 + day, tzinfo=dt.UTC) for day in range(10)], pa.timestamp("us", "UTC")),
        "group": ["a/b c", "x=y%20 é"] * 5,
        "x": [1.0, float("nan"), None, 4.0, 5.0, -0.0, 7.0, 8.0, 9.0, 10.0],
    }
)
KINDS = {
    "plain": "SELECT 1",
    "partitioned": "SELECT 1",
    "mapped": "ALTER TABLE delta.`{0}` RENAME COLUMN `x` TO `y`",
    "vectors": "DELETE FROM delta.`{0}` WHERE id IN (3, 4)",
    "partitioned vectors": "DELETE FROM delta.`{0}` WHERE id IN (3, 4)",
    "grown": "ALTER TABLE delta.`{0}` ADD COLUMNS (z INT)",
}
PROPERTIES = {
    "mapped": {"delta.columnMapping.mode": "name"},
    "vectors": {"delta.enableDeletionVectors": "true", "delta.enableChangeDataFeed": "true"},
}
PROPERTIES["partitioned vectors"] = PROPERTIES["vectors"]


def _write(spark: SparkSession, folder: Path, kind: str, rows: pa.Table = ROWS) -> TableVersion:
    writer = engine_of(spark).frame(rows, "rows").coalesce(1).write.format("delta")
    for name, value in PROPERTIES.get(kind, {}).items():
        writer = writer.option(name, value)
    (writer.partitionBy("group") if "partitioned" in kind else writer).save(str(folder))
    spark.sql(KINDS[kind].format(folder))
    return TableVersion("s.t", str(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_the_same_without_spark(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    table = _write(spark, tmp_path / "a folder ü 100 %" / "t", kind)
    theirs, ours = engine_of(spark).arrow(engine_of(spark).read(table)), direct().read(table)
    two = ["at", "id"]
    assert direct().read(table, two).equals(ours.select(two))
    assert engine_of(spark).read(table, two).columns == two
    assert ours.schema.names == theirs.schema.names
    assert ours.schema.types == theirs.schema.types
    assert [str(row) for row in ours.sort_by("id").to_pylist()] == [
        str(row) for row in theirs.sort_by("id").to_pylist()
    ]
    assert ours.num_rows == (8 if "vectors" in kind else 10)


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


def test_changes_in_partitions_with_escaped_names_are_left_to_spark(spark: SparkSession, tmp_path: Path) -> None:
    table = _write(spark, tmp_path / "t", "partitioned vectors")
    with pytest.raises(ExpiredSnapshot, match=r"reading the changes of s\.t: .* Of partitions, Spark may read them"):
        direct().changes(table)
    assert engine_of(spark).arrow(engine_of(spark).changes(table)).num_rows == 12


def test_a_lost_file_of_changes_is_one_line(spark: SparkSession, tmp_path: Path) -> None:
    table = _write(spark, tmp_path / "t", "vectors")
    spark.sql(f"UPDATE delta.`{table.location}` SET x = 0 WHERE id = 1")
    changes = list((tmp_path / "t").glob("_change_data/*.parquet"))
    assert changes
    for file in changes:
        file.unlink()
    with pytest.raises(ExpiredSnapshot, match=r"^reading the changes of s\.t: Failed to fetch .*") as error:
        direct().changes(table)
    assert len(str(error.value).splitlines()) == 1


def test_char_is_filled_up_as_spark_reads_it(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql(
        f"CREATE TABLE delta.`{tmp_path / 't'}` (k CHAR(3), v VARCHAR(5), n INT) USING delta "
        "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    )
    rows = pa.table(
        {"k": ["ab", "äö", "abc", None], "v": ["ab", "c ", "", None], "n": pa.array([1, 2, 3, 4], pa.int32())}
    )
    deltalake.write_deltalake(tmp_path / "t", rows, mode="append")  # which fills nothing up
    table, engine = TableVersion("s.t", str(tmp_path / "t")), engine_of(spark)
    ours = direct().read(table).sort_by("n")
    assert ours.equals(engine.arrow(engine.read(table)).sort_by("n"))
    assert ours.column("k").to_pylist() == ["ab ", "äö ", "abc", None]
    assert direct().read(table, ["v"]).column_names == ["v"]
    among = {"k": pa.chunked_array([["ab "]])}
    assert "ab " in direct().read_part(table, ["k"], among).column("k").to_pylist()
    assert direct().changes(table).sort_by("n").column("k").to_pylist() == ["ab ", "äö ", "abc", None]


def test_a_table_of_char_keys_is_written_and_its_keys_stay_unique(spark: SparkSession, warehouse: Path) -> None:
    spark.sql(
        f"CREATE TABLE delta.`{warehouse}/s/t` (k CHAR(3), v VARCHAR(5), n INT) USING delta "
        """TBLPROPERTIES ('fstk.primary_keys' = '["k", "v"]')"""
    )
    fe = FeatureEngineeringClient(spark=spark)
    rows = pa.table({"k": ["ab", "abc"], "v": ["ab", "c "], "n": pa.array([1, 2], pa.int32())})
    assert fe.write_table(name="s.t", df=rows).inserted == 2
    assert fe.write_table(name="s.t", df=rows).unchanged == 2
    wanted = [{"k": "ab ", "v": "ab", "n": 1}, {"k": "abc", "v": "c ", "n": 2}]
    table = fe.get_table(name="s.t").at()
    for engine in (direct(), engine_of(spark)):
        assert engine.arrow(engine.read(table)).sort_by("n").to_pylist() == wanted
    with pytest.raises(InvalidInput, match="3"):
        fe.write_table(name="s.t", df=rows.set_column(0, "k", pa.array(["abcd", "x"])))
    others = pa.table({"k": ["x"], "v": ["y"], "n": pa.array([3], pa.int32())})
    deltalake.write_deltalake(warehouse / "s" / "t", others, mode="append")  # which fills nothing up
    changed = others.set_column(2, "n", pa.array([4], pa.int32()))
    assert fe.write_table(name="s.t", df=changed).updated == 1
    rows = direct().read(fe.get_table(name="s.t").at()).to_pylist()
    assert [row for row in rows if row["v"] == "y"] == [{"k": "x  ", "v": "y", "n": 4}]
