"""Every point-in-time case of the contract, on every engine.

The feature tables are written by delta-rs, not by fstk, so that a case may hold what fstk would not write: duplicates.
"""

from __future__ import annotations

import builtins
import datetime as dt
import decimal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fstk import errors
from fstk.engines.base import Engine
from fstk.engines.types import arrow_type, schema_of
from fstk.training.spec import FeatureLookup
from fstk.training.training_set import TrainingSet, create_training_set
from tests.contracts.conftest import load_cases
from tests.contracts.rows import assert_same_rows, table_of, value_of
from tests.training.shelf import Shelf


def _repeats(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> bool:
    seen = [tuple(row.get(key) for key in keys) for row in rows]
    return any(seen.count(key) > 1 for key in seen)


OVER_CONNECT = (
    "exact_timestamp_matches",
    "null_key",
    "composite_key_order",
    "static_table",
    "two_lookups_one_table",
    "exclude_columns",
    "empty_labels",
    "unknown_table",
    "date_label_timestamp_feature",
    "extreme_times",
    "decimal_keys",
    "duplicates_in_a_foreign_table",
    "every_type_passes",
    "every_type_defaults",
    "known_only_since_written",
)
"""One of each kind that the way to a server could change: how rows, types, nulls, several tables and errors travel."""


@pytest.mark.parametrize("case", load_cases("pit", OVER_CONNECT))
def test_pit_case(case: Mapping[str, Any], engine: Engine, tmp_path: Path) -> None:
    if "error" in case:
        kind = getattr(builtins, case["error"], None) or getattr(errors, case["error"])
        with pytest.raises(kind) as caught:
            _rows(_training_set(case, engine, tmp_path), engine)
        for word in case.get("mentions", ()):
            assert word in str(caught.value)
        return
    training_set = _training_set(case, engine, tmp_path)
    rows = _rows(training_set, engine)
    assert schema_of(rows.schema) == training_set.plan.schema == _types(case)
    assert_same_rows(rows, case["expected_rows"])


def _training_set(case: Mapping[str, Any], engine: Engine, folder: Path) -> TrainingSet:
    return create_training_set(
        engine.frame(table_of(case["labels"]), "df"),
        [_lookup(lookup, case) for lookup in case["lookups"]],
        case["label"],
        case.get("exclude_columns"),
        catalog=_shelf(case["feature_tables"], folder),
        as_known=case.get("as_known", False),
    )


def _shelf(tables: Mapping[str, Any], folder: Path) -> Shelf:
    shelf = Shelf(folder)
    for name, content in tables.items():
        # A table without duplicates may pass for fstk's own, whose keys are not looked at again.
        unique = not _repeats(content["rows"], content["primary_keys"])
        time = content.get("timeseries_column")
        shelf.add(name, table_of(content), content["primary_keys"], time, unique=unique)
    return shelf


def _rows(training_set: TrainingSet, engine: Engine) -> pa.Table:
    return training_set.to_arrow() if engine.name == "direct" else engine.arrow(training_set.load_df())


def _lookup(content: Mapping[str, Any], case: Mapping[str, Any]) -> FeatureLookup:
    arguments = {name: value for name, value in content.items() if name not in {"table_name", "lookup_key"}}
    seconds = arguments.pop("lookback_window_seconds", None)
    if seconds is not None:
        arguments["lookback_window"] = dt.timedelta(seconds=seconds)
    columns = case["feature_tables"].get(content["table_name"], {}).get("columns", {})
    renamed = {new: old for old, new in content.get("rename_outputs", {}).items()}
    if "default_values" in arguments:
        defaults = arguments["default_values"].items()
        arguments["default_values"] = {k: _default(v, columns.get(renamed.get(k, k))) for k, v in defaults}
    return FeatureLookup(content["table_name"], content["lookup_key"], **arguments)


def _default(value: Any, spark: str | None) -> Any:
    """A default of a type that JSON lacks, as Python has it; anything else as it stands, fitting or not."""
    kind = None if spark is None else arrow_type(spark)
    if kind is None:
        return value
    if pa.types.is_decimal(kind) and isinstance(value, str | float):
        return decimal.Decimal(str(value))
    if isinstance(value, str) and (
        pa.types.is_temporal(kind) or pa.types.is_binary(kind) or pa.types.is_floating(kind)
    ):
        typed = value_of(value, kind)
        return typed.replace(tzinfo=dt.UTC) if isinstance(typed, dt.datetime) else typed
    return value


def _types(case: Mapping[str, Any]) -> dict[str, str]:
    """The types that docs/rules.md#join-2 and docs/rules.md#join-5 ask for: the labels' own, then the features' own."""
    tables = case["feature_tables"]
    outputs: dict[str, str] = dict(case["labels"]["columns"])
    for lookup in case["lookups"]:
        columns = tables[lookup["table_name"]]["columns"]
        keys = {*tables[lookup["table_name"]]["primary_keys"], tables[lookup["table_name"]].get("timeseries_column")}
        names = lookup.get("feature_names") or [name for name in columns if name not in keys]
        for name in [names] if isinstance(names, str) else names:
            outputs[lookup.get("rename_outputs", {}).get(name, name)] = columns[name]
    excluded = case.get("exclude_columns") or ()
    return {name: kind.replace(", ", ",") for name, kind in outputs.items() if name not in excluded}
