"""Frames made of a request's values are those that are made of the same rows as a table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.errors import FstkError, TypeMismatch
from fstk.models.kernel import Scorer
from fstk.models.rows import RowFrames
from fstk.models.score import OpenedModel
from fstk.serving.endpoint import Predictor
from tests.generated import examples
from tests.models.test_row_by_row import NUMBERS, POOLS, ROWS, fitted, table


@pytest.mark.parametrize("nulls", [False, True], ids=["whole", "with nulls"])
@pytest.mark.parametrize("columns", [NUMBERS, [*NUMBERS, "word"], list(POOLS)], ids=["numbers", "words", "all"])
@settings(max_examples=examples(30))
@given(batch=st.lists(ROWS, min_size=1, max_size=5))
def test_values_make_the_frames_of_a_table(columns: list[str], nulls: bool, batch: list[dict[str, Any]]) -> None:
    scorer = scorer_of(columns, nulls)
    rows = table(batch).select(columns)
    given = {name: [row[name] for row in batch] for name in columns}
    ours = list(RowFrames(scorer)(given, len(batch)))
    theirs = list(scorer.frames(rows))
    assert [places.tolist() for places, _ in ours] == [places.tolist() for places, _ in theirs]
    for (_, mine), (_, other) in zip(ours, theirs, strict=True):
        assert list(mine.dtypes) == list(other.dtypes)
        assert list(mine.columns) == list(other.columns)
        assert repr(mine.to_dict("list")) == repr(other.to_dict("list"))
        assert layout(mine) == layout(other)


def layout(frame: Any) -> list[tuple[str, bool]]:
    """How a frame lies in memory, on which the last bit of a sum may depend."""
    return sorted(
        (str(one.dtype), one.values.flags.c_contiguous)
        for one in frame._mgr.blocks
        if isinstance(one.values, np.ndarray) and one.is_numeric
    )


def scorer_of(columns: list[str], nulls: bool) -> Scorer:
    from dataclasses import replace

    scorer = fitted(None, nulls)
    record, plan = scorer.record, scorer.record.plan
    kept = {name: kind for name, kind in plan.schema.items() if name in columns or name == plan.label}
    dtypes = {name: record.dtypes[name] for name in columns}
    return replace(scorer, record=replace(record, plan=replace(plan, schema=kept), dtypes=dtypes))


def test_a_value_that_the_type_does_not_hold_is_refused() -> None:
    scorer = scorer_of(["small"], False)
    with pytest.raises(TypeMismatch, match="m was trained on"):
        list(RowFrames(scorer)({"small": [300]}, 1))


@pytest.mark.parametrize(
    "predicted",
    [
        np.array([1.5, -0.0, np.nan, np.inf]),
        np.array([1, 2, 3, 4]),
        np.array([1.5, 2.5, 3.5, 4.5], np.float32),
        np.array([[1.0], [2.0], [3.0], [4.0]]),
        np.array([True, False, True, True]),
        np.array([1.0, None, 2.0, 3.0], object),
        [1.0, 2.0, 3.0, None],
    ],
    ids=str,
)
def test_what_a_model_says_is_told_as_a_table_would_have_it(predicted: Any) -> None:
    predictor = saying(predicted)
    told = predictor({"small": [1, 2, 3, 4]}, 4)
    assert repr(told) == repr(predictor._scorer.typed(predicted, 4).to_pylist())


@pytest.mark.parametrize("predicted", [np.array([1.0]), np.array([1.0] * 5), np.array([[1.0, 2.0]] * 4)], ids=str)
def test_what_is_no_answer_to_each_row_is_refused(predicted: Any) -> None:
    with pytest.raises(FstkError, match=r"^m (gave \d predictions for 4 rows|predicts array<double>)"):
        saying(predicted)({"small": [1, 2, 3, 4]}, 4)


def saying(predicted: Any) -> Predictor:
    model: Any = SimpleNamespace(predict=lambda method: lambda frame: predicted)
    found: Any = SimpleNamespace()
    return Predictor(OpenedModel(found, "m", scorer_of(["small"], False).record, model))
