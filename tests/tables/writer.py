"""A process of its own that writes to a feature table, for tests of what happens between processes.

``python -m tests.tables.writer race WHO ROUNDS`` waits for a line on standard input, writes so many frames, and prints
what became of each as a line of JSON. ``python -m tests.tables.writer stop POINT`` begins a create and stops at a point
of it, saying so, until it is killed. The warehouse is that of the settings.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk.engines.connect import connect
from fstk.errors import WriteConflict
from fstk.tables import write
from fstk.tables.configured import open_catalog


def race(who: str, rounds: int) -> None:
    """Write ``rounds`` frames: of three keys that the other process writes in the same round, and one of its own."""
    catalog = open_catalog()
    say("ready")
    sys.stdin.readline()
    for number in range(rounds):
        keys = [f"both-{number}-{i}" for i in range(3)] + [f"{who}-{number}", "always"]
        try:
            report = catalog.write("s.t", pa.table({"id": keys, "x": [f"{who}{number}"] * len(keys)}))
        except WriteConflict:
            say({"keys": keys, "x": f"{who}{number}", "version": None})
        else:
            say({"keys": keys, "x": f"{who}{number}", "version": report.version})


def stop(point: str) -> None:
    """Create s.done, then begin to create s.half and stop: at ``checked`` rows, or at a ``made`` table."""
    catalog = open_catalog()
    rows = pa.table({"id": [1, 2], "x": [1.0, 2.0]})
    catalog.create("s.done", "id", rows)

    def wait(*_: object, **__: object) -> Any:
        say("stopped")
        sys.stdin.read()

    if point == "checked":
        write.check = wait
    else:
        Path.replace = wait  # type: ignore[method-assign, assignment]
    catalog.create("s.half", "id", rows)


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    connect("spark", master="local[1]", **{"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"})
    if sys.argv[1] == "race":
        race(sys.argv[2], int(sys.argv[3]))
    else:
        stop(sys.argv[2])
