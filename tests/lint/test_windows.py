"""Each leak that can be planted in feature SQL or in windows is named; what only looks like one is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from fstk.engines.sql.clock import clock_uses
from fstk.errors import BadExpression
from fstk.lint.report import Finding, LintReport
from fstk.lint.sources import lint_cell, lint_sql
from fstk.lint.windows import lint_windows

NOON = dt.datetime(1997, 6, 30, 12, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("sql", "uses"),
    [
        ("datediff(current_date(), purchased_at)", ["current_date()"]),
        ("select current_date, id from t", ["current_date"]),
        ("sum(amount) filter (where purchased_at > NOW() - interval 7 days) as recent", ["now()"]),
        ("count(*) as n\nmax( current_timestamp ) as seen\nmin(getdate ( )) as x", ["current_timestamp", "getdate()"]),
        ("purchased_at < timestamp 'now' and d >= date' Today '", ["timestamp 'now'", "date 'today'"]),
        ("unix_timestamp() - unix_timestamp(purchased_at)", ["unix_timestamp()"]),
        ("localtimestamp() > current_time", ["localtimestamp()", "current_time"]),
        ("curdate() + curdate()", ["curdate()"]),
    ],
)
def test_what_reads_the_clock_is_named(sql: str, uses: list[str]) -> None:
    assert clock_uses(sql) == uses


@pytest.mark.parametrize(
    "sql",
    [
        "count(*) filter (where amount > 1) as txn_count",
        "sum(amount) -- until now()",
        "sum(amount) /* current_date */ as total",
        "'current_date' as text",
        "`current_date` + `now`",
        "t.current_date",
        "max(seen) as current_timestamp",
        "now + 1",  # a column: without parentheses Spark has no such function
        "unix_timestamp(purchased_at)",
        "date '2024-01-01'",
        "date(today)",
    ],
)
def test_what_only_looks_like_the_clock_is_not(sql: str) -> None:
    assert clock_uses(sql) == []


def test_text_that_is_no_sql() -> None:
    with pytest.raises(BadExpression, match="is not SQL"):
        lint_sql("sum('amount", "features")


def test_a_cell_of_a_magic() -> None:
    cell = "%%fstk windows customer_features --source transactions\ncount(*) as n\nsum(datediff(now(), at)) as age"
    assert [finding.message.split(":")[0] for finding in lint_cell(cell, "cell 3")] == ["uses now()"]
    assert lint_cell("%%fstk windows now_features --time now\ncount(*) as n", "cell 3") == []


def test_a_cell_of_python() -> None:
    cell = """
%load_ext fstk
started = datetime.now()
df = spark.sql(f\"\"\"select *, current_date() as today from {table} where at < '{day}'\"\"\")
df = df.withColumn("age", F.datediff(F.current_timestamp(), "at")).selectExpr("id", "now() as seen")
features = WindowedFeatures(source, "id", "at", [Aggregate("sum(datediff(curdate(), at))", name="age")], ["7d"])
print("now() is", started, now())
latest = df.filter(at < current_date())
"""
    found = [(finding.where, finding.message.split(":")[0]) for finding in lint_cell(cell, "cell 3")]
    assert sorted(found) == [
        ("cell 3, line 4,", "uses current_date()"),
        ("cell 3, line 5,", "uses current_timestamp()"),
        ("cell 3, line 5,", "uses now()"),
        ("cell 3, line 6,", "uses curdate()"),
        ("cell 3, line 8,", "uses current_date()"),
    ]


def test_a_cell_of_another_language() -> None:
    assert [finding.where for finding in lint_cell("select now() as seen from t", "cell 1")] == ["cell 1"]
    assert lint_cell("it's no language at all '", "cell 1") == []


def _times(times: Sequence[dt.datetime | None]) -> pa.Array:
    return pa.array(times, pa.timestamp("us", tz="UTC"))


def _lint(closed: str, labels: pa.Table, events: pa.Table) -> list[Finding]:
    columns = ["txn_count_30d", "total_spend_30d"]
    return lint_windows("customer_features", columns, closed, labels, ["id"], "event_ts", events, ["customer"], "at")


@pytest.mark.parametrize("closed", ["both", "right"])
def test_a_window_that_holds_the_labelled_event(closed: str) -> None:
    labels = pa.table({"id": [1, 1, 2, 3], "event_ts": _times([NOON] * 4)})
    events = pa.table({"customer": [1, 2, 3], "at": _times([NOON, NOON - MICROSECOND, NOON + MICROSECOND])})
    (finding,) = _lint(closed, labels, events)
    assert finding.code == "holds-the-label"
    assert finding.where == "customer_features.txn_count_30d and 1 more"
    assert "4 labels, 50 % have an event at exactly event_ts." in finding.message


def test_a_window_that_ends_before_the_event_is_clean() -> None:
    labels = pa.table({"id": [1], "event_ts": _times([NOON])})
    assert _lint("left", labels, pa.table({"customer": [1], "at": _times([NOON])})) == []


@pytest.mark.parametrize(
    ("customers", "times"),
    [
        ([1], [NOON - MICROSECOND]),
        ([1], [NOON + MICROSECOND]),
        ([2], [NOON]),
        ([None], [NOON]),
        ([1], [None]),
        ([], []),
    ],
)
def test_events_at_other_instants_or_of_others_are_no_leak(
    customers: list[int | None], times: list[dt.datetime | None]
) -> None:
    labels = pa.table({"id": pa.array([1, None, 1], pa.int64()), "event_ts": _times([NOON, NOON, None])})
    events = pa.table({"customer": pa.array(customers, pa.int64()), "at": _times(times)})
    assert _lint("both", labels, events) == []


def test_a_date_is_its_midnight_and_keys_may_be_several() -> None:
    day = dt.date(1997, 6, 30)
    labels = pa.table({"id": ["a", "a"], "shop": [1, 2], "event_ts": pa.array([day, day])})
    events = pa.table({"shop": [2], "customer": ["a"], "at": _times([dt.datetime(1997, 6, 30, tzinfo=dt.UTC)])})
    found = lint_windows(
        "features", ["n_7d"], "both", labels, ["id", "shop"], "event_ts", events, ["customer", "shop"], "at"
    )
    assert "2 labels, 50 %" in found[0].message


def test_a_report_reads_as_a_leak_with_its_cure() -> None:
    labels = pa.table({"id": [1] * 61_204, "event_ts": _times([NOON] * 61_204)})
    events = pa.table({"customer": [1], "at": _times([NOON])})
    report = LintReport.of(_lint("both", labels, events))
    assert not report.clean
    assert repr(report) == (
        "⚠ LEAK  customer_features.txn_count_30d and 1 more closes at the label's own instant\n"
        '      (closed="both"): the event being predicted is counted.\n'
        "      61,204 labels, 100 % have an event at exactly event_ts.\n"
        '      Cure: closed="left" (the default), or shift the label. [holds-the-label]'
    )
    page = report._repr_html_()
    assert "border-left: 4px solid" in page
    assert (
        "<br><strong>Cure:</strong> closed=&quot;left&quot; (the default), or shift the label. [holds-the-label]</div>"
        in page
    )


def test_of_many_findings_the_first_are_in_sight_and_the_others_counted() -> None:
    found = [Finding("late", f"shop.t.n_{number}", "is late.", "wait") for number in range(5)]
    report = LintReport.of(found)
    assert "<details>" not in report._repr_html_()
    assert "<details>" not in replace(report, in_sight=4)._repr_html_(), "one more takes no more room than to say so"
    seen, _, closed = replace(report, in_sight=3)._repr_html_().partition("<details>")
    assert [part.count("<strong>Cure:</strong>") for part in (seen, closed)] == [3, 2]
    assert "⚠ 2 more LEAKs</strong></summary>" in closed


def test_a_report_escapes_what_it_names_and_fits_its_width() -> None:
    report = LintReport.of(lint_sql("now()", "<script>alert(1)</script>" * 9) * 2)
    assert len(report.findings) == 1
    assert "<script" not in report._repr_html_()
    assert max(map(len, repr(report).splitlines())) <= 100


def test_no_finding_is_clean() -> None:
    assert LintReport().clean
    assert repr(LintReport()).splitlines()[0] == "lint: clean."
