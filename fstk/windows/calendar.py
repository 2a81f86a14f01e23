"""A calendar of instants at which every entity gets its features."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import numpy as np
from pydantic import Field, SkipValidation

from fstk.columns.instants import Align, add_months, days, given, microseconds
from fstk.columns.length import Length, read_window
from fstk.columns.zones import aligned_in, check_zone, local_days, midnights
from fstk.errors import InvalidInput
from fstk.validated import validated

_DAY = 86_400_000_000


@validated()
class Calendar:
    """The instants ``start``, ``start + every``, … before ``end``; with a ``zone`` midnights of its clocks.

    Args:
        start: the first instant: a date (its midnight, in UTC or the ``zone``) or a datetime with a time zone; with a
            ``zone`` the first of its midnights that is not before it.
        end: the instant before which the last one lies, as ``start``.
        every: a length as a window's: ``"4w"``, ``"7d"``, ``"36h"``, ``"90m"``, ``"1s"``, a number of days, a
            ``timedelta``, or months, ``"1mo"``: the day of the month that ``start`` has, or the month's last. A day is
            86,400 s; with a ``zone`` it is a day of its clocks, of whatever length, and ``every`` whole days, weeks or
            months.
        zone: a time zone such as ``"Europe/London"``; None is UTC.

    Raises:
        NaiveDatetime: a datetime without a time zone. UnknownName: no such zone. InvalidInput: ``end`` before
        ``start``, a length that is not positive, hours with a zone, text where a date belongs (it is never parsed).

    >>> import datetime as dt
    >>> mondays = Calendar(dt.date(2024, 1, 1), dt.date(2024, 2, 1), every="7d")
    >>> len(mondays.instants)
    5
    >>> months = Calendar(dt.date(2024, 3, 1), dt.date(2024, 5, 1), every="1mo", zone="Europe/London")
    >>> months.instants.view("M8[us]").astype("M8[m]").tolist()
    [datetime.datetime(2024, 3, 1, 0, 0), datetime.datetime(2024, 3, 31, 23, 0)]
    """

    start: dt.date | dt.datetime = Field(description="a date or a datetime with a time zone")
    end: dt.date | dt.datetime = Field(description="a date or a datetime with a time zone")
    every: Annotated[str | int | dt.timedelta, SkipValidation] = "1d"
    zone: str | None = Field(default=None, description="a time zone such as 'Europe/London'")

    def __post_init__(self) -> None:
        micros = self.step.micros
        if self.zone is not None:
            check_zone(self.zone, "Calendar: zone")
            if micros is not None and micros % _DAY:
                raise InvalidInput(
                    f"Calendar: with a zone, every is whole days, weeks or months; got {self.every!r}. Without zone= "
                    "hours are steps in UTC."
                )
        if self._end < self._moment(self.start, "start"):
            raise InvalidInput(f"Calendar: end {self.end} is before start {self.start}.")

    @property
    def step(self) -> Length:
        """The length between two instants."""
        step = read_window(self.every, "Calendar: every")
        if step.micros is step.months is None:
            raise InvalidInput("Calendar: every must be a length such as '7d'; got None.")
        return step

    @property
    def instants(self) -> np.ndarray:
        """The instants, in int64 microseconds since 1970 UTC."""
        if self.zone is not None:
            found = midnights(self._days(self.zone), self.zone)
        else:
            found = self._steps(self._moment(self.start, "start"), self._end)
        return found[found < self._end]

    def ends(self, align: Align | None) -> np.ndarray:
        """Return where the windows at :attr:`instants` end, in the same unit.

        >>> import datetime as dt
        >>> Calendar(dt.date(2024, 3, 5), dt.date(2024, 3, 7)).ends("month").view("M8[us]").astype("M8[D]").tolist()
        [datetime.date(2024, 3, 1), datetime.date(2024, 3, 1)]
        """
        instants = self.instants
        return instants if align is None else aligned_in(instants, align, self.zone)

    @property
    def _end(self) -> int:
        return self._moment(self.end, "end")

    def _moment(self, value: dt.date, name: str) -> int:
        if self.zone is not None and not isinstance(value, dt.datetime):
            return int(midnights(np.array([days(value)]), self.zone)[0])
        return microseconds(given(value, f"Calendar: {name}"))

    def _days(self, zone: str) -> np.ndarray:
        """Return the local days to begin at, and perhaps some after the end."""
        start = self._moment(self.start, "start")
        first, last = local_days(np.array([start, self._end]), zone).tolist()
        first += int(midnights(np.array([first]), zone)[0]) < start
        return self._steps(first * _DAY, (last + 1) * _DAY) // _DAY

    def _steps(self, start: int, end: int) -> np.ndarray:
        step = self.step
        if step.micros is not None:
            return np.arange(start, end, step.micros, dtype=np.int64)
        months = step.months or 1
        most = (end - start) // (28 * _DAY * months) + 1
        return add_months(np.full(most, start), np.arange(most) * months)
