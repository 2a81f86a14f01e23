"""Rows that pass through this process a partition at a time are the rows of the frame, on every engine."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fstk.engines.base import Engine, TableVersion
from fstk.errors import DuplicateKeys

ROWS = pa.table(
    {
        "id": pa.array(range(25_000), pa.int64()),
        "at": pa.array(
            [datetime(1066, 10, 14, 0, 0, 0, i, tzinfo=UTC) for i in range(25_000)], pa.timestamp("us", "UTC")
        ),
        "price": pa.array([Decimal(i).scaleb(-2) for i in range(25_000)], pa.decimal128(10, 2)),
        "words": pa.array([["a", None][: i % 3] for i in range(25_000)], pa.list_(pa.string())),
    }
)


def test_batches_hold_every_row_once(engine: Engine) -> None:
    frame = engine.frame(ROWS, "df")
    batches = list(engine.batches(frame))
    assert len(batches) > 1 or engine.name == "direct"
    together = pa.Table.from_batches(batches, batches[0].schema).sort_by("id")
    assert together.to_pylist() == ROWS.to_pylist()
    assert together.schema.field("at").type == pa.timestamp("us", tz="UTC")


def test_an_empty_frame_has_no_rows_in_its_batches(engine: Engine) -> None:
    assert sum(batch.num_rows for batch in engine.batches(engine.frame(ROWS.slice(0, 0), "df"))) == 0


def test_changes_start_where_they_are_asked_to(engine: Engine, tmp_path: Path) -> None:
    folder = str(tmp_path / "t")
    feed = {"delta.enableChangeDataFeed": "true"}
    deltalake.write_deltalake(folder, pa.table({"id": [1]}), configuration=feed)
    deltalake.write_deltalake(folder, pa.table({"id": [2]}), mode="append")
    deltalake.write_deltalake(folder, pa.table({"id": [3]}), mode="append")
    deltalake.write_deltalake(folder, pa.table({"id": [4]}), mode="append")
    seen = engine.arrow(engine.changes(TableVersion("t", folder, 2), since=1))
    assert seen.schema.field("_commit_version").type == pa.int64()
    rows = seen.select(["id", "_change_type", "_commit_version"]).sort_by("id").to_pylist()
    assert [tuple(row.values()) for row in rows] == [(2, "insert", 1), (3, "insert", 2)]


def test_a_table_made_anew_is_another_table(engine: Engine, tmp_path: Path) -> None:
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    for folder in folders:
        deltalake.write_deltalake(folder, pa.table({"id": [1]}))
    one, two = (engine.identity(TableVersion("t", folder)) for folder in folders)
    deltalake.write_deltalake(folders[0], pa.table({"id": [2]}), mode="append")
    assert one != two
    assert engine.identity(TableVersion("t", folders[0])) == one == deltalake.DeltaTable(folders[0]).metadata().id


def test_slices_together_are_the_frame(engine: Engine) -> None:
    def doubled(table: pa.Table) -> pa.Table:
        return table.append_column("twice", pc.multiply(table.column("id"), 2))

    schema = engine.schema(engine.frame(ROWS, "df")) | {"twice": "bigint"}
    made = engine.arrow(engine.map_slices(engine.frame(ROWS, "df"), doubled, schema)).sort_by("id")
    assert made.drop_columns("twice").to_pylist() == ROWS.to_pylist()
    assert made.column("twice").to_pylist() == list(range(0, 50_000, 2))


def test_an_error_in_a_slice_arrives_as_itself(engine: Engine) -> None:
    def refuse(table: pa.Table) -> pa.Table:
        raise DuplicateKeys("two of each.")

    with pytest.raises(DuplicateKeys, match=r"two of each\."):
        engine.arrow(engine.map_slices(engine.frame(ROWS, "df"), refuse, {"id": "bigint"}))
