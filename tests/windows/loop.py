"""The rules of windowed features as a plain loop over Python values: slow, and written apart from what it judges."""

from __future__ import annotations

import calendar
import datetime as dt
import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

Event = tuple[tuple[Any, ...], int | None, Any, bool | None]
"""Keys, instant in microseconds, value, filter."""


Reach = int | tuple[int] | None
"""A window's length: microseconds, a number of months, or without a beginning."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def inside(at: int, point: int, length: Reach, closed: str) -> bool:
    """Whether an event lies in the window that ends at a point (docs/rules.md#windows-1, docs/rules.md#windows-9)."""
    begin = point - length if isinstance(length, int) else months_before(point, length[0]) if length else None
    if closed == "left":
        return at < point and (begin is None or at >= begin)
    if closed == "both":
        return at <= point and (begin is None or at >= begin)
    return at <= point and (begin is None or at > begin)


def months_before(point: int, months: int) -> int:
    """add_months(point, -months), as docs/rules.md#windows-9 has it."""
    at = _EPOCH + dt.timedelta(microseconds=point)
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    if year < 1:
        return -(2**62)
    last = calendar.monthrange(year, month + 1)[1]
    return (at.replace(year=year, month=month + 1, day=min(at.day, last)) - _EPOCH) // dt.timedelta(microseconds=1)


def begin_of(point: int, align: str | None) -> int:
    """The last boundary that is not after a point (docs/rules.md#windows-9)."""
    if align is None:
        return point
    at = _EPOCH + dt.timedelta(microseconds=point)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    back = {"day": 0, "week": day.weekday(), "month": day.day - 1}[align]
    return (day - _EPOCH) // dt.timedelta(microseconds=1) - back * 86_400_000_000


def same(key: Any, other: Any) -> bool:
    """Null equals nothing; NaN equals NaN."""
    if key is None or other is None:
        return False
    return key == other or (key != key and other != other)


def window(
    events: Sequence[Event],
    keys: tuple[Any, ...],
    at: int | None,
    length: Reach,
    closed: str,
    align: str | None = None,
) -> list[Event]:
    """The events of one window, filters not looked at."""
    if at is None:
        return []
    return [
        event
        for event in events
        if event[1] is not None
        and inside(event[1], begin_of(at, align), length, closed)
        and all(same(mine, its) for mine, its in zip(keys, event[0], strict=True))
    ]


def aggregate(written: str, rows: Sequence[Event], filtered: bool, point: int | None = None) -> Any:
    """One aggregate of x, as it is written, over the rows of the window of a point."""
    if filtered:
        rows = [row for row in rows if row[3] is True]
    if written.endswith("(*)"):
        rows, written = [(*row[:2], 0, None) for row in rows], written.replace("*", "x")
    rows = [row for row in rows if row[2] is not None]
    if not rows and not written.startswith("count"):
        return None
    name, _, number = written.removesuffix(")").partition(", ")
    if number:
        return _WITH_NUMBER[name](rows, Fraction(number))
    if written in _IN_TIME:
        return _IN_TIME[written](rows, point)
    return _RULES[written]([row[2] for row in rows])


def _least(values: list[Any]) -> Any:
    numbers = [value for value in values if value == value]
    return min(numbers) if numbers else values[0]


def _sum(values: list[Any]) -> Any:
    if not isinstance(values[0], float):
        with decimal.localcontext(prec=100):
            return sum(values)
    special = [value for value in values if not math.isfinite(value)]
    if special:
        return sum(special)
    return as_double(sum((Fraction(value) for value in values), Fraction(0)))


def _mean(values: list[Any]) -> float:
    total = _sum(values)
    return total / len(values) if isinstance(total, float) else float(Fraction(total) / len(values))


def _infinite(values: list[Any]) -> bool:
    return any(isinstance(value, float) and not math.isfinite(value) for value in values)


def _variance(values: list[Any], less: int, of: Callable[[Fraction], float]) -> float | None:
    if len(values) <= less:
        return None
    if _infinite(values):
        return math.nan
    numbers = [Fraction(value) for value in values]
    mean = sum(numbers, Fraction(0)) / len(numbers)
    return of(sum(((number - mean) * (number - mean) for number in numbers), Fraction(0)) / (len(numbers) - less))


def _rank(value: Any) -> tuple[bool, Any]:
    """What sorts values: NaN after all numbers."""
    return (True, 0) if value != value else (False, value)


def _percentile(values: list[Any], share: Fraction) -> float:
    ordered = sorted(values, key=_rank)
    place = (len(ordered) - 1) * float(share)
    below, above = math.floor(place), math.ceil(place)
    if ordered[below] == ordered[above]:
        return float(ordered[below])
    return (above - place) * float(ordered[below]) + (place - below) * float(ordered[above])


def _mode(values: list[Any]) -> Any:
    times = [(sum(_rank(other) == _rank(value) for other in values), value) for value in values]
    most = max(count for count, _ in times)
    return min((value for count, value in times if count == most), key=_rank)


def _in_time(rows: Sequence[Event]) -> list[Any]:
    return [row[2] for row in sorted(rows, key=lambda row: (row[1], _rank(row[2])))]


def _slope(rows: Sequence[Event]) -> float | None:
    times = [Fraction(row[1] or 0, 86_400_000_000) for row in rows]
    if len(set(times)) < 2:
        return None
    if _infinite([row[2] for row in rows]):
        return math.nan
    values = [Fraction(row[2]) for row in rows]
    n, zero = len(rows), Fraction(0)
    mean, middle = sum(times, zero) / n, sum(values, zero) / n
    both = sum(((t - mean) * (x - middle) for t, x in zip(times, values, strict=True)), zero)
    return as_double(both / sum(((t - mean) ** 2 for t in times), zero))


def as_double(number: Fraction) -> float:
    """The nearest double, infinite where there is none."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def root(number: Fraction) -> float:
    """The square root to double precision, of numbers far outside the doubles too."""
    with decimal.localcontext(prec=60, Emin=-9999, Emax=9999) as context:
        context.traps[decimal.Inexact] = False
        squared = decimal.Decimal(number.numerator) / decimal.Decimal(number.denominator)
        return float(squared.sqrt())


# Each function's rule over the values of a window, none of them null; all but counts are null where there is none.
_RULES: Mapping[str, Callable[[list[Any]], Any]] = {
    "count(x)": len,
    "count(distinct x)": lambda values: len({"NaN" if value != value else value for value in values}),
    "sum(x)": _sum,
    "avg(x)": _mean,
    "min(x)": _least,
    "max(x)": lambda values: next((value for value in values if value != value), None) or max(values),
    "stddev(x)": lambda values: _variance(values, 1, root),
    "stddev_pop(x)": lambda values: _variance(values, 0, root),
    "var_samp(x)": lambda values: _variance(values, 1, as_double),
    "var_pop(x)": lambda values: _variance(values, 0, as_double),
    "median(x)": lambda values: _percentile(values, Fraction(1, 2)),
    "mode(x)": _mode,
}
# Those that look at the rows' instants, and at the point's.
_IN_TIME: Mapping[str, Callable[[Sequence[Event], Any], Any]] = {
    "first(x)": lambda rows, _: _in_time(rows)[0],
    "last(x)": lambda rows, _: _in_time(rows)[-1],
    "since_last(x)": lambda rows, point: (point - max(row[1] or 0 for row in rows)) / 1e6,
    "since_first(x)": lambda rows, point: (point - min(row[1] or 0 for row in rows)) / 1e6,
    "slope(x)": lambda rows, _: _slope(rows),
}
_WITH_NUMBER: Mapping[str, Callable[[Sequence[Event], Fraction], Any]] = {
    "percentile(x": lambda rows, share: _percentile([row[2] for row in rows], share),
    "first_n(x": lambda rows, number: _in_time(rows)[: int(number)],
    "last_n(x": lambda rows, number: _in_time(rows)[-int(number) :],
}
