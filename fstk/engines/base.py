"""What every engine offers to the stages of fstk; a stage knows this protocol and never an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Schema = dict[str, str]
"""Column name → Spark SQL type (``bigint``, ``timestamp``, ``decimal(10,2)``, ``array<string>``…), in column order."""

Frame = Any
"""The engine's own frame: a PySpark ``DataFrame``, or a ``pyarrow.Table`` for ``direct``."""

CHANGE_FEED = CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP = "_change_type", "_commit_version", "_commit_timestamp"
"""Columns that a change data feed has beside the table's (string, bigint, timestamp); no table may use their names."""

WRITTEN = ("insert", "update_postimage")
"""Kinds of change by which a row got its values."""

Within = Mapping[str, tuple[pa.Scalar, pa.Scalar]]
"""Column → the lowest and the highest value that matter (null: any; of a time column instants, whatever its type): rows
outside need not be read."""

Keys = Sequence[str]
Kernel = Callable[[pa.Table], pa.Table]
PairKernel = Callable[[pa.Table, pa.Table], pa.Table]


@dataclass(frozen=True)
class TableVersion:
    """One Delta table at one version, None for the newest when the frame is made; ``location`` is the folder of a local
    table, None for one of Unity Catalog, which is read by its ``name``."""

    name: str
    location: str | None
    version: int | None = None


class Engine(Protocol):
    """Reads, projects and maps frames.

    Kernels are pure functions of Arrow tables: timestamps arrive as ``timestamp[us, tz=UTC]`` and TIMESTAMP_NTZ as
    ``timestamp[us]`` on every engine, and what they return is cast to the declared schema, never losing a value
    silently. They may be called once per bucket of keys, in other processes, with either side empty, in any row order.
    """

    name: str
    threads: int
    """What a kernel may use: a Spark worker has one core, the engine ``direct`` the whole process."""

    def frame(self, data: Any, argument: str) -> Frame:
        """Turn a Spark, pandas, Polars or Arrow frame into this engine's own; ``argument`` names it in errors:
        InvalidInput where it is no frame, NaiveDatetime for a pandas object column of naive datetimes (typed ones are
        TIMESTAMP_NTZ)."""
        ...

    def schema(self, frame: Frame) -> Schema:
        """Return the frame's columns and types; starts no computation."""
        ...

    def read(self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None) -> Frame:
        """Return ``columns`` (None for all) of a Delta table, lazily where the engine can; of the rows outside
        ``within`` as many as is convenient."""
        ...

    def read_part(
        self, table: TableVersion, columns: Sequence[str] | None, among: Mapping[str, pa.ChunkedArray]
    ) -> Frame:
        """Return ``columns`` (None for all) of the rows whose columns of ``among`` hold one of those values; more rows
        may come with them."""
        ...

    def changes(self, table: TableVersion, since: int = 0) -> Frame:
        """Return the change data feed from version ``since`` to ``table.version``, both included: the table's columns
        plus those of :data:`CHANGE_FEED`."""
        ...

    def identity(self, table: TableVersion) -> str:
        """Return the id that Delta gave the table when it was made; a table dropped and made anew has another."""
        ...

    def select(self, frame: Frame, expressions: Mapping[str, str]) -> Frame:
        """Return one column per entry: output name → Spark SQL expression over the frame's columns, with the answers of
        a session in UTC under ANSI's rules. TypeMismatch: text where a time is meant; BadExpression on ``direct`` for
        what is outside the part of SQL that it evaluates as Spark does."""
        ...

    def noted(self, frame: Frame, notes: Mapping[str, str]) -> Frame:
        """Return the frame with these texts beside its columns, and no others, as :mod:`fstk.engines.notes` reads."""
        ...

    def map(self, frame: Frame, keys: Keys, kernel: Kernel, schema: Schema) -> Frame:
        """Bucket the frame by a hash of ``keys`` (all rows of one key in one bucket) and map each bucket."""
        ...

    def map_slices(self, frame: Frame, kernel: Kernel, schema: Schema) -> Frame:
        """Map the frame slice by slice, in any division of its rows: for kernels that look at each row by itself."""
        ...

    def map_pair(
        self, left: Frame, left_keys: Keys, right: Frame, right_keys: Keys, kernel: PairKernel, schema: Schema
    ) -> Frame:
        """Bucket both frames alike by their keys and map each pair of buckets: every row of either side reaches exactly
        one call; NaN hashes as NaN, −0.0 as 0.0, null as null."""
        ...

    def arrow(self, frame: Frame) -> pa.Table:
        """Compute the frame and return all its rows as Arrow, timestamps in UTC; kernel errors arrive as themselves."""
        ...

    def batches(self, frame: Frame) -> Iterator[pa.RecordBatch]:
        """Compute the frame and yield all its rows as :meth:`arrow` would, a partition at a time: a frame larger than
        the memory of this process can pass through it."""
        ...
