"""What fstk knows of a table, as the Delta table's own properties: written by one function, read back by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fstk.engines.base import Schema
from fstk.errors import DamagedTable
from fstk.tables.spec import NOBODY, FeatureTable, Grants, TableDefinition

_KEYS = "fstk.primary_keys"
_TIME = "fstk.timeseries_column"
_TAG = "fstk.tag."
_GRANTS = "fstk.grants"

# Incremental publishing and "as known at" read the change data feed from the first version on, so nothing of the
# history may be cleaned away; commit times are kept in the commits, for those of the files are lost by a copy. Delta's
# conflict check must see two inserts of one key, which only Serializable promises.
KEPT = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
CHANGES = {"delta.enableChangeDataFeed": "true", **KEPT}
APPENDED = {**CHANGES, "delta.dataSkippingNumIndexedCols": "0"}
"""Of a table that delta-rs writes: without statistics, in which it forgets NaN, so that Spark would skip its rows."""
DELTA = {"delta.enableInCommitTimestamps": "true", "delta.isolationLevel": "Serializable", **CHANGES}


def to_properties(definition: TableDefinition) -> dict[str, str]:
    """Return the table properties that a new feature table carries (its description is Delta's own)."""
    found = {**DELTA, **to_keys(definition)}
    if definition.timeseries_column is not None:
        found[_TIME] = definition.timeseries_column
    return found | {tag_property(key): value for key, value in definition.tags.items()}


def to_keys(definition: TableDefinition) -> dict[str, str]:
    """Return the property by which a feature table is known."""
    return {_KEYS: json.dumps(definition.primary_keys)}


def from_properties(
    name: str, properties: Mapping[str, str], schema: Schema, partition_columns: Sequence[str], description: str | None
) -> FeatureTable | None:
    """Return the feature table that a Delta table's properties describe, or None when it is not a feature table.

    Raises DamagedTable where the properties name columns that the table lacks, or do not parse.
    """
    if _KEYS not in properties:
        return None
    try:
        keys = tuple(json.loads(properties[_KEYS]))
    except (ValueError, TypeError) as error:
        raise DamagedTable(f"{name}: its property {_KEYS} is {properties[_KEYS]!r}, not a JSON list.") from error
    table = FeatureTable(name, keys, properties.get(_TIME), schema, tuple(partition_columns), description or None)
    lost = [key for key in table.keys if key not in schema]
    if lost:
        raise DamagedTable(f"{name}: its properties name the key {lost[0]!r}, which is no column of it.")
    tags = {key.removeprefix(_TAG): value for key, value in properties.items() if key.startswith(_TAG)}
    return replace(table, tags=tags, grants=_grants(properties.get(_GRANTS, "{}")))


def grants_property(grants: Grants) -> dict[str, str]:
    """Return the property that records grants."""
    return {_GRANTS: json.dumps(grants)}


def _grants(text: str) -> Grants:
    """Return what :func:`grants_property` recorded; of what is not of its form nothing is granted to anybody."""
    try:
        found = json.loads(text)
    except ValueError:
        return NOBODY
    if not isinstance(found, dict):
        return NOBODY
    named = {privilege: names if isinstance(names, list) else [] for privilege, names in found.items()}
    return {privilege: tuple(one for one in names if isinstance(one, str)) for privilege, names in named.items()}


def tag_property(key: str) -> str:
    return _TAG + key
