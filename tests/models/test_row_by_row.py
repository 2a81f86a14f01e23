"""A row's score is its own: it does not depend on the rows that are scored with it, nor on what they lack."""

from __future__ import annotations

import datetime as dt
import importlib
import warnings
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from fstk.engines.types import schema_of
from fstk.models import inputs
from fstk.models.kernel import Scorer
from fstk.models.log import log_model
from fstk.models.score import score_batch
from fstk.models.spec import ModelRecord
from fstk.training.dtypes import as_spark, frame, frames
from fstk.training.training_set import TrainingSet, create_training_set
from tests.generated import examples

INSTANT = pa.timestamp("us", "UTC")
SINCE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
POOLS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "code": (pa.int64(), [10, 11, 12, 13]),
    "small": (pa.int8(), [-1, 0, 1, 2]),
    "big": (pa.int64(), [2**53 + 1, 2**53 + 3, 0, 7]),
    "active": (pa.bool_(), [True, False, True, False]),
    "share": (pa.float64(), [0.5, float("nan"), -0.0, 2.0]),
    "price": (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("2.00"), Decimal("3.25"), Decimal("0.00")]),
    "word": (pa.string(), ["red", "blue", "", "1"]),
    "kind": (pa.string(), ["a", "b", "c", "a"]),
    "since": (INSTANT, [SINCE + dt.timedelta(days=day) for day in range(4)]),
    "born": (pa.date32(), [dt.date(2000, 1, 1 + day) for day in range(4)]),
    "steps": (pa.list_(pa.int64()), [[1, 2], [3, None], [], [4]]),
    "basket": (pa.struct({"n": pa.int64(), "ok": pa.bool_()}), [{"n": n, "ok": n == 1} for n in (1, 2, None, 3)]),
    "prices": (pa.map_(pa.string(), pa.int64()), [[("a", 1)], [("b", None)], [], [("a", 2)]]),
}
NUMBERS = ["code", "small", "big", "active", "share"]
CATEGORIES = ["kind"]


def table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = {name: pa.array([row[name] for row in rows], kind) for name, (kind, _) in POOLS.items()}
    return pa.table(columns)


def training(nulls: bool, columns: list[str]) -> TrainingSet:
    """A training set of four rows, ten times, and, with ``nulls``, a row that has nothing."""
    rows: list[dict[str, Any]] = [{name: pool[row % 4] for name, (_, pool) in POOLS.items()} for row in range(40)]
    rows += [dict.fromkeys(POOLS)] * nulls
    df = table(rows).select(columns).append_column("y", pa.array([row % 2 for row in range(len(rows))]))
    return create_training_set(df, [], "y", catalog=None)  # type: ignore[arg-type]


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(str)


def spelt(frame: pd.DataFrame) -> list[str]:
    """Tell of each row all that a model could see of it."""
    return [
        " ".join(f"{type(value).__name__} {value!r}" for value in row)
        for row in frame.astype(object).itertuples(index=False)
    ]


def text_tree() -> tuple[list[str], Any]:
    steps = FunctionTransformer(as_text), OneHotEncoder(handle_unknown="ignore"), DecisionTreeRegressor(random_state=0)
    return [*NUMBERS, "price", "word", "since", "born"], make_pipeline(*steps)


def boosted() -> tuple[list[str], Any]:
    return NUMBERS, HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2)


def lightgbm() -> tuple[list[str], Any]:
    classifier = importlib.import_module("lightgbm").LGBMClassifier
    return [*NUMBERS, *CATEGORIES], classifier(n_estimators=2, min_child_samples=2, verbose=-1, n_jobs=1)


def xgboost() -> tuple[list[str], Any]:
    classifier = importlib.import_module("xgboost").XGBClassifier
    return [*NUMBERS, *CATEGORIES], classifier(n_estimators=2, enable_categorical=True, n_jobs=1)


def catboost() -> tuple[list[str], Any]:
    classifier = importlib.import_module("catboost").CatBoostClassifier
    options = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return [*NUMBERS, *CATEGORIES], classifier(iterations=2, cat_features=CATEGORIES, **options)


@cache
def fitted(make: Callable[[], tuple[list[str], Any]] | None, nulls: bool) -> Scorer:
    """A scorer of a model as ``log_model`` records it; None is a model of one's own, which tells what it sees."""
    columns, model = (list(POOLS), None) if make is None else make()
    training_set = training(nulls, columns)
    rows = training_set.to_pandas()
    example = None
    if model is None:
        predict = spelt
    else:
        if "kind" in columns:  # as these libraries take them
            rows["kind"] = rows["kind"].fillna("a").astype("category")
            rows["active"] = rows["active"].astype("float64" if nulls else "bool")
            example = rows
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows[columns], rows["y"])
        predict = model.predict if model.__class__.__name__ == "Pipeline" else model.predict_proba
    record = ModelRecord(training_set.plan, False, {})
    found = inputs.learn(predict, training_set, record.inputs, example)
    record = ModelRecord(training_set.plan, False, found.dtypes)
    kind = "string" if model is None else "double" if predict.__name__ == "predict" else "array<double>"

    class Loaded:
        def predict(self, method: str | None) -> Any:
            return predict

    return Scorer(Loaded(), "m", record, kind)  # type: ignore[arg-type]


MODELS = [None, text_tree, boosted, lightgbm, xgboost, catboost]
ROWS = st.fixed_dictionaries({name: st.sampled_from([*pool, None]) for name, (_, pool) in POOLS.items()})


@pytest.mark.parametrize("nulls", [False, True], ids=["whole", "with nulls"])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__ if make else "python")
@settings(max_examples=examples(15))
@given(batch=st.lists(ROWS, min_size=1, max_size=5))
@pytest.mark.slow
def test_a_batch_scores_as_its_rows_alone(make: Any, nulls: bool, batch: list[dict[str, Any]]) -> None:
    if make is catboost:  # which takes no category that is missing
        batch = [row | {"kind": row["kind"] or "a"} for row in batch]
    scorer = fitted(make, nulls)
    whole = repr(scorer(table(batch)).column("prediction").to_pylist())
    alone = [scorer(table([row])).column("prediction")[0].as_py() for row in batch]
    assert whole == repr(alone)


def spell() -> Any:
    """A model of one's own that Spark's workers can load: a class of this function, which travels whole."""
    python_model = importlib.import_module("mlflow.pyfunc").PythonModel

    class Spells(python_model):
        def predict(self, context, model_input):  # without hints, of which MLflow warns
            rows = model_input.astype(object).itertuples(index=False)
            return [" ".join(f"{type(value).__name__} {value!r}" for value in row) for row in rows]

    return Spells()


@pytest.mark.spark
@pytest.mark.transport
def test_slices_of_spark_score_as_rows_alone(spark_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("mlflow").models, "infer_pip_requirements", lambda *_, **__: [])
    pyfunc = importlib.import_module("mlflow.pyfunc")
    training_set = training(False, list(POOLS))
    uri = log_model(spell(), "model", pyfunc, training_set).uri
    rows: list[Any] = [{name: pool[row] for name, (_, pool) in POOLS.items()} for row in range(4)]
    rows += [rows[0] | {name: None} for name in POOLS]
    df = table(rows).append_column("row", pa.array(range(len(rows))))
    alone = [spelt_alone(training_set, df.slice(row, 1)) for row in range(len(rows))]
    for parts in (1, 3):
        scored = score_batch(uri, spark_engine.frame(df, "df").repartition(parts), "string", catalog=None)  # type: ignore[arg-type]
        found = sorted((row["row"], row["prediction"]) for row in spark_engine.arrow(scored).to_pylist())
        assert [prediction for _, prediction in found] == alone


def spelt_alone(training_set: TrainingSet, row: pa.Table) -> str:
    columns = row.select(list(POOLS))
    [(_, frame)] = frames(columns, training_set.pandas_dtypes())
    return spelt(frame)[0]


def of_spark(rows: pa.Table, zone: str) -> pd.DataFrame:
    """What ``toPandas()`` makes of rows, by Spark's own converters, without a JVM."""
    types = importlib.import_module("pyspark.sql.pandas.types")
    found = rows.to_pandas(date_as_object=True, coerce_temporal_nanoseconds=True)
    options = {"timezone": zone, "struct_in_pandas": "dict"}
    for field in types.from_arrow_schema(rows.schema, prefer_timestamp_ntz=True):
        found[field.name] = types._create_converter_to_pandas(field.dataType, **options)(found[field.name])
    return found


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_sparks_own_pandas_frame_is_known(zone: str) -> None:
    """Of all types, without a null and with: times and maps look otherwise than in ``to_pandas()``, large integers too
    where some are null. Nested integers are floats there where another row's are null; that is not given back."""
    pools = POOLS | {
        "steps": (pa.list_(pa.int64()), [[1, 2], [3], [], [4]]),
        "prices": (POOLS["prices"][0], [[("a", 1)], [("b", 2)], [], [("a", 2)]]),
        "ntz": (pa.timestamp("us"), [dt.datetime(2020, 1, day) for day in (1, 2, 3, 4)]),
        "times": (pa.list_(INSTANT), [[SINCE], [], [SINCE, SINCE], [SINCE]]),
        "nest": (pa.struct({"at": INSTANT, "m": POOLS["prices"][0]}), [{"at": SINCE, "m": [("a", 1)]}] * 4),
        "real": (pa.float32(), [0.5, 1.5, 2.5, 3.5]),
        "blob": (pa.binary(), [b"a", b"b", b"", b"c"]),
    }
    del pools["basket"]
    whole = pa.table({name: pa.array(pool, kind) for name, (kind, pool) in pools.items()})
    lacking = pa.table({name: pa.array([*pool, None], kind) for name, (kind, pool) in pools.items()})
    times_and_maps = ["since", "prices", "ntz", "times", "nest"]
    for rows, other in ((whole, times_and_maps), (lacking, ["big", *times_and_maps])):
        own = create_training_set(rows, [], None, catalog=None).pandas_dtypes()  # type: ignore[arg-type]
        known = as_spark(own, schema_of(rows.schema), zone)
        assert [name for name in pools if known[name] != own[name]] == other
        ours, theirs = frame(rows, known), of_spark(rows, zone)
        assert list(map(str, ours.dtypes)) == list(map(str, theirs.dtypes))
        assert spelt(ours) == spelt(theirs)
