"""Delta logs as delta-rs opens them: each time anew, or once for all that is read of one moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import deltalake

from fstk.errors import EngineUnavailable

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
