"""One writer at a time, across processes, however a writer ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fstk.errors import InvalidInput, WriteConflict
from fstk.tables import lock

_HOLD = """
import sys
from pathlib import Path
from fstk.tables.lock import exclusive
with exclusive(Path(sys.argv[1]), "s.t"):
    print("held", flush=True)
    sys.stdin.read()
"""


def enter(folder: Path, schema: str = "s", patience: float = lock.PATIENCE) -> None:
    with lock.exclusive(folder / schema / "t", "s.t", patience):
        pass


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of ``tmp_path/s/t`` until its standard input ends."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "s" / "t")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("holder")
def test_a_second_writer_is_told_to_try_again(tmp_path: Path) -> None:
    with pytest.raises(WriteConflict, match=r"s\.t: another process is writing it, for more than 0\.2 s") as caught:
        enter(tmp_path, patience=0.2)
    assert caught.value.exit_code == 4
    with lock.exclusive(tmp_path / "s" / "other", "s.other"):
        pass


def test_a_second_writer_waits_for_the_first(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    entered = threading.Event()

    def write() -> None:
        with lock.exclusive(tmp_path / "s" / "t", "s.t"):
            entered.set()

    second = threading.Thread(target=write)
    second.start()
    assert not entered.wait(0.3)
    assert holder.stdin is not None
    holder.stdin.close()
    second.join(30)
    assert entered.is_set()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(30)
    enter(tmp_path)


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with lock.exclusive(tmp_path / "s" / "t", "s.t"):
        with pytest.raises(WriteConflict):
            enter(tmp_path, patience=0.0)
        with ThreadPoolExecutor(1) as other, pytest.raises(WriteConflict):
            other.submit(enter, tmp_path, patience=0.0).result()
    enter(tmp_path, patience=0.0)


def test_an_error_of_the_writer_releases_the_lock_and_stays_its_own(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), lock.exclusive(tmp_path / "s" / "t", "s.t"):
        raise OSError("disk")
    enter(tmp_path, patience=0.0)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"s\.t: .*file cannot be written: (Not a directory|File exists)"):
        enter(tmp_path, "file")
