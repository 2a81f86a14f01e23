"""JSON values become those of a column exactly, or are refused without a word of what they were; time runs out."""

from __future__ import annotations

import datetime as dt
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from fstk.serving.deadline import DeadlinePassed, within
from fstk.serving.values import example, reader

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
FITS: list[tuple[str, Any, Any]] = [
    ("int", -(2**31), -(2**31)),
    ("bigint", 2**63 - 1, 2**63 - 1),
    ("int", 3.0, 3),
    ("bigint", float(2**53), 2**53),
    ("int", Decimal("3.0"), 3),
    ("double", 3, 3.0),
    ("double", -0.0, -0.0),
    ("double", Decimal("0.1"), 0.1),
    ("float", 0.5, 0.5),
    ("boolean", True, True),
    ("string", "ü\0 🙂", "ü\0 🙂"),
    ("decimal(10,2)", 1.1, Decimal("1.10")),
    ("decimal(38,2)", "123456789012345678901234567890.12", Decimal("123456789012345678901234567890.12")),
    ("date", "0001-01-01", dt.date(1, 1, 1)),
    ("timestamp", "2024-03-01T12:00:00Z", NOON),
    ("timestamp", "2024-03-01 17:30:00.000001+05:30", NOON + dt.timedelta(microseconds=1)),
    ("timestamp_ntz", "2024-03-01T12:00", NOON.replace(tzinfo=None)),
    ("binary", "AP8=", b"\x00\xff"),
    ("array<int>", [1, None, 3.0], [1, None, 3]),
    ("array<date>", ["2024-03-01"], [dt.date(2024, 3, 1)]),
    ("struct<a:date,b:int>", {"a": "2024-03-01", "b": None}, {"a": dt.date(2024, 3, 1), "b": None}),
    ("map<string,double>", {"a": 1}, [("a", 1.0)]),
]
DOES_NOT: list[tuple[str, Any]] = [
    ("int", 2**31),
    ("int", 1.5),
    ("int", True),
    ("int", "1"),
    ("bigint", 1e19),
    ("bigint", float(2**53 + 2)),
    ("double", 2**53 + 1),
    ("double", "1"),
    ("double", False),
    ("float", 1e39),
    ("double", Decimal("1e400")),
    ("double", Decimal("-1e400")),
    ("boolean", 1),
    ("boolean", "true"),
    ("string", 1),
    ("string", "\ud800"),
    ("decimal(10,2)", 1.123),
    ("decimal(10,2)", "1e3"),
    ("decimal(10,2)", "NaN"),
    ("date", "2024-02-30"),
    ("date", "2024-W01-1"),
    ("date", 42),
    ("timestamp", "2024-03-01T12:00:00"),
    ("timestamp", "2024-03-01T12:00:00.1234567Z"),
    ("timestamp", "0001-01-01T00:00:00+05:00"),
    ("timestamp", 1709294400),
    ("timestamp_ntz", "2024-03-01T12:00:00Z"),
    ("binary", "no base64!"),
    ("array<int>", "12"),
    ("array<string>", "ab"),
    ("array<int>", [1.5]),
    ("struct<a:int>", {"a": 1, "b": 2}),
    ("struct<a:int>", [1]),
    ("map<string,int>", [["a", 1]]),
]


@pytest.mark.parametrize(("spark", "value", "becomes"), FITS, ids=lambda x: str(x)[:20])
def test_what_fits_is_read_exactly(spark: str, value: Any, becomes: Any) -> None:
    found = reader(spark)(value)
    assert (repr(found), type(found)) == (repr(becomes), type(becomes))


@pytest.mark.parametrize(("spark", "value"), DOES_NOT, ids=lambda x: repr(x)[:20])
def test_what_does_not_fit_is_refused_without_data(spark: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^must be ") as told:
        reader(spark)(value)
    assert spark in str(told.value)
    assert repr(value) not in str(told.value)


@pytest.mark.parametrize(("spark", "wanted"), [("boolean", "true or false"), ("string", "text")])
def test_what_was_wanted_is_said(spark: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^must be {spark}: {wanted}$"):
        reader(spark)(1)


def test_of_a_key_nothing_is_converted() -> None:
    with pytest.raises(ValueError, match="must be int"):
        reader("int", key=True)(3.0)


@pytest.mark.parametrize(
    "spark", ["int", "double", "decimal(10,2)", "boolean", "timestamp", "timestamp_ntz", "date", "string"]
)
def test_an_example_fits(spark: str) -> None:
    assert reader(spark)(example(spark)) is not None


def test_what_takes_too_long_is_left_where_it_stands() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(DeadlinePassed):
        within(0.05, lambda: threading.Event().wait(600))
    with pytest.raises(DeadlinePassed):
        within(0.0, lambda: 1)
    assert within(600, lambda: 1) == 1
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_in_another_thread_it_is_told_afterwards() -> None:
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(within, 0.01, lambda: threading.Event().wait(0.05))
        assert isinstance(late.exception(), DeadlinePassed)
        assert pool.submit(within, 600, lambda: 1).result() == 1
