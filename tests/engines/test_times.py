"""An instant is the same microsecond whatever the zone of the session and of the process, from 0001 to 9999."""

from __future__ import annotations

import datetime as dt
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from fstk.engines.base import Engine, TableVersion
from fstk.engines.connect import direct
from fstk.engines.spark import SparkEngine
from fstk.errors import BadExpression, InvalidInput, TypeMismatch

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


EXPRESSIONS = {
    "later": ("at >= timestamp '2024-03-10 07:00:00'", [False, False, False, False, True, True, True, True]),
    "hour": ("hour(at)", [0, 23, 16, 23, 7, 5, 6, 23]),
    "day": ("CAST(at AS date) = day", [True] * 8),
    "date": ("date(at) = day", [True] * 8),
    "text": ("CAST(at AS string)", None),
    "read": ("to_timestamp(substr(CAST(ntz AS string), 1, 19)) <= at", [True] * 8),
    "midnight": ("at = day OR at > day", [True] * 8),
    "wall": ("at = ntz", [True] * 8),
    "trunc": ("date_trunc('day', at) = day", [True] * 8),
    "unix": ("unix_timestamp('2024-03-10 07:00:00')", [1710054000] * 8),
    "list": ("list[0] = CAST(ntz AS timestamp)", [True] * 8),
    "literal": ("'${spark.app.name}${env:PATH}'", ["${spark.app.name}${env:PATH}"] * 8),
    "made": ("make_timestamp(2024, 3, 10, 7, 0, 0) = timestamp '2024-03-10 07:00:00Z'", [True] * 8),
}


def test_an_expression_means_utc_in_any_session_and_leaves_it_as_it_was(spark_engine: SparkEngine, zone: str) -> None:
    conf = spark_engine.session.conf
    settings = {"spark.sql.ansi.enabled": "false", "spark.sql.timestampType": "TIMESTAMP_NTZ"}
    for name, value in settings.items():
        conf.set(name, value)
    conf.unset("spark.sql.variable.substitute")
    try:
        frame = spark_engine.frame(ROWS, "rows")
        texts = {name: text for name, (text, _) in EXPRESSIONS.items()}
        chosen = spark_engine.select(frame, {"i": "`i`", **texts})
        with pytest.raises(InvalidInput, match="[Dd]ivision by zero"):
            spark_engine.arrow(spark_engine.select(frame, {"x": "i / (i - i)"}))
        held = conf.get("spark.sql.session.timeZone"), conf.get("spark.sql.variable.substitute", None)
        assert held == (zone, None)
        assert {name: conf.get(name) for name in settings} == settings
        conf.set("spark.sql.session.timeZone", "Asia/Kathmandu")  # while the frame is used
        rows = spark_engine.arrow(chosen.where("i >= 0")).sort_by("i")
    finally:
        for name in settings:
            conf.unset(name)
        conf.set("spark.sql.variable.substitute", "false")
    for name, (text, wanted) in EXPRESSIONS.items():
        if wanted is not None:
            assert rows.column(name).to_pylist() == wanted, text
    assert rows.column("text").to_pylist()[4] == "2024-03-10 07:30:00"


def test_what_the_caller_made_keeps_its_own_meaning(spark_engine: SparkEngine, zone: str) -> None:
    made = spark_engine.session.sql("SELECT timestamp '2024-01-01 00:00:00' AS at")
    wanted = spark_engine.arrow(made)
    assert spark_engine.arrow(spark_engine.select(made, {"at": "coalesce(at, at)"})).equals(wanted)


def test_views_behind_frames_of_connect_go_with_them(spark_engine: SparkEngine) -> None:
    frame = spark_engine.frame(ROWS, "rows")
    derived = spark_engine.select(spark_engine.select(frame, {"i": "i + 1"}), {"i": "i * 2"}).where("i > 4")
    del frame
    gc.collect()
    assert spark_engine.arrow(derived).num_rows == 6
    del derived
    gc.collect()
    last = spark_engine.select(spark_engine.frame(ROWS, "rows"), {"i": "i + 1"})
    views = [table.name for table in spark_engine.session.catalog.listTables() if table.name.startswith("fstk_")]
    assert len(views) == (0 if spark_engine.name == "spark" else 1)
    assert spark_engine.arrow(last).num_rows == len(INSTANTS)


@pytest.mark.parametrize(
    "text",
    [
        "at >= '2024-03-10 07:00:00'",
        "'2024-03-10' = day",
        "ntz BETWEEN '2024-01-01' AND '2024-12-31'",
        "day IN (date'2024-01-01', '2024-01-02')",
        "at <=> concat('2024', '-01-01')",
        "CASE WHEN i > 1 THEN at ELSE '2024-01-01' END",
        "CASE at WHEN '2024-01-01' THEN 1 END",
        "coalesce(at, CAST(i AS string))",
        "if(i > 1, day, '2024-01-01')",
        "datediff(at, '2024-01-01')",
        "hour(CAST(at AS string))",
        "extract(year FROM '2024-01-01')",
        "date_trunc('day', '2024-01-01')",
        "dateadd(day, 1, '2024-01-01')",
        "'2024-01-01' + INTERVAL 1 DAY",
        "i > 1 AND NOT (greatest(day, '2024-01-01') IS NULL)",
        # and so the clock would get in: each of these is today's to Spark
        "exists(array(at), t -> t < 'now')",
        "exists(array(at), T -> t < 'now')",
        "forall(array(named_struct('t', at)), s -> s.t < 'now')",
        "exists(array(array(at)), one -> exists(one, t -> t < 'now'))",
        "exists(array(day), t -> exists(array(at), t -> t < 'now'))",
        "filter(array(day), d -> d BETWEEN '2024-01-01' AND 'today')",
        "transform(array(at), (t, place) -> coalesce(NULL, t, 'now'))",
        "transform(array(CAST(i AS string)), x -> hour(x))",
        "aggregate(array(i), at, (t, x) -> t, t -> t < 'now')",
        "zip_with(array(at), array('x'), (t, x) -> t < x)",
        "map_filter(map('a', at), (k, t) -> t < 'now')",
        "transform_keys(map(at, 1), (t, v) -> t < 'now')",
        "map_zip_with(map('a', at), map('a', 1), (k, t, v) -> t < 'now')",
        "array_sort(array(at), (one, two) -> if(one < 'now', 1, -1))",
        "map('a', at, 'b', 'now')",
        "map(at, 1, 'now', 2)",
        "map(at, 1)['now']",
        "decode(at, 'now', 1, 2)",
        "decode(i, 1, at, 'now')",
        "coalesce(array(at), array('now'))",
        "coalesce(map('a', at), map('a', 'now'))",
        "concat(array(at), array('now'))",
        "array(at) || array('now')",
        "map_concat(map('a', at), map('b', 'now'))",
    ],
)
def test_text_where_a_time_is_meant_is_refused(engine: Engine, text: str) -> None:
    frame = engine.frame(ROWS.select(["at", "ntz", "day", "i"]), "rows")
    with pytest.raises((TypeMismatch, BadExpression)) as error:  # BadExpression where only Spark may answer
        engine.select(frame, {"x": text})
    assert engine.name == "direct" or isinstance(error.value, TypeMismatch)


@pytest.mark.parametrize(
    "text",
    [
        "upper('a') = CAST(at AS string)",
        "to_date('2024-01-01') < day",
        "concat(day, ' ', at) > '2024'",
        "datediff(at, DATE '2024-01-01') + datediff(day, at, ntz)",
        "at - INTERVAL 1 DAY < ntz",
        "date_format(at, 'yyyy') = '2024'",
        "CASE WHEN i > 1 THEN '1' ELSE 'x' END = 'x'",
        "coalesce(NULL, at) IS NULL",
        "dateadd(day, 1, at) > day",
        "array_contains(transform(list, t -> CAST(t AS date)), day)",
        "exists(list, t -> t > TIMESTAMP '2024-01-01 00:00:00' AND CAST(t AS string) < '2025')",
        "aggregate(list, '', (said, t) -> concat(said, ' ', CAST(t AS string)))",
        "transform(array('a'), x -> x || day)",
        "map('a', at, 'b', at)['a'] < at",
        "decode(i, 1, 'one', 2, 'two', 'many') = decode('a', 'a', 'x')",
        "concat(array('a'), array('b')) = array('a') || array('b')",
        "exists(array('2024'), at -> at = '2024')",
    ],
)
def test_times_with_times_and_text_with_text_are_not(spark_engine: SparkEngine, text: str) -> None:
    spark_engine.select(spark_engine.frame(ROWS, "rows"), {"x": text})
