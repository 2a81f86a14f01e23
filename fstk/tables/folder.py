"""A catalog that is a folder of Delta tables: read without Spark, written through it."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fstk import settings, warehouse
from fstk.engines.base import TableVersion
from fstk.engines.spark import SparkEngine
from fstk.engines.types import quoted_name
from fstk.errors import InvalidInput, TableExists, UnsupportedTable
from fstk.tables import local
from fstk.tables.catalog import Catalog
from fstk.tables.definition import Definitions
from fstk.tables.history import Version
from fstk.tables.lock import PATIENCE
from fstk.tables.spec import FeatureTable, TableDefinition
from fstk.tables.write import create

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class FolderCatalog(Catalog):
    """Feature tables at ``<warehouse>/<schema>/<table>`` or ``<warehouse>/<catalog>/<schema>/<table>``.

    A name of one part lies in the schema ``default``. A writer waits ``patience`` seconds for another.
    """

    def __init__(self, warehouse: Path, engine: SparkEngine | None = None, patience: float = PATIENCE) -> None:
        super().__init__(engine)
        self._patience = patience
        self.warehouse = warehouse.expanduser().absolute()

    def full_name(self, name: str) -> str:
        name = warehouse.table_name(name)
        return name if "." in name else f"default.{name}"

    @property
    def where(self) -> str:
        return settings.looked_in(self.warehouse)

    def _names(self) -> list[str]:
        return local.names_in(self.warehouse)

    def _read(self, name: str) -> FeatureTable | None:
        folder = self._folder(name)
        try:
            return local.read(name, folder)
        except UnsupportedTable:  # delta-rs does not even open it
            table = super()._read(name)
            return None if table is None else replace(table, location=str(folder))

    def _located(self, name: str) -> TableVersion | None:
        folder = self._folder(name)
        if not local.is_table(folder):
            return None
        try:
            return TableVersion(name, str(folder), local.newest(name, folder))
        except UnsupportedTable:
            return TableVersion(name, str(folder))

    def _history(self, name: str) -> list[Version]:
        try:
            return local.history(name, self._folder(name))
        except UnsupportedTable:
            return super()._history(name)

    def _sql(self, name: str) -> str:
        return _path(self._folder(name))

    def _folder(self, name: str) -> Path:
        return warehouse.folder(self.warehouse, name)

    def _writing(self, name: str) -> AbstractContextManager[None]:
        return local.writing(self.warehouse, name, self._folder(name), self._patience)

    def _create(self, engine: SparkEngine, definition: TableDefinition, frame: DataFrame, defined: Definitions) -> int:
        """Create the table beside its place and move it there whole: one interrupted half-way is never seen."""
        name, folder = definition.name, self._folder(definition.name)
        if (folder / local.LOG).exists():
            raise TableExists(f"{name}: a Delta table that is no feature table is at {folder}; choose another name.")
        held = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
        if held:
            shown = ", ".join(held[:3]) + (", …" if len(held) > 3 else "")
            raise InvalidInput(f"{name}: {folder} holds other files ({shown}); move them, or choose another name.")
        made = _aside(folder, "created")
        try:
            counts = create(engine, _path(made), definition, frame, defined)
            made.replace(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return counts.rows

    def _remove(self, name: str) -> None:
        remove(self._folder(name))


def remove(folder: Path) -> None:
    """Remove a table's folder, for the lock's holder."""
    gone = _aside(folder, "dropped")
    folder.rename(gone)  # at once, so that no reader meets half a table
    shutil.rmtree(gone)


def _path(folder: Path) -> str:
    return f"delta.{quoted_name(str(folder))}"


def _aside(folder: Path, what: str) -> Path:
    """Return a free path beside ``folder``, for the lock's holder; clears what a killed writer left there."""
    path = warehouse.beside(folder, what)
    if path.exists():
        shutil.rmtree(path)
    return path
