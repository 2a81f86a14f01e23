"""The text of the statements: identifiers quoted, values escaped."""

from __future__ import annotations

import pytest

from fstk.tables import sql, unity
from fstk.tables.spec import define

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
    " USING delta PARTITIONED BY (`id`) COMMENT 'it\\'s' TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', "
    "'delta.enableInCommitTimestamps' = 'true', 'delta.isolationLevel' = 'Serializable', "
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
        "WHEN MATCHED THEN UPDATE SET t.`x` = s.`x` "
        "WHEN NOT MATCHED THEN INSERT (`id`, `o``clock`, `x`) VALUES (s.`id`, s.`o``clock`, s.`x`)"
    )
    assert "UPDATE" not in sql.merge("T", "S", ["id"], ["id"])


def test_changes_of_a_table() -> None:
    assert sql.add_columns("T", {"a`b": "array<int>"}) == "ALTER TABLE T ADD COLUMNS (`a``b` array<int>)"
    assert sql.set_properties("T", {"a'": "b"}) == "ALTER TABLE T SET TBLPROPERTIES ('a\\'' = 'b')"
    assert sql.unset_property("T", "a'") == "ALTER TABLE T UNSET TBLPROPERTIES ('a\\'')"
    assert sql.comment("T", "it's") == "COMMENT ON TABLE T IS 'it\\'s'"


def test_a_table_of_unity_catalog_has_a_primary_key_with_its_time_series() -> None:
    assert unity.create_statement(DEFINITION) == (
        "CREATE TABLE `prod`.`store`.`t` (`id` bigint NOT NULL, `o.clock` string NOT NULL, "
        "`as_of` timestamp NOT NULL, `x` double, "
        f"CONSTRAINT `t_pk` PRIMARY KEY (`id`, `o.clock`, `as_of` TIMESERIES)){SETTINGS}"
    )


def test_a_static_table_of_unity_catalog_has_no_time_series() -> None:
    statement = unity.create_statement(define("c.s.t", "id", {"id": "bigint", "x": "double"}))
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
