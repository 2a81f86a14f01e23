"""Leaks that the text of a query or of a notebook's cells shows: the clock, later rows, the label itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable

from fstk.engines.sql.clock import FUNCTIONS, clock_uses
from fstk.engines.sql.scalar import scalar
from fstk.errors import BadExpression
from fstk.lint.code import SQL_CELLS, Code, Known, called, calls, given, read_python, texts_of
from fstk.lint.dated import dated
from fstk.lint.report import Finding
from fstk.lint.rules import CLOCK, CLOSED_AT_EVENT, lint_looks

_TAKES_SQL = frozenset(("sql", "expr", "selectExpr", "Aggregate", "FeatureFunction"))
_LABEL = re.compile(r"%%fstk\s+pit\s.*--label[\s=]+([^\s'\"]+)")
_ENTITY = re.compile(r"%%fstk\s+windows\s.*--entity[\s=]+([^\s'\"]+)")
_CLOSED = re.compile(r"%%fstk\s+windows\s(?!.*--(?:calendar|points)\b).*--closed[\s=]+(?:both|right)\b")  # at events
_FUNCTION = re.compile(r"\s*expr\s+(.+)\s+as\s+`?(\w+)`?\s*,?\s*", re.IGNORECASE)


def lint_sql(sql: str, where: str, labels: Iterable[str] = (), entities: Collection[str] = ()) -> list[Finding]:
    """Name what feature SQL, a statement, an expression or lines of them, sees too much of: the clock, later rows.

    A column that is one of ``labels`` may look ahead, and no other may read one through a window. The rows of one order
    or another event are known at once, unless it is of the ``entities`` (in lower case) to which events happen.
    """
    return [*_of_clock(sql, where), *lint_looks(sql, where, labels, entities)]


def _of_clock(sql: str, where: str) -> list[Finding]:
    return [Finding(CLOCK.code, where, f"uses {use}: {CLOCK.wrong}", CLOCK.cure) for use in clock_uses(sql)]


def lint_cell(source: str, where: str) -> list[Finding]:
    """Name the leaks in one cell, or in a file of Python: see :func:`lint_cells`."""
    return lint_cells([(source, where)])


def lint_cells(cells: Iterable[tuple[str, str]]) -> list[Finding]:
    """Name the leaks in the cells of one notebook, in order; each with its place.

    In a cell of a SQL magic (``%%fstk windows``, ``%%sql``) the body is SQL. In a Python cell SQL is the strings given
    to ``sql``, ``expr``, ``selectExpr``, ``Aggregate`` and ``FeatureFunction``; the rest is looked at as Python:
    ``datetime.now()`` as a column is a leak, to time a run it is none.
    """
    cells = list(cells)
    read = [read_python(source) for source, _ in cells]
    known = Known()
    for (source, _), tree in zip(cells, read, strict=True):
        _learn(known, source, tree)
    findings = []
    lines = 0
    for (source, where), tree in zip(cells, read, strict=True):
        if tree is None:
            findings += _of_text(source, where, known)
        else:
            ast.increment_lineno(tree, lines)
            findings += _of_python(Code(tree, known), where, lines)
        lines += len(source.splitlines())
    return findings


def _learn(known: Known, source: str, tree: ast.Module | None) -> None:
    first = source.lstrip().partition("\n")[0]
    label = _LABEL.match(first)
    known.labels |= {label[1]} if label else set()
    entity = _ENTITY.match(first)
    known.entities |= set(entity[1].lower().split(",")) if entity else set()
    pit = first.startswith("%%fstk pit")
    known.trains |= pit
    known.timed |= pit and "--at" in first.replace("=", " ").split()
    for call in calls(tree) if tree is not None else ():
        known.timed |= given(call, "timestamp_lookup_key") is not None
        if called(call) in ("WindowedFeatures", "create_source"):
            known.entities |= {key.lower() for key in texts_of(given(call, "entity", 1))}
        if called(call) == "create_training_set":
            known.trains = True
            known.labels |= set(texts_of(given(call, "label")))


def _of_text(source: str, where: str, known: Known) -> list[Finding]:
    first, _, body = source.lstrip().partition("\n")
    if not first.startswith(SQL_CELLS):
        return _of_fragment(source, where, known)
    label = _LABEL.match(first)
    read = [(found[1], found[2]) for found in map(_FUNCTION.fullmatch, body.splitlines()) if found]
    closed = [CLOSED_AT_EVENT.found(where, first)] if _CLOSED.match(first) else []
    return [*_of_fragment(body, where, known), *(_of_label(label[1], read, where) if label else ()), *closed]


def _of_python(code: Code, where: str, before: int) -> list[Finding]:
    def place(node: ast.expr) -> str:
        return f"{where}, line {node.lineno - before},"

    findings = []
    labels: list[str] = []
    computed: list[tuple[str, str]] = []
    for call in calls(code.tree):
        name = called(call)
        if name == "create_training_set":
            labels += [text for one in call.keywords if one.arg == "label" for text in _texts([one.value])]
        if name == "FeatureFunction":
            texts = _texts([*call.args, *(one.value for one in call.keywords)])
            computed += [(texts[0], texts[1])] if len(texts) == 2 else []
        findings += [Finding(one.rule, place(call), one.wrong, one.cure) for one in dated(call, name)]
        if name in FUNCTIONS and _of_pyspark(call.func):
            findings += _of_clock(f"{name}()", place(call))
        elif name in _TAKES_SQL:
            ahead = None if code.makes_label(call) else code.known
            for text in code.sql(call):
                findings += _of_fragment(text, place(call), ahead)
            findings += [CLOCK.found(place(call), ast.unparse(clock)) for clock in code.clocks_in_sql(call)]
    findings += code.findings(place)
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


def _of_fragment(text: str, where: str, known: Known | None) -> list[Finding]:
    """Name what a text sees too much of, if it is SQL; None for ``known``: it makes labels, which may look ahead."""
    try:
        return _of_clock(text, where) if known is None else lint_sql(text, where, known.labels, known.entities)
    except BadExpression:  # not SQL after all: the cell's own error says so when it runs
        return []


def _of_pyspark(function: ast.expr) -> bool:
    # F.now() and now() imported by name; datetime.now() and pd.Timestamp.now() are Python's.
    if isinstance(function, ast.Name):
        return function.id != "now"
    owner = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in ("F", "f", "sf", "functions")
