"""The counts of an explanation add up, however its rows are divided, and are told without rounding to none or all."""

from __future__ import annotations

import datetime as dt
import statistics

import numpy as np
import pyarrow as pa
import pytest

from fstk import FeatureLookup
from fstk.tables.spec import FeatureTable
from fstk.training.explain import schema
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.summary import Summary, partial_counts, summarized

UTC = pa.timestamp("us", tz="UTC")
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def plan() -> TrainingPlan:
    table = FeatureTable("t", ("id",), "ts", {"id": "bigint", "ts": "timestamp", "v": "int"}, location="/w/t")
    lookup = FeatureLookup("t", "id", timestamp_lookup_key="at")
    return plan_training_set({"id": "bigint", "at": "timestamp"}, [lookup], {"t": table}, None)


def explained(statuses: list[str], ages: list[float | None], waits: list[float | None] | None = None) -> pa.Table:
    """An explanation whose label rows have these statuses, ages and waits for the next row, in seconds."""
    number = len(statuses)
    gaps = [None] * number if waits is None else waits
    nexts = pa.array([None if gap is None else START + dt.timedelta(seconds=gap) for gap in gaps], UTC)
    columns = {
        "label_row": pa.array(range(number), pa.int64()),
        "id": pa.array(range(100, 100 + number), pa.int64()),
        "at": pa.array([START] * number, UTC),
        "lookup": pa.array([0] * number, pa.int32()),
        "table_name": pa.array(["t"] * number),
        "status": pa.array(statuses),
        "feature_time": pa.array([None] * number, UTC),
        "age_seconds": pa.array(ages, pa.float64()),
        "next_time": nexts,
        "later_rows": pa.array([int(wait is not None) for wait in gaps], pa.int64()),
    }
    assert list(columns) == list(schema(plan()))
    return pa.table(columns)


def summary(rows: pa.Table, parts: int = 1) -> Summary:
    size = -(-rows.num_rows // parts)
    counts = [partial_counts(rows.slice(i * size, size), plan()) for i in range(parts)]
    return summarized(plan(), pa.concat_tables(counts), [0])


@pytest.mark.parametrize("parts", [1, 7])
def test_parts_add_up(parts: int) -> None:
    random = np.random.default_rng(3)
    statuses = random.choice(["matched", "only_later_rows", "unknown_key", "null_key"], 1_000).tolist()
    ages = [float(random.integers(1, 10**8)) / 10 if status == "matched" else None for status in statuses]
    waits = [float(random.integers(1, 10**6)) if status == "only_later_rows" else None for status in statuses]
    found = summary(explained(statuses, ages, waits), parts)
    lookup = found.lookups[0]
    assert found.labels == 1_000
    assert {status: lookup.statuses[status] for status in set(statuses)} == {
        s: statuses.count(s) for s in set(statuses)
    }
    known = [age for age in ages if age is not None]
    assert lookup.oldest == dt.timedelta(seconds=max(known))
    assert lookup.median_age is not None
    assert abs(lookup.median_age.total_seconds() / statistics.median_low(known) - 1) < 0.001
    assert lookup.later_rows == statuses.count("only_later_rows")
    nearest = sorted((wait, 100 + row) for row, wait in enumerate(waits) if wait is not None)[:3]
    assert [text.split()[1] for text in found.worst] == [str(id) for _, id in nearest]


def test_whole_days_stay_whole_days() -> None:
    ages: list[float | None] = [86_400.0 * day for day in (3, 3, 3, 88, 88)]
    lookup = summary(explained(["matched"] * 5, ages)).lookups[0]
    assert (lookup.median_age, lookup.oldest) == (dt.timedelta(days=3), dt.timedelta(days=88))


def test_a_share_is_none_or_all_only_when_it_is() -> None:
    text = repr(summary(explained(["matched"] * 9_999 + ["null_key"], [1.0] * 9_999 + [None])))
    line = next(line for line in text.splitlines() if line.startswith("  t "))
    assert line.split("%")[0].split()[-1] == "99.9"
    assert "0.1 %" in line
    assert "100.0 %" in repr(summary(explained(["matched"], [1.0])))


def test_a_tables_name_is_not_cut() -> None:
    name = "feature_store.customer_features"
    table = FeatureTable(name, ("id",), "ts", {"id": "bigint", "ts": "timestamp", "v": "int"}, location="/w/t")
    lookup = FeatureLookup(name, "id", timestamp_lookup_key="at")
    asked = plan_training_set({"id": "bigint", "at": "timestamp"}, [lookup], {name: table}, None)
    rows = explained(["matched"] * 2, [86_400.0, 2 * 86_400.0])
    assert "\n  customer_features 100.0 %" in repr(summarized(asked, partial_counts(rows, asked), [0]))


def test_no_labels_are_no_error() -> None:
    text = repr(summary(explained([], [])))
    assert text.startswith("0 labels × 1 lookup")


def test_the_nearest_miss_is_named_before_the_oldest_row() -> None:
    rows = explained(["matched", "only_later_rows"], [9e6, None], [None, 4 * 3600.0])
    assert summary(rows).worst == (
        "id 101 at 2024-01-01 (first row 4 h later)",
        "id 100 at 2024-01-01 (its row is 104 d old)",
    )


def test_everything_worth_a_line_is_said() -> None:
    rows = explained(
        ["matched", "only_later_rows", "null_timestamp", "null_timestamp"], [2 * 86_400.0, None, None, None],
        [None, 3600.0, None, None],
    )  # fmt: skip
    found = summarized(plan(), partial_counts(rows, plan()), [1])
    assert repr(found) == (
        "4 labels × 1 lookup · 0 saw the future, by the times of the rows\n"
        "  lookup  matched  only later  unknown key  outside look-back  null key  median age  oldest\n"
        "  t        25.0 %      25.0 %        0.0 %                  –     0.0 %         2 d     2 d\n"
        "t: 2 labels without a time\n"
        "t: 1 × a row refused because it came after the label\n"
        "t: 1 feature row without a time, never seen\n"
        "2 labels worst served:\n"
        "  id 101 at 2024-01-01 (first row 1 h later)\n"
        "  id 100 at 2024-01-01 (its row is 2 d old)"
    )


def test_of_a_table_without_a_time_nothing_comes_later_and_no_label_is_served_worst() -> None:
    table = FeatureTable("t", ("id",), None, {"id": "bigint", "v": "int"}, location="/w/t")
    static = plan_training_set({"id": "bigint", "at": "timestamp"}, [FeatureLookup("t", "id")], {"t": table}, None)
    rows = explained(["matched", "unknown_key"], [None, None]).drop_columns("at")
    found = summarized(static, partial_counts(rows, static), [0])
    assert found.worst == ()
    assert repr(found).splitlines()[2].split() == ["t", "50.0", "%", "–", "50.0", "%", "–", "0.0", "%", "–", "–"]
    assert len(repr(found).splitlines()) == 3


def test_a_row_of_the_future_is_counted_whatever_chose_it() -> None:
    found = summary(explained(["matched"] * 3, [-1.0, 0.0, 1.0]))
    assert (found.future, found.lookups[0].future) == (1, 1)
    assert found.worst == ("id 102 at 2024-01-01 (its row is 1 s old)",)


def test_of_many_rows_of_one_age_none_is_called_the_worst() -> None:
    assert summary(explained(["matched"] * 5, [5.0] * 5), parts=2).worst == ()
    missed = explained(["matched"] * 5 + ["only_later_rows"], [5.0] * 5 + [None], [None] * 5 + [3600.0])
    assert summary(missed).worst == ("id 105 at 2024-01-01 (first row 1 h later)",)
    assert summary(explained(["matched"] * 5, [5.0, 5.0, 5.0, 5.0, 6.0])).worst[0].startswith("id 104")


def test_three_labels_are_named_at_most_each_once() -> None:
    assert len(summary(explained(["matched"] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])).worst) == 3
    ages: list[float | None] = [5.0, 5.0]
    assert [text.split()[1] for text in summary(explained(["matched"] * 2, ages)).worst] == ["100", "101"]
