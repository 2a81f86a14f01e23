"""A catalog that is Unity Catalog: the same tables, with the keys and tags that Databricks' own tools read.

Commits are marked through a setting of the session, and frames kept while they are compared; both need a cluster:
serverless compute refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fstk import warehouse
from fstk.engines.base import TableVersion
from fstk.engines.choice import session_for
from fstk.engines.spark import SparkEngine
from fstk.engines.spark_errors import translated
from fstk.engines.types import quoted_name
from fstk.tables import sql
from fstk.tables.catalog import Catalog
from fstk.tables.definition import Definitions, FeatureDefinition
from fstk.tables.grants import GrantStatement
from fstk.tables.spec import NOBODY, Grants, TableDefinition
from fstk.tables.write import change, merge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TAG = "fstk"
"""The Unity Catalog tag by which feature tables are listed."""
_LISTED = (
    "SELECT concat_ws('.', catalog_name, schema_name, table_name) AS name "
    "FROM system.information_schema.table_tags WHERE tag_name = :tag ORDER BY name"
)


class UnityCatalog(Catalog):
    """Feature tables of a Databricks workspace."""

    def full_name(self, name: str) -> str:
        """Return the lower-cased name, with the session's catalog and schema where it names none."""
        name = warehouse.table_name(name)
        missing = 3 - len(name.split("."))
        if missing:
            with translated(f"finding {name}"):
                here = self._session().sql("SELECT current_catalog(), current_schema()").collect()[0]
            name = ".".join([*list(here)[:missing], name])
        return warehouse.table_name(name)

    def grants(self, name: str) -> Grants:
        """Return the rights on a table as Unity Catalog tells them, those that its schema and catalog pass on, too."""
        name = self.full_name(name)
        asked = GrantStatement("SHOW GRANTS", (), name, None).sql(name)
        found = dict(NOBODY)
        with translated(f"reading the grants of {name}"):
            for row in session_for(session=self._engine).sql(asked).collect():
                found[row.ActionType] = (*found.get(row.ActionType, ()), row.Principal)
        return found

    def grant(self, statement: GrantStatement) -> None:
        """Let Unity Catalog carry out GRANT or REVOKE."""
        name = self.full_name(statement.table)
        with translated(f"changing {name}"):
            session_for(session=self._engine).sql(statement.sql(name))

    @property
    def where(self) -> str:
        return "Looked in Unity Catalog"

    def _session(self) -> SparkSession:
        return session_for(session=self._engine).session

    def _names(self) -> list[str]:
        with translated("listing feature tables"):
            return [row.name for row in self._session().sql(_LISTED, args={"tag": TAG}).collect()]

    def _located(self, name: str) -> TableVersion | None:
        return TableVersion(name, None)

    def _sql(self, name: str) -> str:
        return warehouse.quoted(name)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        yield  # the metastore commits for all writers; Delta tells the loser

    def _create(self, engine: SparkEngine, definition: TableDefinition, frame: DataFrame, defined: Definitions) -> int:
        """Create the table and then fill it: a key that Databricks knows can only be given to a table without rows."""
        name = definition.name
        change(engine, name, create_statement(definition, defined))
        change(engine, name, tag_statement(name, {TAG: "feature table", **definition.tags}))
        return merge(engine, self._target(name), frame, defined).inserted

    def _remove(self, name: str) -> None:
        change(session_for(session=self._engine), name, drop_statement(name))

    def _set_tags(self, engine: SparkEngine, name: str, tags: Mapping[str, str]) -> None:
        super()._set_tags(engine, name, tags)
        change(engine, name, tag_statement(name, tags))

    def _delete_tag(self, engine: SparkEngine, name: str, key: str) -> None:
        super()._delete_tag(engine, name, key)
        change(engine, name, untag_statement(name, key))

    def _explain(self, engine: SparkEngine, name: str, time: str | None, defined: Definitions) -> bool:
        """Set the comments of columns whose features are new, or mean another thing than before."""
        if not defined:
            return False
        with translated(f"reading {name}"):
            fields = engine.session.table(self._sql(name)).schema.fields
        there = {field.name: field.metadata.get("comment") for field in fields}
        new = {column: one for column, one in defined.items() if there[column] != described(one, time)}
        for column, one in new.items():
            change(engine, name, describe_statement(name, column, described(one, time)))
        return bool(new)


def described(feature: FeatureDefinition, time: str | None) -> str:
    """Return what a feature is, whatever was read for it: the comment of its column."""
    return feature.timeless.sentence(time or "the point")


def create_statement(definition: TableDefinition, defined: Definitions) -> str:
    """Return ``CREATE TABLE`` with the primary key that makes the table a feature table to Databricks, and what its
    features are."""
    keys, time, schema = definition.keys, definition.timeseries_column, definition.schema
    comments = {name: f" COMMENT {sql.literal(described(one, time))}" for name, one in defined.items()}
    columns = [
        f"{quoted_name(name)} {kind}{' NOT NULL' if name in keys else ''}{comments.get(name, '')}"
        for name, kind in schema.items()
    ]
    primary = ", ".join(quoted_name(key) + (" TIMESERIES" if key == time else "") for key in keys)
    constraint = quoted_name(f"{definition.name.split('.')[-1]}_pk")
    parts = [*columns, f"CONSTRAINT {constraint} PRIMARY KEY ({primary})"]
    return sql.create_empty(warehouse.quoted(definition.name), definition, parts)


def describe_statement(name: str, column: str, text: str) -> str:
    return f"ALTER TABLE {warehouse.quoted(name)} ALTER COLUMN {quoted_name(column)} COMMENT {sql.literal(text)}"


def drop_statement(name: str) -> str:
    return f"DROP TABLE {warehouse.quoted(name)}"


def tag_statement(name: str, tags: Mapping[str, str]) -> str:
    return f"ALTER TABLE {warehouse.quoted(name)} SET TAGS ({sql.pairs(tags)})"


def untag_statement(name: str, key: str) -> str:
    return f"ALTER TABLE {warehouse.quoted(name)} UNSET TAGS ({sql.literal(key)})"
