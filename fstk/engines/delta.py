"""Delta logs as delta-rs opens them, each time anew or once for all that is read of one moment; what it cannot read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import deltalake
import pyarrow as pa
from deltalake.exceptions import DeltaError

from fstk.errors import AccessDenied, DamagedTable, EngineUnavailable, FstkError, UnsupportedTable

SCANNED = {"columnMapping", "deletionVectors", "v2Checkpoint"}
"""Features that delta-rs reads by a scan of its own, where files read by others would mislead."""
_READ = SCANNED | {"timestampNtz"}
_UNKNOWN = re.compile(r"Feature '([^']+)' is not supported|(catalog-managed) table")

_Logs = dict[tuple[str, int | None], deltalake.DeltaTable]
_opened: ContextVar[_Logs | None] = ContextVar("fstk_delta_logs", default=None)
_process: int | None = None


@contextmanager
def one_moment() -> Iterator[None]:
    """Open the log of each table once inside the block: what it reads is of one moment, whoever writes meanwhile."""
    if _opened.get() is not None:
        yield
        return
    token = _opened.set({})
    try:
        yield
    finally:
        _opened.reset(token)


def open_delta(location: str, version: int | None = None) -> deltalake.DeltaTable:
    """Return the Delta table of a folder, at its newest version or another; raises what delta-rs does, and
    EngineUnavailable in a process that was forked after its parent had called this."""
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():  # delta-rs would panic: its threads are not in the copy
        raise EngineUnavailable(
            "this process was forked after a table had been read; start it otherwise: "
            "multiprocessing.get_context('spawn')."
        )
    logs = _opened.get()
    if logs is None:
        return deltalake.DeltaTable(location, version=version)
    newest = logs.get((location, None))
    if newest is not None and newest.version() == version:
        return newest
    if (location, version) not in logs:
        logs[location, version] = deltalake.DeltaTable(location, version=version)
    return logs[location, version]


def check_features(opened: deltalake.DeltaTable, name: str, *, changes: bool = False) -> None:
    """Raise UnsupportedTable where a table, or with ``changes`` its change data feed, has what delta-rs cannot read."""
    missing = set(opened.protocol().reader_features or ()) - _READ
    if changes and is_mapped(opened):
        missing.add("columnMapping")
    if missing:
        raise _unsupported(name, ", ".join(sorted(missing)))


def is_mapped(opened: deltalake.DeltaTable) -> bool:
    """Tell whether the columns of a table have other names in its files."""
    return opened.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"


@contextmanager
def answered(name: str, doing: str, kind: type[FstkError] = DamagedTable, cure: str = "") -> Iterator[None]:
    """Turn what delta-rs and Arrow raise into one line: AccessDenied, UnsupportedTable, and all else as ``kind``, with
    ``cure`` behind it."""
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException, UnicodeDecodeError) as error:
        lines = re.sub(r"^(?:[\w ]+ error: )+", "", str(error)).splitlines()
        line = f"{lines[0].rstrip('. ') if lines else type(error).__name__}."
        unknown = _UNKNOWN.search(str(error))
        if unknown:
            raise _unsupported(name, unknown[1] or unknown[2]) from error
        if "Permission denied" in str(error):
            raise AccessDenied(f"{doing}: permission denied: {line}") from error
        raise kind(f"{doing}: {line}{cure}") from error


def _unsupported(name: str, features: str) -> UnsupportedTable:
    return UnsupportedTable(
        f"{name} has the Delta feature {features}, which cannot be read without Spark. Read it through a session: "
        "read_table, or load_df() of a training set."
    )
