"""Training set and fitted model → a logged, registered model that knows how to find its features."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fstk import journal
from fstk.columns.values import plain
from fstk.display import Displayed, Sheet
from fstk.engines.choice import session_for
from fstk.engines.frames import is_spark
from fstk.engines.sql.expressions import WITH_SPARK, compiled
from fstk.engines.types import spark_type
from fstk.errors import BadExpression, InvalidInput
from fstk.models import inputs, saved, trust
from fstk.models.registry import DIGEST, Registry
from fstk.models.spec import FILE, PROBABILITIES, ModelRecord
from fstk.progress import at_work
from fstk.training.plan import TrainingPlan
from fstk.training.training_set import TrainingSet


@dataclass(frozen=True, repr=False)
class ModelVersion(Displayed):
    """A logged model; ``name`` and ``version`` are None when it was not registered, ``score_batch`` takes its ``uri``.

    ``created`` is False where the same model of the same training set had been registered before: then that version
    is meant, and nothing was logged.
    """

    name: str | None
    version: int | None
    uri: str
    run_id: str | None
    created: bool
    record: ModelRecord

    def display(self) -> Sheet:
        """Return the model's inputs with their types and where they come from."""
        title = self.uri if self.name is None else f"{self.name} v{self.version}"
        known = "" if self.created else " · the same as before, nothing logged"
        origin = dict.fromkeys(self.record.plan.features, "feature")
        origin |= {one.name: "function" for one in self.record.plan.functions}
        rows = [(name, kind, origin.get(name, "labels")) for name, kind in self.record.inputs.items()]
        tables = ", ".join(f"{table} v{version}" for table, version in self.record.tables.items())
        notes = [f"features of {tables}", f"address: {self.uri}", *self._told()]
        return Sheet(f"{title}{known}", ("input", "type", "from"), rows, notes)

    def _told(self) -> list[str]:
        """Return what a prediction of a classifier is."""
        classes = self.record.classes
        if len(classes) == 0:
            return []
        if self.record.method is None:
            return [f'prediction: the class; log_model(…, predict="{PROBABILITIES}") gives probabilities']
        if self.record.method != PROBABILITIES:
            return []
        listed = ", ".join(map(str, classes))
        second = f"the probability of {classes[1]}; " if len(classes) == 2 else ""
        return [f'prediction: {second}with result_type="array<double>" those of {listed}']


@at_work("logging the model")
def log_model(
    model: Any,
    artifact_path: str,
    flavor: Any,
    training_set: TrainingSet,
    registered_model_name: str | None = None,
    *,
    predict: str | None = None,
    input_example: Any = None,
    model_registry_uri: str | None = None,
) -> ModelVersion:
    """Log a fitted model together with the feature lookups of its training set; see
    ``FeatureEngineeringClient.log_model``.

    The model is saved by its flavor, with ``feature_lookups.json`` (:class:`ModelRecord`) among its files, and a
    signature from the training set. The same model, by its bytes, of the same record and labels is registered once.
    """
    if not isinstance(training_set, TrainingSet):
        raise InvalidInput(f"training_set must be a TrainingSet; got {type(training_set).__name__}.")
    _check_functions(training_set.plan)
    registry = Registry(model_registry_uri)
    with tempfile.TemporaryDirectory(prefix="fstk-model-") as temporary:
        folder = Path(temporary) / "model"
        content = saved.save(model, flavor, folder, predict)
        record = ModelRecord(training_set.plan, training_set.as_known, {}, predict)
        columns = inputs.in_order(record.inputs, model, input_example)
        fitted = inputs.learn(saved.load(folder, predict), training_set, columns, input_example)
        answers, classes = spark_type(fitted.answers.type), _classes(model)
        record = replace(record, dtypes=fitted.dtypes, answers=answers, classes=classes)
        whole = "\n".join((record.digest, _labels_digest(training_set), content))
        digest = hashlib.sha256(whole.encode()).hexdigest()
        if registered_model_name is not None:
            same = registry.with_digest(registered_model_name, digest)
            if same is not None:
                registry.link(same)
                journal.note("model", registered_model_name, same.version, 0)
                return ModelVersion(same.name, same.version, same.uri, same.run_id, False, record)
        saved.sign(folder, record.inputs, fitted.sample, fitted.predicted)
        (folder / FILE).write_text(record.to_json(), encoding="utf-8")
        files = trust.digest(folder, artifact_path)
        uri, run_id = saved.log(folder, artifact_path, flavor.__name__.removeprefix("mlflow."), {trust.FILES: files})
    if registered_model_name is None:
        journal.note("model", artifact_path, None, None)
        return ModelVersion(None, None, uri, run_id, True, record)
    found = registry.register(registered_model_name, uri, run_id, {DIGEST: digest, trust.FILES: files})
    journal.note("model", registered_model_name, found.version, None)
    return ModelVersion(found.name, found.version, found.uri, run_id, True, record)


def _check_functions(plan: TrainingPlan) -> None:
    """Refuse functions that only Spark evaluates: scoring would need it for every row that is asked for."""
    for one in plan.functions:
        try:
            compiled(plan.types, one.expression)
        except BadExpression as error:
            why = str(error).removesuffix(WITH_SPARK)
            raise BadExpression(
                f"FeatureFunction {one.name} cannot be logged with a model, which computes it without Spark: {why} "
                "Make that part a column of a feature table, or write it otherwise."
            ) from error


def _classes(model: Any) -> tuple[Any, ...]:
    """Return the classes of a classifier, empty where it does not say them or they are no plain values."""
    if not callable(getattr(model, PROBABILITIES, None)):
        return ()
    found = [plain(value) for value in np.asarray(getattr(model, "classes_", ())).ravel()]
    return tuple(found) if all(isinstance(value, str | int | float) for value in found) else ()


def _labels_digest(training_set: TrainingSet) -> str:
    """Return a digest of the labels, the same in any order of the rows: what the order did is in the model."""
    labels: Any = training_set.labels
    if is_spark(labels):
        engine = session_for(labels)
        row = "CAST(xxhash64(to_json(struct(*), map('ignoreNullFields', 'false'))) AS DECIMAL(38,0))"
        sums = engine.select(labels, {"hash": row}).selectExpr("count(*) AS rows", "sum(hash) AS hashes")
        return str(engine.arrow(sums).to_pylist())
    import polars  # heavy, and only needed here

    frame = polars.from_arrow(labels)
    assert isinstance(frame, polars.DataFrame)
    return str([frame.height, *(frame.hash_rows(seed).sum() for seed in (0, 1))])
