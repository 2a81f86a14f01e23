"""Logs of what was served: Delta tables that endpoints append to, and no feature tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from fstk.display import Displayed, Sheet
from fstk.engines.base import Schema, TableVersion
from fstk.engines.buckets import stored_rows
from fstk.engines.direct import stored_schema
from fstk.errors import FstkError, InvalidInput, TableExists
from fstk.tables import local
from fstk.tables.configured import open_catalog
from fstk.tables.folder import FolderCatalog
from fstk.tables.history import Told, commit_mark
from fstk.warehouse import folder

_MARK = "served_log"  # in the mark of a commit
_TEXTS = pa.map_(pa.string(), pa.string())
_LOOKUP = pa.struct(
    [
        ("table", pa.string()),
        ("status", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("source_version", pa.int64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("at", pa.timestamp("us", "UTC")),
        ("endpoint", pa.string()),
        ("version", pa.string()),
        ("request", pa.string()),
        ("row", pa.int32()),
        ("given", _TEXTS),
        ("features", _TEXTS),
        ("lookups", pa.list_(_LOOKUP)),
        ("prediction", pa.string()),
        ("latency_seconds", pa.float64()),
    ]
)
"""A row for each row of a request: when it came, who answered, which request and row of it, the columns that it gave
and the features that were used as JSON by their names, what was found in each table (null where the request gave all of
it), the prediction as JSON, and how long the answer to the whole request took."""


@dataclass(frozen=True, repr=False)
class LogTable(Displayed):
    """A log as it stands."""

    name: str
    version: int
    rows: int | None
    schema: Schema
    location: str

    def display(self) -> Sheet:
        title = f"{self.name} v{self.version} · log of what was served · {self.rows or 0:,} rows"
        return Sheet(title, ("column", "type"), list(self.schema.items()), [f"folder: {self.location}"])


class ServedLog:
    """The log of a name, which need not be there yet.

    InvalidName. InvalidInput: the catalog is Unity Catalog. TableExists: another table is there.
    """

    def __init__(self, name: str) -> None:
        catalog = open_catalog()
        if not isinstance(catalog, FolderCatalog):
            raise InvalidInput("--log-table appends to a warehouse folder; Unity Catalog keeps no log of fstk's.")
        self.name = catalog.full_name(name)
        self._warehouse = catalog.warehouse
        self._folder = folder(catalog.warehouse, self.name)
        if local.is_table(self._folder) and find_log(self.name) is None:
            raise TableExists(f"{self.name}: a table that is no log of fstk serve is there; choose another name.")

    def append(self, rows: pa.Table) -> None:
        """Append rows of :data:`SCHEMA` in one commit. FstkError: it cannot be written."""
        with local.writing(self._warehouse, self.name, self._folder):
            local.append(self.name, self._folder, rows, commit_mark(Told(), **{_MARK: True})[1])


def find_log(name: str) -> LogTable | None:
    """Return the log of a name, None where there is none; raises as ``get_table`` does."""
    catalog = open_catalog()
    if not isinstance(catalog, FolderCatalog):
        return None
    name = catalog.full_name(name)
    place = folder(catalog.warehouse, name)
    if not local.is_table(place) or not any(_MARK in mark for mark in local.marks(name, place)):
        return None
    version = local.newest(name, place)
    schema = stored_schema(TableVersion(name, str(place), version))
    return LogTable(name, version, stored_rows(str(place), version), schema, str(place))


def all_logs(besides: Collection[str] = ()) -> list[LogTable]:
    """Return all logs that can be read, by name, ``besides`` what is known to be none."""
    catalog = open_catalog()
    found = []
    for name in local.names_in(catalog.warehouse) if isinstance(catalog, FolderCatalog) else []:
        if name in besides:
            continue
        try:
            log = find_log(name)
        except FstkError:
            continue  # a table that cannot be read is told by the survey of feature tables
        found += [] if log is None else [log]
    return found
