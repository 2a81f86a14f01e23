"""Times as whole numbers, exactly (microseconds, days since 1970), and what a caller gives as a time as an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import integers, masked, nulls
from fstk.errors import InvalidInput, NaiveDatetime

Align = Literal["day", "week", "month"]
"""What a window may end at the beginning of, instead of at its point."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH = _EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY = 86_400_000_000
_MOST_DAYS = 100_000_000  # days past which an instant would leave int64; far outside 0001..9999


def given(value: Any, argument: str) -> datetime:
    """Return what a caller gave as a time as an instant in UTC; a date is its midnight UTC (docs/rules.md#time-2).

    A datetime without a time zone is refused, and so is text, which is never parsed; the message names ``argument``.

    >>> given(date(2024, 3, 1), "as_of").isoformat()
    '2024-03-01T00:00:00+00:00'
    """
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise NaiveDatetime(f"{argument}: {value!r} has no time zone; give it one, such as tzinfo=datetime.UTC.")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise InvalidInput(f"{argument} must be a datetime with a time zone, or a date; got {value!r}.")


def instants(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return a TIMESTAMP, TIMESTAMP_NTZ (as UTC) or DATE (its midnight UTC) column in int64 microseconds since 1970
    UTC, anything where null, and which rows are null."""
    if pa.types.is_date32(column.type):
        return np.clip(integers(column), -_MOST_DAYS, _MOST_DAYS) * _DAY, nulls(column)
    return integers(column.cast(pa.timestamp("us", column.type.tz))), nulls(column)


def day_numbers(column: pa.Array) -> pa.Array:
    """Return the days since 1970 of dates and of instants (in UTC) as int32; null stays null.

    >>> day_numbers(pa.array([datetime(1969, 12, 31, 23, tzinfo=UTC), None])).to_pylist()
    [-1, None]
    """
    times, absent = instants(column.cast(pa.date32()) if pa.types.is_null(column.type) else column)
    return masked((times // _DAY).astype(np.int32), ~absent)


def add_months(times: np.ndarray, months: int | np.ndarray) -> np.ndarray:
    """Return instants (µs) some months later at the same time of day in UTC: on the same day of the month, or on the
    last of a month that lacks it, as Spark's add_months counts.

    >>> end_of_may = np.array([microseconds(datetime(2024, 5, 31, 6, tzinfo=UTC))])
    >>> instant(int(add_months(end_of_may, -3)[0])).isoformat()
    '2024-02-29T06:00:00+00:00'
    """
    date = (times // _DAY).astype("M8[D]")
    month = date.astype("M8[M]")
    place = date - month.astype("M8[D]")
    target = month + months
    begin = target.astype("M8[D]")
    last = (target + 1).astype("M8[D]") - begin - 1
    return (begin + np.minimum(place, last)).astype(np.int64) * _DAY + times % _DAY


def aligned_days(days: np.ndarray, align: Align) -> np.ndarray:
    """Return the first day (since 1970) of the day, week (from Monday) or month that each of ``days`` lies in."""
    if align == "month":
        return days.astype("M8[D]").astype("M8[M]").astype("M8[D]").astype(np.int64)
    return days if align == "day" else (days + 3) // 7 * 7 - 3


def aligned(times: np.ndarray, align: Align) -> np.ndarray:
    """Return the last beginning of a day, week or month in UTC that is not after each instant (µs)."""
    return aligned_days(times // _DAY, align) * _DAY


def microseconds(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(count: int) -> datetime:
    """Return microseconds since 1970-01-01 UTC as an aware datetime."""
    return _EPOCH + timedelta(microseconds=count)


def wall_microseconds(moment: datetime) -> int:
    """Return a naive datetime's wall clock as microseconds since 1970-01-01T00:00."""
    return (moment - _WALL_EPOCH) // _MICROSECOND


def wall(count: int) -> datetime:
    """Return microseconds since 1970-01-01T00:00 as a naive datetime."""
    return _WALL_EPOCH + timedelta(microseconds=count)


def days(day: date) -> int:
    """Return a date as days since 1970-01-01."""
    return day.toordinal() - _EPOCH_DAY


def day(count: int) -> date:
    """Return days since 1970-01-01 as a date."""
    return date.fromordinal(count + _EPOCH_DAY)


FIRST_INSTANT = microseconds(datetime(1, 1, 1, tzinfo=UTC))
LAST_INSTANT = microseconds(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
FIRST_DAY = days(date.min)
LAST_DAY = days(date.max)
