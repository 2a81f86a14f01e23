"""What ``fstk drift`` compares: two frames or tables, a table's versions among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.direct import stored_schema
from fstk.errors import InvalidInput, UnknownTable
from fstk.monitoring.drift import DriftReport, detect_feature_drift
from fstk.tables.configured import open_catalog
from fstk.verbs.names import columns_of, frame_or_name

_AT_VERSION = re.compile(r"(?P<name>[^@]+)@(?P<version>\d{1,18})")


def drift(namespace: Mapping[str, Any], reference: str, now: str, features: list[str] | None) -> DriftReport:
    """Compare two frames or tables, each a variable, ``TABLE`` or ``TABLE@VERSION``, in ``features`` (None: all columns
    of both but a feature table's keys); raises as ``detect_feature_drift``, UnknownTable, UnknownName."""
    (then, columns, keys), (current, others, other_keys) = (_side(namespace, word) for word in (reference, now))
    shared = [name for name in columns if name in others and name not in {*keys, *other_keys}]
    if not (features or shared):
        raise InvalidInput(f"{reference} and {now} have no column in common to compare.")
    report = detect_feature_drift(then, current, features or shared)
    report.title = f"{now} against {reference}"
    return report


def _side(namespace: Mapping[str, Any], word: str) -> tuple[Any, list[str], tuple[str, ...]]:
    """Return a frame, its columns, and the keys among them."""
    found = None if _AT_VERSION.fullmatch(word) else frame_or_name(word, namespace)
    if found is not None and not isinstance(found, str):
        return found, columns_of(found), ()
    parts = _AT_VERSION.fullmatch(word)
    catalog = open_catalog()
    table = catalog.find(parts["name"], int(parts["version"])) if parts else catalog.find(word)
    engine = engine_for(tables={table: None})
    return engine.read(table), _columns(table), _keys(table.name)


def _columns(table: TableVersion) -> list[str]:
    return list(stored_schema(table)) if table.location else []


def _keys(name: str) -> tuple[str, ...]:
    try:
        return open_catalog().get(name).keys
    except UnknownTable:
        return ()  # any table may be compared
