"""A calendar of instants at which every entity gets its features."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fstk.columns.length import Length, read_length
from fstk.errors import InvalidInput, NaiveDatetime

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Calendar:
    """The instants ``start``, ``start + every``, … before ``end``.

    ``start`` and ``end`` are dates (their midnight UTC) or datetimes with a time zone; ``every`` is a length as a
    window's: ``"7d"``, ``"36h"``, ``"90m"``, ``"1s"``, a number of days, or a ``timedelta``. A day is 86,400 s.

    Raises:
        NaiveDatetime: a datetime without a time zone. InvalidInput: ``end`` before ``start``, a length that is not
        positive, text where a date belongs (it is never parsed as a time).
    """

    start: dt.date | dt.datetime
    end: dt.date | dt.datetime
    every: str | int | dt.timedelta = "1d"

    def __post_init__(self) -> None:
        start, end, _ = self.micros
        if end < start:
            raise InvalidInput(f"Calendar: end {self.end} is before start {self.start}.")

    @property
    def step(self) -> Length:
        """The length between two instants."""
        return read_length(self.every, "Calendar: every")

    @property
    def micros(self) -> tuple[int, int, int]:
        """(start, end, step) in microseconds since 1970 UTC, as ``range`` takes them."""
        step = self.step.micros
        if step is None:
            raise InvalidInput("Calendar: every must be a length such as '7d'; got None.")
        return _instant(self.start, "start"), _instant(self.end, "end"), step


def _instant(value: object, name: str) -> int:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise NaiveDatetime(f"Calendar: {name} {value!r} has no time zone; write tzinfo=datetime.UTC.")
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, dt.date):
        return (dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
    raise InvalidInput(f"Calendar: {name} must be a date or a datetime with a time zone; got {value!r}.")
