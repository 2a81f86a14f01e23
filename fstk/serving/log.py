"""What was served, handed to a process of its own that appends it to a Delta table: no answer waits for it.

What that process has not taken yet is kept up to a bound; what comes past the bound, or while there is no such process,
is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import msgspec

from fstk.models.lookups import ABSENT
from fstk.serving.endpoint import Answer, Endpoint
from fstk.serving.messages import LENGTH, Logged
from fstk.serving.metrics import Metrics

_MOST = 8 * 2**20  # bytes that wait for the process
_AGAIN = 1.0  # seconds until another process takes the place of one that ended
_LAST = 20.0  # seconds that the process has for what is left at the end
_log = logging.getLogger("fstk.serving")


class Log:
    """The log of one worker, under the name of its table; a batch is written ``every`` so many seconds."""

    def __init__(self, table: str, every: float, metrics: Metrics) -> None:
        self._table = table
        self._every = every
        self._metrics = metrics
        self._process: asyncio.subprocess.Process | None = None
        self._taken = 0  # rows that the process was handed and has not told of
        self._closing = False
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process, and another whenever it ends."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Let the process write what is left, and end."""
        self._closing = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._running is not None:
            _, late = await asyncio.wait([self._running], timeout=_LAST)
            for task in late:
                _log.error("what was served last is not in %s: it could not be written in time", self._table)
                task.cancel()

    def put(self, endpoint: Endpoint, answer: Answer, seconds: float) -> None:
        """Hand an answer to the process, or drop it; returns at once."""
        featured = answer.featured
        rows = len(answer.told.predictions)
        stdin = None if self._process is None else self._process.stdin
        if stdin is None or stdin.is_closing() or stdin.transport.get_write_buffer_size() > _MOST:
            self._metrics.dropped.inc(rows)
            return
        given = featured.given
        absent = {name: column for name, column in given.items() if ABSENT in column}
        entry = {
            "at": featured.found.at,
            "endpoint": endpoint.name,
            "version": "" if endpoint.version is None else str(endpoint.version),
            "latency": seconds,
            "given": given,
            "absent": {n: [row for row, value in enumerate(c) if value is ABSENT] for n, c in absent.items()},
            "features": {name: featured.columns[name] for name in endpoint.features.made},
            "tables": [join.table for join in endpoint.lookups.joins],
            "found": [[state and state[:3] for state in states] for states in featured.found.states],
            "predictions": answer.told.predictions,
        }
        encoded = msgspec.json.encode(entry, enc_hook=_encoded)
        self._taken += rows
        stdin.write(len(encoded).to_bytes(LENGTH, "little") + encoded)

    async def _run(self) -> None:
        while not self._closing:
            command = (sys.executable, "-m", "fstk.serving.log_writer", self._table, str(self._every))
            pipe = asyncio.subprocess.PIPE
            self._process = process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            assert process.stdout is not None
            async for line in process.stdout:
                said = msgspec.json.decode(line, type=Logged)
                self._taken -= said.rows
                (self._metrics.logged if said.written else self._metrics.dropped).inc(said.rows)
            self._process = None
            await process.wait()
            self._metrics.dropped.inc(self._taken)
            self._taken = 0
            if not self._closing:
                _log.error("what writes %s ended with %s; another is started", self._table, process.returncode)
                await asyncio.sleep(_AGAIN)


def _encoded(value: Any) -> None:
    if value is not ABSENT:
        raise TypeError(f"a {type(value).__name__} has no JSON")
