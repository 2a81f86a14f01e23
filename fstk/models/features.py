"""The columns of rows that are asked about now → their features: looked up online, and computed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk.columns.typing import EntityKeys
from fstk.columns.values import fitted, plain
from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput, UnknownColumn, nearest
from fstk.models.lookups import ABSENT, Lookups
from fstk.models.registry import DIGEST, Registry
from fstk.models.spec import FILE, ModelRecord, read_record
from fstk.online.spec import OnlineSpec, spec_of
from fstk.training.functions import CompiledFunctions
from fstk.training.plan import TrainingPlan

Columns = Mapping[str, list[Any]]


class OnlineFeatures:
    """The features of a plan, of which ``lookups`` are read from an online store, and the ``inputs`` beside.

    A row has the ``keys`` of its lookups and the ``required`` columns; the ``optional`` ones are features, which then
    stand for what would be found, and times, without which a row is of now. Raises as :class:`Lookups`.
    """

    def __init__(self, plan: TrainingPlan, store: OnlineSpec, inputs: Schema) -> None:
        self.lookups = Lookups(plan.joins, store, plan.key_types)
        looked_up = {output.name: output.type for join in plan.joins for output in join.outputs}
        times = {join.label_time: plan.labels[join.label_time] for join in plan.joins if join.label_time}
        self.keys: Schema = plan.key_types
        self.computed: Schema = {one.name: one.type for one in plan.functions}
        made = self.made = looked_up | self.computed
        asked = inputs | plan.function_columns
        self.required: Schema = {name: kind for name, kind in asked.items() if name not in made}
        self.optional: Schema = {name: kind for name, kind in (made | times).items() if name not in self.required}
        read = [column for one in plan.functions for column in one.columns if column not in self.computed]
        self._read_by_functions = {name: arrow_type(plan.types[name]) for name in read}
        self._functions = CompiledFunctions(plan.functions, plan.types)

    @property
    def columns(self) -> Schema:
        """The columns that a row may have: keys first, then those that it must have, then the others."""
        return self.keys | self.required | self.optional

    def compute(self, columns: Columns, number: int) -> dict[str, list[Any]]:
        """Return the ``computed`` columns that ``columns`` lack; those that are there are in every row. InvalidInput,
        ArithmeticError: a division by zero, or a number too large."""
        own = [name for name in self.computed if name in columns]
        if len(own) == len(self.computed):
            return {}
        kinds = self._read_by_functions | {name: arrow_type(self.computed[name]) for name in own}
        rows = {name: pa.array(columns[name], kind) for name, kind in kinds.items()}
        found = self._functions(pa.table(rows or {"": pa.nulls(number)}))
        return {name: found.column(name).to_pylist() for name in self.computed if name not in own}


def read_features(
    model_uri: str, keys: EntityKeys, store: str | OnlineSpec | None = None, registry_uri: str | None = None
) -> list[dict[str, Any]]:
    """Return the model's inputs for each of ``keys``; see ``FeatureEngineeringClient.read_features`` for arguments and
    errors."""
    record = _record(model_uri, Registry(registry_uri))
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence):
        raise InvalidInput(f"keys must be a list of dicts, one per row; got {type(keys).__name__}.")
    if not keys:
        return []
    features = OnlineFeatures(record.plan, spec_of(store), record.inputs)
    with closing(features.lookups) as lookups:
        given = _columns(keys, features)
        try:
            columns = given | lookups.read(given, len(keys)).columns
        except KeyError as error:
            raise _lacking(error.args[0], features, given) from error
    columns |= features.compute(columns, len(keys))
    values = zip(*(columns[name] for name in record.inputs), strict=True)
    return [dict(zip(record.inputs, row, strict=True)) for row in values]


def _record(model_uri: str, registry: Registry) -> ModelRecord:
    found = registry.find(model_uri)
    with tempfile.TemporaryDirectory(prefix="fstk-record-") as temporary:
        if DIGEST not in found.tags:  # whether it has a record is seen once it is here
            return read_record(registry.fetch(found, Path(temporary)), model_uri)
        registry.fetch(found, Path(temporary), FILE)
        return read_record(Path(temporary), model_uri)


def _columns(keys: EntityKeys, features: OnlineFeatures) -> dict[str, list[Any]]:
    """Return the values of ``keys`` by column, ABSENT where a row lacks an optional one, fitted to the columns' types.
    InvalidInput, UnknownColumn, TypeMismatch: a row is not as the plan says."""
    kinds = {name: arrow_type(kind) for name, kind in features.columns.items()}
    columns: dict[str, list[Any]] = {}
    for place, row in enumerate(keys):
        where = f"keys[{place}]"
        if not isinstance(row, Mapping):
            raise InvalidInput(f"{where} must be a dict of {', '.join(features.keys)}; got {type(row).__name__}.")
        for name, value in row.items():
            if name not in kinds:
                raise UnknownColumn(f"{where}: the model has no use for {name!r}.{nearest(str(name), kinds)}")
            python = plain(value)
            column = columns.setdefault(name, [ABSENT] * len(keys))
            column[place] = None if python is None else fitted(python, kinds[name], f"{where}: {name}")
    for name in (*features.required, *(features.computed.keys() & columns.keys())):
        if ABSENT in columns.get(name, [ABSENT]):
            raise _lacking(name, features, columns)
    return columns


def _lacking(name: str, features: OnlineFeatures, columns: Columns) -> InvalidInput:
    """Return the refusal that names the first row without the column ``name``."""
    place = columns.get(name, [ABSENT]).index(ABSENT)
    return InvalidInput(
        f"keys[{place}]: {name} ({features.columns[name]}) is missing; the model needs it of every row."
    )
