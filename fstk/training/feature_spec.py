"""Named sets of features, without a model: kept beside the tables that they name."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fstk.display import Displayed, Sheet, plural
from fstk.errors import DamagedTable, FstkError, InvalidInput, shown
from fstk.tables.configured import open_records
from fstk.tables.records import Records
from fstk.training.functions import FeatureFunction, over_columns
from fstk.training.plan import plan_training_set
from fstk.training.spec import FeatureLookup

if TYPE_CHECKING:
    from fstk.engines.base import Schema
    from fstk.engines.spark import SparkEngine
    from fstk.tables.spec import FeatureTable
    from fstk.training.training_set import Tables

KIND = "features"
CALLED = "feature spec"
_FORMAT = 1
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, FstkError)


@dataclass(frozen=True, repr=False)
class FeatureSpec(Displayed):
    """A named set of lookups and functions, and the columns that it leaves out in the end; ``create_training_set`` and
    the endpoint read it by its ``name``.

    >>> fe.create_feature_spec(name="shop.recent", features=[lookup])
    shop.recent · 1 feature lookup
      feature       of          by
      all features  shop.spend  customer_id, at
    """

    name: str
    features: tuple[FeatureLookup | FeatureFunction, ...]
    exclude_columns: tuple[str, ...] = ()

    @property
    def lookups(self) -> list[FeatureLookup]:
        """The features that are looked up.

        >>> [one.table_name for one in fe.create_feature_spec(name="shop.recent", features=[lookup]).lookups]
        ['shop.spend']
        """
        return [one for one in self.features if isinstance(one, FeatureLookup)]

    def display(self) -> Sheet:
        """Return one line per feature that is named."""
        rows = [row for one in self.features for row in _rows(one)]
        functions = len(self.features) - len(self.lookups)
        more = f" · {plural(functions, 'function')}" if functions else ""
        notes = [f"excluded: {', '.join(self.exclude_columns)}"] if self.exclude_columns else []
        title = f"{self.name} · {plural(len(self.lookups), 'feature lookup')}{more}"
        return Sheet(title, ("feature", "of", "by"), rows, notes)

    def to_json(self) -> str:
        """Return the set as the text of its file.

        >>> fe.create_feature_spec(name="shop.recent", features=[lookup]).to_json()[3:14]
        '"format": 1'
        """
        content = {
            "format": _FORMAT,
            "name": self.name,
            "features": [one.to_json() for one in self.features],
            "exclude_columns": self.exclude_columns,
        }
        return json.dumps(content, indent=1)

    @classmethod
    def from_json(cls, text: str, name: str) -> FeatureSpec:
        """Return the set that :meth:`to_json` described; DamagedTable: it did not, or another fstk's did.

        >>> spec = fe.create_feature_spec(name="shop.recent", features=[lookup])
        >>> type(spec).from_json(spec.to_json(), spec.name) == spec
        True
        """
        try:
            content = json.loads(text)
            if content["format"] == _FORMAT:
                features = tuple(_feature(one) for one in content["features"])
                return cls(content["name"], features, tuple(content["exclude_columns"]))
        except _DAMAGE as error:
            raise DamagedTable(
                f"{CALLED} {name} is damaged ({type(error).__name__}: {error}). Delete it and create it anew."
            ) from error
        raise DamagedTable(f"{CALLED} {name} is of another fstk (format {content['format']}, expected {_FORMAT}).")


def create(
    name: str,
    features: Sequence[FeatureLookup | FeatureFunction],
    exclude_columns: Sequence[str] | None,
    catalog: Tables,
    session: SparkEngine | None,
) -> FeatureSpec:
    """Keep a set of features; see ``FeatureEngineeringClient.create_feature_spec``."""
    kinds = FeatureLookup | FeatureFunction
    if not isinstance(features, Sequence) or not features or not all(isinstance(one, kinds) for one in features):
        raise InvalidInput(f"features must be a list of FeatureLookup and FeatureFunction; got {shown(features)}.")
    excluded = () if exclude_columns is None else exclude_columns
    if isinstance(excluded, str) or not all(isinstance(column, str) for column in excluded):
        raise InvalidInput(f"exclude_columns must be a list of column names; got {exclude_columns!r}.")
    records = _records(session)
    spec = FeatureSpec(records.full_name(name), tuple(features), tuple(excluded))
    _check(spec, {one.table_name: catalog.get(one.table_name) for one in features if isinstance(one, FeatureLookup)})
    records.create(spec.name, spec.to_json())
    return spec


def get(name: str, session: SparkEngine | None) -> FeatureSpec:
    """Return the set of that name; see ``FeatureEngineeringClient.get_feature_spec``."""
    records = _records(session)
    name = records.full_name(name)
    return FeatureSpec.from_json(records.read(name), name)


def listed(session: SparkEngine | None) -> list[FeatureSpec]:
    """Return all sets by name; see ``FeatureEngineeringClient.list_feature_specs``."""
    found = []
    for name in _records(session).names():
        try:
            found.append(get(name, session))
        except FstkError as fault:
            warnings.warn(str(fault), stacklevel=3)
    return found


def delete(name: str, session: SparkEngine | None) -> None:
    """Remove the set of that name; see ``FeatureEngineeringClient.delete_feature_spec``."""
    records = _records(session)
    records.delete(records.full_name(name))


def _records(session: SparkEngine | None) -> Records:
    return open_records(KIND, CALLED, session)


def _feature(data: Mapping[str, Any]) -> FeatureLookup | FeatureFunction:
    return FeatureFunction.from_json(data) if "expression" in data else FeatureLookup.from_json(data)


def _check(spec: FeatureSpec, tables: Mapping[str, FeatureTable]) -> None:
    """Refuse what no labels could ever be joined with: the set is planned with labels that have all that it asks for,
    of the tables' own types, and of doubles where the types are any request's to say."""
    lookups = [one for one in spec.features if isinstance(one, FeatureLookup)]
    functions = [one for one in spec.features if isinstance(one, FeatureFunction)]
    labels: Schema = {}
    for one in lookups:
        table = tables[one.table_name]
        for column, key in zip(one.lookup_key, table.primary_keys, strict=False):
            labels.setdefault(column, table.schema[key])
    for one in lookups:
        if one.timestamp_lookup_key is not None:
            labels.setdefault(one.timestamp_lookup_key, "timestamp")
    known = {name.lower() for name in plan_training_set(labels, lookups, tables, None).schema}
    known |= {one.output_name.lower() for one in functions}
    for one in functions:
        asked = [column for column in over_columns(one).columns if column.lower() not in known]
        known |= {column.lower() for column in asked}
        labels |= dict.fromkeys(asked, "double")
    plan_training_set(labels, spec.features, tables, None, kind_of=lambda columns, expression: "double")


def _rows(one: FeatureLookup | FeatureFunction) -> Iterator[tuple[str, str, str]]:
    if isinstance(one, FeatureFunction):
        yield one.output_name, "function", one.expression
        return
    by = ", ".join(one.lookup_key if one.timestamp_lookup_key is None else (*one.lookup_key, one.timestamp_lookup_key))
    names = ("all features",) if one.feature_names is None else one.feature_names
    for name in names:
        yield one.rename_outputs.get(name, name), one.table_name, by
