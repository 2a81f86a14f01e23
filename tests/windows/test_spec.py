"""What the user may ask for: lengths, calendars, names; each refusal says what to type instead."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fstk.columns.length import read_length
from fstk.errors import BadExpression, InvalidInput, InvalidName, NaiveDatetime, NameCollision
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

_DAY = 86_400_000_000
_COUNT = Aggregate("count(*)", name="n")
_EVENTS = pa.table({"key": pa.array([1]), "at": pa.array([0]).view(pa.timestamp("us", tz="UTC"))})


def _features(**changed: Any) -> WindowedFeatures:
    asked: dict[str, Any] = {
        "source": _EVENTS,
        "entity": "key",
        "timestamp": "at",
        "aggregates": [_COUNT],
        "windows": ["7d"],
    }
    return WindowedFeatures(**(asked | changed))


@pytest.mark.parametrize(
    ("written", "name", "micros"),
    [
        ("4w", "4w", 28 * _DAY),
        ("7d", "7d", 7 * _DAY),
        ("36h", "36h", 36 * 3_600_000_000),
        ("90m", "90m", 90 * 60_000_000),
        ("1s", "1s", 1_000_000),
        (14, "14d", 14 * _DAY),
        (np.int64(14), "14d", 14 * _DAY),
        (dt.timedelta(days=7), "7d", 7 * _DAY),
        (dt.timedelta(hours=36), "36h", 36 * 3_600_000_000),
        (dt.timedelta(seconds=5_400), "90m", 5_400_000_000),
        (None, "lifetime", None),
    ],
)
def test_lengths(written: Any, name: str, micros: int | None) -> None:
    length = read_length(written, "windows")
    assert (length.name, length.micros) == (name, micros)


@pytest.mark.parametrize(
    "written",
    [
        "0d",
        0,
        -7,
        "-7d",
        "7",
        "d",
        "7 d",
        "7W",
        "7mos",
        "0mo",
        "1.5d",
        1.5,
        True,
        "",
        "07d",
        dt.timedelta(0),
        dt.timedelta(days=-1),
        dt.timedelta(milliseconds=1),
        "٧d",
        b"7d",
    ],
)
def test_lengths_that_are_none(written: Any) -> None:
    with pytest.raises(InvalidInput, match=r"windows: .* is not a positive length"):
        read_length(written, "windows")
    with pytest.raises(InvalidInput, match="windows"):
        _features(windows=[written])
    with pytest.raises(InvalidInput, match="every"):
        Calendar(dt.date(2024, 1, 1), dt.date(2024, 2, 1), every=written)


def test_a_calendar_has_a_step() -> None:
    endless: Any = None  # a length of windows, where it means all that was before
    with pytest.raises(InvalidInput, match="Calendar: every must be a length such as '7d'; got None"):
        Calendar(dt.date(2024, 1, 1), dt.date(2024, 2, 1), every=endless)


@pytest.mark.parametrize(
    ("changed", "error", "named"),
    [
        ({"windows": []}, InvalidInput, "windows must be a list"),
        ({"windows": "7d"}, InvalidInput, "windows must be a list"),
        ({"windows": ["7d", 7]}, InvalidInput, "7d is there twice"),
        ({"windows": [None, None]}, InvalidInput, "lifetime is there twice"),
        ({"aggregates": []}, InvalidInput, "aggregates must be a list"),
        ({"aggregates": ["count(*)"]}, InvalidInput, "Aggregate objects"),
        ({"aggregates": [_COUNT, Aggregate("sum(x)", name="N")]}, NameCollision, "n_7d"),
        ({"entity": []}, InvalidInput, "entity"),
        ({"entity": ["key", "key"]}, InvalidInput, "entity"),
        ({"entity": ["key", "at"]}, InvalidInput, "entity"),
        ({"entity": [1]}, InvalidInput, "entity"),
        ({"timestamp": None}, InvalidInput, "timestamp"),
        ({"closed": "neither"}, InvalidInput, "'left' .*'right' or 'both'"),
    ],
)
def test_what_cannot_be_asked(changed: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named) as caught:
        _features(**changed)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a,b", "a(b)", "a`b", "a\nb", "a=b"])
def test_names_that_no_column_can_have(name: str) -> None:
    with pytest.raises(InvalidName, match="aggregate name"):
        Aggregate("count(*)", name=name)


def test_an_expression_is_judged_where_it_is_written() -> None:
    with pytest.raises(BadExpression, match="rand"):
        Aggregate("sum(rand())", name="x")
    with pytest.raises(InvalidInput, match="two texts"):
        Aggregate(3, name="x")  # pyright: ignore[reportArgumentType]


def test_columns_go_by_window_then_by_aggregate() -> None:
    features = _features(windows=["36h", None], aggregates=[_COUNT, Aggregate("sum(x)", name="total")])
    assert features.columns == ("n_36h", "total_36h", "n_lifetime", "total_lifetime")
    assert "sum(x) over [at − 36 h, at)" in repr(features)
    assert "sum(x) over all before at" in repr(features)
    assert max(map(len, repr(features).splitlines())) <= 100


def test_calendar_instants() -> None:
    calendar = Calendar(dt.date(1970, 1, 1), dt.datetime(1970, 1, 3, tzinfo=dt.UTC), every="36h")
    assert calendar.instants.tolist() == [0, 36 * 3_600_000_000]
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert Calendar(dt.datetime(1970, 1, 1, 5, 30, tzinfo=east), dt.date(1970, 1, 2)).instants.tolist() == [0]
    assert Calendar(dt.date(1, 1, 1), dt.date(9999, 12, 31), "99999999d").instants.tolist() == [-62_135_596_800_000_000]
    assert Calendar(dt.date(2024, 1, 1), dt.date(2024, 1, 1)).instants.tolist() == []


@pytest.mark.parametrize(
    ("start", "end", "error", "named"),
    [
        (dt.datetime(2024, 1, 1), dt.date(2024, 2, 1), NaiveDatetime, "start"),
        (dt.date(2024, 1, 1), dt.datetime(2024, 2, 1), NaiveDatetime, "end"),
        ("2024-01-01", dt.date(2024, 2, 1), InvalidInput, "start must be a date"),
        (dt.date(2024, 1, 1), 20240201, InvalidInput, "end must be a date"),
        (dt.date(2024, 2, 1), dt.date(2024, 1, 1), InvalidInput, "before start"),
    ],
)
def test_calendars_that_are_none(start: Any, end: Any, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        Calendar(start, end)
