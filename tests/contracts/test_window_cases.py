"""Every window case of the contract, on every engine."""

from __future__ import annotations

import builtins
import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from fstk import errors
from fstk.engines.base import Engine
from fstk.engines.connect import direct
from fstk.engines.types import schema_of
from fstk.errors import BadExpression
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate
from tests.contracts.conftest import HERE, load_cases
from tests.contracts.rows import assert_same_rows, table_of

OURS = json.loads((HERE / "window_cases.json").read_text(encoding="utf-8"))["cases"]
ANSWERED_BY_DIRECT = [
    "count(*)",
    "count(distinct s)",
    "sum(x * n + 1)",
    "avg(coalesce(x, n))",
    "max(CASE WHEN x > 1 AND n IS NOT NULL THEN x ELSE -x END)",
    "stddev(x) FILTER (WHERE NOT (s = 'web' OR n <= 3))",
    "sum(n % 2)",
    "count(*) FILTER (WHERE s IN ('a') AND n BETWEEN 1 AND 2)",
    "min(x IS NULL)",
    "sum(if(n > 1, x, 0))",
    "sum(nullif(n, 1))",
    "min(upper(s))",
    "count(*) FILTER (WHERE s LIKE 'w%')",
    "max(s || 'a')",
]
LEFT_TO_SPARK = [
    "sum(abs(x))",
    "min(initcap(s))",
    "max(cast(s AS int))",
    "count(distinct date_trunc('day', at))",
    "count(*) FILTER (WHERE s RLIKE 'w.*')",
]


OVER_CONNECT = (
    "seed_windows_at_points",
    "per_event_left",
    "more_aggregates",
    "filtered",
    "nan_and_infinity",
    "no_points",
)
"""One of each kind that the way to a server could change."""


@pytest.mark.parametrize("case", load_cases("window", OVER_CONNECT))
def test_window_case(case: Mapping[str, Any], engine: Engine) -> None:
    if "error" in case:
        kind = getattr(builtins, case["error"], None) or getattr(errors, case["error"])
        with pytest.raises(kind) as caught:
            engine.arrow(_compute(case, engine))
        for word in case.get("mentions", ()):
            assert word in str(caught.value)
        return
    if engine.name == "direct":
        _skip_what_needs_spark(case, engine)
    result = engine.arrow(_compute(case, engine))
    assert_same_rows(result, case["expected_rows"])
    assert schema_of(result.schema) == engine.schema(_compute(case, engine)) == _types(case, engine)


@pytest.mark.parametrize("expression", [*ANSWERED_BY_DIRECT, *LEFT_TO_SPARK])
def test_the_engine_without_a_jvm_answers_what_it_is_said_to_and_nothing_else(expression: str) -> None:
    columns = {"id": "int", "at": "timestamp", "x": "double", "n": "int", "s": "string"}
    events = table_of({"columns": columns, "rows": []})
    features = WindowedFeatures(events, "id", "at", [Aggregate(expression, name="a")], ["7d"])
    if expression in ANSWERED_BY_DIRECT:
        assert direct().arrow(features.compute("events", engine=direct())).num_rows == 0
    else:
        with pytest.raises(BadExpression, match="Spark"):
            features.plan("events", engine=direct())


def _skip_what_needs_spark(case: Mapping[str, Any], engine: Engine) -> None:
    """Count a foreign case that the engine without a JVM leaves to Spark as skipped; none of our own is left to it."""
    if case in OURS:
        return
    try:
        _features(case).plan(_points(case), timestamp=_column_of_points(case), engine=engine)
    except BadExpression as error:
        if "Spark" in str(error) and any("expression" in aggregate for aggregate in case["aggregates"]):
            pytest.skip(f"left to Spark: {error}")


def _compute(case: Mapping[str, Any], engine: Engine) -> Any:
    features = _features(case)
    points = _points(case)
    if isinstance(points, Calendar):
        return features.compute(points, timestamp=_calendar_column(case), engine=engine)
    return features.compute(points, timestamp=_points_timestamp(case), engine=engine)


def _features(case: Mapping[str, Any]) -> WindowedFeatures:
    return WindowedFeatures(
        table_of(case["events"]),
        case["entity"],
        case["timestamp"],
        [Aggregate(_expression(one), name=one["name"], group_by=one.get("group_by")) for one in case["aggregates"]],
        case["windows"],
        **{name: case[name] for name in ("closed", "align") if name in case},
    )


def _points(case: Mapping[str, Any]) -> Any:
    points = case["points"]
    if isinstance(points, str):
        return points
    if "rows" in points:
        return table_of(points)
    calendar = points.get("calendar", points)
    rest = {name: calendar[name] for name in ("every", "zone") if name in calendar}
    return Calendar(_moment(calendar["start"], rest), _moment(calendar["end"], rest), **rest)


def _points_timestamp(case: Mapping[str, Any]) -> str | None:
    return case["points"].get("timestamp") if isinstance(case["points"], Mapping) else None


def _calendar_column(case: Mapping[str, Any]) -> str | None:
    points = case["points"]
    named = points.get("timestamp", points.get("calendar", points).get("timestamp"))
    if named or not case.get("expected_rows"):
        return named
    known = [case["entity"]] if isinstance(case["entity"], str) else case["entity"]
    return next(column for column in case["expected_rows"][0] if column not in known)


def _moment(text: str, rest: Mapping[str, str]) -> dt.date | dt.datetime:
    if re.fullmatch(r"\d{4}-\d\d-\d\d" + ("(T00:00(:00)?)?" if "zone" in rest else ""), text):
        return dt.date.fromisoformat(text[:10])
    at = dt.datetime.fromisoformat(text)
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at


def _expression(aggregate: Mapping[str, Any]) -> str:
    if "expression" in aggregate:
        text = aggregate["expression"]
    elif aggregate["function"] == "count_distinct":
        text = f"count(distinct {_argument(aggregate)})"
    else:
        second = next((f", {aggregate[name]}" for name in ("p", "n", "parameter") if name in aggregate), "")
        text = f"{aggregate['function']}({_argument(aggregate)}{second})"
    condition = aggregate.get("where", aggregate.get("filter"))
    if condition is None:
        return text
    if not isinstance(condition, str):
        column, *sign, value = condition
        condition = f"`{column}` {sign[0] if sign else '='} {_literal(value)}"
    return f"{text} FILTER (WHERE {condition})"


def _argument(aggregate: Mapping[str, Any]) -> str:
    return "*" if aggregate.get("column") is None else f"`{aggregate['column']}`"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _types(case: Mapping[str, Any], engine: Engine) -> dict[str, str]:
    """What the rules say of the types; an expression's own is asked of the engine."""
    points = case["points"]
    source = case["events"]["columns"]
    if isinstance(points, str):
        types = dict(source)
    elif "rows" in points:
        types = dict(points["columns"])
    else:
        keys = [case["entity"]] if isinstance(case["entity"], str) else case["entity"]
        types = {key: source[key] for key in keys} | {_calendar_column(case) or case["timestamp"]: "timestamp"}
    for column in _features(case).plan(_points(case), timestamp=_column_of_points(case), engine=engine).features:
        types[column.column] = column.type
    for aggregate in case["aggregates"]:
        if "function" in aggregate:
            for name in [name for name in types if re.fullmatch(re.escape(aggregate["name"]) + r"_(\w+)", name)]:
                kind = _type(aggregate["function"], source.get(aggregate.get("column")))
                types[name] = f"map<{source[aggregate['group_by']]},{kind}>" if "group_by" in aggregate else kind
    return types


def _column_of_points(case: Mapping[str, Any]) -> str | None:
    points = case["points"]
    return _calendar_column(case) if isinstance(points, Mapping) and "rows" not in points else _points_timestamp(case)


def _type(function: str, column: str | None) -> str:
    if function in ("count", "count_distinct"):
        return "bigint"
    if function in ("min", "max", "mode", "first", "last"):
        return column or ""
    if function in ("first_n", "last_n"):
        return f"array<{column}>"
    if function == "sum" and column in ("tinyint", "smallint", "int", "bigint"):
        return "bigint"
    decimal = re.fullmatch(r"decimal\((\d+), ?(\d+)\)", column or "")
    if function == "sum" and decimal:
        return f"decimal({min(38, int(decimal[1]) + 10)},{decimal[2]})"
    return "double"
