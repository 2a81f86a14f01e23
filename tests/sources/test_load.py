"""Events are appended once, with no value guessed, and nothing is written before all is settled."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from fstk import Aggregate, FeatureEngineeringClient, WindowedFeatures
from fstk.errors import (
    DuplicateKeys,
    InvalidInput,
    NullKeys,
    SchemaChange,
    TableExists,
    TypeMismatch,
    UnknownColumn,
    UnknownName,
    UnknownTable,
)
from fstk.sources.files import digest
from fstk.tables.configured import open_catalog
from fstk.tables.source import Source

NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
ORDERS = "id,at,amount\n17,2024-01-01T08:00:00Z,1.5\n17,2024-01-01T08:00:00Z,1.5\n18,2024-01-02T09:30:00+01:00,2\n"


@pytest.fixture
def fe(warehouse: Path) -> FeatureEngineeringClient:
    return FeatureEngineeringClient()


def file(tmp_path: Path, text: str, name: str = "orders.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def create(fe: FeatureEngineeringClient, path: Path | list[Path] | None = None, **given: Any) -> Source:
    named = {"name": "shop.orders", "path": path, "event_time": "at", "entity": "id"} | given
    return fe.create_source(**{name: value for name, value in named.items() if value is not None})


def rows(source: Source) -> list[dict[str, Any]]:
    return DeltaTable(source.location).to_pyarrow_table().to_pylist()


def test_a_file_keeps_its_repeated_rows_and_the_same_file_again_changes_nothing(
    fe: FeatureEngineeringClient, tmp_path: Path
) -> None:
    path = file(tmp_path, ORDERS)
    made = create(fe, path)
    assert made.schema == {"id": "bigint", "at": "timestamp", "amount": "double"}
    assert [row["id"] for row in rows(made)] == [17, 17, 18]
    assert rows(made)[2]["at"] == dt.datetime(2024, 1, 2, 8, 30, tzinfo=dt.UTC)
    again = fe.create_source(name="shop.orders", path=path.rename(tmp_path / "other.csv"))
    assert (again.version, again.rows, again.notes) == (0, 3, ("other.csv is there already (3 events)",))
    more = fe.create_source(name="shop.orders", path=file(tmp_path, ORDERS.replace("18", "19")))
    assert (more.version, more.rows, [load.rows for load in more.loads]) == (1, 6, [3, 3])


def test_several_files_and_a_folder_of_them_are_appended_each_once(
    fe: FeatureEngineeringClient, tmp_path: Path
) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    file(folder, ORDERS, "a.csv")
    (folder / "b.csv.gz").write_bytes(gzip.compress(ORDERS.replace("17", "20").encode()))
    file(folder, ORDERS, "copy of a.csv")
    file(folder, "not for us", "notes.txt")
    made = create(fe, folder)
    assert [load.name for load in made.loads] == ["a.csv", "b.csv.gz"]
    assert made.notes[0] == "copy of a.csv is there already (3 events)"


def test_a_path_starts_here_or_at_the_projects_root(
    fe: FeatureEngineeringClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fstk.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    file(tmp_path, ORDERS)
    assert create(fe, Path("orders.csv")).rows == 3
    file(tmp_path / "notebooks", ORDERS + "19,2024-01-02T00:00Z,3\n")
    assert fe.create_source(name="shop.orders", path="orders.csv").rows == 7
    with pytest.raises(
        InvalidInput, match=f"no file other.csv in {tmp_path}/notebooks or the project's root {tmp_path}"
    ):
        create(fe, Path("other.csv"))


def test_parquet_delta_and_frames_keep_their_types(fe: FeatureEngineeringClient, tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([1], pa.int32()), "at": pa.array([NOON], pa.timestamp("us", "UTC"))})
    pq.write_table(table, tmp_path / "a.parquet")
    write_deltalake(tmp_path / "events", table)
    ways: list[dict[str, Any]] = [{"path": tmp_path / "a.parquet"}, {"path": tmp_path / "events"}, {"df": table}]
    for number, given in enumerate(ways):
        made = create(fe, name=f"shop.n{number}", **given)
        assert made.schema == {"id": "int", "at": "timestamp"}
        assert rows(made) == table.to_pylist()
        assert fe.create_source(name=made.name, **given).version == 0


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        ("id,at\n17.0,2024-01-01\n18.0,2024-01-01\n", {}, 'id 2 whole numbers written as 17.0 types={"id": "bigint"}'),
        ("id,at\n17,2024-01-01\nA17,2024-01-01\n", {}, "id 2 1 are numbers ('17'), 1 are not ('A17') types"),
        ("id,at\n007,2024-01-01\n17,2024-01-01\n", {}, "id 2 1 are numbers ('17'), 1 are not ('007') types"),
        ("id,at\nx,2024-01-01\n ,2024-01-01\n", {}, 'id 1 empty texts null_values=[" "]'),
        ("id,at\n1,2024-01-01\n2,soon\n3,2024-13-01\n", {}, "at 2 no time, as 'soon' null_values=[\"soon\"]"),
        ("id,at\n1,1/12/2024\n", {}, "at 1 no times of the form ISO 8601 (as '1/12/2024') time_format="),
        ("id,at\n1,2024-01-01\n", {"time_format": "%d/%m/%Y"}, "at 1 no times of the form %d/%m/%Y"),
        ("id,at\n1,2024-01-01T00:00Z\n2,2024-01-01T00:00\n", {}, "at 1 times with a zone among others without"),
        ("id,at,n\n1,2024-01-01,\n", {}, 'n 1 no value at all types={"n": "string"}'),
        (
            "id,at,n\n1,2024-01-01,1\n1,2024-01-01,2\n1,2024-01-01,none\n",
            {},
            "n 3 2 are numbers ('1'), 1 are not ('none') null_values=[\"none\"]",
        ),
        (
            "id,at,n\n1,2024-01-01,1\n1,2024-01-01,2\n1,2024-01-01,3\n1,2024-01-01,-\n1,2024-01-01,x\n",
            {},
            "n 5 3 are numbers ('1'), 2 are not ('-') types={\"n\": \"string\"}",
        ),
        ("id,at,n\n1,2024-01-01,1\n1,2024-01-01,x\n", {"types": {"n": "int"}}, "n 1 no int, as 'x' null_values"),
        ("id,at,n\n1,2024-01-01,3000000000\n", {"types": {"n": "int"}}, "n 1 no int, as '3000000000'"),
        ("id,at,n\n1,2024-01-01,1.25\n", {"types": {"n": "decimal(3,1)"}}, "n 1 no decimal(3,1), as '1.25'"),
        ("id,at,order no\n1,2024-01-01,3\n", {}, 'a name that Delta does not take rename={"order no": "order_no"}'),
    ],
)
def test_what_does_not_say_what_it_means_is_counted_with_its_cure_and_nothing_written(
    fe: FeatureEngineeringClient, tmp_path: Path, text: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        create(fe, file(tmp_path, text), **given)
    assert "to settle first. Nothing was written." in str(caught.value)
    assert told in " ".join(str(caught.value).split())
    assert fe.list_sources() == []


def test_the_cures_settle_it(fe: FeatureEngineeringClient, tmp_path: Path) -> None:
    text = "Customer ID,When,n,ok\n17.0,1/2/2024 8:05,1.50,true\n,?,NA,FALSE\nx,2/2/2024 8:05,2.25,True\n"
    made = create(
        fe,
        file(tmp_path, text),
        event_time="at",
        rename={"Customer ID": "id", "When": "at"},
        time_format="%d/%m/%Y %H:%M",
        types={"id": "bigint", "n": "decimal(10,2)"},
        null_values=["?", "NA", "x"],
        timestamp_zone="Europe/Madrid",
    )
    assert made.schema == {"id": "bigint", "at": "timestamp", "n": "decimal(10,2)", "ok": "boolean"}
    first = rows(made)[0]
    at = dt.datetime(2024, 2, 1, 7, 5, tzinfo=dt.UTC)
    assert (first["id"], first["at"], str(first["n"]), first["ok"]) == (17, at, "1.50", True)
    assert made.notes[:2] == (
        "orders.csv: 2 events without id; no window will hold them",
        "orders.csv: 1 event without at; no window will hold them",
    )
    more = fe.create_source(name="shop.orders", path=file(tmp_path, text.replace("8:05", "9:05"), "more.csv"))
    assert more.rows == 6  # what was said once holds


def test_frames_of_python_objects_and_fractions_are_told_too(fe: FeatureEngineeringClient) -> None:
    at = pd.to_datetime(["2024-01-01"] * 3, utc=True)
    mixed = pd.DataFrame({"id": [17, "A17", None], "at": at})
    with pytest.raises(InvalidInput, match=r"objects of several kinds \(1 int, 1 str\) +types={\"id\": \"string\"}"):
        create(fe, df=mixed)
    assert [row["id"] for row in rows(create(fe, df=mixed, types={"id": "string"}))] == ["17", "A17", None]
    floats = pd.DataFrame({"id": [17.0, None, 18.0], "at": at})
    with pytest.raises(InvalidInput, match=r"id +2 +whole numbers written as 17.0"):
        create(fe, name="shop.floats", df=floats)
    assert create(fe, name="shop.floats", df=floats, types={"id": "bigint"}).schema["id"] == "bigint"


def test_ids_that_texts_keep_apart_are_counted(fe: FeatureEngineeringClient, tmp_path: Path) -> None:
    path = file(tmp_path, "id,at\n17,2024-01-01\n17.0,2024-01-01\n17.0,2024-01-02\n18.0,2024-01-01\nA,2024-01-01\n")
    said = "2 events whose id is written as 17.0 and elsewhere as 17; texts keep them apart"
    assert said in create(fe, path, types={"id": "string"}).notes[0]


def test_clock_times_are_taken_as_utc_with_a_word_or_as_the_zone_has_them(
    fe: FeatureEngineeringClient, tmp_path: Path
) -> None:
    path = file(tmp_path, "id,at\n1,2024-07-01 12:00\n")
    plain = create(fe, path)
    assert plain.schema["at"] == "timestamp_ntz"
    said = "at has no zone and is taken as UTC; of local clock times say timestamp_zone, in a line --tz"
    assert plain.notes[0] == said
    zoned = create(fe, path, name="shop.zoned", timestamp_zone="Europe/London")
    assert rows(zoned)[0]["at"] == dt.datetime(2024, 7, 1, 11, tzinfo=dt.UTC)
    twice = file(tmp_path, "id,at\n1,2024-10-27 01:30\n1,2024-03-31 01:30\n", "twice.csv")
    with pytest.raises(InvalidInput, match="1 do not exist .* and 1 exist twice"):
        fe.create_source(name="shop.zoned", path=twice)
    assert fe.create_source(name="shop.zoned", path=twice, unclear_times="later").rows == 3
    with pytest.raises(UnknownName, match="no time zone 'Europe/Lundon'"):
        create(fe, path, name="shop.other", timestamp_zone="Europe/Lundon")


def test_by_a_key_an_event_is_appended_once(fe: FeatureEngineeringClient) -> None:
    events = pl.DataFrame({"no": [1, 2, 2], "id": [7, 7, 7], "at": [NOON] * 3, "x": [1.0, None, None]})
    assert create(fe, df=events, key="no").rows == 2
    overlap = pl.DataFrame({"no": [2, 3], "id": [7, 7], "at": [NOON] * 2, "x": [None, 3.0]})
    more = fe.create_source(name="shop.orders", df=overlap)
    assert (more.rows, more.notes) == (3, ("appended 1 event of df, 1 by their key there already",))
    changed = overlap.with_columns(x=pl.Series([5.0, 3.0]), at=NOON)
    with pytest.raises(DuplicateKeys, match="1 event with the key of one that is there, and other values: 2"):
        fe.create_source(name="shop.orders", df=changed)
    with pytest.raises(DuplicateKeys, match="events of one key that differ: 9"):
        fe.create_source(name="shop.orders", df=changed.with_columns(no=9))
    with pytest.raises(NullKeys, match="2 events without a value of the key no"):
        fe.create_source(name="shop.orders", df=changed.with_columns(no=pl.lit(None, pl.Int64)))
    assert fe.get_source(name="shop.orders").rows == 3


def test_of_several_files_all_are_good_or_none_is_appended(fe: FeatureEngineeringClient, tmp_path: Path) -> None:
    head = "no,id,at\n"
    one = file(tmp_path, f"{head}1,7,2024-01-01T00:00Z\n2,7,2024-01-01T00:00Z\n", "one.csv")
    same = file(tmp_path, f"{head}2,7,2024-01-01T00:00Z\n3,7,2024-01-01T00:00Z\n", "same.csv")
    other = file(tmp_path, f"{head}2,8,2024-01-01T00:00Z\n", "other.csv")
    with pytest.raises(DuplicateKeys, match="1 event with the key of one that is there, and other values: 2"):
        create(fe, key="no", path=[one, other])
    assert fe.list_sources() == []
    both = create(fe, key="no", path=[one, same])
    assert both.notes[-2:] == (
        "appended 2 events of one.csv",
        "appended 1 event of same.csv, 1 by their key there already",
    )
    assert both.rows == 3


def test_delta_rs_writes_no_statistics_which_forget_nan(fe: FeatureEngineeringClient) -> None:
    made = create(fe, df=pl.DataFrame({"id": [1, 2], "at": [NOON] * 2, "x": [1.0, float("nan")]}))
    adds = DeltaTable(made.location).get_add_actions(flatten=True)
    assert not [name for name in adds.schema.names if name.startswith(("min.", "max."))]


def test_a_source_keeps_its_meaning(fe: FeatureEngineeringClient, tmp_path: Path) -> None:
    create(fe, file(tmp_path, ORDERS))
    with pytest.raises(TableExists, match="is a source of id at at already"):
        create(fe, file(tmp_path, ORDERS), entity="amount")
    with pytest.raises(SchemaChange, match="the source has the column amount, this has not"):
        fe.create_source(name="shop.orders", path=file(tmp_path, "id,at\n1,2024-01-01T00:00Z\n"))
    with pytest.raises(TypeMismatch, match="column at is timestamp_ntz, in shop.orders it is timestamp"):
        fe.create_source(name="shop.orders", path=file(tmp_path, "id,at,amount\n1,2024-01-01 08:00,2\n"))
    with pytest.raises(UnknownColumn, match="no column when. .*amount"):
        create(fe, file(tmp_path, ORDERS), name="shop.others", event_time="when")
    wider = file(tmp_path, "id,at,amount,shop\n1,2024-01-01T08:00Z,2,web\n")
    assert fe.create_source(name="shop.orders", path=wider).schema["shop"] == "string"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give df, path or query"),
        ({"path": "none.csv"}, "there is no file none.csv"),
        ({"path": "a.xlsx"}, "is no .csv, .tsv"),
        ({"path": "latin1.csv"}, "iconv -f latin1"),
        ({"path": "ragged.csv"}, "cannot be read: found more fields"),
        ({"path": "good.csv", "event_time": None}, "is new: name the column of its event time"),
        ({"path": "good.csv", "event_time": "id"}, "no times of the form ISO 8601"),
        ({"path": "good.csv", "types": {"id": "number"}}, "'number' is not a Spark SQL type"),
        ({"path": "good.csv", "time_format": "%Q"}, "time_format '%Q' has no day"),
        ({"path": "good.csv", "unclear_times": "guess"}, "unclear_times must be refuse, earlier or later"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(
    fe: FeatureEngineeringClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file(tmp_path, ORDERS, "good.csv")
    file(tmp_path, "", "a.xlsx")
    file(tmp_path, "id,at\n1,2,3\n", "ragged.csv")
    (tmp_path / "latin1.csv").write_bytes("id,at\nJosé,2024-01-01\n".encode("latin1"))
    with pytest.raises(InvalidInput) as caught:
        create(fe, **given)
    assert said in str(caught.value)
    assert fe.list_sources() == []


def test_sources_stand_apart_from_feature_tables_and_windows_read_them_by_name(
    fe: FeatureEngineeringClient, tmp_path: Path
) -> None:
    create(fe, file(tmp_path, ORDERS))
    assert (fe.list_tables(), [source.name for source in fe.list_sources()]) == ([], ["shop.orders"])
    with pytest.raises(UnknownTable):
        open_catalog().get("shop.orders")
    features = WindowedFeatures("shop.orders", "id", "at", [Aggregate("count(*)", name="n")], ["7d"], closed="both")
    assert sorted(features.to_arrow("events")["n_7d"].to_pylist()) == [1, 2, 2]
    with pytest.raises(UnknownTable, match=r"no source shop.order. Nearest: shop.orders.\nLooked in .*warehouse"):
        fe.get_source(name="shop.order")
    fe.drop_source(name="shop.orders")
    assert fe.list_sources() == []


@pytest.mark.spark
def test_a_query_and_a_spark_frame_become_sources_and_spark_reads_them(
    fe: FeatureEngineeringClient, spark: Any
) -> None:
    text = "SELECT 1 AS id, TIMESTAMP'2024-01-01T12:00:00Z' AS at"
    made = create(fe, query=text)
    assert create(fe, name="shop.frame", df=spark.sql(text)).schema == made.schema == {"id": "int", "at": "timestamp"}
    assert rows(made) == [{"id": 1, "at": NOON}]
    assert fe.create_source(name="shop.orders", query=text).version == 0
    assert fe.read_table(name="shop.orders").count() == 1


def test_a_digest_knows_content_and_not_how_it_is_held() -> None:
    table = pa.table({"a": ["x", "", None], "b": [1.0, None, 3.0], "c": [[1], None, [2, 3]]})
    parts = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert digest(parts) == digest(table) == digest(pl.DataFrame(table).to_arrow().cast(table.schema))
    others = [
        table.slice(1),
        table.rename_columns(["a", "b", "d"]),
        table.set_column(0, "a", pa.array(["x", None, ""])),
    ]
    assert len({digest(one) for one in [table, *others]}) == 4
