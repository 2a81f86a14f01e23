"""A calendar of instants at which every entity gets its features."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field, SkipValidation

from fstk.columns.instants import given, microseconds
from fstk.columns.length import Length, read_length
from fstk.errors import InvalidInput
from fstk.validated import validated


@validated()
class Calendar:
    """The instants ``start``, ``start + every``, … before ``end``.

    Args:
        start: the first instant: a date (its midnight UTC) or a datetime with a time zone.
        end: the instant before which the last one lies, as ``start``.
        every: a length as a window's: ``"4w"``, ``"7d"``, ``"36h"``, ``"90m"``, ``"1s"``, a number of days, or a
            ``timedelta``. A day is 86,400 s.

    Raises:
        NaiveDatetime: a datetime without a time zone. InvalidInput: ``end`` before ``start``, a length that is not
        positive, text where a date belongs (it is never parsed as a time).

    >>> import datetime as dt
    >>> mondays = Calendar(dt.date(2024, 1, 1), dt.date(2024, 2, 1), every="7d")
    >>> len(range(*mondays.micros))
    5
    """

    start: dt.date | dt.datetime = Field(description="a date or a datetime with a time zone")
    end: dt.date | dt.datetime = Field(description="a date or a datetime with a time zone")
    every: Annotated[str | int | dt.timedelta, SkipValidation] = "1d"

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
        start, end = (given(value, f"Calendar: {name}") for name, value in (("start", self.start), ("end", self.end)))
        return microseconds(start), microseconds(end), step
