"""Clock times of a zone as instants: the one home of that conversion."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import whole
from fstk.columns.instants import (
    Align,
    aligned,
    aligned_days,
    day,
    days,
    instant,
    microseconds,
    wall_microseconds,
)
from fstk.errors import InvalidInput, UnknownName, nearest, shown

Unclear = Literal["refuse", "earlier", "later"]
"""What becomes of a clock time that its zone skipped or had twice when clocks changed: an error, or the earlier or the
later instant it may mean; of a skipped one the last before, or the first after the gap."""
_WALL = pa.timestamp("us")
_INSTANT = pa.timestamp("us", "UTC")
_LATE = pa.scalar(dt.date(2037, 1, 1)).cast(_WALL)  # from which on Arrow's tables of zones know no summer
_MICRO = dt.timedelta(microseconds=1)


def check_zone(zone: str, argument: str) -> str:
    """Return ``zone``, the name of a time zone; UnknownName gives the nearest and names ``argument``.

    >>> check_zone("Europe/London", "timestamp_zone")
    'Europe/London'
    """
    known = zoneinfo.available_timezones()
    if not isinstance(zone, str) or zone not in known:
        raise UnknownName(f"{argument}: no time zone {shown(zone)}.{nearest(str(zone), known)}")
    return zone


def check_clock(zone: str | None, unclear: Unclear) -> None:
    """Refuse ``timestamp_zone`` and ``unclear_times`` that are none."""
    if zone is not None:
        check_zone(zone, "timestamp_zone")
    if unclear not in get_args(Unclear):
        raise InvalidInput(f"unclear_times must be refuse, earlier or later; got {shown(unclear)}.")


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
    first, last, skipped = _readings(clock, zone)
    if unclear == "refuse":
        _check(clock, first, last, skipped, zone, where)
    return last if unclear == "later" else first


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


def aligned_in(times: np.ndarray, align: Align, zone: str | None) -> np.ndarray:
    """Return the last beginning of a day, week or month in ``zone`` (None: UTC) that is not after each instant (µs).

    >>> summer = np.array([1_719_878_400_000_000])  # 2024-07-02, midnight UTC
    >>> aligned_in(summer, "month", "Europe/London").view("M8[us]").astype("M8[h]").tolist()
    [datetime.datetime(2024, 6, 30, 23, 0)]
    """
    if zone is None:
        return aligned(times, align)
    known, place = np.unique(times, return_inverse=True)
    return midnights(aligned_days(local_days(known, zone), align), zone)[place]


def _readings(clock: pa.ChunkedArray, zone: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray, pa.ChunkedArray]:
    """Return the first and the last instant that each clock time may mean, and whether the zone skipped it."""
    first, last = (
        pc.assume_timezone(clock, zone, ambiguous=which, nonexistent=which) for which in ("earliest", "latest")
    )
    skipped = pc.not_equal(pc.local_timestamp(first), clock)
    first, last = first.cast(_INSTANT), last.cast(_INSTANT)
    late = whole(pc.fill_null(pc.greater_equal(clock, _LATE), False))
    if not pc.any(late).as_py():
        return first, last, skipped
    at = zoneinfo.ZoneInfo(zone)
    read = [_reading(wall, at) for wall in clock.filter(late).to_pylist()]
    firsts, lasts, gaps = zip(*read, strict=True)
    return (
        pc.replace_with_mask(first, late, pa.array(firsts, pa.int64()).view(_INSTANT)),
        pc.replace_with_mask(last, late, pa.array(lasts, pa.int64()).view(_INSTANT)),
        pc.replace_with_mask(skipped, late, pa.array(gaps)),
    )


def _reading(wall: dt.datetime, at: zoneinfo.ZoneInfo) -> tuple[int, int, bool]:
    """Return the same of one clock time, in microseconds."""
    count = wall_microseconds(wall)
    first, last = (count - (at.utcoffset(wall.replace(fold=fold)) or dt.timedelta()) // _MICRO for fold in (0, 1))
    if first <= last:
        return first, last, False
    before, after = last, first  # the clocks changed in between: it is halved until nothing is
    while after - before > 1:
        middle = (before + after) // 2
        ahead = wall_microseconds(instant(middle).astimezone(at).replace(tzinfo=None)) >= count
        before, after = (before, middle) if ahead else (middle, after)
    return before, after, True


def _check(
    clock: pa.ChunkedArray,
    first: pa.ChunkedArray,
    last: pa.ChunkedArray,
    skipped: pa.ChunkedArray,
    zone: str,
    where: str,
) -> None:
    twice = pc.and_(pc.not_equal(first, last), pc.invert(skipped))
    counted = [
        f"{pc.sum(rows).as_py():,} {what} (as {clock.filter(rows)[0].as_py()})"
        for rows, what in ((skipped, "do not exist"), (twice, "exist twice"))
        if pc.any(rows).as_py()
    ]
    if counted:
        raise InvalidInput(
            f"{where}: of its times, {' and '.join(counted)} in {zone}, whose clocks changed then. "
            'Say what they mean: unclear_times="earlier" or "later", in a line --unclear-times.'
        )
