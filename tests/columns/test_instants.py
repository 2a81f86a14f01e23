import datetime as dt
from typing import Any

import pytest

from fstk.columns.instants import given
from fstk.errors import InvalidInput, NaiveDatetime

NOON = dt.datetime(1997, 6, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (NOON, NOON),
        (NOON.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30))), NOON),
        (dt.date(1997, 6, 1), NOON.replace(hour=0)),
    ],
)
def test_a_callers_time_is_an_instant_in_utc(value: Any, instant: dt.datetime) -> None:
    found = given(value, "as_of")
    assert (found, found.tzinfo) == (instant, dt.UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(NaiveDatetime, match="as_of: .* has no time zone"):
        given(NOON.replace(tzinfo=None), "as_of")


@pytest.mark.parametrize("value", ["1997-06-01", 865_123_200, None])
def test_nothing_else_is_parsed_as_a_time(value: Any) -> None:
    with pytest.raises(InvalidInput, match="as_of must be a datetime with a time zone, or a date; got"):
        given(value, "as_of")
