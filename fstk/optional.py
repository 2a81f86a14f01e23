"""Packages that only some verbs need: imported at the verb, or answered with the line that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from fstk.errors import MissingPackage

_EXTRAS = {
    "pyspark": "spark",
    "grpc": "spark",
    "pandas": "spark",
    "databricks": "databricks",
    "databricks.connect": "databricks",
    "databricks.sdk": "databricks",
    "papermill": "jobs",
    "mlflow": "models",
    "cloudpickle": "models",
    "skops": "models",
    "evidently": "monitoring",
    "scipy": "monitoring",
    "ipywidgets": "notebook",
}


def need(module: str) -> ModuleType:
    """Import and return ``module``.

    Raises:
        MissingPackage: it is not installed; the message is the pip line of the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None or not module.startswith(str(error.name)):
            raise
        raise MissingPackage(f"{module} is not installed.   pip install 'fstk[{extra}]'") from error
