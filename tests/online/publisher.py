"""A process that offers rows to a SQLite store, batch after batch, and says so; started and killed by test_sqlite.py.

Without a version it only makes the table.
Each value spells the order of its row, so that a torn or reordered write shows.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

from fstk.online.sqlite import SQLiteStore
from fstk.online.store import OnlineTable, Row


def offered(version: int, keys: int) -> list[Row]:
    """Return the rows that the publisher of a version offers: event times that tie, rise and fall between versions."""
    rows = []
    for key in range(keys):
        event_time = (key * 7 + version * (1 if key % 3 else -1)) // 2 if key % 5 else 40
        rows.append(Row(b"i%d" % key, event_time, version, 0, b"%d/%d/%d" % (key, event_time, version)))
    return rows


TABLE = OnlineTable("t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)


def main() -> None:
    path, name = Path(sys.argv[1]), sys.argv[2]
    with SQLiteStore(path) as store:
        if len(sys.argv) == 3:
            store.put_table(replace(TABLE, name=name), None)
            return
        version, keys, seed = map(int, sys.argv[3:])
        rows = offered(version, keys)
        random.Random(seed).shuffle(rows)
        table = store.table(name)
        assert table is not None
        for start in range(0, len(rows), 50):
            print(*store.write(table, rows[start : start + 50]), flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main()
