"""Leaks that the text of a query or of a notebook's cell shows: what reads the clock, or the label itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from fstk.engines.sql.clock import FUNCTIONS, clock_uses
from fstk.engines.sql.scalar import scalar
from fstk.errors import BadExpression
from fstk.lint.dated import dated
from fstk.lint.report import Finding

_TAKES_SQL = frozenset(("sql", "expr", "selectExpr", "Aggregate", "FeatureFunction"))
_SQL_CELLS = ("%%fstk", "%%sql", "%%sparksql")
_LABEL = re.compile(r"%%fstk\s+pit\s.*--label[\s=]+([^\s'\"]+)")
_FUNCTION = re.compile(r"\s*expr\s+(.+)\s+as\s+`?(\w+)`?\s*,?\s*", re.IGNORECASE)


def lint_sql(sql: str, where: str) -> list[Finding]:
    """Name the current-time and current-date functions in feature SQL: a statement, an expression or lines of them."""
    wrong = "over history every row is computed with today's clock, and the same run tomorrow gives other values."
    cure = "compare with the row's own time, or with a parameter of the job such as as_of."
    return [Finding("current-time", where, f"uses {use}: {wrong}", cure) for use in clock_uses(sql)]


def lint_cell(source: str, where: str) -> list[Finding]:
    """Name the current-time functions in the feature SQL of a notebook cell, and functions that read the label.

    In a cell of a SQL magic (``%%fstk windows``, ``%%sql``) the body is SQL. In a Python cell it is the strings given
    to ``sql``, ``expr``, ``selectExpr``, ``Aggregate`` and ``FeatureFunction``, besides calls of PySpark's own
    functions such as ``F.current_date()``; ``datetime.now()`` to time a run is no feature.
    """
    first, _, body = source.lstrip().partition("\n")
    if first.startswith(_SQL_CELLS):
        label = _LABEL.match(first)
        read = [(found[1], found[2]) for found in map(_FUNCTION.fullmatch, body.splitlines()) if found]
        return [*_of_fragment(body, where), *(_of_label(label[1], read, where) if label else ())]
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:  # not Python: a cell of another language, which may hold SQL
        return _of_fragment(source, where)
    findings = []
    labels: list[str] = []
    computed: list[tuple[str, str]] = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name == "create_training_set":
            labels += [text for one in call.keywords if one.arg == "label" for text in _texts([one.value])]
        if name == "FeatureFunction":
            texts = _texts([*call.args, *(one.value for one in call.keywords)])
            computed += [(texts[0], texts[1])] if len(texts) == 2 else []
        at = f"{where}, line {call.lineno},"
        findings += [Finding(one.rule, at, one.wrong, one.cure) for one in dated(call, name)]
        if name in FUNCTIONS and _of_pyspark(call.func):
            findings += lint_sql(f"{name}()", at)
        elif name in _TAKES_SQL:
            for text in _strings(call):
                findings += _of_fragment(text, at)
    return [*findings, *(finding for label in labels for finding in _of_label(label, computed, where))]


def _texts(nodes: Iterable[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _of_label(label: str, computed: Iterable[tuple[str, str]], where: str) -> list[Finding]:
    """Name the functions, given as expression and name, that read the label."""
    findings = []
    for expression, name in computed:
        try:
            columns = scalar(expression, name).columns
        except BadExpression:
            continue  # as in _of_fragment
        if label.lower() in map(str.lower, columns):
            wrong = f"computes {name} of the label {label}, which nobody knows when the feature is asked for."
            findings.append(Finding("label-in-function", where, wrong, "compute it of other columns."))
    return findings


def _of_fragment(text: str, where: str) -> list[Finding]:
    try:
        return lint_sql(text, where)
    except BadExpression:  # not SQL after all: the cell's own error says so when it runs
        return []


def _of_pyspark(function: ast.expr) -> bool:
    # F.now() and now() imported by name; datetime.now() and pd.Timestamp.now() are Python's.
    if isinstance(function, ast.Name):
        return function.id != "now"
    owner = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in ("F", "f", "sf", "functions")


def _strings(call: ast.Call) -> Iterator[str]:
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        for node in (argument, *(argument.elts if isinstance(argument, ast.List | ast.Tuple) else ())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                # What Python puts into an f-string is a value to SQL, whatever it will be.
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
