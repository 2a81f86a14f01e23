"""What times alone can tell is named: rows, events and labels that are later than they are said to be."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pyarrow as pa
import pytest

from fstk.engines.base import TableVersion
from fstk.engines.types import schema_of
from fstk.lint.report import LintReport
from fstk.lint.times import recorded, total_in, written_later
from fstk.lint.training import lint_table, lint_training_set
from fstk.tables.provenance import EventSource
from fstk.tables.spec import FeatureTable
from fstk.training.plan import plan_training_set
from fstk.training.spec import FeatureLookup

UTC = pa.timestamp("us", tz="UTC")
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
RNG = np.random.default_rng(3)
KEYS = np.arange(200)
MONTHS = np.array([0, 31, 60, 91, 121, 152])
NOW = np.full(200, 100.0)


def days(numbers: np.ndarray) -> pa.Array:
    return pa.array([START + dt.timedelta(days=float(day)) for day in numbers], UTC)


def dates(numbers: np.ndarray) -> pa.Array:
    return days(numbers).cast(pa.date32())


def labelled(at: np.ndarray | pa.Array) -> pa.Table:
    return pa.table({"k": KEYS, "t": at if isinstance(at, pa.Array) else days(at), "y": RNG.random(200)})


def table_of(rows: pa.Table, time: str | None) -> FeatureTable:
    return FeatureTable("fs.f", ("k",), time, schema_of(rows.schema), rows=rows.num_rows)


def linted(
    labels: pa.Table,
    rows: pa.Table,
    time: str | None = "at",
    events: pa.Table | None = None,
    expressions: tuple[str, ...] = (),
) -> LintReport:
    """What lint says of labels (k, t, y) that look into ``rows``, made of ``events`` (k, bought_at …) if any."""
    table = table_of(rows, time)
    looked = [FeatureLookup("fs.f", "k", timestamp_lookup_key="t" if time else None)]
    other = pa.table({"k": KEYS, "as_of": days(np.zeros(200)), "x": RNG.random(200)})
    known = {"fs.f": table, "fs.o": FeatureTable("fs.o", ("k",), "as_of", schema_of(other.schema), rows=200)}
    looked += [] if time else [FeatureLookup("fs.o", "k", timestamp_lookup_key="t")]
    plan = plan_training_set(schema_of(labels.schema), looked, known, "y")
    source = {}
    if events is not None:
        bought = TableVersion("bought", None)
        source["fs.f"] = EventSource(bought, "bought_at", "left", schema_of(events.schema), expressions)
    tables = {"fs.f": rows, "fs.o": other}
    made = {} if events is None else {"fs.f": events}
    report = lint_training_set(plan, labels, tables, sources=source, events=made)
    return LintReport.of([one for one in report.findings if one.code != "one-instant"])  # fs.o is of one


def codes(report: LintReport) -> list[tuple[str, str]]:
    return [(one.code, one.where) for one in report.findings]


def weekly(**columns: pa.Array | np.ndarray) -> pa.Table:
    """A row per entity and week, 20 weeks of them."""
    return pa.table({"k": np.repeat(KEYS, 20), "at": days(np.tile(np.arange(20) * 7, 200)), **columns})


WEEKS = np.tile(np.arange(20) * 7.0, 200)
SOME = np.arange(4_000)


@pytest.mark.parametrize(
    ("column", "later", "share"),
    [
        ("loaded_at", WEEKS + 12, "100 %"),
        ("last_updated", WEEKS + np.where(SOME % 3 == 0, 30, -1), "33 %"),
        ("record_date", WEEKS + 2 + SOME // 20 % 5, "80 %"),
        ("resolved_at", WEEKS + 10 + SOME % 9, "%"),
    ],
)
def test_rows_that_were_known_after_their_time_are_named(column: str, later: np.ndarray, share: str) -> None:
    stamps = dates(later) if column == "record_date" else days(later)
    report = linted(labelled(NOW), weekly(x=RNG.random(4_000), **{column: stamps}))
    assert codes(report) == [("known-later", f"fs.f.{column}")]
    assert "200 labels, " in report.findings[0].message
    assert share in report.findings[0].message
    assert f'timeseries_column="{column}"' in report.findings[0].cure


@pytest.mark.parametrize(
    ("column", "later"),
    [
        ("loaded_at", WEEKS + 0.3),
        ("loaded_at", np.full(4_000, 900.0)),
        ("updated_at", WEEKS - SOME % 9),
        ("contract_until", WEEKS + 30 + SOME % 9),
        ("due_date", WEEKS + 30 + SOME % 9),
        ("last_bought_at", WEEKS - SOME % 9),
    ],
    ids=["by night", "loaded at once", "before", "until", "due", "before, another name"],
)
def test_times_that_are_known_at_the_rows_time_are_not(column: str, later: np.ndarray) -> None:
    rows = weekly(x=RNG.random(4_000), **{column: days(later)})
    assert linted(labelled(NOW), rows).clean
    kept = rows.select(["k", "at", *recorded(schema_of(rows.schema), ["k", "at"])])
    assert lint_table(table_of(rows, "at"), kept).clean


def test_a_table_alone_tells_how_late_its_rows_were_recorded() -> None:
    rows = weekly(x=RNG.random(4_000), loaded_at=days(WEEKS + 12), resolved_at=days(WEEKS + 12))
    assert recorded(schema_of(rows.schema), ["k", "at"]) == ["loaded_at"]
    (found,) = lint_table(table_of(rows, "at"), rows.select(["k", "at", "loaded_at"])).findings
    assert (found.code, found.where) == ("known-later", "fs.f.loaded_at")
    assert "4,000 rows, 100 % were recorded more than a day after it." in found.message


def stamped(name: str, at: pa.Array) -> pa.Table:
    return pa.table({"k": np.repeat(KEYS, len(at) // 200), name: at, "total": RNG.random(len(at))})


MONTHLY, DAILY = np.tile(MONTHS, 200), np.tile(np.arange(90, 110), 200)


@pytest.mark.parametrize(
    ("name", "at", "asked"),
    [
        ("month", dates(MONTHLY), NOW),
        ("month_start", days(MONTHLY), np.full(200, 91.0)),
        ("purchase_date", dates(DAILY), NOW + 0.6),
        ("day", days(DAILY), NOW + 0.6),
        ("bought", dates(DAILY), NOW),
        ("week", dates(np.tile(np.arange(20) * 7, 200)), NOW),
    ],
)
def test_the_start_of_a_period_that_labels_lie_in_is_named(name: str, at: pa.Array, asked: np.ndarray) -> None:
    report = linted(labelled(asked), stamped(name, at), name)
    assert codes(report) == [("start-of-period", f"fs.f.{name}")]
    assert "200 labels, 100 % lie within the" in report.findings[0].message


@pytest.mark.parametrize(
    ("name", "at", "asked"),
    [
        ("as_of", dates(MONTHLY), NOW),
        ("as_of_date", dates(DAILY), NOW + 0.6),
        ("snapshot_date", dates(DAILY), NOW + 0.6),
        ("at", days(MONTHLY), NOW),
        ("month", dates(MONTHLY + 1), np.full(200, 91.5)),
        ("day", days(DAILY + 0.4), NOW + 0.3),
        ("purchase_date", dates(DAILY), np.full(200, 120.0)),
    ],
    ids=["as of", "as of date", "snapshot", "no date", "not the first", "in the day", "labels later"],
)
def test_other_times_at_midnight_are_not(name: str, at: pa.Array, asked: np.ndarray) -> None:
    assert linted(labelled(asked), stamped(name, at), name).clean


def bought(at: np.ndarray, **columns: pa.Array) -> pa.Table:
    """Events, whose customers come in turn."""
    return pa.table({"k": np.arange(len(at)) % 200, "bought_at": days(at), **columns})


def test_windows_of_a_table_are_told_by_their_events_and_not_by_their_dates() -> None:
    events = bought(RNG.random(2_000) * 150)
    assert linted(labelled(NOW), stamped("day", dates(DAILY)), "day", events).clean


@pytest.mark.parametrize("last", [150.0, 100.0])
def test_aggregates_of_events_without_a_time_are_named(last: float) -> None:
    rows = pa.table({"k": KEYS, "spend": RNG.random(200)})
    events = bought(np.where(np.arange(2_000) < 400, last, RNG.random(2_000) * 90))
    report = linted(labelled(NOW), rows, None, events)
    assert codes(report) == [("static-aggregates", "fs.f")]
    assert "200 labels, 100 % see events that are not before the label." in report.findings[0].message


def test_aggregates_without_a_time_for_labels_after_all_events_are_not() -> None:
    rows = pa.table({"k": KEYS, "spend": RNG.random(200)})
    events = bought(RNG.random(2_000) * 90)
    assert linted(labelled(NOW), rows, None, events).clean
    assert linted(labelled(NOW), rows, None).clean


@pytest.mark.parametrize(
    ("column", "expressions"),
    [
        ("updated_at", ("count(*)",)),
        ("ingestion_time", ("sum(amount)",)),
        ("returned_at", ("count(*) filter (where returned_at is not null)",)),
    ],
)
def test_events_that_were_changed_after_they_count_are_named(column: str, expressions: tuple[str, ...]) -> None:
    at = RNG.random(2_000) * 90
    events = bought(at, **{column: days(at + np.where(np.arange(2_000) % 4 == 0, 200.0, 0.1))})
    report = linted(labelled(NOW), weekly(n=RNG.random(4_000)), "at", events, expressions)
    assert codes(report) == [("changed-later", "fs.f")]
    assert f"and {column} is later" in report.findings[0].message
    assert "200 labels, 25 % count an event whose" in report.findings[0].message


@pytest.mark.parametrize(
    ("column", "delay", "expressions"),
    [
        ("updated_at", 0.3, ("count(*)",)),
        ("updated_at", 3.0, ("count(*)",)),
        ("due_at", 200.0, ("avg(datediff(due_at, bought_at))",)),
        ("returned_at", 200.0, ("count(*)",)),
    ],
    ids=["by night", "before any label", "a plan", "not read"],
)
def test_other_times_of_events_are_not(column: str, delay: float, expressions: tuple[str, ...]) -> None:
    at = RNG.random(2_000) * 90
    events = bought(at, **{column: days(at + delay * RNG.random(2_000))})
    assert linted(labelled(NOW), weekly(n=RNG.random(4_000)), "at", events, expressions).clean


@pytest.mark.parametrize(
    ("late", "share"), [(0.0, "100 %"), (-1e-9, "9[5-9] %")], ids=["midnight", "the last microsecond"]
)
def test_labels_at_the_end_of_their_events_day_are_named(late: float, share: str) -> None:
    end = 20.0 + np.floor(RNG.random(200) * 100)
    own = end - RNG.uniform(0.1, 0.9, 200) - np.where(KEYS < 6, 5, 0) * (late < 0)
    labels = labelled(np.round((end + late) * 86_400, 4) / 86_400)
    report = linted(labels, weekly(n=RNG.random(4_000)), "at", bought(np.concatenate([own, RNG.random(2_000) * 150])))
    assert codes(report) == [("rounded-label", "label time t")]
    assert re.search(f"{share} have an event on that day", report.findings[0].message)


def test_labels_of_a_calendar_are_no_rounded_events() -> None:
    end = 20.0 + np.floor(RNG.random(200) * 100)
    rows = weekly(n=RNG.random(4_000))
    assert linted(labelled(end), rows, "at", bought(RNG.random(2_000) * 150)).clean
    hourly = np.repeat(np.arange(0, 150, 0.5) + 0.1, 200)  # who buys twice a day has bought on any day
    assert linted(labelled(end), rows, "at", bought(hourly)).clean
    assert linted(labelled(dates(end)), rows, "at", bought(end - 0.5)).clean
    assert linted(labelled(end - 0.4), rows, "at", bought(end - 0.5)).clean


def changes(days_of: np.ndarray, written: np.ndarray, kind: str = "insert") -> pa.Table:
    """The change data feed of rows (k, at) of all entities, one an instant, each written on a day."""
    at = np.tile(days_of, 200)
    return pa.table(
        {
            "k": np.repeat(KEYS, len(days_of)),
            "at": days(at),
            "_change_type": [kind] * len(at),
            "_commit_version": np.ones(len(at), np.int64),
            "_commit_timestamp": days(np.tile(written, 200)),
        }
    )


def back_filled(asked: pa.Table, feed: pa.Table, first: float) -> LintReport:
    rows = weekly(n=RNG.random(4_000))
    table, look = table_of(rows, "at"), FeatureLookup("fs.f", "k", timestamp_lookup_key="t")
    (join,) = plan_training_set(schema_of(asked.schema), [look], {"fs.f": table}, "y").joins
    return LintReport.of(written_later(join, asked, rows, feed, START + dt.timedelta(days=first)))


@pytest.mark.parametrize("kind", ["insert", "update_postimage"], ids=["filled later", "changed later"])
def test_rows_that_were_written_after_the_labels_that_see_them_are_named(kind: str) -> None:
    week = np.arange(0, 140, 7.0)
    feed = changes(week, np.where(week < 100, 120.0, week), kind)
    asked = labelled(np.where(KEYS < 50, 99.5, 130.0))
    report = back_filled(asked, feed, first=20)
    assert codes(report) == [("written-later", "fs.f.at")]
    assert "of 200 labels after its first commit (2024-01-21) 25 % see a row" in report.findings[0].message
    assert "as_known=True" in report.findings[0].cure


def test_rows_that_were_written_in_time_are_not() -> None:
    week = np.arange(0, 140, 7.0)
    asked = labelled(np.where(KEYS < 50, 99.5, 130.0))
    assert back_filled(asked, changes(week, week + 0.3), first=0).clean
    assert back_filled(asked, changes(week, week + 200, "delete"), first=0).clean
    assert back_filled(asked, changes(week, np.full(20, 300.0)), first=300).clean  # old data, loaded at once
    others = changes(week, week + 200)
    assert back_filled(asked, others.set_column(0, "k", pa.array(np.repeat(KEYS + 900, 20))), first=0).clean


AMOUNT = RNG.lognormal(2, 1, 2_000)


@pytest.mark.parametrize("made", ["count", "sum", "mean", "max", "newest", "date"])
def test_totals_of_all_events_are_known_by_their_values(made: str) -> None:
    who = RNG.integers(0, 200, 2_000)
    events = bought(RNG.random(2_000) * 150, amount=pa.array(AMOUNT), region=pa.array(who % 7))
    events = events.set_column(0, "k", pa.array(who))
    by = events.group_by("k").aggregate(
        [([], "count_all"), *(("amount", how) for how in ("sum", "mean", "max")), ("bought_at", "max")]
    )
    names = {"count": "count_all", "newest": "bought_at_max", "date": "bought_at_max"}
    value = by.column(names.get(made, f"amount_{made}"))
    value = value.cast(pa.date32(), safe=False) if made == "date" else value
    segment = pa.array(RNG.integers(0, 5, 200))
    rows = pa.table({"k": by.column("k"), "segment": segment.slice(0, len(by)), "total": value})
    assert total_in(rows, events, ["k"], "bought_at") == "total"


def test_attributes_and_other_numbers_are_no_totals() -> None:
    turn = np.arange(2_000) % 200
    events = bought(RNG.random(2_000) * 150, amount=pa.array(AMOUNT), region=pa.array(turn % 7))
    first = events.group_by("k").aggregate([("bought_at", "min")])
    columns = {"region": KEYS % 7, "first_bought": first.column("bought_at_min"), "x": RNG.random(200)}
    columns |= {"name": KEYS.astype(str), "ten": np.full(200, 10)}  # all bought ten times, and all are ten
    assert total_in(pa.table({"k": KEYS, **columns}), events, ["k"], "bought_at") is None
    once = bought(RNG.random(200) * 150, amount=pa.array(AMOUNT[:200]))  # who bought once: amount is as an attribute
    assert total_in(pa.table({"k": KEYS, "amount": AMOUNT[:200]}), once, ["k"], "bought_at") is None
    few = pa.table({"k": KEYS[:10], "total": np.bincount(turn, AMOUNT)[:10]})
    assert total_in(few, events, ["k"], "bought_at") is None
