"""The process that appends what a worker served to a Delta table: entries come on standard input, and it says on
standard output how many rows of them are written, or lost. It ends with its input, after it has written the rest."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from fstk.serving.messages import LENGTH, Entry, Logged
from fstk.tables.served_log import SCHEMA, ServedLog

_MOST = 32 * 2**20  # bytes of a batch
_INPUT = 0
_log = logging.getLogger("fstk.serving")


class Batches:
    """Entries that become rows of a log: a batch every so many seconds, or when it is large."""

    def __init__(self, log: ServedLog, every: float) -> None:
        self._log = log
        self._every = every
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._due = 0.0
        self._decode = msgspec.json.Decoder(Entry).decode

    @property
    def wait(self) -> float | None:
        """Seconds until the batch is due; None where there is nothing to write."""
        return max(0.0, self._due - time.monotonic()) if self._rows else None

    def add(self, encoded: bytes) -> None:
        """Add an entry, and write the batch if it is due."""
        if not self._rows:
            self._due = time.monotonic() + self._every
        self._rows += rows_of(self._decode(encoded))
        self._bytes += len(encoded)
        if self._bytes > _MOST or self.wait == 0:
            self.write()

    def write(self) -> None:
        """Write the batch; what cannot be written is lost, and told."""
        if not self._rows:
            return
        number, rows = len(self._rows), pa.Table.from_pylist(self._rows, SCHEMA)
        self._rows, self._bytes = [], 0
        try:
            self._log.append(rows)
            written = True
        except Exception as error:  # noqa: BLE001 whatever it was, the next batch may be written
            _log.error("%s: %d rows of what was served are lost: %s", self._log.name, number, error)
            written = False
        sys.stdout.buffer.write(msgspec.json.encode(Logged(number, written)) + b"\n")
        sys.stdout.buffer.flush()


def rows_of(entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield the rows of an entry, as :data:`SCHEMA` has them."""
    request = uuid.uuid4().hex
    absent = {name: set(places) for name, places in entry.absent.items()}
    for row, prediction in enumerate(entry.predictions):
        found = zip(entry.tables, entry.found, strict=True)
        yield {
            "at": entry.at,
            "endpoint": entry.endpoint,
            "version": entry.version,
            "request": request,
            "row": row,
            "given": [(n, _text(c[row])) for n, c in entry.given.items() if row not in absent.get(n, ())],
            "features": [(name, _text(column[row])) for name, column in entry.features.items()],
            "lookups": [
                None if (state := states[row]) is None else dict(zip(_LOOKUP, (table, *state), strict=True))
                for table, states in found
            ],
            "prediction": _text(prediction),
            "latency_seconds": entry.latency,
        }


_LOOKUP = ("table", "status", "event_time", "source_version")


def _text(value: msgspec.Raw) -> str:
    return bytes(value).decode()


def main() -> int:
    """Be the process; its arguments are the log's name and the seconds between two batches."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends when its worker has no more to say
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    batches = Batches(ServedLog(sys.argv[1]), float(sys.argv[2]))
    held = bytearray()
    while True:
        if not select.select([_INPUT], [], [], batches.wait)[0]:
            batches.write()
            continue
        more = os.read(_INPUT, 1 << 20)
        if not more:
            batches.write()
            return 0
        held += more
        while len(held) >= LENGTH and len(held) >= (end := LENGTH + int.from_bytes(held[:LENGTH], "little")):
            batches.add(bytes(held[LENGTH:end]))
            del held[:end]


if __name__ == "__main__":
    sys.exit(main())
