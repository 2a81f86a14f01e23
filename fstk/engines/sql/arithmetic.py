"""Spark SQL's arithmetic on Arrow arrays, under ANSI rules: overflow and division by zero are errors."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.sql.widening import FLOATING, INTEGRAL, adjusted, cast, digits, is_decimal, is_numeric
from fstk.engines.types import arrow_type
from fstk.errors import BadExpression, InvalidInput, NumericOverflow

_CHECKED = {"+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked, "div": pc.divide_checked}
_PLAIN = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}
# Spark multiplies and divides decimals in Java's BigDecimal: products keep 39 digits, quotients 38 decimal places.
_EXACT = decimal.Context(prec=200, rounding=decimal.ROUND_HALF_UP)
_PRODUCT = decimal.Context(prec=39, rounding=decimal.ROUND_HALF_UP)
_DECIMAL: dict[str, Callable[[decimal.Decimal, decimal.Decimal], decimal.Decimal]] = {
    "+": _EXACT.add,
    "-": _EXACT.subtract,
    "*": _PRODUCT.multiply,
    "/": lambda a, b: _EXACT.quantize(_EXACT.divide(a, b), decimal.Decimal(1).scaleb(-38)),
    "%": _EXACT.remainder,
}


@dataclass(frozen=True)
class Operation:
    """How one operator is carried out: the type both sides are cast to first, and the type that results."""

    sign: str
    left: str
    right: str
    result: str

    def __call__(self, left: pa.Array, right: pa.Array, where: str) -> pa.Array:
        """Compute row by row; null where a side is null; ``where`` is the expression that errors quote."""
        left, right = cast(left, self.left), cast(right, self.right)
        zero = pa.scalar(0, right.type)
        if self.sign in {"/", "%", "div"} and pc.any(pc.and_(pc.equal(right, zero), pc.is_valid(left))).as_py():
            raise InvalidInput(f"division by zero in {where}. Give it a CASE, or NULL for the divisor.")
        try:
            return self._compute(left, right)
        except (pa.ArrowInvalid, decimal.InvalidOperation, OverflowError) as error:
            raise NumericOverflow(f"overflow of {self.result} in {where}. Cast to a wider type first.") from error

    def _compute(self, left: pa.Array, right: pa.Array) -> pa.Array:
        if is_decimal(self.result):
            return _decimals(self.sign, left, right, self.result)
        if self.sign == "%":
            return _remainders(left, right)
        return (_CHECKED if self.result in INTEGRAL else _PLAIN)[self.sign](left, right)


def operation(sign: str, left: str, right: str, where: str) -> Operation:
    """How ``left sign right`` is computed for two numeric types, one of which may be ``void``; else BadExpression."""
    if sign == "/" and left == "void" and is_numeric(right):
        left = "double"  # as Spark types NULL / x, decimals included
    left, right = (right if left == "void" else left), (left if right == "void" else right)
    if left == "void":
        left = right = "int" if sign == "div" else "double"
    if not is_numeric(left) or not is_numeric(right):
        raise BadExpression(f"{where} computes with {left} and {right}; only numbers are computed with without Spark.")
    if left in FLOATING or right in FLOATING:
        both = "float" if left == right == "float" and sign != "/" else "double"
        if sign == "div":
            raise BadExpression(f"{where}: DIV wants integers.")
        return Operation(sign, both, both, both)
    if left in INTEGRAL and right in INTEGRAL:
        wider = INTEGRAL[max(INTEGRAL.index(left), INTEGRAL.index(right))]
        both = {"/": "double", "div": "bigint"}.get(sign, wider)
        return Operation(sign, both, both, both)
    if sign == "div":
        raise BadExpression(f"{where}: DIV of decimals needs Spark.")
    (p1, s1), (p2, s2) = digits(left), digits(right)
    return Operation(sign, f"decimal({p1},{s1})", f"decimal({p2},{s2})", _decimal_result(sign, p1, s1, p2, s2))


def negated(values: pa.Array, where: str) -> pa.Array:
    """Return ``-values``; the least integer has no negative and is an error."""
    try:
        return pc.negate_checked(values)
    except pa.ArrowInvalid as error:
        raise NumericOverflow(f"overflow of {values.type} in {where}. Cast to a wider type first.") from error


def _decimal_result(sign: str, p1: int, s1: int, p2: int, s2: int) -> str:
    if sign == "*":
        return adjusted(p1 + p2 + 1, s1 + s2)
    if sign == "/":
        scale = max(6, s1 + p2 + 1)
        return adjusted(p1 - s1 + s2 + scale, scale)
    scale = max(s1, s2)
    whole = min(p1 - s1, p2 - s2) if sign == "%" else max(p1 - s1, p2 - s2) + 1
    return adjusted(whole + scale, scale)


def _decimals(sign: str, left: pa.Array, right: pa.Array, result: str) -> pa.Array:
    compute, unit = _DECIMAL[sign], decimal.Decimal(1).scaleb(-digits(result)[1])
    values = [
        None if a is None or b is None else _EXACT.quantize(compute(a, b), unit)
        for a, b in zip(left.to_pylist(), right.to_pylist(), strict=True)
    ]
    return pa.array(values, arrow_type(result))  # refuses a value with more digits than the type has


def _remainders(left: pa.Array, right: pa.Array) -> pa.Array:
    # The sign of the dividend, as in Java; rows with a null on either side are computed as 0 % 1 and nulled.
    valid = pc.and_(pc.is_valid(left), pc.is_valid(right))
    a = pc.if_else(valid, left, pa.scalar(0, left.type)).to_numpy(zero_copy_only=False)
    b = pc.if_else(valid, right, pa.scalar(1, right.type)).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return pc.if_else(valid, pa.array(np.fmod(a, b), left.type), pa.scalar(None, left.type))
