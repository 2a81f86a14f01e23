"""Training set and fitted model → a logged, registered model that knows how to find its features."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk import journal
from fstk.display import Displayed, Sheet
from fstk.engines.choice import session_for
from fstk.engines.frames import is_spark
from fstk.errors import InvalidInput
from fstk.models import saved
from fstk.models.registry import Registry
from fstk.models.spec import FILE, ModelRecord
from fstk.training.rows import as_pandas
from fstk.training.training_set import TrainingSet

_SAMPLE = 5  # label rows whose predictions give the type of the model's output


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
        features = set(self.record.plan.features)
        rows = [(name, kind, "feature" if name in features else "labels") for name, kind in self.record.inputs.items()]
        tables = ", ".join(f"{table} v{version}" for table, version in self.record.tables.items())
        notes = [f"features of {tables}", f"address: {self.uri}"]
        return Sheet(f"{title}{known}", ("input", "type", "from"), rows, notes)


def log_model(
    model: Any,
    artifact_path: str,
    flavor: Any,
    training_set: TrainingSet,
    registered_model_name: str | None = None,
    *,
    model_registry_uri: str | None = None,
) -> ModelVersion:
    """Log a fitted model together with the feature lookups of its training set; see
    ``FeatureEngineeringClient.log_model``.

    The model is saved by its flavor, with ``feature_lookups.json`` (:class:`ModelRecord`) among its files, and a
    signature from the training set. The same model, by its bytes, of the same plan and labels is registered once.
    """
    if not isinstance(training_set, TrainingSet):
        raise InvalidInput(f"training_set must be a TrainingSet; got {type(training_set).__name__}.")
    record = ModelRecord(training_set.plan, training_set.as_known)
    registry = Registry(model_registry_uri)
    with tempfile.TemporaryDirectory(prefix="fstk-model-") as temporary:
        folder = Path(temporary) / "model"
        content = saved.save(model, flavor, folder)
        whole = "\n".join((record.digest, _labels_digest(training_set), content))
        digest = hashlib.sha256(whole.encode()).hexdigest()
        if registered_model_name is not None:
            same = registry.with_digest(registered_model_name, digest)
            if same is not None:
                journal.note("model", registered_model_name, same.version, 0)
                return ModelVersion(same.name, same.version, same.uri, same.run_id, False, record)
        saved.sign(folder, record.inputs, as_pandas(_sample(training_set).select(list(record.inputs))))
        (folder / FILE).write_text(record.to_json(), encoding="utf-8")
        uri, run_id = saved.log(folder, artifact_path, flavor.__name__.removeprefix("mlflow."))
    if registered_model_name is None:
        journal.note("model", artifact_path, None, None)
        return ModelVersion(None, None, uri, run_id, True, record)
    found = registry.register(registered_model_name, uri, run_id, digest)
    journal.note("model", registered_model_name, found.version, None)
    return ModelVersion(found.name, found.version, found.uri, run_id, True, record)


def _sample(training_set: TrainingSet) -> pa.Table:
    """Return a few rows of the training set, looked up from a few of its labels."""
    labels: Any = training_set.labels
    few = session_for(labels).arrow(labels.limit(_SAMPLE)) if is_spark(labels) else labels.slice(0, _SAMPLE)
    return TrainingSet(training_set.plan, few, training_set.as_known, training_set.session).to_arrow()


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
