"""The client's own part: names of arguments, old and new, and whose session and tables the verbs meet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fstk import FeatureEngineeringClient
from fstk.errors import InvalidInput, UnknownTable
from fstk.online.spec import SQLiteSpec

DAY = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = pd.DataFrame({"id": [1, 2], "as_of": [DAY, DAY], "x": [1.5, 2.5]})


@pytest.mark.spark
def test_a_feature_table_from_its_making_to_its_end(spark: Any, warehouse: Path, tmp_path: Path) -> None:
    fe = FeatureEngineeringClient(spark)
    made = fe.create_table(name="fs.t", primary_keys="id", df=ROWS, timeseries_column="as_of", tags={"team": "a"})
    assert fe.list_tables() == [made] == [fe.get_table(name="fs.t")]
    assert fe.write_table(name="fs.t", df=ROWS.assign(x=[1.5, 3.5])).updated == 1
    assert fe.read_table(name="fs.t", version=made.version).sparkSession is spark
    assert sorted(row["x"] for row in fe.read_table(name="fs.t").collect()) == [1.5, 3.5]

    fe.set_feature_table_tag(name="fs.t", key="stage", value="trial")
    assert fe.get_table(name="fs.t").tags == {"team": "a", "stage": "trial"}
    fe.delete_feature_table_tag(name="fs.t", key="team")
    assert fe.get_table(name="fs.t").tags == {"stage": "trial"}

    store = f"sqlite:///{tmp_path / 'online.db'}"
    assert fe.publish_table(source_table_name="fs.t", online_store=store).written == 2
    assert fe.publish_table(name="fs.t", online_store_spec=SQLiteSpec(tmp_path / "online.db")).unchanged == 2
    [row] = fe.read_online(name="fs.t", keys=[{"id": 2}], online_store=store)
    assert row["x"] == 3.5
    fe.drop_online_table(name="fs.t", online_store=store)
    with pytest.raises(UnknownTable):
        fe.read_online(name="fs.t", keys=[{"id": 2}], online_store=store)

    fe.drop_table(name="fs.t")
    assert fe.list_tables() == []


def test_a_table_to_publish_is_named_once() -> None:
    fe = FeatureEngineeringClient()
    with pytest.raises(InvalidInput, match="publish_table needs source_table_name"):
        fe.publish_table(online_store="sqlite:///online.db")
    with pytest.raises(InvalidInput, match="name is the older name of source_table_name: give one of them"):
        fe.publish_table(source_table_name="fs.t", name="fs.t")
    with pytest.raises(InvalidInput, match="online_store_spec is the older name of online_store"):
        fe.publish_table(name="fs.t", online_store="sqlite:///a.db", online_store_spec=SQLiteSpec("b.db"))
