"""What a model keeps of the training set it was fitted on: one JSON file inside the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk.columns.values import decoded, encoded
from fstk.engines.base import Schema
from fstk.engines.types import arrow_schema, arrow_type
from fstk.errors import FstkError, InvalidInput
from fstk.models.predictions import fits
from fstk.training.dtypes import CATEGORY, Dtype, without_nulls
from fstk.training.functions import CompiledFunctions, FeatureFunction
from fstk.training.plan import TrainingPlan
from fstk.training.spec import FeatureLookup

FILE = "feature_lookups.json"
"""Name of the file in the model's folder."""
_FORMAT = 3
_FIRST = 1  # which kept no dtypes and no method
_SECOND = 2  # which kept no functions
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, FstkError)
PROBABILITIES = "predict_proba"


@dataclass(frozen=True)
class ModelRecord:
    """The plan of the training set: lookups, functions, table versions, key types, label, excluded columns, output
    types; ``as_known`` tells whether rows counted from the commit that wrote them.

    ``dtypes`` are those of the frame that the model was fitted on, in its order; ``method`` is what of the model is
    called, None for what its flavor calls; it answers with the Spark type ``answers`` (``void``: not known), of
    ``classes`` if it says.
    """

    plan: TrainingPlan
    as_known: bool
    dtypes: Mapping[str, Dtype]
    method: str | None = None
    answers: str = "void"
    classes: tuple[Any, ...] = ()

    @property
    def inputs(self) -> Schema:
        """The columns that the model takes, in the order of ``dtypes``, with their Spark types."""
        found = {name: kind for name, kind in self.plan.schema.items() if name != self.plan.label}
        return {name: found[name] for name in self.dtypes or found}

    @property
    def lookups(self) -> list[FeatureLookup]:
        """The lookups that bring exactly the features of the training set, whatever was added to the tables since."""
        lookups = []
        for lookup, place in zip(self.plan.lookups, self.plan.joined, strict=True):
            names = {
                output.feature: output.name
                for output in self.plan.joins[place].outputs
                if lookup.rename_outputs.get(output.feature, output.feature) == output.name
                and (lookup.feature_names is None or output.feature in lookup.feature_names)
            }
            if names:
                kept = set(names.values())
                renamed = {old: new for old, new in names.items() if old != new}
                defaults = {name: value for name, value in lookup.default_values.items() if name in kept}
                found = replace(lookup, feature_names=tuple(names), rename_outputs=renamed, default_values=defaults)
                lookups.append(found)
        return lookups

    @property
    def functions(self) -> list[FeatureFunction]:
        """The functions of the training set, over columns themselves."""
        return [FeatureFunction(one.expression, one.name) for one in self.plan.functions]

    @property
    def hidden(self) -> list[str]:
        """The columns that are looked up or computed for functions alone."""
        looked_up = [output.name for join in self.plan.joins for output in join.outputs]
        return [name for name in (*looked_up, *(one.name for one in self.plan.functions)) if name not in self.inputs]

    def compiled(self) -> CompiledFunctions:
        """Return what computes the functions: called with an Arrow table of a request's columns and of what was looked
        up, in the types of the training set, it returns the table with the functions' columns; a column that the table
        has already stands for the function's. BadExpression: a function that only Spark evaluates."""
        return CompiledFunctions(self.plan.functions, self.plan.types)

    @property
    def tables(self) -> dict[str, int]:
        """The feature tables and the versions that the training set read."""
        return {join.table: join.version for join in self.plan.joins}

    def of_second_class(self, result_type: str) -> bool:
        """Tell whether a prediction of ``result_type`` is the probability of the second of two classes."""
        number = pa.types.is_floating(arrow_type(result_type))
        return number and self.method == PROBABILITIES and len(self.classes) == 2

    def predicts(self, result_type: str) -> bool:
        """Tell whether the model's answers can be had as ``result_type``, as far as types tell."""
        return fits(arrow_type(self.answers), arrow_type(result_type)) or self.of_second_class(result_type)

    def to_json(self) -> str:
        """Return the content of the file, the same for equal records."""
        content = {
            "format": _FORMAT,
            "inputs": self.inputs,
            "key_types": self.plan.key_types,
            "label": self.plan.label,
            "tables": self.tables,
            "as_known": self.as_known,
            "dtypes": {name: dtype.to_json() for name, dtype in self.dtypes.items()},
            "method": self.method,
            "answers": self.answers,
            "classes": [encoded(value) for value in self.classes],
            "plan": self.plan.to_json(),
        }
        return json.dumps(content, indent=1)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_record(folder: Path, model: str) -> ModelRecord:
    """Return the record in a model's folder, if this fstk logged it with one; ``model`` names it in errors."""
    file = folder / FILE
    if not file.exists():
        raise InvalidInput(
            f"{model} carries no feature lookups: it was not logged with FeatureEngineeringClient.log_model."
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known = content["format"]
        if known in (_FIRST, _SECOND, _FORMAT):
            return _checked(_from_json(content))
    except _DAMAGE as error:
        raise InvalidInput(
            f"{FILE} of {model} is damaged ({type(error).__name__}); fetch the model's files anew, or log it again."
        ) from error
    raise InvalidInput(f"{model} was logged by another fstk (format {known}, expected {_FORMAT}).")


def _from_json(content: Any) -> ModelRecord:
    plan = TrainingPlan.from_json(content["plan"])
    if content["format"] == _FIRST:
        record = ModelRecord(plan, content["as_known"], {})
        return replace(record, dtypes=without_nulls(record.inputs))
    dtypes = {name: Dtype.from_json(dtype) for name, dtype in content["dtypes"].items()}
    classes = tuple(decoded(value) for value in content["classes"])
    return ModelRecord(plan, content["as_known"], dtypes, content["method"], content["answers"], classes)


def _checked(record: ModelRecord) -> ModelRecord:
    """Return the record if all that scoring reads of it is there and of its type; else raise any of ``_DAMAGE``."""
    arrow_schema(record.plan.labels | record.inputs | record.plan.key_types | {"answers": record.answers})
    kinds = {bool: [record.as_known], str | None: [record.method, *record.tables, *record.plan.overridden]}
    for kind, values in kinds.items():
        if not all(isinstance(value, kind) for value in values):
            raise TypeError(values)
    if len(record.inputs) < len(record.plan.schema.keys() - {record.plan.label}):
        raise KeyError(*(record.plan.schema.keys() - record.dtypes.keys()))
    for dtype in (record.dtypes[name] for name in record.inputs):
        if dtype.holds_nulls and (dtype.name == CATEGORY) != (dtype.categories is not None):
            raise ValueError(dtype)
    _ = record.lookups, record.plan.key_types, record.functions, record.compiled()
    return record
