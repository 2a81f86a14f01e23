"""Text where a time is meant: Spark would parse it by itself, which nothing here ever does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from fstk.engines.sql.scalar import Plain, arguments, function_name, is_text
from fstk.engines.sql.widening import text_for_a_time
from fstk.engines.types import TIME_TYPES

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
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)


def check_times(text: str, columns: Mapping[str, str], kind_of: KindOf) -> None:
    """Refuse an expression (TypeMismatch) in which text is compared with a time, computed with one, or given to a
    function of times. ``columns`` are the types of the row; ``kind_of`` is asked for what they do not tell."""
    try:
        tree = sqlglot.parse_one(text, dialect=Plain)
    except (SqlglotError, RecursionError):
        return  # the engine says what is wrong with it
    types = _Types(columns, kind_of)
    for node in tree.walk():
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
        if not all(kind == "string" or _is_time(kind) or kind == "void" for kind in known):
            return False
        kinds = {self.of(node) for node in group}
        return "string" in kinds and any(kind is not None and _is_time(kind) for kind in kinds)

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
    elif function_name(node) in _ALIKE:
        yield arguments(node)[_ALIKE[function_name(node)] :]
