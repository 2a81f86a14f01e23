"""Runs that are killed, stopped or repeated while their kernel works."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from fstk.jobs.record import read_record

from .conftest import Project, told

pytestmark = pytest.mark.server

DECLARATION = 'from datetime import date\nas_of: date = "1998-03-31"\nhang: bool = True'
# says its process id, then waits for a word without ever giving another thread of Python a turn
HANG = """
if job.hang:
    import ctypes, os
    open("pid", "w").write(str(os.getpid()))
    reader = os.open("word", os.O_RDONLY)
    ctypes.PyDLL(None).read(reader, ctypes.create_string_buffer(1), ctypes.c_size_t(1))
"""


class Hanging(Project):
    """A project whose notebook waits in a cell."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for pipe in ("pid", "word"):
            os.mkfifo(root / pipe)
        self.notebook("n.ipynb", HANG, declaration=DECLARATION)
        self.record = root / "runs" / "n" / "1998-03-31" / "n.json"
        self.process: subprocess.Popen[str] | None = None
        self.word: int | None = None

    def begin(self) -> psutil.Process:
        """Start the run and return its kernel, which is in the cell that waits."""
        self.process = self.start("run", "n.ipynb")
        kernel = psutil.Process(int(told(self.root / "pid")))
        self.word = os.open(self.root / "word", os.O_RDWR)  # does not wait for the reader
        return kernel

    def finish(self) -> None:
        """Let the cell go on."""
        assert self.word is not None
        os.write(self.word, b".")

    def end(self) -> tuple[str, str, int]:
        """Wait for the run to end."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=60)
        return out, err, self.process.returncode


@pytest.fixture
def hanging(project: Project) -> Iterator[Hanging]:
    made = Hanging(project.root)
    yield made
    if made.word is not None:
        os.close(made.word)
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.end()


def test_a_killed_run_takes_its_kernel_along_reads_as_lost_and_frees_the_lease(hanging: Hanging) -> None:
    kernel = hanging.begin()
    assert read_record(hanging.record).status == "running"
    assert hanging.process is not None
    hanging.process.kill()
    hanging.end()
    psutil.wait_procs([kernel], timeout=30)
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    lost = read_record(hanging.record)
    assert (lost.status, lost.exit_code) == ("lost", 4)
    again = hanging.fstk("run", "n.ipynb", "-p", "hang=false")
    assert again.returncode == 0, again.stderr
    assert read_record(hanging.record).status == "succeeded"
    assert sorted(path.name for path in hanging.record.parent.iterdir()) == [".lease", "n.ipynb", "n.json"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_ends_its_kernel_and_closes_its_record(hanging: Hanging, stop: int) -> None:
    kernel = hanging.begin()
    assert hanging.process is not None
    hanging.process.send_signal(stop)
    out, err, code = hanging.end()
    assert code == 4, err
    assert "INTERRUPTED in cell 3 of 4" in out
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert read_record(hanging.record).status == "interrupted"


def test_a_second_run_refuses_while_the_first_holds_the_lease(hanging: Hanging) -> None:
    hanging.begin()
    assert hanging.process is not None
    before = read_record(hanging.record)
    second = hanging.fstk("run", "n.ipynb", "-p", "hang=false")
    assert second.returncode == 4
    assert second.stdout == ""
    assert f"LeaseHeld: n for 1998-03-31 is already running (process {hanging.process.pid} on " in second.stderr
    assert msgspec.structs.replace(read_record(hanging.record), heartbeat=before.heartbeat) == before
    other_date = hanging.fstk("run", "n.ipynb", "-p", "hang=false", "-p", "as_of=1998-04-30")
    assert other_date.returncode == 0, other_date.stderr
    hanging.finish()
    _, err, code = hanging.end()
    assert code == 0, err
    assert read_record(hanging.record).status == "succeeded"


def test_a_task_that_was_lost_is_closed_by_the_next_run(hanging: Hanging, job_file: Callable[[str], Path]) -> None:
    hanging.begin()
    assert hanging.process is not None
    hanging.process.kill()
    hanging.end()
    assert '"running"' in hanging.record.read_text()
    hanging.notebook("n.ipynb", "1 / 0", declaration=DECLARATION)
    other = hanging.record.with_name("other.json")
    hanging.record.rename(other)
    assert hanging.fstk("run", "n.ipynb").returncode == 1
    assert '"lost"' in other.read_text()
