"""One writer at a time to a local feature table.

Delta settles two commits of one version by a rename that must not replace a file. On a local disk, where that is a look
followed by a rename, it holds inside one JVM only: two JVMs may both find the name free, and the second rename would
put its commit in the place of the first. So writers of fstk also take turns by an advisory lock, which the system
releases however its holder ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fstk.errors import InvalidInput, WriteConflict
from fstk.warehouse import beside

PATIENCE = 120.0
"""Seconds to wait for another writer to finish."""


@contextmanager
def exclusive(folder: Path, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of the table ``name`` at ``folder``; threads of one process exclude each other too.

    The lock is a file beside the folder, so that it is there before the table is and after it is dropped. Raises
    WriteConflict after ``patience`` seconds, InvalidInput where the folder's parent cannot be written.
    """
    lock = FileLock(beside(folder, "lock"), timeout=patience)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise WriteConflict(
            f"{name}: another process is writing it, for more than {patience:g} s by now. Try again later."
        ) from error
    except OSError as error:
        raise InvalidInput(f"{name}: {folder.parent} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()
