"""Publishers that offer rows to a store, batch after batch; as a process it makes a table.

Each value spells the order of its row, so that a torn or reordered write shows.
"""

from __future__ import annotations

import pickle
import random
import sys
from dataclasses import replace

from fstk.online.spec import OnlineSpec
from fstk.online.store import OnlineTable, Row

TABLE = OnlineTable("t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)


def offered(version: int, keys: int) -> list[Row]:
    """Return the rows that the publisher of a version offers: event times that tie, rise and fall between versions."""
    rows = []
    for key in range(keys):
        event_time = (key * 7 + version * (1 if key % 3 else -1)) // 2 if key % 5 else 40
        rows.append(Row(b"i%d" % key, event_time, version, 0, b"%d/%d/%d" % (key, event_time, version)))
    return rows


def newest(versions: tuple[int, ...], keys: int) -> dict[bytes, Row]:
    """Return the rows that must be there in the end, whoever came first."""
    rows: dict[bytes, Row] = {}
    for version in versions:
        for row in offered(version, keys):
            if row.key not in rows or row[1:3] > rows[row.key][1:3]:
                rows[row.key] = row
    return rows


def publish(spec: OnlineSpec, version: int, keys: int, seed: int) -> None:
    """Offer the rows of a version in some order, 50 at a time."""
    rows = offered(version, keys)
    random.Random(seed).shuffle(rows)
    with spec.open() as store:
        table = store.table("t")
        assert table is not None
        for start in range(0, len(rows), 50):
            store.write(table, rows[start : start + 50])


def main() -> None:
    spec, name = pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2]
    with spec.open() as store:
        store.put_table(replace(TABLE, name=name), None)
    print("done", flush=True)


if __name__ == "__main__":
    main()
