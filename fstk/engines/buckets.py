"""How many buckets of keys, and which row goes to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import deltalake
import deltalake.exceptions
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.types import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMN = "__fstk_bucket"
UNKNOWN = 200  # Spark's own default of shuffle partitions, for a session that does not say
_ROWS = 2_000_000  # rows of one bucket that a worker holds easily, kernel included
_MOST = 10_000


def number(rows: Sequence[int | None], at_hand: int) -> int:
    """Return how many buckets to make: as many as the session runs at once, more when known sizes ask for it."""
    known = sum(count for count in rows if count is not None)
    return max(1, min(_MOST, max(at_hand, -(-known // _ROWS))))


def stored_rows(location: str, version: int | None) -> int | None:
    """Return the rows of a Delta table by its log alone, or None where the log does not count them."""
    try:
        actions = pa.table(deltalake.DeltaTable(location, version=version).get_add_actions(flatten=True))
    except (deltalake.exceptions.DeltaError, OSError):
        return None  # only a hint is lost: Spark, which reads the table, says what is wrong with it
    if "num_records" not in actions.column_names or actions.column("num_records").null_count:
        return None
    return pc.sum(actions.column("num_records")).as_py() or 0


def spread(frame: DataFrame, keys: Mapping[str, str], buckets: int) -> DataFrame:
    """Return ``frame`` with :data:`COLUMN`, the bucket of its keys (name → type)."""
    parts = ", ".join(_normal(quoted_name(name), kind) for name, kind in keys.items())
    bucket = f"CAST(pmod(xxhash64({parts}), {buckets}L) AS INT) AS {COLUMN}" if keys else f"0 AS {COLUMN}"
    return frame.selectExpr("*", bucket)


def _normal(column: str, kind: str) -> str:
    # Equal doubles must hash alike: −0.0 + 0.0 is 0.0, and every NaN becomes the one NaN.
    if kind in {"double", "float"}:
        return f"IF(isnan({column}), CAST('NaN' AS {kind}), {column} + CAST(0 AS {kind}))"
    return column
