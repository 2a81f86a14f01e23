"""Expressions without a JVM give Spark's own answer, or none: random trees over random rows, compared with Spark."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from fstk.engines.connect import direct, engine_of
from fstk.engines.sql.expressions import compiled
from fstk.errors import BadExpression, InvalidInput, NumericOverflow, TypeMismatch, UnknownColumn

NAN, INF = float("nan"), float("inf")
COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "b": (pa.int8(), [0, 1, -1, 127, -128, 5, None]),
    "h": (pa.int16(), [0, 3, -7, 300, None]),
    "i": (pa.int32(), [0, 1, -1, 7, 2**31 - 1, -(2**31), None]),
    "l": (pa.int64(), [0, 2, -3, 2**53 + 1, 2**63 - 1, -(2**63), None]),
    "f": (pa.float32(), [0.0, -0.0, 1.5, -2.25, 1e38, NAN, INF, None]),
    "d": (pa.float64(), [0.0, -0.0, 0.1, -3.5, 1e300, NAN, INF, -INF, None]),
    "m": (pa.decimal128(7, 2), [Decimal("0.00"), Decimal("-1.25"), Decimal("99999.99"), Decimal("3.33"), None]),
    "w": (pa.decimal128(38, 10), [Decimal("0E-10"), Decimal("1E+20"), Decimal("-7.0000000001"), None]),
    "s": (pa.string(), ["", "a", "A", "ä", "zz", "1", None]),
    "t": (pa.bool_(), [True, False, None]),
    "y": (pa.date32(), [date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31), None]),
    "z": (
        pa.timestamp("us", "UTC"),
        [datetime(1, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC), None],
    ),
    "n": (pa.timestamp("us"), [datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(9999, 12, 31, 23), None]),
}
NUMBERS = "bhilfdmw"
NUMERALS = ["0", "1", "2", "-3", "10", "2.5", "0.001", "1e3", "7L", "1.5D", "3.0BD", "2147483648", "NULL"]
PAIRS = [
    ("s", "'a'"),
    ("s", "s"),
    ("y", "DATE '2024-02-29'"),
    ("z", "z"),
    ("z", "TIMESTAMP '2024-02-29 01:02:03.000004'"),
    ("z", "TIMESTAMP '0001-01-01T00:00:00Z'"),
    ("t", "t"),
    ("t", "TRUE"),
    ("d", "f"),
    ("NULL", "NULL"),
]
TIMES = ["y", "z", "n", "NULL", "DATE '2024-02-28'", "TIMESTAMP '1969-12-31 23:59:59.999999'"]
ROWS = 60


def _rows(seed: int) -> pa.Table:
    chosen = random.Random(seed)
    return pa.table(
        {n: pa.array([chosen.choice(values) for _ in range(ROWS)], kind) for n, (kind, values) in COLUMNS.items()}
    )


class _Writer:
    """Writes random expressions, every operator in parentheses of its own."""

    def __init__(self, seed: int) -> None:
        self.chosen = random.Random(seed)

    def number(self, depth: int) -> str:
        r = self.chosen
        if depth == 0:
            return r.choice(NUMBERS) if r.random() < 0.7 else r.choice(NUMERALS)
        a, b = self.number(depth - 1), self.number(depth - 1)
        kind = r.randrange(12)
        if kind == 9:
            return f"nullif({a}, {b})"
        if kind == 10:
            return f"if({self.truth(depth - 1)}, {a}, {r.choice(['nvl', 'ifnull'])}({b}, {a}))"
        if kind == 11:
            return f"{r.choice(['datediff', 'DATE_DIFF'])}({r.choice(TIMES)}, nullif({r.choice(TIMES)}, z))"
        if kind < 4:
            return f"({a} {r.choice(['+', '-', '*', '/', '%', 'DIV'])} {b})"
        if kind == 4:
            return f"(- {a})"
        if kind == 5:
            return f"CASE WHEN {self.truth(depth - 1)} THEN {a} ELSE {b} END"
        if kind == 6:
            return f"CASE {a} WHEN {b} THEN {self.number(depth - 1)} END"
        if kind == 7:
            return f"coalesce({a}, {b}, {r.choice(NUMERALS)})"
        return f"CASE WHEN {b} <> 0 THEN ({a} / {b}) END"

    def truth(self, depth: int) -> str:
        r = self.chosen
        sign = r.choice(["=", "<>", "<", "<=", ">", ">=", "<=>", "!="])
        if depth == 0:
            pair = r.choice(PAIRS)
            return f"({pair[0]} {sign} {pair[1]})"
        kind = r.randrange(7)
        if kind == 0:
            return f"({self.number(depth - 1)} {sign} {self.number(depth - 1)})"
        if kind == 1:
            return f"({self.truth(depth - 1)} {r.choice(['AND', 'OR'])} {self.truth(depth - 1)})"
        if kind == 2:
            return f"(NOT {self.truth(depth - 1)})"
        if kind == 3:
            return f"({self.number(depth - 1)} IS {r.choice(['', 'NOT '])}NULL)"
        if kind == 4:
            return f"({self.number(depth - 1)} {r.choice(['', 'NOT '])}BETWEEN -1 AND {self.number(0)})"
        if kind == 5:
            return f"(s {r.choice(['', 'NOT '])}IN ('a', 'zz', NULL))"
        return f"({self.truth(depth - 1)} IS {r.choice(['', 'NOT '])}TRUE)"


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return (math.isnan(one) and math.isnan(two)) or one == two
    return type(one) is type(two) and one == two


@pytest.mark.spark
@pytest.mark.parametrize("seed", [2, 5])
def test_random_expressions_as_spark_answers_them(spark: SparkSession, seed: int) -> None:
    table, engine, writer = _rows(seed), engine_of(spark), _Writer(seed)
    frame = engine.frame(table, "rows")
    answered: dict[str, str] = {}
    failed: list[str] = []
    for attempt in range(600):
        text = writer.number(1 + attempt % 3) if attempt % 2 else writer.truth(1 + attempt % 3)
        try:
            direct().select(table, {"answer": text})
            answered[f"e{len(answered)}"] = text
        except BadExpression:
            continue  # no answer is allowed, a wrong one is not
        except InvalidInput:
            failed.append(text)
    assert len(answered) > 150
    ours = direct().select(table, answered)
    theirs = engine.arrow(engine.select(frame, answered))
    for name, text in answered.items():
        assert ours.schema.field(name).type == theirs.schema.field(name).type, text
        pairs = zip(ours.column(name).to_pylist(), theirs.column(name).to_pylist(), strict=True)
        for row, (one, two) in enumerate(pairs):
            assert _same(one, two), f"{text}: {one!r}, Spark {two!r} for {table.slice(row, 1).to_pylist()[0]}"
    for text in failed[:4]:
        with pytest.raises(InvalidInput):
            engine.arrow(engine.select(frame, {"answer": text}))


@pytest.mark.parametrize(
    "text",
    [
        "initcap(s)",
        "current_date()",
        "rand()",
        "sum(i)",
        "row_number() OVER (ORDER BY i)",
        "(SELECT 1)",
        "CAST(i AS STRING)",
        "s > 1",
        "y + 1",
        "i = l < 3",
        "i AND t",
        "CASE WHEN i THEN 1 END",
        "rows.i",
        "i; l",
        "i +",
        "'a' + 1",
        "CAST(1.5 AS INT)",
        "DATE '2024-02-30'",
        "x'1F'",
        "~i",
        "i IN (SELECT 1)",
        "m DIV 2",
        "d DIV 2",
        "a = a",
        "m + 123456789012345678901234567890123456789",
        "TIMESTAMP '2024-02-30 00:00:00'",
        "TIMESTAMP '2024-02-29'",
        "TIMESTAMP '2024-02-29 00:00:00+01:00'",
        "s IS TRUE",
        "INTERVAL '1' DAY",
        "*",
        "datediff(day, y, z)",
        "datediff(i, y)",
        "datediff(y)",
        "nullif(i)",
        "nullif(s, i)",
        "if(i > 1, i)",
        "if(i, 1, 2)",
        "iff(t, 1, 2)",
        "builtin.nullif(i, 0)",
        "nvl(i, l, 0)",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadExpression):
        direct().select(_rows(1).append_column("a", pa.array([[1]] * ROWS)), {"answer": text})


def test_a_text_is_never_taken_for_a_time() -> None:
    for text in ("datediff(s, y)", "datediff(y, '2024-01-31')"):
        with pytest.raises(TypeMismatch, match="text for a time"):
            direct().select(_rows(1), {"answer": text})


def test_an_expression_is_read_once_for_many_tables() -> None:
    kind, run = compiled({"a": "int", "b": "decimal(5,2)"}, "a / nullif(b, 0)")
    tables = [
        pa.table({"a": pa.array([a], pa.int32()), "b": pa.array([b], pa.decimal128(5, 2))})
        for a, b in [(1, Decimal("4.00")), (None, Decimal("1.00")), (3, Decimal("0.00"))]
    ]
    assert kind == "decimal(18,6)"
    assert [run(table).to_pylist() for table in tables] == [[Decimal("0.250000")], [None], [None]]


def test_an_unknown_column_gives_the_nearest() -> None:
    with pytest.raises(UnknownColumn, match="amount"):
        direct().select(pa.table({"amount": [1]}), {"answer": "amont * 2"})


def test_column_names_do_not_depend_on_case_but_ambiguity_is_refused() -> None:
    assert direct().select(pa.table({"Amount": [2]}), {"x": "AMOUNT + 1"}).to_pylist() == [{"x": 3}]
    with pytest.raises(BadExpression, match="ambiguous"):
        direct().select(pa.table({"a": [1], "A": [2]}), {"x": "a"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("i / z", "division by zero"),
        ("i % z", "division by zero"),
        ("i DIV z", "division by zero"),
        ("i + 2147483647", "overflow"),
        ("-m", "overflow"),
        ("m DIV -1", "overflow"),
    ],
)
def test_errors_quote_the_expression(text: str, says: str) -> None:
    table = pa.table({"i": pa.array([5], pa.int32()), "z": pa.array([0], pa.int32()), "m": pa.array([-(2**63)])})
    with pytest.raises(InvalidInput, match=says) as caught:
        direct().select(table, {"answer": text})
    assert isinstance(caught.value, NumericOverflow) == (says == "overflow")  # as a sum's: the job's own error, exit 1


def test_no_rows_no_error() -> None:
    empty = direct().select(_rows(1).slice(0, 0), {"a": "i / 0", "b": "CASE WHEN s = 'a' THEN m ELSE 1 END"})
    assert empty.num_rows == 0
    assert empty.schema.field("b").type == pa.decimal128(12, 2)


def test_a_column_as_it_is_is_not_copied() -> None:
    table = pa.table({"x": pa.chunked_array([[1, 2], [3]])})
    found = direct().select(table, {"same": "x", "more": "x + 1"})
    assert found.to_pydict() == {"same": [1, 2, 3], "more": [2, 3, 4]}
    [one, two] = ([chunk.buffers()[1].address for chunk in of.chunks] for of in (found["same"], table["x"]))
    assert one == two
