"""The rows that every contender gets: random but the same each time, as Parquet (local ones) and Delta (Spark's)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = 1_672_531_200_000_000  # 2023-01-01 UTC in microseconds
DAY = 86_400_000_000
DAYS = 364
CALENDAR_STEP = 7
WINDOWS = (7, 14, 30, 90)
WIDE = 12
FILE_ROWS = 1_250_000  # of a wide table, in a file of the size that fstk writes


@dataclass(frozen=True)
class Size:
    """How much: ``events`` are also the feature rows of the join."""

    events: int
    labels: int
    keys: int
    repeats: int
    seconds: int
    """A contender that takes longer is stopped."""
    wide: int
    """Rows of the tables of :data:`WIDE` features."""
    wide_labels: int


FULL = Size(5_000_000, 1_000_000, 50_000, repeats=3, seconds=600, wide=3_000_000, wide_labels=500_000)
QUICK = Size(20_000, 5_000, 500, repeats=1, seconds=300, wide=10_000, wide_labels=2_000)


def make(folder: Path, size: Size) -> None:
    """Write the tables events (id, key, ts, amount), features (key, ts, f1, f2, f3) and labels (id, key, ts, label);
    and more labels with two tables of more features, ``ordered`` as fstk writes it, ``unordered`` as it came."""
    rng = np.random.default_rng(20260101)

    def moments(rows: int) -> pa.Array:
        return pa.array(START + rng.integers(0, DAYS * DAY, rows)).cast(pa.timestamp("us", tz="UTC"))

    def keys(rows: int) -> np.ndarray:
        return rng.integers(0, size.keys, rows)

    events = {
        "id": np.arange(size.events),
        "key": keys(size.events),
        "ts": moments(size.events),
        "amount": np.round(rng.exponential(40, size.events), 2),
    }
    features = {
        "key": keys(size.events),
        "ts": moments(size.events),
        "f1": rng.normal(size=size.events),
        "f2": rng.integers(0, 1_000, size.events),
        "f3": rng.normal(size=size.events),
    }
    labels = {
        "id": np.arange(size.labels),
        "key": keys(size.labels),
        "ts": moments(size.labels),
        "label": rng.random(size.labels) < 0.3,
    }
    for name, columns in (("events", events), ("features", features), ("labels", labels)):
        table = pa.table(columns)
        pq.write_table(table, folder / f"{name}.parquet")
        deltalake.write_deltalake(str(folder / "delta" / name), table)
    few = {"id": np.arange(size.wide_labels), "key": keys(size.wide_labels), "ts": moments(size.wide_labels)}
    pq.write_table(pa.table(few), folder / "wide_labels.parquet")
    values = [rng.normal(size=size.wide) if n % 3 else rng.integers(0, 1_000, size.wide) for n in range(WIDE)]
    numbered = {f"f{n}": column for n, column in enumerate(values, 1)}
    wide = pa.table({"key": keys(size.wide), "ts": moments(size.wide), **numbered})
    _write_files(folder / "delta" / "unordered", wide)
    _write_files(folder / "delta" / "ordered", wide.sort_by([("key", "ascending"), ("ts", "ascending")]))


def _write_files(folder: Path, rows: pa.Table) -> None:
    """Write a Delta table whose files have checksums, as Spark's have and delta-rs's have not."""
    for start in range(0, rows.num_rows, FILE_ROWS):
        part = rows.slice(start, FILE_ROWS)
        there = set(folder.glob("*.parquet"))
        deltalake.write_deltalake(str(folder), part, mode="append")
        (made,) = set(folder.glob("*.parquet")) - there
        pq.write_table(part, made, row_group_size=FILE_ROWS, write_page_checksum=True)


def load(folder: Path, name: str) -> pa.Table:
    """Return one of the tables, each column in one piece."""
    return pq.read_table(folder / f"{name}.parquet").combine_chunks()
