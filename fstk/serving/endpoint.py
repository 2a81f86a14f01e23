"""What is served: a model that answers with predictions, or a feature set that answers with its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput
from fstk.models.kernel import Scorer, together
from fstk.models.lookups import ABSENT
from fstk.models.rows import RowFrames
from fstk.models.score import OpenedModel
from fstk.online.reader import KeyState, Status
from fstk.online.spec import OnlineSpec
from fstk.serving.body import Rows
from fstk.serving.features import Featured, Features
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join


class ModelFailed(Exception):
    """The model raised; its own error is the cause."""


class Used(msgspec.Struct, frozen=True):
    """A feature that a prediction was made of: ``status`` tells whether the request gave it itself, or what was found
    for the row in ``table``, with age in seconds and source version as of :class:`Lookup`."""

    feature: str
    value: Any
    table: str
    status: Status | Literal["given"]
    age: float | None
    source_version: int | None


class Predictions(msgspec.Struct, frozen=True):
    """What a model answers: one prediction a row, and, of a request that wants it explained, the features of each."""

    predictions: list[Any]
    used: list[list[Used]] | msgspec.UnsetType = msgspec.UNSET


class Lookup(msgspec.Struct, frozen=True):
    """What was found for one row in one table, by which of the row's columns: an expired row counts as missing, but
    tells its age in seconds; the version of the feature table that it was published from is ``source_version``."""

    table: str
    by: list[str]
    status: Status
    age: float | None
    source_version: int | None


class Vectors(msgspec.Struct, frozen=True):
    """What a feature set answers: the features of each row, and what was found for it in each table; a table of which
    the request holds every feature itself is not asked, and not told."""

    predictions: list[dict[str, Any]]
    lookups: list[list[Lookup]]


@dataclass(frozen=True)
class Answer:
    """What is told, and the features that it was made of."""

    told: Predictions | Vectors
    featured: Featured


class Endpoint(ABC):
    """What is served under a name, at a version: its ``features`` are what a request asks for, ``answers`` the Spark
    type of a prediction, or those of a vector's features."""

    kind: Literal["model", "features"]

    def __init__(self, name: str, version: int | str | None, features: Features, answers: str | Schema) -> None:
        self.name = name
        self.version = version
        self.features = features
        self.lookups = features.lookups
        self.answers = answers

    @abstractmethod
    def answer(self, rows: Rows, explained: bool = False) -> Answer:
        """Return the answer to a request, with the features that a prediction used if it is to be ``explained``.
        Refusal: it is not as it must be. StoreUnavailable: the store did not answer. ModelFailed. FstkError: what is
        stored does not fit."""


class Predictor:
    """A model that was loaded, and the type ``answers`` of its predictions."""

    def __init__(self, opened: OpenedModel) -> None:
        record = opened.record
        self.answers = "double" if record.answers == "void" else record.answers  # not known of models of the first form
        self._scorer = Scorer(opened.model, opened.name, record, self.answers)
        self._frames = RowFrames(self._scorer)
        self._predict = self._scorer.loaded()
        kind = arrow_type(self.answers)
        number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        self._dtype = np.dtype(kind.to_pandas_dtype()) if number else None

    def __call__(self, columns: Mapping[str, list[Any]], number: int) -> list[Any]:
        """Return the predictions of ``number`` rows, of whose ``columns`` the model takes its own. ModelFailed."""
        places, parts = [], []
        for place, frame in self._frames(columns, number):
            try:
                predicted = self._predict(frame)
            except Exception as error:
                raise ModelFailed from error
            if len(place) == number and self._are_answers(predicted, number):
                return predicted.tolist()
            places.append(place)
            parts.append(self._scorer.typed(predicted, len(place)))
        return together(places, parts).to_pylist()

    def _are_answers(self, predicted: Any, number: int) -> bool:
        """Whether what the model says are one by one the answers, as they would come out of :meth:`Scorer.typed`."""
        return type(predicted) is np.ndarray and predicted.shape == (number,) and predicted.dtype == self._dtype


class ModelEndpoint(Endpoint):
    """A model and its lookups, resolved once. Raises as :class:`fstk.models.lookups.Lookups`."""

    kind = "model"

    def __init__(self, opened: OpenedModel, store: OnlineSpec) -> None:
        record = opened.record
        whole = [name for name in record.inputs if not record.dtypes[name].holds_nulls]
        features = Features(record.plan, store, record.inputs, whole)
        self._predict = Predictor(opened)
        super().__init__(opened.found.name or "model", opened.found.version, features, self._predict.answers)

    def answer(self, rows: Rows, explained: bool = False) -> Answer:
        featured = self.features.read(rows)
        predictions = self._predict(featured.columns, rows.number)
        used = [self._used(row, featured) for row in range(rows.number)] if explained else msgspec.UNSET
        return Answer(Predictions(predictions, used), featured)

    def _used(self, row: int, featured: Featured) -> list[Used]:
        used = []
        for join, states in zip(self.lookups.joins, featured.found.states, strict=True):
            state = states[row]
            found = None if state is None else _lookup(join, state, featured.found.at)
            for output in join.outputs:
                value = featured.columns[output.name][row]
                own = featured.given.get(output.name)
                if found is None or (own is not None and own[row] is not ABSENT):
                    used.append(Used(output.name, value, join.table, "given", None, None))
                else:
                    used.append(Used(output.name, value, join.table, found.status, found.age, found.source_version))
        return used


class FeatureSetEndpoint(Endpoint):
    """A named set of lookups and functions. Raises as :class:`fstk.models.lookups.Lookups`; InvalidInput: the set
    leaves out all of its features."""

    kind = "features"

    def __init__(self, name: str, version: str, plan: TrainingPlan, store: OnlineSpec) -> None:
        vector = {column: kind for column, kind in plan.schema.items() if column not in plan.labels}
        if not vector:
            raise InvalidInput(f"feature spec {name} leaves out all of its features; there is nothing to answer.")
        super().__init__(name, version, Features(plan, store, {}, ()), vector)

    def answer(self, rows: Rows, explained: bool = False) -> Answer:
        featured = self.features.read(rows)
        columns = zip(*(featured.columns[name] for name in self.answers), strict=True)
        vectors = [dict(zip(self.answers, values, strict=True)) for values in columns]
        found = featured.found
        joins = self.lookups.joins
        lookups = [
            [_lookup(join, state, found.at) for join, state in zip(joins, states, strict=True) if state is not None]
            for states in (zip(*found.states, strict=True) if joins else [()] * rows.number)
        ]
        return Answer(Vectors(vectors, lookups), featured)


def _lookup(join: Join, state: KeyState, at: datetime) -> Lookup:
    if state.status == "missing":
        return Lookup(join.table, list(join.label_keys), "missing", None, None)
    age = None if state.event_time is None else (at - state.event_time).total_seconds()
    return Lookup(join.table, list(join.label_keys), state.status, age, state.source_version)
