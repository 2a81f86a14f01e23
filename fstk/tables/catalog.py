"""The verbs of a catalog of feature tables, over the few things in which one catalog differs from another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from fstk.columns.typing import ColumnNames, DataFrameLike, SchemaLike
from fstk.engines.base import Schema, TableVersion
from fstk.engines.choice import session_for
from fstk.engines.notes import notes_of
from fstk.engines.spark import SparkEngine
from fstk.engines.spark_errors import translated
from fstk.engines.types import arrow_schema
from fstk.errors import (
    AccessDenied,
    DamagedTable,
    Infrastructure,
    InvalidInput,
    TypeMismatch,
    UnknownColumn,
    UnknownName,
    UnknownTable,
    nearest,
)
from fstk.journal import note
from fstk.progress import at_work
from fstk.tables import sql
from fstk.tables.definition import Definitions, read_all
from fstk.tables.grants import GrantStatement
from fstk.tables.history import Version, choose, only_fstk, read_history
from fstk.tables.plan import check_mode, plan_create
from fstk.tables.properties import from_properties, grants_property, tag_property
from fstk.tables.report import WriteReport
from fstk.tables.spec import FeatureTable, Grants, TableDefinition, check_tag, define, read_schema
from fstk.tables.write import Target, change, column_types, merge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_HISTORY = ("version", "operation", "operationMetrics", "userMetadata", "readVersion")
_MILLIS = "unix_millis(timestamp) AS timestamp"  # collected as a time, it would follow this process's zone


class Catalog(ABC):
    """Feature tables by name; all that is known of one is read from the Delta table itself.

    Names are those of docs/rules.md#tables-4. ``engine`` is what writes; without one, the session of
    ``fstk.connect()``, and for a Spark frame always the frame's own session.
    """

    def __init__(self, engine: SparkEngine | None = None) -> None:
        self._engine = engine

    def get(self, name: str) -> FeatureTable:
        """Return a feature table at its newest version; see ``FeatureEngineeringClient.get_table``."""
        table = self.known(name)
        if table is None:
            name = self.full_name(name)
            raise UnknownTable(
                f"no feature table {name}.{nearest(name, self.names())}\n{self.where}\nSee them all: %fstk tables"
            )
        return table

    def known(self, name: str) -> FeatureTable | None:
        """Return a feature table as :meth:`get` does, None where none is of that name."""
        return self._read(self.full_name(name))

    def names(self) -> list[str]:
        """Return the names of all feature tables, sorted; what cannot be read is not among them: get() and survey() say
        so."""
        return [table.name for table in self.survey()[0]]

    def create(
        self,
        name: str,
        primary_keys: ColumnNames,
        df: DataFrameLike | None = None,
        timeseries_column: ColumnNames | None = None,
        schema: SchemaLike | None = None,
        partition_columns: ColumnNames | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        timestamp_keys: ColumnNames | None = None,
        *,
        redefine: bool = False,
    ) -> FeatureTable:
        """Create a feature table, or merge ``df`` into it; see ``FeatureEngineeringClient.create_table``."""
        name = self.full_name(name)
        engine = session_for(df, session=self._engine)
        types, frame = _types_and_rows(engine, name, df, schema)
        defined = read_all(notes_of(df), types)
        definition = define(
            name, primary_keys, types, timeseries_column, partition_columns, description, tags, timestamp_keys
        )
        if frame is None:
            frame = engine.frame(arrow_schema(definition.schema).empty_table(), "schema")
        with self._writing(name), at_work(f"writing {name}"):
            there = self._read(name)
            plan_create(definition, there).check()
            if there is None:
                inserted = self._create(engine, definition, frame, defined)
                report = WriteReport(name, None, 0, inserted, 0, 0, inserted)
            else:
                report = merge(engine, self._target(name), frame, defined, redefine=redefine)
                self._describe(engine, definition)
                self._explain(engine, name, definition.timeseries_column, defined)
            table = self.get(name)
            if table.rows is None:  # of Unity Catalog; counted where rows were written, not at each look
                table = replace(table, rows=self._count(engine, table))
        note("written", name, table.version, report.inserted + report.updated)
        return replace(table, report=replace(report, version=table.version, rows=table.rows))

    def write(self, name: str, df: DataFrameLike, mode: str = "merge", *, redefine: bool = False) -> WriteReport:
        """Merge ``df`` into a feature table by its keys; see ``FeatureEngineeringClient.write_table``."""
        check_mode(mode)
        table = self.get(name)
        name = table.name
        engine = session_for(df, session=self._engine)
        frame = engine.frame(df, "df")
        defined = read_all(notes_of(df), engine.schema(frame))
        with self._writing(name), at_work(f"writing {name}"):
            report = merge(engine, self._target(name), frame, defined, redefine=redefine)
            if self._explain(engine, name, table.timeseries_column, defined):
                report = replace(report, version=self.get(name).version)
        note("written", name, report.version, report.inserted + report.updated)
        return report

    def drop(self, name: str) -> None:
        """Remove a feature table and its history for good, one whose log is damaged too; raises UnknownTable."""
        name = self.full_name(name)
        with suppress(DamagedTable):  # dropping it is the cure
            self.get(name)
        with self._writing(name):
            self._remove(name)

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag; the same value again makes no new version."""
        check_tag(key, value)
        name = self.get(name).name
        with self._writing(name):
            if self.get(name).tags.get(key) != value:
                self._set_tags(session_for(session=self._engine), name, {key: value})

    def delete_tag(self, name: str, key: str) -> None:
        """Remove a tag; raises UnknownName when there is none of that key."""
        name = self.get(name).name
        with self._writing(name):
            tags = self.get(name).tags
            if key not in tags:
                raise UnknownName(f"{name} has no tag {key!r}.{nearest(str(key), tags)}")
            self._delete_tag(session_for(session=self._engine), name, key)

    def grants(self, name: str) -> Grants:
        """Return to whom each privilege of a table is granted; raises UnknownTable."""
        return self.get(name).grants

    def grant(self, statement: GrantStatement) -> None:
        """Carry out GRANT or REVOKE; one that changes nothing makes no new version. UnknownTable: no such table."""
        name = self.get(statement.table).name
        with self._writing(name):
            before = self.get(name).grants
            after = statement.applied(before)
            if after != before:
                recorded = sql.set_properties(self._sql(name), grants_property(after))
                change(session_for(session=self._engine), name, recorded)

    def versions(self, name: str) -> list[Version]:
        """Return the versions that are kept, newest first."""
        return self._history(self.get(name).name)

    def find(self, name: str, version: int | None = None, timestamp: datetime | date | None = None) -> TableVersion:
        """Return what an engine reads; see ``FeatureEngineeringClient.read_table`` for arguments and errors.

        The newest version is pinned where the catalog can tell it without a session.
        """
        name = self.full_name(name)
        found = self._located(name)
        if found is None:
            raise UnknownTable(f"no table {name}.{nearest(name, self._names())}\n{self.where}")
        if version is None and timestamp is None:
            return found
        return replace(found, version=choose(name, self._history(name), version, timestamp))

    def survey(self) -> tuple[list[FeatureTable], list[Infrastructure]]:
        """Return all feature tables that can be read, by name, and of each other one why it cannot."""
        tables: list[FeatureTable] = []
        faults: list[Infrastructure] = []
        for name in self._names():
            try:
                table = self._read(name)
            except (DamagedTable, AccessDenied) as fault:
                faults.append(fault)
            else:
                tables += [] if table is None else [table]
        return tables, faults

    @abstractmethod
    def full_name(self, name: str) -> str:
        """Return the one name under which a table is known; raises InvalidName."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Where tables are looked for, as a message says it."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Return the full names of what may be a feature table, sorted."""

    def _read(self, name: str) -> FeatureTable | None:
        """Return the feature table of a full name, None where there is none; raises DamagedTable, AccessDenied."""
        engine = session_for(session=self._engine)
        try:
            with translated(f"reading {name}"):
                detail = engine.sql(f"DESCRIBE DETAIL {self._sql(name)}").collect()[0]
                schema = engine.schema(engine.session.table(self._sql(name)))
        except UnknownTable:
            return None
        table = from_properties(name, detail.properties, schema, detail.partitionColumns, detail.description)
        if table is None:
            return None
        versions = self._history(name)
        return replace(
            table, version=versions[0].version, written_by_fstk=only_fstk(versions), versions=tuple(versions)
        )

    @abstractmethod
    def _located(self, name: str) -> TableVersion | None:
        """Return where the Delta table of a full name is, None where it is known that there is none."""

    def _history(self, name: str) -> list[Version]:
        """Return the versions of a table that is there, newest first."""
        engine = session_for(session=self._engine)
        with translated(f"reading the history of {name}"):
            rows = engine.sql(f"DESCRIBE HISTORY {self._sql(name)}").selectExpr(*_HISTORY, _MILLIS).collect()
        return read_history(row.asDict() for row in rows)

    @abstractmethod
    def _sql(self, name: str) -> str:
        """Return the name as SQL statements have it."""

    @abstractmethod
    def _writing(self, name: str) -> AbstractContextManager[None]:
        """Return the block in which this writer may write the table."""

    @abstractmethod
    def _create(self, engine: SparkEngine, definition: TableDefinition, frame: DataFrame, defined: Definitions) -> int:
        """Create a table that is not there and return its number of rows; ``defined`` are its features' definitions."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Remove a table that is there."""

    def _set_tags(self, engine: SparkEngine, name: str, tags: Mapping[str, str]) -> None:
        change(engine, name, sql.set_properties(self._sql(name), {tag_property(key): tags[key] for key in tags}))

    def _delete_tag(self, engine: SparkEngine, name: str, key: str) -> None:
        change(engine, name, sql.unset_property(self._sql(name), tag_property(key)))

    def _describe(self, engine: SparkEngine, definition: TableDefinition) -> None:
        """Set what a repeated create says otherwise of a table that is there."""
        table = self.get(definition.name)
        tags = {key: value for key, value in definition.tags.items() if table.tags.get(key) != value}
        if tags:
            self._set_tags(engine, table.name, tags)
        if definition.description is not None and definition.description != (table.description or ""):
            change(engine, table.name, sql.comment(self._sql(table.name), definition.description))

    def _count(self, engine: SparkEngine, table: FeatureTable) -> int:
        query = f"SELECT count(*) FROM {self._sql(table.name)} VERSION AS OF {table.version}"
        with translated(f"reading {table.name}"):
            return engine.sql(query).collect()[0][0]  # Delta counts by its log where that knows

    def _explain(self, engine: SparkEngine, name: str, time: str | None, defined: Definitions) -> bool:
        """Tell readers other than fstk what features are, which the commits tell fstk; return whether that changed the
        table."""
        return False

    def _target(self, name: str) -> Target:
        return Target(self._sql(name), lambda: self.get(name), lambda: self.versions(name))


def _types_and_rows(
    engine: SparkEngine, name: str, df: DataFrameLike | None, schema: SchemaLike | None
) -> tuple[Schema, DataFrame | None]:
    """Return the columns and types of a table to create, and its first rows where some are given."""
    wanted = None if schema is None else read_schema(schema)
    if df is None:
        if wanted is None:
            raise InvalidInput(f"{name}: give df (rows and types) or schema (types only), or both.")
        return wanted, None
    frame = engine.frame(df, "df")
    given = column_types(engine, frame)
    if wanted is not None:
        _check_agreement(name, given, wanted)
    return wanted or given, frame


def _check_agreement(name: str, given: Schema, wanted: Schema) -> None:
    for column in wanted:
        if column not in given:
            raise UnknownColumn(f"{name}: schema has the column {column}, df has not.{nearest(column, given)}")
    for column, kind in given.items():
        if column not in wanted:
            raise UnknownColumn(f"{name}: df has the column {column}, schema has not.{nearest(column, wanted)}")
        if kind not in (wanted[column], "void"):
            raise TypeMismatch(f"{name}: column {column} is {wanted[column]} in schema and {kind} in df; cast it.")
