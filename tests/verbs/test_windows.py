"""``%%fstk windows`` without a JVM: what it shows is what the rules say, in real cells."""

import datetime as dt
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from fstk.engines import connect
from fstk.errors import EngineUnavailable, InvalidInput, UnknownColumn, UnknownTable
from fstk.windows.features import WindowedFeatures
from tests.notebook.cells import refused, result, shown
from tests.notebook.tables import DAY, PURCHASES, START, purchases

HEAD = "%%fstk windows feature_store.spend --source transactions --entity customer_id --time purchased_at"


def before(customer: int, at: dt.datetime, days: float, both: bool = False) -> list[float]:
    """The amounts of a window, read off the purchases one by one."""
    return [
        amount
        for key, day, amount, _ in PURCHASES
        if key == customer
        and at - days * DAY <= START + day * DAY
        and (START + day * DAY < at or (both and START + day * DAY == at))
    ]


def test_the_plan_and_its_closing_line_say_what_would_happen(shell: InteractiveShell, filled: Path) -> None:
    text = shown(shell, f"{HEAD} --windows 7d,30d\ncount(*) as txn_count\nsum(amount) as total_spend -- money\n")
    lines = text.splitlines()
    assert lines[0] == "feature_store.spend · plan: CREATE, keys (customer_id, purchased_at TIMESERIES), 4 features"
    assert lines[2].split()[:2] == ["txn_count_7d", "bigint"]
    assert "count(*) over [purchased_at − 7 d, purchased_" in lines[2]
    assert lines[-1] == "lint: clean · nothing written yet · write it: --write · plain Python: --code"
    assert max(len(line) for line in lines) <= 100


@pytest.mark.parametrize("closed", ["left", "both"])
def test_the_rows_shown_are_those_of_a_plain_loop(shell: InteractiveShell, filled: Path, closed: str) -> None:
    seen = result(shell, f"{HEAD} --windows 7d,lifetime --closed {closed}\nsum(amount) as spend\n")
    assert {sample.where.split(" at ")[0] for sample in seen.samples} == {"1", "2", "3"}
    for sample in seen.samples:
        key, _, at = sample.where.partition(" at ")
        instant = dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
        for column, days in (("spend_7d", 7), ("spend_lifetime", 9999)):
            expected = before(int(key), instant, days, both=closed == "both")
            assert sample.values[column] == (sum(expected) if expected else None)


def test_a_calendar_names_its_time_as_of_and_shows_rows_of_it(shell: InteractiveShell, filled: Path) -> None:
    cell = f"{HEAD} --windows 30d --calendar 1997-01-08,1997-03-20T06:00Z,7d\ncount(*) as n\n"
    seen = result(shell, cell)
    assert "keys (customer_id, as_of TIMESERIES)" in repr(seen)
    (newest,) = [sample for sample in seen.samples if sample.where == "3 at 1997-03-19"]
    assert newest.values == {"n_30d": 1}


def test_an_existing_table_is_merged_into_under_its_own_name_of_the_time(shell: InteractiveShell, filled: Path) -> None:
    head = HEAD.replace("feature_store.spend", "feature_store.customer_features")
    same = f"{head} --windows 30d\ncount(*) as txn_count\nsum(amount) as total_spend\n"
    assert "plan: MERGE, keys (customer_id, as_of TIMESERIES), 2 features" in shown(shell, same)
    more = shown(shell, same + "max(amount) as largest\n")
    assert "plan: ADD COLUMNS" in more
    assert "largest_30d (new)" in more
    less = shown(shell, f"{head} --windows 30d\ncount(*) as txn_count\n")
    assert "plan: REFUSE" in less
    assert "the frame lacks total_spend_30d" in less
    other = shown(shell, f"{head} --windows 30d\ncount(*) as txn_count\nsum(quantity) as total_spend\n")
    assert "total_spend_30d is double in the table and bigint in the frame" in other


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "arrow"])
def test_a_source_may_be_any_frame_of_the_notebook(shell: InteractiveShell, filled: Path, kind: str) -> None:
    table = purchases()
    frames = {"pandas": table.to_pandas, "polars": lambda: pl.from_arrow(table), "arrow": lambda: table}
    shell.user_ns["bought"] = pl.LazyFrame(table) if kind == "lazy" else frames[kind]()
    head = HEAD.replace("transactions", "bought")
    with_frame = shown(shell, f"{head} --windows 7d\nsum(amount) as spend\n")
    assert with_frame == shown(shell, f"{HEAD} --windows 7d\nsum(amount) as spend\n")
    code = shown(shell, f"{head} --windows 7d --code\nsum(amount) as spend\n")
    assert "    source=bought,\n" in code


def test_points_are_the_keys_and_times_of_a_frame_without_its_other_columns(
    shell: InteractiveShell, filled: Path
) -> None:
    at = [START + 6 * DAY, START + 6 * DAY, START + 50 * DAY, None]
    shell.user_ns["asked"] = pd.DataFrame(
        {"customer_id": [1, 1, 2, 2], "seen_at": pd.Series(at, dtype="datetime64[us, UTC]"), "is_churned": True}
    )
    seen = result(shell, f"{HEAD} --windows 7d --points asked,seen_at\nsum(amount) as spend\n")
    assert list(seen.table.table.schema) == ["customer_id", "seen_at", "spend_7d"]
    assert {sample.where: sample.values["spend_7d"] for sample in seen.samples} == {
        "1 at 1997-01-07": 30.0,
        "2 at 1997-02-20": None,
    }


def test_a_window_that_holds_its_own_event_is_named_first(shell: InteractiveShell, filled: Path) -> None:
    text = shown(shell, f"{HEAD} --windows 7d --closed both\ncount(*) as n\n")
    assert text.startswith("⚠ LEAK  feature_store.spend.n_7d closes at the sampled event's own instant")
    assert 'Cure: closed="left" (the default)' in text
    assert "lint: clean" not in text


def test_the_object_is_bound_and_computes_the_same(shell: InteractiveShell, filled: Path) -> None:
    shown(shell, f"{HEAD} --windows 7d,30d -o features\ncount(*) as n\n")
    features = shell.user_ns["features"]
    assert isinstance(features, WindowedFeatures)
    rows = features.compute("events", engine=connect.direct())
    assert rows.column("n_7d").to_pylist() == [len(before(key, START + day * DAY, 7)) for key, day, _, _ in PURCHASES]


@pytest.mark.parametrize(
    ("cell", "kind", "says"),
    [
        (HEAD.replace("transactions", "transaction") + " --windows 7d\ncount(*) as n", UnknownTable, "transactions"),
        (HEAD.replace("customer_id", "custmer_id") + " --windows 7d\ncount(*) as n", UnknownColumn, "customer_id"),
        (HEAD.replace("purchased_at", "bought_at") + " --windows 7d\ncount(*) as n", UnknownColumn, "purchased_at"),
        (HEAD + " --windows 7d\nsum(amuont) as n", UnknownColumn, "Nearest: amount"),
        (HEAD + " --windows 7d\nsum(amount)", InvalidInput, "has no name: write sum(amount) as"),
        (
            HEAD + " --windows 7d --widget --align week\nsum(amount) as x",
            InvalidInput,
            "--align and --widget do not go",
        ),
        (HEAD + " --windows 7d --widget --tz UTC\nsum(amount) as x", InvalidInput, "--tz and --widget do not go"),
        (
            HEAD + " --windows 7d\nsum(amount)\n + 1 as x",
            InvalidInput,
            "An expression over several lines stands in parentheses",
        ),
        (HEAD + " --windows 7d\nsum(amount) as n;", InvalidInput, "ends with ;, which no line here does"),
        (HEAD + " --windows 7d\nSELECT sum(amount) as n FROM t;", InvalidInput, "is a query: write its columns alone"),
        (HEAD + " --windows 7d\n-- nothing yet\n", InvalidInput, "write one a line below %%fstk"),
        (HEAD + " --windows 7x\ncount(*) as n", InvalidInput, "not a positive length"),
        (HEAD + " --windows 7d --closed open\ncount(*) as n", InvalidInput, "left"),
        (HEAD + " --windows 7d --calendar 1997-01-01\ncount(*) as n", InvalidInput, "START,END,EVERY"),
        (HEAD + " --windows 7d --zone Europe/London\ncount(*) as n", InvalidInput, "--calendar"),
        (HEAD + " --windows 7d --calendar x,1997-01-01,7d\ncount(*) as n", InvalidInput, "no date"),
        (HEAD + " --windows 7d --calendar 1997-01-01,1997-02-01,7d --points p\ncount(*) as n", InvalidInput, "one"),
        (HEAD + " --windows 7d -o 7up\ncount(*) as n", InvalidInput, "no name of a variable"),
        (HEAD + " --windows 7d --points nothing\ncount(*) as n", UnknownTable, "no frame or table nothing"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(
    shell: InteractiveShell, filled: Path, cell: str, kind: type, says: str
) -> None:
    error = refused(shell, cell)
    assert type(error) is kind
    assert says in str(error)
    assert len(str(error).splitlines()) <= 3


def test_what_needs_spark_says_so_before_it_starts(
    shell: InteractiveShell, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_spark() -> None:
        raise EngineUnavailable("not in this test")

    monkeypatch.setattr(connect, "active", no_spark)
    with capture_output() as output:
        result = shell.run_cell(f"{HEAD} --windows 7d\ncount(distinct date_trunc('week', purchased_at)) as weeks\n")
    assert isinstance(result.error_in_exec, EngineUnavailable)
    assert "DATE_TRUNC" in output.stdout
    assert "Spark computes it." in output.stdout


def test_a_calendar_may_end_today(shell: InteractiveShell, filled: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    code = shown(shell, f"{HEAD} --windows 7d --calendar 1997-01-08,today,7d --code\ncount(*) as n\n")
    assert f"Calendar(date(1997, 1, 8), date({today.year}, {today.month}, {today.day})" in code


def test_a_source_without_events_is_told(shell: InteractiveShell, filled: Path) -> None:
    shell.user_ns["none"] = purchases().slice(0, 0)
    text = shown(shell, f"{HEAD.replace('transactions', 'none')} --windows 7d\ncount(*) as n\n")
    assert "the source has no event with a key and a time" in text


def test_the_code_of_a_calendar_reads_as_a_person_would_write_it(shell: InteractiveShell, filled: Path) -> None:
    cell = f"{HEAD} --windows 7d,lifetime --closed right --calendar 1997-01-08,1997-03-01T06:00+02:00,36h --code\n"
    assert shown(shell, cell + "sum(amount) filter (where quantity > 1) as bulk\n") == (
        "from datetime import UTC, date, datetime\n"
        "\n"
        "from fstk import Aggregate, Calendar, FeatureEngineeringClient, WindowedFeatures\n"
        "\n"
        "features = WindowedFeatures(\n"
        '    source="transactions",\n'
        '    entity="customer_id",\n'
        '    timestamp="purchased_at",\n'
        "    aggregates=[\n"
        '        Aggregate("sum(amount) filter (where quantity > 1)", name="bulk"),\n'
        "    ],\n"
        '    windows=["7d", None],\n'
        '    closed="right",\n'
        ")\n"
        "fe = FeatureEngineeringClient()\n"
        "fe.create_table(\n"
        '    name="feature_store.spend",\n'
        "    features=features,\n"
        '    points=Calendar(date(1997, 1, 8), datetime(1997, 3, 1, 4, tzinfo=UTC), every="36h"),\n'
        ")"
    )


def test_a_zone_and_an_alignment_are_in_the_code(shell: InteractiveShell, filled: Path) -> None:
    cell = f"{HEAD} --windows 1mo --align week --calendar 1997-01-08,1998-01-01,1mo --zone Europe/London --code\n"
    code = shown(shell, cell + "count(*) as n\n")
    assert '    windows=["1mo"],\n    align="week",\n' in code
    assert 'Calendar(date(1997, 1, 8), date(1998, 1, 1), every="1mo", zone="Europe/London")' in code


def test_events_without_a_key_or_time_are_counted_and_clock_times_without_a_zone_are_named(
    shell: InteractiveShell, filled: Path
) -> None:
    at = [START, None, START + DAY, START, None]
    clock = pa.array([None if one is None else one.replace(tzinfo=None) for one in at], pa.timestamp("us"))
    shell.user_ns["events"] = pa.table({"k": pa.array([1, 1, None, 2, None]), "clock": clock})
    cell = "%%fstk windows s.t --source events --entity k --time clock --windows 7d\ncount(*) as n\n"
    text = shown(shell, cell)
    assert "of 5 events 2 without a key and 1 without a time belong to no window" in text
    assert "clock has no zone and is taken as UTC" in text
    shell.user_ns["events"] = pa.table({"k": [1], "clock": pa.array([START], pa.timestamp("us", "UTC"))})
    text = shown(shell, cell)
    assert "no window" not in text
    assert "UTC;" not in text


def test_clock_times_of_a_zone_are_instants_and_so_they_are_in_the_code(shell: InteractiveShell, filled: Path) -> None:
    summer = dt.datetime(2024, 7, 1, 12, 30)
    clock = pa.array([summer, summer + 2 * DAY], pa.timestamp("us"))
    shell.user_ns["events"] = pa.table({"k": pa.array([1, 1]), "clock": clock})
    shell.user_ns["then"] = pa.table({"k": pa.array([1, 1]), "clock": pa.array([summer + DAY, summer + 3 * DAY])})
    cell = "%%fstk windows s.t --source events --entity k --time clock --windows 7d --tz Europe/London"
    text = shown(shell, f"{cell}\ncount(*) as n\n")
    assert "1 at 2024-07-03 11:30" in text
    assert "has no zone" not in text
    found = result(shell, f"{cell} --points then -o features\ncount(*) as n\n")
    assert [(sample.where, sample.values["n_7d"]) for sample in found.samples] == [("1 at 2024-07-04 11:30", 2)]
    code = shown(shell, f"{cell} --unclear-times earlier --code\ncount(*) as n\n")
    assert '    timestamp_zone="Europe/London",\n    unclear_times="earlier",\n)' in code
    shell.user_ns["events"] = pa.table({"k": [1], "clock": pa.array([dt.datetime(2024, 3, 31, 1, 30)])})
    strange = refused(shell, f"{cell}\ncount(*) as n\n")
    assert "source, column clock: of its times, 1 do not exist (as 2024-03-31 01:30" in str(strange)
    table = refused(shell, f"{HEAD} --windows 7d --tz Europe/London\ncount(*) as n\n")
    assert "timestamp_zone is of events in a frame; transactions is a table" in str(table)


def test_arrow_types_of_keys_may_be_any(shell: InteractiveShell, filled: Path) -> None:
    keys = {
        "text": pa.array(["a'b", "é", "a'b"]),
        "date": pa.array([dt.date(1997, 1, 1), dt.date(1997, 1, 2), dt.date(1997, 1, 1)]),
        "double": pa.array([1.5, float("nan"), 1.5]),
        "flag": pa.array([True, False, True]),
    }
    at = pa.array([START, START + DAY, START + 2 * DAY], pa.timestamp("us", tz="UTC"))
    for key in keys.values():
        shell.user_ns["events"] = pa.table({"k": key, "at": at})
        text = shown(shell, "%%fstk windows s.t --source events --entity k --time at --windows 7d\ncount(*) as n\n")
        assert "plan: CREATE, keys (k, at TIMESERIES), 1 feature" in text
