"""What a word of a line may name: a frame of the notebook, a table of the warehouse, a column; starts no Spark."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from fstk import settings
from fstk.engines.direct import stored_schema
from fstk.engines.frames import column_names, is_frame
from fstk.errors import FstkError, InvalidName, UnknownTable, nearest
from fstk.tables.configured import local_names, local_table, open_catalog
from fstk.warehouse import table_name


def frames_in(namespace: Mapping[str, Any]) -> list[str]:
    return sorted(name for name, value in namespace.items() if not name.startswith("_") and is_frame(value))


def frame_or_name(word: str, namespace: Mapping[str, Any]) -> Any:
    """Return the frame that a variable holds, else the table that the running Spark session has, else the table's name;
    raises UnknownTable with the nearest names."""
    if is_frame(namespace.get(word)):
        return namespace[word]
    known = [*frames_in(namespace), *local_names()]
    try:
        name = table_name(word)
    except InvalidName as error:
        raise UnknownTable(f"no frame or table {word}.{nearest(word, known)}\n{open_catalog().where}") from error
    if local_table(name) is not None:
        return name
    session = _session()
    if session is not None and session.catalog.tableExists(name):
        return session.table(name)
    if settings.load().engine == "databricks":
        return name
    raise UnknownTable(f"no frame or table {word}.{nearest(word, known)}\n{open_catalog().where}")


def columns_of(data: Any) -> list[str]:
    """Return the columns of a frame or of a table of the warehouse, without computing a row; none when unknown."""
    if isinstance(data, str):
        try:
            table = local_table(data)
            return [] if table is None else list(stored_schema(table))
        except FstkError:
            return []  # what cannot be read is told when it is used
    return column_names(data)


def _session() -> Any:
    module = sys.modules.get("pyspark.sql")
    return None if module is None else module.SparkSession.getActiveSession()
