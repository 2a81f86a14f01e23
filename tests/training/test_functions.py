"""What a request-time feature may read and when it is refused; the same rows on every engine."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fstk import FeatureFunction, FeatureLookup
from fstk.engines.base import Engine
from fstk.errors import BadExpression, InvalidInput, NameCollision, TypeMismatch, UnknownColumn
from fstk.training.functions import CompiledFunctions, over_columns
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.training_set import create_training_set
from tests.training.shelf import Shelf
from tests.training.test_plan import LABELS, MOVING, STILL, TABLES, plan

NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
INSTANT = pa.timestamp("us", tz="UTC")


def function(expression: str, name: str = "f", **rest: Any) -> FeatureFunction:
    return FeatureFunction(expression, name, **rest)


@pytest.mark.parametrize(
    ("inputs", "text", "columns"),
    [
        (None, "x / nullif(Y, 0)", ("x", "Y")),
        ({"x": "paid", "y": "a`b"}, "`paid` / nullif(`a``b`, 0)", ("paid", "a`b")),
        (["X", "y"], "`X` / nullif(`y`, 0)", ("X", "y")),
        ({"x": "y", "y": "x"}, "`y` / nullif(`x`, 0)", ("y", "x")),
    ],
)
def test_inputs_stand_for_columns(inputs: Any, text: str, columns: tuple[str, ...]) -> None:
    read = over_columns(function("x / nullif(Y, 0)", inputs=inputs))
    assert (read.text, read.columns) == (text, columns)


def test_only_columns_are_renamed() -> None:
    text = "x.x + transform(xs, x -> x + y)[x] + datediff(day, `day`, x) + length('x') -- x of ä\n"
    inputs = {"x": "c", "xs": "many", "y": "é", "day": "on"}
    bound = over_columns(function(text, inputs=inputs)).text
    assert bound == "`c`.x + transform(`many`, x -> x + `é`)[`c`] + datediff(day, `on`, `c`) + length('x') -- x of ä\n"


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (
            ("x +", "f"),
            BadExpression,
            "FeatureFunction f: 'x +' is not one SQL expression: something is missing after +.",
        ),
        (("rand() * x", "f"), BadExpression, "FeatureFunction f: rand is not deterministic"),
        (("datediff(current_date, x)", "f"), BadExpression, "current_date depends on when it is run"),
        (("(select max(x) from t)", "f"), BadExpression, "a subquery is refused"),
        (("sum(x)", "f"), BadExpression, "sum is itself an aggregate"),
        ((7, "f"), InvalidInput, "FeatureFunction f: expression must be Spark SQL as text; got 7."),
        (("x", ""), InvalidInput, "output_name of a FeatureFunction must be a column name; got ''."),
        (("x", None), InvalidInput, "got None"),
        (("x", "f", "x"), InvalidInput, "inputs must be names of columns, or map names to columns; got 'x'."),
        (("x", "f", [1]), InvalidInput, "inputs must be names of columns"),
        (("x", "f", {"x": 1}), InvalidInput, "inputs must map names of the expression to columns"),
        (("x", "f", {}), InvalidInput, "inputs must map names"),
        (("x", "f", {"x": "a", "X": "b"}), InvalidInput, "differ in case only"),
        (("amont", "f", {"amount": "a"}), UnknownColumn, "f: amont is not among its inputs. Nearest: amount."),
        (("x", "f", ["x", "y"]), UnknownColumn, "the expression does not read its input y. There is: x."),
    ],
)
def test_another_shape_is_refused(arguments: tuple[Any, ...], kind: type[Exception], says: str) -> None:
    expression, name, *rest = arguments
    with pytest.raises(kind) as caught:
        FeatureFunction(expression, name, inputs=rest[0] if rest else None)
    assert says in str(caught.value)


@given(st.none() | st.dictionaries(st.just("x"), st.text(min_size=1), min_size=1), st.text(min_size=1))
def test_a_function_survives_being_written_down(inputs: Any, name: str) -> None:
    one = function("x * 2 -- ä", name, inputs=inputs)
    assert FeatureFunction.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_functions_come_where_they_are_given_and_are_computed_when_they_can_be() -> None:
    made = plan(function("c2 + a", "c1"), MOVING, function("K * other", "c2"), STILL)
    assert list(made.schema) == [*LABELS, "c1", "a", "b", "c2", "c"]
    assert [(one.name, one.columns, one.type) for one in made.functions] == [
        ("c2", ("k", "other"), "bigint"),
        ("c1", ("c2", "a"), "bigint"),
    ]
    assert made.schema["c1"] == "bigint"
    assert made.features == ["a", "b", "c"]
    assert [type(one).__name__ for one in made.lookups] == ["FeatureLookup", "FeatureLookup"]
    assert TrainingPlan.from_json(json.loads(json.dumps(made.to_json()))) == made
    shown = repr(made)
    assert "2 lookups · 2 functions" in shown
    assert "c2 + a" in shown


def test_what_functions_alone_read_is_joined_and_left_out() -> None:
    functions = [function("a * 2", "c1"), function("c1 + b", "c2"), function("k", "unused")]
    made = plan(MOVING, *functions, exclude=["a", "b", "c1", "unused", "other", "k"])
    assert list(made.schema) == ["at", "day", "name", "y", "c2"]
    assert [one.name for one in made.functions] == ["c1", "c2"]
    assert [one.name for one in made.joins[0].outputs] == ["a", "b"]
    without = plan(MOVING, function("other", "c1"), exclude=["a", "b", "other"])
    assert without.joins[0].outputs == ()
    assert list(without.label_columns) == ["k", "other", "at", "day", "name", "y"]


@pytest.mark.parametrize(
    ("functions", "kind", "says"),
    [
        (["othr + 1"], UnknownColumn, "FeatureFunction f0: no column othr. Nearest: other"),
        (["a + 1", "y"], InvalidInput, "FeatureFunction f1 reads the label y, which nobody knows"),
        (["CASE WHEN Y THEN 1 END"], InvalidInput, "reads the label y"),
        (["f0 + 1"], InvalidInput, "FeatureFunctions wait for each other: f0 → f0."),
        (["f2 + 1", "f0 * 2", "f1"], InvalidInput, "wait for each other: f0 → "),
        (["NULL"], InvalidInput, "FeatureFunction f0: 'NULL' is NULL in every row"),
        (["datediff(name, at)"], TypeMismatch, "takes text for a time"),
        (["sqrt(a)"], BadExpression, "'SQRT(a)' is not evaluated without Spark"),
        (["_metadata"], UnknownColumn, "What Spark means by it depends on where the row is stored"),
    ],
)
def test_a_function_that_cannot_be_computed_is_refused(functions: list[str], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        plan(MOVING, *(function(text, f"f{number}") for number, text in enumerate(functions)))
    assert says in str(caught.value)
    assert "Nearest: y" not in str(caught.value)


@pytest.mark.parametrize("name", ["K", "a", "f"])
def test_a_column_of_that_name_is_refused(name: str) -> None:
    with pytest.raises(NameCollision, match="FeatureFunction .* is called as"):
        plan(MOVING, function("other", "F"), function("other + 1", name))
    with pytest.raises(NameCollision, match="as FeatureFunction b is"):
        plan(function("other", "b"), MOVING)


def test_lookups_and_functions_are_a_list() -> None:
    with pytest.raises(InvalidInput, match=r"write \[FeatureFunction\(…\)\]"):
        plan_training_set(LABELS, function("k"), TABLES, None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInput, match="a list of FeatureLookup and FeatureFunction; got str"):
        plan("k")


def test_the_callers_own_column_stands_for_a_function() -> None:
    made = plan(
        MOVING,
        function("a", "NAME"),
        function("name", "g"),
        exclude=["A", "b", "name"],
        caller_overrides=True,
        labels=LABELS | {"a": "int"},
    )
    assert made.overridden == ("a", "name")
    assert [one.name for one in made.functions] == ["g"]
    assert list(made.schema) == [*LABELS, "a", "g"]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    at = pa.array([NOON, NOON], INSTANT)
    shelf.add("spent", pa.table({"id": [1, 2], "ts": at, "spend": [10.0, 0.0], "since": at}), ["id"], "ts")
    return shelf


ORDERS = pa.table(
    {
        "id": [1, 2, 3],
        "event": pa.array([NOON + dt.timedelta(days=3)] * 3, INSTANT),
        "amount": pa.array([Decimal("5.00"), Decimal("1.00"), None], pa.decimal128(9, 2)),
        "y": [True, False, True],
    }
)
ORDERED = [
    function("ratio > 0.4 OR first", "large"),
    FeatureLookup("spent", "id", timestamp_lookup_key="event"),
    function("paid / nullif(usual, 0)", "ratio", inputs={"paid": "amount", "usual": "spend"}),
    function("datediff(event, since) = 3 AND ratio IS NULL", "first"),
]


@pytest.mark.transport
def test_every_engine_computes_alike(shelf: Shelf, engine: Engine) -> None:
    df = engine.frame(ORDERS, "df")
    made = create_training_set(df, ORDERED, "y", ["spend", "since", "event"], catalog=shelf)
    rows = made.to_arrow()
    assert rows.column_names == ["id", "amount", "y", "large", "ratio", "first"]
    assert sorted(rows.to_pylist(), key=lambda row: row["id"]) == [
        {"id": 1, "amount": Decimal("5.00"), "y": True, "large": True, "ratio": 0.5, "first": False},
        {"id": 2, "amount": Decimal("1.00"), "y": False, "large": True, "ratio": None, "first": True},
        {"id": 3, "amount": None, "y": True, "large": None, "ratio": None, "first": None},
    ]
    assert made.pandas_dtypes()["ratio"].name == "float64"
    assert made.explain().to_arrow().num_rows == 3


def test_compiled_functions_take_any_table_of_their_columns(shelf: Shelf) -> None:
    made = create_training_set(ORDERS, ORDERED, "y", catalog=shelf).plan
    compute = CompiledFunctions(made.functions, made.types)
    known = create_training_set(ORDERS, ORDERED[1:2], "y", catalog=shelf).to_arrow()
    whole = compute(known.select(["spend", "since", "event", "amount"]))
    assert whole.column_names == ["spend", "since", "event", "amount", *(one.name for one in made.functions)]
    assert whole.column("large").to_pylist() == [True, True, None]
    assert compute(known.slice(0, 0)).num_rows == 0
    constant = plan(function("1", "one"))
    assert CompiledFunctions(constant.functions, constant.types)(known).column("one").to_pylist() == [1, 1, 1]
