"""What a plan decides and refuses, from names and types alone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fstk import FeatureLookup
from fstk.errors import (
    InvalidInput,
    NameCollision,
    TypeMismatch,
    UnknownColumn,
    UnknownTable,
    UnsupportedType,
)
from fstk.tables.spec import FeatureTable
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.resolve import Output

LABELS = {"k": "bigint", "other": "bigint", "at": "timestamp", "day": "date", "name": "string", "y": "boolean"}
TABLES = {
    "moving": FeatureTable(
        "moving",
        ("id",),
        "ts",
        {"id": "bigint", "ts": "timestamp", "a": "int", "b": "decimal(10,2)"},
        version=7,
        location="/w/moving",
    ),
    "still": FeatureTable(
        "still",
        ("code",),
        None,
        {"code": "string", "c": "array<int>"},
        version=2,
        location="/w/still",
        written_by_fstk=True,
    ),
}
MOVING = FeatureLookup("moving", "k", timestamp_lookup_key="at")
STILL = FeatureLookup("still", "name")


def plan(*lookups: Any, label: str | None = "y", exclude: Sequence[str] = (), **rest: Any) -> TrainingPlan:
    return plan_training_set(rest.pop("labels", LABELS), lookups, rest.pop("tables", TABLES), label, exclude, **rest)


def moving(**arguments: Any) -> FeatureLookup:
    given: dict[str, Any] = {"lookup_key": "k", "timestamp_lookup_key": "at"} | arguments
    return FeatureLookup("moving", **given)


def test_columns_are_the_labels_then_the_features_in_lookup_order() -> None:
    made = plan(STILL, MOVING)
    assert list(made.schema.items()) == [*LABELS.items(), ("c", "array<int>"), ("a", "int"), ("b", "decimal(10,2)")]
    assert made.features == ["c", "a", "b"]


def test_versions_are_pinned_and_keys_map_by_position() -> None:
    join = plan(MOVING).joins[0]
    assert (join.source.name, join.source.location, join.source.version) == ("moving", "/w/moving", 7)
    assert (join.label_keys, join.table_keys, join.label_time, join.table_time) == (("k",), ("id",), "at", "ts")
    assert [one.keys_known_unique for one in plan(MOVING, STILL).joins] == [False, True]


def test_lookups_of_the_same_table_keys_and_time_share_one_join() -> None:
    made = plan(
        moving(feature_names="b"),
        STILL,
        moving(feature_names="a"),
        moving(lookup_key="other", rename_outputs={"a": "a2", "b": "b2"}),
    )
    assert made.joined == (0, 1, 0, 2)
    assert [[output.name for output in join.outputs] for join in made.joins] == [["b", "a"], ["c"], ["a2", "b2"]]
    assert list(made.schema)[len(LABELS) :] == ["b", "c", "a", "a2", "b2"]


def test_another_time_is_another_join() -> None:
    made = plan(moving(feature_names="a"), moving(feature_names="b", timestamp_lookup_key="day"))
    assert [join.label_time for join in made.joins] == ["at", "day"]


def test_excluded_columns_are_left_out_but_may_serve_the_join() -> None:
    made = plan(MOVING, exclude=["k", "at", "b"])
    assert list(made.schema) == ["other", "day", "name", "y", "a"]
    assert list(made.label_columns) == list(LABELS)
    assert [output.name for output in made.joins[0].outputs] == ["a"]
    assert list(plan(MOVING, exclude=["name"]).label_columns) == ["k", "other", "at", "day", "y"]


def test_keys_and_time_of_a_table_can_be_named_as_features() -> None:
    made = plan(moving(feature_names=["ts", "a"], rename_outputs={"ts": "seen_at"}))
    assert made.schema["seen_at"] == "timestamp"


def test_defaults_are_fitted_to_the_type() -> None:
    outputs = plan(moving(rename_outputs={"b": "price"}, default_values={"price": 0.5})).joins[0].outputs
    assert outputs == (Output("a", "a", "int", None), Output("b", "price", "decimal(10,2)", Decimal("0.50")))


def test_a_plan_needs_no_lookup_and_no_label() -> None:
    assert plan(label=None).schema == LABELS


REFUSED: list[tuple[Any, dict[str, Any], type[Exception], list[str]]] = [
    (FeatureLookup("movin", "k"), {}, UnknownTable, ["movin", "moving"]),
    (moving(lookup_key="kk"), {}, UnknownColumn, ["lookup_key", "kk", "moving", "id", "Nearest: k"]),
    (moving(lookup_key=["k", "other"]), {}, InvalidInput, ["lookup_key", "k, other", "id", "2 columns", "1 key"]),
    (moving(lookup_key="name"), {}, TypeMismatch, ["name", "string", "id", "bigint", "moving"]),
    (FeatureLookup("moving", "k"), {}, InvalidInput, ["moving", "ts", "timestamp_lookup_key"]),
    (moving(timestamp_lookup_key="att"), {}, UnknownColumn, ["timestamp_lookup_key", "att", "Nearest: at"]),
    (moving(timestamp_lookup_key="name"), {}, TypeMismatch, ["timestamp_lookup_key", "name", "string", "timestamp"]),
    (moving(timestamp_lookup_key="k"), {}, TypeMismatch, ["k", "bigint"]),
    (FeatureLookup("still", "name", timestamp_lookup_key="at"), {}, InvalidInput, ["still", "timestamp_lookup_key"]),
    (moving(feature_names="aa"), {}, UnknownColumn, ["moving", "aa", "Nearest: a"]),
    (moving(feature_names="a", rename_outputs={"b": "c"}), {}, UnknownColumn, ["rename_outputs", "b", "moving"]),
    (moving(rename_outputs={"a": "x"}, default_values={"a": 1}), {}, UnknownColumn, ["default_values", "a", "x"]),
    (moving(default_values={"a": "one"}), {}, TypeMismatch, ["default_values", "a", "one", "int32", "moving"]),
    (moving(rename_outputs={"a": "y"}), {}, NameCollision, ["a", "moving", "y", "df", "rename_outputs"]),
    (moving(rename_outputs={"a": "Y"}), {}, NameCollision, ["Y", "y"]),
    (moving(rename_outputs={"a": "b"}), {}, NameCollision, ["feature b of moving", "feature a of moving"]),
    (MOVING, {"label": "yy"}, UnknownColumn, ["yy", "label", "Nearest: y"]),
    (MOVING, {"exclude": ["y"]}, InvalidInput, ["exclude_columns", "y"]),
    (MOVING, {"exclude": ["b", "nothing"]}, UnknownColumn, ["exclude_columns", "nothing"]),
    (MOVING, {"exclude": "b"}, InvalidInput, ["exclude_columns", "['b']"]),
    (MOVING, {"labels": LABELS | {"Y": "int"}}, NameCollision, ["y", "Y"]),
    (MOVING, {"labels": LABELS | {"gap": "interval day"}}, UnsupportedType, ["gap", "interval day"]),
    ("moving", {}, InvalidInput, ["FeatureLookup", "str"]),
]  # fmt: skip


@pytest.mark.parametrize(("lookup", "changes", "kind", "words"), REFUSED)
def test_refusals_name_what_was_asked_and_what_there_is(
    lookup: Any, changes: dict[str, Any], kind: type[Exception], words: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        plan(lookup, **changes)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert isinstance(caught.value, ValueError)
    assert message.count("\n") <= 2


def test_a_lone_lookup_is_refused_with_what_to_write() -> None:
    with pytest.raises(InvalidInput, match=r"\[FeatureLookup"):
        plan_training_set(LABELS, MOVING, TABLES, "y")  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [None, dt.timedelta(0), dt.timedelta(seconds=61)])
def test_lookups_of_one_table_share_one_lookback_even_by_other_keys(other: dt.timedelta | None) -> None:
    first = moving(feature_names="a", lookback_window=dt.timedelta(seconds=60))
    second = moving(lookup_key="other", feature_names="b", lookback_window=other)
    with pytest.raises(InvalidInput, match="lookback_window") as caught:
        plan(first, second)
    assert "0:01:00" in str(caught.value)
    plan(first, moving(lookup_key="other", feature_names="b", lookback_window=dt.timedelta(minutes=1)))


def test_two_features_of_one_name_in_different_tables_are_refused() -> None:
    with pytest.raises(NameCollision, match=r"feature c of still .*feature a of moving|feature a of moving.*still"):
        plan(moving(rename_outputs={"a": "c"}), STILL)


def test_the_callers_own_columns_stand_for_features_when_asked() -> None:
    labels = {"k": "bigint", "A": "string", "at": "timestamp", "name": "string"}
    made = plan(MOVING, STILL, label=None, labels=labels, caller_overrides=True)
    assert made.overridden == ("A",)
    assert list(made.schema.items()) == [*labels.items(), ("b", "decimal(10,2)"), ("c", "array<int>")]
    with pytest.raises(NameCollision):  # two features of one name are no overriding
        plan(
            MOVING, moving(lookup_key="k", timestamp_lookup_key="at"), label=None, labels=labels, caller_overrides=True
        )


def test_keys_of_a_nested_type_are_refused() -> None:
    table = replace(TABLES["still"], primary_keys=("c",))
    with pytest.raises(UnsupportedType, match="array<int>"):
        plan(FeatureLookup("still", "list"), labels={"list": "array<int>"}, tables={"still": table}, label=None)


def test_types_are_compared_by_meaning_not_by_spelling() -> None:
    labels = LABELS | {"name": "varchar(10)"}
    assert plan(STILL, labels=labels).joins[0].label_keys == ("name",)


def test_as_known_compares_a_table_without_time_with_the_one_label_time() -> None:
    assert [join.label_time for join in plan(STILL, MOVING).joins_as_known()] == ["at", "at"]
    with pytest.raises(InvalidInput, match=r"as_known: still .*0 label times \(none\)"):
        plan(STILL).joins_as_known()
    two = plan(STILL, moving(feature_names="a"), moving(feature_names="b", timestamp_lookup_key="day"))
    with pytest.raises(InvalidInput, match=r"as_known: still .*2 label times \(at, day\)"):
        two.joins_as_known()


def test_a_plan_survives_json() -> None:
    made = plan(
        moving(lookback_window=dt.timedelta(days=1), default_values={"b": Decimal("1.5")}),
        FeatureLookup("still", "name", default_values={"c": [1, None]}),
        exclude=["other"],
    )
    assert TrainingPlan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_plan_is_shown_with_source_version_condition_lookback_and_default() -> None:
    text = repr(plan(moving(lookback_window=dt.timedelta(days=1), default_values={"a": 7}), exclude=["k"]))
    assert "training set · 7 columns · 1 lookup" in text
    assert "moving v7" in text
    assert "k = id; ts ≤ at" in text
    assert "1 d" in text
    assert "excluded: k" in text
    assert max(map(len, text.splitlines())) <= 100


def test_label_times_without_a_zone_are_named() -> None:
    clock = LABELS | {"at": "timestamp_ntz"}
    assert "at has no zone and is taken as UTC" in repr(plan(MOVING, labels=clock))
    assert "has no zone" not in repr(plan(MOVING))
