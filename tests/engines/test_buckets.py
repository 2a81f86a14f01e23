"""Buckets: enough for a worker's memory, no more than useful, each in its own partition when sizes are known."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fstk.engines import buckets
from fstk.engines.base import TableVersion
from fstk.engines.spark import SparkEngine
from fstk.errors import TypeMismatch


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**11)), min_size=1, max_size=2), st.integers(1, 1000))
def test_a_bucket_fits_in_memory_and_work_is_shared(rows: list[int | None], at_hand: int) -> None:
    chosen = buckets.plan(rows, at_hand)
    known = sum(count or 0 for count in rows)
    assert chosen.number >= 1
    assert chosen.number * 2_000_000 >= known or chosen.number == 10_000
    assert chosen.apart == (None not in rows)
    if chosen.apart and known > 50_000 * at_hand:
        assert chosen.number >= at_hand


@pytest.mark.spark
@pytest.mark.parametrize("number", [2, 3, 7, 64])
def test_every_bucket_has_a_partition_of_its_own(spark_engine: SparkEngine, number: int) -> None:
    frame = spark_engine.session.range(5_000)
    spread = buckets.spread(frame, {"id": "bigint"}, buckets.Buckets(number, apart=True))
    placed = spread.selectExpr("spark_partition_id() AS partition", buckets.COLUMN).distinct().toArrow().to_pylist()
    assert len(placed) == number
    assert len({row["partition"] for row in placed}) == number


def test_sizes_come_from_the_log_alone_and_follow_a_selection(spark_engine: SparkEngine, tmp_path: Path) -> None:
    rows = pa.table({"k": pa.array(range(120_000), pa.int64())})
    spark_engine.frame(rows, "rows").write.format("delta").save(str(tmp_path / "t"))
    assert buckets.stored_rows(str(tmp_path / "t"), None) == 120_000
    assert buckets.stored_rows(str(tmp_path / "none"), None) is None
    read = spark_engine.select(spark_engine.read(TableVersion("s.t", str(tmp_path / "t"))), {"k": "k + 1"})

    def seen(table: pa.Table) -> pa.Table:
        return pa.table({"rows": [table.num_rows], "distinct": [len(set(table.column("k").to_pylist()))]})

    found = spark_engine.arrow(spark_engine.map(read, ["k"], seen, {"rows": "bigint", "distinct": "bigint"}))
    assert found.num_rows == 2  # what a session of two threads runs at once
    assert sum(found.column("rows").to_pylist()) == sum(found.column("distinct").to_pylist()) == 120_000
    assert min(found.column("rows").to_pylist()) > 50_000


def test_keys_of_two_types_would_hash_apart_and_are_refused(spark_engine: SparkEngine) -> None:
    one = spark_engine.frame(pa.table({"k": pa.array([1], pa.int32())}), "one")
    two = spark_engine.frame(pa.table({"j": pa.array([1], pa.int64())}), "two")
    with pytest.raises(TypeMismatch, match="key k is int, but j is bigint"):
        spark_engine.map_pair(one, ["k"], two, ["j"], lambda left, right: left, {"k": "int"})
