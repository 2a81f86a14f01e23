"""Endpoints beside a notebook: each a process of its own, which ends when the kernel does."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from fstk.serving.messages import Ready
from fstk.serving.supervisor import Serving

_running: list[subprocess.Popen[bytes]] = []


def start(asked: Serving) -> Ready:
    """Start an endpoint and return what it serves, and where. FstkError, in the endpoint's words: it cannot be
    served."""
    # Its standard input stays open as long as this process lives, and its end is the endpoint's.
    process = subprocess.Popen(
        [sys.executable, "-m", "fstk.serving.supervisor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(asked) + b"\n")
    process.stdin.flush()
    line = process.stdout.readline()
    ready = msgspec.json.decode(line, type=Ready) if line else Ready(error="the endpoint ended while it started.")
    if ready.error:
        process.wait()
        raise ready.failure()
    _running.append(process)
    return ready


def stop() -> int:
    """Stop the endpoints that this process started, and return how many there were."""
    number = len(_running)
    for process in _running:
        assert process.stdin is not None
        process.stdin.close()
    while _running:
        _running.pop().wait()
    return number
