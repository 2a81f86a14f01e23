"""Expressions over aggregates: the plain loop's aggregates, put together in Python, DuckDB's answer, and Spark's."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from fstk.engines.connect import direct
from fstk.engines.spark import SparkEngine
from fstk.engines.types import schema_of
from fstk.errors import BadExpression, InvalidInput, NameCollision, NumericOverflow
from fstk.tables.definition import FeatureDefinition
from fstk.verbs.lines import aggregate
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate
from fstk.windows.trace import trace
from tests.windows import loop

DAY = 86_400_000_000
INSTANT = pa.timestamp("us", "UTC")
LENGTH = 3 * DAY
Of = Callable[[str, bool], Any]
"""The loop's value of an aggregate, filtered or not."""


def _ratio(one: Any, two: Any) -> Any:
    return None if one is None or not two else one / two


# Spark SQL → the same of the loop's aggregates.
OVER: dict[str, Callable[[Of], Any]] = {
    "sum(x) / nullif(count(*), 0)": lambda of: _ratio(of("sum(x)", False), of("count(*)", False)),
    "coalesce(sum(x), 0)": lambda of: 0.0 if of("sum(x)", False) is None else of("sum(x)", False),
    "-sum(x)": lambda of: None if of("sum(x)", False) is None else -of("sum(x)", False),
    "sum(x) FILTER (WHERE big) / sum(X)": lambda of: _ratio(of("sum(x)", True), of("sum(x)", False)),
    "count(*) - count(x) -- without": lambda of: of("count(*)", False) - of("count(x)", False),
    "case when count(*) > 1 then max(x) - min(x) end": lambda of: (
        of("max(x)", False) - of("min(x)", False) if of("count(*)", False) > 1 and of("max(x)", False) else None
    ),
    "(count(*))": lambda of: of("count(*)", False),
    "if(count(x) = 0, 'none', 'some')": lambda of: "some" if of("count(x)", False) else "none",
}
MORE = (
    "sum(i) / count(*)",
    "coalesce(sum(m), 0)",
    "-sum(m)",
    "sum(m) / nullif(count(*), 0)",
    "avg(m) * 2.5",
    "sum(i) * 2 + 1",
    "coalesce(max(s), 'none')",
    "max(i) > min(i)",
    "nullif(count(distinct s), 0)",
    "datediff(max(at), min(at))",
    "-min(i)",
)
"""Further ones, of which Spark says value and type."""


def _rows(seed: int, number: int) -> list[tuple[Any, ...]]:
    chance = random.Random(seed)
    return [
        (
            (chance.choice([1, 2, None]),),
            chance.choice([None, *range(1, 9 * DAY, DAY)]),
            chance.choice([1.0, 2.5, 4.0, 0.1, None]),
            chance.choice([True, False, None]),
        )
        for _ in range(number)
    ]


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    chance = random.Random(len(rows))
    return pa.table(
        {
            "row": pa.array(range(len(rows)), pa.int64()),
            "id": pa.array([row[0][0] for row in rows], pa.int64()),
            "at": pa.array([row[1] for row in rows], pa.int64()).view(INSTANT),
            "x": pa.array([row[2] for row in rows], pa.float64()),
            "big": pa.array([row[3] for row in rows], pa.bool_()),
            "i": pa.array([chance.choice([1, 5, None]) for _ in rows], pa.int32()),
            "m": pa.array([chance.choice([Decimal("1.25"), None]) for _ in rows], pa.decimal128(7, 2)),
            "s": pa.array([chance.choice(["a", "B", None]) for _ in rows], pa.string()),
        }
    )


def _features(events: pa.Table, texts: Any, **more: Any) -> WindowedFeatures:
    made = [Aggregate(text, name=f"f{number}") for number, text in enumerate(texts)]
    asked: dict[str, Any] = {"windows": ["3d"]} | more
    return WindowedFeatures(events, "id", "at", made, **asked)


@pytest.mark.parametrize("seed", range(6))
def test_they_are_the_loops_aggregates_put_together(seed: int) -> None:
    rows = _rows(seed, 40)
    found = _features(_table(rows), OVER).to_arrow("events")
    for number, (text, rule) in enumerate(OVER.items()):
        for row, value in zip(rows, found[f"f{number}_3d"].to_pylist(), strict=True):
            inside = loop.window(rows, row[0], row[1], LENGTH, "left")
            wanted = rule(lambda written, filtered, inside=inside: loop.aggregate(written, inside, filtered))
            assert (type(value), value) == (type(wanted), wanted), (text, row)


def test_duckdb_says_the_same() -> None:
    texts = [text for text in OVER if "-- " not in text]
    events = _table([row for row in _rows(9, 60) if row[1] is not None])
    points = events.select(["row", "id", "at"])
    found = _features(events, texts).to_arrow(points)
    columns = ", ".join(f"({text.replace('count(*)', 'count(e.at)').replace('big', 'e.big')})" for text in texts)
    with duckdb.connect() as connection:
        connection.register("points", points)
        connection.register("events", events)
        theirs = connection.sql(
            f"SELECT {columns} FROM points p LEFT JOIN events e ON p.id = e.id AND epoch_us(e.at) < epoch_us(p.at) "
            f"AND epoch_us(e.at) >= epoch_us(p.at) - {LENGTH} GROUP BY p.row ORDER BY p.row"
        ).fetchall()
    for number, text in enumerate(texts):
        wanted = [row[number] for row in theirs]
        assert found[f"f{number}_3d"].to_pylist() == pytest.approx(wanted, rel=1e-15), text


def test_sparks_values_and_types(spark_engine: SparkEngine) -> None:
    features = _features(_table(_rows(3, 50)), [*OVER, *MORE], windows=["3d", None], closed="both")
    ours = direct().arrow(features.compute("events", engine=direct()))
    frame = features.compute("events", engine=spark_engine)
    assert spark_engine.schema(frame) == features.plan(engine=spark_engine).schema == features.plan().schema
    theirs = spark_engine.arrow(frame).sort_by("row")
    assert schema_of(theirs.schema) == schema_of(ours.schema)
    assert theirs.to_pylist() == ours.to_pylist()
    more = _features(_table(_rows(3, 5)), ["round(sqrt(sum(x)), 1)", "concat_ws('-', first_n(s, 2))"])
    assert (
        spark_engine.schema(more.compute("events"))["f0_3d"] == "double"
    )  # what the engine without a JVM leaves to it


def test_what_is_asked_is_refused_before_anything_runs() -> None:
    events = _table(_rows(1, 9))
    with pytest.raises(BadExpression, match="no group by"):
        aggregate("sum(x) / count(*) group by s as ratio")
    with pytest.raises(BadExpression, match="mixes double and string"):
        _features(events, ["coalesce(sum(x), 'none')"]).plan(engine=direct())
    with pytest.raises(BadExpression, match="the filter is double"):
        _features(events, ["count(*) filter (where x) + 1"]).plan(engine=direct())
    points = events.select(["id", "at"]).append_column("SUM(x)_3d", events["x"])
    with pytest.raises(NameCollision, match="share a name"):
        _features(events, ["-sum(x)"]).plan(points, engine=direct())


def test_errors_of_a_row_name_the_aggregates() -> None:
    events = _table(_rows(1, 9))
    with pytest.raises(InvalidInput, match=r"division by zero in `count\(x\)_3d` / `count\(\*\)_3d`"):
        _features(events, ["count(x) / count(*)"]).to_arrow("events")
    large = pa.table({"id": [1, 1], "at": pa.array([0, 1]).view(INSTANT), "n": [2**62, 2**62]})
    with pytest.raises(NumericOverflow, match=r"sum\(n\): the sum of a window exceeds bigint"):
        _features(large, ["sum(n) + 1"], closed="both").to_arrow("events")


def test_texts_that_differ_in_case_alone_are_two_aggregates() -> None:
    at = pa.array(np.arange(3)).view(INSTANT)
    events = pa.table({"id": [1] * 3, "at": at, "s": ["a", "A", "A"]})
    text = "count(*) filter (where s = 'A') * 10 + count(*) filter (where s = 'a')"
    assert _features(events, [text], closed="both").to_arrow("events")["f0_3d"].to_pylist() == [1, 11, 21]


def test_a_value_comes_down_to_the_events_of_all_its_aggregates() -> None:
    at = pa.array([0, DAY, 2 * DAY], INSTANT)
    events = pa.table({"id": [1, 1, 1], "at": at, "x": [4.0, None, 1.0], "big": [True, True, False]})
    definition = FeatureDefinition("sum(x) / count(*) filter (where big)", "7d", ("id",), "at", closed="both")
    found = trace(definition, events, events.select(["id", "at"]).slice(2))
    assert (found.events["x"].to_pylist(), found.values.to_pylist()) == ([4.0, None, 1.0], [2.5])
