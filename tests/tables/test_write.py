"""Rows into feature tables on every Spark engine; what was written is judged by other readers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import deltalake
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fstk import journal
from fstk.engines.connect import direct
from fstk.engines.spark import SparkEngine
from fstk.errors import (
    DamagedTable,
    DuplicateKeys,
    Infrastructure,
    InvalidInput,
    NaiveDatetime,
    NullKeys,
    SchemaChange,
    TypeMismatch,
)
from fstk.tables import sql
from fstk.tables.folder import FolderCatalog
from tests.tables.reading import newest_commit, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DAY = datetime(2024, 1, 1, tzinfo=UTC)
NAN = float("nan")


@pytest.fixture
def catalog(warehouse: Path, spark_engine: SparkEngine) -> FolderCatalog:
    return FolderCatalog(warehouse, spark_engine)


def days(*numbers: int | None) -> pa.Array:
    return pa.array([None if n is None else DAY + timedelta(days=n) for n in numbers], pa.timestamp("us", "UTC"))


def frame(ids: list[int | None], when: pa.Array, x: list[float | None]) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "as_of": when, "x": pa.array(x, pa.float64())})


@pytest.mark.transport
def test_new_keys_are_inserted_changed_rows_updated_and_equal_rows_left(catalog: FolderCatalog) -> None:
    first = frame([1, 2, 3], days(0, 0, 1), [1.0, NAN, None])
    table = catalog.create("s.t", ["id"], first, timeseries_column="as_of")
    assert (table.version, table.rows, table.written_by_fstk) == (0, 3, True)

    again = catalog.write("s.t", first.take([2, 0, 1]))
    assert (again.version_before, again.version, again.changed) == (0, 0, False)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 3)

    second = frame([1, 2, 3, 4, 1], days(0, 0, 1, 1, 1), [1.0, 2.0, None, 4.0, -1.0])
    report = catalog.write("s.t", second)
    assert (report.version_before, report.version, report.changed, report.created) == (0, 1, True, False)
    assert (report.inserted, report.updated, report.unchanged, report.rows) == (2, 1, 2, 5)
    assert [(row["id"], row["as_of"], row["x"]) for row in rows(catalog.get("s.t"), "id, as_of")] == [
        (1, DAY, 1.0),
        (1, DAY + timedelta(days=1), -1.0),
        (2, DAY, 2.0),
        (3, DAY + timedelta(days=1), None),
        (4, DAY + timedelta(days=1), 4.0),
    ]
    assert not catalog.write("s.t", second).changed
    assert not catalog.write("s.t", second.slice(0, 0)).changed
    assert catalog.get("s.t").written_by_fstk

    commit = newest_commit(catalog.get("s.t"))
    assert json.loads(commit["userMetadata"])["fstk"]
    assert commit["operationMetrics"]["numTargetRowsInserted"] == "2"
    assert commit["operationMetrics"]["numTargetRowsUpdated"] == "1"
    assert [(v.version, v.operation, v.rows) for v in catalog.versions("s.t")] == [
        (1, "MERGE", 3),
        (0, "CREATE TABLE AS SELECT", 3),
    ]


@pytest.mark.transport
def test_repeated_and_null_keys_are_counted_shown_and_nothing_is_written(
    catalog: FolderCatalog, warehouse: Path
) -> None:
    repeated = frame([1, 1, *range(2, 9), *range(2, 9)], days(*[0] * 16), [0.0] * 16)
    with pytest.raises(DuplicateKeys) as caught:
        catalog.create("s.t", ["id"], repeated, timeseries_column="as_of")
    assert "8 keys come more than once, in 16 rows" in str(caught.value)
    assert str(caught.value).count("as_of=2024-01-01") == 5
    assert catalog.names() == []
    assert [path.name for path in (warehouse / "s").iterdir()] == [".t.lock"]

    catalog.create("s.t", ["id"], frame([1], days(0), [1.0]), timeseries_column="as_of")
    for bad, error, words in (
        (
            frame([2, 2], days(0, 0), [1.0, 1.0]),
            DuplicateKeys,
            "1 key comes more than once, in 2 rows: (id=2, as_of=2024",
        ),
        (frame([1, 1], days(0, 0), [1.0, 1.0]), DuplicateKeys, "1 key comes more than once"),
        (frame([2, None], days(0, 0), [1.0, 1.0]), NullKeys, "1 row lacks a key: (id=null, as_of=2024-01-01)"),
        (frame([2, 2], days(None, None), [1.0, 1.0]), NullKeys, "2 rows lack a key: (id=2, as_of=null), (id=2"),
    ):
        with pytest.raises(error) as refused:
            catalog.write("s.t", bad)
        assert isinstance(refused.value, ValueError)
        assert words in str(refused.value)
        assert "Nothing was written" in str(refused.value)
    assert catalog.get("s.t").version == 0


@pytest.mark.parametrize("lost", ["", "__HIVE_DEFAULT_PARTITION__"])
def test_a_partition_s_value_that_delta_reads_back_as_null_is_refused(catalog: FolderCatalog, lost: str) -> None:
    table = pa.table({"id": [1, 2], "region": ["north", lost], "x": [1.0, 2.0]})
    for keys in (["id"], ["id", "region"]):
        with pytest.raises(InvalidInput, match=r"1 row has an empty text in region, .* Nothing was written"):
            catalog.create("s.t", keys, table, partition_columns="region")
    assert catalog.names() == []
    catalog.create("s.t", ["id"], table.slice(0, 1), partition_columns="region")
    with pytest.raises(InvalidInput, match=r"1 row has an empty text in region, .* Nothing was written"):
        catalog.write("s.t", table)
    assert catalog.write("s.t", table.drop_columns("region")).inserted == 1


@pytest.mark.transport
def test_partitions_of_every_type_keep_their_values(catalog: FolderCatalog, spark_engine: SparkEngine) -> None:
    at = [datetime(1, 1, 1, tzinfo=UTC), None, datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC), DAY]
    values = {
        "text": pa.array(["a/b c", None, "x=y%20 é", " "]),
        "day": pa.array([date(1, 1, 1), None, date(9999, 12, 31), date(2024, 1, 1)]),
        "at": pa.array(at, pa.timestamp("us", "UTC")),
        "number": pa.array([NAN, None, 0.1, math.inf]),
        "price": pa.array([Decimal("-0.01"), None, Decimal("1.00"), Decimal("99.99")], pa.decimal128(4, 2)),
        "flag": pa.array([True, None, False, True]),
        "size": pa.array([-(2**63), None, 2**63 - 1, 0]),
    }
    table = pa.table({"id": [1, 2, 3, 4], **values, "x": [1.0, 2.0, 3.0, 4.0]})
    catalog.create("s.t", "id", table, partition_columns=list(values))
    assert not catalog.write("s.t", table).changed
    for engine in (spark_engine, direct()):
        found = engine.arrow(engine.read(catalog.get("s.t").at())).sort_by("id")
        assert [str(row) for row in found.to_pylist()] == [str(row) for row in table.to_pylist()]


@pytest.mark.transport
def test_columns_are_added_kept_or_refused(catalog: FolderCatalog) -> None:
    catalog.create("s.t", ["id"], frame([1, 2], days(0, 0), [1.0, 2.0]), timeseries_column="as_of")
    wider = frame([2, 3], days(0, 0), [2.0, 3.0]).append_column("note", pa.array(["b", None]))
    report = catalog.write("s.t", wider)
    assert (report.inserted, report.updated, report.unchanged) == (1, 1, 0)
    assert catalog.get("s.t").schema == {"id": "bigint", "as_of": "timestamp", "x": "double", "note": "string"}
    assert [row["note"] for row in rows(catalog.get("s.t"), "id")] == [None, "b", None]
    before = catalog.get("s.t").version
    for bad, error in (
        (frame([9], days(0), [1.0]), SchemaChange),
        (wider.set_column(2, "x", pa.array([1, 2], pa.int64())), TypeMismatch),
    ):
        with pytest.raises(error):
            catalog.write("s.t", bad)
    empty = wider.append_column("more", pa.array([None, None], pa.int32()))
    assert (catalog.write("s.t", empty).unchanged, catalog.get("s.t").version) == (2, before + 1)

    static = pl.DataFrame({"id": [1, 2], "a": ["x", "y"], "b": [1, 2]})
    catalog.create("s.fixed", "id", static)
    report = catalog.write("s.fixed", pl.DataFrame({"b": [20, 30], "id": [2, 3]}))
    assert (report.inserted, report.updated) == (1, 1)
    assert [(row["id"], row["a"], row["b"]) for row in rows(catalog.get("s.fixed"), "id")] == [
        (1, "x", 1),
        (2, "y", 20),
        (3, None, 30),
    ]


def test_columns_of_any_name_are_created_updated_and_added(catalog: FolderCatalog) -> None:
    names = ("a.b", "it's", 'q"q', "select", "$x", "ünï", "-", "c1")
    table = pa.table({"the.key": [1, 2], **{name: [1.0, 2.0] for name in names}})
    catalog.create("s.t", "the.key", table, partition_columns="select")
    changed = table.set_column(2, names[1], pa.array([5.0, 2.0])).append_column("new.one", pa.array(["x", None]))
    report = catalog.write("s.t", changed)
    assert (report.inserted, report.updated) == (0, 1)
    found = direct().read(catalog.get("s.t").at()).sort_by([("the.key", "ascending")])
    assert found.to_pylist() == changed.to_pylist()


def test_nothing_is_added_when_the_rows_are_refused(catalog: FolderCatalog) -> None:
    catalog.create("s.t", ["id"], frame([1], days(0), [1.0]), timeseries_column="as_of")
    wider = frame([2, 2], days(0, 0), [2.0, 3.0]).append_column("note", pa.array(["b", None]))
    with pytest.raises(DuplicateKeys):
        catalog.write("s.t", wider)
    assert catalog.get("s.t").version == 0


def _full(*_: object, **__: object) -> str:
    raise Infrastructure("the disk is full")


@pytest.mark.parametrize("gained", [pa.array([1.0]), pa.array([datetime(2024, 5, 1)], pa.timestamp("us"))])
def test_a_write_that_fails_has_added_no_column(
    catalog: FolderCatalog, monkeypatch: pytest.MonkeyPatch, gained: pa.Array
) -> None:
    first = frame([1], days(0), [1.0])
    table = catalog.create("s.t", ["id"], first, timeseries_column="as_of")
    wider = frame([1], days(0), [2.0]).append_column("more", gained)
    with monkeypatch.context() as patch:
        patch.setattr(sql, "merge", _full)
        with pytest.raises(Infrastructure, match="full"):
            catalog.write("s.t", wider)
    assert catalog.get("s.t").schema == table.schema
    assert catalog.write("s.t", frame([1], days(0), [3.0])).updated == 1
    report = catalog.write("s.t", wider)
    assert (report.updated, catalog.get("s.t").features) == (1, ["x", "more"])
    assert newest_commit(catalog.get("s.t"))["operation"] == "MERGE"
    assert [version.operation for version in catalog.versions("s.t")].count("ADD COLUMNS") == 0


def test_naive_times_are_added_as_any_other_column(catalog: FolderCatalog) -> None:
    at = datetime(2024, 5, 1, 12)
    catalog.create("s.t", "id", pa.table({"id": [1, 2]}))
    catalog.write("s.t", pa.table({"id": [1], "wall": pa.array([at], pa.timestamp("us"))}))
    nothing = pa.table({"id": [1], "walls": pa.array([None], pa.list_(pa.timestamp("us")))})
    catalog.write("s.t", nothing)
    found = direct().read(catalog.get("s.t").at()).sort_by("id").to_pylist()
    assert found == [{"id": 1, "wall": at, "walls": None}, {"id": 2, "wall": None, "walls": None}]
    assert catalog.get("s.t").written_by_fstk


def _files(catalog: FolderCatalog) -> list[pa.Table]:
    """Return the rows of each file, files in order of their first, and refuse any whose rows are not in order."""
    opened = deltalake.DeltaTable(catalog.get("s.t").location or "")
    files = [pq.read_table(uri).select(["id", "as_of"]) for uri in opened.file_uris()]
    for file in files:
        assert file.equals(file.sort_by([("id", "ascending"), ("as_of", "ascending")]))
    return sorted(files, key=lambda file: file.column("id")[0].as_py())


def test_rows_lie_in_order_in_files_of_one_size(
    catalog: FolderCatalog, spark_engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FSTK_FILE_MB", "1")
    count = 90_000
    ids: list[int | None] = [n * 7_919 % 1_000 for n in range(count)]
    rows = frame(ids, days(*(n // 1_000 for n in range(count))), [float(n) for n in range(count)])
    catalog.create("s.t", "id", spark_engine.frame(rows, "df").repartition(7), timeseries_column="as_of")
    files = _files(catalog)
    assert len(files) == 3
    assert all(one.column("id")[-1].as_py() <= two.column("id")[0].as_py() for one, two in pairwise(files))

    newer = pa.concat_tables([rows.slice(0, 60_000).drop_columns("x"), frame([5], days(500), [0.0]).drop_columns("x")])
    report = catalog.write("s.t", newer.append_column("x", pa.array([-1.0] * 60_001)))
    assert (report.updated, report.inserted) == (60_000, 1)
    assert len(_files(catalog)) in (3, 4)
    more = frame([2_000] * 3, days(3, 1, 2), [0.0] * 3)
    catalog.write("s.t", more)
    assert _files(catalog)[-1].column("as_of").equals(pa.chunked_array([days(1, 2, 3)]))


def test_a_flipped_bit_of_what_was_written_is_refused(catalog: FolderCatalog, spark_engine: SparkEngine) -> None:
    table = catalog.create("s.t", "id", pa.table({"id": range(1_000), "x": [n / 3 for n in range(1_000)]}))
    (file,) = (Path(uri) for uri in deltalake.DeltaTable(table.location or "").file_uris())
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 8
    file.write_bytes(damaged)
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)  # Hadoop's own, which not every file system has
    for engine in (direct(), spark_engine):
        with pytest.raises(DamagedTable):
            engine.arrow(engine.read(table.at()))


def test_files_are_alike_whatever_the_session_writes_by_itself(
    catalog: FolderCatalog, spark_engine: SparkEngine
) -> None:
    conf = spark_engine.session.conf
    theirs = {"spark.sql.parquet.outputTimestampType": "INT96", "parquet.page.write-checksum.enabled": "false"}
    for name, value in theirs.items():
        conf.set(name, value)
    try:
        many = pa.table({"id": range(1_000), "at": days(*range(1_000)), "x": [n / 3 for n in range(1_000)]})
        table = catalog.create("s.t", ["id"], many)
        catalog.write("s.t", many.set_column(0, "id", pa.array(range(1_000, 2_000))))
        assert {name: conf.get(name) for name in theirs} == theirs
    finally:
        conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        conf.unset("parquet.page.write-checksum.enabled")
    files = [Path(uri) for uri in deltalake.DeltaTable(table.location or "").file_uris()]
    assert len(files) == 2
    for file in files:
        assert pq.ParquetFile(file).schema.column(1).physical_type == "INT64"
        chunk = pq.ParquetFile(file).metadata.row_group(0).column(2)
        damaged = bytearray(file.read_bytes())
        damaged[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 8
        file.write_bytes(damaged)
        with pytest.raises(OSError, match="CRC"):
            pq.ParquetFile(file, page_checksum_verification=True).read()


EVERY = {
    "k": (pa.int64(), [1, 2, 3]),
    "tiny": (pa.int8(), [-128, 127, None]),
    "small": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "int": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "big": (pa.int64(), [-(2**63), 2**53 + 1, None]),
    "single": (pa.float32(), [1.5, math.inf, NAN]),
    "double": (pa.float64(), [5e-324, -math.inf, NAN]),
    "dec": (
        pa.decimal128(38, 18),
        [Decimal("99999999999999999999.999999999999999999"), Decimal("-0.000000000000000001"), None],
    ),
    "text": (pa.string(), ["", " é\u0065\u0301 ", None]),
    "bytes": (pa.binary(), [b"", b"\x00\xff", None]),
    "flag": (pa.bool_(), [True, False, None]),
    "day": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31), None]),
    "at": (
        pa.timestamp("us", "UTC"),
        [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), None],
    ),
    "wall": (pa.timestamp("us"), [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), None]),
    "list": (pa.list_(pa.float64()), [[1.0, None, NAN], [], None]),
    "record": (pa.struct([("a", pa.int32()), ("b", pa.string())]), [{"a": 1, "b": None}, {"a": None, "b": "x"}, None]),
    "map": (pa.map_(pa.string(), pa.list_(pa.int32())), [[("a", [1]), ("b", None)], [], None]),
    "deep": (
        pa.list_(pa.struct([("m", pa.map_(pa.int32(), pa.float64()))])),
        [[{"m": [(1, NAN), (2, -0.0)]}, None], [{"m": None}], None],
    ),
}


@pytest.mark.transport
def test_every_type_is_written_exactly_and_equals_itself(catalog: FolderCatalog) -> None:
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in EVERY.items()})
    catalog.create("s.every", "k", table)
    found = rows(catalog.get("s.every"), "k")
    for name, (kind, values) in EVERY.items():
        for row, value in zip(found, values, strict=True):
            expected = dict(value) if pa.types.is_map(kind) and value is not None else value
            if name == "deep" and value is not None:
                expected = [one and {"m": None if one["m"] is None else dict(one["m"])} for one in value]
            if name == "at":
                assert value is None or row[name].astimezone(UTC) == value
            else:
                assert repr(row[name]) == repr(expected), name
    report = catalog.write("s.every", table)
    assert (report.changed, report.unchanged) == (False, 3)

    shuffled = pa.array([[("b", None), ("a", [1])], [], None], EVERY["map"][0])
    assert not catalog.write("s.every", table.set_column(table.column_names.index("map"), "map", shuffled)).changed


CHANGES = [
    ("int", 7),
    ("double", 5e-323),
    ("dec", Decimal("99999999999999999999.999999999999999998")),
    ("text", None),
    ("single", None),
    ("bytes", b"\x00"),
    ("flag", False),
    ("day", date(1, 1, 2)),
    ("at", datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    ("wall", datetime(1, 1, 1, 0, 0, 0, 1)),
    ("list", [1.0, None]),
    ("record", {"a": 1, "b": ""}),
    ("map", [("a", [1]), ("b", [None])]),
    ("map", [("a", [1])]),
    ("deep", [{"m": [(1, NAN), (2, 0.5)]}, None]),
    ("deep", [{"m": None}, None]),
    ("deep", [{"m": [(1, NAN), (2, -0.0)]}, {"m": None}]),
]


def test_a_change_in_any_type_is_seen(catalog: FolderCatalog) -> None:
    alike = [{name: values[0] for name, (_, values) in EVERY.items()} | {"k": k} for k in range(len(CHANGES) + 1)]
    changed = [row | {name: value} for row, (name, value) in zip(alike, CHANGES, strict=False)]
    schema = pa.schema([(name, kind) for name, (kind, _) in EVERY.items()])
    catalog.create("s.every", "k", pa.Table.from_pylist(alike, schema))
    # One way and back: from a value to null, and from null to a value.
    report = catalog.write("s.every", pa.Table.from_pylist([*changed, alike[-1]], schema))
    assert (report.updated, report.unchanged) == (len(CHANGES), 1)
    assert not catalog.write("s.every", pa.Table.from_pylist(changed, schema)).changed
    assert catalog.write("s.every", pa.Table.from_pylist(alike, schema)).updated == len(CHANGES)


def test_keys_are_equal_as_spark_has_it(catalog: FolderCatalog) -> None:
    keys = pa.schema([("d", pa.float64()), ("s", pa.string()), ("x", pa.int64())])
    texts = ["a", "A", "a ", "é", "e\u0301", ""]
    first = pa.table({"d": [NAN, 0.0, *[1.0] * 6], "s": ["n", "z", *texts], "x": list(range(8))}, schema=keys)
    catalog.create("s.t", ["d", "s"], first)
    assert catalog.get("s.t").rows == 8
    second = pa.table({"d": [-NAN, -0.0, 1.0], "s": ["n", "z", "A"], "x": [100, 101, 3]}, schema=keys)
    report = catalog.write("s.t", second)
    assert (report.inserted, report.updated, report.unchanged, report.rows) == (0, 2, 1, 8)
    for pair in ([NAN, -NAN], [0.0, -0.0]):
        with pytest.raises(DuplicateKeys, match="1 key comes more than once"):
            catalog.write("s.t", pa.table({"d": pair, "s": ["n", "n"], "x": [1, 2]}, schema=keys))


def test_frames_of_every_kind_are_written_alike(catalog: FolderCatalog, spark_engine: SparkEngine) -> None:
    arrow = frame([1, 2], days(0, 1), [1.0, None])
    catalog.create("s.t", ["id"], arrow, timeseries_column="as_of")
    polars = pl.from_arrow(arrow)
    assert isinstance(polars, pl.DataFrame)
    spark = spark_engine.session.createDataFrame(arrow)
    for same in (polars, arrow.to_pandas(), spark, pa.RecordBatchReader.from_batches(arrow.schema, arrow.to_batches())):
        report = catalog.write("s.t", same)
        assert (report.changed, report.unchanged) == (False, 2)
    assert catalog.write("s.t", spark.selectExpr("id", "as_of + interval 1 day as as_of", "x")).inserted == 2
    naive = pd.DataFrame({"id": [1], "as_of": pd.Series([datetime(2024, 1, 1)], dtype=object), "x": [1.0]})
    with pytest.raises(NaiveDatetime, match="df, column as_of"):
        catalog.write("s.t", naive)
    with pytest.raises(InvalidInput, match="two columns are called x"):
        catalog.write("s.t", spark.selectExpr("id", "as_of", "x", "x"))
    with pytest.raises(InvalidInput, match=r"^writing s\.t: .*zero") as caught:
        catalog.write("s.t", spark.selectExpr("id", "as_of", "CAST(id / (id - 1) AS DOUBLE) AS x"))
    assert "\n" not in str(caught.value)


@pytest.mark.transport
def test_a_spark_frame_is_written_by_its_own_session(
    warehouse: Path, spark_engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_other() -> SparkEngine:
        pytest.fail("another session was asked for")

    monkeypatch.setattr("fstk.engines.connect.active", no_other)
    catalog = FolderCatalog(warehouse)
    spark = spark_engine.session.createDataFrame(frame([1, 2], days(0, 1), [1.0, None]))
    assert catalog.create("s.t", ["id"], spark, timeseries_column="as_of").rows == 2
    assert catalog.write("s.t", spark.selectExpr("id + 1 AS id", "as_of", "x")).inserted == 2


def test_a_column_of_nothing_but_nulls_takes_the_type_that_is_known(catalog: FolderCatalog) -> None:
    nulls = pl.DataFrame({"id": [1], "x": [None]})
    catalog.create("s.t", "id", nulls, schema="x decimal(10,2), id bigint")
    assert catalog.get("s.t").schema == {"x": "decimal(10,2)", "id": "bigint"}
    assert not catalog.write("s.t", nulls).changed
    with pytest.raises(TypeMismatch, match="column id is int in schema and bigint in df"):
        catalog.create("s.u", "id", nulls, schema={"id": "int", "x": "double"})
    assert catalog.create("s.empty", "id", schema={"id": "int", "x": "double"}).rows == 0
    assert catalog.write("s.empty", pa.table({"id": pa.array([7], pa.int32()), "x": [1.0]})).inserted == 1


def test_a_few_rows_are_written_in_few_jobs(warehouse: Path, spark: SparkSession) -> None:
    catalog = FolderCatalog(warehouse, SparkEngine(spark))
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()  # pyright: ignore

    def jobs(write: Callable[[], object]) -> int:
        before = scheduler.numTotalJobs()
        write()
        return scheduler.numTotalJobs() - before

    first = frame([1, 2, 3], days(0, 0, 0), [1.0, 2.0, 3.0])
    assert jobs(lambda: catalog.create("s.t", ["id"], first, timeseries_column="as_of")) <= 4
    assert jobs(lambda: catalog.write("s.t", first)) <= 4
    assert jobs(lambda: catalog.write("s.t", frame([1, 4], days(0, 0), [5.0, 4.0]))) <= 12
    assert jobs(lambda: catalog.write("s.t", frame([5, 6], days(0, 0), [5.0, 4.0]))) <= 8
    assert jobs(lambda: catalog.write("s.t", frame([5, 6], days(0, 0), [1.0, 1.0]))) <= 11


def test_the_session_is_left_as_it_was(catalog: FolderCatalog, spark_engine: SparkEngine) -> None:
    conf = spark_engine.session.conf
    key = "spark.databricks.delta.commitInfo.userMetadata"
    how = ("spark.sql.shuffle.partitions", "spark.sql.adaptive.enabled")
    before = [conf.get(name) for name in how]
    conf.set(key, "theirs")
    try:
        catalog.create("s.t", ["id"], frame([1], days(0), [1.0]), timeseries_column="as_of")
        catalog.write("s.t", frame([1], days(0), [2.0]))
        assert conf.get(key) == "theirs"
    finally:
        conf.unset(key)
    catalog.write("s.t", frame([1], days(0), [3.0]))
    assert conf.get(key, "none") == "none"
    assert [conf.get(name) for name in how] == before
    assert [view.name for view in spark_engine.session.catalog.listTables() if view.name.startswith("fstk_")] == []


def test_the_session_s_time_zone_does_not_matter(catalog: FolderCatalog, spark_engine: SparkEngine) -> None:
    wall = [datetime(2024, 3, 31, 2, 30), datetime(2024, 1, 1)]
    given = pa.table({"id": [1, 2], "as_of": days(0, 1), "wall": pa.array(wall), "day": [date(2024, 1, 1)] * 2})
    conf = spark_engine.session.conf
    try:
        for zone in ("America/New_York", "Asia/Kolkata", "UTC"):
            conf.set("spark.sql.session.timeZone", zone)
            catalog.create("s.t", ["id"], given, timeseries_column="as_of")
    finally:
        conf.set("spark.sql.session.timeZone", "UTC")
    assert catalog.get("s.t").version == 0
    found = rows(catalog.get("s.t"), "id")
    assert [(row["as_of"].astimezone(UTC), row["wall"], row["day"]) for row in found] == [
        (DAY, wall[0], date(2024, 1, 1)),
        (DAY + timedelta(days=1), wall[1], date(2024, 1, 1)),
    ]


def test_a_write_is_noted_with_the_run_that_made_it(catalog: FolderCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fstk.tables.history.run_id", lambda: "churn/1998-03-31/10")
    before = len(journal.entries())
    catalog.create("s.t", ["id"], frame([1], days(0), [1.0]), timeseries_column="as_of")
    catalog.write("s.t", frame([1, 2], days(0, 0), [2.0, 2.0]))
    catalog.write("s.t", frame([1, 2], days(0, 0), [2.0, 2.0]))
    found = [(e.action, e.table, e.version, e.rows) for e in journal.entries()[before:]]
    assert found == [("written", "s.t", 0, 1), ("written", "s.t", 1, 2), ("written", "s.t", 1, 0)]
    assert {version.run for version in catalog.versions("s.t")} == {"churn/1998-03-31/10"}
