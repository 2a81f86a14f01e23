"""The join "as known at" against a plain loop that replays the commits one by one."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.errors import DuplicateKeys
from fstk.training.bitemporal import _painted, as_known_join, find_known
from fstk.training.resolve import Join, Output
from tests.generated import examples

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
UTC = pa.timestamp("us", tz="UTC")

Key = tuple[int, int]  # entity, day of the feature time
Commit = dict[Key, int | None]  # what one commit left there: a value, or None for deleted


def join(timed: bool = True, lookback: int | None = None) -> Join:
    outputs = (Output("v", "v", "bigint"), *([Output("ts", "seen", "timestamp")] if timed else []))
    return Join("t", None, 9, ("k",), ("k",), "at", "ts" if timed else None, lookback, outputs, True)


def feed(commits: list[tuple[int, Commit]]) -> pa.Table:
    """The change data feed of commits (day, what it left), as Delta writes it, in an order of its own."""
    held: dict[Key, int] = {}
    rows: list[dict[str, Any]] = []
    for version, (day, commit) in enumerate(commits):
        for (entity, time), value in commit.items():
            base = {
                "k": entity,
                "ts": EPOCH + time * DAY,
                "_commit_version": version,
                "_commit_timestamp": EPOCH + day * DAY,
            }
            old = held.get((entity, time))
            if value is None and old is not None:
                rows.append({**base, "v": old, "_change_type": "delete"})
                del held[entity, time]
            elif value is not None:
                if old is not None:
                    rows.append({**base, "v": old, "_change_type": "update_preimage"})
                rows.append({**base, "v": value, "_change_type": "insert" if old is None else "update_postimage"})
                held[entity, time] = value
    fields = {"k": pa.int64(), "ts": UTC, "v": pa.int64(), "_change_type": pa.string(), "_commit_version": pa.int64()}
    schema = pa.schema({**fields, "_commit_timestamp": UTC})
    return pa.Table.from_pylist(rows[::2] + rows[1::2], schema=schema)


def known(commits: list[tuple[int, Commit]], day: int) -> dict[Key, int]:
    """What the table held after its last commit not later than ``day``."""
    held: dict[Key, int] = {}
    for when, commit in commits:
        if when <= day:
            for key, value in commit.items():
                held.pop(key, None)
                if value is not None:
                    held[key] = value
    return held


def seen(commits: list[tuple[int, Commit]], entity: int, day: int, lookback: int | None) -> tuple[int, int] | None:
    times = [time for (k, time) in known(commits, day) if k == entity and time <= day]
    if not times or (lookback is not None and day - max(times) > lookback):
        return None
    return max(times), known(commits, day)[entity, max(times)]


def starts(commits: list[tuple[int, Commit]], entity: int) -> list[int]:
    """When each row version of the entity that is ever seen is first seen: the later of its time and its commit."""
    found = []
    for i, (when, commit) in enumerate(commits):
        for (k, time), value in commit.items():
            ends = [later for later, other in commits[i + 1 :] if (k, time) in other]
            if k == entity and value is not None and (not ends or max(when, time) < ends[0]):
                found.append(max(when, time))
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, Commit]]:
    key = st.tuples(st.integers(0, 1), st.integers(0, 6))
    commits = draw(st.lists(st.dictionaries(key, st.none() | st.integers(0, 99), max_size=5), max_size=8))
    days = sorted(draw(st.lists(st.integers(0, 8), min_size=len(commits), max_size=len(commits))))
    return list(zip(days, commits, strict=True))


# Mostly of two entities, so that each has a run of labels.
LABELS = st.lists(
    st.tuples(st.integers(0, 1) | st.integers(0, 2) | st.none(), st.integers(0, 9) | st.none()), max_size=16
)


def labels_of(labels: list[tuple[int | None, int | None]]) -> pa.Table:
    at = pa.array([None if day is None else EPOCH + day * DAY for _, day in labels], UTC)
    return pa.table(
        {"k": pa.array([k for k, _ in labels], pa.int64()), "at": at, "y": pa.array(range(len(labels)), pa.int64())}
    )


@given(histories(), LABELS, st.none() | st.integers(0, 4))
@settings(max_examples=examples(700), deadline=None)
def test_a_label_sees_what_the_table_held_at_its_time(
    commits: list[tuple[int, Commit]], labels: list[tuple[int | None, int | None]], lookback: int | None
) -> None:
    microseconds = None if lookback is None else lookback * 86_400_000_000
    table = labels_of(labels)
    joined = as_known_join(table, feed(commits), join(lookback=microseconds))
    assert joined.select(table.column_names).equals(table)
    for (entity, day), row in zip(labels, joined.to_pylist(), strict=True):
        want = None if entity is None or day is None else seen(commits, entity, day, lookback)
        assert (row["seen"], row["v"]) == ((EPOCH + want[0] * DAY, want[1]) if want else (None, None))


@given(histories(), LABELS)
@settings(max_examples=examples(200), deadline=None)
def test_what_comes_later_is_counted_whether_by_time_or_by_commit(
    commits: list[tuple[int, Commit]], labels: list[tuple[int | None, int | None]]
) -> None:
    found = find_known(labels_of(labels), feed(commits), join(), later=True)
    for i, (entity, day) in enumerate(labels):
        if entity is None or day is None:
            assert (bool(found.null_key[i]), bool(found.null_time[i])) == (entity is None, day is None)
            continue
        after = sorted(start for start in starts(commits, entity) if start > day)
        assert found.later[i] == len(after)
        if after:
            assert found.next_at[i] == after[0] * 86_400_000_000


@given(histories(), LABELS)
@settings(max_examples=examples(200), deadline=None)
def test_a_table_without_a_time_column_is_seen_as_it_was_written(
    commits: list[tuple[int, Commit]], labels: list[tuple[int | None, int | None]]
) -> None:
    static = [(day, {(k, 0): value for (k, _), value in commit.items()}) for day, commit in commits]
    joined = as_known_join(labels_of(labels), feed(static).drop_columns("ts"), join(timed=False))
    for (entity, day), row in zip(labels, joined.to_pylist(), strict=True):
        want = None if entity is None or day is None else known(static, day).get((entity, 0))
        assert row["v"] == want


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=30))
@settings(max_examples=examples(300), deadline=None)
def test_the_last_range_over_a_place_wins(size: int, ranges: list[tuple[int, int]]) -> None:
    ranges = [(min(low, size), min(high, size)) for low, high in ranges]
    start, end = (np.array([pair[i] for pair in ranges], dtype=np.int64) for i in (0, 1))
    want = [
        max([i for i, (low, high) in enumerate(ranges) if low <= place < high], default=-1) for place in range(size)
    ]
    assert _painted(size, start, end).tolist() == want


def test_a_backfill_cannot_leak() -> None:
    history: list[tuple[int, Commit]] = [
        (1, {(1, 1): 10}),
        (5, {(1, 2): 20}),
    ]  # the row of day 2 was written on day 5 only
    joined = as_known_join(labels_of([(1, 3), (1, 4), (1, 5)]), feed(history), join())
    assert joined.column("v").to_pylist() == [10, 10, 20]


def test_a_correction_is_unknown_before_it_was_made_and_a_deleted_row_gone_after() -> None:
    history: list[tuple[int, Commit]] = [(1, {(1, 1): 10}), (3, {(1, 1): 11}), (5, {(1, 1): None})]
    joined = as_known_join(labels_of([(1, day) for day in range(1, 7)]), feed(history), join())
    assert joined.column("v").to_pylist() == [10, 10, 11, 11, None, None]


def test_a_row_moved_to_another_time_leaves_its_old_place() -> None:
    changes = pa.concat_tables(
        [
            feed([(1, {(1, 1): 10})]),
            feed([(0, {}), (3, {(1, 1): 10})]).set_column(3, "_change_type", [["update_preimage"]]),
            feed([(0, {}), (3, {(1, 2): 10})]).set_column(3, "_change_type", [["update_postimage"]]),
        ]
    )
    joined = as_known_join(labels_of([(1, 2), (1, 3)]), changes, join())
    assert joined.column("seen").to_pylist() == [EPOCH + DAY, EPOCH + 2 * DAY]


def test_two_rows_held_at_once_are_refused_when_a_label_meets_them_only() -> None:
    once = feed([(1, {(1, 1): 10, (2, 1): 20})])
    again = feed([(0, {}), (4, {(1, 1): 11})])
    changes = pa.concat_tables([once, again])
    before = as_known_join(labels_of([(1, 3), (2, 9)]), changes, join())
    assert before.column("v").to_pylist() == [10, 20]
    with pytest.raises(DuplicateKeys, match=r"t v9 .*k 1, ts 1970-01-02"):
        as_known_join(labels_of([(1, 4)]), changes, join())


def test_a_hot_key_of_many_labels_and_versions_stays_small() -> None:
    """20,000 labels × 20,000 versions of one key, all written after the labels: pairs of them would be 400 million."""
    number = 20_000
    times = pa.array(np.arange(number) * 1_000_000).cast(UTC)
    changes = pa.table(
        {
            "k": np.zeros(number, dtype=np.int64),
            "ts": times,
            "v": np.arange(number),
            "_change_type": ["insert"] * number,
            "_commit_version": np.arange(number),
            "_commit_timestamp": pa.array(np.arange(number) * 2_000_000).cast(UTC),
        }
    )
    labels = pa.table({"k": np.zeros(number, dtype=np.int64), "at": times, "y": np.arange(number)})
    tracemalloc.start()
    joined = as_known_join(labels, changes, join())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500 * number  # bytes
    assert joined.column("v").to_pylist() == [second // 2 for second in range(number)]
