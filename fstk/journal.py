"""What this process read and wrote, for the run record of the job it belongs to.

Under ``fstk run`` every entry is also appended to a file at once, so that a run whose kernel dies still tells what it
had written, and a person watching sees the rows grow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import msgspec

from fstk.errors import Infrastructure

Action = Literal["read", "written", "published", "model"]
FILE = "journal.jsonl"
"""Name of the file of entries in the folder that the run shares with its kernel."""

# fstk/jobs/kernel.py sets the third to its process id: a process that a cell starts does not pass for the run
FOLDER_VARIABLE, RUN_VARIABLE, KERNEL_VARIABLE = "FSTK_RUN_FOLDER", "FSTK_RUN_ID", "FSTK_RUN_KERNEL"
TASK_VARIABLE = "FSTK_RUN_TASK"

_entries: list[Entry] = []


class Entry(msgspec.Struct, frozen=True):
    """One table version, model version or online table that this process read or wrote; ``rows`` None is not known
    without counting. A write that changed nothing has ``rows`` 0 and the version that stood."""

    action: Action
    table: str
    version: int | None
    rows: int | None


def note(action: Action, table: str, version: int | None, rows: int | None) -> None:
    """Add an entry; call it once a read or a write is done.

    >>> note("written", "feature_store.customers", 3, 1204)
    >>> entries()[-1]
    Entry(action='written', table='feature_store.customers', version=3, rows=1204)
    """
    entry = Entry(action, table, version, rows)
    _entries.append(entry)
    folder = run_folder()
    if folder is None:
        return
    try:
        with (folder / FILE).open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Infrastructure(f"the run cannot record what was done with {table} in {folder}: {reason}.") from error


def entries() -> tuple[Entry, ...]:
    """Return the entries of this process, oldest first."""
    return tuple(_entries)


def cell() -> str | None:
    """Return the text of the notebook cell that is being executed, None where none is."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    texts = getattr(getattr(shell, "history_manager", None), "input_hist_raw", [])
    # once a cell is done, its text is still the last, but the count is that of the next
    return texts[-1] if shell is not None and 1 < len(texts) == shell.execution_count + 1 else None


def run_id() -> str | None:
    """Return the id of the ``fstk run`` task that this process executes, None outside one."""
    return os.environ[RUN_VARIABLE] if run_folder() is not None else None


def run_task() -> str | None:
    """Return the job, task and logical date of the ``fstk run`` task that this process executes, None outside one."""
    return os.environ.get(TASK_VARIABLE) if run_folder() is not None else None


def run_folder() -> Path | None:
    """Return the folder that this kernel shares with the run that started it, None in any other process."""
    if os.environ.get(KERNEL_VARIABLE) != str(os.getpid()):
        return None
    return Path(os.environ[FOLDER_VARIABLE])
