"""Every value comes back as it was, type and all; the oracle is ``repr`` of the typed Python value that went in."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput, UnsupportedType
from fstk.online.codec import RowCodec, surely_within
from tests.generated import examples

_ATOMS: dict[str, st.SearchStrategy[Any]] = {
    "tinyint": st.integers(-(2**7), 2**7 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "float": st.floats(width=32),
    "double": st.floats(),
    "string": st.text(),
    "binary": st.binary(),
    "date": st.dates(),
    "timestamp": st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0)),
    "timestamp_ntz": st.datetimes().map(lambda moment: moment.replace(fold=0)),
    "decimal(38,18)": st.integers(1 - 10**38, 10**38 - 1).map(lambda digits: Decimal(f"{digits}e-18")),
    "decimal(5,0)": st.integers(-99_999, 99_999).map(Decimal),
    "decimal(20,20)": st.integers(0, 10**20 - 1).map(lambda digits: Decimal(f"{digits}e-20")),
}


def _struct(names: list[str], values: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    # not fixed_dictionaries, which shuffles: the order of fields is part of what is compared
    return st.tuples(*values).map(lambda row: dict(zip(names, row, strict=True)))


def _typed(depth: int) -> st.SearchStrategy[tuple[str, st.SearchStrategy[Any]]]:
    atoms = st.sampled_from(sorted(_ATOMS)).map(lambda name: (name, st.none() | _ATOMS[name]))
    if depth == 0:
        return atoms
    inner = _typed(depth - 1)
    arrays = inner.map(lambda t: (f"array<{t[0]}>", st.none() | st.lists(t[1], max_size=3)))
    structs = st.lists(inner, min_size=1, max_size=3).map(
        lambda ts: (
            f"struct<{','.join(f'f{i}:{t[0]}' for i, t in enumerate(ts))}>",
            st.none() | _struct([f"f{i}" for i in range(len(ts))], [t[1] for t in ts]),
        )
    )
    keys = st.sampled_from(sorted(_ATOMS))
    maps = st.tuples(keys, inner).map(
        lambda kt: (f"map<{kt[0]},{kt[1][0]}>", st.none() | st.dictionaries(_ATOMS[kt[0]], kt[1][1], max_size=3))
    )
    return st.one_of(atoms, arrays, structs, maps)


@st.composite
def _columns(draw: st.DrawFn) -> tuple[dict[str, str], list[dict[str, Any]]]:
    types = draw(st.lists(_typed(2), min_size=1, max_size=3))
    schema = {f"c{i}": name for i, (name, _) in enumerate(types)}
    row = _struct(list(schema), [values for _, values in types])
    return schema, draw(st.lists(row, min_size=1, max_size=4))


@settings(max_examples=examples(200), deadline=None)
@given(_columns())
def test_any_row_of_any_types_comes_back(case: tuple[dict[str, str], list[dict[str, Any]]]) -> None:
    schema, rows = case
    arrays = {}
    for name, spark in schema.items():
        kind = arrow_type(spark)
        values = [_pairs(row[name], kind) for row in rows]
        arrays[name] = pa.array(values, type=kind)
    codec, table = RowCodec(schema), pa.table(arrays)
    values = codec.encode(table)
    assert repr([codec.decode(value) for value in values]) == repr(rows)
    assert not surely_within(sum(map(len, values)) - 1, table.to_batches()[0])


def test_rows_of_numbers_and_short_texts_are_weighed_without_being_encoded() -> None:
    rows = pa.table({"id": range(100), "text": ["a few words"] * 100, "x": [1.5] * 100}).to_batches()[0]
    assert surely_within(20_000, rows)
    assert not surely_within(2_000, rows)


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.date32()])
def test_rows_with_a_time_that_python_has_not_are_not_taken_for_sure(kind: pa.DataType) -> None:
    for number, sure in ((0, True), (None, True), (2**30, False), (-(2**30), False)):
        count = pa.int32() if kind == pa.date32() else pa.int64()
        far = number if number is None or kind == pa.date32() else number * 2**28
        rows = pa.table({"at": pa.array([1, far], count).view(kind)}).to_batches()[0]
        assert surely_within(1_000, rows) is sure


def _pairs(value: Any, kind: pa.DataType) -> Any:
    """Arrow wants a map as a list of pairs, which its type tells from a struct."""
    if value is None:
        return None
    if isinstance(kind, pa.MapType):
        return [(k, _pairs(v, kind.item_type)) for k, v in value.items()]
    if isinstance(kind, pa.StructType):
        return {field.name: _pairs(value[field.name], field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_pairs(v, kind.value_type) for v in value]
    return value


@pytest.mark.parametrize(
    ("spark", "value"),
    [
        ("bigint", 2**53 + 1),
        ("bigint", -(2**63)),
        ("double", -0.0),
        ("double", 5e-324),
        ("double", math.inf),
        ("float", 0.10000000149011612),
        ("decimal(38,0)", Decimal("9" * 38)),
        ("decimal(38,38)", Decimal("1e-38")),
        ("decimal(10,2)", Decimal("1.20")),
        ("decimal(10,2)", Decimal("0.00")),
        ("timestamp", datetime(1, 1, 1, tzinfo=UTC)),
        ("timestamp", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("timestamp", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("timestamp_ntz", datetime(2024, 3, 31, 2, 30, 0, 1)),
        ("date", date(1, 1, 1)),
        ("date", date(9999, 12, 31)),
        ("string", "a\x00b\N{PILE OF POO}é"),
        ("string", ""),
        ("binary", b"\x00\xff"),
        ("binary", b""),
        ("array<int>", []),
        ("map<string,bigint>", {}),
        ("struct<a:int>", {"a": None}),
    ],
)
def test_known_hard_values(spark: str, value: Any) -> None:
    codec = RowCodec({"x": spark})
    kind = arrow_type(spark)
    rows = pa.table({"x": pa.array([_pairs(value, kind), None], type=kind)})
    first, second = (codec.decode(row)["x"] for row in codec.encode(rows))
    assert repr(first) == repr(value)
    assert type(first) is type(value)
    assert second is None


def test_nan_and_null_stay_apart_at_every_depth() -> None:
    kind = pa.list_(pa.float64())
    codec = RowCodec({"x": "array<double>"})
    [value] = codec.encode(pa.table({"x": pa.array([[math.nan, None, -0.0]], kind)}))
    nan, null, zero = codec.decode(value)["x"]
    assert math.isnan(nan)
    assert null is None
    assert math.copysign(1, zero) == -1


def test_slices_and_chunks_of_nested_columns() -> None:
    array = pa.array([[1], None, [2, 3], [], [4]], pa.list_(pa.int64()))
    maps = pa.array([[("a", 1)], None, [("b", 2), ("c", None)], [], [("d", 4)]], pa.map_(pa.string(), pa.int64()))
    table = pa.table({"a": pa.chunked_array([array.slice(0, 2), array.slice(2)]), "m": maps})
    codec = RowCodec({"a": "array<bigint>", "m": "map<string,bigint>"})
    read = [codec.decode(value) for value in codec.encode(table.slice(1, 3))]
    assert read == [{"a": None, "m": None}, {"a": [2, 3], "m": {"b": 2, "c": None}}, {"a": [], "m": {}}]


@pytest.mark.parametrize(
    "spark", ["interval day to second", "variant", "void", "array<void>", "map<struct<a:int>,int>"]
)
def test_a_type_without_a_lossless_form_is_refused_by_name(spark: str) -> None:
    with pytest.raises(UnsupportedType, match="gap"):
        RowCodec({"fine": "int", "gap": spark})


def test_an_instant_that_python_has_not_is_refused_by_column() -> None:
    rows = pa.table({"at": pa.array([2**62], pa.timestamp("us", tz="UTC"))})
    with pytest.raises(InvalidInput, match=r"column at .*0001 to 9999"):
        RowCodec({"at": "timestamp"}).encode(rows)


def test_a_row_without_features_has_a_value() -> None:
    codec = RowCodec({})
    values = codec.encode(pa.table({"id": [1, 2]}))
    assert [codec.decode(value) for value in values] == [{}, {}]
