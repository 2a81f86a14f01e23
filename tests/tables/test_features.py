"""Tables with features of Delta that others switched on: listed, read, joined and published to the same rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pyspark.sql import SparkSession

from fstk import FeatureEngineeringClient, FeatureLookup
from fstk.errors import IncompatibleChanges

AT = datetime(2024, 1, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
SWITCHES = {
    "type widening": ["SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')", "ALTER COLUMN small TYPE INT"],
    "v2 checkpoints": ["SET TBLPROPERTIES ('delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '1')"],
    "deletion vectors": ["SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"],
    "column mapping": [
        "SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        "RENAME COLUMN old TO v",
    ],
    "checked vacuums": ["SET TBLPROPERTIES ('delta.feature.vacuumProtocolCheck' = 'supported')"],
    "numbered rows": ["SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')"],
}
CHANGING = ("type widening", "column mapping")
"""Those in which a column changed, over which Delta reads no changes."""


@pytest.mark.spark
@pytest.mark.parametrize("kind", SWITCHES)
def test_a_table_with_a_feature_that_others_switched_on_is_as_any_other(
    spark: SparkSession, warehouse: Path, tmp_path: Path, kind: str
) -> None:
    fe = FeatureEngineeringClient()
    name = "v" if kind != "column mapping" else "old"
    small = pl.Series("small", [1, 2], pl.Int16)
    frame = pl.DataFrame({"id": [1, 2], "at": [AT, AT], name: [7, 8], "small": small})
    fe.create_table(name="fs.t", primary_keys="id", timeseries_column="at", df=frame)
    store = f"sqlite:///{tmp_path}/online.db"
    assert fe.publish_table(source_table_name="fs.t", online_store=store).written == 2
    for statement in SWITCHES[kind]:
        spark.sql(f"ALTER TABLE delta.`{warehouse}/fs/t` {statement}")
    kept = small.cast(pl.Int32) if kind == "type widening" else small
    changed = pl.DataFrame({"id": [1, 3], "at": [AT, AT], "v": [70, 9], "small": kept})
    assert fe.write_table(name="fs.t", df=changed).changed
    fe.write_table(name="fs.t", df=changed.with_columns(pl.lit(71, pl.Int64).alias("v")))

    assert [table.name for table in fe.list_tables()] == ["fs.t"]
    assert sorted((row.id, row.v) for row in fe.read_table(name="fs.t").collect()) == [(1, 71), (2, 8), (3, 71)]
    labels = pl.DataFrame({"id": [3, 1, 2], "now": [LATER] * 3})
    lookup = FeatureLookup("fs.t", "id", timestamp_lookup_key="now")
    made = fe.create_training_set(df=labels, feature_lookups=[lookup], label=None)
    assert made.to_polars()["v"].to_list() == [71, 71, 8]
    known = fe.create_training_set(df=labels, feature_lookups=[lookup], label=None, as_known=True)
    if kind in CHANGING:
        with pytest.raises(IncompatibleChanges, match="incompatible"):
            known.to_polars()
        fe.drop_online_table(name="fs.t", online_store=store)
    else:
        assert known.to_polars()["v"].to_list() == [71, 71, 8]
    report = fe.publish_table(source_table_name="fs.t", online_store=store)
    assert (report.written, "no longer kept" in report.reason) == (3 if kind in CHANGING else 2, False)
    online = fe.read_online(name="fs.t", keys=[{"id": 1}, {"id": 2}, {"id": 3}], features=["v"], online_store=store)
    assert [row["v"] for row in online] == [71, 8, 71]
