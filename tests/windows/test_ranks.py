"""Windows by rank over entities of far more values than are each counted alone, against a plain loop."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fstk.windows.exact import Spans
from fstk.windows.ranks import Ranked, distinct, most_frequent, smallest

_ROWS = 512  # the last of a power of two needs one bit more than the others


def _windows(random: np.random.Generator, entity: np.ndarray) -> Spans:
    """Of each row four windows of its entity that end with it: the row alone, short, longer, and all."""
    number = np.arange(len(entity))
    begin = np.searchsorted(entity, entity)
    short, longer = (number - random.integers(0, most, len(entity)) for most in (6, 90))
    return Spans(np.stack([number, np.maximum(short, begin), np.maximum(longer, begin), begin]), number + 1)


@pytest.mark.parametrize("often", [0.0, 0.3])
@pytest.mark.parametrize("values", [20, 45, 150, 1_000])
def test_windows_by_rank_are_those_of_a_loop_however_many_values_there_are(values: int, often: float) -> None:
    random = np.random.default_rng(values)
    entity = np.sort(random.integers(0, 3, _ROWS))
    numbers = (
        np.where(random.random(_ROWS) < often, random.integers(0, 3, _ROWS), random.integers(0, values, _ROWS)) * 7 - 90
    )
    rows, spans = Ranked(entity, numbers), _windows(random, entity)
    middle = spans.length // 2
    found = most_frequent(rows, spans), distinct(rows, spans), smallest(rows, spans, middle)
    for window, point in np.ndindex(spans.low.shape):
        seen = numbers[spans.low[window, point] : spans.high[point]].tolist()
        counted = Counter(seen)
        most = max(counted.values())
        mode = min(value for value, count in counted.items() if count == most)
        answers = [one[window, point] for one in found]
        assert answers == [mode, len(counted), sorted(seen)[middle[window, point]]], (window, point)
