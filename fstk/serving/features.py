"""A request's columns → its features: keys checked, features looked up, functions computed. Knows nothing of HTTP but
its refusals."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput
from fstk.online.spec import OnlineSpec
from fstk.serving.body import ABSENT, Rows
from fstk.serving.lookups import Found, Lookups
from fstk.serving.refusal import bad
from fstk.serving.values import example, reader
from fstk.training.functions import CompiledFunctions
from fstk.training.plan import TrainingPlan


@dataclass(frozen=True)
class Featured:
    """The values of a request's columns and of its features, one a row, and of those that it gave itself; what was
    found of them; how many columns of the request are of no use; and how many seconds the store took."""

    columns: dict[str, list[Any]]
    given: dict[str, list[Any]]
    found: Found
    ignored: int
    store_seconds: float


class Features:
    """The features of a plan, which requests ask for, and the ``inputs`` that they hold beside; those of ``whole`` may
    not be null. Raises as :class:`Lookups`."""

    def __init__(self, plan: TrainingPlan, store: OnlineSpec, inputs: Schema, whole: Collection[str]) -> None:
        self.lookups = Lookups(plan.joins, store, plan.key_types)
        looked_up = {output.name: output.type for join in plan.joins for output in join.outputs}
        times = {join.label_time: plan.labels[join.label_time] for join in plan.joins if join.label_time}
        self.keys: Schema = plan.key_types
        self._computed: Schema = {one.name: one.type for one in plan.functions}
        made = self.made = looked_up | self._computed
        asked = inputs | plan.function_columns
        self.required: Schema = {name: kind for name, kind in asked.items() if name not in made}
        self.optional: Schema = {name: kind for name, kind in (made | times).items() if name not in self.required}
        self.whole = {name for name in self.required if name in whole}
        self._readers = {name: reader(kind, name in self.keys) for name, kind in self.columns.items()}
        read = [column for one in plan.functions for column in one.columns if column not in self._computed]
        self._read_by_functions = {name: arrow_type(plan.types[name]) for name in read}
        self._functions = CompiledFunctions(plan.functions, plan.types)
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

    def read(self, rows: Rows) -> Featured:
        """Return the columns and features of a request. Refusal: it is not as the plan says. StoreUnavailable: the
        store did not answer."""
        given = {name: self._read(name, rows) for name in self._readers if name in rows.columns}
        ignored = self._ignored(rows)
        for name, kind in self.required.items():
            if name not in given or ABSENT in given[name]:
                raise bad(f"column {name} ({kind}) is missing")
            if name in self.whole and None in given[name]:
                raise bad(f"column {name} ({kind}) must not be null, as it never was when the model was trained")
        started = time.perf_counter()
        try:
            found = self.lookups.read(given, rows.number)
        except KeyError as error:
            raise bad(f"key {error.args[0]} ({self.keys[error.args[0]]}) is missing") from error
        took = time.perf_counter() - started
        columns = given | found.columns
        return Featured(columns | self._calculated(columns, rows.number), given, found, ignored, took)

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
        """Return the columns of the functions that the request does not hold."""
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
            raise bad("a feature function cannot be computed: a division by zero, or a number too large") from error
        return {name: found.column(name).to_pylist() for name in self._computed if name not in own}
