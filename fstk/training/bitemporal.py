"""The as-of join "as known at": a row counts only from the commit that wrote it to the one that changed or deleted it.

Pure Arrow in, Arrow out; the feature side is the table's change data feed. Each row version is visible over one
stretch of its entity's labels, and the label sees the newest version over it: ranges painted on the sorted labels,
largest wins. Memory is that of the inputs, however many versions one hot key has: no pair of label and version is
ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import instants
from fstk.engines.base import CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, WRITTEN
from fstk.training.kernel import SHOWN, Matches, Side, duplicate_keys, row_texts, rows_seen, sides, with_outputs
from fstk.training.resolve import Join

_NEVER, _ALWAYS = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclass(frozen=True)
class _Versions:
    """Row versions in order of entity and feature time: ``row`` of the changes, visible ``since`` (written, and its
    time come) and ``until`` (changed or deleted; excluded). ``doubled`` marks one of several rows of equal keys and
    time."""

    entity: np.ndarray
    row: np.ndarray
    time: np.ndarray
    since: np.ndarray
    until: np.ndarray
    doubled: np.ndarray

    def of(self, kept: np.ndarray) -> _Versions:
        """Return the ``kept`` ones."""
        return _Versions(*(getattr(self, one.name)[kept] for one in fields(self)))


def as_known_join(labels: pa.Table, changes: pa.Table, join: Join) -> pa.Table:
    """Return ``labels`` with the join's outputs as they could be known at each label's time
    (docs/rules.md#join-9).

    As :func:`fstk.training.kernel.as_of_join`, of the rows that the table held after its last commit not later than
    the label time. ``changes`` are the table's columns with those of ``CHANGE_FEED``. ``join.label_time`` is never None
    here; for a table without a time column it is compared with commit times alone.
    """

    def seen(valued: np.ndarray | None) -> Matches:
        return find_known(labels, changes, join, valued=valued)

    return with_outputs(labels, changes, rows_seen(changes, join, seen), join)


def find_known(
    labels: pa.Table, changes: pa.Table, join: Join, *, later: bool = False, valued: np.ndarray | None = None
) -> Matches:
    """Return what each label sees; a row comes "later" when its time or its commit is after the label. Row versions
    that ``valued`` leaves out still end those that they replaced, and are not seen themselves."""
    asking, stored, _ = sides(labels, changes, join)
    matches = Matches.none(asking)
    if not len(asking.usable) or not len(stored.usable):
        return matches
    versions = _versions(changes, stored, join)
    if valued is not None:
        versions = versions.of(valued[versions.row])
    rows = asking.usable[np.lexsort((asking.time[asking.usable], asking.entity[asking.usable]))]
    label_times, rank = np.unique(asking.time[rows], return_inverse=True)
    bits = len(label_times).bit_length()
    codes = (asking.entity[rows] << bits) | rank

    def first_label(at: np.ndarray) -> np.ndarray:
        """Of each version's entity the first label, in order, that is not before ``at``."""
        return np.searchsorted(codes, (versions.entity << bits) | np.searchsorted(label_times, at))

    newest = _painted(len(rows), first_label(versions.since), first_label(versions.until))
    seen = newest >= 0
    which = newest[seen]
    doubled = which[versions.doubled[which]]
    if len(doubled):
        raise duplicate_keys(join, row_texts(changes, join.table_columns, versions.row[np.unique(doubled)[:SHOWN]]))
    matches.see(rows[seen], versions.row[which], asking.time, versions.time[which], join)
    if later:
        order = np.lexsort((versions.since, versions.entity))
        since = ((versions.entity << bits) | np.searchsorted(label_times, versions.since))[order]
        after = np.searchsorted(since, codes, side="right")
        end = np.searchsorted(since, ((codes >> bits) + 1) << bits)
        matches.miss(rows, end - after, versions.since[order], after)
    return matches


def _versions(changes: pa.Table, stored: Side, join: Join) -> _Versions:
    every_time = stored.time if join.table_time is not None else np.full(len(stored.time), _ALWAYS)
    commits = changes.column(COMMIT_VERSION).to_numpy()
    usable = stored.usable
    usable = usable[np.lexsort((commits[usable], every_time[usable], stored.entity[usable]))]
    entity, time, commit = stored.entity[usable], every_time[usable], commits[usable]
    kinds = pc.index_in(changes.column(CHANGE_TYPE), value_set=pa.array(WRITTEN))
    added = kinds.is_valid().to_numpy()[usable]
    same_row = _same(entity) & _same(time)
    # All changes that one commit made to one key and time are one step, from a row or none to another row or none.
    first = np.flatnonzero(~(same_row & _same(commit)))
    steps = np.add.reduceat(np.where(added, 1, -1), first)
    arrivals = np.maximum.reduceat(np.where(added, usable, -1), first)
    held = _running(steps, ~same_row[first])
    written, _ = instants(changes.column(COMMIT_TIMESTAMP))
    since = written[usable[first]]
    following = np.append(same_row[first][1:], False)
    until = np.where(following, np.roll(since, -1), _NEVER)
    since = np.maximum(since, time[first])
    seen = (held > 0) & (since < until)
    return _Versions(
        entity=entity[first][seen],
        row=np.where(arrivals >= 0, arrivals, usable[first])[seen],
        time=time[first][seen],
        since=since[seen],
        until=until[seen],
        # Of two rows held, the one left by a later delete cannot be told either.
        doubled=((held > 1) | (arrivals < 0))[seen],
    )


def _same(values: np.ndarray) -> np.ndarray:
    """Return for each element whether it equals the one before."""
    return np.concatenate([[False], values[1:] == values[:-1]])


def _running(steps: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """Return the running sums of ``steps``, begun anew where ``restarts``."""
    sums = np.cumsum(steps)
    before = (sums - steps)[restarts]
    return sums - np.repeat(before, np.diff(np.append(np.flatnonzero(restarts), len(steps))))


def _painted(size: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return for each of ``size`` places the largest index i with start[i] ≤ place < end[i], or −1.

    A range is two overlapping blocks of one power of two; blocks are handed down level by level, halved.
    """
    ranges = np.flatnonzero(end > start)
    place = np.full(size, -1, dtype=np.int64)
    if not len(ranges):
        return place
    start, end = start[ranges], end[ranges]
    level = np.frexp((end - start).astype(np.float64))[1] - 1
    for current in range(int(level.max()), -1, -1):
        here, block = level == current, 1 << current
        np.maximum.at(place, start[here], ranges[here])
        np.maximum.at(place, end[here] - block, ranges[here])
        half = block >> 1
        if half:
            handed = place.copy()
            np.maximum(handed[half:], place[:-half], out=handed[half:])
            place = handed
    return place
