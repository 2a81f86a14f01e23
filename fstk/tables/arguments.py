"""The arguments of ``create_table``, made into a definition and a frame of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fstk.columns.typing import DataFrameLike, SchemaLike
from fstk.engines.base import Schema
from fstk.engines.spark import SparkEngine
from fstk.engines.types import arrow_schema
from fstk.errors import InvalidInput, TypeMismatch, UnknownColumn, nearest
from fstk.tables.spec import TableDefinition, define, read_schema
from fstk.tables.write import column_types

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def definition_and_rows(
    engine: SparkEngine, name: str, df: DataFrameLike | None, schema: SchemaLike | None, **rest: Any
) -> tuple[TableDefinition, DataFrame]:
    """Return the definition of a table to create, and its rows: those of ``df``, or none.

    ``rest`` are the further arguments of :func:`fstk.tables.spec.define`.
    """
    wanted = None if schema is None else read_schema(schema)
    if df is None:
        if wanted is None:
            raise InvalidInput(f"{name}: give df (rows and types) or schema (types only), or both.")
        definition = define(name, schema=wanted, **rest)
        return definition, engine.frame(arrow_schema(definition.schema).empty_table(), "schema")
    frame = engine.frame(df, "df")
    given = column_types(engine, frame)
    if wanted is not None:
        _check_agreement(name, given, wanted)
    return define(name, schema=wanted or given, **rest), frame


def _check_agreement(name: str, given: Schema, wanted: Schema) -> None:
    for column in wanted:
        if column not in given:
            raise UnknownColumn(f"{name}: schema has the column {column}, df has not.{nearest(column, given)}")
    for column, kind in given.items():
        if column not in wanted:
            raise UnknownColumn(f"{name}: df has the column {column}, schema has not.{nearest(column, wanted)}")
        if kind not in (wanted[column], "void"):
            raise TypeMismatch(f"{name}: column {column} is {wanted[column]} in schema and {kind} in df; cast it.")
