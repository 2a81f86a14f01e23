"""Which models may be loaded: to unpickle one is to run the code of whoever wrote its files.

Loaded is a model whose files are those that ``log_model`` noted at the tracking server or in the registry; one of
scikit-learn's own types in the format of skops, which holds no code; and one that the setting ``trusted_models`` names.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from fstk import settings
from fstk.errors import InvalidInput, UnknownModel, UntrustedModel
from fstk.models.mlflow_calls import store
from fstk.models.registry import LoggedModel
from fstk.models.saved import described
from fstk.optional import need

FILES = "fstk.files"
"""Tag of a logged model and of a model version: the digest of its files."""
_DESCRIPTION = "MLmodel"  # of which only the flavors count: MLflow writes numbers and times into it
_NOT_LOADED = {
    _DESCRIPTION,
    "conda.yaml",
    "environment_variables.txt",
    "metadata",
    "python_env.yaml",
    "registered_model_meta",
    "requirements.txt",
}
_OWN = "sklearn."


def digest(folder: Path, name: str) -> str:
    """Return a digest of what of the folder of a model ``name`` is loaded: its flavors, and files by name and bytes."""
    made = hashlib.sha256(json.dumps(described(folder, name).flavors, sort_keys=True, default=str).encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = file.relative_to(folder)
        if place.parts[0] not in _NOT_LOADED:
            made.update(f"\n{place.as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return made.hexdigest()


def check(folder: Path, found: LoggedModel, name: str) -> None:
    """Raise UntrustedModel unless the model in ``folder``, fetched from ``found``, may be loaded, or InvalidInput where
    its description is damaged."""
    if {name, found.uri, found.name} & set(settings.load().trusted_models):
        return
    noted = found.tags.get(FILES) or _noted(described(folder, name).model_id)
    cure = f"If you know who wrote it, name it: FSTK_TRUSTED_MODELS={found.name or found.uri}."
    if noted is not None and digest(folder, name) != noted:
        raise UntrustedModel(f"the files of {name} are not those that were logged. {cure}")
    if noted is None and not _without_code(described(folder, name).flavors):
        raise UntrustedModel(f"{name} runs code when it is loaded, and fstk did not log it here. {cure}")


def _noted(number: str | None) -> str | None:
    """Return the digest that the tracking server has of the files of a logged model, None where it knows neither."""
    if not number:
        return None
    try:
        with store():
            return need("mlflow").MlflowClient().get_logged_model(number).tags.get(FILES)
    except (UnknownModel, InvalidInput):  # it is of another server
        return None


def _without_code(flavors: dict[str, Any]) -> bool:
    python, sklearn = flavors.get("python_function", {}), flavors.get("sklearn", {})
    return (
        python.get("loader_module") == "mlflow.sklearn"
        and not python.get("code")
        and not python.get("data")  # which is read by a description beside it
        and not sklearn.get("code")
        and sklearn.get("serialization_format") == "skops"
        and all(str(kind).startswith(_OWN) for kind in sklearn.get("skops_trusted_types") or ())
    )
