"""Named sets of features, without a model: kept beside the tables that they name."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from fstk.display import Displayed, Sheet, plural
from fstk.errors import BadExpression, DamagedTable, FstkError, InvalidInput, TypeMismatch, shown
from fstk.tables.configured import open_records
from fstk.tables.records import Records
from fstk.training.functions import FeatureFunction, Function, kind_here, over_columns
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.spec import FeatureLookup

if TYPE_CHECKING:
    from fstk.engines.base import Schema
    from fstk.engines.spark import SparkEngine
    from fstk.tables.spec import FeatureTable
    from fstk.training.training_set import Tables

KIND = "features"
CALLED = "feature spec"
_FORMAT = 1
_KINDS = ("double", "string", "timestamp", "date", "boolean")
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

    @property
    def tables(self) -> list[str]:
        """The feature tables that are looked up in, each once."""
        return list(dict.fromkeys(one.table_name for one in self.lookups))

    @property
    def digest(self) -> str:
        """What tells this set from one that another call made under its name."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

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
    _check(spec, {name: catalog.get(name) for name in spec.tables})
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


def requested(spec: FeatureSpec, tables: Mapping[str, FeatureTable]) -> TrainingPlan:
    """Return the plan of a set for requests that hold just what it asks for: keys of the tables' own types, times as
    timestamps, and what else its functions read as the first of double, string, timestamp, date and boolean of which
    they can all be computed. BadExpression: this process computes them of none."""
    labels, free = _labels(spec, tables)
    draft = plan_training_set(labels, spec.features, tables, None, kind_of=_unknown)
    unknown = {*free, *(one.name for one in draft.functions)}
    known = {name: kind for name, kind in draft.types.items() if name not in unknown}
    typed = _typed(draft.functions, known) or {}
    labels |= {name: typed[name] for name in free if name in typed}
    excluded = [name for name in spec.exclude_columns if name in draft.schema]
    return plan_training_set(labels, spec.features, tables, None, excluded)


def _typed(functions: Sequence[Function], types: Schema) -> Schema | None:
    """Return ``types`` with those that the columns of functions may have, too, so that this process computes them."""
    if not functions:
        return types
    first = functions[0]
    free = [column for column in first.columns if column not in types]
    for kinds in product(_KINDS, repeat=len(free)):
        tried = types | dict(zip(free, kinds, strict=True))
        try:
            kind = kind_here({column: tried[column] for column in first.columns}, first.expression)
        except (BadExpression, TypeMismatch):
            continue
        found = _typed(functions[1:], tried | {first.name: kind})
        if found is not None:
            return found
    return None


def _check(spec: FeatureSpec, tables: Mapping[str, FeatureTable]) -> None:
    """Refuse what no labels could ever be joined with; the types of what only functions read are any request's to
    say."""
    labels, _ = _labels(spec, tables)
    plan_training_set(labels, spec.features, tables, None, kind_of=_unknown)


def _unknown(columns: Schema, expression: str) -> str:
    return _KINDS[0]


def _labels(spec: FeatureSpec, tables: Mapping[str, FeatureTable]) -> tuple[Schema, list[str]]:
    """Return labels that have all that a set asks for, and which of them only functions read, whose type is a guess."""
    lookups = spec.lookups
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
    free: list[str] = []
    for one in functions:
        asked = [column for column in over_columns(one).columns if column.lower() not in known]
        known |= {column.lower() for column in asked}
        free += asked
    return labels | dict.fromkeys(free, _KINDS[0]), free


def _rows(one: FeatureLookup | FeatureFunction) -> Iterator[tuple[str, str, str]]:
    if isinstance(one, FeatureFunction):
        yield one.output_name, "function", one.expression
        return
    by = ", ".join(one.lookup_key if one.timestamp_lookup_key is None else (*one.lookup_key, one.timestamp_lookup_key))
    names = ("all features",) if one.feature_names is None else one.feature_names
    for name in names:
        yield one.rename_outputs.get(name, name), one.table_name, by
