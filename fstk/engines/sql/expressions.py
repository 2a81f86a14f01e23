"""Spark SQL expressions on Arrow tables, with the answers of Spark 4.

Columns, literals, arithmetic, comparison, boolean logic, CASE, LIKE, functions of texts and a few others; anything else
is refused, since an answer that differs from Spark's would be worse than none.

Rows are evaluated only where Spark evaluates them: ``CASE WHEN b <> 0 THEN a / b END`` divides no row by zero.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from fstk.columns.arrays import Column, whole
from fstk.columns.instants import day_numbers
from fstk.engines.base import Schema
from fstk.engines.sql.arithmetic import negated, operation
from fstk.engines.sql.scalar import Plain, function_name
from fstk.engines.sql.selection import compare, first_that_holds, only_where
from fstk.engines.sql.texts import TEXT_FUNCTIONS, TextFunction, like
from fstk.engines.sql.widening import (
    FLOATING,
    INTEGRAL,
    cast,
    common,
    is_decimal,
    is_numeric,
    literal_digits,
    text_for_a_time,
)
from fstk.engines.types import TIME_TYPES, arrow_type, schema_of
from fstk.errors import BadExpression, UnknownColumn, nearest

_SIGNS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.IntDiv: "div"}
_COMPARED = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_SAFE = (exp.NullSafeEQ, exp.NullSafeNEQ)
# Where sqlglot and Spark bind differently (a = b < c, a = b IS NULL), nothing is guessed: parentheses are asked for.
_LOOSE = (*_COMPARED, *_SAFE, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Not, exp.And, exp.Or)
_FUNCTIONS = {"coalesce": (1, None), "nvl": (2, 2), "ifnull": (2, 2), "if": (3, 3), "nullif": (2, 2)}
_FUNCTIONS |= {"datediff": (2, 2), "date_diff": (2, 2)}  # of three arguments they count whole days, not midnights
WITH_SPARK = " fstk.connect() starts Spark."
"""How a refusal ends."""
_TEXT = ", ".join([*TEXT_FUNCTIONS, "concat"])
_TRIMS = {None: "trim", "BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}
_BOUNDS = {"tinyint": 2**7, "smallint": 2**15, "int": 2**31, "bigint": 2**63}


@dataclass(frozen=True)
class _Value:
    """One expression: its Spark type, how to compute it for the rows of a table, its value when it is a number as
    written (whose digits decide the type of decimal arithmetic), and the column's name when it is nothing else."""

    kind: str
    run: Callable[[pa.Table], pa.Array]
    number: decimal.Decimal | None = None
    column: str | None = None


class Compiled(NamedTuple):
    """An expression that was read once: its Spark type, and what computes it for the rows of a table of the columns and
    types that it was read for; NumericOverflow: a result beyond its type; InvalidInput: division by zero."""

    kind: str
    run: Callable[[pa.Table], pa.Array]


def compiled(columns: Schema, text: str) -> Compiled:
    """Return an expression over ``columns``, ready to be computed.

    BadExpression: outside what is evaluated here, or not SQL; the message quotes what needs Spark. UnknownColumn: there
    is no such column. TypeMismatch: text where a time is meant.
    """
    value = _Tree(columns, text).value()
    return Compiled(value.kind, lambda table: cast(value.run(table), value.kind))


def evaluate(table: pa.Table, expressions: Mapping[str, str]) -> pa.Table:
    """Return one column per entry of ``expressions``: output name → expression over the columns of ``table``; raises as
    :func:`compiled` and what it returns."""
    kinds = schema_of(table.schema)
    columns = [_evaluated(table, _Tree(kinds, text).value()) for text in expressions.values()]
    return pa.table(columns, schema=pa.schema([(n, c.type) for n, c in zip(expressions, columns, strict=True)]))


def _evaluated(table: pa.Table, value: _Value) -> Column:
    """Return the values of one expression; a column that is wanted as it is stays in its chunks, uncopied."""
    if value.column is not None and table.column(value.column).type == arrow_type(value.kind):
        return table.column(value.column)
    return cast(value.run(table), value.kind)


class _Tree:
    """Turns one parsed expression into a :class:`_Value`."""

    def __init__(self, kinds: Mapping[str, str], text: str) -> None:
        self.kinds = kinds
        self.text = text

    def value(self) -> _Value:
        try:
            return self.build(sqlglot.parse_one(self.text, dialect=Plain))
        except (SqlglotError, RecursionError) as error:
            raise BadExpression(f"{self.text!r} is not one SQL expression.") from error

    def build(self, node: exp.Expr) -> _Value:
        kind = type(node)
        if isinstance(node, exp.Paren):
            return self.build(node.this)
        if isinstance(node, exp.Column):
            return self.column(node)
        if isinstance(node, exp.Literal | exp.Boolean | exp.Null | exp.Cast):
            return self.literal(node)
        if kind in _SIGNS:
            return self.arithmetic(node, _SIGNS[kind])
        if isinstance(node, exp.Neg):
            return self.negative(node)
        if kind in _COMPARED:
            return self.comparison(node, self.operand(node.this), self.operand(node.expression), _COMPARED[kind])
        if kind in _SAFE:
            return self.null_safe(node, same=kind is exp.NullSafeEQ)
        if isinstance(node, exp.And | exp.Or):
            return self.junction(node)
        if isinstance(node, exp.Not):
            inner = self.condition(node.this)
            return _Value("boolean", lambda table: pc.invert(inner.run(table)))
        if isinstance(node, exp.Is):
            return self.is_(node)
        if isinstance(node, exp.Between):
            low = exp.GTE(this=node.this, expression=node.args["low"])
            return self.junction(exp.And(this=low, expression=exp.LTE(this=node.this, expression=node.args["high"])))
        if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
            return self.among(node)
        if isinstance(node, exp.Case):
            return self.case(node)
        if isinstance(node, exp.Like | exp.ILike):
            return self.like(node)
        if isinstance(node, exp.DPipe):
            return self.concat(node, [node.this, node.expression])
        return self.called(node)

    def called(self, node: exp.Expr) -> _Value:
        name = function_name(node)
        if name in _FUNCTIONS:
            return self.function(node, name)
        if isinstance(node.parent, exp.Dot):
            raise self.refused(node)
        if name == "concat" and node.expressions:
            return self.concat(node, node.expressions)
        if isinstance(node, exp.Substring):
            given = [node.this, node.args.get("start"), node.args.get("length")]
            return self.text_function(node, TEXT_FUNCTIONS["substring"], [one for one in given if one is not None])
        if isinstance(node, exp.Trim):
            function = TEXT_FUNCTIONS[_TRIMS[node.args.get("position")]]
            return self.text_function(node, function, [one for one in (node.this, node.expression) if one])
        if name in TEXT_FUNCTIONS and not (name.endswith("trim") and len(node.expressions) > 1):
            return self.text_function(node, TEXT_FUNCTIONS[name], node.expressions)
        raise self.refused(node)

    def function(self, node: exp.Expr, name: str) -> _Value:
        given, (least, most) = node.expressions, _FUNCTIONS[name]
        if len(given) < least or len(given) > (most or len(given)) or isinstance(node.parent, exp.Dot):
            raise self.refused(node)
        if name == "if":
            return self.case(exp.Case(ifs=[exp.If(this=given[0], true=given[1])], default=given[2]))
        if name == "nullif":
            return self.nullif(node, *map(self.build, given))
        if name in ("datediff", "date_diff"):
            return self.datediff(node, *map(self.build, given))
        return self.coalesce(node)

    def refused(self, node: exp.Expr, why: str = "") -> BadExpression:
        return BadExpression(
            f"{self.where(node)!r} is not evaluated without Spark{why}: only columns, literals, arithmetic, "
            f"comparison, AND, OR, NOT, CASE, LIKE, ILIKE, if, coalesce, nullif, datediff and {_TEXT} are.{WITH_SPARK}"
        )

    def where(self, node: exp.Expr) -> str:
        return node.sql(dialect="databricks")

    def column(self, node: exp.Column) -> _Value:
        if node.table or not isinstance(node.this, exp.Identifier):
            raise self.refused(node)
        found = [name for name in self.kinds if name.lower() == node.name.lower()]
        if len(found) > 1:
            raise BadExpression(f"column {node.name} is ambiguous: {', '.join(found)}.")
        if not found:
            raise UnknownColumn(f"no column {node.name} for {self.text!r}.{nearest(node.name, self.kinds)}")
        return _Value(self.kinds[found[0]], lambda table: whole(table.column(found[0])), column=found[0])

    def literal(self, node: exp.Expr, sign: str = "") -> _Value:
        if isinstance(node, exp.Null):
            return _constant(None, "void")
        if isinstance(node, exp.Boolean):
            return _constant(bool(node.this), "boolean")
        if isinstance(node, exp.Cast):
            return self.typed_literal(node, sign)
        if node.args.get("is_string"):
            return _constant(node.name, "string")
        text = sign + node.name
        if "e" in text.lower():
            return _constant(float(text), "double")
        number = decimal.Decimal(text)
        if text.lstrip("-").isdigit():
            for kind in ("int", "bigint"):
                if -_BOUNDS[kind] <= int(text) < _BOUNDS[kind]:
                    return _constant(int(text), kind, number)
        precision, scale = literal_digits(number)
        if precision > 38:
            raise self.refused(node, " (more than 38 digits)")
        return _constant(number, f"decimal({precision},{scale})", number)

    def typed_literal(self, node: exp.Cast, sign: str) -> _Value:
        inner, target = node.this, node.to.sql(dialect="databricks").lower()
        text = sign + inner.name
        if isinstance(inner, exp.Literal):
            if target in FLOATING and not inner.is_string:
                return _constant(float(np.float32(text)) if target == "float" else float(text), target)
            whole = target in INTEGRAL and re.fullmatch(r"-?\d+", text) and not inner.is_string
            if whole and -_BOUNDS[target] <= int(text) < _BOUNDS[target]:
                return _constant(int(text), target, decimal.Decimal(text))
            if is_decimal(target) and inner.is_string and re.fullmatch(r"-?\d+\.?\d*", text):
                number = decimal.Decimal(text)
                if target.replace(" ", "") == f"decimal({','.join(map(str, literal_digits(number)))})":
                    return _constant(number, target.replace(" ", ""), number)
            if target == "date" and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                return _constant(_read(dt.date.fromisoformat, text, node), "date")
            if target == "timestamp" and re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?Z?", text):
                at = _read(dt.datetime.fromisoformat, text.removesuffix("Z"), node)
                return _constant(at.replace(tzinfo=dt.UTC), "timestamp")
        raise self.refused(node)

    def negative(self, node: exp.Neg) -> _Value:
        if isinstance(node.this, exp.Literal | exp.Cast) and not getattr(node.this, "is_string", False):
            return self.literal(node.this, "-")
        inner = self.operand(node.this)
        if not is_numeric(inner.kind) and inner.kind != "void":
            raise self.refused(node)
        kind = "double" if inner.kind == "void" else inner.kind
        return _Value(kind, lambda table: negated(cast(inner.run(table), kind), self.where(node)))

    def arithmetic(self, node: exp.Expr, sign: str) -> _Value:
        left, right = self.operand(node.this), self.operand(node.args["expression"])
        where = self.where(node)
        how = operation(sign, _digits_as_written(left, right), _digits_as_written(right, left), where)
        first, second = (right, left) if sign in {"/", "%", "div"} else (left, right)

        def run(table: pa.Table) -> pa.Array:
            # Spark leaves the second operand alone where the first is null; a division looks at its divisor first.
            one = first.run(table)
            two = only_where(pc.is_valid(one), table, second.run)
            return how(two, one, where) if first is right else how(one, two, where)

        return _Value(how.result, run)

    def comparison(self, node: exp.Expr, left: _Value, right: _Value, sign: str) -> _Value:
        kind = self.comparable(node, [left, right])

        def run(table: pa.Table) -> pa.Array:
            one = left.run(table)
            return compare(sign, cast(one, kind), cast(only_where(pc.is_valid(one), table, right.run), kind))

        return _Value("boolean", run)

    def null_safe(self, node: exp.Expr, same: bool) -> _Value:
        left, right = self.operand(node.this), self.operand(node.args["expression"])
        kind = self.comparable(node, [left, right])

        def run(table: pa.Table) -> pa.Array:
            one, two = cast(left.run(table), kind), cast(right.run(table), kind)
            both = pc.and_(pc.is_null(one), pc.is_null(two))
            equal = pc.or_(both, pc.fill_null(compare("=", one, two), False))
            return equal if same else pc.invert(equal)

        return _Value("boolean", run)

    def comparable(self, node: exp.Expr, values: Sequence[_Value]) -> str:
        kind = common([value.kind for value in values], repr(self.where(node)))
        if "<" in kind:
            raise self.refused(node)  # arrays, maps, structs
        return kind

    def junction(self, node: exp.Expr) -> _Value:
        left, right = self.condition(node.this), self.condition(node.args["expression"])
        settled = isinstance(node, exp.Or)

        def run(table: pa.Table) -> pa.Array:
            one = left.run(table)
            open_ = pc.fill_null(pc.not_equal(one, settled), True)
            two = only_where(open_, table, right.run)
            return pc.or_kleene(one, two) if settled else pc.and_kleene(one, two)

        return _Value("boolean", run)

    def is_(self, node: exp.Is) -> _Value:
        against = node.args["expression"]
        inner = self.operand(node.this)
        if isinstance(against, exp.Null):
            return _Value("boolean", lambda table: pc.is_null(inner.run(table)))
        if isinstance(against, exp.Boolean) and inner.kind in {"boolean", "void"}:
            wanted = bool(against.this)
            return _Value(
                "boolean", lambda table: pc.fill_null(pc.equal(cast(inner.run(table), "boolean"), wanted), False)
            )
        raise self.refused(node)

    def among(self, node: exp.In) -> _Value:
        tested, options = self.operand(node.this), [self.operand(option) for option in node.expressions]
        kind = self.comparable(node, [tested, *options])

        def run(table: pa.Table) -> pa.Array:
            one = cast(tested.run(table), kind)
            found = pa.array(np.zeros(len(one), bool))
            for option in options:
                two = cast(only_where(pc.is_valid(one), table, option.run), kind)
                found = pc.or_kleene(found, compare("=", one, two))
            return pc.if_else(pc.is_valid(one), found, pa.scalar(None, pa.bool_()))

        return _Value("boolean", run)

    def case(self, node: exp.Case) -> _Value:
        tests: list[_Value] = []
        for branch in node.args["ifs"]:
            if node.this is None:
                tests.append(self.condition(branch.this))
            else:
                tests.append(self.comparison(node, self.operand(node.this), self.operand(branch.this), "="))
        results = [self.build(branch.args["true"]) for branch in node.args["ifs"]]
        default = node.args.get("default")
        results.append(self.build(default) if default is not None else _constant(None, "void"))
        kind = common([result.kind for result in results], repr(self.where(node)))

        def widened(result: _Value) -> Callable[[pa.Table], pa.Array]:
            return lambda table: cast(result.run(table), kind)

        held = [test.run for test in tests]
        given = [widened(result) for result in results]
        return _Value(kind, lambda table: first_that_holds(held, given, table))

    def coalesce(self, node: exp.Expr) -> _Value:
        values = [self.build(part) for part in node.expressions]
        kind = common([value.kind for value in values], repr(self.where(node)))

        def run(table: pa.Table) -> pa.Array:
            answer = cast(values[0].run(table), kind)
            for value in values[1:]:
                answer = pc.coalesce(answer, cast(only_where(pc.is_null(answer), table, value.run), kind))
            return answer

        return _Value(kind, run)

    def nullif(self, node: exp.Expr, left: _Value, right: _Value) -> _Value:
        kind = self.comparable(node, [left, right])

        def run(table: pa.Table) -> pa.Array:
            one = cast(left.run(table), left.kind)
            two = cast(only_where(pc.is_valid(one), table, right.run), kind)
            same = pc.fill_null(compare("=", cast(one, kind), two), False)
            return pc.if_else(same, pa.scalar(None, one.type), one)

        return _Value(left.kind, run)

    def datediff(self, node: exp.Expr, end: _Value, start: _Value) -> _Value:
        if any(value.kind not in (*TIME_TYPES, "void") for value in (end, start)):
            if "string" in (end.kind, start.kind):
                raise text_for_a_time(f"{self.where(node)!r} in {self.text!r}")
            raise self.refused(node)

        def run(table: pa.Table) -> pa.Array:
            one = day_numbers(end.run(table))
            return pc.subtract(one, day_numbers(only_where(pc.is_valid(one), table, start.run)))

        return _Value("int", run)

    def text_function(self, node: exp.Expr, function: TextFunction, given: Sequence[exp.Expr]) -> _Value:
        if not function.accepts(len(given)):
            raise self.refused(node)
        values = [self.build(one) for one in given]
        kinds = function.takes[: len(given)]
        for value, kind in zip(values, kinds, strict=True):
            if value.kind not in (kind, "void") and (kind != "int" or value.kind not in ("tinyint", "smallint")):
                raise self.refused(node, f" (of {value.kind}, where it takes {kind})")

        def run(table: pa.Table) -> pa.Array:
            columns: list[pa.Array] = []
            there = pa.array(np.ones(table.num_rows, bool))
            for value, kind in zip(values, kinds, strict=True):
                columns.append(cast(only_where(there, table, value.run), kind))
                there = pc.and_(there, pc.is_valid(columns[-1]))
            return function(columns)

        return _Value(function.result, run)

    def concat(self, node: exp.Expr, given: Sequence[exp.Expr]) -> _Value:
        values = [self.operand(one) for one in given]
        if any(value.kind not in ("string", "void") for value in values):
            raise self.refused(node, " (of what is no text)")

        def run(table: pa.Table) -> pa.Array:
            return pc.binary_join_element_wise(*(cast(value.run(table), "string") for value in values), "")

        return _Value("string", run)

    def like(self, node: exp.Like | exp.ILike) -> _Value:
        pattern = node.expression
        if not (isinstance(pattern, exp.Literal) and pattern.is_string) or "\\" in self.text:
            raise self.refused(node, " (its pattern must be a text without a backslash)")
        function = TextFunction(("string",), "boolean", like(pattern.name, any_case=isinstance(node, exp.ILike)))
        found = self.text_function(node, function, [node.this])
        return _Value("boolean", lambda table: pc.invert(found.run(table))) if node.args.get("negate") else found

    def operand(self, node: exp.Expr) -> _Value:
        if isinstance(node, _LOOSE):
            raise BadExpression(f"put parentheses around {self.where(node)!r} in {self.text!r}.")
        return self.build(node)

    def condition(self, node: exp.Expr) -> _Value:
        value = self.build(node)
        if value.kind not in {"boolean", "void"}:
            raise BadExpression(f"{self.where(node)!r} is {value.kind}, where true or false is needed.")
        return _Value("boolean", lambda table: cast(value.run(table), "boolean"))


def _constant(value: object, kind: str, number: decimal.Decimal | None = None) -> _Value:
    scalar = pa.scalar(value, arrow_type(kind))
    return _Value(kind, lambda table: pa.repeat(scalar, table.num_rows), number)


def _digits_as_written(value: _Value, other: _Value) -> str:
    # In decimal arithmetic an integer literal counts with its own digits: price * 2 is a product with decimal(1,0).
    if value.number is not None and value.kind in INTEGRAL and is_decimal(other.kind):
        return f"decimal({literal_digits(value.number)[0]},0)"
    return value.kind


def _read(parse: Callable[[str], Any], text: str, node: exp.Expr) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise BadExpression(f"{node.sql(dialect='databricks')}: {error}.") from error
