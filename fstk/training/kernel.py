"""The as-of join, pure Arrow in and out: the newest feature row that each label may see (docs/rules.md#join-1).

Many keys at once, in parts small enough for a core's cache: (key within the part, time) of a row is packed into one
int64, the feature rows are sorted by it, and one binary search per label finds the last row not after it. Times that
leave no room for the keys are first replaced by their ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import instants
from fstk.columns.keys import pair_ids
from fstk.errors import DuplicateKeys
from fstk.training.resolve import Join, Output

_BITS = 62  # of an int64 that key and time may share
_ARRAY_BYTES = 2**31  # bytes of strings that one Arrow array cannot hold
_PART_ROWS = 2**15  # feature rows that are sorted at a time; many more leave a core's cache
SHOWN = 5
"""Keys named in an error."""


@dataclass(frozen=True)
class Side:
    """What a join compares of one table, one element per row: ``entity`` is equal where the keys are, −1 where one is
    null (of feature rows also where no label has them); ``time`` is in int64 microseconds since 1970 UTC."""

    entity: np.ndarray
    time: np.ndarray
    null_time: np.ndarray

    @cached_property
    def usable(self) -> np.ndarray:
        """The rows that can match any: those with keys and a time."""
        return np.flatnonzero((self.entity >= 0) & ~self.null_time)


@dataclass(frozen=True)
class Matches:
    """What the join found, one element per label row; instants are int64 microseconds since 1970 UTC.

    ``row`` is the feature row that the label sees, −1 for none. ``earlier`` tells whether any row of its keys is not
    after it, whatever its age, and ``at`` the newest such row's time. ``later`` counts the rows after it, and
    ``next_at`` is when the first of them could be seen; both are filled in only when asked for.
    """

    row: np.ndarray
    earlier: np.ndarray
    at: np.ndarray
    later: np.ndarray
    next_at: np.ndarray
    null_key: np.ndarray
    null_time: np.ndarray

    @classmethod
    def none(cls, labels: Side) -> Matches:
        """Return the answer of an empty table."""
        row, at, later, next_at = (np.full(len(labels.entity), value, dtype=np.int64) for value in (-1, 0, 0, 0))
        earlier = np.zeros(len(labels.entity), dtype=bool)
        return cls(row, earlier, at, later, next_at, labels.entity < 0, labels.null_time)

    @property
    def rows(self) -> pa.Array:
        """The feature rows that the labels see, null for none."""
        return pa.array(self.row, mask=self.row < 0)

    def see(self, labels: np.ndarray, rows: np.ndarray, label_time: np.ndarray, at: np.ndarray, join: Join) -> None:
        """Fill in for ``labels`` the newest ``rows`` not after them, of the instants ``at``: seen in the look-back."""
        recent: np.ndarray | bool = True
        if join.lookback is not None:
            # No row is after its label, so the difference is exact as an unsigned number, however large it is.
            age = label_time[labels].view(np.uint64) - at.view(np.uint64)
            recent = age <= np.uint64(min(join.lookback, 2**64 - 1))
        self.row[labels] = np.where(recent, rows, -1)
        self.earlier[labels] = True
        self.at[labels] = at

    def miss(self, labels: np.ndarray, number: np.ndarray, at: np.ndarray, first: np.ndarray) -> None:
        """Fill in for ``labels`` how many rows come after them, and ``at[first]``, when the first of these does."""
        self.later[labels] = number
        some = number > 0
        self.next_at[labels[some]] = at[first[some]]


def as_of_join(
    labels: pa.Table, features: pa.Table, join: Join, threads: int = 1, part_rows: int = _PART_ROWS
) -> pa.Table:
    """Return ``labels`` with the join's outputs: of each label's keys the newest row with feature time ≤ label time
    and within the look-back, whole; nulls where there is none; defaults in place of nulls.

    Where the join skips nulls, a feature's row is the newest that has a value of it. Rows, their order and the columns
    of ``labels`` stay as they are. DuplicateKeys when a label's row is not the only one with its keys and time.
    """
    asking, stored, entities = sides(labels, features, join)

    def seen(valued: np.ndarray | None) -> Matches:
        able = stored if valued is None else replace(stored, entity=np.where(valued, stored.entity, -1))
        return _found(asking, able, entities, features, join, threads=threads, part_rows=part_rows)

    return with_outputs(labels, features, rows_seen(features, join, seen), join, threads=threads)


def rows_seen(features: pa.Table, join: Join, seen: Callable[[np.ndarray | None], Matches]) -> list[pa.Array]:
    """Return for each output of ``join`` the feature row of each label, null for none. ``seen`` finds them among all
    rows (None) or among those of a mask; outputs that are null in the same rows share one search."""
    every = seen(None).rows
    if join.nulls == "keep":
        return [every] * len(join.outputs)
    found: dict[bytes, pa.Array] = {}
    rows = []
    for output in join.outputs:
        column = features.column(output.feature)
        if not column.null_count:
            rows.append(every)
            continue
        valued = column.is_valid().to_numpy()
        same = np.packbits(valued).tobytes()
        if same not in found:
            found[same] = seen(valued).rows
        rows.append(found[same])
    return rows


def with_outputs(
    labels: pa.Table,
    features: pa.Table,
    rows: Sequence[pa.Array],
    join: Join,
    array_bytes: int = _ARRAY_BYTES,
    threads: int = 1,
) -> pa.Table:
    """Return ``labels`` with the outputs of ``join``, each taken from its ``rows``, null for none."""

    def output_of(output: Output, row: pa.Array) -> pa.ChunkedArray:
        column = _taken(features.column(output.feature), row, array_bytes)
        return column if output.default is None else pc.fill_null(column, pa.scalar(output.default, column.type))

    with ThreadPoolExecutor(threads) as pool:  # Arrow takes without Python's lock, a column on one core
        columns = list(pool.map(output_of, join.outputs, rows))
    for output, column in zip(join.outputs, columns, strict=True):
        labels = labels.append_column(output.name, column)
    return labels


def _taken(column: pa.ChunkedArray, rows: pa.Array, array_bytes: int) -> pa.ChunkedArray:
    """Return the values of ``rows``, null where a row is null, also of a column past what Arrow puts in one array."""
    if column.nbytes < array_bytes:
        return column.take(rows)
    size = max(1, len(column) * (array_bytes // 2) // column.nbytes)  # rows whose values fill half an array
    parts = []
    for start in range(0, len(rows), size):
        part = rows.slice(start, size)
        used = np.zeros(len(column), dtype=bool)
        used[part.drop_null().to_numpy()] = True
        place = pa.array(np.cumsum(used) - 1)
        parts += column.filter(pa.array(used)).take(place.take(part)).chunks
    return pa.chunked_array(parts, column.type)


def find(
    labels: pa.Table, features: pa.Table, join: Join, later: bool = False, threads: int = 1, part_rows: int = _PART_ROWS
) -> Matches:
    """Return what each label sees, with ``later`` also what comes after it; raises as :func:`as_of_join`."""
    asking, stored, entities = sides(labels, features, join)
    return _found(asking, stored, entities, features, join, later, threads, part_rows)


def _found(
    asking: Side,
    stored: Side,
    entities: int,
    features: pa.Table,
    join: Join,
    later: bool = False,
    threads: int = 1,
    part_rows: int = _PART_ROWS,
) -> Matches:
    matches = Matches.none(asking)
    if not len(asking.usable) or not len(stored.usable):
        return matches
    part_bits = min(8, (len(stored.usable) // part_rows).bit_length())
    label_codes, feature_codes, time_bits = _packed(asking, stored, entities, part_bits)

    def search(part: int) -> None:
        label, feature = label_codes.part(part), feature_codes.part(part)
        if not len(feature.code):
            return
        entity = (label.code >> time_bits) << time_bits  # no row of the label's entity has a smaller code
        after = np.searchsorted(feature.code, label.code, side="right")
        seen = (after > 0) & (feature.code[after - 1] >= entity)
        newest = after[seen] - 1
        _refuse_ties(feature, newest, features, join)
        rows = feature.row[newest]
        matches.see(label.row[seen], rows, asking.time, stored.time[rows], join)
        if later:
            end = np.searchsorted(feature.code, entity + (1 << time_bits))
            matches.miss(label.row, end - after, stored.time[feature.row], after)

    with ThreadPoolExecutor(threads) as pool:  # NumPy sorts and searches without Python's lock
        list(pool.map(search, range(1 << part_bits)))
    return matches


def sides(labels: pa.Table, features: pa.Table, join: Join) -> tuple[Side, Side, int]:
    """Return what ``join`` compares of both tables, and a number that no entity reaches."""
    label_id, feature_id, entities = pair_ids(labels, join.label_keys, features, join.table_keys)
    asking = Side(label_id, *times(labels, join.label_time))
    return asking, Side(feature_id, *times(features, join.table_time)), entities


class _Part(NamedTuple):
    """Rows of a table in order of their code: (entity within the part, time) in one int64."""

    code: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class _Parts:
    """The codes of the usable rows of a table; those of part ``n`` are at ``order[ends[n - 1] : ends[n]]``, of no
    ``order`` at those places themselves."""

    code: np.ndarray
    row: np.ndarray
    order: np.ndarray | None
    ends: np.ndarray

    @classmethod
    def of(cls, side: Side, at: np.ndarray, key_bits: int, time_bits: int) -> _Parts:
        """Part the rows by the bits of their entity above ``key_bits``, at most eight."""
        entity = side.entity[side.usable]
        part = (entity >> key_bits).astype(np.uint8)
        order = None if _in_order(part) else np.argsort(part, kind="stable")  # of bytes a radix sort
        code = ((entity & ((1 << key_bits) - 1)) << time_bits) | at
        return cls(code, side.usable, order, np.cumsum(np.bincount(part, minlength=256)))

    def part(self, number: int) -> _Part:
        """Return the rows of one part, sorted: searching in order is many times faster than at random."""
        own: Any = slice(self.ends[number - 1] if number else 0, self.ends[number])
        if self.order is not None:
            own = self.order[own]
        code, row = self.code[own], self.row[own]
        if not _in_order(code):  # as that of fstk's own files is
            order = np.argsort(code)
            code, row = code[order], row[order]
        return _Part(code, row)


def _in_order(values: np.ndarray) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _packed(labels: Side, features: Side, entities: int, part_bits: int = 0) -> tuple[_Parts, _Parts, int]:
    """Return both tables' codes, which compare within a part only (no entity lies in two), and time's bits in each."""
    key_bits = max(0, entities.bit_length() - part_bits)
    label_times, feature_times = (side.time[side.usable] for side in (labels, features))
    label_at, feature_at, bits = _coordinates(label_times, feature_times, _BITS - key_bits)
    return _Parts.of(labels, label_at, key_bits, bits), _Parts.of(features, feature_at, key_bits, bits), bits


def _refuse_ties(part: _Part, newest: np.ndarray, features: pa.Table, join: Join) -> None:
    """Raise DuplicateKeys when a row of ``part`` that is some label's newest has an equal beside it."""
    tied = np.unique(newest[(newest > 0) & (part.code[newest] == part.code[newest - 1])])[:SHOWN]
    if len(tied):
        raise duplicate_keys(join, row_texts(features, join.table_columns, part.row[tied]))


def times(table: pa.Table, column: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's instants in microseconds since 1970 UTC and its nulls; of no column zeros, none null."""
    if column is None:
        return np.zeros(table.num_rows, dtype=np.int64), np.zeros(table.num_rows, dtype=bool)
    return instants(table.column(column))


def duplicates(features: pa.Table, keys: tuple[str, ...], time: str | None) -> pa.Table:
    """Return rows of ``features`` that share keys and time: up to five keys as ``example``, one a line, none when
    every row is alone; ``rows`` adds up to the number of such rows. Rows with a null key or time are no one's
    duplicates."""
    ids, _, entities = pair_ids(features, keys, features, keys)
    side = Side(ids, *times(features, time))
    code, row = _packed(side, side, entities)[0].part(0) if len(side.usable) else (side.usable, side.usable)
    same = code[1:] == code[:-1]
    first = same & ~np.concatenate([[False], same[:-1]])  # of a run of equal codes the first pair
    examples = row_texts(features, keys if time is None else (*keys, time), row[:-1][first][:SHOWN])
    number = [int(same.sum() + first.sum()), *[0] * (SHOWN - 1)]
    return pa.table({"rows": pa.array(number[: len(examples)], pa.int64()), "example": pa.array(examples, pa.string())})


def row_texts(table: pa.Table, columns: tuple[str, ...], rows: np.ndarray) -> list[str]:
    """Return the values of ``columns`` in each of ``rows`` as text for an error or an example."""
    chosen = table.select(list(dict.fromkeys(columns))).take(pa.array(rows)).to_pylist()
    return [", ".join(f"{name} {value_text(value)}" for name, value in row.items()) for row in chosen]


def _coordinates(labels: np.ndarray, features: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return small non-negative stand-ins for times, in which the same feature times are ≤ the same label times, and
    their number of bits, at most ``room``: ranks where the times themselves need more."""
    low, high = int(features.min()), int(features.max())
    bits = (high - low + 1).bit_length()
    if bits <= room:
        return np.where(labels < low, 0, np.clip(labels, low, high) - low + 1), features - low + 1, bits
    order = np.argsort(features)
    ordered = features[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    ranks = np.empty(len(features), dtype=np.int64)
    ranks[order] = np.cumsum(new)
    return np.searchsorted(ordered[new], labels, side="right"), ranks, int(new.sum()).bit_length()


def duplicate_keys(join: Join, examples: list[str], number: int | None = None) -> DuplicateKeys:
    """Return the error of a table in which several rows share keys and time."""
    count = "several rows" if number is None else f"{number:,} rows"
    which = "keys" if join.table_time is None else "keys and time"
    return DuplicateKeys(
        f"{join.table} v{join.version} has {count} that share their {which}, so which one a label saw would be "
        f"a guess: {'; '.join(examples)}. Remove them, or write the table with write_table, which refuses them."
    )


def value_text(value: Any) -> str:
    """Return a key's or time's value as a person writes it."""
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)
