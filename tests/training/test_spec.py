"""What a lookup may look like, and that it survives being written down."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fstk import FeatureLookup
from fstk.columns.values import decoded, encoded
from fstk.errors import InvalidInput, InvalidName, NameCollision

DAY = dt.timedelta(days=1)


def test_names_may_stand_alone_or_in_a_list() -> None:
    alone = FeatureLookup("Shop.Features", "k", feature_names="a", timestamp_lookup_key="at")
    listed = FeatureLookup("shop.features", ["k"], feature_names=["a"], timestamp_lookup_key=["at"])
    assert alone == listed
    assert (alone.table_name, alone.lookup_key, alone.feature_names) == ("shop.features", ("k",), ("a",))
    assert alone.timestamp_lookup_key == "at"


def test_what_is_given_is_copied() -> None:
    renames, defaults = {"a": "b"}, {"b": 1}
    lookup = FeatureLookup("t", "k", rename_outputs=renames, default_values=defaults)
    renames["a"], defaults["b"] = "c", 2
    assert (lookup.rename_outputs, lookup.default_values) == ({"a": "b"}, {"b": 1})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lookup_key": []}, ["lookup_key of t must be a column name or a list of column names; got []."]),
        ({"lookup_key": None}, ["lookup_key"]),
        ({"lookup_key": 7}, ["lookup_key", "7"]),
        ({"lookup_key": ["k", ""]}, ["lookup_key"]),
        ({"feature_names": []}, ["feature_names"]),
        ({"feature_names": ["a", 1]}, ["feature_names"]),
        ({"rename_outputs": ["a"]}, ["rename_outputs of t must map column names; got ['a']."]),
        ({"rename_outputs": {"a": 1}}, ["rename_outputs", "a"]),
        ({"default_values": [1]}, ["default_values"]),
        ({"timestamp_lookup_key": ["at", "on"]}, ["timestamp_lookup_key", "at", "on"]),
        ({"timestamp_lookup_key": "at", "lookback_window": 60}, ["lookback_window", "timedelta", "60"]),
        ({"timestamp_lookup_key": "at", "lookback_window": -DAY}, ["lookback_window", "negative"]),
        ({"lookback_window": DAY}, ["lookback_window", "timestamp_lookup_key"]),
    ],
)
def test_another_shape_is_refused_by_name(arguments: dict[str, Any], words: list[str]) -> None:
    lookup: dict[str, Any] = {"lookup_key": "k"}
    with pytest.raises(InvalidInput) as caught:
        FeatureLookup("t", **(lookup | arguments))
    assert all(word in str(caught.value) for word in words)


def test_a_name_that_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidName, match="a-b"):
        FeatureLookup("a-b", "k")


@pytest.mark.parametrize("names", [["a", "a"], ["a", "b"]])
def test_two_outputs_of_one_name_are_refused(names: list[str]) -> None:
    with pytest.raises(NameCollision, match="a"):
        FeatureLookup("t", "k", feature_names=names, rename_outputs={"b": "A"})


def test_a_lookback_is_a_timedelta_or_a_length_as_people_write_it() -> None:
    for written, length in (("14d", 14 * DAY), ("36h", 1.5 * DAY), ("0", 0 * DAY), (2 * DAY, 2 * DAY)):
        lookup = FeatureLookup("t", "k", timestamp_lookup_key="at", lookback_window=written)
        assert lookup.lookback_window == length
        assert FeatureLookup.from_json(lookup.to_json()) == lookup
    with pytest.raises(InvalidInput, match=r"lookback_window of t: '14 days' is not a positive length; write '4w'"):
        FeatureLookup("t", "k", timestamp_lookup_key="at", lookback_window="14 days")


def test_a_lookback_is_counted_in_whole_microseconds() -> None:
    window = dt.timedelta(days=999_999_999, seconds=86_399, microseconds=999_999)
    lookup = FeatureLookup("t", "k", timestamp_lookup_key="at", lookback_window=window)
    assert lookup.lookback == 86_399_999_999_999_999_999
    assert FeatureLookup.from_json(json.loads(json.dumps(lookup.to_json()))) == lookup


def test_numpy_scalars_are_taken_as_the_numbers_they_hold() -> None:
    lookup = FeatureLookup("t", "k", default_values={"a": np.float64(0.5), "b": np.int64(3), "c": np.bool_(True)})
    assert [(type(value), value) for value in lookup.default_values.values()] == [(float, 0.5), (int, 3), (bool, True)]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.just(dt.UTC))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_a_default_value_survives_json(value: Any) -> None:
    back = decoded(json.loads(json.dumps(encoded(value))))
    assert (back, type(back)) == (value, type(value))


def test_nan_and_infinity_survive_json_too() -> None:
    text = json.dumps(encoded([float("nan"), float("-inf"), Decimal("1.50")]), allow_nan=False)
    nan, infinity, number = decoded(json.loads(text))
    assert nan != nan
    assert (infinity, str(number)) == (float("-inf"), "1.50")


def test_a_lookup_survives_json_whole() -> None:
    lookup = FeatureLookup(
        "a.b.c",
        ["k", "l"],
        feature_names=["x", "y"],
        rename_outputs={"x": "z"},
        timestamp_lookup_key="at",
        lookback_window=7 * DAY,
        default_values={"z": Decimal("0.10"), "y": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)},
    )
    assert FeatureLookup.from_json(json.loads(json.dumps(lookup.to_json()))) == lookup
