"""What a word of a line may name: a frame of the notebook, a table of the warehouse, a column; Spark is never
started.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from fstk import settings
from fstk.engines import connect
from fstk.engines.base import TableVersion
from fstk.engines.frames import is_spark
from fstk.errors import FstkError, InvalidName, UnknownTable, nearest
from fstk.tables.local import names_in
from fstk.warehouse import folder, table_name

_FRAMES = {"pandas": ("DataFrame",), "polars": ("DataFrame", "LazyFrame"), "pyarrow": ("Table", "RecordBatch")}


def is_frame(value: Any) -> bool:
    """Tell whether a value is a Spark, pandas, Polars or Arrow frame, importing none of these."""
    kind = type(value)
    return is_spark(value) or kind.__name__ in _FRAMES.get(kind.__module__.split(".")[0], ())


def frames_in(namespace: Mapping[str, Any]) -> list[str]:
    """Return the names of the variables that hold frames."""
    return sorted(name for name, value in namespace.items() if not name.startswith("_") and is_frame(value))


def tables() -> list[str]:
    """Return the names of the Delta tables of a local warehouse, feature tables and others, as short as they can be."""
    loaded = settings.load()
    found = names_in(loaded.warehouse) if loaded.engine != "databricks" else []
    return [name.removeprefix("default.") for name in found]


def local(name: str) -> TableVersion | None:
    """Return the Delta table of that name in a local warehouse, None where there is none.

    Raises:
        InvalidName: not a name.
    """
    loaded = settings.load()
    place = folder(loaded.warehouse, name)
    there = loaded.engine != "databricks" and (place / "_delta_log").is_dir()
    return TableVersion(table_name(name), str(place)) if there else None


def frame_or_name(word: str, namespace: Mapping[str, Any]) -> Any:
    """Return the frame that a variable holds, else the table that the running Spark session has, else the table's name.

    Raises:
        UnknownTable: neither is there; the message gives the nearest names. InvalidName: not a name.
    """
    if is_frame(namespace.get(word)):
        return namespace[word]
    known = [*frames_in(namespace), *tables()]
    try:
        name = table_name(word)
    except InvalidName as error:
        raise UnknownTable(f"no frame or table {word}.{nearest(word, known)}") from error
    if local(name) is not None:
        return name
    session = _session()
    if session is not None and session.catalog.tableExists(name):
        return session.table(name)
    if settings.load().engine == "databricks":
        return name
    raise UnknownTable(f"no frame or table {word}.{nearest(word, known)}")


def columns_of(data: Any) -> list[str]:
    """Return the columns of a frame or of a table of the warehouse, without computing a row; none when unknown."""
    if isinstance(data, str):
        try:
            table = local(data)
            return [] if table is None else list(connect.direct().columns(table))
        except FstkError:
            return []  # what cannot be read is told when it is used
    kind = type(data)
    if kind.__name__ == "LazyFrame":
        return list(data.collect_schema().names())
    columns = data.column_names if hasattr(data, "column_names") else data.columns
    if kind.__module__.startswith("pyarrow"):
        columns = data.schema.names
    return [str(column) for column in columns]


def _session() -> Any:
    """Return the Spark session that is running, if any."""
    module = sys.modules.get("pyspark.sql")
    return None if module is None else module.SparkSession.getActiveSession()
