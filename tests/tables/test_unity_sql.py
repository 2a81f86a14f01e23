"""Every statement that Unity Catalog is sent, as a file to read: what fstk writes, sqlglot and Spark read alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from pyspark.sql import SparkSession
from sqlglot import exp

from fstk.tables import sql, unity
from fstk.tables.definition import FeatureDefinition
from fstk.tables.grants import read_statements
from fstk.tables.properties import to_properties
from fstk.tables.spec import define
from fstk.warehouse import quoted

GOLDEN = Path(__file__).parent / "unity_catalog.sql"
NAME = "prod.feature_store.customer_features"
TABLE = quoted(NAME)
COLUMNS = {
    "customer_id": "bigint",
    "as_of": "timestamp",
    "region": "string",
    "o'clock": "double",
    "n": "map<string,int>",
}
TIMED = define(
    NAME,
    ["customer_id"],
    COLUMNS,
    timeseries_column="as_of",
    partition_columns="region",
    description="30 days before; it's ${nobody}'s setting",
    tags={"team": "data-science", "owner's": "a\\b"},
)
SPEND = FeatureDefinition(
    "sum(CASE WHEN kind = 'sale' THEN amount END)", "30d", ("customer_id",), "at", source="prod.shop.sales"
)
STATIC = define(
    "prod.feature_store.regions", ["region", "country"], {"region": "string", "country": "string", "n": "int"}
)
RIGHTS = """GRANT SELECT ON TABLE t TO `data-scientists`; GRANT ALL PRIVILEGES ON TABLE t TO `feature-engineers`;
REVOKE SELECT, MODIFY ON TABLE t FROM `x``; DROP TABLE t; --`; SHOW GRANTS ON TABLE t; SHOW GRANTS `a@b.com` ON t"""
STATEMENTS = [
    unity.create_statement(TIMED, {"o'clock": SPEND}),
    unity.create_statement(STATIC, {}),
    unity.tag_statement(NAME, {unity.TAG: "feature table", **TIMED.tags}),
    unity.untag_statement(NAME, "owner's"),
    sql.set_properties(TABLE, to_properties(TIMED)),
    sql.unset_property(TABLE, "fstk.tag.owner's"),
    sql.comment(TABLE, "what it's for"),
    unity.describe_statement(NAME, "o'clock", unity.described(SPEND, None)),
    sql.add_columns(TABLE, {"visits": "bigint", "o'clock": "decimal(38,2)"}),
    sql.merge(TABLE, "fstk_view", TIMED.keys, list(COLUMNS)),
    sql.merge(TABLE, "fstk_view", TIMED.keys, [*COLUMNS, "visits"], evolving=True),
    *(one.sql(NAME) for one in read_statements(RIGHTS)),
    unity.drop_statement(NAME),
]
SPARK_ALONE = re.compile(r"SHOW|MERGE WITH|ALTER TABLE \S+ UNSET")
"""What sqlglot takes for no statement that it knows; Spark reads those of them that its grammar has."""
DATABRICKS_ALONE = re.compile(r"GRANT|REVOKE|SHOW GRANTS|ALTER TABLE \S+ (UN)?SET TAGS|CREATE TABLE .* TIMESERIES")
"""What open-source Spark's grammar lacks."""


def test_the_statements_are_those_of_the_file() -> None:
    assert GOLDEN.read_text() == "".join(f"{one};\n" for one in STATEMENTS)


@pytest.mark.parametrize("statement", [one for one in STATEMENTS if not SPARK_ALONE.match(one)])
def test_the_dialect_of_databricks_has_it(statement: str) -> None:
    [read] = sqlglot.parse(statement, dialect="databricks")
    assert read is not None
    assert not isinstance(read, exp.Command)


@pytest.mark.spark
def test_spark_reads_what_its_grammar_has(spark: SparkSession) -> None:
    parser = spark._jsparkSession.sessionState().sqlParser()  # type: ignore[attr-defined]
    shared = [one for one in STATEMENTS if not DATABRICKS_ALONE.match(one)]
    assert len(shared) == 9
    for statement in shared:
        parser.parsePlan(statement)
    parser.parsePlan(STATEMENTS[0].replace(" TIMESERIES", ""))
