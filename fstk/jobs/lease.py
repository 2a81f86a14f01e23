"""One run at a time for a job and its logical date; the operating system frees the lease when its holder dies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fstk.atomic import TEMPORARY
from fstk.errors import InvalidInput, LeaseHeld
from fstk.jobs.record import RunRecord, read_record, write_record, writing

FILE = ".lease"


@contextmanager
def hold(folder: Path, job: str, logical_date: str) -> Iterator[None]:
    """Hold the lease of ``job`` for ``logical_date``, else raise LeaseHeld; records of a vanished run become lost, and
    what it left unfinished goes. Infrastructure: the folder cannot be written."""
    lock = FileLock(folder / FILE, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            running = [record for record in _records(folder).values() if record.status == "running"]
            who = f" (process {running[0].pid} on {running[0].host}, {running[0].task})" if running else ""
            raise LeaseHeld(f"{job} for {logical_date} is already running{who}. Nothing was started.") from error
    try:
        with writing(folder):
            for left in folder.glob(f"{TEMPORARY}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        for path, record in _records(folder).items():
            if record.status == "lost":
                write_record(path, record)
        yield
    finally:
        lock.release()


def _records(folder: Path) -> dict[Path, RunRecord]:
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path] = read_record(path)
        except InvalidInput:  # a job may keep other JSON beside its records
            continue
    return found
