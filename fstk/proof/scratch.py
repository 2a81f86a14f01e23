"""A warehouse of its own, beside nothing: sources are copied or rewritten into it, and a notebook runs there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from fstk import settings
from fstk.engines.start.keeper import SharedJVM
from fstk.errors import InvalidInput, JobFailed
from fstk.jobs.record import RunRecord, read_record
from fstk.tables.local import store_copy
from fstk.warehouse import folder

_SECONDS = 3600  # that one run may take
_COMMAND = "from fstk.cli.app import main; raise SystemExit(main())"
_REAL = ("FSTK_", "MLFLOW_")
_SHARED = ("FSTK_JARS", "FSTK_MASTER", "FSTK_DRIVER_MEMORY", "FSTK_FILE_MB")
_RAN = ("succeeded", "unclosed")  # every cell ran; that the record was closed matters to a job alone


@dataclass(frozen=True)
class Scratch:
    """One folder with a warehouse, runs, an online store and a registry that are its own."""

    place: Path

    @property
    def warehouse(self) -> Path:
        return self.place / "warehouse"

    def copy(self, names: Iterable[str], other: Path) -> None:
        """Copy tables of the warehouse ``other`` as they are, with their history."""
        for name in names:
            shutil.copytree(folder(other, name), folder(self.warehouse, name))

    def fill(self, rows: Mapping[str, pa.Table], real: Path) -> None:
        """Write tables of these rows, each with the properties that it has in the warehouse ``real``."""
        for name, table in rows.items():
            store_copy(name, folder(real, name), folder(self.warehouse, name), table)

    def run(self, notebook: Path, parameters: Mapping[str, str], jvm: SharedJVM) -> RunRecord:
        """Run the notebook here, with Spark in ``jvm``, and return its record; raises JobFailed, InvalidInput."""
        self.warehouse.mkdir(parents=True, exist_ok=True)
        given = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, "run", str(notebook), *given],
            env=environment(self.place) | jvm.variables,
            cwd=settings.root(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        jvm.end_context()
        paths = sorted((self.place / "runs").rglob(f"{notebook.stem}.json"))
        record = read_record(paths[-1]) if paths else None
        if record is not None and record.status in _RAN:
            return record
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[0]
        kind = InvalidInput if done.returncode == 2 else JobFailed
        raise kind(f"{notebook.name} did not run in the scratch warehouse: {said}")


def environment(place: Path) -> dict[str, str]:
    """Return the variables of a process that shares nothing with the real warehouse, and keeps what it keeps below
    ``place``."""
    outer = {name: value for name, value in os.environ.items() if name in _SHARED or not name.startswith(_REAL)}
    return outer | {
        "FSTK_ENGINE": "spark",
        "FSTK_WAREHOUSE": str(place / "warehouse"),
        "FSTK_RUNS": str(place / "runs"),
        "FSTK_ONLINE_STORE": f"sqlite:///{place}/online.db",
    }
