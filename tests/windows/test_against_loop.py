"""The kernel against a plain loop: ties, equal instants, nulls, extreme dates, huge and tiny values, empty sides."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fstk.errors import NumericOverflow
from fstk.windows.aggregates import (
    AGGREGATES,
    AggregateFunction,
    Avg,
    Count,
    FirstN,
    LastN,
    Slope,
    Stddev,
    StddevPop,
    Sum,
    VarPop,
    VarSamp,
)
from fstk.windows.bounds import Months
from fstk.windows.kernel import Reduction, WindowKernel
from tests.generated import examples
from tests.windows import loop

_DAY = 86_400_000_000
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_INSTANT = pa.timestamp("us", tz="UTC")
_LENGTHS = (
    ("1d", _DAY),
    ("1s", 1_000_000),
    ("4000000d", 4_000_000 * _DAY),
    ("lifetime", None),
    ("7d", 7 * _DAY),
    ("1mo", Months(1)),
)


def _decimals(digits: int, scale: int) -> st.SearchStrategy[decimal.Decimal]:
    limit = 10**digits - 1
    edges = st.sampled_from([0, 1, -1, limit, -limit])
    context = decimal.Context(prec=60)
    return (edges | st.integers(-limit, limit)).map(lambda n: decimal.Decimal(n).scaleb(-scale, context=context))


_DOUBLES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1e16, 1e16 + 2, 1e300, -1e300, 5e-324, 1e-300, 0.1, 0.2, 1.7976931348623157e308]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.integers(-10_000, 10_000).map(lambda cents: cents / 100),
    st.floats(allow_nan=False, allow_infinity=False),
)
_FLOATS32 = st.floats(width=32)
_BIGINTS = st.sampled_from([2**63 - 1, -(2**63), 0, 1, -1]) | st.integers(-100, 100) | st.integers(-(2**63), 2**63 - 1)

# Spark type → Arrow type, and values.
_KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "double": (pa.float64(), _DOUBLES),
    "float": (pa.float32(), _FLOATS32),
    "bigint": (pa.int64(), _BIGINTS),
    "tinyint": (pa.int8(), st.integers(-128, 127)),
    "decimal(12,2)": (pa.decimal128(12, 2), _decimals(12, 2)),
    "decimal(20,5)": (pa.decimal128(20, 5), _decimals(20, 5)),
    "decimal(38,0)": (pa.decimal128(38, 0), _decimals(38, 0)),
    "string": (pa.string(), st.sampled_from(["", "a", "A", "é", "e\u0301", "😀", "\uffff", "a ", "b\0"])),
    "boolean": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates()),
    "timestamp": (_INSTANT, st.datetimes(timezones=st.just(dt.UTC))),
    "timestamp_ntz": (pa.timestamp("us"), st.datetimes()),
}
_KEYS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bigint": (pa.int64(), [1, 2, -(2**63), 2**63 - 1, None]),
    "string": (pa.string(), ["1", "1 ", "é", "e\u0301", None]),
    "double": (pa.float64(), [0.0, -0.0, math.nan, 1.5, None]),
    "decimal": (pa.decimal128(38, 2), [decimal.Decimal("1.00"), decimal.Decimal("1.10"), None]),
    "date": (pa.date32(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
    "boolean": (pa.bool_(), [True, False, None]),
}

_NEAR = st.builds(
    lambda base, days, micros: base + days * _DAY + micros,
    st.sampled_from([0, 1_700_000_000_000_000]),
    st.integers(-3, 3),
    st.sampled_from([-1, 0, 0, 1, 1_000_000]),
)
_INSTANTS = st.one_of(_NEAR, st.sampled_from([_FIRST, _FIRST + 1, _LAST - 1, _LAST]), st.none())


@st.composite
def _cases(draw: st.DrawFn, function: AggregateFunction) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(_KEYS)), min_size=1, max_size=2))
    # Few different keys in one example, so that windows hold several events.
    few = [draw(st.lists(st.sampled_from(_KEYS[name][1]), min_size=1, max_size=3)) for name in names]
    keys = st.tuples(*map(st.sampled_from, few))
    kind = draw(st.sampled_from([kind for kind in sorted(_KINDS) if not function.valued or function.accepts(kind)]))
    values = _KINDS[kind][1] | st.none()
    if draw(st.booleans()):
        values = _KINDS[kind][1]
    event = st.tuples(keys, _INSTANTS, values, st.sampled_from([True, False, None]))
    return {
        "keys": names,
        "kind": kind,
        "events": draw(st.lists(event, max_size=12)),
        "points": draw(st.lists(st.tuples(keys, _INSTANTS), max_size=6)),
        "windows": draw(st.lists(st.sampled_from(_LENGTHS), min_size=1, max_size=3, unique=True)),
        "align": draw(st.sampled_from([None, None, "day", "week", "month"])),
        "closed": draw(st.sampled_from(["left", "right", "both"])),
        "part_rows": draw(st.sampled_from([1, 5, 1_000])),
        "threads": draw(st.sampled_from([1, 2])),
    }


def _table(rows: list[Any], names: list[str]) -> dict[str, pa.Array]:
    columns = {f"key_{i}": pa.array([row[0][i] for row in rows], _KEYS[name][0]) for i, name in enumerate(names)}
    return columns | {"at": pa.array([row[1] for row in rows], pa.int64()).view(_INSTANT)}


def _run(case: dict[str, Any], function: AggregateFunction, filtered: bool) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return what the kernel gives for (points, events), per window, with a star count beside it."""
    events = _table(case["events"], case["keys"])
    events["value"] = pa.array([row[2] for row in case["events"]], _KINDS[case["kind"]][0])
    events["passes"] = pa.array([row[3] for row in case["events"]], pa.bool_())
    condition = "passes" if filtered else None
    reductions = (
        Reduction("it", function, "value", condition, function.written("value")),
        Reduction("star", Count(), None, condition, "count(*)"),
    )
    keys = tuple(f"key_{i}" for i in range(len(case["keys"])))
    windows = tuple(case["windows"])
    kernel = WindowKernel(
        keys,
        "at",
        windows,
        case["closed"],
        reductions,
        threads=case["threads"],
        part_rows=case["part_rows"],
        align=case["align"],
    )
    points = pa.table(_table(case["points"], case["keys"]) | {"row": pa.array(range(len(case["points"])), pa.int64())})
    table = pa.table(events)
    at_points = kernel.at_points(points, table, keys, "at")
    assert repr(at_points.select(points.column_names).to_pylist()) == repr(points.to_pylist())  # whole, in order
    at_events = kernel.at_events(table, ("value",))
    assert at_events.num_rows == len(case["events"])
    names = [f"{name}_{window}" for window, _ in windows for name in ("it", "star")]
    assert at_points.column_names == [*points.column_names, *names]
    return tuple([part.column(name).to_pylist() for name in names] for part in (at_points, at_events))  # type: ignore


def _loop(case: dict[str, Any], function: AggregateFunction, filtered: bool) -> tuple[list[list[Any]], list[list[Any]]]:
    both = []
    for points in (case["points"], case["events"]):
        columns = []
        for _, length in case["windows"]:
            reach = (length.number,) if isinstance(length, Months) else length
            how = reach, case["closed"], case["align"]
            rows = [loop.window(case["events"], point[0], point[1], *how) for point in points]
            for written in (function.written("x"), "count(*)"):
                pairs = zip(points, rows, strict=True)
                columns.append([loop.aggregate(written, inside, filtered, point[1]) for point, inside in pairs])
        both.append(columns)
    return both[0], both[1]


def _alike(value: Any, wanted: Any, exactly: bool) -> bool:
    if isinstance(wanted, list) and isinstance(value, list):
        return len(value) == len(wanted) and all(_alike(*pair, exactly) for pair in zip(value, wanted, strict=True))
    if isinstance(wanted, float) and isinstance(value, float):
        if math.isnan(wanted) or math.isnan(value):
            return math.isnan(wanted) and math.isnan(value)
        return value == wanted if exactly else math.isclose(value, wanted, rel_tol=1e-15, abs_tol=1e-323)
    return value == wanted and type(value) is type(wanted)


def _too_large(case: dict[str, Any], wanted: tuple[list[list[Any]], list[list[Any]]]) -> bool:
    kind = _KINDS[case["kind"]][0]
    if pa.types.is_floating(kind):
        return False
    limit = 10 ** min(38, kind.precision + 10) if pa.types.is_decimal(kind) else None
    for column in (column for part in wanted for column in part[::2]):
        for total in (total for total in column if total is not None):
            if limit is not None:
                if abs(int(total.scaleb(kind.scale, context=decimal.Context(prec=60)))) >= limit:
                    return True
            elif not -(2**63) <= total < 2**63:
                return True
    return False


@pytest.mark.parametrize("function", AGGREGATES, ids=lambda function: function.written("x"))
@settings(
    max_examples=examples(300),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data(), filtered=st.booleans())
def test_kernel_equals_loop(function: AggregateFunction, data: st.DataObject, filtered: bool) -> None:
    if function.parameter:
        texts = ["1", "2", "1000"] if isinstance(function, FirstN | LastN) else ["0", "0.25", ".7", "1"]
        function = function.of_parameter(data.draw(st.sampled_from(texts)))
    case = data.draw(_cases(function))
    wanted = _loop(case, function, filtered)
    if function == Sum() and _too_large(case, wanted):
        with pytest.raises(NumericOverflow, match=r"sum\(value\)"):
            _run(case, function, filtered)
        return
    found = _run(case, function, filtered)
    exactly = not isinstance(function, Avg | Slope | Stddev | StddevPop | VarSamp | VarPop)
    for got, want in zip(found, wanted, strict=True):
        for values, expected in zip(got, want, strict=True):
            assert len(values) == len(expected)
            for value, other in zip(values, expected, strict=True):
                assert _alike(value, other, exactly), (value, other, case)
