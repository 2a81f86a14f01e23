"""How many buckets of keys, and which row goes to which."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import deltalake
import deltalake.exceptions
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.delta import open_delta
from fstk.engines.types import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMN = "__fstk_bucket"
UNKNOWN = 200  # Spark's own default of shuffle partitions, for a session that does not say
_MOST_ROWS = 2_000_000  # that a worker holds easily in one bucket, kernel included
_FEWEST_ROWS = 50_000  # fewer are done sooner than another task is started
_MOST = 10_000
_PLACED = 64  # with more buckets than this, chance spreads them well enough


@dataclass(frozen=True)
class Buckets:
    """How many buckets, and whether each has a partition of its own; if not, Spark decides and joins small ones."""

    number: int
    apart: bool


def plan(rows: Sequence[int | None], at_hand: int) -> Buckets:
    """Return the buckets for frames of so many rows (None: unknown); ``at_hand`` is what the session runs at once."""
    total = sum(count for count in rows if count is not None)
    needed = -(-total // _MOST_ROWS)
    if None in rows:
        return Buckets(min(_MOST, max(at_hand, needed)), apart=False)
    useful = min(at_hand, -(-total // _FEWEST_ROWS))
    return Buckets(max(1, min(_MOST, max(useful, needed))), apart=True)


def stored_rows(location: str, version: int | None) -> int | None:
    """Return the rows of a Delta table by its log alone, or None where the log does not count them."""
    try:
        added = open_delta(location, version).get_add_actions(flatten=True)
        actions = pa.RecordBatchReader.from_stream(added).read_all()  # pa.table() would import pandas first
    except (deltalake.exceptions.DeltaError, OSError):
        return None  # only a hint is lost: Spark, which reads the table, says what is wrong with it
    if "num_records" not in actions.column_names or actions.column("num_records").null_count:
        return None
    return pc.sum(actions.column("num_records")).as_py() or 0


def spread(frame: DataFrame, keys: Mapping[str, str], buckets: Buckets) -> DataFrame:
    """Return ``frame`` with :data:`COLUMN`, the bucket of its keys (name → type)."""
    number = buckets.number
    parts = ", ".join(_normal(quoted_name(name), kind) for name, kind in keys.items())
    bucket = f"CAST(pmod(xxhash64({parts}), {number}L) AS INT)" if keys and number > 1 else "0"
    if not buckets.apart:
        return frame.selectExpr("*", f"{bucket} AS {COLUMN}")
    if 1 < number <= _PLACED and keys:
        bucket = f"element_at(array({', '.join(map(str, _names(number)))}), {bucket} + 1)"
    return frame.selectExpr("*", f"{bucket} AS {COLUMN}").repartition(number, COLUMN)


def _normal(column: str, kind: str) -> str:
    # Equal doubles must hash alike: −0.0 + 0.0 is 0.0, and every NaN becomes the one NaN.
    if kind in {"double", "float"}:
        return f"IF(isnan({column}), CAST('NaN' AS {kind}), {column} + CAST(0 AS {kind}))"
    return column


@functools.cache
def _names(number: int) -> list[int]:
    """Return a name for each bucket such that Spark's own hash of the names puts each into another partition."""
    names: dict[int, int] = {}
    candidate = 0
    while len(names) < number:
        names.setdefault(_spark_hash(candidate) % number, candidate)
        candidate += 1
    return [names[partition] for partition in range(number)]


def _spark_hash(value: int) -> int:
    """Return Murmur3 (x86, 32 bits, seed 42) of a four-byte integer, signed, as Spark partitions by it."""
    word = 2**32 - 1
    mixed = value * 0xCC9E2D51 & word
    mixed = (mixed << 15 | mixed >> 17) * 0x1B873593 & word
    found = 42 ^ mixed
    found = ((found << 13 | found >> 19) & word) * 5 + 0xE6546B64 & word
    found ^= 4
    found = (found ^ found >> 16) * 0x85EBCA6B & word
    found = (found ^ found >> 13) * 0xC2B2AE35 & word
    found ^= found >> 16
    return found - 2**32 if found >= 2**31 else found
