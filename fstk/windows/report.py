"""What the source holds that no window can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import nulls
from fstk.display import Displayed, Sheet
from fstk.engines.base import Schema

COUNTS: Schema = {"events": "bigint", "null_key": "bigint", "null_time": "bigint"}
"""Columns of :func:`count_events`."""


@dataclass(frozen=True, repr=False)
class SourceReport(Displayed):
    """Events of a source; ``null_key`` of them have a null in a key, ``null_time`` more have keys but no time."""

    source: str
    events: int
    null_key: int
    null_time: int

    @property
    def ignored(self) -> int:
        """Events that belong to no window."""
        return self.null_key + self.null_time

    def display(self) -> Sheet:
        return Sheet(
            f"events of {self.source}: {self.ignored:,} of {self.events:,} belong to no window",
            ("null key", "null time", "in windows"),
            [(self.null_key, self.null_time, self.events - self.ignored)],
        )


def count_events(events: pa.Table, time: str) -> pa.Table:
    """Return one row that counts the events; all columns but ``time`` are keys."""
    no_key = np.any([nulls(events.column(name)) for name in events.column_names if name != time], axis=0)
    no_time = nulls(events.column(time)) & ~no_key
    counts = (events.num_rows, int(no_key.sum()), int(no_time.sum()))
    return pa.table({name: pa.array([count], pa.int64()) for name, count in zip(COUNTS, counts, strict=True)})
