"""A child process with a time limit, and the most memory that it and its own children held together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_SAMPLE = 0.05  # seconds


@dataclass(frozen=True)
class Measured:
    """What a child printed as JSON (None when it failed), its peak memory until then in bytes, and why it failed."""

    figures: dict[str, Any] | None
    peak: int
    failure: str | None = None


def run(module: str, *arguments: str, folder: Path, seconds: float) -> Measured:
    """Run ``python -m module arguments`` to its end, for at most ``seconds``.

    Memory is the resident memory of the process and all its descendants (a JVM, its Python workers), summed and sampled
    twenty times a second until the JSON line appears, and no less than what the line says. Pages that workers share
    are counted for each.
    """
    environment = os.environ | {"FSTK_WAREHOUSE": str(folder / "warehouse")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else every import compiles again
    log = folder / "child.log"
    with log.open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            start_new_session=True,
        )
    figures: list[dict[str, Any]] = []

    def listen() -> None:
        assert child.stdout is not None
        figures.extend(json.loads(line) for line in child.stdout if line.startswith("{"))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    deadline, peak = time.monotonic() + seconds, 0
    while child.poll() is None and time.monotonic() < deadline:
        if not figures:
            peak = max(peak, _resident(child.pid))
        time.sleep(_SAMPLE)
    late = child.poll() is None
    if late:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    listener.join(timeout=10)
    if late:
        return Measured(None, peak, f"stopped after {seconds:.0f} s")
    if child.returncode or not figures:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return Measured(None, peak, (lines or [f"exit {child.returncode}"])[-1][:200])
    return Measured(figures[0], max(peak, figures[0]["peak"]))


def report(**figures: Any) -> None:
    """Print the child's one line, with the most memory it held itself: short lives end between two samples."""
    # Not getrusage: its maximum survives exec, so that a child would begin with its parent's.
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**figures, "peak": peak}), flush=True)


def _resident(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # a worker that has just ended
            continue
    return total
