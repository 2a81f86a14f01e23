"""A query of the user's with names in braces: tables, frames and values, each as what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from fstk.columns.instants import given as instant
from fstk.columns.values import plain
from fstk.engines.frames import is_frame
from fstk.engines.spark_errors import translated
from fstk.errors import InvalidInput, nearest, shown
from fstk.tables.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from fstk.engines.spark import SparkEngine

# braces in quotes and comments are text
_PARTS = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|\{\{([^\W\d]\w*(?:\.\w+)*)\}\}", re.DOTALL
)


def run_query(text: str, given: Mapping[str, Any], table: Callable[[str], DataFrame], engine: SparkEngine) -> DataFrame:
    """Return the rows of a query; see ``FeatureEngineeringClient.sql``. ``table`` reads the table of a name.

    Values become literals here: with Delta's parser in the session, Spark 4.1 finds no parameter marker.
    """
    frames: dict[str, str] = {}
    values = {name: _literal(value, name) for name, value in given.items() if not is_frame(value)}
    unused = set(given)

    def placed(part: re.Match[str]) -> str:
        name = part[1]
        unused.discard(name)
        if name is None:
            return part[0]
        if name in values:
            return _doubled(values[name])
        return f"{{{frames.setdefault(name, f'frame_{len(frames)}')}}}"

    bound = _PARTS.sub(placed, _doubled(text))
    if unused:
        name = min(unused)
        known = [*frames, *(value for value in values if value not in unused)]
        raise InvalidInput(f"sql: {{{name}}} is not in the query.{nearest(name, known)}")
    views: dict[str, Any] = {}
    for name, view in frames.items():
        views[view] = engine.frame(given[name], name) if name in given else table(name)
    with translated("sql"):
        return engine.session.sql(bound if views else bound.format(), **views)


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _literal(value: Any, name: str) -> str:
    value = plain(value)
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return f"({value})"
    if isinstance(value, float):
        return f"CAST('{value}' AS DOUBLE)"
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{instant(value, name).isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value}'"
    raise InvalidInput(
        f"sql: {name} must be a frame, or a text, number, boolean, date, datetime or None; got {shown(value)}."
    )
