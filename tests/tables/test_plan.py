"""Plans: what a create or a write comes to, before anything is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fstk.errors import (
    InvalidInput,
    InvalidName,
    SchemaChange,
    TableExists,
    TypeMismatch,
    UnknownColumn,
    UnsupportedType,
)
from fstk.tables.plan import check_mode, plan_create, plan_write
from fstk.tables.report import WriteReport
from fstk.tables.spec import FeatureTable, define

SCHEMA = {"id": "bigint", "as_of": "timestamp", "a": "double", "b": "array<string>"}
SERIES = FeatureTable("s.t", ("id",), "as_of", SCHEMA)
STATIC = FeatureTable("s.t", ("id",), None, {"id": "bigint", "a": "double", "b": "array<string>"})


def test_a_table_that_is_not_there_is_created() -> None:
    plan = plan_create(define("s.t", "id", SCHEMA, timeseries_column="as_of"), None)
    plan.check()
    assert plan.action == "create"
    assert repr(plan).splitlines()[0] == (
        "s.t · plan: CREATE, keys (id, as_of TIMESERIES), 2 features      nothing written yet"
    )


def test_a_key_of_fractions_is_named_where_a_table_is_made() -> None:
    ids = define("s.t", "id", {"id": "double", "a": "double"})
    said = "key id is double, and no bigint matches it"
    assert said in repr(plan_create(ids, None))
    there = FeatureTable("s.t", ("id",), None, ids.schema)
    assert said not in repr(plan_create(ids, there)) + repr(there)
    assert said in repr(replace(there, report=WriteReport("s.t", None, 0, 1, 0, 0, 1)))


def test_creating_it_again_is_a_write() -> None:
    plan = plan_create(define("s.t", ["as_of", "id"], SCHEMA, timestamp_keys="as_of"), SERIES)
    plan.check()
    assert plan.action == "merge"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (define("s.t", ["id", "a"], SCHEMA, timeseries_column="as_of"), "primary keys (id), not (id, a)"),
        (define("s.t", ["id"], SCHEMA), "time column as_of, not none"),
        (
            define("s.t", "id", SCHEMA, timeseries_column="as_of", partition_columns="a"),
            "partition columns (), not (a)",
        ),
    ],
)
def test_other_keys_are_refused(other, words: str) -> None:
    plan = plan_create(other, SERIES)
    assert plan.action == "refuse"
    with pytest.raises(TableExists) as caught:
        plan.check()
    assert words in str(caught.value)
    assert "drop_table" in str(caught.value)


def test_a_frame_of_the_same_columns_in_any_order_is_merged() -> None:
    plan = plan_write(SERIES, dict(reversed(SCHEMA.items())))
    plan.check()
    assert (plan.action, plan.added, plan.kept) == ("merge", {}, ())


def test_new_columns_are_new_features() -> None:
    plan = plan_write(SERIES, SCHEMA | {"c": "INT", "d": "string"})
    plan.check()
    assert (plan.action, plan.added) == ("add columns", {"c": "int", "d": "string"})
    assert list(plan.table.schema) == ["id", "as_of", "a", "b", "c", "d"]
    assert "c       int            feature  new, null before" in repr(plan)


def test_missing_features_are_refused_on_a_time_series_and_kept_on_a_static_table() -> None:
    with pytest.raises(SchemaChange, match="lacks b; a row of a time-series table is written whole"):
        plan_write(SERIES, {"id": "bigint", "as_of": "timestamp", "a": "double"}).check()
    plan = plan_write(STATIC, {"id": "bigint", "a": "double"})
    plan.check()
    assert (plan.action, plan.kept) == ("merge", ("b",))


def test_a_missing_key_is_refused_on_both() -> None:
    with pytest.raises(UnknownColumn, match="lacks the key column as_of"):
        plan_write(SERIES, {"id": "bigint", "a": "double", "b": "array<string>"}).check()
    with pytest.raises(UnknownColumn, match="lacks the key column id. Nearest: ids"):
        plan_write(STATIC, {"ids": "bigint", "a": "double"}).check()


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("id", "int"),
        ("id", "string"),
        ("as_of", "timestamp_ntz"),
        ("a", "float"),
        ("b", "array<int>"),
        ("a", "decimal(10,2)"),
    ],
)
def test_a_changed_type_is_refused_with_both_types(column: str, kind: str) -> None:
    with pytest.raises(TypeMismatch) as caught:
        plan_write(SERIES, SCHEMA | {column: kind}).check()
    assert f"{column} is {SCHEMA[column]} in the table and {kind} in the frame" in str(caught.value)


@pytest.mark.parametrize(("many", "more"), [(3, ""), (4, " and 1 more"), (5, " and 2 more")])
def test_of_many_changed_types_three_are_named_and_the_rest_counted(many: int, more: str) -> None:
    names = [f"f{n}" for n in range(many)]
    table = FeatureTable("s.t", ("id",), None, {"id": "bigint", **dict.fromkeys(names, "double")})
    changed = "; ".join(f"{name} is double in the table and int in the frame" for name in names[:3])
    with pytest.raises(TypeMismatch) as caught:
        plan_write(table, {"id": "bigint", **dict.fromkeys(names, "int")}).check()
    assert str(caught.value) == f"s.t: {changed}{more}. Cast the frame's; a column keeps its type."


@pytest.mark.parametrize(("many", "named"), [(5, "f0, f1, f2, f3, f4;"), (6, "f0, f1, f2, f3, f4, …;")])
def test_of_many_missing_features_five_are_named(many: int, named: str) -> None:
    features = {f"f{n}": "double" for n in range(many)}
    table = FeatureTable("s.t", ("id",), "as_of", {"id": "bigint", "as_of": "timestamp", **features})
    with pytest.raises(SchemaChange, match=f"^s.t: the frame lacks {named} a row of"):
        plan_write(table, {"id": "bigint", "as_of": "timestamp"}).check()


def test_a_column_of_nulls_takes_the_type_of_the_table_but_cannot_be_new() -> None:
    assert plan_write(SERIES, SCHEMA | {"a": "void"}).action == "merge"
    with pytest.raises(UnsupportedType, match="column c holds only nulls"):
        plan_write(SERIES, SCHEMA | {"c": "void"}).check()


def test_a_new_column_named_like_an_old_one_but_for_case_is_refused() -> None:
    with pytest.raises(InvalidName, match="a and A differ only in case"):
        plan_write(SERIES, SCHEMA | {"A": "double"}).check()


def test_there_is_one_mode() -> None:
    check_mode("merge")
    with pytest.raises(InvalidInput, match="mode 'overwrite': there is 'merge'"):
        check_mode("overwrite")


def test_a_refusal_shows_as_a_plan() -> None:
    plan = plan_write(SERIES, SCHEMA | {"a": "string"})
    assert "plan: REFUSE" in repr(plan)
    assert "a is double in the table and string in the frame" in repr(plan)
