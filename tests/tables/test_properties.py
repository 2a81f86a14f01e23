"""What is written into a table's properties is what is read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fstk.errors import DamagedTable
from fstk.tables.properties import from_properties, to_properties
from fstk.tables.spec import define

COLUMN = st.text(st.characters(exclude_characters=" ,;{}()\n\t=`", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.startswith("_")
)
SCHEMA = {"id": "bigint", "as_of": "timestamp", "x": "double"}


@given(
    columns=st.lists(COLUMN, min_size=3, max_size=6, unique_by=str.lower),
    timed=st.booleans(),
    tags=st.dictionaries(st.text(min_size=1).filter(str.strip), st.text(), max_size=4),
)
def test_a_definition_survives_its_properties(columns: list[str], timed: bool, tags: dict[str, str]) -> None:
    *keys, time = columns
    schema = dict.fromkeys(keys, "bigint") | {time: "timestamp", "__x": "double"}
    wanted = define("s.t", keys, schema, timeseries_column=time if timed else None, tags=tags, description="d")
    properties = to_properties(wanted)
    assert all(isinstance(value, str) for value in properties.values())
    found = from_properties("s.t", properties, schema, partition_columns=("__x",), description="d")
    assert found is not None
    assert (found.primary_keys, found.timeseries_column, found.tags) == (tuple(keys), time if timed else None, tags)
    assert (found.schema, found.partition_columns, found.description) == (schema, ("__x",), "d")


def test_the_history_that_publishing_and_as_known_read_is_kept() -> None:
    properties = to_properties(define("s.t", "id", SCHEMA))
    assert properties["delta.enableChangeDataFeed"] == "true"
    assert properties["delta.enableInCommitTimestamps"] == "true"
    assert properties["delta.isolationLevel"] == "Serializable"
    assert properties["delta.logRetentionDuration"] == properties["delta.deletedFileRetentionDuration"]


def test_a_table_without_feature_keys_is_none() -> None:
    assert from_properties("s.t", {"delta.appendOnly": "true"}, SCHEMA, partition_columns=(), description="") is None


@pytest.mark.parametrize("keys", ["id", "[1", "7"])
def test_keys_that_do_not_parse_are_damage(keys: str) -> None:
    with pytest.raises(DamagedTable, match="s.t: its property fstk.primary_keys is"):
        from_properties("s.t", {"fstk.primary_keys": keys}, SCHEMA, partition_columns=(), description=None)


def test_a_key_that_is_no_column_is_damage() -> None:
    with pytest.raises(DamagedTable, match="the key 'gone', which is no column"):
        from_properties(
            "s.t", {"fstk.primary_keys": json.dumps(["gone"])}, SCHEMA, partition_columns=(), description=None
        )
