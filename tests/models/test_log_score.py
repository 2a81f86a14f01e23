"""Models keep their lookups and score with them; the oracle joins by a plain loop and asks the fitted model itself."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import deltalake
import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from fstk import FeatureLookup, journal
from fstk.engines.clocks import Clock
from fstk.engines.direct import DirectEngine
from fstk.engines.types import schema_of
from fstk.errors import FstkError, InvalidInput, NameCollision, TypeMismatch, UnknownColumn
from fstk.models import kernel, saved
from fstk.models.kernel import PackedModel, Scorer
from fstk.models.log import ModelVersion, log_model
from fstk.models.mlflow_calls import quiet
from fstk.models.score import open_model, score_batch
from fstk.models.spec import FILE, ModelRecord
from fstk.training.dtypes import as_spark, without_nulls
from fstk.training.dtypes import frame as frame_of
from fstk.training.plan import TrainingPlan
from fstk.training.training_set import TrainingSet, create_training_set
from tests.models.conftest import Shelf, customer, day

pytestmark = pytest.mark.slow

MLFLOW = importlib.import_module("mlflow")  # which pyright takes for private, part by part
PYFUNC = importlib.import_module("mlflow.pyfunc")
SKLEARN = importlib.import_module("mlflow.sklearn")

LOOKUPS = [
    FeatureLookup(
        "s.customers",
        "customer_id",
        feature_names=["spend", "visits"],
        rename_outputs={"visits": "v"},
        timestamp_lookup_key="when",
        lookback_window=timedelta(days=10),
        default_values={"v": -1},
    ),
    FeatureLookup("s.cohorts", "cohort"),
]


def labels(rows: int = 24) -> pa.Table:
    return pa.table(
        {
            "churned": pa.array([row % 3 == 0 for row in range(rows)]),
            "customer_id": pa.array([row % 10 for row in range(rows)], pa.int64()),
            "amount": pa.array([row / 7 for row in range(rows)]),
            "when": pa.array([day(row % 12) for row in range(rows)], pa.timestamp("us", "UTC")),
            "cohort": pa.array([("old", "new", None)[row % 3] for row in range(rows)]),
        }
    )


def trained(shelf: Shelf, df: pa.Table | None = None, exclude: tuple[str, ...] = ("when", "cohort")) -> TrainingSet:
    df = labels() if df is None else df
    return create_training_set(df, LOOKUPS, "churned", exclude, catalog=shelf)


def fitted(training_set: TrainingSet, model: Any = None) -> Any:
    frame = training_set.to_pandas()
    if model is None:
        model = HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=2, random_state=0)
    return model.fit(frame.drop(columns="churned"), frame["churned"])


def log(shelf: Shelf, name: str, model: Any = None, df: pa.Table | None = None, flavor: Any = SKLEARN) -> ModelVersion:
    training_set = trained(shelf, df)
    return log_model(fitted(training_set) if model is None else model, "model", flavor, training_set, name)


def score(shelf: Shelf, uri: str, df: Any, result_type: str = "double") -> list[dict[str, Any]]:
    return score_batch(uri, df, result_type, engine=DirectEngine(), catalog=shelf).to_pylist()


def looked_up(shelf: Shelf, row: dict[str, Any]) -> dict[str, Any]:
    """What a row may know, by a plain loop."""
    seen = [
        (at, key * at, key + at / 10)
        for key in range(1, 9)
        for at in (2, 5, 8)
        if key == row["customer_id"] and timedelta(0) <= row["when"] - day(at) <= timedelta(days=10)
    ]
    _, visits, spend = max(seen, default=(None, -1, None))
    return {"spend": spend, "v": visits, "size": {"old": 40, "new": 2}.get(row["cohort"])}


def test_a_model_scores_with_the_features_each_row_could_know(shelf: Shelf) -> None:
    training_set = trained(shelf)
    model = fitted(training_set)
    version = log_model(model, "model", SKLEARN, training_set, "scores")
    assert (version.name, version.version, version.uri, version.created) == ("scores", 1, "models:/scores/1", True)
    df = labels(40).select(["when", "cohort", "amount", "customer_id"])
    rows = score(shelf, "models:/scores/1", df)
    expected = []
    for row in df.to_pylist():
        known = row | looked_up(shelf, row)
        inputs = {name: known[name] for name in ("customer_id", "amount", "spend", "v", "size")}
        frame = pd.DataFrame([inputs]).astype(float)
        expected.append(known | {"prediction": float(model.predict(frame)[0])})
    assert rows == expected
    zone = "America/New_York"
    clock = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in df["when"].to_pylist()]
    local = df.set_column(0, "when", pa.array(clock, pa.timestamp("us")))
    told = Clock(zone, "refuse")
    with pytest.warns(UserWarning, match="scores v1 was trained with when at instants; in df when has no zone and is"):
        score_batch("models:/scores/1", local, engine=DirectEngine(), catalog=shelf)
    assert score_batch("models:/scores/1", local, engine=DirectEngine(), catalog=shelf, clock=told).to_pylist() == rows
    assert {row["prediction"] for row in rows} == {0.0, 1.0}
    assert list(rows[0]) == ["when", "cohort", "amount", "customer_id", "spend", "v", "size", "prediction"]
    assert journal.entries()[-3] == journal.Entry("read", "scores", 1, None)


def test_what_the_model_keeps_of_its_training_set(shelf: Shelf, tmp_path: Path) -> None:
    version = log(shelf, "keeps")
    with quiet():
        folder = MLFLOW.artifacts.download_artifacts("models:/keeps/1", dst_path=str(tmp_path / "model"))
        described = MLFLOW.models.Model.load(folder)
    kept = json.loads((Path(folder) / FILE).read_text())
    assert kept["inputs"] == {
        "customer_id": "bigint",
        "amount": "double",
        "spend": "double",
        "v": "bigint",
        "size": "int",
    }
    assert kept["key_types"] == {"customer_id": "bigint", "cohort": "string"}
    assert kept["tables"] == {"s.customers": 1, "s.cohorts": 1}
    assert kept["label"] == "churned"
    assert kept["plan"]["exclude_columns"] == ["when", "cohort"]
    assert [column.name for column in described.signature.inputs.inputs] == list(kept["inputs"])
    assert {column.type.name for column in described.signature.inputs.inputs} == {"double"}
    assert described.signature.outputs.inputs[0].type == np.dtype(bool)
    assert "keeps v1" in repr(version)
    assert "features of s.customers v1, s.cohorts v1" in repr(version)


def test_the_same_model_of_the_same_training_set_is_registered_once(shelf: Shelf) -> None:
    first = log(shelf, "once")
    again = log(shelf, "once")
    assert (again.version, again.uri, again.created, again.run_id) == (1, first.uri, False, first.run_id)
    assert journal.entries()[-1] == journal.Entry("model", "once", 1, 0)
    with mlflow.start_run() as run:
        log(shelf, "once")
        log(shelf, "once")  # as a cell that is run again
    outputs = mlflow.get_run(run.info.run_id).outputs
    assert outputs is not None
    [linked] = outputs.model_outputs
    assert f"models:/{linked.model_id}" == mlflow.MlflowClient().get_model_version("once", "1").source
    assert log(shelf, "once", fitted(trained(shelf), RandomForestRegressor(3, random_state=0))).version == 2
    model = fitted(trained(shelf))
    assert log(shelf, "once", model, df=labels().take(list(reversed(range(24))))).version == 1
    assert log(shelf, "once", model, df=labels(23)).version == 3
    shelf.customers.append(customer(99, 1, 1, 1.0))
    assert log(shelf, "once", model).version == 4
    assert log(shelf, "another", model).created


def test_a_fit_in_another_process_is_the_same_model(shelf: Shelf, tmp_path: Path) -> None:
    version = log(shelf, "elsewhere")
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.models.conftest import Made, Shelf; from tests.models.test_log_score import log\n"
        "shelf = Shelf.__new__(Shelf)\n"
        "for name in ('customers', 'cohorts'):\n"
        "    made = Made.__new__(Made); made.__dict__.update(eval(sys.argv[1])[name]); setattr(shelf, name, made)\n"
        "found = log(shelf, 'elsewhere'); print(found.version, found.created)"
    )
    made = {name: vars(getattr(shelf, name)) for name in ("customers", "cohorts")}
    done = subprocess.run([sys.executable, "-c", script, repr(made)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{version.version} False\n", "")


def test_a_column_of_the_caller_stands_for_the_stored_feature(shelf: Shelf) -> None:
    training_set = trained(shelf)
    model = fitted(training_set)
    log_model(model, "model", SKLEARN, training_set, "overridden")
    df = labels(12).select(["customer_id", "amount", "when", "cohort"])
    rows = score(shelf, "models:/overridden/1", df.append_column("v", pa.array([1000, None, *range(10)], pa.int32())))
    assert [row["v"] for row in rows] == [1000, None, *range(10)]
    assert list(rows[0]) == ["customer_id", "amount", "when", "cohort", "v", "spend", "size", "prediction"]
    frame = pd.DataFrame(rows)[["customer_id", "amount", "spend", "v", "size"]]
    assert [row["prediction"] for row in rows] == [float(value) for value in model.predict(frame)]


def test_features_added_to_a_table_later_change_nothing(shelf: Shelf) -> None:
    version = log(shelf, "later")
    before = score(shelf, version.uri, labels(5))
    shelf.cohorts.schema = {**shelf.cohorts.schema, "fresh": "double"}
    rows = pa.table({"cohort": ["late"], "size": pa.array([1], pa.int32()), "fresh": [1.0]})
    deltalake.write_deltalake(shelf.cohorts.folder, rows, mode="append", schema_mode="merge")
    assert score(shelf, version.uri, labels(5)) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda df: df.drop_columns("amount"),
            UnknownColumn,
            r"also takes amount \(double\), which df lacks\.$",
        ),
        (lambda df: df.drop_columns("when"), UnknownColumn, "timestamp_lookup_key 'when'"),
        (lambda df: df.append_column("prediction", df.column("amount")), NameCollision, "df has a column prediction"),
        (
            lambda df: df.append_column("v", pa.array(["x"] * df.num_rows)),
            TypeMismatch,
            "bad v1 was trained with v as bigint; in df it is string",
        ),
        (
            lambda df: df.set_column(0, "customer_id", df.column("customer_id").cast(pa.string())),
            TypeMismatch,
            "lookup_key customer_id is string",
        ),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_before_anything_runs(
    shelf: Shelf, change: Any, error: type[Exception], message: str
) -> None:
    log(shelf, "bad")
    df = labels(3).select(["customer_id", "amount", "when", "cohort"])
    with pytest.raises(error, match=message):
        score_batch("models:/bad/1", change(df), "double", engine=DirectEngine(), catalog=shelf)


def test_a_model_without_lookups_is_told_apart(shelf: Shelf, tmp_path: Path) -> None:
    with quiet():
        SKLEARN.save_model(LinearRegression(), str(tmp_path / "plain"), pip_requirements=[])
    with pytest.raises(InvalidInput, match=r"plain carries no feature lookups: it was not logged with"):
        score_batch(str(tmp_path / "plain"), labels(), "double", engine=DirectEngine(), catalog=shelf)
    (tmp_path / "plain" / FILE).write_text('{"format": 99}')
    with pytest.raises(InvalidInput, match=r"plain was logged by another fstk \(format 99, expected \d+\)\."):
        score_batch(str(tmp_path / "plain"), labels(), "double", engine=DirectEngine(), catalog=shelf)


class Answers:
    """Stands in for a packed model; answers with what it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.frames: list[pd.DataFrame] = []

    def predict(self, method: str | None) -> Any:
        return lambda frame: (self.frames.append(frame), self.answer)[1]


def scorer(model: Answers, columns: tuple[str, ...], result_type: str) -> Scorer:
    """A scorer of a model that was trained on some columns of :data:`ROWS`, none of them with a null."""
    schema = schema_of(ROWS.select(columns).schema)
    plan = TrainingPlan(schema, (), (), (), None, (), (), schema)
    return Scorer(model, "m v1", ModelRecord(plan, False, without_nulls(schema)), result_type)  # type: ignore[arg-type]


ROWS = pa.table({"b": [1, None], "a": [0.5, 1.5], "when": pa.array([day(1), None], pa.timestamp("us", "UTC"))})


@pytest.mark.parametrize(
    ("answer", "result_type", "prediction"),
    [
        (["yes", "no"], "string", "yes"),
        (np.array(["yes", "no"], dtype=object), "string", "yes"),
        (np.array([3, 4]), "double", 3.0),
        (np.array([True, False]), "boolean", True),
        (np.array([True, False]), "double", 1.0),
        (pd.Series([2.0, 3.0]), "int", 2),
        (pd.DataFrame({"x": [0.5, 1.0]}), "double", 0.5),
        (np.array([[0.5], [1.0]]), "double", 0.5),
        (np.array([[0.25, 0.75], [0.5, 0.5]]), "array<double>", [0.25, 0.75]),
        ([[1.0], [1.0, 2.0]], "array<double>", [1.0]),
        ([None, [1.0, None]], "array<double>", None),
        ([[1, None], None], "array<double>", [1.0, None]),
        (pd.Series([7, None], dtype="Int64"), "bigint", 7),
        (pd.Series([7, None]), "bigint", 7),
        (pd.Series([True, None], dtype="boolean"), "boolean", True),
        (pd.Series(["a", "b"], dtype="category"), "string", "a"),
        (np.array([7, pd.NA], dtype=object), "double", 7.0),
        (pl.Series([7, None]), "int", 7),
        (pd.DataFrame({"x": [0.5, 1.0], "n": ["a", None]}), "struct<n:string,x:float>", {"n": "a", "x": 0.5}),
        (pd.DataFrame({"x": [0.5, 1.0], "n": [1, 2]}), "array<double>", [0.5, 1.0]),
        ({"x": [1, 2], "n": ["a", "b"]}, "struct<x:int,n:string>", {"x": 1, "n": "a"}),
        (np.zeros((2, 1, 2)), "array<array<double>>", [[0.0, 0.0]]),
        (pd.DataFrame({"x": [0.5, 1.0], "n": ["a", None]}), "struct<score:double>", TypeMismatch),
        (pd.DataFrame({"x": [0.5, 1.0], "n": ["a", None]}), "array<double>", TypeMismatch),
        (pd.DataFrame(index=pd.RangeIndex(2)), "double", FstkError),
        ([2**70, 1], "bigint", TypeMismatch),
        ([1, "a"], "string", TypeMismatch),
        ("ab", "string", TypeMismatch),
        (2.5, "double", TypeMismatch),
        ({1, 2}, "double", TypeMismatch),
        (pd.DataFrame([[1, 2, 3]] * 2, columns=pd.Index(["x", "x", "n"])), "struct<x:int,n:int>", TypeMismatch),
        (pd.DataFrame([[1, 2]] * 2, columns=pd.Index([0, "0"])), "int", TypeMismatch),
        (pl.DataFrame({"x": [1, 2], "n": ["a", "b"]}), "struct<x:int,n:string>", {"x": 1, "n": "a"}),
        (pa.table({"x": [0.5, 1.0]}), "double", 0.5),
        ([timedelta(1), timedelta(2)], "double", FstkError),
        (["yes", "no"], "double", TypeMismatch),
        ([2.5, 1.0], "int", TypeMismatch),
        ([300, 1], "tinyint", TypeMismatch),
        (np.array([[0.25, 0.75], [0.5, 0.5]]), "double", TypeMismatch),
        ([1.0], "double", FstkError),
    ],
)
def test_predictions_have_the_type_that_was_asked_for(answer: Any, result_type: str, prediction: Any) -> None:
    asked = scorer(Answers(answer), ("a",), result_type)
    if isinstance(prediction, type):
        with pytest.raises(prediction, match="m v1"):
            asked(ROWS)
    else:
        rows = asked(ROWS)
        assert rows.drop_columns("prediction") == ROWS
        assert repr(rows.column("prediction")[0].as_py()) == repr(prediction)


def test_the_model_sees_its_columns_in_its_order_as_in_training() -> None:
    model = Answers([1.0, 2.0])
    scorer(model, ("a", "when"), "double")(ROWS)
    [frame] = model.frames
    assert list(frame) == ["a", "when"]
    assert list(map(str, frame.dtypes)) == ["float64", "datetime64[us, UTC]"]


def test_without_rows_the_model_is_not_asked() -> None:
    model = Answers(None)
    rows = scorer(model, ("a",), "int")(ROWS.slice(0, 0))
    assert (rows.num_rows, rows.schema.field("prediction").type, model.frames) == (0, pa.int32(), [])


def test_a_model_that_fails_says_so_in_a_sentence(shelf: Shelf) -> None:
    training_set = trained(shelf, labels(2))
    model = LinearRegression().fit(training_set.to_pandas().drop(columns="churned").fillna(0), [0, 1])
    says = "the model fails on rows of its own training set: ValueError: Input X contains NaN.*default_values={…}"
    with pytest.raises(InvalidInput, match=says):
        log_model(model, "model", SKLEARN, training_set)


@pytest.mark.parametrize("bad", [0, 3, 4, 6])
def test_the_row_that_a_model_refuses_is_named(bad: int) -> None:
    def predict(frame: pd.DataFrame) -> Any:
        if (frame["a"] == bad).any():
            raise ValueError("no such\na")
        return frame["a"]

    class Fussy:
        def predict(self, method: str | None) -> Any:
            return predict

    rows = pa.table({"a": [*map(float, range(7))], "b": [1, None, 3, 4, None, 6, 7]})
    plan = TrainingPlan(schema_of(rows.schema), (), (), (), None, (), (), schema_of(rows.schema))
    asked = Scorer(Fussy(), "m v1", ModelRecord(plan, False, without_nulls(plan.schema)), "double")  # type: ignore[arg-type]
    lacking = "a 4.0, b None, without b" if bad == 4 else f"a {bad}.0, b {bad + 1}"
    with pytest.raises(FstkError, match=f"^m v1 fails on the row of {lacking}: ValueError: no such a.$"):
        asked(rows)


def test_a_model_that_refuses_no_row_by_itself_fails_on_them_all() -> None:
    def predict(frame: pd.DataFrame) -> Any:
        if len(frame) > 1:
            raise ValueError("too many")
        return frame["a"]

    class Lonely:
        def predict(self, method: str | None) -> Any:
            return predict

    with pytest.raises(FstkError, match="^m v1 fails on the rows given: ValueError: too many.$"):
        scorer(Lonely(), ("a",), "double")(ROWS)  # type: ignore[arg-type]


def test_a_model_is_loaded_once_for_all_batches(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    version = log(shelf, "loaded")
    monkeypatch.setattr(kernel, "_loaded", {})
    loads: list[Path] = []
    load = saved.load
    monkeypatch.setattr(saved, "load", lambda folder, method: (loads.append(folder), load(folder, method))[1])
    first = score(shelf, version.uri, labels(5))
    assert score(shelf, version.uri, labels(5)) == first
    assert len(loads) == 1
    assert loads[0].stat().st_mode & 0o077 == 0 or loads[0].parent.stat().st_mode & 0o077 == 0


def test_of_a_model_of_scikit_learn_its_own_method_is_called(shelf: Shelf) -> None:
    """MLflow's steps around it would take a request as long as the lookup does."""
    predict: Any = open_model(log(shelf, "bare").uri, None).model.predict(None)
    assert type(predict.__self__).__module__.startswith("sklearn.")


def test_models_are_not_unpacked_where_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = tmp_path / f"fstk-models-{os.getuid()}"
    home.mkdir()
    home.chmod(0o777)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "file").write_text("x")
    packed = PackedModel.pack(tmp_path / "model")
    with pytest.raises(FstkError, match="not a folder that only this user can write"):
        packed._unpacked()
    home.chmod(0o700)
    assert (packed._unpacked() / "file").read_text() == "x"
    assert packed._unpacked() == packed._unpacked()
    assert "content" not in repr(packed)


def doubled(values: Any) -> Any:
    return np.nan_to_num(np.asarray(values, dtype=float)) * 2


class First(PYFUNC.PythonModel):
    """Predicts one of its inputs."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        return model_input["amount"]


@pytest.mark.parametrize(
    ("name", "model", "flavor"),
    [
        ("forest", RandomForestRegressor(3, random_state=0), SKLEARN),
        ("own_code", make_pipeline(FunctionTransformer(doubled), LinearRegression()), SKLEARN),
        ("python", First(), PYFUNC),
    ],
)
def test_models_of_any_kind_are_logged(
    shelf: Shelf, name: str, model: Any, flavor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a Python model imports, MLflow finds out in a process of its own, which takes its time
    monkeypatch.setattr(MLFLOW.models, "infer_pip_requirements", lambda *_, **__: [])
    training_set = trained(shelf)
    frame = training_set.to_pandas().fillna(0)
    if flavor is SKLEARN:
        model.fit(frame.drop(columns="churned"), frame["amount"])
    defaults = {"s.customers": {"spend": 0.0, "v": 0}, "s.cohorts": {"size": 0}}
    lookups = [
        FeatureLookup(
            lookup.table_name,
            lookup.lookup_key,
            feature_names=lookup.feature_names,
            rename_outputs=lookup.rename_outputs,
            timestamp_lookup_key=lookup.timestamp_lookup_key,
            default_values=defaults[lookup.table_name],
        )
        for lookup in LOOKUPS
    ]
    training_set = create_training_set(labels(), lookups, "churned", ["when", "cohort"], catalog=shelf)
    version = log_model(model, "model", flavor, training_set, name)
    rows = score(shelf, version.uri, labels(4))
    frame = pd.DataFrame(rows)[["customer_id", "amount", "spend", "v", "size"]]
    direct = model.predict(None, frame) if flavor is PYFUNC else model.predict(frame)
    assert [row["prediction"] for row in rows] == pytest.approx(list(direct))


class Adds(PYFUNC.PythonModel):
    """Predicts from a list, a struct and a map."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        rows = zip(model_input["vector"], model_input["basket"], model_input["prices"], strict=True)
        return np.array([sum(vector) + basket["items"] + dict(prices)["a"] for vector, basket, prices in rows])


def test_nested_columns_reach_the_model(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLFLOW.models, "infer_pip_requirements", lambda *_, **__: [])
    rows = range(24)
    nested = {
        "vector": pa.array([[row, 0.5] for row in rows], pa.list_(pa.float64())),
        "basket": pa.array([{"items": row, "word": "x"} for row in rows]),
        "prices": pa.array([[("a", 100.0 * row)] for row in rows], pa.map_(pa.string(), pa.float64())),
    }
    df = labels()
    for name, column in nested.items():
        df = df.append_column(name, column)
    version = log(shelf, "nested", Adds(), df, PYFUNC)
    assert [row["prediction"] for row in score(shelf, version.uri, df)] == [102 * row + 0.5 for row in rows]


def test_a_model_that_is_not_registered_scores_by_its_address(shelf: Shelf) -> None:
    training_set = trained(shelf)
    version = log_model(fitted(training_set), "unregistered", SKLEARN, training_set)
    assert (version.name, version.version, version.created) == (None, None, True)
    assert version.uri.startswith("models:/m-")
    assert len(score(shelf, version.uri, labels(3))) == 3


def test_a_model_belongs_to_the_active_run(shelf: Shelf) -> None:
    with quiet(), MLFLOW.start_run() as run:
        version = log(shelf, "in_a_run")
        assert not log(shelf, "in_a_run").created
    assert version.run_id == run.info.run_id


def test_what_of_a_model_predicts_is_said_when_it_is_logged(shelf: Shelf) -> None:
    training_set = trained(shelf)
    model = fitted(training_set)
    plain = log_model(model, "model", SKLEARN, training_set, "plain_classes")
    assert 'prediction: the class; log_model(…, predict="predict_proba") gives probabilities' in repr(plain)
    version = log_model(model, "model", SKLEARN, training_set, "plain_classes", predict="predict_proba")
    assert (version.version, version.created) == (2, True)
    assert 'the probability of True; with result_type="array<double>" those of False, True' in repr(version)
    frame = training_set.to_pandas().drop(columns="churned")
    known = model.predict_proba(frame)
    assert [row["prediction"] for row in score(shelf, version.uri, labels())] == pytest.approx(list(known[:, 1]))
    both = [row["prediction"] for row in score(shelf, version.uri, labels(), "array<double>")]
    assert np.array(both) == pytest.approx(known)
    with pytest.raises(
        InvalidInput, match=r"predict='predict_prob' is no method of Hist\w+; .* has: predict, predict_pro"
    ):
        log_model(model, "model", SKLEARN, training_set, predict="predict_prob")
    with pytest.raises(InvalidInput, match=r"predict='score': of a model of mlflow\.pyfunc, predict is called"):
        log_model(First(), "model", PYFUNC, training_set, predict="score")


@pytest.mark.parametrize(
    ("method", "result_type", "message"),
    [
        (None, "array<double>", "predicts boolean, which result_type='array<double>' does not hold; give .*'boolean'"),
        ("predict_proba", "string", "predicts array<double>, which result_type='string' does not hold"),
        ("predict_proba", "struct<a:double,b:double>", "give result_type='array<double>'"),
    ],
)
def test_a_type_that_the_model_has_not_is_refused_before_anything_runs(
    shelf: Shelf, method: str | None, result_type: str, message: str
) -> None:
    training_set = trained(shelf)
    version = log_model(fitted(training_set), "model", SKLEARN, training_set, predict=method)
    with pytest.raises(TypeMismatch, match=message):
        score_batch(version.uri, labels(), result_type, engine=DirectEngine(), catalog=shelf)


def boosted() -> Any:
    options = {"n_estimators": 20, "min_child_samples": 1, "verbose": -1, "n_jobs": 1}
    return importlib.import_module("lightgbm").LGBMRegressor(**options)


def of_boosters(rows: pd.DataFrame, target: Any) -> Any:
    lightgbm = importlib.import_module("lightgbm")
    options = {"min_data_in_leaf": 1, "verbose": -1, "num_threads": 1}
    return lightgbm.train(options, lightgbm.Dataset(rows, target), 20)


def of_xgboost(rows: pd.DataFrame, target: Any) -> Any:
    xgboost = importlib.import_module("xgboost")
    return xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, target), 20)


def of_statsmodels(rows: pd.DataFrame, target: Any) -> Any:
    return importlib.import_module("statsmodels.api").OLS(target, rows).fit()


@pytest.mark.parametrize(
    ("flavor", "fit"),
    [
        ("lightgbm", lambda rows, target: boosted().fit(rows, target)),
        ("lightgbm", of_boosters),
        ("xgboost", of_xgboost),
        ("statsmodels", of_statsmodels),
        ("sklearn", lambda rows, target: LinearRegression().fit(rows, target)),
        ("sklearn", lambda rows, target: make_pipeline(FunctionTransformer(), boosted()).fit(rows, target)),
    ],
    ids=["LightGBM", "its boosters", "XGBoost's boosters", "statsmodels", "scikit-learn", "a pipeline"],
)
def test_a_model_gets_its_columns_in_the_order_of_its_fit(shelf: Shelf, flavor: str, fit: Any) -> None:
    df = pa.table({"a b": [*map(float, range(40))], "b": [1000.0 * (row % 7) for row in range(40)]})
    training_set = create_training_set(df.append_column("y", df.column("a b")), [], "y", catalog=shelf)
    rows = training_set.to_pandas()
    model = fit(rows[["b", "a b"]], rows["y"])
    version = log_model(model, "model", importlib.import_module(f"mlflow.{flavor}"), training_set)
    assert list(version.record.inputs) == ["b", "a b"]
    scored = [row["prediction"] for row in score(shelf, version.uri, df.take([3, 20, 39]))]
    assert scored == pytest.approx([3.0, 20.0, 39.0], abs=5.0)


class Sees(PYFUNC.PythonModel):
    """Predicts the columns that it is given, in their order."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        return [" ".join(model_input.columns)] * len(model_input)


def test_a_model_that_names_no_columns_gets_the_order_of_the_example(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MLFLOW.models, "infer_pip_requirements", lambda *_, **__: [])
    df = pa.table({"a": [1, 2], "b": [3, 4], "y": [0, 1]})
    training_set = create_training_set(df, [], "y", catalog=shelf)
    for example, order in ((None, "a b"), (training_set.to_pandas()[["y", "b", "a"]], "b a")):
        uri = log_model(Sees(), "model", PYFUNC, training_set, input_example=example).uri
        assert score(shelf, uri, df, "string")[0]["prediction"] == order


@pytest.mark.parametrize("dtype", ["int8", "Int8", "uint8", "int8[pyarrow]"])
def test_a_value_outside_the_dtype_of_the_fit_is_refused(shelf: Shelf, dtype: str) -> None:
    df = pa.table({"a": [*range(40)], "y": [*map(float, range(40))]})
    training_set = create_training_set(df, [], "y", catalog=shelf)
    rows = training_set.to_pandas().astype({"a": dtype})
    model = LinearRegression().fit(rows[["a"]], rows["y"])
    uri = log_model(model, "model", SKLEARN, training_set, input_example=rows).uri
    assert score(shelf, uri, pa.table({"a": [7]}))[0]["prediction"] == pytest.approx(7.0)
    for value in (300, -200):  # which pandas makes 44 and 56
        with pytest.raises(FstkError, match=rf"a as {re.escape(dtype)}: .*{value}"):
            score(shelf, uri, pa.table({"a": [7, value]}))


def number(frame: pd.DataFrame) -> Any:
    return frame.astype("int64")


def test_a_model_is_scored_with_the_frame_that_it_was_fitted_on(shelf: Shelf) -> None:
    df = pa.table(
        {"since": pa.array([day(row) for row in range(40)], pa.timestamp("us", "UTC")), "y": [*map(float, range(40))]}
    )
    training_set = create_training_set(df, [], "y", catalog=shelf)
    own = training_set.pandas_dtypes()
    for dtypes in (own, as_spark(own, training_set.plan.schema, "UTC")):
        rows = frame_of(df, dtypes)
        model = make_pipeline(FunctionTransformer(number), DecisionTreeRegressor(random_state=0)).fit(
            rows[["since"]], rows["y"]
        )
        version = log_model(model, "model", SKLEARN, training_set)
        scored = score(shelf, version.uri, df.select(["since"]).take([3, 20, 39]))
        assert [row["prediction"] for row in scored] == [3.0, 20.0, 39.0]


class Unit(PYFUNC.PythonModel):
    """Predicts what the dtype of its input says, which no label can confirm."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        return [str(model_input["since"].dtype)] * len(model_input)


def test_where_nothing_tells_the_frame_the_caller_does(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLFLOW.models, "infer_pip_requirements", lambda *_, **__: [])
    df = pa.table({"since": pa.array([day(1)], pa.timestamp("us", "UTC")), "cohort": ["old"]})
    training_set = create_training_set(df, [], None, catalog=shelf)

    def seen(**more: Any) -> str:
        version = log_model(Unit(), "model", PYFUNC, training_set, **more)
        return score(shelf, version.uri, df, "string")[0]["prediction"]

    assert seen() == "datetime64[us, UTC]"  # load_df() was never asked
    training_set.zone = "America/New_York"
    with pytest.raises(
        InvalidInput, match=r"since: load_df\(\)\.toPandas\(\) gives datetime64\[ns\], .* input_example="
    ):
        seen()
    rows = training_set.to_pandas()
    assert seen(input_example=rows) == "datetime64[us, UTC]"
    naive = rows.assign(
        since=rows["since"].dt.tz_convert("America/New_York").dt.tz_localize(None).astype("datetime64[ns]")
    )
    assert seen(input_example=naive) == "datetime64[ns]"
    with pytest.raises(UnknownColumn, match="input_example lacks cohort"):
        seen(input_example=rows[["since"]])
    with pytest.raises(InvalidInput, match="input_example must be the pandas frame .* got Table"):
        seen(input_example=df)
    with pytest.raises(InvalidInput, match="categories of type Interval cannot be made again"):
        seen(input_example=rows.assign(cohort=pd.cut([1.0], 3)))


def test_a_column_of_the_caller_stands_for_a_feature_that_its_table_has_lost(shelf: Shelf) -> None:
    version = log(shelf, "lost")
    df = (
        labels(6)
        .select(["customer_id", "amount", "when", "cohort"])
        .append_column("size", pa.array([40, 2] * 3, pa.int32()))
    )
    before = score(shelf, version.uri, df)
    shelf.cohorts.schema = {"cohort": "string"}
    assert score(shelf, version.uri, df) == before
    with pytest.raises(UnknownColumn, match="has no feature size"):
        score(shelf, version.uri, df.drop_columns("size"))


@pytest.mark.parametrize("flavor", ["sklearn", None, json, MLFLOW])
def test_a_flavor_is_a_module_of_mlflow(shelf: Shelf, flavor: Any) -> None:
    training_set = trained(shelf)
    with pytest.raises(InvalidInput, match=r"flavor must be an MLflow module, such as mlflow\.sklearn"):
        log_model(fitted(training_set), "model", flavor, training_set)
    with pytest.raises(InvalidInput, match="training_set must be a TrainingSet; got DataFrame"):
        log_model(object(), "model", SKLEARN, training_set.to_pandas())  # type: ignore[arg-type]


def test_mlflow_says_nothing(shelf: Shelf, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    training_set = trained(shelf)
    model = fitted(training_set)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/new.db")
        patch.delenv("MLFLOW_EXPERIMENT_NAME")
        version = log_model(model, "model", SKLEARN, training_set, "silent")
        score(shelf, version.uri, labels(3))
    assert capfd.readouterr() == ("", "")


def test_mlflow_is_imported_when_it_is_needed() -> None:
    script = (
        "import sys, fstk.models.score, fstk.models.log\n"
        "print([name for name in ('mlflow', 'pyspark', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.spark
@pytest.mark.transport
def test_spark_scores_as_the_direct_engine_does(shelf: Shelf, spark_engine: Any) -> None:
    version = log(shelf, f"on_{spark_engine.name}")
    direct = score(shelf, version.uri, labels(40))
    df = spark_engine.frame(labels(40), "df").repartition(3)
    scored_df = score_batch(version.uri, df, catalog=shelf)
    assert scored_df.dtypes[-1] == ("prediction", "double")
    rows = spark_engine.arrow(scored_df).to_pylist()
    assert sorted(map(repr, rows)) == sorted(map(repr, direct))


@pytest.mark.spark
def test_spark_labels_register_the_same_model_once(shelf: Shelf, spark_engine: Any) -> None:
    name = f"spark_labels_{spark_engine.name}"
    df = spark_engine.frame(labels(), "df")
    versions = []
    for frame in (df, df.orderBy("amount", ascending=False), df.limit(20)):
        training_set = create_training_set(frame, LOOKUPS, "churned", ["when", "cohort"], catalog=shelf)
        versions.append(log_model(fitted(trained(shelf)), "model", SKLEARN, training_set, name))
    assert [(version.version, version.created) for version in versions] == [(1, True), (1, False), (2, True)]
