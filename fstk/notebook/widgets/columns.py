"""The columns that a source offers, and which of them a person most likely means; no row is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fstk.engines.choice import engine_for
from fstk.engines.direct import stored_schema
from fstk.engines.frames import without_rows
from fstk.engines.types import TIME_TYPES
from fstk.tables.configured import local_table
from fstk.verbs.names import frame_or_name


def schema(name: str, namespace: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns and types of a table or of a variable that holds a frame; raises UnknownTable."""
    data = frame_or_name(name, namespace)
    if isinstance(data, str):
        table = local_table(data)
        return {} if table is None else stored_schema(table)
    engine = engine_for(data)
    return engine.schema(engine.frame(without_rows(data), name))


def times(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if kind in TIME_TYPES}


def without_times(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if kind not in TIME_TYPES}


def with_types(columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return columns as a control offers them: ``amount · double`` for ``amount``."""
    return [(f"{name} · {kind}", name) for name, kind in columns.items()]


def key(columns: Mapping[str, str]) -> str | None:
    """Return the column that is most likely the entity: one called ``…_id``, else the first that is no time."""
    others = list(without_times(columns))
    return next((name for name in others if name.lower().endswith("id")), others[0] if others else None)
