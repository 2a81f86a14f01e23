"""What a feature is: in words, compared, and found again for each version."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from fstk import journal
from fstk.engines.connect import direct
from fstk.engines.notes import notes_of
from fstk.tables.definition import FeatureDefinition, read_all, redefined
from fstk.tables.history import Told, Version, commit_mark, definitions_at, read_history
from fstk.tables.redefinition import Difference
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

SPEND = FeatureDefinition("sum(amount)", "30d", ("customer_id",), "bought_at", "left", "transactions", 4)


def like(**changes: Any) -> FeatureDefinition:
    return msgspec.structs.replace(SPEND, **changes)


def told(*marks: dict[str, Any]) -> list[Version]:
    """A history of merges with these marks, from version 0 on."""
    entries = [
        {
            "version": number,
            "timestamp": datetime(2024, 1, 1 + number, tzinfo=UTC),
            "operation": "MERGE",
            "userMetadata": json.dumps(mark),
        }
        for number, mark in enumerate(marks)
    ]
    return read_history(entries)


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        (
            SPEND,
            "sum(amount) over the 30 days before as_of, of transactions (version 4) by bought_at, not including the "
            "instant itself",
        ),
        (
            like(window="1w", closed="both", source_version=None),
            "sum(amount) over the week up to and including as_of, of transactions by bought_at, including the instant "
            "itself",
        ),
        (
            like(window="90m", closed="right", source=None, source_version=None),
            "sum(amount) over the 90 minutes up to and including as_of, of a frame by bought_at, including the instant "
            "itself, not the first of the window",
        ),
        (
            like(window="lifetime", others={"align": "day"}),
            "sum(amount) over all before the start of as_of's day, of transactions (version 4) by bought_at, not "
            "including the instant itself",
        ),
        (
            like(others={"align": "month"}, zone="Europe/London"),
            "sum(amount) over the 30 days before the start of as_of's month in Europe/London, of transactions "
            "(version 4) by bought_at, not including the instant itself, at midnights in Europe/London",
        ),
        (
            like(window="3mo", others={"group_by": "channel"}),
            "sum(amount) over the 3 months before as_of, group_by=channel, of transactions (version 4) by bought_at, "
            "not including the instant itself",
        ),
    ],
)
def test_a_definition_is_a_sentence(definition: FeatureDefinition, sentence: str) -> None:
    assert definition.sentence("as_of") == sentence
    assert FeatureDefinition.from_json(definition.to_json()) == definition


@pytest.mark.parametrize(
    "same",
    [
        like(expression=" SUM( Amount )"),
        like(expression="sum(`amount`)"),
        like(source_version=9, points="a frame"),
        like(source=None),
        like(entity=("Customer_ID",)),
        like(zone="Europe/London"),  # the same value at the same instant
    ],
)
def test_spaces_versions_and_points_change_no_meaning(same: FeatureDefinition) -> None:
    assert SPEND.means(same)
    assert not redefined({"spend_30d": same}, {"spend_30d": SPEND})


@pytest.mark.parametrize(
    "other",
    [
        like(expression="sum(amount*2)"),
        like(expression="sum(amount) filter (where quantity > 1)"),
        like(window="31d"),
        like(closed="both"),
        like(timestamp="loaded_at"),
        like(source="refunds"),
        like(entity=("cohort",)),
        like(others={"align": "day"}),
    ],
)
def test_all_else_does(other: FeatureDefinition) -> None:
    assert not SPEND.means(other)
    assert redefined({"spend_30d": other, "new_30d": SPEND}, {"spend_30d": SPEND}) == {"spend_30d": (SPEND, other)}


def test_the_zone_whose_months_windows_end_with_is_of_the_meaning() -> None:
    utc, london = like(others={"align": "month"}), like(others={"align": "month"}, zone="Europe/London")
    assert not utc.means(london)
    assert london.means(like(others={"align": "month"}, zone="Europe/London", source_version=9))
    versions = told(json.loads(commit_mark(Told({"spend_30d": london}))[1]))
    assert definitions_at(versions, ["spend_30d"]) == {"spend_30d": london}


def test_what_stands_in_quotes_keeps_its_spaces_and_letters() -> None:
    web = like(expression="count(*) filter (where channel = 'Web  shop')")
    assert web.means(like(expression="COUNT( * ) FILTER(WHERE channel='Web  shop')"))
    assert not web.means(like(expression="count(*) filter (where channel = 'web  shop')"))
    assert not web.means(like(expression="count(*) filter (where channel = 'Web shop')"))


def test_the_definition_of_each_version_is_found_again() -> None:
    doubled = like(expression="sum(amount*2)", source_version=7, points="calendar 1")
    first = Told({"spend_30d": SPEND})
    zero = json.loads(commit_mark(first)[1])
    one = json.loads(commit_mark(Told({"spend_30d": like(source_version=5)}, told(zero)))[1])
    assert (one["defined"], one["sources"]) == ({}, {"transactions": 5})  # nothing that is known is written again
    two = json.loads(commit_mark(Told({"spend_30d": doubled}, told(zero, one)))[1])
    versions = told(zero, one, two)
    columns = ["customer_id", "spend_30d"]
    assert definitions_at(versions, columns, 0) == {"spend_30d": SPEND}
    assert definitions_at(versions, columns, 1) == {"spend_30d": like(source_version=5)}
    assert definitions_at(versions, columns) == {"spend_30d": doubled}
    assert definitions_at(versions, ["other"]) == {}
    assert [Told({"spend_30d": now}, versions).redefined for now in (doubled, like(source_version=8))] == [False, True]


def test_marks_of_others_define_nothing() -> None:
    assert definitions_at(told({"defined": "x", "sources": 7, "cell": 1}), ["defined"]) == {}


def test_a_cell_is_told_once_and_no_password_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "fe.write_table(name='t', df=read('https://me:s3cret@host/x'))"
    monkeypatch.setattr("fstk.tables.history.cell", lambda: cell)
    first = json.loads(commit_mark(Told())[1])
    assert first["text"] == "fe.write_table(name='t', df=read('https://me:…@host/x'))"
    again = json.loads(commit_mark(Told({}, told(first)))[1])
    assert again["cell"] == first["cell"]
    assert "text" not in again


def test_a_cell_is_known_while_it_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    history = SimpleNamespace(input_hist_raw=["", "one", "two"])
    shell = SimpleNamespace(history_manager=history, execution_count=2)
    monkeypatch.setitem(__import__("sys").modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert journal.cell() == "two"
    shell.execution_count = 3
    assert journal.cell() is None


def test_what_is_computed_carries_its_definition_through_selections() -> None:
    at = pa.array([0, 10**6], pa.timestamp("us", "UTC"))
    events = pa.table({"customer_id": [1, 1], "bought_at": at, "amount": [1.0, 2.0]})
    spend = Aggregate("sum(amount)", name="spend")
    features = WindowedFeatures(events, "customer_id", "bought_at", [spend], ["7d", None], closed="both")
    rows = features.to_arrow("events").slice(1).select(["spend_lifetime", "spend_7d", "bought_at"])
    found = read_all(notes_of(rows), rows.column_names)
    expected = like(closed="both", source=None, source_version=None)
    lifetime, week = (msgspec.structs.replace(expected, window=one) for one in ("lifetime", "7d"))
    assert found == {"spend_lifetime": lifetime, "spend_7d": week}
    assert notes_of(direct().noted(rows, {"bought_at": "x"})) == {"bought_at": "x"}
    assert notes_of(pa.table({"spend_7d": rows["spend_7d"]})) == {}


def test_no_row_to_compare_is_no_share_of_rows() -> None:
    assert str(Difference(0, 0, ())) == "none of these rows is in the table yet, so no value could be compared"
    assert str(Difference(9_000, 0, (), some=True)) == "0 of 9,000 rows that were looked at differ (0.0 %)"
    assert str(Difference(2, 1, ("17 at 1998-03-25: 4.0 → 8.0",))).startswith("1 of 2 rows differ (50.0 %), such as 17")
