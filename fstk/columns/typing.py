"""What callers give for the arguments that many verbs take, as types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from polars import LazyFrame
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


class ArrowStream(Protocol):
    """A frame whose rows can be read as a stream of Arrow: pandas, Polars, Arrow, DuckDB and others."""

    def __arrow_c_stream__(self, *args: Any, **kwargs: Any) -> object: ...


DataFrameLike: TypeAlias = "DataFrame | LazyFrame | ArrowStream"
"""A frame: Spark's, or any that :class:`ArrowStream` describes."""
ColumnNames: TypeAlias = str | Sequence[str]
"""One column's name, or several in order."""
EntityKeys: TypeAlias = Sequence[Mapping[str, Any]]
"""One mapping per row that is wanted: key column to value, of exactly the column's type."""
Nulls: TypeAlias = Literal["keep", "skip"]
"""What a null in the newest row is: a value like any other, or none yet, so that the newest before it counts."""
SchemaLike: TypeAlias = "StructType | Mapping[str, str] | str"
"""Columns and Spark SQL types: a StructType, ``{"id": "bigint"}`` or ``"id bigint"``."""
