"""What in SQL lets a row see others: its windows, each with whether rows that come later are in it, and local times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

PLACES = frozenset(("row_number", "rank", "dense_rank"))
"""Window functions that tell a row's place in an order; the newest row of each key is found by them."""


class Look(NamedTuple):
    """One window function, or a time of another zone as a column: what it reads that it should not (None: nothing), its
    text, the ``columns`` that it reads, and the aliases that it makes."""

    at: Literal["later", "all", "local"] | None
    text: str
    columns: frozenset[str]
    names: frozenset[str]
    partition: tuple[str, ...] = ()


def looks(sql: str) -> list[Look]:
    """Return the windows, and the columns of local time, of SQL statements or of an expression; of what is no SQL none.

    An order that descends turns a window around: ``lead`` then reads the row before.
    """
    try:
        trees = sqlglot.parse(sql, dialect="databricks")
    except SqlglotError:
        return []
    return [look for tree in trees if tree is not None for look in _of(tree)]


def _of(tree: exp.Expr) -> Iterator[Look]:
    for node in tree.walk():
        if isinstance(node, exp.Window) and isinstance(node.parent, exp.Select) and node.arg_key == "windows":
            continue  # a window that only has a name; looked at where it is used
        if isinstance(node, exp.Window):
            window = _declared(node)
            if window is not None:
                partition = tuple(
                    one.name for one in window.args.get("partition_by") or () if isinstance(one, exp.Column)
                )
                yield _look(node, _reach(node, window), partition)
        elif isinstance(node, exp.AtTimeZone) and isinstance(node.parent, exp.Alias | exp.Select):
            yield _look(node, "local")


def _reach(node: exp.Window, window: exp.Window) -> Literal["later", "all"] | None:
    """Return whether a function over ``window`` reads later rows, or all of the partition."""
    function = node.this
    while isinstance(function, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        function = function.this
    name = function.sql_name().lower() if isinstance(function, exp.Func) else ""
    order, frame = window.args.get("order"), window.args.get("spec")
    if order is None:
        return None if name in PLACES else "all"
    if name in PLACES:
        return None
    descends = bool(order.expressions[0].args.get("desc"))
    if name in ("lead", "lag"):
        return "later" if (name == "lead") != descends else None
    if frame is None:
        return "later" if descends else None
    side = frame.args.get("start_side" if descends else "end_side")
    return "later" if str(side).lower() == ("preceding" if descends else "following") else None


def _declared(node: exp.Window) -> exp.Window | None:
    """Return the window itself, where it is only named; None where the name is of another text."""
    name = node.args.get("alias")
    if name is None:
        return node
    select = node.find_ancestor(exp.Select)
    known = select.args.get("windows") or () if select is not None else ()
    return next((one for one in known if one.name.lower() == name.name.lower()), None)


def _look(node: exp.Expr, at: Literal["later", "all", "local"] | None, partition: tuple[str, ...] = ()) -> Look:
    names, above = [], node
    while above.parent is not None and not isinstance(above.parent, exp.Select):
        above = above.parent
        names += [above.alias.lower()] if isinstance(above, exp.Alias) else []
    columns = frozenset(one.name.lower() for one in node.this.find_all(exp.Column))
    return Look(at, node.sql(dialect="databricks"), columns, frozenset(names), partition)
