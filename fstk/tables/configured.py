"""The catalog that the settings name."""

from __future__ import annotations

from fstk import settings
from fstk.engines.spark import SparkEngine
from fstk.tables.catalog import Catalog
from fstk.tables.folder import FolderCatalog
from fstk.tables.unity import UnityCatalog


def open_catalog(engine: SparkEngine | None = None) -> Catalog:
    """Return Unity Catalog for the engine ``databricks``, else the folder of the setting ``warehouse``.

    ``engine`` is what writes to it; without one, the session of ``fstk.connect()``.
    """
    loaded = settings.load()
    if (engine.name if engine is not None else loaded.engine) == "databricks":
        return UnityCatalog(engine)
    return FolderCatalog(loaded.warehouse, engine)
