"""Who uses a feature table, as far as the model registry and the online store of the settings tell."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from fstk import settings
from fstk.errors import FstkError, Infrastructure, Redefined
from fstk.models.registry import LoggedModel, Registry
from fstk.models.spec import FILE, read_record
from fstk.online.spec import open_store

_MOST = 50  # registered models that are looked into


@contextmanager
def users_told() -> Iterator[None]:
    """Let a refusal to redefine features tell which models and online tables use them."""
    try:
        yield
    except Redefined as refusal:
        found = [*online(refusal.table), *models(refusal.table)]
        said = f"Used by {', '.join(found)}." if found else "No registered model or online table is known to use it."
        raise Redefined(f"{refusal}\n{said}", refusal.table) from refusal


def online(table: str) -> list[str]:
    """Return the online table of that name, if the settings' store has it."""
    try:
        with open_store(None) as store:
            return [f"its online table in {store.url}"] if store.table(table) is not None else []
    except Infrastructure as error:
        return [f"perhaps an online table ({error})"]


def models(table: str) -> list[str]:
    """Return the registered model versions, of each model the newest, that were trained on ``table``."""
    if not _registry_known():
        return []
    registry, found = Registry(None), []
    try:
        for name in registry.names()[:_MOST]:
            newest = registry.find(f"models:/{name}/latest")
            if table in _tables_of(registry, newest):
                found.append(f"model {newest.name} v{newest.version}")
    except Infrastructure as error:
        found.append(f"perhaps models ({error})")
    return found


def _tables_of(registry: Registry, model: LoggedModel) -> Collection[str]:
    with tempfile.TemporaryDirectory(prefix="fstk-model-") as folder:
        try:
            registry.fetch(LoggedModel(f"{model.uri}/{FILE}"), Path(folder))
            return read_record(Path(folder), model.uri).tables
        except Infrastructure:
            raise
        except FstkError:  # logged by others than fstk: it has no such file
            return ()


def _registry_known() -> bool:
    """Tell whether there is a registry to ask; one that is not there is not made for the question."""
    if {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"} & set(os.environ) or settings.load().engine == "databricks":
        return True
    return any((settings.root() / name).exists() for name in ("mlflow.db", "mlruns"))
