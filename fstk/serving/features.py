"""A request's columns → its features: keys checked, features looked up, functions computed. Knows nothing of HTTP but
its refusals."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fstk.engines.base import Schema
from fstk.errors import InvalidInput
from fstk.models.features import OnlineFeatures
from fstk.models.lookups import ABSENT, Found
from fstk.online.spec import OnlineSpec
from fstk.serving.body import Rows
from fstk.serving.refusal import bad
from fstk.serving.values import example, reader
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


class Features(OnlineFeatures):
    """The features of a plan, which requests ask for; of the ``inputs`` that they hold beside, those of ``whole`` may
    not be null."""

    def __init__(self, plan: TrainingPlan, store: OnlineSpec, inputs: Schema, whole: Collection[str]) -> None:
        super().__init__(plan, store, inputs)
        self.whole = {name for name in self.required if name in whole}
        self._readers = {name: reader(kind, name in self.keys) for name, kind in self.columns.items()}
        self._spelling = {name.lower(): name for name in self._readers}

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
        for name in self.computed:
            if ABSENT in columns.get(name, ()):
                raise bad(f"column {name} must be in every row, or in none")
        try:
            return self.compute(columns, number)
        except (InvalidInput, ArithmeticError) as error:
            raise bad("a feature function cannot be computed: a division by zero, or a number too large") from error
