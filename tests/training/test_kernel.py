"""The as-of kernel against a plain loop over Python values, on thousands of small tables full of awkward values."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.columns.keys import pair_ids
from fstk.errors import DuplicateKeys
from fstk.training.kernel import as_of_join, duplicates, find, with_outputs
from fstk.training.resolve import Join, Output
from tests.generated import examples

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FIRST = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
MICRO = dt.timedelta(microseconds=1)
NAN = float("nan")

POOLS: dict[pa.DataType, list[Any]] = {
    pa.int64(): [0, 1, 2, -1, 2**63 - 1, -(2**63), None],
    pa.int32(): [0, 1, 2, 3, None],
    pa.string(): ["a", "A", "a ", "", "é", "e\u0301", "1", None],
    pa.float64(): [0.0, -0.0, NAN, 1.0, math.inf, -math.inf, 5e-324, None],
    pa.float32(): [0.0, -0.0, NAN, 1.5, None],
    pa.bool_(): [True, False, None],
    pa.binary(): [b"", b"\x00", b"\x00\x00", b"a", None],
    pa.decimal128(38, 2): [Decimal("0.00"), Decimal("1.10"), Decimal("-1.10"), Decimal("9" * 36 + ".99"), None],
    pa.date32(): [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(9999, 12, 31), None],
    pa.timestamp("us", tz="UTC"): [FIRST, EPOCH, LAST, None],
    pa.timestamp("us"): [FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), None],
}
INSTANTS = [
    FIRST,
    FIRST + MICRO,
    EPOCH - MICRO,
    EPOCH,
    EPOCH + MICRO,
    *(EPOCH + dt.timedelta(days=day) for day in range(1, 5)),
    EPOCH + dt.timedelta(days=2, microseconds=-1),
    LAST,
    None,
]
LOOKBACKS = [None, 0, 1, 86_400_000_000, 86_399_999_999, 2 * 86_400_000_000, 2**70]
TIMES = [pa.timestamp("us", tz="UTC"), pa.timestamp("us"), pa.date32()]

Row = dict[str, Any]


def stored(instant: dt.datetime | None, kind: pa.DataType) -> Any:
    """The instant as a column of that type holds it; a date cuts it to its midnight."""
    if instant is None or kind == pa.timestamp("us", tz="UTC"):
        return instant
    return instant.date() if kind == pa.date32() else instant.replace(tzinfo=None)


def instant_of(value: Any) -> dt.datetime | None:
    if value is None or isinstance(value, dt.datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=dt.UTC)
    return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)


def key_of(row: Row, columns: list[str]) -> tuple[Any, ...] | None:
    """The keys as a dict may hold them, None with a null among them; −0.0 is 0.0 to Python already."""
    values = [row[column] for column in columns]
    if any(value is None for value in values):
        return None
    return tuple("NaN" if isinstance(value, float) and math.isnan(value) else value for value in values)


def expected(label: Row, features: list[Row], keys: list[str], timed: bool, lookback: int | None) -> Row | None:
    """The feature row that this label may see (docs/rules.md#join-1)."""
    best: Row | None = None
    newest: dt.datetime | None = None
    wanted = key_of(label, [f"l{key}" for key in keys])
    at = instant_of(label["at"]) if timed else EPOCH
    if wanted is None or at is None:
        return None
    for feature in features:
        when = instant_of(feature["ts"]) if timed else EPOCH
        if when is None or key_of(feature, keys) != wanted or when > at:
            continue
        if lookback is not None and (at - when) // MICRO > lookback:
            continue
        if newest is None or when > newest:
            best, newest = feature, when
    return best


def status(label: Row, features: list[Row], keys: list[str], timed: bool, lookback: int | None) -> str:
    wanted = key_of(label, [f"l{key}" for key in keys])
    if wanted is None:
        return "null_key"
    if timed and label["at"] is None:
        return "null_timestamp"
    if expected(label, features, keys, timed, lookback) is not None:
        return "matched"
    if expected(label, features, keys, timed, None) is not None:
        return "outside_lookback"
    known = any(key_of(row, keys) == wanted and (not timed or row["ts"] is not None) for row in features)
    return "only_later_rows" if known else "unknown_key"


def unchanged(labels: pa.Table, joined: pa.Table) -> bool:
    """Whether the labels stand first, column for column; by their text, since NaN differs from itself."""
    kept = joined.select(range(labels.num_columns))
    return kept.schema == labels.schema and repr(kept.to_pylist()) == repr(labels.to_pylist())


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.Table, pa.Table, Join]:
    kinds = draw(st.lists(st.sampled_from(list(POOLS)), min_size=1, max_size=3))
    timed = draw(st.booleans() | st.just(True))
    label_kind, feature_kind = draw(st.sampled_from(TIMES)), draw(st.sampled_from(TIMES))
    key = st.tuples(
        *(st.integers(0, min(3, len(POOLS[kind]) - 1)) | st.integers(0, len(POOLS[kind]) - 1) for kind in kinds)
    )
    time = st.integers(0, len(INSTANTS) - 1)
    labels = draw(st.lists(st.tuples(key, time), max_size=12))
    features = draw(st.lists(st.tuples(key, time), max_size=25))
    unique: dict[Any, Any] = {}
    for keys, when in features:
        values = tuple(POOLS[kind][i] for kind, i in zip(kinds, keys, strict=True))
        stamp = stored(INSTANTS[when], feature_kind) if timed else None
        mark = key_of(dict(enumerate(values)), list(range(len(values))))  # type: ignore[arg-type]
        alone = mark is None or (timed and stamp is None)
        unique[len(unique) + 1000 if alone else (mark, stamp)] = (values, stamp)
    names = [f"k{i}" for i in range(len(kinds))]
    label_columns = [pa.array([POOLS[kind][keys[i]] for keys, _ in labels], kind) for i, kind in enumerate(kinds)]
    at = pa.array([stored(INSTANTS[when], label_kind) for _, when in labels], label_kind)
    feature_columns = [pa.array([values[i] for values, _ in unique.values()], kind) for i, kind in enumerate(kinds)]
    ts = pa.array([stamp for _, stamp in unique.values()], feature_kind)
    value = pa.array([None if i % 5 == 4 else i for i in range(len(unique))], pa.int64())
    join = Join(
        table="t",
        location=None,
        version=0,
        label_keys=tuple(f"l{name}" for name in names),
        table_keys=tuple(names),
        label_time="at" if timed else None,
        table_time="ts" if timed else None,
        lookback=draw(st.sampled_from(LOOKBACKS)) if timed else None,
        outputs=(Output("value", "value", "bigint"), Output("number", "n", "bigint", -7)),
        keys_known_unique=False,
    )
    label_table = pa.table(
        {
            **dict(zip(join.label_keys, label_columns, strict=True)),
            "at": at,
            "y": pa.array(range(len(labels)), pa.int64()),
        }
    )
    feature_table = pa.table(
        {
            **dict(zip(names, feature_columns, strict=True)),
            "ts": ts,
            "value": value,
            "number": pa.array(range(len(unique)), pa.int64()),
        }
    )
    return label_table, feature_table, join


parted = pytest.mark.parametrize("part_rows", [2**15, 3], ids=["one part", "parts"])


@parted
@given(case=cases())
@settings(max_examples=examples(1000), deadline=None)
def test_each_label_sees_the_newest_row_that_it_may(case: tuple[pa.Table, pa.Table, Join], part_rows: int) -> None:
    labels, features, join = case
    joined = as_of_join(labels, features, join, part_rows=part_rows)
    assert unchanged(labels, joined)
    rows = features.to_pylist()
    for label, got in zip(labels.to_pylist(), joined.to_pylist(), strict=True):
        want = expected(label, rows, list(join.table_keys), join.table_time is not None, join.lookback)
        assert got["value"] == (want["value"] if want else None)
        assert got["n"] == (want["number"] if want else -7)


@parted
@given(case=cases())
@settings(max_examples=examples(400), deadline=None)
def test_the_reason_of_every_null_is_told(case: tuple[pa.Table, pa.Table, Join], part_rows: int) -> None:
    labels, features, join = case
    found = find(labels, features, join, later=True, part_rows=part_rows)
    rows = features.to_pylist()
    timed = join.table_time is not None
    for i, label in enumerate(labels.to_pylist()):
        want = status(label, rows, list(join.table_keys), timed, join.lookback)
        assert (want == "matched") == (found.row[i] >= 0)
        assert (want in {"matched", "outside_lookback"}) == bool(found.earlier[i])
        assert (want == "null_key") == bool(found.null_key[i])
        at = instant_of(label["at"])
        after = []
        if timed and at is not None and want != "null_key":
            mine = [row for row in rows if key_of(row, list(join.table_keys)) == key_of(label, list(join.label_keys))]
            times = [instant_of(row["ts"]) for row in mine]
            after = sorted(time for time in times if time is not None and time > at)
        assert found.later[i] == len(after)
        if after:
            assert found.next_at[i] == (after[0] - EPOCH) // MICRO


@parted
@given(case=cases(), data=st.data())
@settings(max_examples=examples(200), deadline=None)
def test_rows_that_share_keys_and_time_are_refused_not_guessed(
    case: tuple[pa.Table, pa.Table, Join], data: Any, part_rows: int
) -> None:
    labels, features, join = case
    if not features.num_rows:
        return
    copied = data.draw(st.integers(0, features.num_rows - 1))
    doubled = pa.concat_tables([features, features.slice(copied, 1)])
    row = features.slice(copied, 1).to_pylist()[0]
    timed = join.table_time is not None
    comparable = key_of(row, list(join.table_keys)) is not None and not (timed and row["ts"] is None)
    found = duplicates(doubled, join.table_keys, join.table_time)
    assert sum(found.column("rows").to_pylist()) == (2 if comparable else 0)
    seen = [
        expected(label, features.to_pylist(), list(join.table_keys), timed, None) == row for label in labels.to_pylist()
    ]
    if comparable and any(seen) and row["value"] is not None:
        with pytest.raises(DuplicateKeys):
            as_of_join(labels, doubled, join, part_rows=part_rows)


def test_duplicates_are_counted_in_full_and_five_are_named() -> None:
    features = pa.table({"k": [*range(7), *range(7), 0, 99], "v": range(16)})
    found = duplicates(features, ("k",), None)
    assert found.num_rows == 5
    assert sum(found.column("rows").to_pylist()) == 15
    assert found.column("example").to_pylist()[:2] == ["k 0", "k 1"]


def simple(**changes: Any) -> Join:
    values: dict[str, Any] = {
        "table": "t", "location": None, "version": 3, "label_keys": ("k",), "table_keys": ("k",), "label_time": "at",
        "table_time": "ts", "lookback": None, "outputs": (Output("v", "v", "double"),), "keys_known_unique": True,
    }  # fmt: skip
    return Join(**(values | changes))


def instants(*values: Any) -> pa.Array:
    return pa.array(values, pa.timestamp("us", tz="UTC"))


def test_the_error_of_a_tie_names_table_version_keys_and_time() -> None:
    labels = pa.table({"k": [1], "at": instants(EPOCH)})
    features = pa.table({"k": [1, 1], "ts": instants(EPOCH, EPOCH), "v": [1.0, 1.0]})
    with pytest.raises(DuplicateKeys, match=r"t v3 .*k 1, ts 1970-01-01T00:00:00"):
        as_of_join(labels, features, simple())


TYPES: list[tuple[pa.DataType, Any]] = [
    (pa.decimal128(38, 10), Decimal("1234567890.0123456789")),
    (pa.list_(pa.float64()), [1.5, None, NAN]),
    (pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]), {"a": None, "b": ["x"]}),
    (pa.map_(pa.string(), pa.int32()), [("a", 1)]),
    (pa.timestamp("us"), dt.datetime(9999, 12, 31)),
    (pa.timestamp("us", tz="UTC"), FIRST),
    (pa.date32(), dt.date(1, 1, 1)),
    (pa.binary(), b"\x00"),
    (pa.bool_(), False),
    (pa.int8(), -128),
    (pa.float32(), 0.5),
]


@pytest.mark.parametrize(("kind", "value"), TYPES, ids=lambda item: str(item) if isinstance(item, pa.DataType) else "")
def test_features_and_labels_of_every_type_pass_untouched(kind: pa.DataType, value: Any) -> None:
    labels = pa.table({"k": [1, 2], "at": instants(EPOCH, EPOCH), "own": pa.array([value, None], kind)})
    features = pa.table({"k": [1], "ts": instants(EPOCH), "v": pa.array([value], kind)})
    joined = as_of_join(labels, features, simple())
    assert unchanged(labels, joined)
    assert joined.schema.field("v").type == kind
    assert repr(joined.column("v").to_pylist()) == repr([*pa.array([value], kind).to_pylist(), None])
    filled = as_of_join(labels, features.slice(0, 0), simple(outputs=(Output("v", "v", "?", value),)))
    assert repr(filled.column("v").to_pylist()) == repr(pa.array([value, value], kind).to_pylist())


def test_a_column_too_large_for_one_array_is_taken_in_parts() -> None:
    features = pa.concat_tables(
        [pa.table({"k": [i], "ts": instants(EPOCH), "v": [[f"value {i}"] * 5]}) for i in range(40)]
    )
    keys = [*range(39, -1, -1), None, 99, 7, 7]
    labels = pa.table({"k": pa.array(keys, pa.int64()), "at": instants(*[EPOCH] * len(keys))})
    joined = with_outputs(labels, features, [find(labels, features, simple()).rows], simple(), array_bytes=256)
    want = [[f"value {key}"] * 5 if key is not None and key < 40 else None for key in keys]
    assert joined.column("v").to_pylist() == want
    assert joined.column("v").num_chunks > 1


@pytest.mark.parametrize("width", [8, 4], ids=["double", "float"])
def test_every_nan_is_the_same_key(width: int) -> None:
    quiet, negative = (0x7FF8 << 48, 0xFFF8_0000_0000_0001) if width == 8 else (0x7FC0 << 16, 0xFFC0_0001)
    bits = np.array([quiet, negative], dtype=f"u{width}")
    features = pa.table({"k": pa.array(bits[:1].view(f"f{width}")), "v": [1.0]})
    labels = pa.table({"k": pa.array(bits.view(f"f{width}"))})
    static = simple(label_time=None, table_time=None)
    assert as_of_join(labels, features, static).column("v").to_pylist() == [1.0, 1.0]
    twice = pa.table({"k": pa.array(bits.view(f"f{width}")), "v": [1.0, 2.0]})
    assert duplicates(twice, ("k",), None).num_rows == 1


def test_keys_of_more_combinations_than_numbers_are_told_apart() -> None:
    rng = np.random.default_rng(4)
    sides = []
    for rows in (5_000, 4_000):
        picked = rng.integers(0, 3, (4, rows)) * 10**9  # far apart: no column's values serve as ids as they stand
        spread = [column + rng.integers(0, 2_000, rows) for column in picked]
        sides.append(pa.table({f"k{place}": column for place, column in enumerate(spread)}))
    left = pa.concat_tables([sides[0], sides[1].slice(0, 500)])
    names = left.column_names
    lefts, rights, size = pair_ids(left, names, sides[1], names)
    assert max(lefts.max(), rights.max()) < size <= 2**31
    known: dict[tuple[int, ...], int] = {}
    for key, number in zip(zip(*left.to_pydict().values(), strict=True), lefts.tolist(), strict=True):
        assert known.setdefault(key, number) == number
    assert len(set(known.values())) == len(known)
    wanted = [known.get(key, -1) for key in zip(*sides[1].to_pydict().values(), strict=True)]
    assert rights.tolist() == wanted


def test_chunks_are_no_borders() -> None:
    whole = pa.table({"k": [1, 2, 3, 1], "ts": instants(EPOCH, EPOCH, EPOCH, EPOCH + MICRO), "v": [1.0, 2.0, 3.0, 4.0]})
    features = pa.concat_tables([whole.slice(i, 1) for i in range(4)])
    labels = pa.table({"k": [3, 1, 2], "at": instants(EPOCH, EPOCH + MICRO, EPOCH)})
    chunked = pa.concat_tables([labels.slice(i, 1) for i in range(3)])
    assert as_of_join(chunked, features, simple()).column("v").to_pylist() == [3.0, 4.0, 2.0]


@pytest.mark.parametrize(
    ("spread", "part_rows"),
    [(1, 100), (10**6, 100), (10**12, 100), (10**12, 10_000)],
    ids=["few bits", "more", "most", "ranks"],
)
def test_many_keys_and_wide_times_agree_with_a_search_per_key(spread: int, part_rows: int) -> None:
    random = np.random.default_rng(spread)
    keys, at = random.integers(-300, 300, 20_000) * spread, random.integers(-(10**5), 10**5, 20_000) * spread
    _, first = np.unique(np.stack([keys, at]), axis=1, return_index=True)
    keys, at = keys[first], at[first]
    label_keys, label_at = random.integers(-310, 310, 5_000) * spread, random.integers(-(10**5), 10**5, 5_000) * spread
    micro = pa.timestamp("us", tz="UTC")
    features = pa.table({"k": keys, "ts": pa.array(at).cast(micro), "v": pa.array(at.astype(float))})
    labels = pa.table({"k": label_keys, "at": pa.array(label_at).cast(micro)})
    want = []
    for key, when in zip(label_keys, label_at, strict=True):
        earlier = at[(keys == key) & (at <= when)]
        want.append(float(earlier.max()) if len(earlier) else None)
    assert as_of_join(labels, features, simple(), part_rows=part_rows).column("v").to_pylist() == want


def test_planted_rows_of_the_future_never_surface() -> None:
    random = np.random.default_rng(7)
    micro = pa.timestamp("us", tz="UTC")
    label_at = random.integers(0, 10**9, 2_000)
    label_keys = random.integers(0, 50, 2_000)
    past = pa.table(
        {"k": random.integers(0, 50, 3_000), "ts": pa.array(np.arange(3_000) * 300_000).cast(micro), "v": [1.0] * 3_000}
    )
    # Beside every label a row of its own keys, one microsecond late.
    _, first = np.unique(np.stack([label_keys, label_at]), axis=1, return_index=True)
    late = pa.table(
        {"k": label_keys[first], "ts": pa.array(label_at[first] + 1).cast(micro), "v": [666.0] * len(first)}
    )
    taken = set(zip(label_keys.tolist(), (label_at + 1).tolist(), strict=True))
    mine = pa.array(
        [
            (k, t) not in taken
            for k, t in zip(past["k"].to_pylist(), past["ts"].cast(pa.int64()).to_pylist(), strict=True)
        ]
    )
    features = pa.concat_tables([past.filter(mine), late])
    labels = pa.table({"k": label_keys, "at": pa.array(label_at).cast(micro)})
    times = dict(zip(features["v"].to_pylist(), features["ts"].to_pylist(), strict=True))
    assert 666.0 in times
    own = simple(outputs=(Output("v", "v", "double"), Output("ts", "seen", "timestamp")))
    for row in as_of_join(labels, features, own).to_pylist():
        assert row["seen"] is None or row["seen"] <= row["at"]
