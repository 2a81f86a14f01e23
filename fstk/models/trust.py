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
from fstk.errors import FstkError, UntrustedModel
from fstk.models.mlflow_calls import quiet, store
from fstk.models.registry import LoggedModel
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


def digest(folder: Path) -> str:
    """Return a digest of what of a model's folder is loaded: its flavors and files, by their names and bytes."""
    made = hashlib.sha256(json.dumps(_flavors(folder), sort_keys=True, default=str).encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder)
        if name.parts[0] not in _NOT_LOADED:
            made.update(f"\n{name.as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return made.hexdigest()


def check(folder: Path, found: LoggedModel, name: str) -> None:
    """Raise UntrustedModel unless the model in ``folder``, fetched from ``found``, may be loaded."""
    if {name, found.uri, found.name} & set(settings.load().trusted_models):
        return
    noted = [found.tags[FILES]] if FILES in found.tags else _noted(folder)
    cure = f"If you know who wrote it, name it: FSTK_TRUSTED_MODELS={found.name or found.uri}."
    if noted and digest(folder) not in noted:
        raise UntrustedModel(f"the files of {name} are not those that were logged. {cure}")
    if not noted and not _without_code(_flavors(folder)):
        raise UntrustedModel(f"{name} runs code when it is loaded, and fstk did not log it here. {cure}")


def _noted(folder: Path) -> list[str]:
    """Return the digest that the tracking server has of the logged model in ``folder``, if it knows the model."""
    try:
        with store():
            number = need("mlflow.models").Model.load(str(folder)).model_id
            tags = need("mlflow").MlflowClient().get_logged_model(number).tags if number else {}
    except FstkError:  # of another server
        return []
    return [tags[FILES]] if FILES in tags else []


def _flavors(folder: Path) -> dict[str, Any]:
    with quiet():
        return need("mlflow.models").Model.load(str(folder)).flavors


def _without_code(flavors: dict[str, Any]) -> bool:
    python, sklearn = flavors.get("python_function", {}), flavors.get("sklearn", {})
    return (
        python.get("loader_module") == "mlflow.sklearn"
        and not python.get("code")
        and not sklearn.get("code")
        and sklearn.get("serialization_format") == "skops"
        and all(str(kind).startswith(_OWN) for kind in sklearn.get("skops_trusted_types") or ())
    )
