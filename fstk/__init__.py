"""fstk: a feature store at home in Jupyter. Names are imported when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fstk.client import FeatureEngineeringClient
    from fstk.engines.connect import connect
    from fstk.jobs.job import job
    from fstk.jobs.secret import Secret
    from fstk.notebook.magics import load_ipython_extension
    from fstk.online.spec import SQLiteSpec
    from fstk.tables.spec import FeatureTable
    from fstk.training.spec import FeatureLookup
    from fstk.training.training_set import TrainingSet
    from fstk.windows.presets import create_time_windowed_features
    from fstk.windows.spec import Aggregate, Calendar, WindowedFeatures

__all__ = [
    "Aggregate",
    "Calendar",
    "FeatureEngineeringClient",
    "FeatureLookup",
    "FeatureTable",
    "SQLiteSpec",
    "Secret",
    "TrainingSet",
    "WindowedFeatures",
    "connect",
    "create_time_windowed_features",
    "job",
    "load_ipython_extension",
]

_HOMES = {
    "Aggregate": "fstk.windows.spec",
    "Calendar": "fstk.windows.spec",
    "FeatureEngineeringClient": "fstk.client",
    "FeatureLookup": "fstk.training.spec",
    "FeatureTable": "fstk.tables.spec",
    "SQLiteSpec": "fstk.online.spec",
    "Secret": "fstk.jobs.secret",
    "TrainingSet": "fstk.training.training_set",
    "WindowedFeatures": "fstk.windows.spec",
    "connect": "fstk.engines.connect",
    "create_time_windowed_features": "fstk.windows.presets",
    "job": "fstk.jobs.job",
    "load_ipython_extension": "fstk.notebook.magics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fstk' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
