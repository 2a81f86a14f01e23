"""Feature tables read from their folders without Spark, and every way in which a folder may not be one.

The tables here are written by delta-rs with the properties that fstk gives a table.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from fstk.engines.base import TableVersion
from fstk.engines.connect import direct
from fstk.engines.direct import stored_schema
from fstk.errors import DamagedTable, InvalidName, UnknownTable
from fstk.tables import local
from fstk.tables.configured import open_catalog
from fstk.tables.properties import to_properties
from fstk.tables.spec import define

SCHEMA = {"id": "bigint", "as_of": "timestamp", "x": "double"}
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "as_of": pa.array([0, 1, 2], pa.timestamp("us", "UTC")),
        "x": pa.array([1.0, None, float("nan")]),
    }
)


def put(folder: Path, versions: int = 1, ours: bool = True, **definition: Any) -> None:
    """Write a feature table of so many versions, as fstk's own commits look."""
    words = {"userMetadata": json.dumps({"fstk": "0.1.0", "run": "r", "write": "w"})} if ours else {}
    for _ in range(versions):
        commit = deltalake.CommitProperties(custom_metadata=words)
        deltalake.write_deltalake(str(folder), ROWS, mode="append", description="about it", commit_properties=commit)
    # delta-rs writes only properties that it knows, so fstk's are put into the first commit by hand.
    actions = [json.loads(line) for line in log(folder, 0).read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            defined = define("s.t", "id", SCHEMA, timeseries_column="as_of", **definition)
            action["metaData"]["configuration"] = to_properties(defined)
    log(folder, 0).write_text("".join(json.dumps(action) + "\n" for action in actions))


def log(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020}.json"


def test_all_that_is_known_of_a_table_is_read_from_it(warehouse: Path) -> None:
    put(warehouse / "s" / "t", versions=2, tags={"team": "x"})
    table = open_catalog().get("S.T")
    assert (table.name, table.primary_keys, table.timeseries_column) == ("s.t", ("id",), "as_of")
    assert (table.schema, table.features, table.description, table.tags) == (SCHEMA, ["x"], "about it", {"team": "x"})
    assert (table.version, table.rows, table.location) == (1, 6, str(warehouse / "s" / "t"))
    assert table.written_by_fstk


def test_another_writers_rows_are_noticed(warehouse: Path) -> None:
    put(warehouse / "s" / "t")
    put(warehouse / "s" / "t", ours=False)
    assert not open_catalog().get("s.t").written_by_fstk


def test_names_lie_in_schemas_and_catalogs(warehouse: Path) -> None:
    for parts in (("default", "one"), ("s", "two"), ("c", "s", "three")):
        put(warehouse.joinpath(*parts))
    catalog = open_catalog()
    assert catalog.names() == ["c.s.three", "default.one", "s.two"]
    assert [table.name for table in catalog.survey()[0]] == ["c.s.three", "default.one", "s.two"]
    assert catalog.get("one") == catalog.get("default.one")


def test_what_no_name_reaches_is_no_table(warehouse: Path) -> None:
    put(warehouse / "s" / "t")
    for other in (".hidden/t", "s/.t.created", "Upper/t", "s/t/inner", "s/a b"):
        put(warehouse / other)
    deltalake.write_deltalake(str(warehouse / "s" / "events"), ROWS)
    (warehouse / "s" / "empty" / "_delta_log").mkdir(parents=True)
    (warehouse / "s" / "csv").mkdir()
    assert open_catalog().names() == ["s.t"]


def test_an_unknown_table_is_answered_with_the_nearest(warehouse: Path) -> None:
    put(warehouse / "feature_store" / "customer_features")
    with pytest.raises(UnknownTable) as caught:
        open_catalog().get("feature_store.customer_feature")
    assert str(caught.value) == (
        "no feature table feature_store.customer_feature. Nearest: feature_store.customer_features.\n"
        f"Looked in {warehouse}\nSee them all: %fstk tables"
    )


def test_a_warehouse_that_is_not_there_has_no_tables(warehouse: Path) -> None:
    warehouse.rmdir()
    assert open_catalog().names() == []
    assert not warehouse.exists()
    with pytest.raises(UnknownTable, match="no feature table s.t"):
        open_catalog().get("s.t")


def test_a_delta_table_without_keys_is_no_feature_table(warehouse: Path) -> None:
    deltalake.write_deltalake(str(warehouse / "s" / "events"), ROWS)
    with pytest.raises(UnknownTable, match="no feature table s.events"):
        open_catalog().get("s.events")


@pytest.mark.parametrize("name", ["../x", "s/t", "a.b.c.d", "s.t;drop", ""])
def test_a_name_never_reaches_outside(warehouse: Path, name: str) -> None:
    with pytest.raises(InvalidName):
        open_catalog().get(name)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: log(folder, 2).write_text("{not json"),
        lambda folder: log(folder, 2).write_text(""),
        lambda folder: log(folder, 0).write_text("garbage\n"),
        lambda folder: log(folder, 0).unlink(),
        lambda folder: log(folder, 1).unlink(),
        lambda folder: log(folder, 2).write_bytes(log(folder, 2).read_bytes()[:100]),
        lambda folder: log(folder, 2).write_bytes(b"\xff\xfe{"),
    ],
)
def test_a_damaged_log_is_one_line_and_hides_no_other_table(warehouse: Path, damage) -> None:
    put(warehouse / "s" / "bad", versions=3)
    put(warehouse / "s" / "good")
    damage(warehouse / "s" / "bad")
    catalog = open_catalog()
    with pytest.raises(DamagedTable) as caught:
        catalog.get("s.bad")
    assert str(caught.value).startswith("s.bad: ")
    assert "\n" not in str(caught.value)
    assert "from a copy" in str(caught.value)
    assert caught.value.exit_code == 4
    assert catalog.names() == ["s.good"]
    assert catalog.get("s.good").rows == 3
    tables, faults = catalog.survey()
    assert [table.name for table in tables] == ["s.good"]
    assert [str(fault) for fault in faults] == [str(caught.value)]


def test_damage_behind_a_table_that_was_found_is_one_line_too(warehouse: Path) -> None:
    put(warehouse / "s" / "t")
    found = open_catalog().find("s.t")
    for file in (warehouse / "s" / "t").glob("*.parquet"):
        file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DamagedTable, match=r"^reading s\.t: [^\n]*$"):
        direct().read(found)
    log(warehouse / "s" / "t", 0).write_text("garbage\n")
    with pytest.raises(DamagedTable, match=r"^reading s\.t: [^\n]*$"):
        stored_schema(TableVersion("s.t", found.location))


def test_versions_and_their_rows(warehouse: Path) -> None:
    put(warehouse / "s" / "t", versions=3)
    catalog = open_catalog()
    versions = catalog.versions("s.t")
    assert [version.version for version in versions] == [2, 1, 0]
    assert {version.run for version in versions} == {"r"}
    assert catalog.find("s.t").version == 2
    assert catalog.find("s.t", 1).version == 1
    assert catalog.find("s.t", timestamp=versions[1].timestamp).version == 1


def test_reading_metadata_starts_no_spark_and_imports_none(warehouse: Path) -> None:
    put(warehouse / "s" / "t")
    program = (
        "import sys\n"
        "from fstk.tables.configured import open_catalog\n"
        "catalog = open_catalog()\n"
        "found = catalog.get('s.t'), catalog.names(), catalog.versions('s.t'), catalog.find('s.t', 0), "
        "catalog.survey()[0]\n"
        "print(found[0].rows, len(found[-1]))\n"
        "print([name for name in ('pyspark', 'mlflow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["3 1", "[]"]


def test_a_source_that_is_no_feature_table_is_found_and_read_too(warehouse: Path) -> None:
    folder = warehouse / "default" / "transactions"
    deltalake.write_deltalake(str(folder), pa.table({"customer_id": [1]}))
    catalog = open_catalog()
    assert catalog.find("transactions").location == str(folder)
    assert catalog.find("transactions", 0).version == 0
    with pytest.raises(UnknownTable, match=r"no table default.transaction\..*default.transactions"):
        catalog.find("transaction")
    assert catalog.survey() == ([], [])


def test_a_copy_is_the_feature_table_that_the_other_is_with_the_rows_given(warehouse: Path, tmp_path: Path) -> None:
    put(warehouse / "shop" / "t", tags={"team": "growth"})
    local.store_copy("shop.t", warehouse / "shop" / "t", tmp_path / "copy", ROWS.slice(0, 2))
    copy, other = local.read("shop.t", tmp_path / "copy"), local.read("shop.t", warehouse / "shop" / "t")
    assert copy is not None
    assert other is not None
    assert (copy.primary_keys, copy.timeseries_column) == (other.primary_keys, other.timeseries_column)
    assert (copy.tags, copy.rows) == ({"team": "growth"}, 2)
    assert direct().read(copy.at()).equals(ROWS.slice(0, 2))


def test_a_copy_of_changes_tells_of_the_same_at_the_same_times(warehouse: Path, tmp_path: Path) -> None:
    put(warehouse / "shop" / "t")
    one, two, three = (ROWS.slice(n, 1) for n in range(3))
    changes = [  # what was done to which row, in which commit, on which day
        (one, "insert", 0, 1),
        (two, "insert", 0, 1),
        (one.set_column(2, "x", [[9.0]]), "update_postimage", 5, 2),
        (three, "insert", 5, 2),
        (two, "delete", 9, 3),
    ]
    rows = pa.concat_tables([row for row, *_ in changes])
    at = [dt.datetime(2024, 1, day, 7, tzinfo=dt.UTC) for *_, day in changes]
    rows = rows.append_column("_change_type", [[kind for _, kind, *_ in changes]])
    rows = rows.append_column("_commit_version", [[commit for *_, commit, _ in changes]])
    rows = rows.append_column("_commit_timestamp", pa.chunked_array([at], pa.timestamp("us", "UTC")))
    local.store_copy("shop.t", warehouse / "shop" / "t", tmp_path / "copy", rows)
    copied = direct().changes(TableVersion("shop.t", str(tmp_path / "copy"))).to_pylist()
    told = [
        (row["id"], str(row["x"]), row["_change_type"], row["_commit_timestamp"].replace(tzinfo=dt.UTC))
        for row in sorted(copied, key=lambda row: (row["_commit_timestamp"], row["id"]))
        if row["_change_type"] != "update_preimage"
    ]
    assert told == [
        (row["id"][0].as_py(), str(row["x"][0].as_py()), kind, when)
        for (row, kind, *_), when in zip(changes, at, strict=True)
    ]
    left = direct().read(TableVersion("shop.t", str(tmp_path / "copy"))).sort_by("id").to_pydict()
    assert (left["id"], str(left["x"])) == ([1, 3], "[9.0, nan]")
    assert log(tmp_path / "copy", 1).stat().st_mtime == at[0].timestamp()  # which is when Spark says that it was
