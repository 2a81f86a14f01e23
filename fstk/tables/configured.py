"""The catalog that the settings name, and the tables of its folder."""

from __future__ import annotations

from dataclasses import replace

from fstk import settings
from fstk.engines.base import TableVersion
from fstk.engines.spark import SparkEngine
from fstk.errors import InvalidInput, UnknownTable
from fstk.tables.catalog import Catalog
from fstk.tables.folder import FolderCatalog
from fstk.tables.local import names_in
from fstk.tables.records import Records
from fstk.tables.unity import UnityCatalog
from fstk.warehouse import table_name


def open_catalog(engine: SparkEngine | None = None) -> Catalog:
    """Return Unity Catalog for the engine ``databricks``, else the folder of the setting ``warehouse``.

    ``engine`` is what writes to it; without one, the session of ``fstk.connect()``.
    """
    loaded = settings.load()
    if (engine.name if engine is not None else loaded.engine) == "databricks":
        return UnityCatalog(engine)
    return FolderCatalog(loaded.warehouse, engine)


def open_records(kind: str, called: str, engine: SparkEngine | None = None) -> Records:
    """Return the texts of one kind that are kept beside the tables, ``called`` so in errors; InvalidInput: the tables
    are in Unity Catalog, which keeps none."""
    catalog = open_catalog(engine)
    if not isinstance(catalog, FolderCatalog):
        raise InvalidInput(
            f"a {called} is kept in a warehouse folder; Unity Catalog keeps none yet. Give the lookups themselves."
        )
    return Records(catalog.warehouse, kind, called)


def local_table(name: str) -> TableVersion | None:
    """Return the Delta table of that name in the local warehouse at its newest version, None where there is none.

    It is called as it was asked for, with or without its schema. Raises InvalidName and DamagedTable.
    """
    catalog = open_catalog()
    if not isinstance(catalog, FolderCatalog):
        return None
    try:
        return replace(catalog.find(name), name=table_name(name))
    except UnknownTable:
        return None


def local_names() -> list[str]:
    """Return the names of the Delta tables of the local warehouse, feature tables and others, as short as can be."""
    catalog = open_catalog()
    found = names_in(catalog.warehouse) if isinstance(catalog, FolderCatalog) else []
    return [name.removeprefix("default.") for name in found]
