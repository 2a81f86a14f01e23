"""The engine without a JVM: Delta files read by delta-rs, kernels called in this process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import deltalake
import deltalake.exceptions
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.base import COMMIT_VERSION, Kernel, Keys, PairKernel, Schema, TableVersion
from fstk.engines.delta import open_delta
from fstk.engines.frames import canonical, conform, is_spark, to_arrow
from fstk.engines.sql.expressions import evaluate
from fstk.engines.types import arrow_schema, char_lengths, schema_of
from fstk.errors import DamagedTable, ExpiredSnapshot, InvalidInput, UnknownTable, UnsupportedType

_NANOS = 2**63 // 1000  # microseconds from 1970 that nanoseconds of 64 bits reach


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

    def read(self, table: TableVersion, columns: Sequence[str] | None = None) -> pa.Table:
        """Raises UnknownTable: nothing is there; ExpiredSnapshot: no such version; DamagedTable: it cannot be read;
        UnsupportedType: times that only Spark reads rightly."""
        return self.read_part(table, columns, {})

    def read_part(
        self, table: TableVersion, columns: Sequence[str] | None, among: Mapping[str, pa.ChunkedArray]
    ) -> pa.Table:
        """Columns of floating numbers do not narrow: NaN and −0.0 are left to the caller. Raises as :meth:`read`."""
        opened = _open(table)
        wanted = None
        padded = char_lengths(opened.schema().fields)
        for name, values in among.items():
            if not pa.types.is_floating(values.type) and name not in padded:
                one = pc.field(name).isin(values.combine_chunks().unique().drop_null())
                wanted = one if wanted is None else wanted & one
        try:
            if _needs_scan(opened):
                _check_times(opened, table.name)
                read = canonical(pa.RecordBatchReader.from_stream(opened.scan()).read_all())
                read = read if wanted is None else read.filter(wanted)
                return _padded(read if columns is None else read.select(list(columns)), padded)
            import pyarrow.dataset as ds  # brings pandas with it, which only a read should wait for

            # Spark writes INT96 times by default; read as nanoseconds they would be wrong before 1677 and after 2262.
            options = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")
            dataset = opened.to_pyarrow_dataset(parquet_read_options=options)
            return _padded(canonical(dataset.to_table(None if columns is None else list(columns), wanted)), padded)
        except (deltalake.exceptions.DeltaError, OSError, pa.ArrowException) as error:
            raise DamagedTable(f"reading {table.name}: {_line(error)}") from error

    def changes(self, table: TableVersion, since: int = 0) -> pa.Table:
        opened = _open(TableVersion(table.name, table.location))
        try:
            _check_times(opened, table.name)
            feed = opened.load_cdf(starting_version=since, ending_version=table.version)
            read = canonical(pa.RecordBatchReader.from_stream(feed).read_all())
            position = read.column_names.index(COMMIT_VERSION)  # unsigned in delta-rs, bigint in Spark
            read = read.set_column(position, COMMIT_VERSION, read.column(position).cast(pa.int64()))
            return _padded(read, char_lengths(opened.schema().fields))
        except (deltalake.exceptions.DeltaError, OSError, pa.ArrowException) as error:
            # delta-rs does not find change files in folders of partitions whose names Spark had to escape.
            hint = " Of partitions, Spark may read them: load_df()." if opened.metadata().partition_columns else ""
            raise ExpiredSnapshot(f"reading the changes of {table.name}: {_line(error)}{hint}") from error

    def identity(self, table: TableVersion) -> str:
        return str(_open(table).metadata().id)

    def select(self, frame: pa.Table, expressions: Mapping[str, str]) -> pa.Table:
        return evaluate(frame, expressions)

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
    try:
        return schema_of(pa.schema(_open(table).schema().to_arrow()))
    except (deltalake.exceptions.DeltaError, OSError) as error:
        raise DamagedTable(f"reading {table.name}: {_line(error)}") from error


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
    mapped = metadata.configuration.get("delta.columnMapping.mode", "none") != "none"
    if mapped or "deletionVectors" in (opened.protocol().reader_features or ()):
        return True
    if not metadata.partition_columns:
        return False
    schema = pa.schema(opened.schema().to_arrow())
    return any(pa.types.is_decimal(schema.field(name).type) for name in metadata.partition_columns)


def _check_times(opened: deltalake.DeltaTable, name: str) -> None:
    """Refuse files whose times delta-rs would read wrongly: INT96, Spark's default, outside the years 1677 to 2262."""
    import pyarrow.parquet as pq  # brings pandas with it, which only a read should wait for

    folder = opened.table_uri.removeprefix("file://")
    for uri in opened.file_uris():
        file = unquote(folder) + uri.removeprefix(folder)  # delta-rs escapes the folder, and nothing after it
        schema = pq.ParquetFile(file).schema
        old = [schema.column(i).path for i in range(len(schema)) if schema.column(i).physical_type == "INT96"]
        for column in old:
            times = pq.read_table(file, columns=[column], coerce_int96_timestamp_unit="us").column(0).cast(pa.int64())
            bounds = pc.min_max(times).as_py()
            if bounds["min"] is not None and (bounds["min"] < -_NANOS or bounds["max"] > _NANOS):
                raise UnsupportedType(
                    f"{name}, column {column}: times before 1677 or after 2262 in an old format, which cannot be read "
                    "without Spark. Read it through a session, or rewrite the table with fstk.connect()'s settings."
                )


def _open(table: TableVersion) -> deltalake.DeltaTable:
    if table.location is None:
        raise UnknownTable(f"{table.name} is not a local table; read it through a Spark session.")
    try:
        return open_delta(table.location, table.version)
    except deltalake.exceptions.TableNotFoundError as error:
        raise UnknownTable(f"no Delta table {table.name} at {table.location}.") from error
    except (deltalake.exceptions.DeltaError, OSError) as error:
        if table.version is not None and deltalake.DeltaTable.is_deltatable(table.location):
            raise ExpiredSnapshot(f"no version {table.version} of {table.name} can be read: {_line(error)}") from error
        raise DamagedTable(f"reading {table.name}: {_line(error)}") from error


def _line(error: Exception) -> str:
    lines = re.sub(r"^(?:[\w ]+ error: )+", "", str(error)).splitlines()
    return lines[0] if lines else type(error).__name__
