"""One lookup against one feature table: the join it asks for, or the refusal that says what to type instead."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fstk.columns.typing import Nulls
from fstk.columns.values import fitted
from fstk.display import plural
from fstk.engines.base import Schema, TableVersion
from fstk.engines.types import TIME_TYPES, arrow_type
from fstk.errors import InvalidInput, TypeMismatch, UnknownColumn, UnsupportedType, nearest
from fstk.tables.spec import FeatureTable
from fstk.training.spec import FeatureLookup


@dataclass(frozen=True)
class Output:
    """A column of the training set: ``feature`` of the table under ``name``; ``default`` None leaves nulls."""

    feature: str
    name: str
    type: str
    default: Any = None


@dataclass(frozen=True)
class Join:
    """One feature table found by one set of label columns, at a pinned version; look-back in microseconds.

    ``label_time`` and ``table_time`` are None together, for a table without a time column.
    """

    table: str
    location: str | None
    version: int
    label_keys: tuple[str, ...]
    table_keys: tuple[str, ...]
    label_time: str | None
    table_time: str | None
    lookback: int | None
    outputs: tuple[Output, ...]
    keys_known_unique: bool
    nulls: Nulls = "keep"

    @property
    def source(self) -> TableVersion:
        """The table version to read."""
        return TableVersion(self.table, self.location, self.version)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of the labels that the join reads."""
        return self.label_keys if self.label_time is None else (*self.label_keys, self.label_time)

    @property
    def table_columns(self) -> tuple[str, ...]:
        """The columns of the feature table that the join compares."""
        return self.table_keys if self.table_time is None else (*self.table_keys, self.table_time)


def resolve(lookup: FeatureLookup, labels: Schema, table: FeatureTable, own: Container[str] = ()) -> Join:
    """Return the join of one lookup, or refuse what does not fit the labels or the table; a feature that the table
    lacks is left out where ``own``, the caller's columns in lower case, stand for it."""
    _check_keys(lookup, labels, table)
    _check_time(lookup, labels, table)
    return Join(
        table=table.name,
        location=table.location,
        version=table.version,
        label_keys=lookup.lookup_key,
        table_keys=tuple(table.primary_keys),
        label_time=lookup.timestamp_lookup_key,
        table_time=table.timeseries_column,
        lookback=lookup.lookback,
        outputs=_outputs(lookup, table, own),
        keys_known_unique=table.written_by_fstk,
        nulls=lookup.nulls,
    )


def _check_keys(lookup: FeatureLookup, labels: Schema, table: FeatureTable) -> None:
    keys = table.primary_keys
    if len(lookup.lookup_key) != len(keys):
        raise InvalidInput(
            f"lookup_key of {table.name} names {plural(len(lookup.lookup_key), 'column')} "
            f"({', '.join(lookup.lookup_key)}); the table has {plural(len(keys), 'key')} ({', '.join(keys)})."
        )
    for column, key in zip(lookup.lookup_key, keys, strict=True):
        if column not in labels:
            where = f"{column!r} of {table.name} (its key {key})"
            raise UnknownColumn(f"lookup_key {where} is not a column of df.{nearest(column, labels)}")
        if _plain_type(labels[column], column) != _plain_type(table.schema[key], key):
            raise TypeMismatch(
                f"lookup_key {column} is {labels[column]}, but key {key} of {table.name} is {table.schema[key]}. "
                f"Keys are compared exactly: cast {column} to {table.schema[key]}."
            )


def _plain_type(spark: str, column: str) -> pa.DataType:
    arrow = arrow_type(spark)
    if pa.types.is_nested(arrow):
        raise UnsupportedType(f"key {column} is {spark}; a key must be of a plain type.")
    return arrow


def _check_time(lookup: FeatureLookup, labels: Schema, table: FeatureTable) -> None:
    time = lookup.timestamp_lookup_key
    if table.timeseries_column is None:
        if time is not None:
            raise InvalidInput(
                f"{table.name} has no time column, so timestamp_lookup_key={time!r} has nothing to compare "
                "with; leave it out."
            )
        return
    if time is None:
        raise InvalidInput(
            f"{table.name} has the time column {table.timeseries_column}: timestamp_lookup_key must name the labels' "
            "time column, so that no label sees the future."
        )
    if time not in labels:
        hint = nearest(time, labels)
        raise UnknownColumn(f"timestamp_lookup_key {time!r} of {table.name} is not a column of df.{hint}")
    stored = table.timeseries_column
    own, theirs = f"timestamp_lookup_key {time}", f"time column {stored} of {table.name}"
    for kind, where in ((labels[time], own), (table.schema[stored], theirs)):
        if kind not in TIME_TYPES:
            raise TypeMismatch(f"{where} is {kind}; it must be timestamp, timestamp_ntz or date. Cast it first.")


def _outputs(lookup: FeatureLookup, table: FeatureTable, own: Container[str]) -> tuple[Output, ...]:
    names = table.features if lookup.feature_names is None else lookup.feature_names
    lost = [name for name in names if name not in table.schema]
    for name in lost:
        if lookup.rename_outputs.get(name, name).lower() not in own:
            raise UnknownColumn(f"{table.name} has no feature {name}.{nearest(name, table.features)}")
    for name in lookup.rename_outputs:
        if name not in names:
            hint = nearest(name, names)
            raise UnknownColumn(f"rename_outputs: {name} is no feature looked up in {table.name}.{hint}")
    renamed = {name: lookup.rename_outputs.get(name, name) for name in names}
    for name in lookup.default_values:
        if name not in renamed.values():
            raise UnknownColumn(
                f"default_values: {name} is no output of the lookup of {table.name} (outputs go by their new names)."
                f"{nearest(name, renamed.values())}"
            )
    kept = {name: output for name, output in renamed.items() if name not in lost}
    return tuple(_output(lookup, name, output, table.schema[name]) for name, output in kept.items())


def _output(lookup: FeatureLookup, feature: str, name: str, kind: str) -> Output:
    if name not in lookup.default_values:
        return Output(feature, name, kind)
    where = f"default_values[{name!r}] of {lookup.table_name}"
    return Output(feature, name, kind, fitted(lookup.default_values[name], arrow_type(kind), where))
