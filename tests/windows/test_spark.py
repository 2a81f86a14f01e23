"""Windowed features on Spark sessions, in process and over Connect: the same values, types and errors as everywhere."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fstk.engines.connect import direct
from fstk.engines.spark import SparkEngine
from fstk.errors import (
    BadExpression,
    InvalidInput,
    NumericOverflow,
    TypeMismatch,
    UnknownColumn,
    UnknownTable,
    UnsupportedType,
)
from fstk.windows.aggregates import AGGREGATES
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.presets import create_time_windowed_features
from fstk.windows.spec import Aggregate
from tests.windows import loop

_DAY = 86_400_000_000
_INSTANT = pa.timestamp("us", tz="UTC")
_ZONES = ("UTC", "America/New_York", "Asia/Kolkata")
_DOUBLES = [0.0, -0.0, 1.5, 1e16, 1e300, 1e-300, math.nan, math.inf, -math.inf, 0.1]
_RULES = [("count(*)", "count(*)"), *((one.written("x"), one.written("amount")) for one in AGGREGATES)]
_AGGREGATES = {
    f"f{number}": (rule, text + condition)
    for number, ((rule, text), condition) in enumerate(itertools.product(_RULES, ("", " filter (where big)")))
}
"""Each rule of the loop, as it is asked of amounts, with and without a filter."""


def _batch(examples: int) -> tuple[pa.Table, pa.Table]:
    """Many small examples as one table each for events and points: the example is part of the key."""
    random = np.random.default_rng(11)
    instants = [
        -62_135_596_800_000_000,
        -1,
        0,
        1,
        _DAY,
        2 * _DAY,
        7 * _DAY,
        7 * _DAY + 1,
        253_402_300_799_999_999,
        None,
    ]

    def rows(example: int, most: int) -> list[dict[str, Any]]:
        return [
            {
                "example": example,
                "key": [math.nan, 0.0, -0.0, 2.5, None][random.integers(0, 5)],
                "at": instants[random.integers(0, len(instants))],
            }
            for _ in range(random.integers(0, most))
        ]

    events = [
        row | {"amount": [*_DOUBLES, None][random.integers(0, 11)], "big": [True, False, None][random.integers(0, 3)]}
        for example in range(examples)
        for row in rows(example, 10)
    ]
    points = [row for example in range(examples) for row in rows(example, 5)]
    for number, row in enumerate(points):
        row["row"] = number

    def table(columns: dict[str, pa.DataType], content: list[dict[str, Any]]) -> pa.Table:
        arrays = {name: pa.array([row[name] for row in content], kind) for name, kind in columns.items()}
        return pa.table(arrays | {"at": arrays["at"].view(_INSTANT)})

    keys = {"example": pa.int64(), "key": pa.float64(), "at": pa.int64()}
    return table(keys | {"amount": pa.float64(), "big": pa.bool_()}, events), table(keys | {"row": pa.int64()}, points)


def _asked(events: Any, **changed: Any) -> WindowedFeatures:
    aggregates = [Aggregate(text, name=name) for name, (_, text) in _AGGREGATES.items()]
    asked: dict[str, Any] = {
        "source": events,
        "entity": ["example", "key"],
        "timestamp": "at",
        "windows": ["1d", "7d", None],
    }
    asked["aggregates"] = aggregates
    return WindowedFeatures(**(asked | changed))


@pytest.mark.parametrize("closed", ["left", "right", "both"])
def test_a_batch_of_examples_equals_the_loop(spark_engine: SparkEngine, closed: str) -> None:
    events, points = _batch(150)
    features = _asked(events, closed=closed)
    found = spark_engine.arrow(features.compute(points, engine=spark_engine)).sort_by("row")
    by_example: dict[int, list[loop.Event]] = {}
    for example, key, at, amount, big in zip(
        *(c.to_pylist() for c in events.set_column(2, "at", events["at"].cast(pa.int64())).columns), strict=True
    ):
        by_example.setdefault(example, []).append(((example, key), at, amount, big))
    asked = zip(
        points["example"].to_pylist(), points["key"].to_pylist(), points["at"].cast(pa.int64()).to_pylist(), strict=True
    )
    for point, row in zip(asked, found.to_pylist(), strict=True):
        example, key, at = point
        for length in features.lengths:
            inside = loop.window(by_example.get(example, []), (example, key), at, length.micros, closed)
            for name, (rule, text) in _AGGREGATES.items():
                wanted = loop.aggregate(rule, inside, "filter" in text, at)
                value = row[f"{name}_{length.name}"]
                pairs = zip(value, wanted, strict=True) if isinstance(wanted, list) else [(value, wanted)]
                assert all(_alike(*pair) for pair in pairs), (name, length.name, point, value, wanted)


def _alike(value: Any, wanted: Any) -> bool:
    return value == wanted or (value != value and wanted != wanted) or math.isclose(value, wanted, rel_tol=1e-15)


@pytest.mark.transport
def test_values_and_types_equal_those_without_a_jvm(spark_engine: SparkEngine) -> None:
    events, points = _batch(60)
    calendar = Calendar(dt.date(1970, 1, 1), dt.date(1970, 1, 20), every="60h")
    for asked in (points, calendar, "events"):
        features = _asked(events)
        frame = features.compute(asked, engine=spark_engine)
        ours = direct().arrow(features.compute(asked, engine=direct()))
        theirs = spark_engine.arrow(frame)
        assert theirs.schema == ours.schema
        assert spark_engine.schema(frame) == features.plan(asked, engine=spark_engine).schema
        assert sorted(map(repr, theirs.to_pylist())) == sorted(map(repr, ours.to_pylist()))


def test_frames_of_the_session_are_the_public_way(spark_engine: SparkEngine) -> None:
    session = spark_engine.session
    events = session.sql(
        "SELECT * FROM VALUES (1, DATE'2024-03-01', 'ab'), (1, DATE'2024-03-08', 'c'), (2, DATE'2024-03-08', NULL) "
        "AS (id, day, word)"
    )
    points = session.sql("SELECT 1 AS id, TIMESTAMP_NTZ'2024-03-08 00:00:00' AS day, 'kept' AS note")
    features = WindowedFeatures(events, "id", "day", [Aggregate("sum(length(word))", name="letters")], ["7d"], "both")
    frame = features.compute(points)
    assert type(frame) is type(events)
    assert frame.columns == ["id", "day", "note", "letters_7d"]
    assert [row.letters_7d for row in frame.collect()] == [3]
    seed = create_time_windowed_features(events, windows=[7], entity="id", timestamp="day", amount="id")
    assert sorted(tuple(row)[3:] for row in seed.collect()) == [(1, 1, 1.0), (1, 2, 2.0), (2, 2, 1.0)]


@pytest.mark.transport
def test_any_scalar_expression_of_spark(spark_engine: SparkEngine) -> None:
    events = spark_engine.session.sql(
        "SELECT 1 AS id, TIMESTAMP'2024-03-01 12:00:00Z' AS at, array(1, 2, 3) AS xs, map('k', 5) AS m, "
        "named_struct('city', 'Ulm') AS address, '7' AS text, CAST(1.10 AS DECIMAL(10,2)) AS price"
    )
    texts = {
        "aggregate(xs, 0, (total, x) -> total + x)": ("sum", 6),
        "m['k']": ("max", 5),
        "address.city": ("min", "Ulm"),
        "try_cast(text AS int)": ("sum", 7),
        "date_trunc('DAY', at)": ("max", dt.datetime(2024, 3, 1, tzinfo=dt.UTC)),
        "regexp_extract(address.city, 'U(.)', 1)": ("max", "l"),
        "xs": ("count", 1),
        "m": ("count", 1),
        "address": ("count", 1),
        "CAST(price * 3 AS decimal(12,2))": ("sum", decimal.Decimal("3.30")),
        "text /* a comment -- inside */": ("max", "7"),
    }
    aggregates = [Aggregate(f"{function}({x})", name=f"f{i}") for i, (x, (function, _)) in enumerate(texts.items())]
    features = WindowedFeatures(events, "id", "at", aggregates, [None], closed="both")
    row = spark_engine.arrow(features.compute("events")).to_pylist()[0]
    assert [row[f"f{i}_lifetime"] for i in range(len(texts))] == [wanted for _, wanted in texts.values()]


@pytest.mark.transport
def test_refusals(spark_engine: SparkEngine) -> None:
    events, _ = _batch(3)

    def compute(expression: str, **changed: Any) -> Any:
        return _asked(events, **({"aggregates": [Aggregate(expression, name="f")]} | changed)).compute(
            "events", engine=spark_engine
        )

    with pytest.raises(BadExpression, match="no_such_function"):
        compute("sum(no_such_function(amount))")
    with pytest.raises(UnknownColumn, match="amout.*amount"):
        compute("sum(amout)")
    with pytest.raises(UnknownTable, match="no_such_table"):
        compute("count(*)", source="no_such_table")
    with pytest.raises(UnsupportedType, match="string"):
        compute("sum(cast(amount as string))")
    with pytest.raises(BadExpression, match="not a condition"):
        compute("count(*) filter (where amount)")
    with pytest.raises(TypeMismatch, match="amount is double"):
        compute("count(*)", timestamp="amount")
    large = pa.table({"id": [1, 1], "at": pa.array([0, 1]).view(_INSTANT), "x": [2**62, 2**62]})
    frame = WindowedFeatures(large, "id", "at", [Aggregate("sum(x)", name="f")], [None], "both").compute(
        "events", engine=spark_engine
    )
    with pytest.raises(NumericOverflow, match=r"sum\(x\): the sum of a window exceeds bigint"):
        spark_engine.arrow(frame)


def test_nothing_runs_before_the_frame_is_used(spark_engine: SparkEngine) -> None:
    events = spark_engine.session.sql("SELECT id, TIMESTAMP'2024-03-01 00:00:00Z' AS at, id - id AS zero FROM range(3)")
    features = WindowedFeatures(events, "id", "at", [Aggregate("sum(id / zero)", name="f")], [None], "both")
    frames = [features.compute("events"), features.compute(Calendar(dt.date(2024, 1, 1), dt.date(2024, 4, 1)))]
    for frame in frames:
        with pytest.raises(InvalidInput, match="[Dd]ivision by zero"):
            spark_engine.arrow(frame)


def test_empty_sides(spark_engine: SparkEngine) -> None:
    events, points = _batch(5)
    counted = [Aggregate("count(*)", name="n")]
    none = _asked(events.slice(0, 0), aggregates=counted).compute(points, engine=spark_engine)
    assert spark_engine.arrow(none).column("n_1d").to_pylist() == [0] * points.num_rows
    assert spark_engine.arrow(_asked(events).compute(points.slice(0, 0), engine=spark_engine)).num_rows == 0
    calendar = Calendar(dt.date(2024, 1, 1), dt.date(2024, 1, 3))
    assert spark_engine.arrow(_asked(events.slice(0, 0)).compute(calendar, engine=spark_engine)).num_rows == 0


def test_the_report(spark_engine: SparkEngine) -> None:
    events, _ = _batch(40)
    report = _asked(events).report(engine=spark_engine)
    keyless = events["key"].null_count
    timeless = sum(
        k is not None and t is None for k, t in zip(events["key"].to_pylist(), events["at"].to_pylist(), strict=True)
    )
    assert (report.events, report.null_key, report.null_time) == (events.num_rows, keyless, timeless)


@pytest.mark.transport
def test_the_sessions_time_zone_changes_nothing(spark_engine: SparkEngine) -> None:
    session = spark_engine.session
    events = pa.table(
        {
            "id": [1] * 4,
            "at": pa.array([0, _DAY - 1, _DAY, 3 * _DAY]).view(_INSTANT),
            "naive": pa.array([0, _DAY - 1, _DAY, 3 * _DAY]).view(pa.timestamp("us")),
            "day": pa.array([0, 0, 1, 3], pa.int32()).view(pa.date32()),
        }
    )
    aggregates = [
        Aggregate("count(*)", name="n"),
        Aggregate("max(naive)", name="latest"),
        Aggregate("min(day)", name="first"),
    ]
    before = session.conf.get("spark.sql.session.timeZone")
    assert before is not None
    answers = []
    try:
        for zone in _ZONES:
            session.conf.set("spark.sql.session.timeZone", zone)
            rows: list[str] = []
            for column in ("at", "naive", "day"):
                features = WindowedFeatures(events, "id", column, aggregates, ["1d", None])
                for asked in ("events", Calendar(dt.date(1970, 1, 1), dt.date(1970, 1, 6))):
                    rows += sorted(
                        map(repr, spark_engine.arrow(features.compute(asked, engine=spark_engine)).to_pylist())
                    )
            answers.append(rows)
    finally:
        session.conf.set("spark.sql.session.timeZone", before)
    assert answers[0] == answers[1] == answers[2]


def test_a_table_of_the_warehouse(spark_engine: SparkEngine, warehouse: Path) -> None:
    events, points = _batch(10)
    frame = spark_engine.frame(events, "events")
    frame.write.format("delta").save(str(warehouse / "shop" / "purchases"))
    found = spark_engine.arrow(_asked("shop.purchases").compute(points, engine=spark_engine))
    wanted = direct().arrow(_asked("shop.purchases").compute(points, engine=direct()))
    assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, wanted.to_pylist()))
    frame.createOrReplaceTempView("purchases_of_the_session")
    seen = _asked("purchases_of_the_session").compute(points, engine=spark_engine)
    assert spark_engine.arrow(seen).num_rows == points.num_rows
