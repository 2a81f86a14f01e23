"""Request-time features have one value, to the bit, wherever they are computed: in training sets, in batch scoring, of
one request; the oracle of their values is Spark itself, and of their order a loop."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fstk import FeatureFunction, FeatureLookup
from fstk.engines.base import Engine
from fstk.engines.direct import DirectEngine
from fstk.engines.spark import SparkEngine
from fstk.engines.types import arrow_schema, schema_of
from fstk.errors import BadExpression, InvalidInput, TypeMismatch, UnknownColumn, UnknownTable
from fstk.models.log import ModelVersion, log_model
from fstk.models.score import score_batch
from fstk.models.spec import FILE, ModelRecord, read_record
from fstk.tables.spec import FeatureTable
from fstk.training.training_set import TrainingSet, create_training_set
from tests.online.tables import Made

pytestmark = pytest.mark.slow

PYFUNC = importlib.import_module("mlflow.pyfunc")
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
STORED = {
    "k": "bigint",
    "at": "timestamp",
    "spend": "double",
    "price": "decimal(10,2)",
    "visits": "int",
    "last": "timestamp",
    "wall": "timestamp_ntz",
    "city": "string",
}
REQUEST = {
    "k": "bigint",
    "when": "timestamp",
    "amount": "double",
    "small": "float",
    "paid": "decimal(12,3)",
    "items": "int",
    "total": "bigint",
    "born": "date",
    "opened": "timestamp",
    "channel": "string",
    "vip": "boolean",
}
FUNCTIONS = {
    "ratio": "amount / nullif(spend, 0)",
    "doubled": "ratio * 2 + coalesce(small, 1)",
    "share": "paid / nullif(price, 0)",
    "change": "paid - price * 3",
    "days": "datediff(opened, last)",
    "age": "datediff(wall, born) DIV 365",
    "split": "total DIV nullif(items, 0)",
    "rest": "items % 7",
    "web": "channel = 'web' AND (vip OR spend > amount)",
    "moved": "coalesce(city <> channel, vip)",
    "band": "CASE WHEN amount > 1e9 THEN 'high' WHEN ratio <= 0 THEN city ELSE 'low' END",
    "early": "if(opened < last, opened, last)",
    "nan": "nullif(amount, spend)",
    "sum_": "items + visits",
    "more": "sum_ + CASE WHEN vip THEN total ELSE 0 END",
    "each": "amount / visits",
}
CALM: dict[str, Any] = dict.fromkeys(REQUEST) | {"k": 1, "when": NOON}
LOOKUP = FeatureLookup("s.t", "k", timestamp_lookup_key="when")


class Shelf:
    """One table; stands in for a catalog."""

    def __init__(self, folder: Path) -> None:
        self.made = Made(folder / "t", STORED, ("k",), "at")

    def get(self, name: str) -> FeatureTable:
        if name != "s.t":
            raise UnknownTable(f"no feature table {name}.")
        return replace(self.made.at(), written_by_fstk=True)


class Zero(PYFUNC.PythonModel):
    """Answers nothing of note; what it is given is looked at beside it."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> list[float]:
        return [0.0] * len(model_input)


def stored(key: int) -> dict[str, Any]:
    r = random.Random(key)
    return {
        "k": key,
        "at": NOON - timedelta(days=1),
        "spend": r.choice([0.0, -0.0, 0.1, 3.5, float("nan"), float("inf"), None]),
        "price": r.choice([Decimal("0.00"), Decimal("9.99"), Decimal("-99999999.99"), None]),
        "visits": r.choice([0, 1, 3, 2**31 - 1, None]),
        "last": r.choice([NOON - timedelta(days=40), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), None]),
        "wall": r.choice([datetime(2024, 2, 29, 23, 59), datetime(1, 1, 1), None]),
        "city": r.choice(["web", "Köln", "", None]),
    }


ROWS = st.fixed_dictionaries(
    {
        "k": st.integers(0, 40) | st.none(),
        "when": st.sampled_from([NOON, NOON - timedelta(days=2), None]),
        "amount": st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e300]) | st.none(),
        "small": st.floats(width=32) | st.none(),
        "paid": st.decimals(Decimal("-999999999.999"), Decimal("999999999.999"), places=3) | st.none(),
        "items": st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 3) | st.none(),
        "total": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.none(),
        "born": st.dates(date(1, 1, 1)) | st.none(),
        "opened": st.datetimes(timezones=st.just(UTC)) | st.none(),
        "channel": st.sampled_from(["web", "app", "", "köln", None]),
        "vip": st.booleans() | st.none(),
    }
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(REQUEST))


def text(value: Any) -> str:
    """A value so that equal texts are equal bits: −0.0 is not 0.0; NaN is itself."""
    return value.hex() if isinstance(value, float) else repr(value)


def texts(rows: pa.Table, names: Any = FUNCTIONS) -> list[list[str]]:
    return sorted([text(value) for value in row.values()] for row in rows.select(list(names)).to_pylist())


def functions(names: Any = FUNCTIONS) -> list[FeatureFunction]:
    return [FeatureFunction(FUNCTIONS[name], name) for name in names]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    shelf = Shelf(tmp_path_factory.mktemp("functions"))
    shelf.made.append(*map(stored, range(40)))
    return shelf


def trained(shelf: Shelf, df: Any, exclude: tuple[str, ...] = (), names: Any = FUNCTIONS) -> TrainingSet:
    mixed = list(reversed(functions(names)))  # each before what it reads
    return create_training_set(df, [*mixed[:3], LOOKUP, *mixed[3:]], None, exclude, catalog=shelf)


@pytest.fixture(scope="module")
def logged(shelf: Shelf, tracking: str) -> Iterator[ModelVersion]:
    calm = table([CALM | {"k": key} for key in range(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking)
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "tests")
        yield log_model(Zero(), "model", PYFUNC, trained(shelf, calm, ("spend", "price", "city", "ratio")), "functions")


def computed(call: Any) -> pa.Table | type[InvalidInput]:
    try:
        return call()
    except InvalidInput:
        return InvalidInput


def one_by_one(shelf: Shelf, record: ModelRecord, df: pa.Table) -> pa.Table:
    """What an endpoint does: the columns of a request, what was looked up for it, and then the functions."""
    known = create_training_set(df, [LOOKUP], None, catalog=shelf).to_arrow()
    compute = record.compiled()
    return pa.concat_tables(compute(known.slice(row, 1)) for row in range(df.num_rows))


def test_every_way_gives_the_same_bits(shelf: Shelf, logged: ModelVersion) -> None:
    outcomes = set()

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(st.lists(ROWS, min_size=1, max_size=5))
    @example([CALM])
    @example([CALM, CALM | {"total": -(2**63), "items": -1}])
    def holds(rows: list[dict[str, Any]]) -> None:
        df = table(rows)
        wanted = computed(lambda: one_by_one(shelf, logged.record, df))
        whole = computed(lambda: trained(shelf, df).to_arrow())
        scored = computed(lambda: score_batch(logged.uri, df, engine=DirectEngine(), catalog=shelf))
        outcomes.add(wanted is InvalidInput)
        if wanted is InvalidInput:
            assert whole is scored is InvalidInput
            return
        assert not isinstance(scored, type)
        assert isinstance(whole, pa.Table)
        assert texts(wanted) == texts(whole)
        shown = [name for name in FUNCTIONS if name != "ratio"]
        assert texts(wanted, shown) == texts(scored, shown)
        assert scored.column_names == [*REQUEST, "visits", "last", "wall", *scored.column_names[-16:]]

    holds()
    assert outcomes == {False, True}


@pytest.mark.spark
def test_spark_gives_the_same_bits(shelf: Shelf, logged: ModelVersion, spark_engine: SparkEngine) -> None:
    rows: list[dict[str, Any]] = []

    @settings(max_examples=150, database=None, deadline=None)
    @given(ROWS)
    def gather(row: dict[str, Any]) -> None:
        rows.append(row)

    gather()
    outcomes = [computed(lambda row=row: one_by_one(shelf, logged.record, table([row]))) for row in rows]
    df = table([row for row, one in zip(rows, outcomes, strict=True) if one is not InvalidInput])
    failing = [row for row, one in zip(rows, outcomes, strict=True) if one is InvalidInput]
    assert df.num_rows > 30
    wanted = one_by_one(shelf, logged.record, df)
    frame = spark_engine.frame(df, "df")
    training_set = trained(shelf, frame)
    there = spark_engine.arrow(training_set.load_df())
    assert schema_of(there.schema) == training_set.plan.schema == trained(shelf, df).plan.schema
    assert texts(there) == texts(wanted)
    shown = [name for name in FUNCTIONS if name != "ratio"]
    scored = spark_engine.arrow(score_batch(logged.uri, frame, engine=spark_engine, catalog=shelf))
    assert texts(scored, shown) == texts(wanted, shown)
    for row in failing[:2]:
        bad = trained(shelf, spark_engine.frame(table([row]), "df"))
        with pytest.raises(InvalidInput):
            spark_engine.arrow(bad.load_df())


def test_what_a_model_keeps_of_its_functions(shelf: Shelf, logged: ModelVersion, tmp_path: Path) -> None:
    record = logged.record
    assert {one.output_name: one.expression for one in record.functions} == FUNCTIONS
    assert record.plan.function_columns == {name: kind for name, kind in REQUEST.items() if name not in ("k", "when")}
    assert record.hidden == ["spend", "price", "city", "ratio"]
    assert "ratio" not in record.inputs
    assert record.inputs["doubled"] == "double"
    (tmp_path / FILE).write_text(record.to_json())
    assert read_record(tmp_path, "m").to_json() == record.to_json()
    assert read_record(tmp_path, "m").plan == record.plan
    content = json.loads(record.to_json())
    functions = content["plan"].pop("functions")
    (tmp_path / FILE).write_text(json.dumps(content | {"format": 2}))  # of a time before there were functions
    assert read_record(tmp_path, "m").functions == []
    content["plan"]["functions"] = functions
    content["plan"]["functions"][0]["expression"] = "sqrt("
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match="damaged"):
        read_record(tmp_path, "m")
    lines = repr(logged).splitlines()
    assert any(line.split() == ["doubled", "double", "function"] for line in lines)


@pytest.mark.spark
def test_what_only_spark_evaluates_is_refused_when_it_is_logged(shelf: Shelf, spark_engine: Engine) -> None:
    df = table([CALM | {"amount": 4.0}])
    root = FeatureFunction("1 + sqrt(amount)", "root")
    training_set = create_training_set(df, [LOOKUP, root], None, catalog=shelf)
    assert training_set.plan.schema["root"] == "double"
    assert training_set.to_arrow().column("root").to_pylist() == [3.0]
    with pytest.raises(BadExpression) as caught:
        log_model(Zero(), "model", PYFUNC, training_set)
    assert "FeatureFunction root cannot be logged" in str(caught.value)
    assert "'SQRT(amount)' is not evaluated without Spark" in str(caught.value)
    assert "fstk.connect()" not in str(caught.value)


def scored(shelf: Shelf, uri: str, df: pa.Table) -> pa.Table:
    return score_batch(uri, df, engine=DirectEngine(), catalog=shelf)


def test_a_column_of_the_caller_stands_for_a_function(shelf: Shelf, logged: ModelVersion) -> None:
    df = table([CALM | {"amount": 4.0}])
    own = df.append_column("ratio", pa.array([0.25])).append_column("spend", pa.array([None], pa.float64()))
    rows = scored(shelf, logged.uri, own)
    assert rows.column("doubled").to_pylist() == [1.5]  # of the ratio that was given
    assert rows.column("nan").to_pylist() == [4.0]
    assert rows.column("ratio").to_pylist() == [0.25]
    assert "price" not in rows.column_names
    known = create_training_set(
        own, [replace_features(("price", "visits", "last", "wall", "city"))], None, catalog=shelf
    )
    asked = logged.record.compiled()(known.to_arrow())
    assert asked.column("doubled").to_pylist() == [1.5]


def replace_features(names: tuple[str, ...]) -> FeatureLookup:
    return FeatureLookup("s.t", "k", feature_names=names, timestamp_lookup_key="when")


def test_another_type_than_the_trained_one_is_refused(shelf: Shelf, logged: ModelVersion) -> None:
    df = table([CALM])
    place = df.column_names.index("items")
    wide = df.set_column(place, "items", df.column("items").cast(pa.int64()))
    with pytest.raises(TypeMismatch, match=r"over items as int; in df it is bigint\. Cast it to int"):
        scored(shelf, logged.uri, wide)
    with pytest.raises(UnknownColumn, match="no column items"):
        scored(shelf, logged.uri, df.drop_columns("items"))
    known = create_training_set(wide, [LOOKUP], None, catalog=shelf).to_arrow()
    with pytest.raises(TypeMismatch, match="reads items as int; it is bigint"):
        logged.record.compiled()(known)
    with pytest.raises(UnknownColumn, match="reads items, which is missing"):
        logged.record.compiled()(known.drop_columns("items"))


def test_a_model_without_functions_has_none(shelf: Shelf) -> None:
    df = table([CALM | {"amount": 4.0}])
    record = ModelRecord(create_training_set(df, [LOOKUP], None, catalog=shelf).plan, False, {})
    assert (record.functions, record.plan.function_columns, record.hidden) == ([], {}, [])
    assert record.compiled()(df) is df
