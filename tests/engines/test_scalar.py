"""An expression depends on the columns of its row and on nothing else; what is allowed is listed, all else refused."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from fstk.engines.sql import scalar as rule
from fstk.engines.sql.scalar import check_columns, scalar
from fstk.errors import BadExpression, UnknownColumn


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("amount > 10 AND channel IN ('web', 'app')", ("amount", "channel")),
        ("upper(trim(both ' ' from a)) || substring(b from 1 for 2)", ("a", "b")),
        ("CASE WHEN a BETWEEN 1 AND 2 THEN b ELSE c END IS NOT NULL", ("a", "b", "c")),
        ("`odd name`[0].x <=> m['k']", ("odd name", "m")),
        ("a.b.c.d.e = 1", ("a",)),
        ("transform(xs, x -> x + y)", ("xs", "y")),
        ("aggregate(xs, 0, (total, x) -> total + x.v)", ("xs",)),
        ("datediff(day, a, b) + dateadd(hour, n, at) + extract(hour from at)", ("a", "b", "n", "at")),
        ("at - INTERVAL 7 DAYS > timestamp '2024-01-31 12:00:00'", ("at",)),
        ("cast(a as decimal(10,2)) + try_cast(b as struct<x:int>).x + c::double", ("a", "b", "c")),
        ("cast('epoch' as timestamp) < at AND d = date'2024-01-31'", ("at", "d")),
        ("cast(1700000000 as timestamp) < at", ("at",)),
        ("to_date(a || '-01') = to_timestamp('31.01.2024 12:30', 'dd.MM.yyyy HH:mm')", ("a",)),
        ("status = 'today' OR status LIKE 'now%' ESCAPE '!'", ("status",)),
        ("name = '${env:HOME}' -- as it stands", ("name",)),
        ("user = `current_date`", ("user", "current_date")),
        ("named_struct('a', struct(a AS x, b)).a.x = 1", ("a", "b")),
        ("(a, b) IN ((1, 2)) AND a LIKE ANY ('x', 'y') AND c RLIKE r'\\d'", ("a", "b", "c")),
    ],
)
def test_what_is_read(text: str, columns: tuple[str, ...]) -> None:
    assert scalar(text, "the filter").columns == columns


@pytest.mark.parametrize(
    ("text", "named"),
    [
        # the clock
        ("opens <= current_timestamp()", "current_timestamp"),
        ("opens <= current_timestamp", "current_timestamp"),
        ("opens <= CURDATE()", "curdate"),
        ("opens <= localtimestamp", "localtimestamp"),
        ("opens <= cast('now' as timestamp)", "'now'"),
        ("opens <= try_cast(' Today' as date)", "' Today'"),
        ("opens <= 'tomorrow'::timestamp_ntz", "'tomorrow'"),
        ("opens <= date 'yesterday'", "'yesterday'"),
        ("opens <= to_timestamp('now UTC')", "'now UTC'"),
        ("opens <= to_date(r'now')", "now"),
        ("opens <= timestamp('now')", "'now'"),
        ("opens <= timestamp '12:30:00'", "'12:30:00'"),
        ("opens <= cast('T12:30' as timestamp)", "'T12:30'"),
        ("opens <= cast('n' || 'ow' as timestamp)", r"'n' \|\| 'ow'"),
        ("opens <= cast('n' 'ow' as timestamp)", "'ow'"),
        ("opens <= cast(lower('NOW') as date)", "LOWER"),
        ("opens <= cast('\\u006eow' as timestamp)", "as a time may depend on when"),
        ("opens <= cast(cast('now' as string) as timestamp)", "'now'"),
        ("a > unix_timestamp()", "unix_timestamp"),
        ("a > to_unix_timestamp()", "to_unix_timestamp"),
        # chance, place, person
        ("rand() < 0.5", "rand is not deterministic"),
        ("`rand`() < 0.5", "rand is not deterministic"),
        ("uuid() = a", "uuid is not deterministic"),
        ("shuffle(xs)[0] = 1", "shuffle"),
        ("aes_encrypt(a, k) = b", "aes_encrypt"),
        ("version() = a", "version depends on who"),
        ("current_user() = a", "current_user"),
        ("current_timezone() = a", "current_timezone"),
        ("input_file_name() LIKE 'a%'", "input_file_name depends on where"),
        ("monotonically_increasing_id() < 5", "monotonically_increasing_id"),
        ("spark_partition_id() = 0", "spark_partition_id"),
        # what lies beyond the row
        ("(SELECT max(value) FROM text.`/abs/secret.txt`) LIKE 'TOP%'", "subquery"),
        ("k IN (SELECT k FROM delta.`/abs/other`)", "subquery"),
        ("exists(SELECT 1 FROM t)", "subquery"),
        ("k IN (VALUES (1))", "subquery|not a scalar|not one SQL"),
        ("java_method('java.lang.System', 'getenv', 'X') = 'y'", "java_method reaches beyond"),
        ("reflect('java.lang.Thread', 'sleep', 1L) IS NULL", "reflect"),
        ("try_reflect('java.lang.System', 'exit', 1) IS NULL", "try_reflect"),
        ("`java_method`('java.lang.System', 'getenv', 'X') = 'y'", "java_method"),
        ("system.builtin.java_method('a', 'b') = 'y'", "java_method"),
        ("system.builtin.upper(a) = 'y'", "function of a catalog"),
        ("identifier('java_method')('a', 'b') = 'y'", "not one SQL|identifier"),
        ("ai_query('model', a) = 'y'", "ai_query"),
        ("secret('scope', 'key') = a", "secret"),
        ("http_request(a) = 'y'", "http_request"),
        ("xpath_string(a, 'b') = 'y'", "xpath_string"),
        ("from_protobuf(a, 'M', '/abs/file') = 'y'", "from_protobuf"),
        ("my_udf(a)", "my_udf is not one of Spark's functions"),
        (":limit > a", "parameter marker"),
        ("${limit} > a", "parameter marker"),
        # several rows
        ("sum(a) > 1", "sum is itself an aggregate"),
        ("row_number() over (order by a) = 1", "window function"),
        ("explode(xs) = 1", "explode makes several rows"),
        # no expression of one value
        ("a AS b", "not a scalar"),
        ("*", "not a scalar"),
        ("a; b", "not one SQL"),
        ("a =", "not one SQL"),
        ("", "not one SQL"),
        ("DROP TABLE t", "not a scalar"),
        ("a = 1) OR (b = 2", "not one SQL"),
        ("a = 1 /* unclosed", "not one SQL"),
        ("a = 1 /* /* */ OR java_method('a', 'b') = 'c' -- */", "not one SQL"),
        ("a = 1 -- x\r OR java_method('a', 'b') = 'c'", "java_method"),
        ("a = r'\\' OR java_method('a', 'b') = '||' -- '", "java_method"),
        ("(" * 3000 + "a" + ")" * 3000, "not one SQL"),
    ],
)
def test_what_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(BadExpression, match=named) as caught:
        scalar(text, "the filter")
    assert str(caught.value).startswith("the filter: ")


@pytest.mark.parametrize(
    "text", ["user = 'me'", "current_catalog = a", "_metadata.file_path LIKE 'a%'", "SESSION_USER = a"]
)
def test_what_spark_would_find_behind_a_name_that_is_no_column(text: str) -> None:
    with pytest.raises(UnknownColumn, match="no column .* depends on (who|where)"):
        check_columns(scalar(text, "the filter").columns, ["a"], "the filter")


@pytest.mark.parametrize("text", ["session.x = 1", "b.c = a", "x + a > 1"])
def test_variables_and_other_tables_are_no_columns(text: str) -> None:
    with pytest.raises(UnknownColumn, match=r"the filter: no column (session|b|x)"):
        check_columns(scalar(text, "the filter").columns, ["A"], "the filter")


@pytest.mark.spark
def test_each_function_that_is_allowed_is_one_of_spark_or_databricks(spark: SparkSession) -> None:
    known = {row[0].rpartition(".")[2] for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect()}
    syntax, databricks = {"timestampadd", "timestampdiff"}, {"charindex", "iff", "timediff", "try_to_date"}
    assert {name for name in rule._ALLOWED if name not in known} <= syntax | databricks
