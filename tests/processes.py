"""Servers that tests start: each chooses its own port and tells it, and one that dies says so at once."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_PATIENCE = 180.0  # seconds until a server that neither listens nor ends is given up


@contextmanager
def server(
    command: Sequence[str], tells: str, env: Mapping[str, str], folder: Path, address: str = "127.0.0.1"
) -> Iterator[int]:
    """Run a server in ``folder``; yield the port in the first line that matches ``tells``; end it by its process id.

    What it prints is kept in ``folder/server.log``.

    Raises:
        RuntimeError: it ended, or was silent for three minutes; the message holds all that it said.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    giving_up = threading.Timer(_PATIENCE, process.kill)
    giving_up.start()
    said: list[str] = []
    try:
        port = next((int(found[1]) for line in _noted(process.stdout, said) if (found := re.search(tells, line))), None)
        keeping = threading.Thread(target=_keep, args=(process.stdout, folder / "server.log", said), daemon=True)
        keeping.start()
        if port is None or not _listens(process, address, port):
            keeping.join()
            raise RuntimeError(f"{command[0]} ended with {process.wait()} before it listened:\n{''.join(said)[-5000:]}")
        giving_up.cancel()
        yield port
    finally:
        giving_up.cancel()
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)


def _noted(output: Iterator[str], said: list[str]) -> Iterator[str]:
    for line in output:
        said.append(line)
        yield line


def _keep(output: Iterator[str], log: Path, said: list[str]) -> None:
    # Somebody has to read: a server whose pipe is full stands still.
    with log.open("w") as kept:
        kept.writelines(said)
        for line in _noted(output, said):
            kept.write(line)
            kept.flush()


def _listens(process: subprocess.Popen[str], address: str, port: int) -> bool:
    """Wait until a connection is taken, or the process has ended: some tell the port before they listen."""
    pause = threading.Event()
    while process.poll() is None:
        try:
            socket.create_connection((address, port), timeout=10).close()
        except OSError:
            pause.wait(0.05)
        else:
            return True
    return False
