"""From what was asked to a frame, on the engine without a JVM: plans, points, calendars, reports, refusals."""

from __future__ import annotations

import datetime as dt
import decimal
import time
import zoneinfo
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pyarrow as pa
import pytest

from fstk import journal
from fstk.engines.connect import direct
from fstk.errors import (
    BadExpression,
    DamagedTable,
    InvalidInput,
    NameCollision,
    NumericOverflow,
    TypeMismatch,
    UnknownColumn,
    UnknownTable,
    UnsupportedType,
)
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.presets import create_time_windowed_features
from fstk.windows.spec import Aggregate

_ENGINE = direct()
_DAY_MICROS = 86_400_000_000


def _at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 3, day, hour, tzinfo=dt.UTC)


def _events() -> pa.Table:
    return pa.table(
        {
            "customer": pa.array([2, 1, 1, None, 1]),
            "at": pa.array([_at(9), _at(1), _at(8), _at(8), None], pa.timestamp("us", tz="UTC")),
            "amount": [5.0, 10.0, 20.0, 1e9, 1e9],
            "pieces": pa.array([1, 2, None, 9, 9], pa.int32()),
            "price": pa.array([decimal.Decimal("1.10")] * 5, pa.decimal128(10, 2)),
            "shop": ["a", "b", None, "c", "c"],
            "tags": pa.array([["x"]] * 5),
        }
    )


def _features(*expressions: str, **changed: Any) -> WindowedFeatures:
    asked: dict[str, Any] = {"source": _events(), "entity": "customer", "timestamp": "at", "windows": ["7d", None]}
    aggregates = [Aggregate(text, name=f"f{i}") for i, text in enumerate(expressions or ("count(*)",))]
    asked |= {"aggregates": aggregates}
    return WindowedFeatures(**(asked | changed))


def _points(**columns: Any) -> pa.Table:
    rows = {"customer": pa.array([1, 2, 3, None, 1]), "as_of": pa.array([_at(8), _at(10), _at(10), _at(10), None])}
    rows["as_of"] = rows["as_of"].cast(pa.timestamp("us", tz="UTC"))
    return pa.table(rows | columns)


def test_the_plan_tells_types_and_meaning_without_computing() -> None:
    features = _features(
        "count(*)",
        "count(distinct shop)",
        "sum(amount)",
        "sum(pieces)",
        "sum(price)",
        "avg(price)",
        "stddev(pieces)",
        "min(shop)",
        "max(price)",
        "max(at)",
        "sum(pieces) filter (where amount > 6)",
        "count(tags)",
    )
    plan = features.plan(_points(), timestamp="as_of", engine=_ENGINE)
    types = [feature.type for feature in plan.features[:12]]
    assert types == [
        "bigint", "bigint", "double", "bigint", "decimal(20,2)", "double", "double",
        "string", "decimal(10,2)", "timestamp", "bigint", "bigint",
    ]  # fmt: skip
    assert list(plan.schema)[:3] == ["customer", "as_of", "f0_7d"]
    assert plan.features[0].meaning == "count(*) over [as_of − 7 d, as_of)"
    assert plan.features[12].meaning == "count(*) over all before as_of"
    assert "keys (customer, as_of TIMESERIES)" in repr(plan)
    assert max(map(len, repr(plan).splitlines())) <= 100
    both = _features(closed="both", windows=["90m"]).plan(engine=_ENGINE)
    assert both.features[0].meaning == "count(*) over [at − 90 min, at]"
    right = _features(closed="right", windows=[1, None]).plan(engine=_ENGINE)
    assert [feature.meaning for feature in right.features] == [
        "count(*) over (at − 1 d, at]",
        "count(*) over all up to at",
    ]


def test_wide_decimals_keep_38_digits() -> None:
    events = _events().append_column("large", pa.array([decimal.Decimal(1)] * 5, pa.decimal128(30, 4)))
    plan = _features("sum(large)", "avg(large)", source=events).plan(engine=_ENGINE)
    assert plan.schema["f0_7d"] == "decimal(38,4)"


def test_points_keep_every_row_and_column() -> None:
    points = _points(label=[True, False, None, True, False])
    found = _features("count(*)", "sum(amount)").compute(points, timestamp="as_of", engine=_ENGINE)
    assert found.select(points.column_names).equals(points)
    assert found.column("f0_7d").to_pylist() == [1, 1, 0, 0, 0]
    assert found.column("f1_lifetime").to_pylist() == [10.0, 5.0, None, None, None]


def test_events_are_points_with_all_their_columns() -> None:
    found = _features("sum(pieces)", closed="both").compute("events", engine=_ENGINE)
    assert found.select(_events().column_names).equals(_events())
    assert found.column_names[-2:] == ["f0_7d", "f0_lifetime"]
    assert found.column("f0_7d").to_pylist() == [1, 2, 2, None, None]


def test_arguments_and_filters_are_evaluated_before_the_window() -> None:
    texts = (
        "sum(amount * 2)", "count(*) filter (where shop = 'b')", "count(shop)",
        "count(tags) filter (where amount > 15)", "sum(case when amount > 6 then pieces end)", "count(1)",
    )  # fmt: skip
    found = _features(*texts, windows=[None]).compute(_points(), timestamp="as_of", engine=_ENGINE)
    first = [found.column(f"f{i}_lifetime")[0].as_py() for i in range(6)]
    assert first == [20.0, 1, 1, 0, 2, 1]
    assert found.column("f0_lifetime").to_pylist()[1:3] == [10.0, None]


def test_evaluated_columns_do_not_meet_the_sources_own() -> None:
    events = (
        _events().append_column("fstk_0", pa.array([10, 20, 30, 40, 50])).append_column("key_0", pa.array(range(5)))
    )
    features = _features("sum(amount)", "sum(fstk_0)", source=events, windows=[None], closed="both")
    found = features.compute("events", engine=_ENGINE)
    assert found.select(events.column_names).equals(events)
    assert found.column("f1_lifetime").to_pylist() == [10, 20, 50, None, None]


def test_a_calendar_gives_each_entity_its_instants_after_its_first_event() -> None:
    calendar = Calendar(dt.date(2024, 3, 1), dt.date(2024, 3, 12), every="4d")  # 1, 5 and 9 March
    found = _features("count(*)", "max(at)").compute(calendar, timestamp="as_of", engine=_ENGINE)
    assert found.select(["customer", "as_of", "f0_7d"]).sort_by(
        [("customer", "ascending"), ("as_of", "ascending")]
    ).to_pylist() == [
        {"customer": 1, "as_of": _at(5), "f0_7d": 1},
        {"customer": 1, "as_of": _at(9), "f0_7d": 1},
    ]
    both = _features(closed="both").compute(calendar, engine=_ENGINE)
    assert both.column_names[:2] == ["customer", "at"]
    once = Calendar(dt.date(2024, 3, 9), dt.date(2024, 3, 12), every="999999999999d")
    assert _features().compute(once, engine=_ENGINE).column("customer").to_pylist() == [1]
    assert both.num_rows == 2  # an event at an instant is not before it, whatever is closed


def test_a_calendar_of_no_events_or_no_instants_is_empty() -> None:
    calendar = Calendar(dt.date(2024, 3, 1), dt.date(2024, 3, 1))
    schema = pa.schema(
        [
            ("customer", pa.int64()),
            ("at", pa.timestamp("us", tz="UTC")),
            ("f0_7d", pa.int64()),
            ("f0_lifetime", pa.int64()),
        ]
    )
    assert _features().compute(calendar, engine=_ENGINE).schema == schema
    later = Calendar(dt.date(2024, 3, 1), dt.date(2025, 3, 1))
    empty = _features(source=_events().slice(0, 0)).compute(later, engine=_ENGINE)
    assert (empty.schema, empty.num_rows) == (schema, 0)


def test_dates_and_times_without_a_zone_are_instants() -> None:
    days = pa.array([dt.date(2024, 3, 1), dt.date(2024, 3, 8)])
    events = pa.table({"customer": ["x", "x"], "day": days})
    naive = pa.array([dt.datetime(2024, 3, 8), dt.datetime(2024, 3, 8, 0, 0, 0, 1)])
    points = pa.table({"customer": ["x", "x"], "day": naive})
    found = _features(source=events, timestamp="day", windows=["7d"]).compute(points, engine=_ENGINE)
    assert found.column("f0_7d").to_pylist() == [1, 1]
    found = _features(source=events, timestamp="day", windows=["7d"], closed="both").compute("events", engine=_ENGINE)
    assert found.column("f0_7d").to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("zone", "gap", "fold"),
    [
        ("Europe/London", dt.datetime(2024, 3, 31, 1, 30), dt.datetime(2024, 10, 27, 1, 30)),
        ("America/New_York", dt.datetime(2024, 3, 10, 2, 30), dt.datetime(2024, 11, 3, 1, 30)),
    ],
)
def test_clock_times_of_a_frame_are_instants_of_its_zone(zone: str, gap: dt.datetime, fold: dt.datetime) -> None:
    hours = [day + hour * dt.timedelta(hours=1) for day in (gap, fold) for hour in (-30, -5, 5, 30)]
    at = [hour.replace(tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(dt.UTC) for hour in hours]
    local, zoned = pa.array(hours, pa.timestamp("us")), pa.array(at, pa.timestamp("us", "UTC"))
    asked = {"windows": ["10h", "1d"], "aggregates": [Aggregate("count(*)", "n"), Aggregate("min(at)", "first")]}
    events = pa.table({"customer": ["x"] * 8, "at": local})
    features = _features(source=events, timestamp="at", timestamp_zone=zone, **asked)
    told = _features(source=events.set_column(1, "at", zoned), timestamp="at", **asked)
    calendar = Calendar(gap.date(), fold.date() + dt.timedelta(days=3), every="7h")
    for points in ("events", calendar):
        assert features.compute(points, engine=_ENGINE).equals(told.compute(points, engine=_ENGINE))
        assert features.plan(points, engine=_ENGINE) == told.plan(points, engine=_ENGINE)
    assert features.compute(events, engine=_ENGINE).equals(told.compute(told.source, engine=_ENGINE))
    days = pa.table({"customer": ["x"], "at": [gap.date()]})
    midnight = dt.datetime(gap.year, gap.month, gap.day, tzinfo=zoneinfo.ZoneInfo(zone))
    assert features.compute(days, engine=_ENGINE).column("at").to_pylist() == [midnight]
    for unclear, says in ((gap, "1 do not exist"), (fold, "1 exist twice")):
        strange = pa.table({"customer": ["x"], "at": pa.array([unclear], pa.timestamp("us"))})
        with pytest.raises(InvalidInput, match=f"source, column at: of its times, {says}"):
            _features(source=strange, timestamp="at", timestamp_zone=zone).compute("events", engine=_ENGINE)
        with pytest.raises(InvalidInput, match=f"points, column at: of its times, {says}"):
            features.compute(strange, engine=_ENGINE)
        early, late = (
            _features(source=strange, timestamp="at", timestamp_zone=zone, unclear_times=which)
            .compute("events", engine=_ENGINE)
            .column("at")[0]
            .as_py()
            for which in ("earlier", "later")
        )
        assert early < late <= early + dt.timedelta(hours=1)
    with pytest.raises(InvalidInput, match="changes nothing: at has a zone already"):
        _features(source=told.source, timestamp="at", timestamp_zone=zone).plan("events", engine=_ENGINE)
    assert _features(source=told.source, timestamp="at", timestamp_zone=zone).compute(events, engine=_ENGINE).num_rows


def test_the_time_zone_of_the_process_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    naive = pa.array([_DAY_MICROS - 1, _DAY_MICROS, 2 * _DAY_MICROS]).view(pa.timestamp("us"))
    days = pa.array([0, 1, 2], pa.int32()).view(pa.date32())
    events = pa.table({"id": [1, 1, 1], "at": naive.cast(pa.timestamp("us", tz="UTC")), "naive": naive, "day": days})
    answers = []
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        answer = []
        for column in ("at", "naive", "day"):
            features = _features("max(day)", "count(*)", source=events, entity="id", timestamp=column, windows=[1])
            points = ("events", events.to_pandas(), Calendar(dt.date(1970, 1, 1), dt.date(1970, 1, 5)))
            answer += [features.compute(each, engine=_ENGINE).to_pylist() for each in points]
        answers.append(answer)
    monkeypatch.undo()
    time.tzset()
    assert answers[0] == answers[1] == answers[2]
    assert [row["f1_1d"] for row in answers[0][0]] == [0, 1, 1]


def test_frames_of_other_kinds() -> None:
    source = _events().select(["customer", "at", "amount"]).slice(0, 3)
    points = pl.DataFrame({"customer": [1], "at": [_at(9)]})
    for frame in (source, source.to_pandas(), pl.from_arrow(source), source.to_batches()[0]):
        found = _features("sum(amount)", source=frame).compute(points, engine=_ENGINE)
        assert found.column("f0_lifetime").to_pylist() == [30.0]


@pytest.mark.parametrize(
    ("features", "points", "error", "named"),
    [
        ({"entity": "custmer"}, "events", UnknownColumn, "custmer.*customer"),
        ({"timestamp": "when"}, "events", UnknownColumn, "when"),
        ({"timestamp": "shop"}, "events", TypeMismatch, "shop is string.*to_timestamp"),
        ({"entity": "tags"}, "events", UnsupportedType, "tags is array"),
        ({}, "event", InvalidInput, "'events'"),
        ({}, _points(), UnknownColumn, "points: no column at.*as_of"),
        ({}, pa.table({"id": [1], "at": [_at(1)]}), UnknownColumn, "points: no column customer"),
        ({}, pa.table({"customer": ["1"], "at": [_at(1)]}), TypeMismatch, "bigint in the source but string in points"),
        ({}, pa.table({"customer": [1], "at": ["2024-03-01"]}), TypeMismatch, "at is string"),
        ({}, pa.table({"customer": [1], "at": [_at(1)], "F0_7D": [1]}), NameCollision, "f0_7d.*F0_7D"),
        ({}, [1, 2], InvalidInput, "points must be"),
        ({"source": "no_such_table"}, "events", UnknownTable, "no_such_table"),
        ({"source": 7}, "events", InvalidInput, "source must be"),
    ],
)
def test_what_cannot_be_computed(
    warehouse: Path, features: dict[str, Any], points: Any, error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named) as caught:
        _features(**features).compute(points, engine=_ENGINE)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(error):
        _features(**features).plan(points, engine=_ENGINE)


@pytest.mark.parametrize(
    ("expression", "error", "named"),
    [
        ("sum(shop)", UnsupportedType, r"sum\(shop\): its argument is string"),
        ("avg(at)", UnsupportedType, "timestamp"),
        ("max(tags)", UnsupportedType, "array<string>"),
        ("count(distinct tags)", UnsupportedType, "array<string>"),
        ("sum(amout)", UnknownColumn, "no column amout.*amount"),
        ("count(*) filter (where pieces)", BadExpression, "filter"),
        ("sum(hash(shop))", BadExpression, "Spark"),
    ],
)
def test_arguments_that_make_no_sense(expression: str, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        _features(expression).plan(engine=_ENGINE)


def test_a_calendar_column_is_not_a_key() -> None:
    calendar = Calendar(dt.date(2024, 3, 1), dt.date(2024, 3, 12))
    with pytest.raises(NameCollision, match="customer"):
        _features().compute(calendar, timestamp="customer", engine=_ENGINE)
    with pytest.raises(InvalidInput, match="without timestamp"):
        _features().compute("events", timestamp="at", engine=_ENGINE)


def test_overflow_is_an_error_only_where_a_window_overflows() -> None:
    large = 2**62
    events = pa.table({"customer": [1, 1, 1], "at": [_at(1), _at(10), _at(20)], "x": [large, large, large]})
    found = _features("sum(x)", source=events, windows=["7d"], closed="both").compute("events", engine=_ENGINE)
    assert found.column("f0_7d").to_pylist() == [large] * 3
    with pytest.raises(NumericOverflow, match=r"sum\(x\): the sum of a window exceeds bigint") as caught:
        _features("avg(x)", "sum(x)", source=events, windows=[None], closed="both").compute("events", engine=_ENGINE)
    assert isinstance(caught.value, ValueError | ArithmeticError)
    average = _features("avg(x)", source=events, windows=[None], closed="both").compute("events", engine=_ENGINE)
    assert average.column("f0_lifetime").to_pylist() == [float(large)] * 3


@pytest.mark.parametrize("sign", [1, -1])
def test_decimal_sums_are_exact_to_38_digits(sign: int) -> None:
    largest, nearly, one = (decimal.Decimal(sign * number) for number in (10**38 - 1, 10**38 - 2, 1))

    def total(*values: decimal.Decimal, window: str | None = None) -> list[decimal.Decimal | None]:
        at = [_at(1 + 9 * position) for position in range(len(values))]
        events = pa.table({"customer": [1] * len(values), "at": at, "x": pa.array(values, pa.decimal128(38, 0))})
        features = _features("sum(x)", source=events, windows=[window], closed="both")
        return features.compute("events", engine=_ENGINE).column(f"f0_{window or 'lifetime'}").to_pylist()

    assert total(nearly, one) == [nearly, largest]
    assert total(largest, largest, largest, window="7d") == [largest] * 3  # no window holds two
    for values in ((largest, one), (largest, largest), (largest,) * 4):
        with pytest.raises(NumericOverflow, match=r"exceeds decimal\(38,0\)"):
            total(*values)


def test_the_report_counts_events_that_belong_to_no_window() -> None:
    events = _events().select(["customer", "at"])
    nothing = pa.table({"customer": [None], "at": [None]}, schema=events.schema)  # counted once, for its key
    report = _features(source=pa.concat_tables([events, nothing])).report(engine=_ENGINE)
    assert (report.events, report.null_key, report.null_time, report.ignored) == (6, 2, 1, 3)
    assert "3 of 6 belong to no window" in repr(report)
    empty = _features(source=_events().slice(0, 0)).report(engine=_ENGINE)
    assert (empty.events, empty.ignored) == (0, 0)


def test_a_source_may_be_a_table_of_the_warehouse(warehouse: Path) -> None:
    deltalake.write_deltalake(warehouse / "shop" / "purchases", _events().drop_columns(["tags"]))
    found = _features("sum(pieces)", source="shop.purchases").compute(_points(), timestamp="as_of", engine=_ENGINE)
    assert found.column("f0_lifetime").to_pylist() == [2, 1, None, None, None]
    assert journal.entries()[-1] == journal.Entry("read", "shop.purchases", 0, None)
    with pytest.raises(UnknownTable, match=r"no table shop.purchase\. Nearest: shop.purchases"):
        _features(source="shop.purchase").plan(engine=_ENGINE)
    deltalake.write_deltalake(warehouse / "main" / "shop" / "visits", _events().drop_columns(["tags"]))
    with pytest.raises(UnknownTable, match=r"no table main.shop.visit\. Nearest: main.shop.visits"):
        _features(source="main.shop.visit").plan(engine=_ENGINE)
    next((warehouse / "shop" / "purchases" / "_delta_log").glob("*.json")).write_text("{")
    with pytest.raises(DamagedTable, match=r"shop\.purchases"):
        _features(source="shop.purchases").plan(engine=_ENGINE)


def test_the_seeds_helper() -> None:
    purchases = pa.table(
        {
            "customer_id": [1, 1, 1, 2],
            "transaction_date": [dt.date(2024, 1, 1), dt.date(2024, 1, 8), dt.date(2024, 1, 8), dt.date(2024, 1, 8)],
            "amount": [10.0, 20.0, 5.0, 1.0],
        }
    )
    found = create_time_windowed_features(purchases, engine=_ENGINE)
    assert found.column_names == [
        *purchases.column_names,
        *(f"{name}_{days}d" for days in (7, 14, 30, 90) for name in ("txn_count", "total_spend", "avg_spend")),
    ]
    assert found.column("txn_count_7d").to_pylist() == [1, 3, 3, 1]  # both ends count, and so do peers of the day
    assert found.column("total_spend_7d").to_pylist() == [10.0, 35.0, 35.0, 1.0]
    renamed = purchases.rename_columns(["who", "when", "how much"])
    other = create_time_windowed_features(
        renamed, windows=[1], entity=["who"], timestamp="when", amount="how much", engine=_ENGINE
    )
    assert other.column("total_spend_1d").to_pylist() == [10.0, 25.0, 25.0, 1.0]
