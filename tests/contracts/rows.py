"""Rows of the contract files: loaded with their declared types, compared as multisets."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from fstk.engines.types import arrow_type

_DOUBLES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}


def table_of(content: Mapping[str, Any]) -> pa.Table:
    """Return ``{"columns": {name: type}, "rows": [{…}]}`` as an Arrow table; a value that a row leaves out is null."""
    arrays = {}
    for name, spark in content["columns"].items():
        kind = arrow_type(spark)
        arrays[name] = pa.array([value_of(row.get(name), kind) for row in content["rows"]], kind)
    return pa.table(arrays)


def value_of(value: Any, kind: pa.DataType) -> Any:
    """Return one value of a contract file as Python has it: instants and decimals are written as strings there."""
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        at = dt.datetime.fromisoformat(value)
        if kind.tz is None:
            return at if at.tzinfo is None else at.astimezone(dt.UTC).replace(tzinfo=None)
        return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
    if pa.types.is_date(kind):
        return dt.date.fromisoformat(value[:10])
    if pa.types.is_decimal(kind):
        return decimal.Decimal(str(value)).quantize(
            decimal.Decimal(1).scaleb(-kind.scale), context=decimal.Context(prec=kind.precision)
        )
    if pa.types.is_floating(kind):
        return _DOUBLES[value] if isinstance(value, str) and value in _DOUBLES else float(value)
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_binary(kind):
        return value.encode() if isinstance(value, str) else bytes(value)
    if pa.types.is_list(kind):
        return [value_of(item, kind.value_type) for item in value]
    if pa.types.is_map(kind):
        return [(value_of(key, kind.key_type), value_of(item, kind.item_type)) for key, item in dict(value).items()]
    if pa.types.is_struct(kind):
        return {field.name: value_of(value.get(field.name), field.type) for field in kind}
    return value


def assert_same_rows(actual: pa.Table, expected: Sequence[Mapping[str, Any]]) -> None:
    """Fail unless ``actual`` holds the expected rows, each as often, doubles to 1e-9 relative, columns in order."""
    if expected:
        assert actual.column_names == list(expected[0])
    wanted = [[value_of(row.get(field.name), field.type) for field in actual.schema] for row in expected]
    waiting: dict[Any, list[list[Any]]] = defaultdict(list)
    for row in wanted:
        waiting[_exact(row)].append(row)
    for row in zip(*(column.to_pylist() for column in actual.columns), strict=True):
        candidates = waiting[_exact(row)]
        match = next((candidate for candidate in candidates if _alike(row, candidate)), None)
        assert match is not None, (
            f"not expected: {dict(zip(actual.column_names, row, strict=True))}\nlike it: {candidates}"
        )
        candidates.remove(match)
    missing = [row for rows in waiting.values() for row in rows]
    assert not missing, f"missing: {missing[:3]}"


def _exact(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple("double" if isinstance(value, float) else _text(value) for value in row)


def _text(value: Any) -> str:
    return f"{value.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f} UTC" if getattr(value, "tzinfo", None) else repr(value)


def _alike(row: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(
        (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9)
        for a, b in zip(row, other, strict=True)
        if isinstance(a, float)
    )
