"""Which engine computes: the one rule that every verb asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fstk.engines import connect
from fstk.engines.base import Engine, TableVersion
from fstk.engines.buckets import stored_rows
from fstk.engines.direct import readable, stored_schema
from fstk.engines.frames import is_spark
from fstk.engines.spark import SparkEngine
from fstk.errors import BadExpression, EngineUnavailable

CELLS = 200_000_000
"""Values of local tables, all together, that are read into this process; more go through Spark."""


def engine_for(
    *frames: Any,
    tables: Mapping[TableVersion, int | None] | None = None,
    changes: bool = False,
    session: SparkEngine | None = None,
    trial: Callable[[Engine], object] | None = None,
) -> Engine:
    """Return the engine that computes a result which may be any frame.

    1. A Spark frame is computed by its own session: its rows are nowhere else, and no other session can read it.
    2. What is local is computed in this process, where nothing starts and no row travels: local frames (what is no
       Spark frame, None and ``"events"`` too), and ``tables`` (each with the number of its columns that will be read,
       None: all) in folders whose rows × columns stay under :data:`CELLS`; unless one of them (or with ``changes`` its
       change data feed) has Delta features that only Spark reads, or ``trial``, which evaluates the expressions on no
       rows, raises the BadExpression that only Spark may answer; what else it raises leaves.
    3. Everything else needs a session, see :func:`session_for`.
    """
    direct = connect.direct()
    if not any(map(is_spark, frames)) and _fit(tables or {}, changes):
        try:
            if trial is not None:
                trial(direct)
            return direct
        except BadExpression:
            pass  # Spark knows more of SQL, and says so itself where it does not
    return session_for(*frames, session=session)


def session_for(*frames: Any, session: SparkEngine | None = None) -> SparkEngine:
    """Return the engine that computes a result which must be a Spark frame, or be written by Spark: that of the first
    Spark frame's session, else the ``session`` that the caller handed in, else that of ``fstk.connect()``, which is
    started. EngineUnavailable: a session that was given has ended."""
    for frame in frames:
        if is_spark(frame):
            session = connect.engine_of(frame.sparkSession)
            break
    if session is None:
        return connect.active()
    if connect.ended(session.session):
        raise EngineUnavailable(
            "the Spark session of this frame or client has ended, and its frames with it. fstk.connect() gives "
            "another: make them anew."
        )
    return session


def _fit(tables: Mapping[TableVersion, int | None], changes: bool) -> bool:
    """Tell whether all tables are in folders of this machine, readable here and small; a log that does not count its
    rows is."""
    cells = 0
    for table, columns in tables.items():
        if table.location is None or not Path(table.location, "_delta_log").is_dir():
            return False
        if not readable(table, changes=changes):
            return False
        width = len(stored_schema(table)) if columns is None else columns
        cells += width and width * (stored_rows(table.location, table.version) or 0)
    return cells <= CELLS
