"""Calendars of a zone's days, weeks and months, and windows that end where one of them begins."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fstk.columns.instants import add_months, instant, microseconds
from fstk.engines.connect import direct
from fstk.errors import InvalidInput, UnknownName
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate
from tests.windows import loop

LONDON, SAO_PAULO, HAVANA = "Europe/London", "America/Sao_Paulo", "America/Havana"


def _instants(*given: Any, **more: Any) -> list[str]:
    return [f"{instant(one):%Y-%m-%dT%H:%M}" for one in Calendar(*given, **more).instants.tolist()]


def test_days_weeks_and_months_of_a_zone_begin_at_its_midnights() -> None:
    spring, summer = dt.date(2024, 3, 30), dt.date(2024, 4, 2)
    assert _instants(spring, summer, zone=LONDON) == ["2024-03-30T00:00", "2024-03-31T00:00", "2024-03-31T23:00"]
    weeks = _instants(dt.date(2024, 3, 25), dt.date(2024, 4, 9), every="1w", zone=LONDON)
    assert weeks == ["2024-03-25T00:00", "2024-03-31T23:00", "2024-04-07T23:00"]
    months = _instants(dt.date(2024, 1, 31), dt.date(2024, 4, 30), every="1mo", zone="Asia/Kolkata")
    assert months == ["2024-01-30T18:30", "2024-02-28T18:30", "2024-03-30T18:30"]


def test_a_midnight_that_a_zone_skips_is_where_its_day_begins_and_one_that_it_has_twice_is_the_first() -> None:
    assert _instants(dt.date(2018, 11, 4), dt.date(2018, 11, 5), zone=SAO_PAULO) == ["2018-11-04T03:00"]
    assert _instants(dt.date(2024, 11, 3), dt.date(2024, 11, 4), zone=HAVANA) == ["2024-11-03T04:00"]


def test_an_instant_begins_a_calendar_of_a_zone_at_the_next_of_its_midnights() -> None:
    begin, end = dt.datetime(2024, 7, 1, tzinfo=dt.UTC), dt.datetime(2024, 7, 3, 23, tzinfo=dt.UTC)
    assert _instants(begin, end, zone=LONDON) == ["2024-07-01T23:00", "2024-07-02T23:00"]
    begin = dt.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo(LONDON))
    assert _instants(begin, end, zone=LONDON)[0] == "2024-06-30T23:00"


def test_without_a_zone_months_keep_the_time_of_day() -> None:
    begin, end = dt.datetime(2023, 12, 31, 6, tzinfo=dt.UTC), dt.date(2024, 4, 1)
    assert _instants(begin, end, every="2mo") == ["2023-12-31T06:00", "2024-02-29T06:00"]
    assert _instants(end, end, every="1mo") == []


def test_years_past_the_tables_of_a_zone_follow_its_rule() -> None:
    assert _instants(dt.date(2150, 7, 1), dt.date(2150, 7, 2), zone=LONDON) == ["2150-06-30T23:00"]


@pytest.mark.parametrize("every", ["36h", dt.timedelta(minutes=90)])
def test_hours_are_no_step_of_a_zone(every: Any) -> None:
    with pytest.raises(InvalidInput, match="whole days, weeks or months"):
        Calendar(dt.date(2024, 1, 1), dt.date(2024, 2, 1), every=every, zone=LONDON)


def test_a_zone_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Europe/London"):
        Calendar(dt.date(2024, 1, 1), dt.date(2024, 2, 1), zone="Europe/Londn")


def test_months_are_counted_as_the_loop_counts_them() -> None:
    chance = random.Random(4)
    points = [microseconds(dt.datetime(1, 4, 1, tzinfo=dt.UTC)) + chance.randrange(9_000 * 365 * 86_400) * 10**6]
    points += [microseconds(dt.datetime(2024, 1, 1, 6, tzinfo=dt.UTC)) + day * 86_400 * 10**6 for day in range(800)]
    for months in (1, 2, 12, 13):
        wanted = [loop.months_before(point, months) for point in points]
        assert add_months(np.array(points), -months).tolist() == wanted


def test_windows_end_where_the_day_week_or_month_of_the_calendar_s_zone_begins() -> None:
    hours = [dt.datetime(2024, 3, 25, tzinfo=dt.UTC) + dt.timedelta(hours=hour) for hour in range(24 * 14)]
    events = pa.table({"k": [1] * len(hours), "at": pa.array(hours, pa.timestamp("us", "UTC"))})
    calendar = Calendar(dt.date(2024, 4, 3), dt.date(2024, 4, 4), zone=LONDON)

    def counted(align: Any, points: Any = calendar, window: str = "1d") -> list[int]:
        aggregates = [Aggregate("count(*)", name="n"), Aggregate("since_last(*)", name="s")]
        features = WindowedFeatures(events, "k", "at", aggregates, [window], align=align)
        row = features.compute(points, engine=direct())
        return [*row[f"n_{window}"].to_pylist(), row[f"s_{window}"][0].as_py() / 3600]

    assert counted(None) == counted("day") == [24, 1]
    assert counted("week") == [24, 49]  # to Monday, 1 April, at midnight in London: 23:00 UTC the day before
    assert counted("month", window="1mo") == [24 * 7 - 1, 49]
    utc = Calendar(dt.datetime(2024, 4, 3, 6, tzinfo=dt.UTC), dt.date(2024, 4, 4))
    assert counted("day", utc) == [24, 7]
    assert counted("week", utc) == [24, 55]
