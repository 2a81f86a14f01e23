"""Definitions of feature tables: what is accepted, in one normal form, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import types as T

from fstk.errors import InvalidInput, InvalidName, UnknownColumn, UnsupportedType
from fstk.tables.spec import FeatureTable, check_tag, define, read_schema

SCHEMA = {"customer_id": "bigint", "as_of": "timestamp", "spend": "double"}

SCALARS = {
    *("tinyint", "smallint", "int", "bigint", "float", "double", "decimal(38,4)", "boolean"),
    *("string", "binary", "date", "timestamp", "timestamp_ntz"),
}


@pytest.mark.parametrize(
    "keys",
    [
        {"primary_keys": "customer_id", "timeseries_column": "as_of"},
        {"primary_keys": ["customer_id"], "timeseries_column": ["as_of"]},
        {"primary_keys": ["customer_id", "as_of"], "timeseries_column": "as_of"},
        {"primary_keys": ["as_of", "customer_id"], "timestamp_keys": "as_of"},
        {"primary_keys": ("customer_id",), "timestamp_keys": ["as_of"]},
        {"primary_keys": ["customer_id"], "timeseries_column": "as_of", "timestamp_keys": ["as_of"]},
    ],
)
def test_the_time_column_is_one_whichever_way_it_is_named(keys: dict[str, Any]) -> None:
    definition = define("Feature_Store.T", schema=SCHEMA, **keys)
    assert (definition.name, definition.primary_keys, definition.timeseries_column, definition.keys) == (
        "feature_store.t",
        ("customer_id",),
        "as_of",
        ("customer_id", "as_of"),
    )


def test_a_time_column_that_is_only_a_key_makes_no_time_series() -> None:
    definition = define("a.b", ["customer_id", "as_of"], SCHEMA)
    assert definition.timeseries_column is None
    assert definition.keys == ("customer_id", "as_of")


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz", "date"])
def test_time_columns_are_instants_or_dates(kind: str) -> None:
    assert define("a.b", "id", {"id": "int", "t": kind}, timeseries_column="t").timeseries_column == "t"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"primary_keys": []}, InvalidInput, "primary_keys must name at least one"),
        ({"primary_keys": ["as_of"], "timeseries_column": "as_of"}, InvalidInput, "beside the time column"),
        ({"primary_keys": ["customer_id", "customer_id"]}, InvalidInput, "'customer_id' twice"),
        ({"primary_keys": [7]}, InvalidInput, "primary_keys"),
        ({"primary_keys": 7}, InvalidInput, "primary_keys must be a column name or a list of them; got 7"),
        ({"primary_keys": "customer"}, UnknownColumn, "'customer'. Nearest: customer_id"),
        ({"primary_keys": "customer_id", "timeseries_column": "asof"}, UnknownColumn, "Nearest: as_of"),
        ({"primary_keys": "customer_id", "timeseries_column": "spend"}, UnsupportedType, "spend is double"),
        ({"primary_keys": "customer_id", "timestamp_keys": ["as_of", "spend"]}, InvalidInput, "one time column"),
        (
            {"primary_keys": "customer_id", "timeseries_column": "as_of", "timestamp_keys": "spend"},
            InvalidInput,
            "disagree",
        ),
        ({"primary_keys": "customer_id", "partition_columns": "day"}, UnknownColumn, "partition_columns"),
        ({"primary_keys": "customer_id", "partition_columns": list(SCHEMA)}, InvalidInput, "every column"),
        ({"primary_keys": "customer_id", "tags": {"team": 7}}, InvalidInput, "a tag is a name and a text"),
        ({"primary_keys": "customer_id", "description": 7}, InvalidInput, "description"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words.replace("(", "\\(")):
        define("a.b", schema=SCHEMA, **arguments)


@pytest.mark.parametrize("kind", ["array<int>", "map<string,int>", "struct<a:int>"])
def test_keys_and_partitions_are_scalars(kind: str) -> None:
    with pytest.raises(UnsupportedType, match="column k is .* cannot be a key"):
        define("a.b", "k", {"k": kind, "x": "int"})
    with pytest.raises(UnsupportedType, match="column x is .* cannot be a partition column"):
        define("a.b", "k", {"k": "int", "x": kind}, partition_columns="x")


def test_a_partition_has_no_dot_in_its_name() -> None:
    with pytest.raises(InvalidName, match=r"partition column x\.y"):
        define("a.b", "k", {"k": "int", "x.y": "int", "z": "int"}, partition_columns="x.y")


def test_bytes_are_no_partition() -> None:
    with pytest.raises(UnsupportedType, match="column k is binary, which cannot be a partition column"):
        define("a.b", "k", {"k": "binary", "x": "int"}, partition_columns="k")


@pytest.mark.parametrize("kind", sorted(SCALARS))
def test_every_scalar_may_be_a_key(kind: str) -> None:
    assert define("a.b", "k", {"k": kind, "x": "int"}).schema["k"] == kind


@pytest.mark.parametrize("kind", ["void", "array<void>", "map<string,struct<a:void>>", "variant", "interval day"])
def test_types_that_no_table_can_hold_are_refused_by_column(kind: str) -> None:
    with pytest.raises(UnsupportedType, match="column x"):
        define("a.b", "k", {"k": "int", "x": kind})


@pytest.mark.parametrize(
    "name",
    [
        *("a b", "a,b", "", "a=b", "x\ty", "x`y", "x" * 256, "\ud800"),
        *("_change_type", "_Commit_Version", "__fstk_new", "_metadata", "filePath", "FILEPATH", "rowIndexCol"),
        *("deletionVectorId", "_row_id_", "_file_name_", "_Row_Dropped_", "__is_cdc", "__delta_internal_row_index"),
        "_tmp_metadata_row_index",
    ],
)
def test_column_names_that_delta_cannot_write_or_reserves_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="column"):
        define("a.b", "k", {"k": "int", name: "int"})


@pytest.mark.parametrize("name", ["x" * 255, "metadata", "_x", "x_", "__index_level_0__", "file_path"])
def test_other_column_names_are_taken(name: str) -> None:
    assert name in define("a.b", "k", {"k": "int", name: "int"}).schema


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("x" * 256, "y", "the name of a tag has 256 characters; at most 255"),
        ("x", "y" * 100_001, "the tag 'x' has 100,001 characters; at most 100,000"),
        ("x", "\udfff", "the tag 'x' holds half a character"),
    ],
)
def test_tags_and_descriptions_that_a_reader_would_not_take_are_refused(key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_tag(key, value)
    with pytest.raises(InvalidInput, match=words):
        define("a.b", "k", {"k": "int"}, tags={key: value})
    if len(key) == 1:
        with pytest.raises(InvalidInput, match=words.replace("the tag 'x'", r"a\.b: description")):
            define("a.b", "k", {"k": "int"}, description=value)


def test_columns_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(InvalidName, match="spend and Spend differ only in case"):
        define("a.b", "customer_id", SCHEMA | {"Spend": "int"})


@pytest.mark.parametrize("name", ["a.b.c.d", "1a", "a b", "a;drop", "", "a..b", "ä", "x" * 256])
def test_table_names_outside_the_rules_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        define(name, "customer_id", SCHEMA)


def test_a_schema_may_be_a_struct_a_dict_or_text() -> None:
    expected = {"id": "bigint", "t": "timestamp", "d": "decimal(10,2)", "a": "array<struct<x:int,`y z`:string>>"}
    struct = T.StructType(
        [
            T.StructField("id", T.LongType(), nullable=False),
            T.StructField("t", T.TimestampType()),
            T.StructField("d", T.DecimalType(10, 2)),
            T.StructField(
                "a",
                T.ArrayType(T.StructType([T.StructField("x", T.IntegerType()), T.StructField("y z", T.StringType())])),
            ),
        ]
    )
    assert read_schema(struct) == expected
    assert read_schema({"id": "BIGINT", "t": "Timestamp", "d": "DECIMAL(10, 2)", "a": expected["a"]}) == expected
    assert read_schema("id BIGINT, t timestamp, d decimal(10,2), a array<struct<x: int, `y z`: string>>") == expected


@pytest.mark.parametrize(
    "text", ["id", "id bigint, id int", "id bigint) ; drop table x", "id bigint not null", "", "id nonsense"]
)
def test_schema_text_that_is_not_columns_and_types_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="id|schema"):
        define("a.b", "id", read_schema(text))


def test_a_schema_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="schema must be a StructType.*got int"):
        read_schema(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "value"), [("", "x"), ("  ", "x"), (1, "x"), ("x", None)])
def test_tags_are_names_and_texts(key: Any, value: Any) -> None:
    with pytest.raises(InvalidInput, match="a tag is a name and a text"):
        check_tag(key, value)


def test_a_feature_table_shows_what_it_is() -> None:
    table = FeatureTable(
        "store.customers",
        ("customer_id",),
        "as_of",
        SCHEMA,
        description="<script>",
        tags={"team": "data-science"},
        version=3,
        rows=1_310_412,
        location="/w/store/customers",
    )
    assert repr(table).splitlines()[0] == (
        "store.customers v3 · 1,310,412 rows · keys (customer_id, as_of TIMESERIES) · 1 feature"
    )
    assert "as_of        timestamp  time" in repr(table)
    assert "tags: team=data-science" in repr(table)
    assert "by others than fstk" in repr(table)
    assert "&lt;script&gt;" in table._repr_html_()
    assert table.features == ["spend"]
    assert (table.at(2).name, table.at(2).version, table.at().version) == (table.name, 2, None)
