"""Each leak that can be planted between labels and feature tables is named; a clean set gives no finding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from fstk.engines.types import schema_of
from fstk.lint.report import LintReport
from fstk.lint.training import lint_table, lint_training_set
from fstk.tables.spec import FeatureTable
from fstk.training.plan import plan_training_set
from fstk.training.spec import FeatureLookup

ROWS = 400
UTC = pa.timestamp("us", tz="UTC")
RNG = np.random.default_rng(11)


def _days(days: np.ndarray, start: dt.datetime = dt.datetime(1997, 1, 1, tzinfo=dt.UTC)) -> pa.Array:
    return pa.array([start + dt.timedelta(days=int(day)) for day in days], UTC)


def _table(name: str, keys: list[str], time: str | None, rows: pa.Table) -> FeatureTable:
    return FeatureTable(f"fs.{name}", tuple(keys), time, schema_of(rows.schema), rows=rows.num_rows)


def _labels() -> pa.Table:
    return pa.table(
        {
            "customer_id": np.arange(ROWS) % 100,
            "cohort": pa.array([f"c{n % 7}" for n in range(ROWS)]),
            "event_ts": _days(100 + np.arange(ROWS) // 100 * 30),
            "is_churned": RNG.random(ROWS) < 0.4,
        }
    )


def _features(first_day: int = 0) -> pa.Table:
    customers, days = np.repeat(np.arange(100), 12), np.tile(first_day + np.arange(12) * 14, 100)
    return pa.table(
        {
            "customer_id": customers,
            "as_of": _days(days),
            "txn_count": RNG.poisson(2, len(days)),
            "spend": RNG.exponential(40, len(days)),
        }
    )


def _cohorts() -> pa.Table:
    return pa.table({"cohort": [f"c{n}" for n in range(7)], "size": np.arange(7), "founded": _days(np.arange(7) * 7)})


def _lint(labels: pa.Table, *parts: tuple[FeatureTable, pa.Table], label: str = "is_churned") -> LintReport:
    lookups = [
        FeatureLookup(
            table.name, table.primary_keys, timestamp_lookup_key="event_ts" if table.timeseries_column else None
        )
        for table, _ in parts
    ]
    plan = plan_training_set(schema_of(labels.schema), lookups, {table.name: table for table, _ in parts}, label)
    return lint_training_set(plan, labels, {table.name: rows for table, rows in parts})


def _with_features(rows: pa.Table) -> tuple[FeatureTable, pa.Table]:
    return _table("customer_features", ["customer_id"], "as_of", rows), rows


def _codes(report: LintReport) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in report.findings]


def test_a_clean_set_gives_no_finding() -> None:
    cohorts = _cohorts()
    report = _lint(_labels(), _with_features(_features()), (_table("cohorts", ["cohort"], None, cohorts), cohorts))
    assert report.clean, report


def test_a_table_stamped_with_one_instant() -> None:
    rows = _features()
    rows = rows.set_column(1, "as_of", _days(np.full(len(rows), 90)))
    rows = pa.table({**{name: rows[name] for name in rows.column_names}, "customer_id": np.arange(len(rows))})
    report = _lint(_labels(), _with_features(rows))
    assert _codes(report) == [("one-instant", "fs.customer_features.as_of")]
    assert "is 1997-04-01 in all 1,200 rows" in report.findings[0].message
    assert lint_table(_with_features(rows)[0], rows) == report


def test_one_row_or_two_instants_are_no_finding() -> None:
    one = _features().slice(0, 1)
    assert lint_table(_table("one", ["customer_id"], "as_of", one), one).clean
    two = _features().slice(0, 2)
    assert lint_table(_table("two", ["customer_id"], "as_of", two), two).clean
    assert lint_table(_table("two", ["customer_id"], "as_of", two)).clean


def test_scores_of_one_instant_are_no_finding() -> None:
    rows = pa.table({"customer_id": np.arange(50), "as_of": _days(np.full(50, 90)), "prediction": RNG.random(50)})
    assert lint_table(_table("scores", ["customer_id"], "as_of", rows), rows).clean
    kept = rows.drop_columns(["prediction"])
    assert not lint_table(_table("scores", ["customer_id"], "as_of", kept), kept).clean


def test_features_newer_than_most_labels() -> None:
    report = _lint(_labels(), _with_features(_features(first_day=170)))
    assert _codes(report) == [("newer-than-labels", "fs.customer_features.as_of")]
    assert "of 400 labels with rows in the table 75 %" in report.findings[0].message
    assert _lint(_labels(), _with_features(_features(first_day=120))).clean  # one label of four


def test_half_of_the_labels_is_not_most() -> None:
    assert _lint(_labels(), _with_features(_features(first_day=140))).clean  # those at day 100 and 130


def test_customers_that_have_no_row_at_all_are_not_evidence() -> None:
    few = pa.array(_features()["customer_id"].to_numpy() < 5)
    assert _lint(_labels(), _with_features(_features().filter(few))).clean
    report = _lint(_labels(), _with_features(_features(first_day=170).filter(few)))
    assert "of 20 labels with rows in the table 75 %" in report.findings[0].message


@pytest.mark.parametrize("later", [0, 1])
def test_a_time_outside_the_keys_of_a_table(later: int) -> None:
    profiles = pa.table(
        {
            "customer_id": np.arange(100),
            "segment": RNG.integers(0, 5, 100),
            "updated_at": _days(np.where(np.arange(100) < 25 * later, 195, 5)),
        }
    )
    report = _lint(
        _labels(), _with_features(_features()), (_table("profiles", ["customer_id"], None, profiles), profiles)
    )
    if not later:
        assert report.clean
    else:
        assert _codes(report) == [("time-outside-keys", "fs.profiles.updated_at")]
        assert "400 labels, 25 % see a row stamped later than the label." in report.findings[0].message


@pytest.mark.parametrize(
    ("column", "kind", "found"),
    [
        ("updated_at", pa.date32(), True),
        ("as_of", pa.date32(), True),
        ("ds", pa.date32(), True),
        ("event_date", pa.date32(), True),
        ("anything", UTC, True),
        ("anything", pa.timestamp("us"), True),
        ("birthday", pa.date32(), False),
        ("date_of_birth", pa.date32(), False),
        ("first_purchase", pa.date32(), False),
        ("as_of", pa.string(), False),
    ],
)
def test_a_time_outside_the_keys_is_seen_by_its_type_and_name_before_any_label(
    column: str, kind: pa.DataType, found: bool
) -> None:
    rows = pa.table({"customer_id": [1], column: pa.nulls(1, kind)})
    report = lint_table(_table("profiles", ["customer_id"], None, rows))
    assert _codes(report) == ([("time-outside-keys", f"fs.profiles.{column}")] if found else [])
    assert lint_table(_table("profiles", ["customer_id", column], None, rows)).clean


def _planted(label: pa.Array, feature: pa.Array, *, customers: np.ndarray | None = None) -> LintReport:
    """Labels of one row per customer unless told, and a table that holds one feature for each of them."""
    number = len(label)
    customers = np.arange(number) if customers is None else customers
    labels = pa.table({"customer_id": customers, "event_ts": _days(np.full(number, 100)), "outcome": label})
    first = np.unique(customers, return_index=True)[1]
    at = _days(90 - customers[first] % 7)
    rows = pa.table({"customer_id": customers[first], "as_of": at, "feature": feature.take(first)})
    return _lint(labels, (_table("planted", ["customer_id"], "as_of", rows), rows), label="outcome")


OUTCOME = RNG.random(200) < 0.4


@pytest.mark.parametrize(
    ("feature", "code"),
    [
        (pa.array(OUTCOME), "label-copy"),
        (pa.array(~OUTCOME), "label-copy"),
        (pa.array(OUTCOME.astype(np.int64)), "label-copy"),
        (pa.array(np.where(OUTCOME, "gone", "there").tolist()), "label-copy"),
        (pa.array([value if i % 9 else None for i, value in enumerate(OUTCOME.tolist())]), "label-copy"),
        (pa.array(np.where(np.arange(200) % 9, OUTCOME * 1.0, np.nan)), "label-copy"),
        (pa.array([1.5 if value else None for value in OUTCOME.tolist()]), "label-copy"),
        (pa.array(np.where(OUTCOME, 10.0, 0.0) + RNG.random(200)), "predictor"),
        (pa.array(np.where(OUTCOME, RNG.integers(0, 5, 200), RNG.integers(5, 9, 200))), "predictor"),
        (pa.array([f"{'x' if value else 'y'}{n % 6}" for n, value in enumerate(OUTCOME.tolist())]), "predictor"),
        (pa.array(np.where(OUTCOME, np.nan, RNG.random(200))), "predictor"),
        (
            pa.array(np.where(OUTCOME, 8 * 10**14, 0) + RNG.integers(0, 10**9, 200), pa.timestamp("us", "UTC")),
            "predictor",
        ),
    ],
)
def test_a_label_among_the_features(feature: pa.Array, code: str) -> None:
    report = _planted(pa.array(OUTCOME), feature)
    wanted = code if code == "label-copy" else "perfect-predictor"
    assert _codes(report) == [(wanted, "fs.planted.feature")], report


@pytest.mark.parametrize(
    "feature",
    [
        pa.array(RNG.random(200)),
        pa.array(RNG.integers(0, 3, 200)),
        pa.array(np.where(OUTCOME, 10.0, 0.0) + RNG.normal(0, 4, 200)),
        pa.array([f"id-{n}" for n in range(200)]),
        pa.array(np.ones(200)),
        pa.nulls(200, pa.float64()),
        pa.array(OUTCOME ^ (RNG.random(200) < 0.1)),
        pa.array([[1]] * 200),
    ],
    ids=["noise", "few values", "strong but honest", "unique", "constant", "null", "one mistake in ten", "nested"],
)
def test_honest_features_are_not_named(feature: pa.Array) -> None:
    assert _planted(pa.array(OUTCOME), feature).clean


def test_a_name_of_each_customer_predicts_nothing_however_many_labels_it_has() -> None:
    customers = np.arange(400) % 100
    outcome = pa.array((customers % 3 == 0).tolist())
    name = pa.array([f"name-{customer}" for customer in customers])
    assert _planted(outcome, name, customers=customers).clean


def test_few_rows_may_be_perfect_by_chance() -> None:
    outcome, feature = pa.array([True, False, True, False]), pa.array([3.0, 1.0, 4.0, 2.0])
    assert _planted(outcome, feature).clean
    assert _planted(outcome, pa.array([2, 1, 2, 1])).clean


@pytest.mark.parametrize(
    ("change", "found"),
    [(lambda x: x, True), (lambda x: 3 - 2 * x, True), (lambda x: x + 20 * RNG.normal(size=200), False)],
)
def test_a_label_that_is_a_quantity(change: Callable[[np.ndarray], np.ndarray], found: bool) -> None:
    revenue = RNG.exponential(50, 200)
    report = _planted(pa.array(revenue), pa.array(change(revenue)))
    assert _codes(report) == ([("label-copy", "fs.planted.feature")] if found else [])
    assert _planted(pa.array(revenue), pa.array([f"customer {n}" for n in range(200)])).clean


def test_several_classes() -> None:
    grade = pa.array([["low", "mid", "high"][n % 3] for n in range(200)])
    ordered = pa.array([float(n % 3) + n / 1_000 for n in range(200)])
    assert _codes(_planted(grade, ordered)) == [("perfect-predictor", "fs.planted.feature")]
    assert _planted(grade, pa.array(RNG.random(200))).clean


def test_labels_without_outcome_are_left_out() -> None:
    outcome = pa.array([value if i % 3 else None for i, value in enumerate(OUTCOME.tolist())])
    feature = pa.array([value if i % 3 else i % 2 == 0 for i, value in enumerate(OUTCOME.tolist())])
    assert _codes(_planted(outcome, feature)) == [("label-copy", "fs.planted.feature")]
    assert _planted(pa.nulls(200, pa.bool_()), pa.array(OUTCOME)).clean
