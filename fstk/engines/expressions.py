"""Spark SQL expressions on Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import sqlglot
from sqlglot import exp

from fstk.errors import BadExpression, UnknownColumn, nearest


def evaluate(table: pa.Table, expressions: Mapping[str, str]) -> pa.Table:
    """Return one column per entry of ``expressions``: output name → expression over the columns of ``table``."""
    columns: list[pa.ChunkedArray] = []
    for text in expressions.values():
        parsed = sqlglot.parse_one(text, dialect="databricks")
        if not isinstance(parsed, exp.Column):
            raise BadExpression(f"{text!r} needs Spark.")
        if parsed.name not in table.column_names:
            raise UnknownColumn(f"no column {parsed.name}.{nearest(parsed.name, table.column_names)}")
        columns.append(table.column(parsed.name))
    return pa.table(columns, names=list(expressions))
