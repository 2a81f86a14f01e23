"""The columns that a source offers, and which of them a person most likely means; no row is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fstk.engines import connect
from fstk.engines.frames import is_spark, to_arrow
from fstk.engines.types import schema_of
from fstk.verbs.names import columns_of, frame_or_name, local
from fstk.windows.plan import TIMES


def schema(name: str, namespace: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns and types of a table or of a variable that holds a frame.

    Raises:
        UnknownTable: there is neither.
    """
    data = frame_or_name(name, namespace)
    if isinstance(data, str):
        table = local(data)
        return dict(connect.direct().columns(table)) if table is not None else dict.fromkeys(columns_of(data), "")
    if is_spark(data):
        return dict(connect.engine_of(data.sparkSession).schema(data))
    head = data.head(0) if hasattr(data, "head") else data
    return dict(schema_of(to_arrow(head if not hasattr(data, "schema") else data.slice(0, 0), name).schema))


def times(columns: Mapping[str, str]) -> list[str]:
    """Return the columns that can be a time."""
    return [name for name, kind in columns.items() if kind in TIMES]


def key(columns: Mapping[str, str]) -> str | None:
    """Return the column that is most likely the entity: one called ``…_id``, else the first that is no time."""
    others = [name for name in columns if name not in times(columns)]
    return next((name for name in others if name.lower().endswith("id")), others[0] if others else None)
