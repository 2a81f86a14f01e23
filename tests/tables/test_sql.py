"""The text of the statements: identifiers quoted, values escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from fstk.engines.spark import SparkEngine
from fstk.tables import sql, unity
from fstk.tables.spec import define
from fstk.tables.write import layout

NASTY = 'it\'s \\ ${spark.app.name}\n"q"\r\0'
DEFINITION = define(
    "prod.store.t",
    ["id", "o.clock"],
    {"id": "bigint", "o.clock": "string", "as_of": "timestamp", "x": "double"},
    timeseries_column="as_of",
    partition_columns="id",
    description="it's",
    tags={"team": "a'b"},
)
SETTINGS = (
    " USING delta PARTITIONED BY (`id`) COMMENT 'it\\'s' TBLPROPERTIES ("
    "'delta.enableInCommitTimestamps' = 'true', 'delta.isolationLevel' = 'Serializable', "
    "'delta.enableChangeDataFeed' = 'true', "
    "'delta.logRetentionDuration' = 'interval 36500 days', "
    "'delta.deletedFileRetentionDuration' = 'interval 36500 days', "
    "'fstk.primary_keys' = '[\"id\", \"o.clock\"]', 'fstk.timeseries_column' = 'as_of', 'fstk.tag.team' = 'a\\'b')"
)


def test_a_literal_holds_no_quote_line_end_or_substitution() -> None:
    assert sql.literal(NASTY) == "'it\\'s \\\\ \\u0024{spark.app.name}\\n\"q\"\\r\\u0000'"


def test_create_as() -> None:
    assert sql.create_as("delta.`/w/s/t`", DEFINITION, "rows") == (
        f"CREATE TABLE delta.`/w/s/t`{SETTINGS} AS SELECT `id`, `o.clock`, `as_of`, `x` FROM rows"
    )


def test_merge_updates_features_and_inserts_whole_rows() -> None:
    assert sql.merge("T", "S", ["id", "o`clock"], ["id", "o`clock", "x"]) == (
        "MERGE INTO T AS t USING S AS s ON t.`id` = s.`id` AND t.`o``clock` = s.`o``clock` "
        "WHEN MATCHED THEN UPDATE SET `x` = s.`x` "
        "WHEN NOT MATCHED THEN INSERT (`id`, `o``clock`, `x`) VALUES (s.`id`, s.`o``clock`, s.`x`)"
    )
    assert "UPDATE" not in sql.merge("T", "S", ["id"], ["id"])
    head = "MERGE INTO T AS t USING S AS s ON t.`id` = s.`id` "
    assert (
        sql.merge("T", "S", ["id"], ["id", "x"], inserting=False) == head + "WHEN MATCHED THEN UPDATE SET `x` = s.`x`"
    )
    only_new = head + "WHEN NOT MATCHED THEN INSERT (`id`, `x`) VALUES (s.`id`, s.`x`)"
    assert sql.merge("T", "S", ["id"], ["id", "x"], updating=False) == only_new
    assert sql.merge("T", "S", ["id"], ["id"], evolving=True).startswith(
        "MERGE WITH SCHEMA EVOLUTION INTO T AS t USING"
    )


KEYS = ["id", "day"]
HELD = pa.table({"id": [1, 1, 2, 3], "day": [1, 2, 1, 1], "x": [1.0, 2.0, None, 4.0], "y": ["a", "b", "c", "d"]})
GIVEN = {"id": "bigint", "day": "bigint", "x": "double", "y": "string", "z": "string"}


def answered(query: str, **tables: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a query of Spark's SQL over Arrow tables, as DuckDB answers it."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sqlglot.transpile(query, read="spark", write="duckdb")[0]).to_arrow_table().to_pylist()


def row(key: int | None, day: int | None, x: float | None, y: str | None, z: str | None = None) -> dict[str, Any]:
    return {"id": key, "day": day, "x": x, "y": y, "z": z}


def flags(rows: list[dict[str, Any]], given: Sequence[str] = tuple(GIVEN)) -> list[tuple[bool, bool]]:
    """Return whether each row is new to HELD, and whether it differs from its row there."""
    numbered = pa.Table.from_pylist([{**one, "n": n} for n, one in enumerate(rows)])
    there = {name: GIVEN[name] for name in HELD.column_names}
    query = sql.flagged("s_rows", "t_rows", KEYS, {name: GIVEN[name] for name in given}, there)
    found = answered(query.replace(" FROM ", ", s.n FROM ", 1), s_rows=numbered, t_rows=HELD)
    return [(one[sql.NEW], bool(one[sql.DIFFERS])) for one in sorted(found, key=lambda one: one["n"])]


EQUAL, DIFFERENT, NEW = (False, False), (False, True), (True, False)


def test_rows_are_new_or_differ_in_any_column_or_are_equal() -> None:
    assert flags([row(1, 1, 1.0, "a"), row(2, 1, None, "c")]) == [EQUAL, EQUAL]
    assert flags([row(1, 1, 9.0, "a"), row(1, 1, 1.0, "z")]) == [DIFFERENT, DIFFERENT]
    assert flags([row(2, 1, 0.0, "c"), row(3, 1, None, "d")]) == [DIFFERENT, DIFFERENT]
    assert flags([row(1, 3, 1.0, "a"), row(4, 1, 1.0, "a"), row(None, 1, 1.0, "a")]) == [NEW, NEW, NEW]
    assert flags([row(1, 1, 1.0, "a", "in a new column"), row(1, 1, 1.0, "a")]) == [DIFFERENT, EQUAL]
    assert flags([row(1, 1, 9.0, "z"), row(1, 3, 9.0, "z")], KEYS) == [EQUAL, NEW]
    one = answered(sql.flagged("S", "T", ["x"], {"x": "double"}, {"x": "double"}), S=HELD, T=HELD.slice(0, 1))
    assert sorted(found[sql.NEW] for found in one) == [False, True, True, True]


def flagged_rows(*rows: tuple[Any, ...]) -> pa.Table:
    names = [*KEYS, "region", "town", sql.NEW, sql.DIFFERS]
    kinds = [*[pa.int64()] * 2, *[pa.string()] * 2, *[pa.bool_()] * 2]
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names)


FLAGGED_ROWS = [
    (1, 1, "north", "a", True, False),
    (1, 2, "", "a", True, False),
    (2, 1, "north", "__HIVE_DEFAULT_PARTITION__", False, True),
    (3, 1, "north", "a", False, True),
    (3, 1, "north", "a", False, False),
    (3, 1, None, "a", False, False),
    (4, 4, "north", "a", True, False),
    (4, 4, "north", "a", True, False),
    (None, 1, "north", "a", True, False),
    (None, 1, "north", "a", True, False),
    (5, None, "north", "a", True, False),
]
FLAGGED = flagged_rows(*FLAGGED_ROWS)


def test_rows_are_counted_in_one_query() -> None:
    given = {"id": "bigint", "day": "bigint", "region": "string", "town": "string"}
    size = sum(16 + len(region or "") + len(town) for _, _, region, town, _, _ in FLAGGED_ROWS)
    counted = {"rows": 11, "nulls": 3, "repeated": 2, "repeating": 5, "inserted": 7, "updated": 2, "size": size}
    for partitions, lost in ((["region", "town"], 2), (["region"], 1), ([], 0)):
        assert answered(sql.totals("f", KEYS, partitions, given), f=FLAGGED) == [{**counted, "lost": lost}]


def test_keys_that_are_repeated_or_missing_are_listed_in_order() -> None:
    repeated = [{"id": 3, "day": 1, "__fstk_n": 3}, {"id": 4, "day": 4, "__fstk_n": 2}]
    assert answered(sql.repeated_keys("f", KEYS, 5), f=FLAGGED) == repeated
    assert answered(sql.repeated_keys("f", KEYS, 1), f=FLAGGED) == repeated[:1]
    missing = answered(sql.rows_without_key("f", KEYS, 5), f=FLAGGED)
    assert sorted(missing, key=str) == [{"id": 5, "day": None}, {"id": None, "day": 1}, {"id": None, "day": 1}]
    assert len(answered(sql.rows_without_key("f", KEYS, 2), f=FLAGGED)) == 2


def test_a_column_without_a_type_takes_the_wanted_one() -> None:
    given, wanted = {"id": "int", "a b": "void"}, {"id": "bigint", "a b": "string"}
    assert sql.typed(given, wanted) == ["`id`", "CAST(`a b` AS string) AS `a b`"]
    assert sql.flagged_as_new("S") == f"SELECT *, true AS {sql.NEW}, false AS {sql.DIFFERS} FROM S"


def test_changes_of_a_table() -> None:
    assert sql.add_columns("T", {"a`b": "array<int>"}) == "ALTER TABLE T ADD COLUMNS (`a``b` array<int>)"
    assert sql.set_properties("T", {"a'": "b"}) == "ALTER TABLE T SET TBLPROPERTIES ('a\\'' = 'b')"
    assert sql.unset_property("T", "a'") == "ALTER TABLE T UNSET TBLPROPERTIES ('a\\'')"
    assert sql.comment("T", "it's") == "COMMENT ON TABLE T IS 'it\\'s'"


def test_a_table_of_unity_catalog_has_a_primary_key_with_its_time_series() -> None:
    assert unity.create_statement(DEFINITION, {}) == (
        "CREATE TABLE `prod`.`store`.`t` (`id` bigint NOT NULL, `o.clock` string NOT NULL, "
        "`as_of` timestamp NOT NULL, `x` double, "
        f"CONSTRAINT `t_pk` PRIMARY KEY (`id`, `o.clock`, `as_of` TIMESERIES)){SETTINGS}"
    )


def test_a_static_table_of_unity_catalog_has_no_time_series() -> None:
    statement = unity.create_statement(define("c.s.t", "id", {"id": "bigint", "x": "double"}), {})
    assert "PRIMARY KEY (`id`))" in statement
    assert "TIMESERIES" not in statement
    assert "COMMENT" not in statement


def test_tags_of_unity_catalog() -> None:
    assert unity.tag_statement("c.s.t", {"team": "a'b", "$x": ""}) == (
        "ALTER TABLE `c`.`s`.`t` SET TAGS ('team' = 'a\\'b', '\\u0024x' = '')"
    )
    assert unity.untag_statement("c.s.t", "a'b") == "ALTER TABLE `c`.`s`.`t` UNSET TAGS ('a\\'b')"


@pytest.mark.spark
def test_spark_reads_a_literal_as_what_it_was(spark_engine) -> None:
    found = spark_engine.session.sql(f"SELECT {sql.literal(NASTY)} AS text, {sql.literal('')} AS none").collect()[0]
    assert (found.text, found.none) == (NASTY, "")


def test_a_merge_is_laid_out_by_size_where_the_engine_does_not_do_so_itself() -> None:
    nowhere: Any = None
    assert layout(SparkEngine(nowhere, "spark"), 128_000_001)["spark.sql.shuffle.partitions"] == "2"
    assert layout(SparkEngine(nowhere, "databricks"), 128_000_001) == {}
