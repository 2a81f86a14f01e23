"""A request's columns → predictions: keys checked, features looked up, the model called. Knows nothing of HTTP but its
refusals."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput
from fstk.models.kernel import Scorer, together
from fstk.models.rows import RowFrames
from fstk.models.score import OpenedModel
from fstk.online.spec import OnlineSpec
from fstk.serving.body import ABSENT, Rows
from fstk.serving.lookups import Found, Lookups
from fstk.serving.refusal import bad
from fstk.serving.values import example, reader


class ModelFailed(Exception):
    """The model raised; its own error is the cause."""


@dataclass(frozen=True)
class Answer:
    """Predictions, one a row, what was found of the features, how many columns of the request the model has no use for,
    and how many seconds the store took."""

    predictions: list[Any]
    found: Found
    ignored: int
    store_seconds: float


class Endpoint:
    """A model and its lookups, resolved once. Raises as :class:`Lookups`."""

    def __init__(self, opened: OpenedModel, store: OnlineSpec) -> None:
        record = opened.record
        answers = "double" if record.answers == "void" else record.answers  # not known of models of the first form
        self.name = opened.found.name or "model"
        self.version = opened.found.version
        self.answers = answers
        self._scorer = Scorer(opened.model, opened.name, record, answers)
        self._frames = RowFrames(self._scorer)
        self._predict = self._scorer.loaded()
        self.lookups = Lookups(record.plan.joins, store, record.key_types)
        looked_up = {output.name: output.type for join in record.plan.joins for output in join.outputs}
        times = {join.label_time: record.plan.labels[join.label_time] for join in record.plan.joins if join.label_time}
        self.keys: Schema = record.key_types
        self._computed: Schema = {one.name: one.type for one in record.plan.functions}
        made = looked_up | self._computed
        asked = record.inputs | record.function_columns
        self.required: Schema = {name: kind for name, kind in asked.items() if name not in made}
        self.optional: Schema = {name: kind for name, kind in (made | times).items() if name not in self.required}
        self._readers = {name: reader(kind, name in self.keys) for name, kind in self.columns.items()}
        self.whole = {name for name in self.required if name in record.inputs and not record.dtypes[name].holds_nulls}
        read = [column for one in record.plan.functions for column in one.columns if column not in self._computed]
        self._read_by_functions = {name: arrow_type(record.plan.types[name]) for name in read}
        self._functions = record.compiled()
        self._inputs = list(record.inputs)
        self._spelling = {name.lower(): name for name in self._readers}

    @property
    def columns(self) -> Schema:
        """The columns that a request may have: keys first, then those that it must have, then the others."""
        return self.keys | self.required | self.optional

    @property
    def decimals(self) -> bool:
        """Whether a number's digits count."""
        return any("decimal" in kind for kind in self.columns.values())

    def example(self) -> dict[str, Any]:
        """Return a row that could be asked for, as JSON values."""
        return {name: example(kind) for name, kind in (self.keys | self.required).items()}

    def examples(self) -> list[dict[str, Any]]:
        """Return two such rows, by which all that answers is at work once: one that holds the features itself, and one
        whose features are looked up."""
        return [{name: example(kind) for name, kind in self.columns.items()}, self.example()]

    def answer(self, rows: Rows) -> Answer:
        """Return the predictions of a request. Refusal: it is not as the model's record says. StoreUnavailable: the
        store did not answer. ModelFailed. FstkError: what is stored does not fit the model."""
        columns = {name: self._read(name, rows) for name in self._readers if name in rows.columns}
        ignored = self._ignored(rows)
        for name, kind in self.required.items():
            if name not in columns or ABSENT in columns[name]:
                raise bad(f"column {name} ({kind}) is missing")
            if name in self.whole and None in columns[name]:
                raise bad(f"column {name} ({kind}) must not be null, as it never was when the model was trained")
        started = time.perf_counter()
        try:
            found = self.lookups.read(columns, rows.number)
        except KeyError as error:
            raise bad(f"key {error.args[0]} ({self.keys[error.args[0]]}) is missing") from error
        took = time.perf_counter() - started
        columns |= found.columns
        predictions = self._predicted(columns | self._calculated(columns, rows.number), rows.number)
        return Answer(predictions.to_pylist(), found, ignored, took)

    def _read(self, name: str, rows: Rows) -> list[Any]:
        read = self._readers[name]
        values = rows.columns[name]
        made = []
        for place, value in enumerate(values):
            try:
                made.append(value if value is None or value is ABSENT else read(value))
            except ValueError as error:
                kind = "key" if name in self.keys else "column"
                raise bad(f"{kind} {name}, row {place + 1}, {error}") from error
        return made

    def _ignored(self, rows: Rows) -> int:
        unknown = [name for name in rows.columns if name not in self._readers]
        for name in unknown:
            if name.lower() in self._spelling:
                raise bad(f"column {self._spelling[name.lower()]} is spelt in another case; names are compared exactly")
        return len(unknown)

    def _calculated(self, columns: dict[str, list[Any]], number: int) -> dict[str, list[Any]]:
        """Return the columns of the model's functions that the request does not hold."""
        own = [name for name in self._computed if name in columns]
        for name in own:
            if ABSENT in columns[name]:
                raise bad(f"column {name} must be in every row, or in none")
        if len(own) == len(self._computed):
            return {}
        kinds = self._read_by_functions | {name: arrow_type(self._computed[name]) for name in own}
        rows = {name: pa.array(columns[name], kind) for name, kind in kinds.items()}
        try:
            found = self._functions(pa.table(rows or {"": pa.nulls(number)}))
        except (InvalidInput, ArithmeticError) as error:
            raise bad(
                "a function of the model cannot be computed: a division by zero, or a number too large"
            ) from error
        return {name: found.column(name).to_pylist() for name in self._computed if name not in own}

    def _predicted(self, columns: dict[str, list[Any]], number: int) -> pa.Array:
        places, parts = [], []
        for place, frame in self._frames({name: columns[name] for name in self._inputs}, number):
            try:
                predicted = self._predict(frame)
            except Exception as error:
                raise ModelFailed from error
            places.append(place)
            parts.append(self._scorer.typed(predicted, len(place)))
        return together(places, parts)
