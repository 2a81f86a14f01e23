"""``nulls="skip"`` against a plain loop: of each feature the newest value that is not null, each with its own time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.errors import InvalidInput
from fstk.training.bitemporal import as_known_join
from fstk.training.kernel import as_of_join
from fstk.training.resolve import Join, Output
from fstk.training.spec import FeatureLookup
from tests.generated import examples

EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
UTC = pa.timestamp("us", tz="UTC")
NAMES = ("a", "b", "c")  # c is never null

Values = tuple[int | None, int | None, int]
Held = dict[tuple[int, int], Values]  # of an entity and a day

keys = st.tuples(st.integers(0, 1), st.integers(0, 6))
values = st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9), st.integers(0, 9))
labels_drawn = st.lists(st.tuples(st.integers(0, 2) | st.none(), st.integers(0, 8) | st.none()), max_size=10)


def join(lookback: int | None, default: int | None) -> Join:
    outputs = (Output("a", "a", "bigint", default), Output("b", "b", "bigint"), Output("c", "c", "bigint"))
    days = None if lookback is None else lookback * 86_400_000_000
    return Join("t", None, 9, ("k",), ("k",), "at", "ts", days, outputs, True, "skip")


def at(days: list[int | None]) -> pa.Array:
    return pa.array([None if day is None else EPOCH + day * DAY for day in days], UTC)


def labels_of(labels: list[tuple[int | None, int | None]]) -> pa.Table:
    return pa.table({"k": pa.array([k for k, _ in labels], pa.int64()), "at": at([day for _, day in labels])})


def table_of(held: Held) -> dict[str, Any]:
    columns = {name: pa.array([row[i] for row in held.values()], pa.int64()) for i, name in enumerate(NAMES)}
    return {"k": pa.array([k for k, _ in held], pa.int64()), "ts": at([day for _, day in held]), **columns}


def expected(
    held: Held, entity: int | None, day: int | None, lookback: int | None, default: int | None
) -> list[int | None]:
    found: list[int | None] = [default, None, None]
    if entity is None or day is None:
        return found
    for (k, time), row in sorted(held.items()):
        if k == entity and time <= day and (lookback is None or day - time <= lookback):
            found = [old if value is None else value for value, old in zip(row, found, strict=True)]
    return found


@given(st.dictionaries(keys, values, max_size=14), labels_drawn, st.none() | st.integers(0, 4), st.none() | st.just(-1))
@settings(max_examples=examples(400), deadline=None)
def test_each_feature_has_its_newest_value(
    held: Held, labels: list[tuple[int | None, int | None]], lookback: int | None, default: int | None
) -> None:
    joined = as_of_join(labels_of(labels), pa.table(table_of(held)), join(lookback, default)).select(NAMES)
    want = [expected(held, entity, day, lookback, default) for entity, day in labels]
    assert [list(row.values()) for row in joined.to_pylist()] == want


@given(
    st.lists(st.tuples(st.integers(0, 8), st.dictionaries(keys, values | st.none(), max_size=5)), max_size=5),
    labels_drawn,
    st.none() | st.integers(0, 4),
)
@settings(max_examples=examples(400), deadline=None)
def test_as_known_each_feature_has_the_newest_value_that_was_written(
    history: list[tuple[int, dict[tuple[int, int], Values | None]]],
    labels: list[tuple[int | None, int | None]],
    lookback: int | None,
) -> None:
    commits = sorted(history, key=lambda commit: commit[0])
    held: Held = {}
    parts = []
    for version, (day, commit) in enumerate(commits):
        gone = {key: held.pop(key) for key in commit if key in held}
        new = {key: row for key, row in commit.items() if row is not None}
        held |= new
        for kind, rows in (("delete", gone), ("insert", new)):
            stamps = {
                "_change_type": pa.array([kind] * len(rows), pa.string()),
                "_commit_version": pa.array([version] * len(rows), pa.int64()),
                "_commit_timestamp": at([day] * len(rows)),
            }
            parts.append(pa.table(table_of(rows) | stamps))
    if not parts:
        return
    joined = as_known_join(labels_of(labels), pa.concat_tables(parts), join(lookback, None)).select(NAMES)
    for (entity, day), row in zip(labels, joined.to_pylist(), strict=True):
        known: Held = {}
        for when, commit in commits:
            if day is not None and when <= day:
                known = {key: old for key, old in known.items() if key not in commit}
                known |= {key: new for key, new in commit.items() if new is not None}
        assert list(row.values()) == expected(known, entity, day, lookback, None)


def test_a_lookup_remembers_what_it_makes_of_nulls() -> None:
    lookup = FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at", nulls="skip")
    assert FeatureLookup.from_json(lookup.to_json()) == lookup
    before = {name: value for name, value in lookup.to_json().items() if name != "nulls"}
    assert FeatureLookup.from_json(before).nulls == "keep"


def test_only_rows_of_several_times_have_an_older_value() -> None:
    with pytest.raises(InvalidInput, match="'keep' or 'skip'; got 'drop'"):
        FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at", nulls="drop")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="needs a timestamp_lookup_key"):
        FeatureLookup("shop.spend", "customer_id", nulls="skip")
