"""Feature tables in folders, read by delta-rs: no JVM starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import deltalake
import pyarrow as pa
from deltalake.exceptions import DeltaError, TableNotFoundError

from fstk.engines.buckets import stored_rows
from fstk.engines.delta import open_delta
from fstk.engines.spark_errors import first_line
from fstk.engines.types import schema_of
from fstk.errors import DamagedTable, InvalidName
from fstk.tables.history import Version, only_fstk, read_history
from fstk.tables.properties import from_properties
from fstk.tables.spec import FeatureTable
from fstk.warehouse import table_name

LOG = "_delta_log"


def is_table(folder: Path) -> bool:
    """Tell whether a folder holds a Delta table, readable or not."""
    return any((folder / LOG).glob("[0-9]*"))


def names_in(warehouse: Path) -> list[str]:
    """Return the names of the Delta tables of a warehouse, sorted; a folder inside a table is none."""
    found = []
    for log in [*warehouse.glob(f"*/*/{LOG}"), *warehouse.glob(f"*/*/*/{LOG}")]:
        name = ".".join(log.parent.relative_to(warehouse).parts)
        if _reachable(name) and enclosing(warehouse, log.parent) is None and is_table(log.parent):
            found.append(name)
    return sorted(found)


def enclosing(warehouse: Path, folder: Path) -> Path | None:
    """Return the folder of the table that ``folder`` lies inside of, if any."""
    above = [parent for parent in folder.parents if parent.is_relative_to(warehouse)]
    return next((parent for parent in above if (parent / LOG).exists()), None)


def read(name: str, folder: Path) -> FeatureTable | None:
    """Return the feature table at a folder, None when no feature table is there; raises DamagedTable."""
    if not is_table(folder):
        return None
    opened = _open(name, folder)
    try:
        metadata, schema = opened.metadata(), schema_of(pa.schema(opened.schema().to_arrow()))
    except DeltaError as error:
        raise _damaged(name, error) from error
    table = from_properties(name, metadata.configuration, schema, metadata.partition_columns, metadata.description)
    if table is None:
        return None
    return replace(
        table,
        version=opened.version(),
        rows=stored_rows(str(folder), opened.version()),
        location=str(folder),
        written_by_fstk=only_fstk(_history(name, opened)),
    )


def newest(name: str, folder: Path) -> int:
    """Return the newest version of the Delta table at a folder; raises DamagedTable."""
    return _open(name, folder).version()


def history(name: str, folder: Path) -> list[Version]:
    """Return the versions of the Delta table at a folder, newest first; raises DamagedTable."""
    return _history(name, _open(name, folder))


def _reachable(name: str) -> bool:
    try:
        return table_name(name) == name
    except InvalidName:
        return False  # a hidden or foreign folder


def _open(name: str, folder: Path) -> deltalake.DeltaTable:
    # delta-rs passes over a commit that was cut to nothing, and then counts versions wrongly.
    empty = next((file for file in sorted((folder / LOG).glob("*.json")) if not file.stat().st_size), None)
    if empty is not None:
        raise DamagedTable(f"{name}: {empty.name} in its Delta log is empty; restore that file from a copy.")
    try:
        return open_delta(str(folder))
    except TableNotFoundError as error:
        raise DamagedTable(f"{name}: {folder / LOG} holds no version of the table; restore it from a copy.") from error
    except (DeltaError, OSError) as error:
        raise _damaged(name, error) from error


def _history(name: str, opened: deltalake.DeltaTable) -> list[Version]:
    try:
        return read_history(opened.history())
    except (DeltaError, OSError, ValueError, KeyError) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> DamagedTable:
    return DamagedTable(f"{name}: its Delta log cannot be read: {first_line(str(error))} Restore {LOG} from a copy.")
