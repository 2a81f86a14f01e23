"""Sources: events as they came, a row each, in Delta tables of the warehouse that are no feature tables.

What a source is (its time, its entity, how its files are read) and which files it holds stands in the commits that
appended them: one place, there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from fstk import journal
from fstk.columns.zones import Unclear
from fstk.display import Displayed, Sheet, plural
from fstk.engines.base import Schema, TableVersion
from fstk.engines.buckets import stored_rows
from fstk.engines.direct import stored_schema
from fstk.errors import DamagedTable, FstkError, InvalidInput, TableExists, UnknownTable, nearest
from fstk.tables import local
from fstk.tables.configured import open_catalog
from fstk.tables.folder import FolderCatalog, remove
from fstk.tables.history import Told, commit_mark
from fstk.warehouse import folder

_DEFINITION, _LOAD = "source", "load"  # in the mark of a commit


class Reading(msgspec.Struct, frozen=True):
    """How values become a source's, as its first load was told; a later load may say it again.

    ``types``: column → Spark SQL type; ``time_format``: of the event time, as ``strftime`` writes it (None: ISO 8601);
    ``null_values``: texts that mean null; ``rename``: a file's column → the source's; ``zone``: of clock times;
    ``unclear_times``: what times mean that the zone skipped or had twice.
    """

    types: dict[str, str] = {}
    time_format: str | None = None
    null_values: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    zone: str | None = None
    unclear_times: Unclear = "refuse"


class SourceDefinition(msgspec.Struct, frozen=True):
    """What a source is: the columns of its event time, its entity and, where events have one, their key."""

    event_time: str
    entity: tuple[str, ...]
    key: tuple[str, ...] = ()
    reading: Reading = Reading()


class Load(msgspec.Struct, frozen=True):
    """What was appended at once: the file's name (``df`` and ``query`` of the other ways), a digest of its content, and
    how many of its rows were new."""

    name: str
    digest: str
    rows: int


@dataclass(frozen=True, repr=False)
class Source(Displayed):
    """A source as it stands.

    Attributes:
        name: its full name, lower-cased.
        event_time: the column of the event's time. entity: the columns of whom it happened to.
        key: the columns by which an event is known again; empty where events come by file.
        schema: column → Spark SQL type, in column order.
        version: the Delta version. rows: how many events it has.
        loads: what was appended, oldest first.
        location: the Delta folder.
        notes: of the ``create_source`` that returned this object: what it appended and what is worth a look.

    >>> import pyarrow as pa
    >>> at = pa.array([0, 0], pa.timestamp("us", "UTC"))
    >>> fe.create_source(name="shop.visits", df=pa.table({"id": [1, 1], "at": at}), event_time="at", entity="id").rows
    2
    """

    name: str
    definition: SourceDefinition
    schema: Schema
    version: int
    rows: int | None
    loads: tuple[Load, ...]
    location: str
    notes: tuple[str, ...] = ()

    @property
    def event_time(self) -> str:
        return self.definition.event_time

    @property
    def entity(self) -> tuple[str, ...]:
        return self.definition.entity

    @property
    def key(self) -> tuple[str, ...]:
        return self.definition.key

    @property
    def remembered(self) -> dict[str, Load]:
        """The loads by the digests of their content."""
        return {load.digest: load for load in self.loads}

    def display(self) -> Sheet:
        keyed = f" · key ({', '.join(self.key)})" if self.key else ""
        title = f"{self.name} v{self.version} · source · {plural(self.rows or 0, 'event')} of {', '.join(self.entity)}"
        roles = dict.fromkeys(self.key, "key") | dict.fromkeys(self.entity, "entity") | {self.event_time: "event time"}
        rows = [(column, kind, roles.get(column, "")) for column, kind in self.schema.items()]
        return Sheet(title + keyed, ("column", "type", "role"), rows, [*self.notes, f"folder: {self.location}"])


def find_source(name: str) -> Source | None:
    """Return the source of a name, None where there is none; raises as :meth:`Sources.find`."""
    catalog = open_catalog()
    return Sources().find(catalog.full_name(name)) if isinstance(catalog, FolderCatalog) else None


def all_sources(besides: Collection[str] = ()) -> list[Source]:
    """Return all sources, by name, ``besides`` what is known to be none; Unity Catalog has none."""
    return Sources().survey(besides) if isinstance(open_catalog(), FolderCatalog) else []


class Sources:
    """The sources of a warehouse folder."""

    def __init__(self) -> None:
        catalog = open_catalog()
        if not isinstance(catalog, FolderCatalog):
            raise InvalidInput(
                "sources are kept in a warehouse folder. In Unity Catalog any table of events is one: give its name "
                "as WindowedFeatures(source=…)."
            )
        self._warehouse = catalog.warehouse
        self._where = catalog.where
        self.full_name = catalog.full_name

    def get(self, name: str) -> Source:
        """Return a source by its name; UnknownTable gives the nearest. Raises as ``get_table`` does, too."""
        name = self.full_name(name)
        found = self.find(name)
        if found is None:
            known = [source.name for source in self.survey()]
            raise UnknownTable(f"no source {name}.{nearest(name, known)}\n{self._where}\nSee them all: %fstk tables")
        return found

    def find(self, name: str) -> Source | None:
        """Return the source of a full name, None where there is none."""
        place = self._folder(name)
        if not local.is_table(place):
            return None
        marks = local.marks(name, place)
        defined = next((mark[_DEFINITION] for mark in marks if _DEFINITION in mark), None)
        if defined is None:
            return None
        try:
            definition = msgspec.convert(defined, SourceDefinition)
            loads = [msgspec.convert(mark[_LOAD], Load) for mark in reversed(marks) if _LOAD in mark]
        except msgspec.ValidationError as error:
            raise DamagedTable(f"{name}: what its log says of the source is not what fstk wrote: {error}.") from error
        version = local.newest(name, place)
        schema = stored_schema(TableVersion(name, str(place), version))
        rows = stored_rows(str(place), version)
        return Source(name, definition, schema, version, rows, tuple(loads), str(place))

    def survey(self, besides: Collection[str] = ()) -> list[Source]:
        """Return all sources that can be read, by name, ``besides`` what is known to be none."""
        found = []
        for name in local.names_in(self._warehouse):
            if name in besides:
                continue
            try:
                source = self.find(name)
            except FstkError:
                continue  # a table that cannot be read is told by the survey of feature tables
            found += [] if source is None else [source]
        return found

    @contextmanager
    def writing(self, name: str) -> Iterator[Source | None]:
        """Hold the lock of a full name, and give the source that is there; TableExists: another table is."""
        place = self._folder(name)
        with local.writing(self._warehouse, name, place):
            source = self.find(name)
            if source is None and local.is_table(place):
                raise TableExists(f"{name}: a table that is no source is at {place}; choose another name.")
            yield source

    def append(self, name: str, definition: SourceDefinition, load: Load, rows: pa.Table) -> None:
        """Append rows in one commit, for the holder of :meth:`writing`."""
        more: dict[str, Any] = {_DEFINITION: msgspec.to_builtins(definition), _LOAD: msgspec.to_builtins(load)}
        local.append(name, self._folder(name), rows, commit_mark(Told(), **more)[1])
        journal.note("written", name, local.newest(name, self._folder(name)), load.rows)

    def drop(self, name: str) -> None:
        """Remove a source for good; UnknownTable: there is none."""
        name = self.get(name).name
        with self.writing(name):
            remove(self._folder(name))

    def _folder(self, name: str) -> Path:
        return folder(self._warehouse, name)
