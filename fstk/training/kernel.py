"""The as-of join: pure Arrow in, Arrow out. For each label the newest feature row that it may see, by RULES,
point-in-time join.

Many keys at once, in parts small enough for a core's cache: (key within the part, time) of a row is packed into one
int64, the feature rows are sorted by it, and one binary search per label finds the last row not after it. Times that
leave no room for the keys are first replaced by their ranks.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import instants
from fstk.columns.keys import pair_ids
from fstk.errors import DuplicateKeys
from fstk.training.resolve import Join

_BITS = 62  # of an int64 that key and time may share
_ARRAY = 2**31  # bytes of strings that one Arrow array cannot hold
_PART_ROWS = 2**15  # feature rows that are sorted at a time; many more leave a core's cache
SHOWN = 5
"""Keys named in an error."""


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
    def nothing(cls, null_key: np.ndarray, null_time: np.ndarray) -> Matches:
        """Return the answer of an empty table."""
        row, at, later, next_at = (np.full(len(null_key), value, dtype=np.int64) for value in (-1, 0, 0, 0))
        return cls(row, np.zeros(len(null_key), dtype=bool), at, later, next_at, null_key, null_time)

    def see(self, labels: np.ndarray, rows: np.ndarray, at: np.ndarray, recent: np.ndarray) -> None:
        """Fill in for ``labels`` the newest rows not after them; only ``recent`` ones are seen."""
        self.row[labels] = np.where(recent, rows, -1)
        self.earlier[labels] = True
        self.at[labels] = at

    def miss(self, labels: np.ndarray, number: np.ndarray, at: np.ndarray, first: np.ndarray) -> None:
        """Fill in for ``labels`` how many rows come after them, and ``at[first]`` as the time of the first of
        these."""
        self.later[labels] = number
        some = number > 0
        self.next_at[labels[some]] = at[first[some]]


def as_of_join(labels: pa.Table, features: pa.Table, join: Join, threads: int = 1) -> pa.Table:
    """Return ``labels`` with the join's outputs: of each label's keys the newest row with feature time ≤ label time
    and within the look-back, whole; nulls where there is none; defaults in place of nulls.

    Rows, their order and the columns of ``labels`` stay as they are.

    Raises:
        DuplicateKeys: a label's row is not the only one with its keys and time.
    """
    return with_outputs(labels, features, find(labels, features, join, threads=threads), join)


def with_outputs(labels: pa.Table, features: pa.Table, found: Matches, join: Join) -> pa.Table:
    """Return ``labels`` with the outputs of ``join`` taken from the rows that were found."""
    rows = pa.array(found.row, mask=found.row < 0)
    for output in join.outputs:
        column = _taken(features.column(output.feature), rows)
        if output.default is not None:
            column = pc.fill_null(column, pa.scalar(output.default, column.type))
        labels = labels.append_column(output.name, column)
    return labels


def _taken(column: pa.ChunkedArray, rows: pa.Array) -> pa.ChunkedArray:
    """Return the values of ``rows``, null where a row is null, also of a column past what Arrow puts in one array."""
    if column.nbytes < _ARRAY:
        return column.take(rows)
    size = max(1, len(column) * (_ARRAY // 2) // column.nbytes)  # rows whose values fill half an array
    parts = []
    for start in range(0, len(rows), size):
        part = rows.slice(start, size)
        used = np.zeros(len(column), dtype=bool)
        used[part.drop_null().to_numpy()] = True
        place = pa.array(np.cumsum(used) - 1)
        parts += column.filter(pa.array(used)).take(place.take(part)).chunks
    return pa.chunked_array(parts, column.type)


def find(labels: pa.Table, features: pa.Table, join: Join, *, later: bool = False, threads: int = 1) -> Matches:
    """Return what each label sees, with ``later`` also what comes after it.

    Raises:
        DuplicateKeys: as :func:`as_of_join`.
    """
    label_id, feature_id, size = pair_ids(labels, join.label_keys, features, join.table_keys)
    label_time, label_null = times(labels, join.label_time)
    feature_time, feature_null = times(features, join.table_time)
    asking = np.flatnonzero((label_id >= 0) & ~label_null)
    usable = np.flatnonzero((feature_id >= 0) & ~feature_null)
    found = Matches.nothing(label_id < 0, label_null)
    if not len(asking) or not len(usable):
        return found
    part_bits = min(8, (len(usable) // _PART_ROWS).bit_length())
    key_bits = max(0, size.bit_length() - part_bits)  # no key lies in two parts
    label_at, feature_at, bits = _coordinates(label_time[asking], feature_time[usable], key_bits)
    wanted = _Parted.of(label_id[asking], label_at, key_bits, bits)
    stored = _Parted.of(feature_id[usable], feature_at, key_bits, bits)

    def search(part: int) -> None:
        label_code, who = wanted.part(part)  # searching in order is many times faster than at random
        codes, rows = stored.part(part)
        first = (label_code >> bits) << bits
        position = np.searchsorted(codes, label_code, side="right")
        seen = position > 0
        seen[seen] = codes[position[seen] - 1] >= first[seen]
        last = position[seen] - 1
        tied = np.unique(last[(last > 0) & (codes[last] == codes[last - 1])])[:SHOWN]
        if len(tied):
            raise duplicate_keys(join, shown(features, join.table_columns, usable[rows[tied]]))
        newest, seeing = usable[rows[last]], asking[who[seen]]
        at = feature_time[newest]
        found.see(seeing, newest, at, recent(label_time[seeing], at, join))
        if later:
            end = np.searchsorted(codes, first + (1 << bits))
            found.miss(asking[who], end - position, feature_time[usable[rows]], position)

    with ThreadPoolExecutor(threads) as pool:  # NumPy sorts and searches without Python's lock
        list(pool.map(search, range(1 << part_bits)))
    return found


@dataclass(frozen=True)
class _Parted:
    """Codes, and their positions in an order in which those of part 0 come first; ``ends`` says where a part ends.

    Codes compare within a part only.
    """

    codes: np.ndarray
    order: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, at: np.ndarray, key_bits: int, bits: int) -> _Parted:
        """Part by the bits of ``ids`` above ``key_bits``, at most eight; ``at`` has so many ``bits``."""
        part = (ids >> key_bits).astype(np.uint8)
        order = np.argsort(part, kind="stable")  # of bytes a radix sort
        codes = ((ids & ((1 << key_bits) - 1)) << bits) | at
        return cls(codes, order, np.cumsum(np.bincount(part, minlength=256)))

    def part(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of one part, sorted, and their positions."""
        here = self.order[self.ends[number - 1] if number else 0 : self.ends[number]]
        codes = self.codes[here]
        order = np.argsort(codes)
        return codes[order], here[order]


def times(table: pa.Table, column: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's instants in microseconds since 1970 UTC and its nulls; of no column zeros, none of them
    null."""
    if column is None:
        return np.zeros(table.num_rows, dtype=np.int64), np.zeros(table.num_rows, dtype=bool)
    return instants(table.column(column))


def recent(labels: np.ndarray, features: np.ndarray, join: Join) -> np.ndarray:
    """Return whether feature times, none of them after its label time, lie within the join's look-back."""
    if join.lookback is None:
        return np.ones(len(labels), dtype=bool)
    # No feature time is after its label's, so the difference is exact as an unsigned number, however large it is.
    return labels.view(np.uint64) - features.view(np.uint64) <= np.uint64(min(join.lookback, 2**64 - 1))


def duplicates(features: pa.Table, keys: tuple[str, ...], time: str | None) -> pa.Table:
    """Return rows of ``features`` that share keys and time: up to five keys as ``example``, one a line, none when
    every row is alone; ``rows`` adds up to the number of such rows. Rows with a null key or time are no one's
    duplicates."""
    ids, _, size = pair_ids(features, keys, features, keys)
    instant, null = times(features, time)
    usable = np.flatnonzero((ids >= 0) & ~null)
    codes = np.empty(0, dtype=np.int64)
    if len(usable):
        _, at, bits = _coordinates(instant[usable], instant[usable], size.bit_length())
        codes = (ids[usable] << bits) | at
    order = np.argsort(codes)
    codes = codes[order]
    same = codes[1:] == codes[:-1]
    first = same & ~np.concatenate([[False], same[:-1]])  # of a run of equal codes the first pair
    examples = shown(features, keys if time is None else (*keys, time), usable[order[:-1][first]][:SHOWN])
    number = [int(same.sum() + first.sum()), *[0] * (SHOWN - 1)]
    return pa.table({"rows": pa.array(number[: len(examples)], pa.int64()), "example": pa.array(examples, pa.string())})


def shown(table: pa.Table, columns: tuple[str, ...], rows: np.ndarray) -> list[str]:
    """Return the values of ``columns`` in each of ``rows`` as text for an error or an example."""
    chosen = table.select(list(dict.fromkeys(columns))).take(pa.array(rows)).to_pylist()
    return [", ".join(f"{name} {text_of(value)}" for name, value in row.items()) for row in chosen]


def _coordinates(labels: np.ndarray, features: np.ndarray, key_bits: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return small non-negative stand-ins for times, in which the same feature times are ≤ the same label times, and
    their number of bits; with ``key_bits`` more they fit an int64."""
    low, high = int(features.min()), int(features.max())
    bits = (high - low + 1).bit_length()
    if key_bits + bits <= _BITS:
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


def text_of(value: Any) -> str:
    """Return a key's or time's value as a person writes it."""
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)
