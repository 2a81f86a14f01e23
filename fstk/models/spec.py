"""What a model keeps of the training set it was fitted on: one JSON file inside the model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from fstk.engines.base import Schema
from fstk.errors import InvalidInput
from fstk.training.plan import TrainingPlan
from fstk.training.spec import FeatureLookup

FILE = "feature_lookups.json"
"""Name of the file in the model's folder."""
_FORMAT = 1


@dataclass(frozen=True)
class ModelRecord:
    """The plan of the training set: lookups, table versions, key types, label, excluded columns, output types;
    ``as_known`` tells whether rows counted from the commit that wrote them."""

    plan: TrainingPlan
    as_known: bool

    @property
    def inputs(self) -> Schema:
        """The columns that the model takes, in the order it was trained on, with their Spark types."""
        return {name: kind for name, kind in self.plan.schema.items() if name != self.plan.label}

    @property
    def key_types(self) -> Schema:
        """The columns of a request by which features are looked up, with their Spark types."""
        keys = [key for join in self.plan.joins for key in join.label_keys]
        return {key: self.plan.labels[key] for key in dict.fromkeys(keys)}

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
    def tables(self) -> dict[str, int]:
        """The feature tables and the versions that the training set read."""
        return {join.table: join.version for join in self.plan.joins}

    def to_json(self) -> str:
        """Return the content of the file, the same for equal records."""
        content = {
            "format": _FORMAT,
            "inputs": self.inputs,
            "key_types": self.key_types,
            "label": self.plan.label,
            "tables": self.tables,
            "as_known": self.as_known,
            "plan": self.plan.to_json(),
        }
        return json.dumps(content, indent=1)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_record(folder: Path, model: str) -> ModelRecord:
    """Return the record in a model's folder, if this fstk logged it with one; ``model`` names it in errors."""
    file = folder / FILE
    if not file.is_file():
        raise InvalidInput(
            f"{model} carries no feature lookups: it was not logged with FeatureEngineeringClient.log_model."
        )
    content = json.loads(file.read_text(encoding="utf-8"))
    if content["format"] != _FORMAT:
        raise InvalidInput(f"{model} was logged by another fstk (format {content['format']}, expected {_FORMAT}).")
    return ModelRecord(TrainingPlan.from_json(content["plan"]), content["as_known"])
