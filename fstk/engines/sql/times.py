"""Text where a time is meant: Spark would parse it by itself, which nothing here ever does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from fstk.engines.sql.scalar import Plain, arguments, function_name, is_text
from fstk.engines.sql.widening import text_for_a_time
from fstk.engines.types import TIME_TYPES, arrow_type

KindOf = Callable[[str], str | None]
"""An expression's type as the engine tells it, None where it cannot."""

# Functions of times, by where their times stand; a unit that comes first does not count, and makes dateadd's the last.
_FIRST = (
    "add_months date_add date_format date_sub dateadd day dayname dayofmonth dayofweek dayofyear from_utc_timestamp "
    "hour last_day minute month monthname next_day quarter second to_utc_timestamp trunc unix_date unix_micros "
    "unix_millis unix_seconds weekday weekofyear year"
)
_SECOND = "date_part datepart date_trunc"
_BOTH = "date_diff datediff months_between timediff timestampdiff"
_PLACES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_FIRST.split(), (0,)),
    **dict.fromkeys(_SECOND.split(), (1,)),
    **dict.fromkeys(_BOTH.split(), (0, 1)),
    **dict.fromkeys(("convert_timezone", "timestampadd"), (-1,)),
}
# Functions whose arguments meet in one type, from the one of that place on.
_ALIKE = {"array": 0, "coalesce": 0, "equal_null": 0, "greatest": 0, "ifnull": 0, "least": 0, "nullif": 0, "nvl": 0}
_ALIKE |= {"sequence": 0, "if": 1, "iff": 1, "nvl2": 1}
# Functions that take a lambda, and what has the types of its variables.
_VARIABLES = {
    **dict.fromkeys(("exists", "filter", "forall", "transform"), "element_at(_1,1) 1"),
    **dict.fromkeys(("map_filter", "transform_keys", "transform_values"), "map_keys(_1)[0] map_values(_1)[0]"),
    **dict.fromkeys(("aggregate", "reduce"), "_2 element_at(_1,1)"),
    "array_sort": "element_at(_1,1) element_at(_1,1)",
    "map_zip_with": "map_keys(_1)[0] map_values(_1)[0] map_values(_2)[0]",
    "zip_with": "element_at(_1,1) element_at(_2,1)",
}
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)


def check_times(text: str, columns: Mapping[str, str], kind_of: KindOf) -> None:
    """Refuse an expression (TypeMismatch) in which text is compared with a time, computed with one, or given to a
    function of times. ``columns`` are the types of the row; ``kind_of`` is asked for what they do not tell."""
    try:
        tree = sqlglot.parse_one(text, dialect=Plain)
    except (SqlglotError, RecursionError):
        return  # the engine says what is wrong with it
    types = _Types(columns, kind_of)
    for node in _without_variables(tree).walk():
        alone = [operand for operand in _times(node) if types.of(operand) == "string"]
        for group in _groups(node):
            if types.mixed(group):
                alone = group
        if alone:
            raise text_for_a_time(f"{node.sql(dialect=Plain)!r} in {text!r}")


class _Types:
    """Types of parts of an expression, each different one found out once."""

    def __init__(self, columns: Mapping[str, str], kind_of: KindOf) -> None:
        self._columns = {name.lower(): kind for name, kind in columns.items()}
        self._kind_of = kind_of
        self._asked: dict[str, str | None] = {}

    def of(self, node: exp.Expr) -> str | None:
        node = node.unnest()
        known = self._known(node)
        if known is not None or isinstance(node, exp.Identifier):
            return known
        text = node.sql(dialect=Plain)
        if text not in self._asked:
            self._asked[text] = self._kind_of(text)
        return self._asked[text]

    def mixed(self, group: Sequence[exp.Expr]) -> bool:
        """Tell whether texts and times meet; nothing is asked where what is known rules it out."""
        known = {kind for node in group if (kind := self._known(node.unnest())) is not None}
        if not all(kind in ("string", "void") or _is_time(kind) or "<" in kind for kind in known):
            return False
        kinds = {kind for node in group if (kind := self.of(node)) is not None}
        return any(_meet(one, two) for one in kinds for two in kinds)

    def _known(self, node: exp.Expr) -> str | None:
        if is_text(node):
            return "string"
        if isinstance(node, exp.Literal):
            return "number"
        if isinstance(node, exp.Null):
            return "void"
        if isinstance(node, exp.Interval):
            return "interval"
        if isinstance(node, exp.Column) and len(node.parts) == 1:
            return self._columns.get(node.name.lower())
        return None


def _is_time(kind: str) -> bool:
    return kind in TIME_TYPES or kind.startswith("interval")


def _meet(one: str, two: str) -> bool:
    """Tell whether text would be made a time where both types are to be one."""
    if "<" in one and "<" in two:
        return _meet_inside(arrow_type(one), arrow_type(two))
    return one == "string" and _is_time(two)


def _meet_inside(one: pa.DataType, two: pa.DataType) -> bool:
    if not (pa.types.is_nested(one) and pa.types.is_nested(two)):
        return pa.types.is_string(one) and pa.types.is_temporal(two)
    fields = zip(range(one.num_fields), range(two.num_fields), strict=False)
    return one.id == two.id and any(_meet_inside(one.field(i).type, two.field(j).type) for i, j in fields)


def _without_variables(tree: exp.Expr) -> exp.Expr:
    """Return an expression in which each variable of a lambda gave way to something of its type, so that no part of it
    lacks one."""
    tree = tree.copy()
    for node in tree.walk():
        for lambda_, given in _lambdas(node):
            for name, value in zip(lambda_.expressions, given, strict=False):
                _put(lambda_, name.name.lower(), value)
    return tree


def _put(lambda_: exp.Lambda, name: str, value: exp.Expr) -> None:
    """Put ``value`` in the place of a variable, but where a lambda inside has one of the same name."""

    def hides(node: exp.Expr) -> bool:
        return isinstance(node, exp.Lambda) and name in [one.name.lower() for one in node.expressions]

    for node in list(lambda_.this.walk(prune=hides)):
        if isinstance(node, exp.Column):  # its letters are not those of the variable, which is the same to Spark
            first, *fields = node.parts
        elif isinstance(node, exp.Identifier) and not isinstance(node.parent, exp.Column):
            first, fields = node, []
        else:
            continue
        if first.name.lower() == name and not (isinstance(node.parent, exp.Dot) and node.arg_key == "expression"):
            found = value.copy()
            for field in fields:
                found = exp.Dot(this=found, expression=field.copy())
            node.replace(found)


def _lambdas(node: exp.Expr) -> Iterator[tuple[exp.Lambda, list[exp.Expr]]]:
    """Yield the lambdas among a function's arguments, each with something of the type of each of its variables."""
    place = _VARIABLES.get(function_name(node))
    given = node.expressions
    if place is None or not given:
        return
    made = [_made(text, given) for text in place.split()]
    yield from ((one, made) for one in given if isinstance(one, exp.Lambda))


def _made(text: str, given: Sequence[exp.Expr]) -> exp.Expr:
    """Return the expression that ``text`` is with arguments in the places of ``_1`` and ``_2``."""

    def value(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name in ("_1", "_2"):
            place = int(node.name[1]) - 1
            return exp.Paren(this=given[place].copy()) if place < len(given) else exp.Null()
        return node

    return sqlglot.parse_one(text, dialect=Plain).transform(value)


def _times(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the operands of a node that are meant to be times."""
    if isinstance(node, exp.Extract):
        yield node.expression
        return
    name = function_name(node)
    if name in _PLACES:
        given = arguments(node)
        places = (-1,) if len(given) < len(node.expressions) and name.endswith("add") else _PLACES[name]
        yield from (given[place] for place in places if -len(given) <= place < len(given))


def _groups(node: exp.Expr) -> Iterator[list[exp.Expr]]:
    """Yield operands of a node that meet in one type."""
    if isinstance(node, (*_COMPARED, exp.Add, exp.Sub)):
        yield [node.this, node.expression]
    elif isinstance(node, exp.Between):
        yield [node.this, node.args["low"], node.args["high"]]
    elif isinstance(node, exp.In):
        yield [node.this, *node.expressions]
    elif isinstance(node, exp.Case):
        branches = node.args["ifs"]
        default = node.args.get("default")
        yield [*(branch.args["true"] for branch in branches), *([] if default is None else [default])]
        if node.this is not None:
            yield [node.this, *(branch.this for branch in branches)]
    elif isinstance(node, exp.Bracket) and len(node.expressions) == 1:
        yield [_made("map_keys(_1)[0]", [node.this]), node.expressions[0]]
    elif function_name(node) in _ALIKE:
        yield arguments(node)[_ALIKE[function_name(node)] :]
    elif function_name(node) == "map":
        yield from (node.expressions[::2], node.expressions[1::2])
    elif function_name(node) == "decode" and len(node.expressions) > 2:
        tested, *pairs = node.expressions
        yield [tested, *pairs[: len(pairs) // 2 * 2 : 2]]
        yield [*pairs[1::2], *pairs[-1:][: len(pairs) % 2]]
    elif function_name(node) == "concat":  # of texts, which have no elements, all else is made text
        yield [_made("element_at(_1,1)", [one]) for one in node.expressions]
    elif isinstance(node, exp.DPipe):
        yield [_made("element_at(_1,1)", [one]) for one in (node.this, node.expression)]
    elif function_name(node) == "map_concat":
        yield [_made("map_keys(_1)[0]", [one]) for one in node.expressions]
        yield [_made("map_values(_1)[0]", [one]) for one in node.expressions]
