"""The engine without a JVM: Delta files read by delta-rs, kernels called in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import TableNotFoundError

from fstk.engines import files
from fstk.engines.base import COMMIT_VERSION, Kernel, Keys, PairKernel, Schema, TableVersion, Within
from fstk.engines.delta import SCANNED, answered, check_features, is_mapped, open_delta
from fstk.engines.frames import canonical, conform, is_spark, to_arrow
from fstk.engines.notes import noted
from fstk.engines.sql.expressions import evaluate
from fstk.engines.types import arrow_schema, char_lengths, schema_of
from fstk.errors import DamagedTable, ExpiredSnapshot, InvalidInput, UnknownTable, UnsupportedTable


class DirectEngine:
    """An ``Engine`` that computes on ``pyarrow.Table`` frames, which fit in memory; reads tables, never writes them."""

    name = "direct"
    threads = os.cpu_count() or 1

    def frame(self, data: Any, argument: str) -> pa.Table:
        if is_spark(data):
            raise InvalidInput(f"{argument} is a Spark DataFrame; it is computed by its own session.")
        return to_arrow(data, argument)

    def schema(self, frame: pa.Table) -> Schema:
        return schema_of(frame.schema)

    def read(self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None) -> pa.Table:
        """Raises UnknownTable: nothing is there; ExpiredSnapshot: no such version; DamagedTable: it cannot be read;
        AccessDenied: this user may not; UnsupportedTable, UnsupportedType: features or times that only Spark reads."""
        return self._read(table, columns, {}, within or {})

    def read_part(
        self, table: TableVersion, columns: Sequence[str] | None, among: Mapping[str, pa.ChunkedArray]
    ) -> pa.Table:
        """Columns of floating numbers do not narrow: NaN and −0.0 are left to the caller. Raises as :meth:`read`."""
        return self._read(table, columns, among, {})

    def _read(
        self,
        table: TableVersion,
        columns: Sequence[str] | None,
        among: Mapping[str, pa.ChunkedArray],
        within: Within,
    ) -> pa.Table:
        opened = _open(table)
        check_features(opened, table.name)
        wanted = None
        padded = char_lengths(opened.schema().fields)
        for name, values in among.items():
            if not pa.types.is_floating(values.type) and name not in padded:
                one = pc.field(name).isin(values.combine_chunks().unique().drop_null())
                wanted = one if wanted is None else wanted & one
        within = {name: bounds for name, bounds in within.items() if name not in padded}
        with answered(table.name, f"reading {table.name}"):
            if not _needs_scan(opened):
                return _padded(canonical(files.rows(opened, table.name, columns, wanted, within)), padded)
            files.check(files.current(opened), table.name)
            read = canonical(pa.RecordBatchReader.from_stream(opened.scan()).read_all())
            read = read if wanted is None else read.filter(wanted)
            return _padded(read if columns is None else read.select(list(columns)), padded)

    def changes(self, table: TableVersion, since: int = 0) -> pa.Table:
        """Raises as :meth:`read`; ExpiredSnapshot, too, where changes are no longer kept."""
        opened = _open(TableVersion(table.name, table.location))
        check_features(opened, table.name, changes=True)
        until = opened.version() if table.version is None else table.version
        doing = f"reading the changes of {table.name}"
        with answered(table.name, doing):
            files.check(files.changed(opened, since, until), table.name)
        # delta-rs does not find change files in folders of partitions whose names Spark had to escape.
        hint = " Of partitions, Spark may read them: load_df()." if opened.metadata().partition_columns else ""
        with answered(table.name, doing, ExpiredSnapshot, hint):
            feed = opened.load_cdf(starting_version=since, ending_version=table.version)
            read = canonical(pa.RecordBatchReader.from_stream(feed).read_all())
        position = read.column_names.index(COMMIT_VERSION)  # unsigned in delta-rs, bigint in Spark
        read = read.set_column(position, COMMIT_VERSION, read.column(position).cast(pa.int64()))
        return _padded(read, char_lengths(opened.schema().fields))

    def identity(self, table: TableVersion) -> str:
        return str(_open(table).metadata().id)

    def select(self, frame: pa.Table, expressions: Mapping[str, str]) -> pa.Table:
        return evaluate(frame, expressions)

    def noted(self, frame: pa.Table, notes: Mapping[str, str]) -> pa.Table:
        return noted(frame, notes)

    def map(self, frame: pa.Table, keys: Keys, kernel: Kernel, schema: Schema) -> pa.Table:
        return conform(kernel(frame), arrow_schema(schema))

    def map_slices(self, frame: pa.Table, kernel: Kernel, schema: Schema) -> pa.Table:
        return conform(kernel(frame), arrow_schema(schema))

    def map_pair(
        self, left: pa.Table, left_keys: Keys, right: pa.Table, right_keys: Keys, kernel: PairKernel, schema: Schema
    ) -> pa.Table:
        return conform(kernel(left, right), arrow_schema(schema))

    def arrow(self, frame: pa.Table) -> pa.Table:
        return frame

    def batches(self, frame: pa.Table) -> Iterator[pa.RecordBatch]:
        yield from frame.to_batches()


def stored_schema(table: TableVersion) -> Schema:
    """Return the columns and types of a local Delta table by its log alone; raises as :meth:`DirectEngine.read`."""
    opened = _open(table)
    with answered(table.name, f"reading {table.name}"):
        return schema_of(pa.schema(opened.schema().to_arrow()))


def readable(table: TableVersion, *, changes: bool = False) -> bool:
    """Tell whether a local table, and with ``changes`` its change data feed, can be read without Spark; raises as
    :meth:`DirectEngine.read`."""
    try:
        check_features(_open(table), table.name, changes=changes)
    except UnsupportedTable:
        return False
    return True


def _padded(table: pa.Table, lengths: Mapping[str, int]) -> pa.Table:
    """Return texts of CHAR(n) as Spark reads them: filled up with spaces to their n."""
    for name in set(lengths).intersection(table.column_names):
        position = table.column_names.index(name)
        table = table.set_column(position, name, pc.utf8_rpad(table.column(position), lengths[name]))
    return table


def _needs_scan(opened: deltalake.DeltaTable) -> bool:
    """Tell whether the files alone mislead: rows are deleted by a vector, columns stored under other names, or decimals
    are partitions, whose negative fractions delta-rs hands to Arrow misspelt."""
    metadata = opened.metadata()
    if is_mapped(opened) or SCANNED.intersection(opened.protocol().reader_features or ()):
        return True
    if not metadata.partition_columns:
        return False
    schema = pa.schema(opened.schema().to_arrow())
    return any(pa.types.is_decimal(schema.field(name).type) for name in metadata.partition_columns)


def _open(table: TableVersion) -> deltalake.DeltaTable:
    if table.location is None:
        raise UnknownTable(f"{table.name} is not a local table; read it through a Spark session.")
    doing = f"reading {table.name}"
    try:
        with answered(table.name, doing):
            return open_delta(table.location, table.version)
    except DamagedTable as error:
        if isinstance(error.__cause__, TableNotFoundError):
            raise UnknownTable(f"no Delta table {table.name} at {table.location}.") from error
        if table.version is not None and deltalake.DeltaTable.is_deltatable(table.location):
            line = str(error).removeprefix(f"{doing}: ")
            raise ExpiredSnapshot(f"no version {table.version} of {table.name} can be read: {line}") from error
        raise
