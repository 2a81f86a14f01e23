"""The engine over a Spark session, in-process or Connect alike: only what Spark Connect offers is used."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fstk.engines import buckets
from fstk.engines.base import Kernel, Keys, PairKernel, Schema, TableVersion, Within
from fstk.engines.frames import canonical, conform, is_spark, to_arrow
from fstk.engines.meaning import as_set, is_connect, kept, settled
from fstk.engines.notes import KEY, notes_of
from fstk.engines.spark_errors import kernel_failure, translated
from fstk.engines.sparktypes import spark_schema, struct_type
from fstk.engines.sql.times import check_times
from fstk.engines.types import arrow_schema, char_lengths, quoted_name
from fstk.errors import FstkError, TypeMismatch
from fstk.warehouse import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


_AS_STORED = {"spark.sql.readSideCharPadding": "false"}  # with which Delta cannot merge into a table of CHAR(n)
_COLUMN = re.compile(r"`(?:[^`]|``)+`")


class SparkEngine:
    """Computes with a Spark session, as :class:`~fstk.engines.base.Engine` says; ``name`` is ``spark``, ``remote`` or
    ``databricks``. Methods only build plans, except :meth:`arrow` and :meth:`batches`, which run them."""

    threads = 1

    def __init__(self, session: SparkSession, name: str = "spark") -> None:
        self.session = session
        self.name = name
        # Rows of frames whose size is known without asking Spark; decides the number of buckets.
        self._rows: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def frame(self, data: Any, argument: str) -> DataFrame:
        if is_spark(data):
            return data
        table = to_arrow(data, argument)
        if not table.num_rows:
            table = table.schema.empty_table()  # PySpark wants a chunk in every column
        with translated(f"loading {argument}"):
            frame = self.session.createDataFrame(table, schema=spark_schema(table.schema))
        self._rows[frame] = table.num_rows
        return frame

    def schema(self, frame: DataFrame) -> Schema:
        with translated():
            return struct_type(frame.schema)

    def read(
        self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None
    ) -> DataFrame:
        """Raises UnknownTable: nothing is there; ExpiredSnapshot: no such version; DamagedTable: it cannot be read."""
        with translated(f"reading {table.name}"):
            reader = self.session.read
            if table.version is not None:
                reader = reader.option("versionAsOf", table.version)
            frame = reader.format("delta").load(table.location) if table.location else reader.table(table.name)
            if columns is not None:
                frame = frame.select(*map(quoted_name, columns))
            _ = frame.schema  # a Connect session would otherwise find out at the first action only
        if table.location:
            rows = buckets.stored_rows(table.location, table.version)
            if rows is not None:
                self._rows[frame] = rows
        return frame

    def read_part(
        self, table: TableVersion, columns: Sequence[str] | None, among: Mapping[str, pa.ChunkedArray]
    ) -> DataFrame:
        rows = self.read(table)
        for name, values in among.items():
            known = self.frame(pa.table({name: values.unique().drop_null()}), name)
            rows = rows.join(known, on=name, how="left_semi")
        return rows if columns is None else rows.select(*map(quoted_name, columns))

    def changes(self, table: TableVersion, since: int = 0) -> DataFrame:
        with translated(f"reading the changes of {table.name}"):
            reader = self.session.read.option("readChangeFeed", "true").option("startingVersion", since)
            if table.version is not None:
                reader = reader.option("endingVersion", table.version)
            frame = reader.format("delta").load(table.location) if table.location else reader.table(table.name)
            _ = frame.schema
        return frame

    def identity(self, table: TableVersion) -> str:
        name = f"delta.{quoted_name(table.location)}" if table.location else quoted(table.name)
        with translated(f"reading {table.name}"):
            return self.sql(f"DESCRIBE DETAIL {name}").select("id").collect()[0][0]

    def sql(self, statement: str) -> DataFrame:
        """Run a statement of fstk's own, in which ``${…}`` is text."""
        with settled(self.session, _AS_STORED):
            return self.session.sql(statement)

    def padded(self, frame: DataFrame, like: DataFrame) -> DataFrame:
        """Return ``frame`` with its texts filled up with spaces where the column of ``like`` was declared CHAR(n)."""
        lengths = char_lengths(like.schema.fields)
        for name in set(lengths).intersection(frame.columns):
            column, length = quoted_name(name), lengths[name]
            text = f"IF(char_length({column}) < {length}, rpad({column}, {length}, ' '), {column}) AS {column}"
            frame = frame.selectExpr(*(text if one == name else quoted_name(one) for one in frame.columns))
        return frame

    def select(self, frame: DataFrame, expressions: Mapping[str, str]) -> DataFrame:
        """TypeMismatch: text where a time is meant."""
        selected = [f"({text}\n) AS {quoted_name(name)}" for name, text in expressions.items()]
        written = [text for text in expressions.values() if not _COLUMN.fullmatch(text)]
        with translated():
            chosen = self._evaluated(frame, selected, written) if written else frame.selectExpr(*selected)
            _ = chosen.schema
        if frame in self._rows:
            self._rows[chosen] = self._rows[frame]
        return chosen

    def noted(self, frame: DataFrame, notes: Mapping[str, str]) -> DataFrame:
        if notes_of(frame) == dict(notes):
            return frame
        with translated():
            columns = []
            for field in frame.schema.fields:
                metadata = {key: value for key, value in field.metadata.items() if key != KEY}
                metadata |= {KEY: notes[field.name]} if field.name in notes else {}
                columns.append(frame[quoted_name(field.name)].alias(field.name, metadata=metadata))
            beside = frame.select(*columns)
        if frame in self._rows:
            self._rows[beside] = self._rows[frame]
        return beside

    def _evaluated(self, frame: DataFrame, selected: list[str], written: list[str]) -> DataFrame:
        frame = as_set(frame)
        with settled(self.session):
            columns = struct_type(frame.schema)
            for text in written:
                check_times(text, columns, partial(_kind_of, frame))
            chosen = frame.selectExpr(*selected)
            return kept(chosen) if is_connect(self.session) else chosen

    def map(self, frame: DataFrame, keys: Keys, kernel: Kernel, schema: Schema) -> DataFrame:
        target, names = arrow_schema(schema), frame.columns

        def one(table: pa.Table) -> pa.Table:
            try:
                return conform(kernel(_named(table, names)), target)
            except FstkError as error:
                raise kernel_failure(error) from error

        with translated():
            spread = self._spread(frame, keys, self._buckets(frame))
            return spread.groupBy(buckets.COLUMN).applyInArrow(one, spark_schema(target))

    def map_slices(self, frame: DataFrame, kernel: Kernel, schema: Schema) -> DataFrame:
        """Call ``kernel`` on each batch of rows as Spark holds them; nothing is shuffled."""
        target, names = arrow_schema(schema), frame.columns

        def each(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                try:
                    made = conform(kernel(_named(pa.Table.from_batches([batch]), names)), target)
                except FstkError as error:
                    raise kernel_failure(error) from error
                yield from made.to_batches()

        with translated():
            return _numbered(frame).mapInArrow(each, spark_schema(target))

    def map_pair(
        self, left: DataFrame, left_keys: Keys, right: DataFrame, right_keys: Keys, kernel: PairKernel, schema: Schema
    ) -> DataFrame:
        """TypeMismatch where two keys of one position differ in type, and would hash apart."""
        left_types, right_types = self._types(left, left_keys), self._types(right, right_keys)
        for (name, kind), (other, other_kind) in zip(left_types.items(), right_types.items(), strict=True):
            if kind != other_kind:
                raise TypeMismatch(f"key {name} is {kind}, but {other} is {other_kind}; cast one of them.")
        target, names, other_names = arrow_schema(schema), left.columns, right.columns

        def pair(one: pa.Table, two: pa.Table) -> pa.Table:
            try:
                return conform(kernel(_named(one, names), _named(two, other_names)), target)
            except FstkError as error:
                raise kernel_failure(error) from error

        with translated():
            chosen = self._buckets(left, right)
            one, two = self._spread(left, left_keys, chosen), self._spread(right, right_keys, chosen)
            grouped = one.groupBy(buckets.COLUMN).cogroup(two.groupBy(buckets.COLUMN))
            return grouped.applyInArrow(pair, spark_schema(target))

    def arrow(self, frame: DataFrame) -> pa.Table:
        with translated():
            return canonical(frame.toArrow())

    def batches(self, frame: DataFrame) -> Iterator[pa.RecordBatch]:
        with translated():
            # A row of bytes per batch: rows sent one by one through toLocalIterator cost six times as much.
            names = frame.columns
            rows = _numbered(frame).mapInArrow(_packed, "batch binary").toLocalIterator(prefetchPartitions=True)
        while True:
            with translated():
                row = next(rows, None)
            if row is None:
                return
            yield from _named(pa.ipc.open_stream(row.batch).read_all(), names).to_batches()

    def few_rows(self, *frames: DataFrame) -> bool:
        """Tell whether frames are known to have so few rows that one task is done with them soonest."""
        return self._buckets(*frames) == buckets.Buckets(1, apart=True)

    def _spread(self, frame: DataFrame, keys: Sequence[str], chosen: buckets.Buckets) -> DataFrame:
        number = dict(zip(frame.columns, _numbers(frame), strict=True))
        types = {number[key]: kind for key, kind in self._types(frame, keys).items()}
        return buckets.spread(_numbered(frame), types, chosen)

    def _types(self, frame: DataFrame, keys: Sequence[str]) -> Schema:
        types = self.schema(frame)
        return {key: types[key] for key in keys}

    def _buckets(self, *frames: DataFrame) -> buckets.Buckets:
        at_hand = self.session.conf.get("spark.sql.shuffle.partitions") or ""
        return buckets.plan(
            [self._rows.get(frame) for frame in frames], int(at_hand) if at_hand.isdigit() else buckets.UNKNOWN
        )


def _kind_of(frame: DataFrame, text: str) -> str | None:
    try:
        with translated():
            return next(iter(struct_type(frame.selectExpr(f"({text}) AS x").schema).values()))
    except FstkError:
        return None


def stopped(session: SparkSession) -> bool:
    """Tell whether a session has been stopped."""
    known = getattr(session, "is_stopped", None)  # a Connect session says it
    return session.sparkContext._jsc is None if known is None else known


def has_delta(session: SparkSession) -> bool:
    """Tell whether a session was set up for Delta Lake."""
    return "DeltaSparkSessionExtension" in (session.conf.get("spark.sql.extensions", "") or "")


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.record_batch([pa.array([sink.getvalue().to_pybytes()], pa.binary())], ["batch"])


def _numbered(frame: DataFrame) -> DataFrame:
    # PySpark hands columns to Python functions by looking each up by its name, in which a dot means a field.
    return frame.toDF(*_numbers(frame))


def _numbers(frame: DataFrame) -> list[str]:
    return [f"c{position}" for position in range(len(frame.columns))]


def _named(table: pa.Table, names: list[str]) -> pa.Table:
    """Return the columns of a numbered frame under their own ``names``, without the bucket that may follow them."""
    return canonical(table.select(range(len(names))).rename_columns(names))
