from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fstk.engines.types import arrow_schema, arrow_type, schema_of, spark_type
from fstk.errors import UnsupportedType

WORDS = "tinyint smallint int bigint float double boolean string binary date void timestamp timestamp_ntz"
ATOMS = st.sampled_from([*WORDS.split(), "decimal(10,2)", "decimal(38,18)", "decimal(1,0)"])
NAMES = st.sampled_from(["a", "B_2", "with space", "x:y", "tick`", "größe", "select"])
TYPES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda kind: f"array<{kind}>"),
        st.tuples(ATOMS.filter(lambda kind: kind != "void"), inner).map(lambda pair: f"map<{pair[0]},{pair[1]}>"),
        st.lists(st.tuples(NAMES, inner), min_size=1, max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda fields: "struct<" + ",".join("`" + n.replace("`", "``") + "`:" + kind for n, kind in fields) + ">"
        ),
    ),
    max_leaves=6,
)


@given(TYPES)
def test_a_type_there_and_back_is_the_same(spark: str) -> None:
    arrow = arrow_type(spark)
    assert arrow_type(spark_type(arrow)) == arrow


@pytest.mark.parametrize(
    ("arrow", "spark"),
    [
        (pa.uint8(), "smallint"),
        (pa.uint64(), "decimal(20,0)"),
        (pa.float16(), "float"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int8(), pa.large_string()), "string"),
        (pa.timestamp("ns", "Asia/Kolkata"), "timestamp"),
        (pa.timestamp("s"), "timestamp_ntz"),
        (pa.date64(), "date"),
        (pa.large_list(pa.int32()), "array<int>"),
        (pa.list_(pa.int32(), 3), "array<int>"),
        (pa.binary(4), "binary"),
        (pa.decimal256(20, 3), "decimal(20,3)"),
        (pa.struct([("a b", pa.int8()), ("c", pa.string())]), "struct<`a b`:tinyint,c:string>"),
    ],
)
def test_arrow_types_that_spark_lacks_get_one_that_holds_them(arrow: pa.DataType, spark: str) -> None:
    assert spark_type(arrow) == spark


@pytest.mark.parametrize(
    "arrow", [pa.duration("us"), pa.time64("us"), pa.decimal256(60, 2), pa.month_day_nano_interval()]
)
def test_arrow_types_that_nothing_holds_are_refused_with_the_column(arrow: pa.DataType) -> None:
    with pytest.raises(UnsupportedType, match="column late"):
        schema_of(pa.schema([("late", arrow)]))


@pytest.mark.parametrize(
    "spark", ["interval day to second", "variant", "string collate UTF8_LCASE", "bigintt", "decimal(50,2)", ""]
)
def test_spark_types_without_an_exact_counterpart_are_refused(spark: str) -> None:
    with pytest.raises(UnsupportedType, match="column v"):
        arrow_schema({"v": spark})


def test_varchar_and_char_are_strings() -> None:
    assert arrow_type("varchar(3)") == arrow_type("char(3)") == pa.string()
