import datetime as dt
import zoneinfo

import pyarrow as pa
import pytest

from fstk.columns.zones import check_zone, from_clock
from fstk.errors import InvalidInput, UnknownName

SKIPPED, TWICE = dt.datetime(2024, 3, 31, 1, 30), dt.datetime(2024, 10, 27, 1, 30)


def clock(*times: dt.datetime | None) -> pa.ChunkedArray:
    return pa.chunked_array([list(times)], pa.timestamp("us"))


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
def test_clock_times_are_the_instants_that_the_standard_library_gives(zone: str) -> None:
    days = [dt.datetime(1999, 1, 1, 12, 0, 0, 250) + dt.timedelta(days=31 * day) for day in (*range(900), 3600)]
    expected = [day.replace(tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(dt.UTC) for day in days]
    assert from_clock(clock(*days, None), zone, "at").to_pylist() == [*expected, None]


def test_a_date_is_its_zones_midnight() -> None:
    days = pa.chunked_array([[dt.date(2024, 7, 1)]], pa.date32())
    assert from_clock(days, "Europe/London", "at")[0].as_py() == dt.datetime(2024, 6, 30, 23, tzinfo=dt.UTC)


def test_times_that_do_not_exist_or_exist_twice_are_counted_and_refused() -> None:
    times = clock(SKIPPED, TWICE, TWICE + dt.timedelta(minutes=1), dt.datetime(2024, 6, 1), None)
    with pytest.raises(InvalidInput) as caught:
        from_clock(times, "Europe/London", "sales.csv, column at")
    assert str(caught.value) == (
        "sales.csv, column at: of its times, 1 do not exist (as 2024-03-31 01:30:00) and 2 exist twice (as 2024-10-27 "
        "01:30:00) in Europe/London, whose clocks changed then. Say what they mean: "
        'unclear_times="earlier" or "later", in a line --unclear-times.'
    )


def test_the_caller_may_say_what_they_mean() -> None:
    earlier = from_clock(clock(SKIPPED, TWICE), "Europe/London", "at", "earlier").to_pylist()
    later = from_clock(clock(SKIPPED, TWICE), "Europe/London", "at", "later").to_pylist()
    change = dt.datetime(2024, 3, 31, 1, tzinfo=dt.UTC)
    assert earlier == [change - dt.timedelta(microseconds=1), dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)]
    assert later == [change, dt.datetime(2024, 10, 27, 1, 30, tzinfo=dt.UTC)]


def test_long_after_2037_they_still_may_not_exist_or_exist_twice() -> None:
    skipped, twice = dt.datetime(2040, 3, 25, 1, 30), dt.datetime(2040, 10, 28, 1, 30)
    earlier = from_clock(clock(skipped, twice), "Europe/London", "at", "earlier").to_pylist()
    later = from_clock(clock(skipped, twice), "Europe/London", "at", "later").to_pylist()
    change = dt.datetime(2040, 3, 25, 1, tzinfo=dt.UTC)
    assert earlier == [change - dt.timedelta(microseconds=1), dt.datetime(2040, 10, 28, 0, 30, tzinfo=dt.UTC)]
    assert later == [change, dt.datetime(2040, 10, 28, 1, 30, tzinfo=dt.UTC)]
    with pytest.raises(InvalidInput, match=r"1 do not exist .* 1 exist twice"):
        from_clock(clock(skipped, twice), "Europe/London", "at")
    end = dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)
    assert from_clock(clock(end), "Etc/UTC", "at").to_pylist() == [end.replace(tzinfo=dt.UTC)]


def test_a_zone_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"timestamp_zone: no time zone 'Europe/Lundon'. Nearest: Europe/London"):
        check_zone("Europe/Lundon", "timestamp_zone")
