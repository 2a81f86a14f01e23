"""The record of one task's run: JSON beside the executed notebook, the only thing that success is believed from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil

from fstk.atomic import replace_file
from fstk.display import Displayed, Sheet
from fstk.errors import Infrastructure, InvalidInput
from fstk.journal import Entry

Status = Literal[
    "running",  # by the process `pid` on `host`
    "succeeded",
    "failed",  # a cell raised
    "refused",  # a gate said no
    "timed out",  # a cell, or the task, ran longer than allowed
    "killed",  # the kernel's process ended, by a signal or by its own doing
    "exited",  # a cell called sys.exit
    "incomplete",  # a code cell was never executed
    "unclosed",  # every cell ran, but the notebook did not close its record
    "interrupted",  # the run was asked to stop
    "not started",  # no kernel could be had
    "lost",  # the run itself vanished: its record says running, its process is gone
]
_SILENT = timedelta(minutes=2)  # a run on another machine that has not written for so long is lost


class Failure(msgspec.Struct, frozen=True):
    """What went wrong, and in which code cell (counted from 1, of ``cells``); None where no cell is to blame."""

    error: str
    message: str
    cell: int | None = None
    cells: int | None = None


class Attempt(msgspec.Struct, frozen=True):
    """An attempt at a task that another followed; ``executed`` is its notebook."""

    started: datetime
    ended: datetime
    status: Status
    failure: Failure | None
    executed: str


class RunRecord(Displayed, msgspec.Struct, frozen=True):
    """One task's run. Times are UTC, parameters JSON values, secrets references; ``changed`` None is not known;
    ``accesses`` are the table versions, model versions and online tables that it read or wrote, ``files`` the project's
    modules and scripts that it ran, by path from the root, with their hashes; ``result`` is what ``fstk.finish`` was
    given; ``warehouse`` is the folder of tables that the settings named, empty where an earlier fstk did not tell. What
    is told of one attempt is that of the last; ``attempts`` are those before it, ``accesses`` those of all."""

    job: str
    task: str
    logical_date: str
    run_id: str
    notebook: str
    notebook_hash: str
    executed: str
    parameters: dict[str, Any]
    status: Status
    started: datetime
    heartbeat: datetime
    host: str
    pid: int
    process_started: float
    ended: datetime | None = None
    exit_code: int | None = None
    failure: Failure | None = None
    peak_memory_bytes: int | None = None
    summary: str = ""
    changed: bool | None = None
    rows: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    result: Any = None
    accesses: tuple[Entry, ...] = ()
    files: dict[str, str] = {}
    warehouse: str = ""
    attempts: tuple[Attempt, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds from the start to the end, or to the last heartbeat."""
        return ((self.ended or self.heartbeat) - self.started).total_seconds()

    def done_as(self, other: RunRecord, root: Path) -> bool:
        """Whether this run succeeded with the notebook, parameters and warehouse of ``other``, and files that have not
        changed."""
        same = self.notebook_hash == other.notebook_hash and self.parameters == other.parameters
        same = same and self.warehouse in ("", other.warehouse)
        return self.status == "succeeded" and same and all(file_hash(root / f) == h for f, h in self.files.items())

    def follows(self, other: RunRecord) -> bool:
        """Whether this run began after ``other`` had ended, and read no older version of a table than that one left."""
        left = {entry.table: entry.version for entry in other.accesses if entry.action != "read"}
        for entry in self.accesses:
            before = left.get(entry.table) if entry.action == "read" else None
            if before is not None and entry.version is not None and entry.version < before:
                return False
        return other.ended is not None and other.ended <= self.started

    def display(self) -> Sheet:
        rows: list[tuple[str, Any]] = [
            ("status", self.status if self.exit_code in (None, 0) else f"{self.status}, exit {self.exit_code}"),
            ("started", f"{self.started:%Y-%m-%d %H:%M:%S} UTC"),
            ("took", f"{self.seconds:.1f} s"),
        ]
        for number, one in enumerate(self.attempts, 1):
            why = f": {one.failure.error}: {one.failure.message}" if one.failure else ""
            took = (one.ended - one.started).total_seconds()
            rows.append((f"attempt {number}", f"{one.status} after {took:.1f} s, {Path(one.executed).name}{why}"))
        if self.failure:
            place = f" in cell {self.failure.cell} of {self.failure.cells}" if self.failure.cell else ""
            rows.append((f"failed{place}", f"{self.failure.error}: {self.failure.message}"))
        if self.peak_memory_bytes:
            rows.append(("peak memory", gibibytes(self.peak_memory_bytes)))
        rows += [(f"parameter {name}", value) for name, value in self.parameters.items()]
        rows += [(a.action, f"{a.table}{version(a.version)}{count(a.rows)}") for a in self.accesses]
        rows += [(name.replace("_", " "), value) for name, value in [*self.rows.items(), *self.metrics.items()]]
        if self.result is not None:
            rows.append(("result", self.result))
        rows.append(("notebook", self.executed))
        return Sheet(f"job {self.job} · {self.task} · {self.logical_date}", ("", ""), rows)


def version(number: int | None) -> str:
    """Return ``" v3"``, or nothing where there is no version."""
    return "" if number is None else f" v{number}"


def count(rows: int | None) -> str:
    """Return ``" · 1,204 rows"``, or nothing where the count is not known."""
    return "" if rows is None else f" · {rows:,} rows"


def gibibytes(size: int) -> str:
    """Return a size in bytes as ``"23.1 GiB"``."""
    return f"{size / 2**30:.1f} GiB"


def this_process() -> dict[str, Any]:
    """Return the fields of a record that tell which process writes it."""
    return {"host": platform.node(), "pid": os.getpid(), "process_started": psutil.Process().create_time()}


def write_record(path: Path, record: RunRecord) -> None:
    """Write ``record``, whole or not at all; raises as :func:`write_file`."""
    write_file(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a run as :func:`replace_file` does; Infrastructure: it cannot be written."""
    with writing(path.parent):
        replace_file(path, content)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Tell an OSError, met in writing to a run's ``folder``, in one sentence as Infrastructure."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise Infrastructure(
            f"the folder of runs {folder} cannot be written: {reason}. Make room, or set FSTK_RUNS to another folder."
        ) from error


def file_hash(path: Path) -> str:
    """Return the hash of a file's content, "" where it cannot be read."""
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError:
        return ""


def read_record(path: Path) -> RunRecord:
    """Return the record at ``path``, ``lost`` where it says running but its process is gone; raises InvalidInput."""
    try:
        # an earlier fstk wrote a figure that is not a number as NaN, which json takes and msgspec does not
        record = msgspec.convert(json.loads(path.read_bytes()), RunRecord)
    except FileNotFoundError as error:
        raise InvalidInput(f"there is no run record {path}.") from error
    except (ValueError, RecursionError, OSError) as error:
        raise InvalidInput(f"{path} is not a run record.") from error
    if record.status != "running" or _alive(record):
        return record
    failure = Failure("ParentLost", f"process {record.pid} on {record.host} ended without closing its record")
    return msgspec.structs.replace(record, status="lost", exit_code=4, failure=failure)


def _alive(record: RunRecord) -> bool:
    if record.host != platform.node():
        return datetime.now(UTC) - record.heartbeat < _SILENT
    try:
        # a process id is used again one day; its start time is not
        return abs(psutil.Process(record.pid).create_time() - record.process_started) < 1.0
    except psutil.NoSuchProcess:
        return False
