"""Watches a kernel from its run: memory, rows, signs of life, and the processes that it must not leave behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from fstk import journal

_EVERY_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0  # for processes of a kernel that has ended, such as a JVM removing its temporary files


class Watch(threading.Thread):
    """Samples a kernel and its descendants twice a second and calls ``beat`` each time, until :meth:`stop`."""

    def __init__(self, pid: int, beat: Callable[[], None]) -> None:
        super().__init__(name=f"watch of kernel {pid}", daemon=True)
        self.peak_bytes: int | None = None
        self._kernel = psutil.Process(pid)
        self._beat = beat
        self._ended = threading.Event()
        self._family: set[psutil.Process] = set()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._sample()
            self._beat()

    def stop(self) -> None:
        """Stop sampling, and end whatever the kernel has left running once it had time to end by itself."""
        self._ended.set()
        self.join()
        self._sample()
        # the kernel leads a session of its own: what a cell started between two samples is still known by it
        self._family |= {p for p in psutil.process_iter() if _session(p) == self._kernel.pid}
        self._wait()
        for process in filter(_runs, self._family):
            process.kill()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(map(_runs, self._family)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _sample(self) -> None:
        try:
            self._family |= {self._kernel, *self._kernel.children(recursive=True)}
        except psutil.NoSuchProcess:
            return
        self.peak_bytes = max(self.peak_bytes or 0, sum(map(_resident, self._family)))


def rows_so_far(folder: Path) -> int | None:
    """Return the rows that the kernel's journal says were written, else read; None when it says nothing."""
    entries = read_journal(folder)
    written = [entry.rows for entry in entries if entry.action != "read" and entry.rows is not None]
    read = [entry.rows for entry in entries if entry.action == "read" and entry.rows is not None]
    return sum(written or read) if written or read else None


def read_journal(folder: Path) -> list[journal.Entry]:
    """Return the entries that the kernel has written; a line cut by its death is left out."""
    try:
        lines = (folder / journal.FILE).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=journal.Entry) for line in lines if line.endswith(b"\n")]


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # it ended, or is not ours to look at
        return 0


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:  # it ended, or is not ours to look at
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
