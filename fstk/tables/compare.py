"""When two values are the same: Spark's null-safe equality, extended to maps, which Spark cannot compare."""

from __future__ import annotations

import pyarrow as pa

from fstk.engines.types import arrow_type, quoted_name


def differs(column: str, other: str, kind: str) -> str:
    """Return SQL that is true where two expressions of type ``kind`` hold different values.

    Null equals null, NaN equals NaN, −0.0 equals 0.0; two maps are equal when they hold equal entries in any order.
    """
    arrow = arrow_type(kind)
    return f"NOT ({_comparable(column, arrow)} <=> {_comparable(other, arrow)})"


def _comparable(value: str, kind: pa.DataType, depth: int = 0) -> str:
    if not _holds_map(kind):
        return value
    element = f"e{depth}"
    if isinstance(kind, pa.MapType):
        key = _comparable(f"{element}.key", kind.key_type, depth + 1)
        item = _comparable(f"{element}.value", kind.item_type, depth + 1)
        return f"array_sort(transform(map_entries({value}), {element} -> struct({key} AS k, {item} AS v)))"
    if isinstance(kind, pa.StructType):
        names = {quoted_name(field.name): field.type for field in kind}
        parts = ", ".join(f"{_comparable(f'{value}.{name}', inner, depth)} AS {name}" for name, inner in names.items())
        return f"IF({value} IS NULL, NULL, struct({parts}))"
    inner = _comparable(element, kind.value_type, depth + 1)
    return f"transform({value}, {element} -> {inner})"


def _holds_map(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.MapType):
        return True
    return any(_holds_map(kind.field(i).type) for i in range(kind.num_fields))
