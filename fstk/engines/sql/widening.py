"""Which type two Spark SQL operands meet in, under Spark 4's ANSI rules; and values cast to it without loss.

Source of the rules: Spark's SQL reference, "ANSI Compliance" (least common type, precedence lists), and its table of
the types of decimal results.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.arrays import doubles
from fstk.engines.types import TIME_TYPES, arrow_type
from fstk.errors import BadExpression, TypeMismatch

INTEGRAL = ("tinyint", "smallint", "int", "bigint")
FLOATING = ("float", "double")
_AS_DECIMAL = {"tinyint": (3, 0), "smallint": (5, 0), "int": (10, 0), "bigint": (20, 0)}
_MOST = 38


def is_decimal(kind: str) -> bool:
    return kind.startswith("decimal")


def is_numeric(kind: str) -> bool:
    return kind in INTEGRAL or kind in FLOATING or is_decimal(kind)


def digits(kind: str) -> tuple[int, int]:
    """Return precision and scale of a decimal type, or of the decimal that holds an integral type."""
    if kind in _AS_DECIMAL:
        return _AS_DECIMAL[kind]
    held = arrow_type(kind)
    return held.precision, held.scale


def literal_digits(value: decimal.Decimal) -> tuple[int, int]:
    """Return precision and scale of a decimal literal as Spark types it: as written, zeros included."""
    _sign, figures, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    return max(len(figures), scale), scale


def common(kinds: Sequence[str], where: str) -> str:
    """Return the least common type of branches or comparands; BadExpression where none can be found without Spark,
    TypeMismatch for text and a time."""
    found = "void"
    for kind in kinds:
        found = _common(found, kind, where)
    return found


def _common(one: str, two: str, where: str) -> str:
    if one == two or two == "void":
        return one
    if one == "void":
        return two
    if one in INTEGRAL and two in INTEGRAL:
        return INTEGRAL[max(INTEGRAL.index(one), INTEGRAL.index(two))]
    if is_numeric(one) and is_numeric(two):
        if one in FLOATING or two in FLOATING:
            return "double"  # float with an integral type too: a float would lose digits of it
        (p1, s1), (p2, s2) = digits(one), digits(two)
        scale = max(s1, s2)
        precision = max(p1 - s1, p2 - s2) + scale
        if precision <= _MOST:
            return f"decimal({precision},{scale})"
    if "string" in (one, two) and (one in TIME_TYPES or two in TIME_TYPES):
        raise text_for_a_time(where)
    raise BadExpression(f"{where} mixes {one} and {two}; cast one of them. fstk.connect() gives a session that can.")


def text_for_a_time(where: str) -> TypeMismatch:
    """Return the error of an expression in which text would have to be parsed as a time (docs/rules.md#time-2)."""
    return TypeMismatch(
        f"{where} takes text for a time; text is never parsed as a time by itself: write timestamp "
        "'2024-01-31 12:00:00', or to_timestamp(…) around it."
    )


def adjusted(precision: int, scale: int) -> str:
    """Return the decimal type of an arithmetic result: past 38 digits the scale gives way, down to 6."""
    if precision > _MOST:
        whole = precision - scale
        precision, scale = _MOST, max(_MOST - whole, min(scale, 6))
    return f"decimal({precision},{scale})"


def cast(values: pa.Array, kind: str) -> pa.Array:
    """Return values of a narrower type in the wider ``kind``; doubles are the nearest ones."""
    target = arrow_type(kind)
    if values.type == target:
        return values
    if pa.types.is_decimal(values.type) and kind in FLOATING:
        return pc.cast(doubles(values), target)
    if pa.types.is_decimal(target) and pa.types.is_integer(values.type):
        return pc.cast(pc.cast(values, pa.decimal128(20, 0)), target)
    return pc.cast(values, target, safe=False)
