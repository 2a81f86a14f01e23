"""The newest row of each key: pure Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import integers, whole
from fstk.columns.instants import instants
from fstk.columns.ordinals import ordinals
from fstk.engines.base import CHANGE_TYPE, COMMIT_VERSION, WRITTEN
from fstk.engines.types import INSTANT
from fstk.errors import DuplicateKeys, NullKeys
from fstk.online.store import NO_TIME, TIMES

EVENT_TIME = "__fstk_event_time"
WAITING = "__fstk_waiting"
KEEP = "__fstk_keep"
"""Boolean column that the filter condition gave; absent without one. Null counts as no, as in SQL."""

_SHOWN = 5


@dataclass(frozen=True)
class Newest:
    """Picks of each key the row with the latest event time not after ``until`` (microseconds since 1970 UTC).

    Of a change data feed, what the last change left of each row is what counts; a deleted row counts no more.
    ``columns`` come out, with :data:`EVENT_TIME` (:data:`NO_TIME` for a table without ``time``) and :data:`WAITING`.
    Rows with a null event time are never picked. One further row comes out with :data:`WAITING` true if any event
    time lies after ``until``: it holds the earliest of them, and is no row to publish. A row with a null key raises
    NullKeys, two rows of one key and the event time that was picked DuplicateKeys.

    With ``skip_nulls`` each column that is no key has its newest value that is not null among the key's rows up to
    then, and :data:`fstk.online.store.TIMES` follows the columns.
    """

    table: str
    keys: tuple[str, ...]
    time: str | None
    columns: tuple[str, ...]
    until: int
    skip_nulls: bool = False

    def __call__(self, rows: pa.Table) -> pa.Table:
        kept = _flags(rows, KEEP, lambda column: pc.fill_null(column, False))
        identities, usable = self._identities(rows, kept)
        event, dated = self._events(rows)
        alive = _flags(rows, CHANGE_TYPE, lambda column: pc.is_in(column, value_set=pa.array(WRITTEN)))
        commit = np.zeros(rows.num_rows, np.int64)
        if COMMIT_VERSION in rows.column_names:
            commit = integers(rows.column(COMMIT_VERSION))
        order = np.lexsort((kept, alive, commit, event, *reversed(identities)))
        order = order[(usable & dated)[order]]
        same_key = _repeats([part[order] for part in identities])
        same_row = same_key & _repeats([event[order]])
        counted = (alive & kept)[order]
        valid = _ends(same_row) & counted
        later = event[order] > self.until
        timely = np.flatnonzero(valid & ~later)
        picked = timely[_ends(_repeats([np.cumsum(~same_key)[timely]]))]  # the last of each key
        before, at = picked - 1, commit[order]
        self._refuse_ties(rows, order[picked[same_row[picked] & counted[before] & (at[before] == at[picked])]])
        waiting = np.flatnonzero(valid & later)
        if len(waiting):
            waiting = waiting[[np.argmin(event[order[waiting]])]]
        taken = np.sort(order[np.concatenate([picked, waiting])])
        out = _taken(rows.select(self.columns), taken)
        if self.skip_nulls:
            out = self._filled(out, taken, rows, order[timely], np.cumsum(~same_key)[timely], event)
        out = out.append_column(EVENT_TIME, pa.array(event[taken]))
        return out.append_column(WAITING, pa.array(np.isin(taken, order[waiting])))

    def _filled(
        self,
        out: pa.Table,
        taken: np.ndarray,
        rows: pa.Table,
        timely: np.ndarray,
        entity: np.ndarray,
        event: np.ndarray,
    ) -> pa.Table:
        """Put older values in place of the nulls of ``out``, the rows ``taken``, ascending: among them is the last of
        each ``entity`` of ``timely``, the rows that may be seen in order of entity and time."""
        newest = np.flatnonzero(np.append(entity[1:] != entity[:-1], len(entity) > 0))
        place_of = np.searchsorted(taken, timely[newest])
        features = [name for name in self.columns if name not in self.keys]
        times = np.zeros((out.num_rows, len(features)), np.int64)
        older = np.zeros(times.shape, bool)
        for place, name in enumerate(features):
            column = rows.column(name)
            valued = whole(pc.is_valid(column)).to_numpy(zero_copy_only=False)[timely]
            last = np.maximum.accumulate(np.where(valued, np.arange(len(timely)), -1))[newest]
            filled = np.flatnonzero((last >= 0) & (entity[last] == entity[newest]) & (last != newest))
            found = timely[last[filled]]
            row = np.arange(out.num_rows)
            row[place_of[filled]] = out.num_rows + np.arange(len(filled))
            values = pa.chunked_array([*out.column(name).chunks, *column.take(pa.array(found)).chunks], column.type)
            out = out.set_column(out.column_names.index(name), name, values.take(pa.array(row)))
            times[place_of[filled], place], older[place_of[filled], place] = event[found], True
        values = pa.array(times.ravel(), mask=~older.ravel()).view(INSTANT)
        ends = pa.array(np.arange(out.num_rows + 1, dtype=np.int32) * len(features))
        return out.append_column(TIMES, pa.ListArray.from_arrays(ends, values, mask=pa.array(~older.any(axis=1))))

    def _identities(self, rows: pa.Table, kept: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        parts = [ordinals(rows.column(key)) for key in self.keys]
        missing = np.logical_or.reduce([part.null for part in parts])
        if (missing & kept).any():
            raise NullKeys(
                f"{(missing & kept).sum():,} rows of {self.table} have a null among {', '.join(self.keys)}: no read "
                f'could find them. Leave them out: filter_condition="{self.keys[0]} IS NOT NULL".'
            )
        return [part.values for part in parts], ~missing

    def _events(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        if self.time is None:
            return np.full(rows.num_rows, NO_TIME, np.int64), np.ones(rows.num_rows, bool)
        values, null = instants(rows.column(self.time))
        return values, ~null

    def _refuse_ties(self, rows: pa.Table, tied: np.ndarray) -> None:
        if len(tied):
            names = [*self.keys] if self.time is None else [*self.keys, self.time]
            shown = rows.select(names).take(pa.array(tied[:_SHOWN])).to_pylist()
            keys = "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in shown)
            raise DuplicateKeys(f"{len(tied):,} keys of {self.table} have two newest rows: {keys}. Remove one of each.")


def _taken(rows: pa.Table, wanted: np.ndarray) -> pa.Table:
    """Return the rows at the ascending places ``wanted``; batches of which every row is wanted are not copied."""
    taken, start = [], 0
    for batch in rows.to_batches():
        first, last = np.searchsorted(wanted, (start, start + batch.num_rows))
        every = last - first == batch.num_rows
        taken.append(batch if every else batch.take(pa.array(wanted[first:last] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(taken, rows.schema)


def _repeats(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Tell of each row whether it equals the one before it in all ``parts``."""
    same = np.ones(len(parts[0]), bool)
    same[:1] = False
    for part in parts:
        same[1:] &= part[1:] == part[:-1]
    return same


def _ends(same: np.ndarray) -> np.ndarray:
    """Tell of each row whether it is the last of its run of rows that equal the one before."""
    last = np.ones(len(same), bool)
    last[:-1] = ~same[1:]
    return last


def _flags(rows: pa.Table, name: str, of: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> np.ndarray:
    if name not in rows.column_names:
        return np.ones(rows.num_rows, bool)
    return whole(of(rows.column(name))).to_numpy(zero_copy_only=False)
