"""The rows that a publication offers: what is read of the feature table, by which engine, a portion at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import FIRST_INSTANT, LAST_INSTANT, instant, microseconds
from fstk.engines import choice
from fstk.engines.base import CHANGE_TYPE, COMMIT_VERSION, Engine, Frame
from fstk.engines.spark import SparkEngine
from fstk.engines.sql.scalar import check_columns, scalar
from fstk.engines.types import arrow_schema, quoted_name
from fstk.errors import BadExpression, InvalidInput
from fstk.online.codec import RowCodec, surely_within, whole
from fstk.online.kernel import EVENT_TIME, KEEP, WAITING, Newest
from fstk.online.keys import KeyCodec
from fstk.online.plan import Extent
from fstk.online.store import Bounded, OnlineTable, Row, Watermark
from fstk.tables.spec import FeatureTable

PORTION = 5_000  # rows
_WEIGHED = 100  # rows whose size is bounded at once
_Codecs = tuple[KeyCodec, RowCodec]
Progress = Callable[[int, int | None], None]
"""Called after every batch with the rows dealt with so far, and with those there are in all (None: not known)."""


class Portion(NamedTuple):
    """Rows to offer, the earliest event time met so far that lies after the instant published up to, and how many rows
    there are in all, where that is known."""

    rows: list[Row]
    waiting: datetime | None
    total: int | None


def engine_for(table: FeatureTable, filter_condition: str | None = None, session: SparkEngine | None = None) -> Engine:
    """Return the engine that reads ``table`` and evaluates ``filter_condition``."""
    check_columns_of(table, filter_condition)
    trial = partial(check_filter, table=table, filter_condition=filter_condition)
    return choice.engine_for(tables={table.at(table.version): None}, changes=True, session=session, trial=trial)


def check_filter(engine: Engine, table: FeatureTable, filter_condition: str | None) -> None:
    """Refuse a filter condition that Spark SQL, or the direct engine's part of it, cannot evaluate for each row."""
    check_columns_of(table, filter_condition)
    if filter_condition is None:
        return
    nothing = engine.frame(arrow_schema(table.schema).empty_table(), "source")
    found = engine.schema(engine.select(nothing, {KEEP: filter_condition}))[KEEP]
    if found != "boolean":
        raise BadExpression(f"filter_condition {filter_condition!r} is {found}; it must be true or false for each row.")


def check_columns_of(table: FeatureTable, filter_condition: str | None) -> None:
    """Refuse a filter condition that is no expression of the table's columns; starts no engine."""
    if filter_condition is not None:
        of = f"filter_condition {filter_condition!r}"
        check_columns(scalar(filter_condition, of).columns, table.schema, of)


@dataclass(frozen=True)
class Source:
    """One version of a feature table, its columns and rows as they are to be published to ``target``.

    ``filter_condition`` is a Spark SQL predicate over the table's columns, ``until`` the last event time that may be
    seen. Rows carry ``table.version`` and are encoded for the newest layout of ``target``; they come ``portion`` at a
    time, which is one batch, and so one transaction of a store that has them. Where ``store`` is given, all rows are
    computed a first time to see that it takes each of them, before the first portion comes. InvalidInput names a row
    that cannot be published.
    """

    table: FeatureTable
    engine: Engine
    target: OnlineTable
    filter_condition: str | None
    until: datetime
    portion: int = PORTION
    store: Bounded | None = None

    def everything(self) -> Iterator[Portion]:
        """Yield the newest row of every key; raises as :class:`fstk.online.kernel.Newest`."""
        return self._portions(self.engine.read(self.table.at(self.table.version)), [])

    def changed(self, since: int) -> Iterator[Portion]:
        """Yield the newest of the rows inserted or changed from version ``since`` on; ExpiredSnapshot when the change
        data feed does not reach back that far."""
        feed = self.engine.changes(self.table.at(self.table.version), since)
        return self._portions(feed, [CHANGE_TYPE, COMMIT_VERSION])

    def all_keys(self) -> Iterator[list[bytes]]:
        """Yield the keys of all rows of the version, whatever the filter condition and the time say of them; a key with
        several rows comes several times."""
        codec, names = KeyCodec(self.target.keys), list(self.target.keys)
        frame = self.engine.read(self.table.at(self.table.version), names)
        for batch in self.engine.batches(self.engine.select(frame, {name: quoted_name(name) for name in names})):
            yield [key for key in codec.encode(batch) if key is not None]

    def _portions(self, frame: Frame, extra: list[str]) -> Iterator[Portion]:
        time = self.table.timeseries_column
        keys, features = self.target.keys, self.target.features
        names = [*keys, *([] if time is None else [time]), *features, *extra]
        expressions = {name: quoted_name(name) for name in names}
        if self.filter_condition is not None:
            expressions[KEEP] = self.filter_condition
        until, skip = microseconds(self.until), self.target.nulls == "skip"
        newest = Newest(self.table.name, tuple(keys), time, (*keys, *features), until, skip_nulls=skip)
        schema = {**keys, **self.target.layout, EVENT_TIME: "bigint", WAITING: "boolean"}
        picked = self.engine.map(self.engine.select(frame, expressions), list(keys), newest, schema)
        codecs = KeyCodec(keys), RowCodec(self.target.layout)
        if self.store is not None:
            self._check(self.store, self.engine.batches(picked), codecs)
        total = pc.sum(pc.invert(picked.column(WAITING))).as_py() if isinstance(picked, pa.Table) else None
        waiting: datetime | None = None
        for batch in self.engine.batches(picked):
            for start in range(0, batch.num_rows, self.portion):
                with self._told(batch, codecs):
                    rows, later = self._rows(batch.slice(start, self.portion), codecs)
                waiting = _earlier(waiting, later)
                yield Portion(rows, waiting, total)

    def _check(self, store: Bounded, batches: Iterator[pa.RecordBatch], codecs: _Codecs) -> None:
        for batch in batches:
            for start in range(0, batch.num_rows, _WEIGHED):
                part = batch.slice(start, _WEIGHED)
                with self._told(batch, codecs):
                    self._events(part)
                    rows = [] if surely_within(store.row_bytes, part) else self._rows(part, codecs)[0]
                store.check_sizes(self.target, rows)

    def watermark(self, waiting: datetime | None, extent: Extent) -> Watermark:
        """Return what to record once all was published; ``waiting`` is what was met in this publication."""
        before = self.target.watermark
        if extent == "changes" and before is not None:
            waiting = _earlier(waiting, before.waiting)
            if self.until < before.seen_to:  # the rows in between are online, or changed unseen
                waiting = _earlier(waiting, self.until + timedelta(microseconds=1))
        layout = len(self.target.layouts) - 1
        return Watermark(self.table.version, self.until, waiting, self.filter_condition, layout)

    def _rows(self, part: pa.RecordBatch, codecs: _Codecs) -> tuple[list[Row], datetime | None]:
        keys, values = codecs
        layout = len(self.target.layouts) - 1
        rows, waiting = [], None
        events, flags = self._events(part), part.column(WAITING).to_pylist()
        for key, event, value, later in zip(keys.encode(part), events, values.encode(part), flags, strict=True):
            if later:
                waiting = _earlier(waiting, instant(event))
            elif key is not None:
                rows.append(Row(key, event, self.table.version, layout, value))
        return rows, waiting

    def _events(self, part: pa.RecordBatch) -> list[int]:
        return whole(part.column(EVENT_TIME), FIRST_INSTANT, LAST_INSTANT, self.table.timeseries_column or EVENT_TIME)

    @contextmanager
    def _told(self, batch: pa.RecordBatch, codecs: _Codecs) -> Iterator[None]:
        """Let the refusal of a row of the batch say whose it is."""
        try:
            yield
        except InvalidInput as refused:
            low, high = 0, batch.num_rows
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if self._refusal(batch, low, middle, codecs) else (middle, high)
            error = self._refusal(batch, low, high, codecs) or refused
            [key] = codecs[0].encode(batch.slice(low, 1))
            assert key is not None  # which is refused before
            raise InvalidInput(f"{self.table.name}, {codecs[0].spelled(key)}: {error}") from None

    def _refusal(self, batch: pa.RecordBatch, first: int, last: int, codecs: _Codecs) -> InvalidInput | None:
        try:
            self._rows(batch.take(pa.array(range(first, last))), codecs)  # of a slice, nested values are encoded whole
        except InvalidInput as refused:
            return refused
        return None


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one is not None and other is not None else one or other
