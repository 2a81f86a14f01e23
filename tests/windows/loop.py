"""The rules of windowed features as a plain loop over Python values: slow, and written apart from what it judges."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

Event = tuple[tuple[Any, ...], int | None, Any, bool | None]
"""Keys, instant in microseconds, value, filter."""


def inside(at: int, point: int, length: int | None, closed: str) -> bool:
    """Rule 1: does an event's instant lie in the window of a point?"""
    if closed == "left":
        return at < point and (length is None or at >= point - length)
    if closed == "both":
        return at <= point and (length is None or at >= point - length)
    return at <= point and (length is None or at > point - length)


def same(key: Any, other: Any) -> bool:
    """Null equals nothing; NaN equals NaN."""
    if key is None or other is None:
        return False
    return key == other or (key != key and other != other)


def window(
    events: Sequence[Event], keys: tuple[Any, ...], at: int | None, length: int | None, closed: str
) -> list[Event]:
    """The events of one window, filters not looked at."""
    if at is None:
        return []
    return [
        event
        for event in events
        if event[1] is not None
        and inside(event[1], at, length, closed)
        and all(same(mine, its) for mine, its in zip(keys, event[0], strict=True))
    ]


def aggregate(written: str, rows: Sequence[Event], filtered: bool) -> Any:
    """One aggregate of x, as it is written, over the rows of a window."""
    if filtered:
        rows = [row for row in rows if row[3] is True]
    if written == "count(*)":
        return len(rows)
    values = [row[2] for row in rows if row[2] is not None]
    return _RULES[written](values) if values or written.startswith("count") else None


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


def _deviation(values: list[Any]) -> float | None:
    if len(values) < 2:
        return None
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return math.nan
    numbers = [Fraction(value) for value in values]
    mean = sum(numbers, Fraction(0)) / len(numbers)
    return root(sum(((number - mean) * (number - mean) for number in numbers), Fraction(0)) / (len(numbers) - 1))


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
    "stddev(x)": _deviation,
}
