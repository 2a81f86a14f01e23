"""``%fstk why`` and ``%fstk history`` without a JVM: a value down to its rows, by the definition of then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from IPython.core.interactiveshell import InteractiveShell

from fstk import Aggregate, Calendar, WindowedFeatures
from fstk.engines.connect import direct
from fstk.engines.notes import notes_of
from fstk.errors import InvalidInput, UnknownColumn, UnknownName, UnknownTable
from fstk.tables.definition import FeatureDefinition
from tests.notebook.cells import refused, result, shown
from tests.notebook.tables import DAY, INSTANT, SPEND, START, defined, purchases, spend, write, write_defined

KEYS: dict[str, str] = {"primary_keys": '["customer_id"]', "timeseries_column": "as_of"}


@pytest.fixture
def table(filled: Path) -> Path:
    """``shop.spend``, whose features are defined."""
    folder = filled / "shop" / "spend"
    write_defined(folder)
    return folder


def test_a_value_is_listed_row_by_row_and_recomputed(shell: InteractiveShell, table: Path) -> None:
    text = shown(shell, "%fstk why shop.spend total_spend_30d --key 1 --at 1997-01-08").splitlines()
    assert text[:7] == [
        "total_spend_30d = 60.0 of customer_id 1 at 1997-01-08 = sum(amount) over the 30 days before as_of",
        "  customer_id  purchased_at  amount  quantity",
        "            1  1997-01-01        10         1",
        "            1  1997-01-06        20         2",
        "            1  1997-01-07        30         3",
        "",
        "of transactions (version 0) by purchased_at, not including the instant itself · v0",
    ]
    assert text[7] == "recomputed from these 3 rows alone: 60.0   equal, bit for bit"
    assert text[9] == "customer_id 1 · point 1997-01-08 · shop.spend.total_spend_30d · 3 events in the window, age 0 s"
    assert text[10].strip().startswith("events")
    assert text[10].count("·") == 3


def test_the_value_is_the_newest_at_an_instant_and_none_has_rows_too(shell: InteractiveShell, table: Path) -> None:
    found = result(shell, "%fstk why shop.spend txn_count_30d --key 3")
    assert "at 1997-03-19" in found.title
    assert (found.rows.num_rows, found.computed.as_py(), found.equal) == (1, 1, True)
    found = result(shell, "%fstk why shop.spend total_spend_30d --key 1 --at 1997-03-24T23:59Z")
    assert "total_spend_30d = null of customer_id 1 at 1997-03-19" in found.title
    assert (found.rows.num_rows, found.equal) == (0, True)


def test_the_source_is_read_as_it_was_then(shell: InteractiveShell, table: Path, filled: Path) -> None:
    write(filled / "default" / "transactions", purchases(), {"run": None})
    found = result(shell, "%fstk why shop.spend total_spend_30d --key 1 --at 1997-01-08")
    assert (found.rows.num_rows, found.equal) == (3, True)


def test_each_row_has_the_definition_of_the_version_that_wrote_it(shell: InteractiveShell, table: Path) -> None:
    at = pa.array([START + 80 * DAY], INSTANT)
    row = {"customer_id": [3], "as_of": at, "txn_count_30d": [1], "total_spend_30d": [2.0]}
    write(table, pa.table(row), defined(total_spend_30d=msgspec.structs.replace(SPEND, expression="sum(amount * 2)")))
    new = result(shell, "%fstk why shop.spend total_spend_30d --key 3")
    assert "= sum(amount * 2) over the 30 days" in new.title
    assert (new.stored.as_py(), new.equal) == (2.0, True)
    old = result(shell, "%fstk why shop.spend total_spend_30d --key 3 --at 1997-03-19")
    assert "= sum(amount) over the 30 days" in old.title
    assert old.equal
    said = shown(shell, "%fstk history shop.spend").splitlines()
    assert said[0] == "shop.spend · 2 versions, newest first"
    assert [line.split()[0] for line in said[2:4]] == ["v1", "v0"]
    assert said[4].startswith("v1  total_spend_30d: sum(amount) over the 30 days before as_of → sum(amount * 2) over")
    assert "v0  txn_count_30d: count(*) over the 30 days before as_of, of transactions (version 0)" in "\n".join(said)


def test_a_value_that_its_rows_do_not_make_is_told(shell: InteractiveShell, filled: Path) -> None:
    rows = spend()
    more = rows.set_column(3, "total_spend_30d", pc.add(rows["total_spend_30d"], 1e-14))
    write(filled / "shop" / "wrong", more, defined(total_spend_30d=SPEND), **KEYS)
    text = shown(shell, "%fstk why shop.wrong total_spend_30d --key 2 --at 1997-01-15")
    assert "recomputed from this row alone: 7.0   NOT EQUAL to 7.00000000000001" in text


def test_a_feature_made_otherwise_tells_its_cell(shell: InteractiveShell, filled: Path) -> None:
    cell = {"cell": "3f2a9c1e", "text": "rows = events.groupby('customer_id')\nfe.write_table(…)"}
    write(filled / "shop" / "hand", spend(), cell, **KEYS)
    text = shown(shell, "%fstk why shop.hand total_spend_30d --key 1 --at 1997-01-08")
    assert text.splitlines() == [
        "total_spend_30d = 60.0 of customer_id 1 at 1997-01-08: v0 by cell 3f2a9c1e",
        "rows = events.groupby('customer_id')",
        "fe.write_table(…)",
    ]
    text = shown(shell, "%fstk show shop.hand")
    assert "written: v0 by cell 3f2a9c1e" in text
    assert "txn_count_30d, total_spend_30d: as made by cell 3f2a9c1e\n  rows = events.groupby('customer_id')\n" in text
    assert "as made by cell" not in shown(shell, "%fstk show feature_store.customer_features")


@pytest.mark.parametrize(
    ("aggregate", "window", "align", "days"),
    [
        (Aggregate("sum(amount) / count(*)", name="x"), "7d", None, 7),
        (Aggregate("sum(amount)", name="x", group_by="quantity"), "30d", None, 30),
        (Aggregate("sum(amount)", name="x"), "1mo", None, 31),
        (Aggregate("sum(amount)", name="x"), None, None, 39),  # from the first purchase on
        (Aggregate("sum(amount)", name="x"), "30d", "month", 38),  # from the first of February
        (Aggregate("sum(amount)", name="x"), "1mo", "week", 37),
    ],
    ids=["expression", "grouped", "month", "all time", "aligned", "a month aligned"],
)
def test_a_window_of_any_kind_is_recomputed_and_drawn(
    shell: InteractiveShell, filled: Path, aggregate: Aggregate, window: str | None, align: Any, days: int
) -> None:
    features = WindowedFeatures(purchases(), "customer_id", "purchased_at", [aggregate], [window], align=align)
    points = pa.table({"customer_id": [1], "purchased_at": pa.array([START + 39 * DAY], INSTANT)})
    made = features.to_arrow(points)
    own = {name: msgspec.structs.replace(FeatureDefinition.from_json(one), source="transactions", source_version=0)
           for name, one in notes_of(made).items()}  # fmt: skip
    rows = made.rename_columns(["customer_id", "as_of", *own])
    write(filled / "shop" / "kinds", rows, defined(0, **own), **KEYS)
    (column,) = own
    found = result(shell, f"%fstk why shop.kinds {column} --key 1")
    assert found.equal
    assert found.picture.lookback == days * DAY
    assert len(found.picture.events) == found.rows.num_rows
    assert "equal, bit for bit" in repr(found)


def test_windows_that_end_with_a_zone_s_month_are_recomputed_and_told_as_such(
    shell: InteractiveShell, filled: Path
) -> None:
    spent = WindowedFeatures(
        "transactions", "customer_id", "purchased_at", [Aggregate("sum(amount)", name="x")], ["30d"], align="month"
    )
    day = (START + 39 * DAY).date()
    made = spent.compute(Calendar(day, day + DAY, zone="America/New_York"), timestamp="as_of", engine=direct())
    own = {name: FeatureDefinition.from_json(one) for name, one in notes_of(made).items()}
    write(filled / "shop" / "local", made, defined(0, **own), **KEYS)
    found = result(shell, "%fstk why shop.local x_30d --key 1")
    assert found.equal
    assert "before the start of as_of's month in America/New_York" in found.title
    assert found.picture.lookback == 38 * DAY  # from 1 February, 05:00 UTC, to 9 February, 05:00 UTC
    assert "at midnights in America/New_York" in " ".join(shown(shell, "%fstk show shop.local").split())


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ("shop.spent total_spend_30d --key 1", UnknownTable, "shop.spend"),
        ("shop.spend total_spend_7d --key 1", UnknownColumn, "Nearest: total_spend_30d"),
        ("shop.spend total_spend_30d --key 99", UnknownName, "no row of customer_id 99."),
        ("shop.spend total_spend_30d --key 1 --at 1997-01-07", UnknownName, "its first is at 1997-01-08"),
        ("shop.spend total_spend_30d --key 1 --at monday", InvalidInput, "--at: 'monday' is no date"),
        ("shop.spend total_spend_30d --key web", InvalidInput, "key customer_id is bigint; got 'web'"),
        ("feature_store.regions inhabitants --key north", InvalidInput, "has no time column"),
        ("feature_store.customer_features txn_count_30d --key 1", InvalidInput, "how it was computed is not recorded"),
        ("shop.frame total_spend_30d --key 1", InvalidInput, "of a frame, whose rows nobody kept"),
    ],
)
def test_what_has_no_answer_is_said_in_a_sentence(
    shell: InteractiveShell, table: Path, filled: Path, words: str, kind: type, says: str
) -> None:
    frame = msgspec.structs.replace(SPEND, source=None, source_version=None)
    write(filled / "shop" / "frame", spend(), defined(total_spend_30d=frame), **KEYS)
    error = refused(shell, f"%fstk why {words}")
    assert type(error) is kind
    assert says in str(error)


def test_a_table_of_many_windowed_features_is_shown_by_aggregate_and_window(
    shell: InteractiveShell, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fstk.tables.spec.MANY", 1)
    text = shown(shell, "%fstk show shop.spend").splitlines()
    assert text[1].split() == ["aggregate", "30d"]
    assert text[2].split() == ["txn_count", "=", "count(*)", "bigint"]
    assert text[-1] == "each of the 4 columns: --columns lists them, in Python .every_column()"
    every = shown(shell, "%fstk show shop.spend --columns")
    assert "count(*) over the 30 days before as_of" in every
