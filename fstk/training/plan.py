"""What will be joined to what, by names and types alone: every refusal happens here, before a row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from fstk.columns.values import decoded, encoded
from fstk.display import Displayed, Sheet, plural
from fstk.engines.base import Schema
from fstk.engines.types import arrow_schema
from fstk.errors import InvalidInput, NameCollision, UnknownColumn, UnknownTable, nearest
from fstk.tables.spec import FeatureTable
from fstk.training.functions import FeatureFunction, Function, KindOf, kind_here, needed, planned
from fstk.training.resolve import Join, Output, resolve
from fstk.training.spec import FeatureLookup

_NO_ZONE = "has no zone and is taken as UTC; of local clock times say timestamp_zone, in a line --tz"
_PENDING = ""
"""Type of a column that is not known yet."""


@dataclass(frozen=True, repr=False)
class TrainingPlan(Displayed):
    """How a training set comes about; a pure value, so that the same plan gives the same training set again.

    ``labels`` and ``schema`` are the columns going in and coming out, with their Spark types, in order; ``joined``
    gives for each lookup its place in ``joins``, since lookups that share table, keys and time share one join;
    ``overridden`` are features that the caller's own column of that name stands for. ``functions`` are in the order in
    which they can be computed; what only they read is joined, and is no column of ``schema``.
    """

    labels: Schema
    lookups: tuple[FeatureLookup, ...]
    joins: tuple[Join, ...]
    joined: tuple[int, ...]
    label: str | None
    exclude_columns: tuple[str, ...]
    overridden: tuple[str, ...]
    schema: Schema
    functions: tuple[Function, ...] = ()

    @property
    def types(self) -> Schema:
        """All columns that are there at any time: of the labels, looked up, computed."""
        looked_up = {output.name: output.type for join in self.joins for output in join.outputs}
        return self.labels | looked_up | {one.name: one.type for one in self.functions}

    @property
    def own_inputs(self) -> list[str]:
        """The columns of the labels' frame that stay in the training set beside the label, and so become inputs."""
        return [name for name in self.labels if name in self.schema and name != self.label]

    @property
    def zone_notes(self) -> dict[str, str]:
        """What is taken for granted of the labels' times that have no zone, a line by column."""
        times = dict.fromkeys(join.label_time for join in self.joins if join.label_time is not None)
        return {time: f"{time} {_NO_ZONE}" for time in times if self.labels[time] == "timestamp_ntz"}

    @property
    def features(self) -> list[str]:
        """The columns of the training set that come from feature tables, in order."""
        looked_up = {output.name for join in self.joins for output in join.outputs}
        return [name for name in self.schema if name in looked_up]

    @property
    def key_types(self) -> Schema:
        """The columns by which features are looked up, with their Spark types."""
        keys = [key for join in self.joins for key in join.label_keys]
        return {key: self.labels[key] for key in dict.fromkeys(keys)}

    @property
    def function_columns(self) -> Schema:
        """The columns of the labels that functions read, with their Spark types; what is looked up is not among
        them."""
        read = [column for one in self.functions for column in one.columns]
        return {column: self.labels[column] for column in dict.fromkeys(read) if column in self.labels}

    @property
    def label_columns(self) -> Schema:
        """The label columns that the joins, the functions or the training set need, in order."""
        read = {column for join in self.joins for column in join.label_columns}
        read |= {column for one in self.functions for column in one.columns}
        return {name: kind for name, kind in self.labels.items() if name in read or name in self.schema}

    def joins_as_known(self) -> tuple[Join, ...]:
        """Return the joins for ``as_known``: commit times of a table without a time column are compared with the one
        label time of the other lookups; InvalidInput when it is not one."""
        times = sorted({join.label_time for join in self.joins if join.label_time is not None})
        for join in self.joins:
            if join.label_time is None and len(times) != 1:
                raise InvalidInput(
                    f"as_known: {join.table} has no time column, and the other lookups name {len(times)} label times "
                    f"({', '.join(times) or 'none'}) of which one must say what was known when. Give them one."
                )
        return tuple(replace(join, label_time=join.label_time or times[0]) for join in self.joins)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, without loss; :meth:`from_json` turns them back."""
        joins = [asdict(join) for join in self.joins]
        for join in joins:
            for output in join["outputs"]:
                output["default"] = encoded(output["default"])
        functions = [asdict(one) for one in self.functions]
        lookups = [lookup.to_json() for lookup in self.lookups]
        return {**vars(self), "lookups": lookups, "joins": joins, "functions": functions}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingPlan:
        """Return the plan that :meth:`to_json` described."""
        made = {name: tuple(data[name]) for name in ("joined", "exclude_columns", "overridden")}
        made["lookups"] = tuple(FeatureLookup.from_json(lookup) for lookup in data["lookups"])
        made["joins"] = tuple(_join_from_json(join) for join in data["joins"])
        functions = data.get("functions", ())  # which records of the first two forms lack
        made["functions"] = tuple(Function(**{**one, "columns": tuple(one["columns"])}) for one in functions)
        return cls(**{**data, **made})

    def display(self) -> Sheet:
        """Return one line per output column: where it comes from, how its row is found, what stands for null."""
        found = {output.name: (join, output) for join in self.joins for output in join.outputs}
        expressions = {one.name: one.expression for one in self.functions}
        rows = []
        for name, kind in self.schema.items():
            if name in expressions:
                rows.append((name, kind, "function", expressions[name], None, None))
                continue
            if name not in found:
                rows.append((name, kind, "label" if name == self.label else "labels", None, None, None))
                continue
            join, output = found[name]
            lookback = None if join.lookback is None else timedelta(microseconds=join.lookback)
            default = None if output.default is None else repr(output.default)
            rows.append((name, kind, f"{join.table} v{join.version}", _condition(join), lookback, default))
        notes = [f"excluded: {', '.join(self.exclude_columns)}"] if self.exclude_columns else []
        if self.label is not None and self.own_inputs:
            own = ", ".join(self.own_inputs)
            notes.append(f"of df itself become inputs: {own} · leave one out: exclude_columns=[…]")
        notes += self.zone_notes.values()
        if self.overridden:
            notes.append(f"the caller's own columns stand for: {', '.join(self.overridden)}")
        more = f" · {plural(len(self.functions), 'function')}" if self.functions else ""
        title = f"training set · {len(self.schema)} columns · {plural(len(self.lookups), 'lookup')}{more}"
        return Sheet(title, ("column", "type", "from", "where", "look-back", "null becomes"), rows, notes)


def plan_training_set(
    labels: Schema,
    lookups: Sequence[FeatureLookup | FeatureFunction],
    tables: Mapping[str, FeatureTable],
    label: str | None,
    exclude_columns: Sequence[str] = (),
    *,
    caller_overrides: bool = False,
    kind_of: KindOf = kind_here,
) -> TrainingPlan:
    """Decide how labels and feature tables become a training set, or refuse it (docs/rules.md#point-in-time-join).

    ``tables`` are by canonical name. With ``caller_overrides`` a label column named like a feature stands for it
    instead of being refused, and is in the training set even if it is excluded (``score_batch``). ``kind_of`` tells the
    types of functions. See ``FeatureEngineeringClient.create_training_set`` for the rest.
    """
    if isinstance(lookups, FeatureLookup | FeatureFunction):
        one = type(lookups).__name__
        raise InvalidInput(f"feature_lookups must be a list of FeatureLookup; write [{one}(…)].")
    columns = _Columns(labels, caller_overrides)
    if label is not None and label not in labels:
        raise UnknownColumn(f"label {label!r} is not a column of df.{nearest(str(label), labels)}")
    joins: dict[tuple[Any, ...], Join] = {}
    lookbacks: dict[str, FeatureLookup] = {}
    joined = []
    functions = []
    for lookup in lookups:
        if isinstance(lookup, FeatureFunction):
            functions += columns.reserve(lookup)
            continue
        if not isinstance(lookup, FeatureLookup):
            kinds = "FeatureLookup and FeatureFunction"
            raise InvalidInput(f"feature_lookups must be a list of {kinds}; got {type(lookup).__name__}.")
        if lookup.table_name not in tables:
            raise UnknownTable(f"no feature table {lookup.table_name}.{nearest(lookup.table_name, tables)}")
        own = columns.own if caller_overrides else ()
        join = resolve(lookup, labels, tables[lookup.table_name], own)
        first = lookbacks.setdefault(join.table, lookup)
        if first.lookback != lookup.lookback:
            raise InvalidInput(
                f"lookback_window of {join.table} is {first.lookback_window} in one lookup and "
                f"{lookup.lookback_window} in another; the lookups of one table share one."
            )
        outputs = columns.add(join)
        key = (join.table, join.label_keys, join.label_time, join.nulls)
        shared = joins.get(key)
        joins[key] = replace(join, outputs=(*shared.outputs, *outputs) if shared else outputs)
        joined.append(list(joins).index(key))
    known = {name: kind for name, kind in columns.schema.items() if kind != _PENDING}
    computed = planned(functions, known, label, kind_of)
    schema = columns.schema | {one.name: one.type for one in computed}
    if caller_overrides:
        exclude_columns = [name for name in exclude_columns if name.lower() not in columns.own]
    excluded = _excluded(exclude_columns, schema, label)
    computed = needed(computed, lambda name: name not in excluded)
    read = {column for one in computed for column in one.columns}
    plan = TrainingPlan(
        labels=dict(labels),
        lookups=tuple(lookup for lookup in lookups if isinstance(lookup, FeatureLookup)),
        joins=tuple(
            replace(join, outputs=tuple(one for one in join.outputs if one.name not in excluded or one.name in read))
            for join in joins.values()
        ),
        joined=tuple(joined),
        label=label,
        exclude_columns=excluded,
        overridden=tuple(columns.overridden),
        schema={name: kind for name, kind in schema.items() if name not in excluded},
        functions=tuple(computed),
    )
    arrow_schema(
        {name: plan.types[name] for name in plan.label_columns | plan.schema}
    )  # refuses by name a column that could not pass through a kernel
    return plan


class _Columns:
    """The output's columns as they come together; no two may share a name, whatever its case: Spark ignores that."""

    def __init__(self, labels: Schema, caller_overrides: bool) -> None:
        self.schema: Schema = dict(labels)
        self.overridden: list[str] = []
        self.own: dict[str, str] = {}
        self._caller_overrides = caller_overrides
        for name in labels:
            other = self.own.setdefault(name.lower(), name)
            if other != name:
                raise NameCollision(f"columns {other} and {name} of df differ in case only; rename one.")
        self._taken = {folded: f"column {name} of df" for folded, name in self.own.items()}

    def reserve(self, function: FeatureFunction) -> list[FeatureFunction]:
        """Keep the place of a function's column, whose type is not known yet; return none where the caller's own column
        stands for it."""
        name = function.output_name
        if self._caller_overrides and name.lower() in self.own:
            self.overridden.append(self.own[name.lower()])
            return []
        if name.lower() in self._taken:
            raise NameCollision(
                f"FeatureFunction {name} is called as {self._taken[name.lower()]} is. Give it another output_name."
            )
        self._taken[name.lower()] = f"FeatureFunction {name}"
        self.schema[name] = _PENDING
        return [function]

    def add(self, join: Join) -> tuple[Output, ...]:
        """Add the outputs of a join and return them, without those that the caller's own columns stand for."""
        added = []
        for output in join.outputs:
            folded = output.name.lower()
            if self._caller_overrides and folded in self.own:
                self.overridden.append(self.own[folded])
                continue
            if folded in self._taken:
                raise NameCollision(
                    f"feature {output.feature} of {join.table} would be called {output.name}, as "
                    f"{self._taken[folded]} is. Give it another name: rename_outputs={{{output.feature!r}: …}}."
                )
            self._taken[folded] = f"feature {output.feature} of {join.table}"
            self.schema[output.name] = output.type
            added.append(output)
        return tuple(added)


def _excluded(columns: Sequence[str], schema: Schema, label: str | None) -> tuple[str, ...]:
    if isinstance(columns, str):
        raise InvalidInput(f"exclude_columns must be a list of column names; write [{columns!r}].")
    for name in columns:
        if name not in schema:
            hint = nearest(name, schema)
            raise UnknownColumn(f"exclude_columns: {name} is neither a column of df nor a feature.{hint}")
    if label is not None and label in columns:
        raise InvalidInput(f"exclude_columns names the label {label}; a training set keeps its label.")
    return tuple(columns)


def _condition(join: Join) -> str:
    pairs = zip(join.label_keys, join.table_keys, strict=True)
    keys = ", ".join(label if label == key else f"{label} = {key}" for label, key in pairs)
    if join.label_time is None:
        return keys
    value = "; newest value that is not null" if join.nulls == "skip" else ""
    return f"{keys}; {join.table_time} ≤ {join.label_time}{value}"


def _join_from_json(data: Mapping[str, Any]) -> Join:
    outputs = tuple(Output(**{**output, "default": decoded(output["default"])}) for output in data["outputs"])
    keys = {"label_keys": tuple(data["label_keys"]), "table_keys": tuple(data["table_keys"])}
    return Join(**{**data, **keys, "outputs": outputs})
