"""Sums, deviations, extremes and distinct counts of spans, against exact arithmetic of Python."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.windows.exact import (
    Floats,
    Integers,
    Spans,
    WideIntegers,
    int64,
    int128,
    reaches,
    rounded,
    sums,
    width_for,
)
from fstk.windows.ranks import Ranked, distinct
from fstk.windows.reduce import deviations, extremes, spread
from tests.generated import examples
from tests.windows.loop import as_double, root

_EDGES = [
    0.0,
    -0.0,
    1.0,
    1e16,
    1e16 + 2,
    1e300,
    -1e300,
    5e-324,
    -5e-324,
    2.0**53 + 2,
    0.1,
    1.7976931348623157e308,
    2.0**-1022,
]
_DOUBLES = st.sampled_from(_EDGES) | st.floats(allow_nan=False, allow_infinity=False)
_CENTS = st.integers(-10_000, 10_000).map(lambda cents: cents / 100)
_INT64 = st.sampled_from([2**63 - 1, -(2**63), 0, 1]) | st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)
_INT128 = st.sampled_from([10**38 - 1, 1 - 10**38, 2**64, -(2**64)]) | st.integers(1 - 10**38, 10**38 - 1)
_WIDTHS = st.sampled_from([24, 27, 33, 45, 52])


@st.composite
def _spans(draw: st.DrawFn, rows: int) -> tuple[Spans, list[tuple[int, int]]]:
    ends = st.integers(0, rows)
    pairs = [(min(a, b), max(a, b)) for a, b in draw(st.lists(st.tuples(ends, ends), min_size=1, max_size=6))]
    low, high = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    return Spans(low[np.newaxis], high), pairs


def _lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=14)


@pytest.mark.parametrize("tiny", [5e-324, 2.0**-200, 3 * 2.0**-70])
def test_a_zero_takes_nothing_from_a_tiny_neighbour(tiny: float) -> None:
    numbers = Floats(np.array([0.0, tiny, -0.0, tiny]))
    found = rounded(sums(numbers.digits(27), Spans(np.array([[0]]), np.array([4]))), 27, numbers.exponent)
    assert found.tolist() == [[2 * tiny]]


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(st.data(), _lists(_DOUBLES) | _lists(_CENTS), _WIDTHS)
def test_floating_sums_are_rounded_once(data: st.DataObject, values: list[float], width: int) -> None:
    spans, pairs = data.draw(_spans(len(values)))
    numbers = Floats(np.array(values))
    for each in (width, width_for(numbers, spans)):
        with np.errstate(over="ignore"):
            found = rounded(sums(numbers.digits(each), spans), each, numbers.exponent)[0]
        wanted = [as_double(sum((Fraction(v) for v in values[a:b]), Fraction(0))) for a, b in pairs]
        assert found.tolist() == wanted


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(st.data(), _lists(_INT64), _lists(_INT128))
def test_integer_sums_are_exact_or_known_to_overflow(data: st.DataObject, small: list[int], large: list[int]) -> None:
    spans, pairs = data.draw(_spans(len(small)))
    numbers = Integers(np.array(small, np.int64))
    found, fits = int64(sums(numbers.digits(32), spans), 32)
    wanted = [sum(small[a:b]) for a, b in pairs]
    assert fits[0].tolist() == [-(2**63) <= total < 2**63 for total in wanted]
    assert all(total == want for total, ok, want in zip(found[0].tolist(), fits[0], wanted, strict=True) if ok)
    assert rounded(sums(numbers.digits(45), spans), 45, 0)[0].tolist() == [float(want) for want in wanted]

    spans, pairs = data.draw(_spans(len(large)))
    wide = WideIntegers(*_words(large))
    low, high, ok = int128(sums(wide.digits(32), spans), 32)
    wanted = [sum(large[a:b]) for a, b in pairs]
    assert ok[0].tolist() == [-(2**127) <= total < 2**127 for total in wanted]
    whole = [(int(h) << 64) + int(w) for h, w in zip(high[0], low[0], strict=True)]
    assert all(total == want for total, fine, want in zip(whole, ok[0], wanted, strict=True) if fine)


@settings(max_examples=examples(250), deadline=None, derandomize=True)
@given(st.data(), _lists(_DOUBLES) | _lists(_CENTS), _lists(_INT64), _lists(_INT128))
def test_deviations_lose_nothing_to_cancellation(
    data: st.DataObject, doubles: list[float], small: list[int], large: list[int]
) -> None:
    columns = (
        (Floats(np.array(doubles)), doubles),
        (Integers(np.array(small)), small),
        (WideIntegers(*_words(large)), large),
    )
    for numbers, values in columns:
        spans, pairs = data.draw(_spans(len(values)))
        with np.errstate(over="ignore"):
            found = deviations(spread(numbers, spans, spans.length), _pairs(spans.length))[0]
        for (a, b), value in zip(pairs, found.tolist(), strict=True):
            if b - a > 1:
                inside = [Fraction(v) for v in values[a:b]]
                mean = sum(inside, Fraction(0)) / len(inside)
                wanted = root(sum(((v - mean) * (v - mean) for v in inside), Fraction(0)) / (len(inside) - 1))
                assert math.isclose(value, wanted, rel_tol=1e-15, abs_tol=1e-323)


@settings(max_examples=examples(250), deadline=None, derandomize=True)
@given(st.data(), _lists(st.tuples(st.integers(0, 1), _INT64 | st.integers(0, 3))))
def test_extremes_and_distinct_values(data: st.DataObject, rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    entity, values = (np.array(side, np.int64) for side in zip(*rows, strict=True))
    spans, pairs = data.draw(_spans(len(rows)))
    least, most = extremes(values, spans, np.minimum)[0], extremes(values, spans, np.maximum)[0]
    for (a, b), low, high in zip(pairs, least, most, strict=True):
        if b > a:
            assert (low, high) == (min(values[a:b]), max(values[a:b]))
    edge = int((entity == 0).sum())  # windows lie within one entity
    cut = [(a, min(b, edge)) if a < edge else (a, b) for a, b in pairs]
    inner = Spans(np.array([[a for a, _ in cut]]), np.array([b for _, b in cut]))
    assert distinct(Ranked(entity, values), inner)[0].tolist() == [len(set(values[a:b])) for a, b in cut]


def _pairs(count: np.ndarray) -> np.ndarray:
    return np.maximum(count, 2) * (np.maximum(count, 2) - 1.0)


def _words(values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([v & (2**64 - 1) for v in values], np.uint64), np.array([v >> 64 for v in values], np.int64)


@pytest.mark.parametrize("limit", [10**p for p in (1, 18, 19, 20, 37, 38)] + [2**64, 2**64 + 1])
def test_a_limit_is_reached_by_itself_and_by_nothing_below(limit: int) -> None:
    near = [value for edge in (limit, -limit) for value in range(edge - 2, edge + 3)]
    low = np.array([value & (2**64 - 1) for value in near], np.uint64)
    high = np.array([value >> 64 for value in near], np.int64)
    assert reaches(low, high, limit).tolist() == [abs(value) >= limit for value in near]
