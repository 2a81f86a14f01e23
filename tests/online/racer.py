"""Offers and removes the same few keys as others do at the same time; tests of the stores run it in processes.

All it does follows from its seed, so that what must be there in the end can be told without it.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterable, Iterator

from fstk.online.spec import OnlineSpec
from fstk.online.store import Counts, OnlineTable, Row

TABLE = OnlineTable("t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)
KEYS = [b"i%d" % key for key in range(49)] + [b"s90:" + b"long" * 20]
_VERSIONS = 300
CONTEXT = multiprocessing.get_context("forkserver")
"""Processes that begin as copies of one that has imported what they need."""
CONTEXT.set_forkserver_preload(
    [__name__, "tests.online.publishers", "pyarrow.dataset", "sqlglot", "redis", "hiredis", "psycopg", "azure.cosmos"]
)


def steps(seed: int, batches: int, removing: bool) -> Iterator[tuple[list[Row], list[bytes], int]]:
    """Yield rows to offer, and keys to remove at a version. Where keys are removed, a later version has the later event
    time, so that what is left does not depend on the order of steps."""
    choose = random.Random(seed)
    for _ in range(batches):
        rows = []
        for key in choose.sample(KEYS, choose.randint(1, len(KEYS))):
            version = choose.randrange(_VERSIONS)
            time = version if removing else choose.randrange(30)
            rows.append(Row(key, time, version, 0, b"%s/%d/%d" % (key, time, version)))
        gone = choose.sample(KEYS, choose.randint(1, 5)) if removing and choose.random() < 0.3 else []
        yield rows, gone, choose.randrange(_VERSIONS - 20)


def expected(seeds: Iterable[int], batches: int, removing: bool) -> dict[bytes, Row]:
    """Return the rows that all those processes must leave."""
    every = [step for seed in seeds for step in steps(seed, batches, removing)]
    floors: dict[bytes, int] = {}
    for _, gone, version in every:
        floors.update({key: max(version, floors.get(key, -1)) for key in gone})
    left: dict[bytes, Row] = {}
    for rows, _, _ in every:
        for row in rows:
            held = left.get(row.key)
            if row.version > floors.get(row.key, -1) and (held is None or row[1:3] > held[1:3]):
                left[row.key] = row
    return left


def race(spec: OnlineSpec, seed: int, batches: int, removing: bool) -> tuple[int, ...]:
    """Take all steps of a seed; return what became of the rows that were offered, and how many were removed."""
    counts, removed = Counts(), 0
    with spec.open() as store:
        table = store.table("t")
        assert table is not None
        for rows, gone, version in steps(seed, batches, removing):
            counts = counts.plus(store.write(table, rows))
            if gone:
                removed += store.remove(table, gone, version)
    return *counts, removed
