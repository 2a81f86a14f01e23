"""Aggregates by the values of a column, against the plain loop, through a feature table and back."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fstk.engines.base import TableVersion
from fstk.engines.connect import direct
from fstk.engines.spark import SparkEngine
from fstk.errors import UnknownColumn, UnsupportedType
from fstk.verbs.lines import aggregate
from fstk.windows.features import WindowedFeatures
from fstk.windows.kernel import WindowKernel
from fstk.windows.spec import Aggregate
from tests.windows import loop

DAY = 86_400_000_000
INSTANT = pa.timestamp("us", "UTC")
WRITTEN = ("count(*)", "sum(x)", "median(x)", "first_n(x, 2)", "since_last(*)", "mode(x)")


def _events(chance: random.Random, rows: int, groups: list[Any]) -> list[tuple[Any, ...]]:
    """Key, instant, value, filter, group."""
    keys, values = [1, 2, None], [1.0, 2.5, -0.0, None]
    return [
        (
            (chance.choice(keys),),
            chance.choice([None, *range(0, 9 * DAY, DAY)]),
            chance.choice(values),
            chance.choice([True, False, None]),
            chance.choice(groups),
        )
        for _ in range(rows)
    ]


def _table(events: list[tuple[Any, ...]], kind: pa.DataType) -> pa.Table:
    keys, at, x, big, group = zip(*((key, *rest) for (key,), *rest in events), strict=True) if events else ([],) * 5
    return pa.table(
        {
            "k": pa.array(keys, pa.int64()),
            "at": pa.array(at, pa.int64()).view(INSTANT),
            "x": pa.array(x, pa.float64()),
            "big": pa.array(big, pa.bool_()),
            "g": pa.array(group, kind),
        }
    )


def _wanted(events: list[tuple[Any, ...]], point: tuple[Any, ...], written: str, filtered: bool) -> list[Any]:
    rows = [event for event in events if event in loop.window(events, point[0], point[1], 4 * DAY, "left")]
    groups = sorted({row[4] for row in rows if row[4] is not None})
    return [(one, loop.aggregate(written, [r for r in rows if r[4] == one], filtered, point[1])) for one in groups]


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(
    ("kind", "groups"), [(pa.string(), ["b", "a", "", None]), (pa.float64(), [0.0, -0.0, 2.5, None])], ids=str
)
@pytest.mark.slow
def test_maps_equal_the_loop(kind: pa.DataType, groups: list[Any], filtered: bool, monkeypatch: Any) -> None:
    chance = random.Random(8)
    monkeypatch.setattr(WindowKernel, "part_rows", 7)
    where = " filter (where big)" if filtered else ""
    named = [Aggregate(text + where, name=f"f{i}", group_by="g") for i, text in enumerate(WRITTEN)]
    for rows in (0, 3, 60, 200):
        events = _events(chance, rows, groups)
        points = _events(chance, 12, groups)
        asked = _table(points, kind).select(["k", "at"])
        features = WindowedFeatures(_table(events, kind), "k", "at", [*named, Aggregate("sum(x)", name="all")], ["4d"])
        found = features.compute(asked, engine=direct())
        for number, text in enumerate(WRITTEN):
            wanted = [_wanted(events, point, text, filtered) for point in points]
            assert found[f"f{number}_4d"].to_pylist() == wanted


def test_a_group_is_read_from_the_grammar_and_told_in_the_plan() -> None:
    read = aggregate("sum(x) filter (where big) GROUP BY `g` as by_g")
    assert read == Aggregate("sum(x) filter (where big)", name="by_g", group_by="g")
    plan = WindowedFeatures(_table([], pa.string()), "k", "at", [read], ["7d"]).plan()
    assert [(one.type, one.meaning) for one in plan.features] == [
        ("map<string,double>", "sum(x) filter (where big) by g over [at − 7 d, at)")
    ]


@pytest.mark.parametrize(("column", "kind"), [("gg", UnknownColumn), ("tags", UnsupportedType)])
def test_a_group_that_is_no_column_or_cannot_be_compared_is_refused(column: str, kind: type[Exception]) -> None:
    events = _table([], pa.string()).append_column("tags", pa.array([], pa.list_(pa.string())))
    features = WindowedFeatures(events, "k", "at", [Aggregate("count(*)", name="n", group_by=column)], ["7d"])
    with pytest.raises(kind, match=column):
        features.plan()


@pytest.mark.spark
def test_maps_and_arrays_go_through_spark_and_delta(spark_engine: SparkEngine, tmp_path: Path) -> None:
    events = _table(_events(random.Random(1), 50, ["a", "b", None]), pa.string())
    named = [Aggregate("sum(x)", name="total", group_by="g"), Aggregate("last_n(x, 3)", name="last")]
    features = WindowedFeatures(
        events, "k", "at", [*named, Aggregate("last_n(g, 2)", name="two", group_by="g")], ["4d"]
    )
    at = pa.array([dt.datetime(1970, 1, day, tzinfo=dt.UTC) for day in range(1, 12)], INSTANT)
    points = pa.table({"k": pa.array([1] * 11), "at": at})
    features.compute(points, engine=spark_engine).write.format("delta").save(str(tmp_path / "t"))
    stored = direct().read(TableVersion("t", str(tmp_path / "t"))).sort_by("at")
    assert stored.equals(features.compute(points, engine=direct()))
