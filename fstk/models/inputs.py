"""Which frame a model was fitted on: ``to_pandas()``, ``load_df().toPandas()`` or what the caller made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.choice import session_for
from fstk.engines.frames import is_spark
from fstk.errors import FstkError, InvalidInput
from fstk.models.predictions import as_arrow, line
from fstk.training import dtypes
from fstk.training.dtypes import Dtype
from fstk.training.training_set import TrainingSet

if TYPE_CHECKING:
    import pandas

    from fstk.models.saved import Predict

_FEW = 5  # rows whose predictions give the type of the model's output
_MANY = 1000  # rows that may tell which frame the model was fitted on
_UTC = "UTC"


@dataclass(frozen=True)
class Fitted:
    """The dtypes that a model was fitted on, some rows of its training set in them, and its answers: as they came, and
    as Arrow."""

    dtypes: dict[str, Dtype]
    sample: pandas.DataFrame
    predicted: Any
    answers: pa.Array


def learn(predict: Predict, training_set: TrainingSet, inputs: Schema, example: Any) -> Fitted:
    """Return what a model was fitted on, by its training set or by an ``example``, a pandas frame.

    The two frames that a training set gives differ in times and maps alone (:func:`fstk.training.dtypes.as_spark`).
    Where the model answers both alike it makes no difference; where it fails on one, or is nearer to its own labels on
    the other by far, it was fitted on the other. InvalidInput: neither tells, or the model fails on both."""
    known = training_set.pandas_dtypes()
    own = {name: known[name] for name in inputs}
    zone = training_set.zone or _UTC
    other = dtypes.as_spark(own, inputs, zone)
    differing = [name for name in inputs if own[name] != other[name]]
    if example is not None or not differing:
        rows = _rows(training_set, _FEW)
        return _asked(predict, rows, own if example is None else dtypes.of_example(example, own, inputs, zone))
    rows = _rows(training_set, _MANY)
    first, second = _tried(predict, rows, own), _tried(predict, rows, other)
    if isinstance(first, FstkError):
        if isinstance(second, FstkError):
            raise first
        return second
    if isinstance(second, FstkError) or repr(first.answers.to_pylist()) == repr(second.answers.to_pylist()):
        return first
    near, far = (_error(one.answers, rows, training_set.label) for one in (first, second))
    if near * 2 < far:
        return first
    if far * 2 < near:
        return second
    if training_set.zone is None:
        return first
    raise InvalidInput(
        f"{', '.join(differing)}: load_df().toPandas() gives {_names(other, differing)}, to_pandas() gives "
        f"{_names(own, differing)}, and the model answers differently to them. Say which one it was fitted on: "
        "log_model(…, input_example=the frame)."
    )


def in_order(inputs: Schema, model: Any, example: Any) -> Schema:
    """Return a model's columns in the order in which it was fitted on them: as it says itself, else as in ``example``,
    else as they are. LightGBM and statsmodels take columns by their place, whatever they are called."""
    known = {_plain(name): name for name in inputs}
    for names in (*_fitted_names(model), getattr(example, "columns", ())):
        order = [known[_plain(str(name))] for name in names if _plain(str(name)) in known]
        if len(known) == len(inputs) == len(order) == len(set(order)):
            return {name: inputs[name] for name in order}
    return inputs


def _plain(name: str) -> str:
    return name.replace(" ", "_")  # as LightGBM calls what it was fitted on


def _fitted_names(model: Any) -> Iterator[Iterable[Any]]:
    said = getattr(model, "feature_name", None)  # of LightGBM's own boosters
    for found in (
        getattr(model, "feature_names_in_", None),
        getattr(model, "feature_names", None),  # of XGBoost's
        said() if callable(said) else None,
        getattr(getattr(model, "model", None), "exog_names", None),  # of results of statsmodels
    ):
        if isinstance(found, list | tuple | np.ndarray):
            yield found


def _names(found: Mapping[str, Dtype], columns: list[str]) -> str:
    return ", ".join(dict.fromkeys("maps as dicts" if found[name].spark else found[name].name for name in columns))


def _rows(training_set: TrainingSet, number: int) -> pa.Table:
    """Return a few rows of the training set, looked up from a few of its labels."""
    labels: Any = training_set.labels
    few = session_for(labels).arrow(labels.limit(number)) if is_spark(labels) else labels.slice(0, number)
    return TrainingSet(training_set.plan, few, training_set.as_known, training_set.session).to_arrow()


def _asked(predict: Predict, rows: pa.Table, found: dict[str, Dtype]) -> Fitted:
    try:
        sample = dtypes.frame(rows.select(list(found)), found)
        predicted = predict(sample)
    except Exception as error:
        nulls = any(rows.column(name).null_count for name in found)
        filled = (
            "; if its nulls were filled, let lookups do that: FeatureLookup(…, default_values={…})" if nulls else ""
        )
        raise InvalidInput(
            f"the model fails on rows of its own training set: {type(error).__name__}: {line(error)}. If it was fitted "
            f"on fewer columns, leave the others out: create_training_set(…, exclude_columns=[…]){filled}; if on "
            "another frame than to_pandas() gives, say which: log_model(…, input_example=the frame)."
        ) from error
    return Fitted(found, sample, predicted, as_arrow(predicted, rows.num_rows, "the model"))


def _tried(predict: Predict, rows: pa.Table, found: dict[str, Dtype]) -> Fitted | FstkError:
    try:
        return _asked(predict, rows, found)
    except FstkError as error:
        return error


def _error(answers: pa.Array, rows: pa.Table, label: str | None) -> float:
    """Return how far answers are from the labels: the mean square, of words the share that is missed; NaN without."""
    if label is None:
        return float("nan")
    wanted = rows.column(label).combine_chunks()
    if pa.types.is_nested(answers.type) or pa.types.is_string(answers.type) or pa.types.is_string(wanted.type):
        return float(np.mean([a != b for a, b in zip(answers.to_pylist(), wanted.to_pylist(), strict=True)]))
    try:
        given, labels = (column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in (answers, wanted))
    except pa.ArrowException:
        return float("nan")
    return float(np.mean((given - labels) ** 2))
