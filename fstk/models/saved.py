"""Models as folders in MLflow's format: saved by a flavor, signed, logged, loaded."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import yaml

from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput
from fstk.models.mlflow_calls import quiet, store
from fstk.optional import need

if TYPE_CHECKING:
    import pandas

Predict = Callable[["pandas.DataFrame"], Any]

_DESCRIPTION = "MLmodel"
_SKLEARN = "mlflow.sklearn"
_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")
_SIGNED = {pa.bool_(): "boolean", pa.float32(): "float", pa.string(): "string", pa.binary(): "binary"}
"""MLflow's types beside datetime, others double, integers too, as MLflow advises where values may be missing."""


def save(model: Any, flavor: Any, folder: Path, method: str | None = None) -> str:
    """Save ``model`` into ``folder`` and return the digest of its content. The requirements are the flavor's own,
    unless it is ``mlflow.pyfunc``, for which MLflow looks what the model imports. InvalidInput: ``flavor`` saves no
    models, or the model has no ``method``."""
    name = getattr(flavor, "__name__", "")
    if not callable(getattr(flavor, "save_model", None)) or not name.startswith("mlflow"):
        raise InvalidInput(f"flavor must be an MLflow module, such as mlflow.sklearn; got {flavor!r}.")
    if method is not None:
        _check_method(model, name, method)
    with quiet():
        if name == "mlflow.pyfunc":
            flavor.save_model(str(folder), python_model=model)
        else:
            options = _for_sklearn(model) if name == _SKLEARN else {}
            if name == _SKLEARN and method is not None:
                options["pyfunc_predict_fn"] = method
            flavor.save_model(model, str(folder), pip_requirements=flavor.get_default_pip_requirements(), **options)
    return _digest(model, folder)


def _check_method(model: Any, flavor: str, method: str) -> None:
    if flavor == "mlflow.pyfunc":
        raise InvalidInput(f"predict={method!r}: of a model of mlflow.pyfunc, predict is called; call {method} in it.")
    if not isinstance(method, str) or not callable(getattr(model, method, None)):
        known = [name for name in _METHODS if callable(getattr(model, name, None))]
        raise InvalidInput(
            f"predict={method!r} is no method of {type(model).__name__}; of those that predict it has: "
            f"{', '.join(known) or 'none'}."
        )


def _for_sklearn(model: Any) -> dict[str, Any]:
    """Say skops, which runs no code when loaded, where all types are scikit-learn's and NumPy's; else cloudpickle."""
    skops = need("skops.io")
    foreign = skops.get_untrusted_types(data=skops.dumps(model))
    if all(kind.startswith("sklearn.") for kind in foreign):
        return {"serialization_format": "skops", "skops_trusted_types": foreign}
    return {"serialization_format": "cloudpickle"}


def _digest(model: Any, folder: Path) -> str:
    """Return a digest of the model, of its pickled form where it has one: files may hold times and memory addresses."""
    try:
        return hashlib.sha256(need("cloudpickle").dumps(model)).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError):
        digest = hashlib.sha256()
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _DESCRIPTION):
            digest.update(file.read_bytes())
        return digest.hexdigest()


def sign(folder: Path, inputs: Schema, sample: pandas.DataFrame, predicted: Any) -> None:
    """Write the model's signature: its inputs by type, its output as it ``predicted`` for ``sample``, where MLflow has
    a type for that."""
    schema = need("mlflow.types.schema")
    models = need("mlflow.models")
    with quiet():
        columns = [schema.ColSpec(_signed(arrow_type(kind), schema), name) for name, kind in inputs.items()]
        outputs = None
        with suppress(need("mlflow.exceptions").MlflowException, TypeError, ValueError):
            outputs = models.infer_signature(sample, predicted).outputs
        description = models.Model.load(str(folder))
        description.signature = models.ModelSignature(schema.Schema(columns), outputs)
        description.save(str(folder / _DESCRIPTION))


def _signed(kind: pa.DataType, schema: Any) -> Any:
    if isinstance(kind, pa.ListType):
        return schema.Array(_signed(kind.value_type, schema))
    if isinstance(kind, pa.StructType):
        return schema.Object([schema.Property(field.name, _signed(field.type, schema)) for field in kind])
    if isinstance(kind, pa.MapType):
        return schema.Map(_signed(kind.item_type, schema))
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        return "datetime"
    return _SIGNED.get(kind, "double")


def log(folder: Path, name: str, flavor: str, tags: dict[str, str]) -> tuple[str, str | None]:
    """Log the model saved in ``folder``, under the active run if there is one; return its address and the run."""
    with store():
        models = need("mlflow.models")
        info = models.Model.log(None, _Copy(folder), name=name, flavor_name=flavor, tags=tags)
        return info.model_uri, info.run_id


class _Copy:
    """Stands in for a flavor when MLflow logs: the model was saved before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save_model(self, path: str, mlflow_model: Any) -> None:
        saved = need("mlflow.models").Model.load(str(self._folder))
        shutil.copytree(self._folder, path)
        mlflow_model.flavors = saved.flavors
        mlflow_model.signature = saved.signature
        mlflow_model.save(str(Path(path) / _DESCRIPTION))


def described(folder: Path, name: str) -> Any:
    """Return MLflow's description of the model ``name`` in a folder; InvalidInput where it is damaged."""
    with quiet():
        try:
            found = need("mlflow.models").Model.load(str(folder))
            if isinstance(found.flavors, dict) and all(isinstance(one, dict) for one in found.flavors.values()):
                return found
            raise TypeError("its flavors are none")
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise InvalidInput(
                f"{_DESCRIPTION} of {name} is damaged ({type(error).__name__}); fetch the model's files anew, or log "
                "it again."
            ) from error


def load(folder: Path, method: str | None = None) -> Predict:
    """Return what predicts from a pandas frame, ``method`` of the model itself or else what its flavor calls. Columns
    and types are the caller's duty: MLflow's own check is left out, as it refuses integers where a batch has nulls,
    instants with a zone, decimals."""
    with quiet():
        function = need("mlflow.models").Model.load(str(folder)).flavors.get("python_function", {})
        module = function.get("loader_module")
        if method is None and module == _SKLEARN:
            method = "predict"  # which MLflow calls, too, after more steps
        if method is not None:
            return getattr(need(module).load_model(str(folder)), method)
        loaded = need("mlflow.pyfunc").load_model(str(folder))
    loaded.metadata.signature = None
    return loaded.predict
