"""Training sets over real Delta tables, the same on every engine and by every way out."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import deltalake
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fstk import FeatureLookup, TrainingSet, journal
from fstk.engines.base import Engine
from fstk.engines.spark import SparkEngine
from fstk.errors import DuplicateKeys, ExpiredSnapshot, InvalidInput, NaiveDatetime, UnknownTable
from fstk.training.training_set import create_training_set
from tests.training.shelf import Shelf
from tests.training.test_kernel import INSTANTS, POOLS, Row, expected, key_of

INSTANT = pa.timestamp("us", tz="UTC")
NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def at(*days: float | None) -> pa.Array:
    return pa.array([None if day is None else NOON + day * DAY for day in days], INSTANT)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    moving = {"id": pa.array([1, 1, 1, 2, 3]), "ts": at(0, 5, 10, 3, None), "spend": [10.0, None, 30.5, -0.0, 7.0]}
    shelf.add("moving", pa.table(moving), ["id"], "ts", unique=False)  # fstk refuses a row without a time
    shelf.add("still", pa.table({"code": ["a", "é"], "price": [1.25, None]}), ["code"])
    return shelf


LABELS = pa.table(
    {
        "id": pa.array([1, 1, 2, 9, None, 1, 3, 2], pa.int64()),
        "code": ["a", "A", "é", None, "a", "a", "a", "a"],
        "event": at(6, -1, 3, 4, 4, None, 4, 20),
        "y": [True, False, True, False, True, None, True, False],
    }
)
LOOKUPS = [
    FeatureLookup("moving", "id", timestamp_lookup_key="event", lookback_window=2 * DAY),
    FeatureLookup("still", "code", default_values={"price": 0.5}),
]
SPEND = [None, None, -0.0, None, None, None, None, None]
PRICE = [1.25, 0.5, 0.5, 0.5, 1.25, 1.25, 1.25, 1.25]
STATUS = [
    "matched",
    "only_later_rows",
    "matched",
    "unknown_key",
    "null_key",
    "null_timestamp",
    "unknown_key",
    "outside_lookback",
]


def made(shelf: Shelf, engine: Engine, **rest: Any) -> TrainingSet:
    return create_training_set(engine.frame(LABELS, "df"), LOOKUPS, "y", catalog=shelf, **rest)


def rows(table: pa.Table) -> list[str]:
    """Rows as text, in an order of their own; NaN is not itself, but its text is."""
    return sorted(map(repr, table.to_pylist()))


@pytest.mark.transport
def test_every_engine_joins_alike(shelf: Shelf, engine: Engine) -> None:
    got = made(shelf, engine).to_arrow()
    want = LABELS.append_column("spend", pa.array(SPEND, pa.float64())).append_column("price", pa.array(PRICE))
    assert got.schema == want.schema
    assert rows(got) == rows(want)


@pytest.mark.transport
def test_every_engine_explains_alike(shelf: Shelf, engine: Engine) -> None:
    explanation = made(shelf, engine).explain()
    got = explanation.to_arrow()
    assert got.column_names == [
        *("label_row", "id", "code", "event", "lookup", "table_name"),
        *("status", "feature_time", "age_seconds", "next_time", "later_rows"),
    ]
    assert len(set(got.column("label_row").to_pylist())) == LABELS.num_rows
    lookup = [row for row in got.to_pylist() if row["lookup"] == 0]
    assert {row["table_name"] for row in lookup} == {"moving"}
    label = {(row["id"], row["event"]): status for row, status in zip(LABELS.to_pylist(), STATUS, strict=True)}
    assert {(row["id"], row["event"]): row["status"] for row in lookup} == label
    ages = {
        (row["id"], row["event"]): (row["feature_time"], row["age_seconds"])
        for row in lookup
        if row["age_seconds"] is not None
    }
    assert ages == {(1, NOON + 6 * DAY): (NOON + 5 * DAY, 86_400.0), (2, NOON + 3 * DAY): (NOON + 3 * DAY, 0.0)}
    later = {(row["id"], row["event"]): (row["next_time"], row["later_rows"]) for row in lookup if row["later_rows"]}
    assert later == {(1, NOON + 6 * DAY): (NOON + 10 * DAY, 1), (1, NOON - DAY): (NOON, 3)}
    static = [row["status"] for row in got.to_pylist() if row["lookup"] == 1]
    assert sorted(static) == ["matched"] * 6 + ["null_key", "unknown_key"]
    assert repr(explanation) == (
        "8 labels × 2 lookups · 0 saw the future, by the times of the rows\n"
        "  lookup  matched  only later  unknown key  outside look-back  null key  median age  oldest\n"
        "  moving   25.0 %      12.5 %       25.0 %             12.5 %    12.5 %         0 s     1 d\n"
        "  still    75.0 %           –       12.5 %                  –    12.5 %           –       –\n"
        "moving: 1 label without a time\n"
        "moving: 4 × a row refused because it came after the label\n"
        "moving: 1 feature row without a time, never seen\n"
        "2 labels worst served:\n"
        "  id 1 at 2023-12-31 12:00 (first row 1 d later)\n"
        "  id 1 at 2024-01-07 12:00 (its row is 1 d old)"
    )


@pytest.mark.spark
def test_every_way_out_gives_the_same_rows(shelf: Shelf, spark: Any) -> None:
    local = create_training_set(LABELS, LOOKUPS, "y", catalog=shelf)
    arrow = local.to_arrow()
    assert rows(local.to_polars().to_arrow().cast(arrow.schema)) == rows(arrow)
    assert rows(pa.Table.from_pandas(local.to_pandas(), arrow.schema, preserve_index=False)) == rows(arrow)
    assert rows(local.load_df().toArrow().cast(arrow.schema)) == rows(arrow)
    explained = local.explain()
    assert rows(explained.load_df().toArrow().drop_columns("label_row")) == rows(
        explained.to_arrow().drop_columns("label_row")
    )
    asked = create_training_set(spark.createDataFrame(LABELS), LOOKUPS, "y", catalog=shelf).explain()
    assert asked.filter("status = 'matched'").count() == 8


@pytest.mark.parametrize(
    "labels", [LABELS, pl.from_arrow(LABELS), LABELS.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)]
)
def test_labels_may_be_any_local_frame(shelf: Shelf, labels: Any) -> None:
    got = create_training_set(labels, LOOKUPS, "y", catalog=shelf).to_arrow()
    assert got.column("spend").to_pylist() == SPEND
    assert got.select(["id", "code", "event", "y"]).to_pylist() == LABELS.to_pylist()


def test_a_column_without_a_name_keeps_it(shelf: Shelf) -> None:
    unnamed = create_training_set(LABELS.append_column("", LABELS["y"]), LOOKUPS, "y", catalog=shelf)
    columns = [*LABELS.column_names, "", "spend", "price"]
    assert unnamed.to_polars().columns == unnamed.to_pandas().columns.to_list() == unnamed.to_arrow().column_names
    assert unnamed.to_polars().columns == columns


def test_local_rows_keep_the_order_of_the_labels(shelf: Shelf) -> None:
    got = create_training_set(LABELS, LOOKUPS, "y", catalog=shelf).to_arrow()
    assert got.select(LABELS.column_names).equals(LABELS)
    explained = create_training_set(LABELS, LOOKUPS, "y", catalog=shelf).explain().to_arrow()
    assert explained.column("label_row").to_pylist() == [row for row in range(8) for _ in range(2)]


def test_a_later_change_of_frame_or_table_changes_nothing(shelf: Shelf) -> None:
    labels = pd.DataFrame({"id": [1], "event": pd.to_datetime(["2024-01-07T12:00Z"]), "y": [1]})
    training_set = create_training_set(labels, LOOKUPS[:1], "y", catalog=shelf)
    labels["id"] = 2
    shelf.add("moving", pa.table({"id": [1], "ts": at(6), "spend": [666.0]}), ["id"], "ts")
    assert training_set.to_arrow().column("spend").to_pylist() == [None]
    assert "moving v0" in repr(training_set)
    newer = create_training_set(training_set.to_arrow().select(["id", "event", "y"]), LOOKUPS[:1], "y", catalog=shelf)
    assert newer.to_arrow().column("spend").to_pylist() == [666.0]


def test_what_was_read_is_noted_with_its_version(shelf: Shelf) -> None:
    before = len(journal.entries())
    create_training_set(LABELS, LOOKUPS, "y", catalog=shelf).to_arrow()
    noted = [(entry.action, entry.table, entry.version) for entry in journal.entries()[before:]]
    assert noted == [("read", "moving", 0), ("read", "still", 0)]


@pytest.mark.spark
def test_spark_does_nothing_before_it_is_asked(shelf: Shelf, spark: Any) -> None:
    broken = spark.createDataFrame(LABELS).selectExpr("raise_error('computed') as boom", "*").drop("y")
    broken = broken.withColumnRenamed("boom", "y")
    training_set = create_training_set(broken, LOOKUPS, None, catalog=shelf)
    assert "moving v0" in repr(training_set)
    frame, explanation = training_set.load_df(), training_set.explain()
    explanation.load_df()
    with pytest.raises(Exception, match="computed"):
        frame.collect()


def test_a_table_that_fstk_did_not_write_is_checked_at_once(shelf: Shelf, engine: Engine) -> None:
    doubled = {"id": [5, 5, 6, *range(10, 16), *range(10, 16)], "ts": at(0, 0, 0, *[1] * 12), "n": range(15)}
    shelf.add("foreign", pa.table(doubled), ["id"], "ts", unique=False)
    lookup = FeatureLookup("foreign", "id", timestamp_lookup_key="event")
    with pytest.raises(DuplicateKeys, match=r"foreign v0 has 14 rows that share their keys and time") as caught:
        create_training_set(engine.frame(LABELS, "df"), [lookup], "y", catalog=shelf)
    assert str(caught.value).count("; id ") == 4  # five are named
    assert "id 5, ts 2024-01-01T12:00:00+00:00" in str(caught.value) or engine.name != "direct"


def test_a_table_said_to_be_unique_that_is_not_is_never_guessed_from(shelf: Shelf, engine: Engine) -> None:
    shelf.add("foreign", pa.table({"id": [1, 1], "ts": at(0, 0), "n": [1, 2]}), ["id"], "ts")
    lookup = FeatureLookup("foreign", "id", timestamp_lookup_key="event")
    training_set = create_training_set(engine.frame(LABELS, "df"), [lookup], "y", catalog=shelf)
    with pytest.raises(DuplicateKeys, match="id 1, ts 2024-01-01T12:00:00"):
        engine.arrow(training_set.load_df()) if engine.name != "direct" else training_set.to_arrow()


@pytest.mark.transport
def test_as_known_on_every_engine(shelf: Shelf, engine: Engine) -> None:
    """Rows of 2024, written in three commits of today: what was known when is the commits' affair alone."""
    table = shelf.add("facts", pa.table({"id": [1, 2], "ts": at(0, 0), "n": [1, 2]}), ["id"], "ts")
    shelf.add("names", pa.table({"id": [1], "name": ["x"]}), ["id"])
    delta = deltalake.DeltaTable(str(table.location))
    delta.update(predicate="id = 1", updates={"n": "10"})
    delta.delete("id = 2")
    shelf.add("facts", pa.table({"id": [1], "ts": at(1), "n": [100]}), ["id"], "ts")
    changes = engine.arrow(engine.changes(shelf.get("facts").at(3)))
    written = dict(
        zip(
            changes.column("_commit_version").to_pylist(),
            changes.column("_commit_timestamp").cast(INSTANT).to_pylist(),
            strict=True,
        )
    )
    micro = dt.timedelta(microseconds=1)
    moments = [time for version in range(4) for time in (written[version] - micro, written[version])]
    labels = pa.table({"id": [1] * 8 + [2] * 8, "event": pa.array(moments * 2, INSTANT)})
    lookups = [FeatureLookup("facts", "id", timestamp_lookup_key="event"), FeatureLookup("names", "id")]
    training_set = create_training_set(engine.frame(labels, "df"), lookups, None, catalog=shelf, as_known=True)
    got = {(row["id"], row["event"]): row["n"] for row in training_set.to_arrow().to_pylist()}
    assert [got[1, moment] for moment in moments] == [None, 1, 1, 10, 10, 10, 10, 100]
    assert [got[2, moment] for moment in moments] == [None, 2, 2, 2, 2, None, None, None]
    explained = training_set.explain().to_arrow().to_pylist()
    status = {(row["id"], row["event"]): row["status"] for row in explained if row["lookup"] == 0}
    assert [status[1, moment] for moment in moments] == ["only_later_rows", *["matched"] * 7]
    assert status[2, moments[-1]] == "unknown_key"
    assert "as known at" in repr(training_set)
    plain = create_training_set(engine.frame(labels, "df"), lookups, None, catalog=shelf)
    assert {row["n"] for row in plain.to_arrow().to_pylist()} == {100, None}


def test_as_known_needs_the_changes(shelf: Shelf, engine: Engine, tmp_path: Path) -> None:
    table = shelf.add("silent", pa.table({"id": [1], "ts": at(0), "n": [1]}), ["id"], "ts")
    silent = tmp_path / "without"
    deltalake.write_deltalake(str(silent), pa.table({"id": [1], "ts": at(0), "n": [1]}))
    silent.rename(silent.with_name("kept"))
    Path(str(table.location)).rename(tmp_path / "gone")
    silent.with_name("kept").rename(str(table.location))
    lookup = FeatureLookup("silent", "id", timestamp_lookup_key="event")
    training_set = create_training_set(engine.frame(LABELS, "df"), [lookup], "y", catalog=shelf, as_known=True)
    with pytest.raises(ExpiredSnapshot, match="change"):
        training_set.to_arrow()


def test_refusals_come_from_creating(shelf: Shelf) -> None:
    with pytest.raises(UnknownTable, match=r"no feature table default\.movin\."):
        create_training_set(LABELS, [FeatureLookup("movin", "id")], "y", catalog=shelf)
    naive = pd.DataFrame({"id": [1], "event": pd.Series([dt.datetime(2024, 1, 1)], dtype=object)})
    with pytest.raises(NaiveDatetime, match="df, column event"):
        create_training_set(naive, LOOKUPS[:1], None, catalog=shelf)
    with pytest.raises(InvalidInput, match="as_known: still"):
        create_training_set(LABELS, LOOKUPS[1:], "y", catalog=shelf, as_known=True)
    with pytest.raises(InvalidInput, match=r"\[FeatureLookup"):
        create_training_set(LABELS, LOOKUPS[0], "y", catalog=shelf)  # type: ignore[arg-type]


def test_large_integers_keep_their_digits_in_pandas(shelf: Shelf) -> None:
    shelf.add("large", pa.table({"id": [1], "big": [2**53 + 1], "small": [7]}), ["id"])
    frame = create_training_set(LABELS, [FeatureLookup("large", "id")], "y", catalog=shelf).to_pandas()
    assert (frame["big"].dtype, frame["big"][0]) == (pd.Int64Dtype(), 2**53 + 1)
    assert frame["small"].dtype == "float64"


def test_explaining_asks_no_session_of_local_labels(shelf: Shelf) -> None:
    explanation = create_training_set(LABELS, LOOKUPS, "y", catalog=shelf).explain()
    assert not hasattr(explanation, "filter")
    assert not hasattr(explanation, "_ipython_display_")


def test_columns_named_like_the_explanations_own_are_told_apart(shelf: Shelf) -> None:
    labels = pa.table({"status": [1], "lookup": at(6)})
    lookup = FeatureLookup("moving", "status", timestamp_lookup_key="lookup")
    row = create_training_set(labels, [lookup], None, catalog=shelf).explain().to_arrow().to_pylist()[0]
    assert (row["label_status"], row["label_lookup"], row["status"], row["lookup"]) == (1, NOON + 6 * DAY, "matched", 0)


def awkward(seed: int, number: int) -> tuple[list[Row], list[Row]]:
    """Labels and feature rows of ``number`` small cases at once, told apart by a key of their own."""
    chance = random.Random(seed)
    kinds = {"s": pa.string(), "d": pa.float64()}
    labels: list[Row] = []
    features: dict[Any, Row] = {}
    for case in range(number):
        for _ in range(chance.randint(0, 5)):
            key = {f"l{name}": chance.choice(POOLS[kind]) for name, kind in kinds.items()}
            labels.append({"lcase": case, **key, "at": chance.choice(INSTANTS), "y": len(labels)})
        for _ in range(chance.randint(0, 12)):
            row: Row = {name: chance.choice(POOLS[kind][:4]) for name, kind in kinds.items()}
            row |= {
                "case": case,
                "ts": chance.choice(INSTANTS),
                "value": chance.choice([None, 1, 2, 3]),
                "number": len(features),
            }
            mark = key_of(row, ["case", "s", "d"])
            features[(mark, row["ts"]) if mark and row["ts"] else len(features)] = row
    return labels, list(features.values())


@pytest.mark.parametrize("lookback", [None, 86_400_000_000], ids=["all", "a day"])
def test_hundreds_of_random_cases_in_one_join(tmp_path: Path, engine: Engine, lookback: int | None) -> None:
    labels, features = awkward(int(lookback is None), 400)
    label_schema = {"lcase": pa.int64(), "ls": pa.string(), "ld": pa.float64(), "at": INSTANT, "y": pa.int64()}
    schema = {
        "case": pa.int64(),
        "s": pa.string(),
        "d": pa.float64(),
        "ts": INSTANT,
        "value": pa.int64(),
        "number": pa.int64(),
    }
    shelf = Shelf(tmp_path)
    shelf.add("t", pa.Table.from_pylist(features, pa.schema(schema)), ["case", "s", "d"], "ts")
    window = None if lookback is None else dt.timedelta(microseconds=lookback)
    lookup = FeatureLookup("t", ["lcase", "ls", "ld"], timestamp_lookup_key="at", lookback_window=window)
    frame = engine.frame(pa.Table.from_pylist(labels, pa.schema(label_schema)), "df")
    got = create_training_set(frame, [lookup], None, catalog=shelf).to_arrow().to_pylist()
    by_case: dict[int, list[Row]] = {}
    for row in features:
        by_case.setdefault(row["case"], []).append(row)
    assert sorted(row["y"] for row in got) == list(range(len(labels)))
    matched = 0
    for row in got:
        label = labels[row["y"]]
        assert repr({name: row[name] for name in label}) == repr({name: label[name] for name in label}).replace(
            "datetime.timezone.utc", "zoneinfo.ZoneInfo(key='UTC')"
        )
        want = expected(label, by_case.get(label["lcase"], []), ["case", "s", "d"], True, lookback)
        assert (row["value"], row["number"]) == ((want["value"], want["number"]) if want else (None, None))
        matched += want is not None
    assert matched > 20


@pytest.mark.spark
def test_a_planted_future_never_surfaces_in_spark(tmp_path: Path, spark_engine: SparkEngine) -> None:
    shelf = Shelf(tmp_path)
    number = 3_000
    chance = random.Random(5)
    labels = [
        {"id": chance.randint(0, 40), "event": NOON + dt.timedelta(microseconds=chance.randint(0, 10**7)), "y": y}
        for y in range(number)
    ]
    late = {(row["id"], row["event"] + dt.timedelta(microseconds=1)) for row in labels}
    early = {(id, NOON - DAY) for id in range(20)}
    rows_ = [{"id": id, "ts": ts, "seen": ts} for id, ts in sorted(late | early)]
    shelf.add(
        "t", pa.Table.from_pylist(rows_, pa.schema({"id": pa.int64(), "ts": INSTANT, "seen": INSTANT})), ["id"], "ts"
    )
    frame = spark_engine.frame(
        pa.Table.from_pylist(labels, pa.schema({"id": pa.int64(), "event": INSTANT, "y": pa.int64()})), "df"
    )
    training_set = create_training_set(
        frame, [FeatureLookup("t", "id", timestamp_lookup_key="event")], "y", catalog=shelf
    )
    joined = training_set.load_df()
    assert joined.filter("seen > event").count() == 0
    assert joined.filter("seen is not null").count() > number // 2
