"""Packages that only some verbs need: imported at the verb, or answered with the line that installs them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from fstk.errors import MissingPackage

_MODULES = {
    "spark": ("pyspark", "grpc", "pandas"),
    "databricks": ("databricks", "databricks.connect", "databricks.sdk"),
    "jobs": ("papermill",),
    "models": ("mlflow", "cloudpickle", "skops", "sklearn", "sqlalchemy"),
    "monitoring": ("evidently", "scipy"),
    "notebook": ("ipywidgets",),
    "redis": ("redis", "redis_entraid", "hiredis"),
    "cosmos": ("azure.cosmos", "azure.core.exceptions", "azure.identity"),
    "postgres": ("psycopg",),
    "keyvault": ("azure.keyvault.secrets",),
    "serving": ("starlette", "uvicorn", "prometheus_client"),
}
_EXTRAS = {module: extra for extra, modules in _MODULES.items() for module in modules}


def need(module: str) -> ModuleType:
    """Import and return ``module``, else raise MissingPackage, whose message is the pip line of the extra it is in."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(module) or _EXTRAS.get(error.name or "")
        if extra is None or not module.startswith(str(error.name)):
            raise
        raise MissingPackage(f"{module} is not installed.   pip install 'fstk[{extra}]'") from error


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let what is imported meanwhile find no ``module``, where it is not loaded yet; afterwards it is there again.

    >>> with without("this"):
    ...     import this
    Traceback (most recent call last):
    ModuleNotFoundError: import of this halted; None in sys.modules
    """
    loaded = sys.modules.setdefault(module, None)  # type: ignore[arg-type]  None is how Python says: not there
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[module]
