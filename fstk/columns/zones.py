"""Clock times of a zone as instants: the one home of that conversion."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import day, days, instant, microseconds
from fstk.errors import InvalidInput, UnknownName, nearest, shown

Unclear = Literal["refuse", "earlier", "later"]
"""What becomes of a clock time that its zone skipped or had twice when clocks changed: an error, or the earlier or the
later instant it may mean; of a skipped one the last before, or the first after the gap."""
_WALL = pa.timestamp("us")
_INSTANT = pa.timestamp("us", "UTC")


def check_zone(zone: str, argument: str) -> str:
    """Return ``zone``, the name of a time zone; UnknownName gives the nearest and names ``argument``.

    >>> check_zone("Europe/London", "timestamp_zone")
    'Europe/London'
    """
    known = zoneinfo.available_timezones()
    if not isinstance(zone, str) or zone not in known:
        raise UnknownName(f"{argument}: no time zone {shown(zone)}.{nearest(str(zone), known)}")
    return zone


def from_clock(column: pa.ChunkedArray, zone: str, where: str, unclear: Unclear = "refuse") -> pa.ChunkedArray:
    """Return the instants (UTC) at which the clocks of ``zone`` showed a column's times; null stays null.

    A TIMESTAMP_NTZ column is clock times, a DATE column its zone's midnights.
    InvalidInput counts the times that do not exist or exist twice, unless ``unclear`` says what they mean, and names
    ``where``.

    >>> from datetime import datetime
    >>> summer = pa.chunked_array([[datetime(2024, 7, 1, 12)]], _WALL)
    >>> from_clock(summer, "Europe/London", "at")[0].as_py().isoformat()
    '2024-07-01T11:00:00+00:00'
    """
    clock = column.cast(_WALL)
    first, last = _assumed(clock, zone, "earliest"), _assumed(clock, zone, "latest")
    if unclear == "refuse":
        _check(clock, first, last, zone, where)
    return (last if unclear == "later" else first).cast(_INSTANT)


def midnights(of: np.ndarray, zone: str) -> np.ndarray:
    """Return the instants (µs) at which days (since 1970) begin in ``zone``; the first of a midnight that is there
    twice, the end of the gap where clocks skip it.

    >>> midnights(np.array([19_813, 19_814]), "Europe/London").tolist()  # 31 March 2024 had 23 hours
    [1711843200000000, 1711926000000000]
    """
    at = zoneinfo.ZoneInfo(zone)
    begins = (dt.datetime.combine(day(one), dt.time(), tzinfo=at) for one in of.tolist())
    return np.fromiter((microseconds(begin) for begin in begins), np.int64, len(of))


def local_days(times: np.ndarray, zone: str) -> np.ndarray:
    """Return the days (since 1970) of ``zone`` in which instants (µs) lie."""
    at = zoneinfo.ZoneInfo(zone)
    return np.fromiter((days(instant(one).astimezone(at).date()) for one in times.tolist()), np.int64, len(times))


def _assumed(clock: pa.ChunkedArray, zone: str, which: Literal["earliest", "latest"]) -> pa.ChunkedArray:
    return pc.assume_timezone(clock, zone, ambiguous=which, nonexistent=which)


def _check(clock: pa.ChunkedArray, first: pa.ChunkedArray, last: pa.ChunkedArray, zone: str, where: str) -> None:
    skipped = pc.not_equal(pc.local_timestamp(first), clock)
    twice = pc.and_(pc.not_equal(first, last), pc.invert(skipped))
    counted = [
        f"{pc.sum(rows).as_py():,} {what} (as {clock.filter(rows)[0].as_py()})"
        for rows, what in ((skipped, "do not exist"), (twice, "exist twice"))
        if pc.any(rows).as_py()
    ]
    if counted:
        raise InvalidInput(
            f"{where}: of its times, {' and '.join(counted)} in {zone}, whose clocks changed then. "
            'Say what they mean: unclear_times="earlier" or "later".'
        )
