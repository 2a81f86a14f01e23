"""What is nearly the label is named; what chance, size, persistence or strength make of an honest feature is not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from fstk.engines.types import schema_of
from fstk.lint.inputs import Seen, inputs
from fstk.lint.power import power
from fstk.lint.report import LintReport
from fstk.lint.training import lint_training_set
from fstk.tables.spec import FeatureTable
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.spec import FeatureLookup

UTC = pa.timestamp("us", tz="UTC")
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
RNG = np.random.default_rng(5)
ROWS = 600
GONE = RNG.random(ROWS) < 0.3
SPEND = RNG.lognormal(3, 1, ROWS)


def days(numbers: np.ndarray) -> pa.Array:
    return pa.array([START + dt.timedelta(days=float(day)) for day in numbers], UTC)


def planned(labels: pa.Table, label: str, **tables: pa.Table) -> tuple[TrainingPlan, dict[str, pa.Table]]:
    """A training set of ``labels`` (k, t) and of tables by k, whose time column, if they have one, is at."""
    known = {
        f"fs.{name}": FeatureTable(f"fs.{name}", ("k",), "at" if "at" in rows.column_names else None,
                                   schema_of(rows.schema), rows=rows.num_rows)
        for name, rows in tables.items()
    }  # fmt: skip
    lookups = [
        FeatureLookup(name, "k", timestamp_lookup_key="t" if table.timeseries_column else None)
        for name, table in known.items()
    ]
    plan = plan_training_set(schema_of(labels.schema), lookups, known, label)
    return plan, {f"fs.{name}": rows for name, rows in tables.items()}


def linted(labels: pa.Table, label: str, **tables: pa.Table) -> LintReport:
    plan, rows = planned(labels, label, **tables)
    return lint_training_set(plan, labels, rows)


def found(report: LintReport) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in report.findings]


def one_each(label: np.ndarray, **features: pa.Array | np.ndarray) -> LintReport:
    """Labels of one row per entity, and a table that holds one row of features for each."""
    keys = np.arange(len(label))
    labels = pa.table({"k": keys, "t": days(np.full(len(label), 100.0)), "y": label})
    return linted(labels, "y", f=pa.table({"k": keys, "at": days(90.0 - keys % 7), **features}))


@pytest.mark.parametrize(
    "feature",
    [
        GONE ^ (np.arange(ROWS) == 77),
        GONE ^ (RNG.random(ROWS) < 0.01),
        np.where(GONE ^ (np.arange(ROWS) == 77), "gone", "there"),
        np.where(GONE ^ (RNG.random(ROWS) < 0.01), 7, -3),
        [f"{'x' if gone else 'y'}{n % 6}" for n, gone in enumerate(GONE ^ (RNG.random(ROWS) < 0.01))],
        np.where(GONE, 10.0, 0.0) + RNG.normal(0, 2.2, ROWS),
        np.where(GONE ^ (np.arange(ROWS) == 77), RNG.integers(5, 9, ROWS), RNG.integers(0, 5, ROWS)),
    ],
    ids=["one row wrong", "1 % wrong", "recoded text", "recoded numbers", "codes of text", "score", "ranges"],
)  # fmt: skip
def test_what_tells_two_classes_apart_nearly_always_is_named(feature: np.ndarray | list[str]) -> None:
    assert found(one_each(GONE, feature=pa.array(feature))) == [("nearly-the-label", "fs.f.feature")]


@pytest.mark.parametrize(
    "feature",
    [
        SPEND * (1 + 0.01 * RNG.normal(size=ROWS)),
        np.where(np.arange(ROWS) == 77, 1.0, SPEND),
        np.argsort(np.argsort(SPEND)),
        np.log(SPEND),
        -(SPEND**3),
        SPEND.round(0).astype(int),
    ],
    ids=["1 % noise", "one row wrong", "rank", "logarithm", "negated cube", "rounded"],
)
def test_what_is_nearly_a_quantity_is_named(feature: np.ndarray) -> None:
    assert found(one_each(SPEND, feature=pa.array(feature))) == [("nearly-the-label", "fs.f.feature")]


@pytest.mark.parametrize("label", [SPEND, SPEND > 25], ids=["quantity", "classes"])
def test_two_features_whose_difference_is_the_label_are_named(label: np.ndarray) -> None:
    before = RNG.lognormal(5, 1, ROWS)
    threshold = SPEND - 25 if label.dtype == bool else SPEND
    report = one_each(label, before=before, after=before + threshold, noise=RNG.random(ROWS))
    assert found(report) == [("label-of-two", "before and after")]


def test_totals_stamped_with_the_first_of_their_month_are_named() -> None:
    day = RNG.random(300 * 20) * 180
    keys = np.repeat(np.arange(300), 20)
    amount = RNG.lognormal(2, 1, len(day))
    month = np.array([0, 31, 60, 91, 121, 152])
    place = np.searchsorted(month, day, side="right") - 1
    totals = np.zeros((300, 6))
    np.add.at(totals, (keys, place), amount)
    rows = pa.table(
        {"k": np.repeat(np.arange(300), 6), "at": days(np.tile(month, 300)), "month_sum": totals.ravel()}
    )  # fmt: skip
    after = (day >= 60) & (day < 90)
    outcome = np.bincount(keys[after], amount[after], minlength=300)
    labels = pa.table({"k": np.arange(300), "t": days(np.full(300, 60.0)), "y": outcome})
    (finding,) = linted(labels, "y", monthly=rows).findings
    assert (finding.code, finding.where) == ("knows-the-outcome", "fs.monthly.month_sum")
    assert "at the label's instant, 0.0" in finding.message
    assert "stamped with the first of its month" in finding.message
    honest = rows.set_column(1, "at", days(np.tile(month + 30, 300)))
    assert linted(labels, "y", monthly=honest).clean


@pytest.mark.parametrize("step", [0.05, 0.3])
def test_a_state_that_seldom_changes_is_no_leak(step: float) -> None:
    weeks, keys = 8, np.repeat(np.arange(200), 8)
    level = np.cumsum(RNG.normal(0, step, (200, weeks + 1)), axis=1) + RNG.normal(0, 1, (200, 1))
    rows = pa.table({"k": keys, "at": days(np.tile(np.arange(weeks) * 7, 200)), "level": level[:, :weeks].ravel()})
    asked = pa.table({"k": np.arange(200), "t": days(np.full(200, 50.0)), "y": level[:, weeks]})
    assert linted(asked, "y", levels=rows).clean


def test_columns_of_the_label_frame_are_looked_at() -> None:
    keys = np.arange(ROWS)
    labels = pa.table(
        {
            "k": keys,
            "t": days(np.full(ROWS, 100.0)),
            "reason": np.where(GONE, np.where(RNG.random(ROWS) < 0.98, "price", "open"), "open"),
            "closed_at": pa.array(
                [START + dt.timedelta(days=101 + n % 9) if n % 3 else None for n in range(ROWS)], UTC
            ),
            "until": days(np.full(ROWS, 130.0)),
            "age": RNG.integers(18, 80, ROWS),
            "y": GONE,
        }
    )
    rows = pa.table({"k": keys, "at": days(90.0 - keys % 7), "x": RNG.random(ROWS)})
    report = linted(labels, "y", f=rows)
    assert found(report) == [("nearly-the-label", "your column reason"), ("later-than-label", "your column closed_at")]
    assert 'exclude_columns=["reason"]' in report.findings[0].cure
    plan, tables = planned(labels, "y", f=rows)
    roles = {one.name: one.role for one in inputs(plan, labels, Seen(tables))}
    assert roles == {
        "k": "key", "t": "time", "reason": "your column", "closed_at": "your column", "until": "your column",
        "age": "your column", "x": "feature",
    }  # fmt: skip


@pytest.mark.parametrize("seed", [*range(20), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(20, 200))])
def test_a_clean_random_pipeline_gives_no_finding(seed: int) -> None:
    report = clean_pipeline(seed)
    assert report.clean, report


def clean_pipeline(seed: int) -> LintReport:
    """Random events of customers of very different size, honest windows of them on a calendar, a static table, columns
    of the label frame's own, and an outcome of the events after each label; all of it drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    entities, length = int(rng.integers(20, 150)), 200.0
    size = rng.lognormal(0, rng.choice([0.3, 1.0, 1.5]), entities)
    number = rng.poisson(np.minimum(size * rng.integers(3, 25), 400))
    key = np.repeat(np.arange(entities), number)
    at = rng.random(len(key)) * length
    amount = rng.lognormal(2, 1, len(key))
    step = float(rng.choice([1, 7, 30]))
    points = np.arange(step, length, step)
    columns = {"k": np.repeat(np.arange(entities), len(points)), "at": days(np.tile(points, entities))}
    for window in (7.0, 30.0, length):
        count, total = np.zeros((2, entities, len(points)))
        for place, point in enumerate(points):
            seen = (at < point) & (at >= point - window)
            count[:, place] = np.bincount(key[seen], minlength=entities)
            total[:, place] = np.bincount(key[seen], amount[seen], minlength=entities)
        columns |= {f"count_{window:g}": count.ravel(), f"total_{window:g}": total.ravel()}
    dates = rng.choice(np.arange(60, 160), int(rng.integers(1, 5)), replace=False) + float(rng.choice([0, 0.37]))
    first = np.full(entities, np.inf)
    np.minimum.at(first, key, at)
    who, when = np.repeat(np.arange(entities), len(dates)), np.tile(dates, entities)
    who, when = who[first[who] < when], when[first[who] < when]
    after = [(key == k) & (at >= t) & (at < t + 30) for k, t in zip(who, when, strict=True)]
    outcome = np.array([amount[one].sum() for one in after])
    kinds = {
        "quantity": outcome,
        "churned": outcome == 0,
        "large": outcome > np.median(outcome),
        "grade": np.array(["low", "mid", "high"])[np.searchsorted(np.quantile(outcome, [0.4, 0.8]), outcome)],
    }
    label = kinds[str(rng.choice(list(kinds)))]
    labels = pa.table(
        {
            "k": who, "t": days(when), "age": rng.integers(18, 90, len(who)),
            "channel": rng.choice(["web", "shop", "phone"], len(who)), "until": days(when + 30), "y": label,
        }
    )  # fmt: skip
    keys = np.arange(entities)
    static = pa.table(
        {"k": keys, "segment": np.searchsorted([0.5, 1, 4], size), "name": keys.astype(str)}
    )  # fmt: skip
    return linted(labels, "y", windows=pa.table(columns), customers=static)


def test_powers_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    score = np.round(np.where(GONE, 0.7, 0.0) + RNG.normal(0, 1, ROWS), 1)
    found = power(pa.chunked_array([score]), pa.chunked_array([GONE]), np.arange(ROWS))
    assert found is not None
    assert found.value == pytest.approx(metrics.roc_auc_score(GONE, score))
    draws = [RNG.integers(0, ROWS, ROWS) for _ in range(400)]
    areas = [metrics.roc_auc_score(GONE[draw], score[draw]) for draw in draws]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])), abs=0.015)


def test_a_power_is_of_order_of_ranges_or_of_values() -> None:
    entity, label = np.arange(ROWS), pa.chunked_array([GONE])

    def of(feature: pa.Array | np.ndarray) -> float:
        found = power(pa.chunked_array([feature]), label, entity)
        assert found is not None
        assert 0 <= found.low <= found.value <= found.high <= 1
        return found.value

    assert of(np.where(GONE, 0.0, RNG.choice([-1.0, 1.0], ROWS)) * (1 + RNG.random(ROWS))) > 0.95
    assert of(np.array([f"c{n % 40}" for n in range(ROWS)])) < 0.6
    assert of(np.arange(ROWS).astype(str)) == 0.5
    assert of(pa.nulls(ROWS, pa.float64())) == 0.5
    assert of(pa.array([None if gone else 1.0 for gone in GONE])) == 1.0
    assert power(pa.chunked_array([pa.array([[1]] * ROWS)]), label, entity) is None
    assert power(pa.chunked_array([GONE]), pa.chunked_array([np.ones(ROWS)]), entity) is None
    assert power(pa.chunked_array([GONE]), pa.chunked_array([np.arange(ROWS).astype(str)]), entity) is None
