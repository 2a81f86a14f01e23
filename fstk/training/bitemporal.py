"""The as-of join "as known at": a row counts only from the commit that wrote it to the one that changed or deleted it.

Pure Arrow in, Arrow out; the feature side is the table's change data feed. Each row version is visible over one
stretch of its entity's labels, and the label sees the newest version over it: ranges painted on the sorted labels,
largest wins. Memory is that of the inputs, however many versions one hot key has: no pair of label and version is
ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import instants
from fstk.columns.keys import pair_ids
from fstk.engines.base import CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION
from fstk.training.kernel import SHOWN, Matches, duplicate_keys, recent, shown, times, with_outputs
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


def as_known_join(labels: pa.Table, changes: pa.Table, join: Join) -> pa.Table:
    """Return ``labels`` with the join's outputs as they could be known at each label's time (RULES, point-in-time
    join 9).

    As :func:`fstk.training.kernel.as_of_join`, of the rows that the table held after its last commit not later than
    the label time. ``changes`` are the table's columns with those of ``CHANGE_FEED``. ``join.label_time`` is never None
    here; for a table without a time column it is compared with commit times alone.

    Raises:
        DuplicateKeys: at a label's time the table held several rows of one key and time.
    """
    return with_outputs(labels, changes, find_known(labels, changes, join), join)


def find_known(labels: pa.Table, changes: pa.Table, join: Join, *, later: bool = False) -> Matches:
    """Return what each label sees; a row comes "later" when its time or its commit is after the label."""
    label_id, change_id, _ = pair_ids(labels, join.label_keys, changes, join.table_keys)
    label_time, label_null = times(labels, join.label_time)
    found = Matches.nothing(label_id < 0, label_null)
    asking = np.flatnonzero((label_id >= 0) & ~label_null)
    versions = _versions(changes, change_id, join)
    if not len(asking) or not len(versions.row):
        return found
    asking = asking[np.lexsort((label_time[asking], label_id[asking]))]
    instants_asked, rank = np.unique(label_time[asking], return_inverse=True)
    bits = len(instants_asked).bit_length()
    codes = (label_id[asking] << bits) | rank

    def start(at: np.ndarray) -> np.ndarray:
        """Of each version's entity the first label, in order, that is not before ``at``."""
        return np.searchsorted(codes, (versions.entity << bits) | np.searchsorted(instants_asked, at))

    newest = _painted(len(asking), start(versions.since), start(versions.until))
    seen = newest >= 0
    who, which = asking[seen], newest[seen]
    doubled = which[versions.doubled[which]]
    if len(doubled):
        raise duplicate_keys(join, shown(changes, join.table_columns, versions.row[np.unique(doubled)[:SHOWN]]))
    found.see(who, versions.row[which], versions.time[which], recent(label_time[who], versions.time[which], join))
    if later:
        order = np.lexsort((versions.since, versions.entity))
        since = ((versions.entity << bits) | np.searchsorted(instants_asked, versions.since))[order]
        position = np.searchsorted(since, codes, side="right")
        end = np.searchsorted(since, ((codes >> bits) + 1) << bits)
        found.miss(asking, end - position, versions.since[order], position)
    return found


def _versions(changes: pa.Table, entity: np.ndarray, join: Join) -> _Versions:
    time, null = times(changes, join.table_time)
    if join.table_time is None:
        time = np.full(len(time), _ALWAYS)
    usable = np.flatnonzero((entity >= 0) & ~null)
    commit = changes.column(COMMIT_VERSION).to_numpy()
    usable = usable[np.lexsort((commit[usable], time[usable], entity[usable]))]
    entity, time, commit = entity[usable], time[usable], commit[usable]
    kinds = pc.index_in(changes.column(CHANGE_TYPE), value_set=pa.array(["insert", "update_postimage"]))
    added = kinds.is_valid().to_numpy()[usable]
    same_row = _same(entity) & _same(time)
    # All changes that one commit made to one key and time are one step, from a row or none to another row or none.
    first = np.flatnonzero(~(same_row & _same(commit)))
    steps = np.add.reduceat(np.where(added, 1, -1), first) if len(first) else np.empty(0, dtype=np.int64)
    arrivals = np.maximum.reduceat(np.where(added, usable, -1), first) if len(first) else steps
    held = _running(steps, ~same_row[first])
    written, _ = instants(changes.column(COMMIT_TIMESTAMP))
    since = written[usable[first]]
    following = np.concatenate([same_row[first][1:], [False]]) if len(first) else np.empty(0, dtype=bool)
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
    return np.concatenate([np.zeros(min(1, len(values)), dtype=bool), values[1:] == values[:-1]])


def _running(steps: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """Return the running sums of ``steps``, begun anew where ``restarts``."""
    if not len(steps):
        return steps
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
