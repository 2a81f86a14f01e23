"""Leaks that features can carry before they meet a label, each named with its place and its cure."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.display import WIDTH, Displayed, Table
from fstk.errors import BadExpression
from fstk.windows.bounds import number_entities
from fstk.windows.clock import FUNCTIONS, clock_uses

_INDENT = " " * 6
_TAKES_SQL = frozenset(("sql", "expr", "selectExpr", "Aggregate"))
_SQL_CELLS = ("%%fstk", "%%sql", "%%sparksql")


@dataclass(frozen=True)
class Finding:
    """One leak: its kind (``code``), ``where`` it is (table, column or cell), what is wrong, and how to mend it."""

    code: str
    where: str
    message: str
    cure: str


@dataclass(frozen=True, repr=False)
class LintReport(Displayed):
    """What the checks found; no finding is a clean set."""

    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> LintReport:
        """Return the report of some findings, each named once."""
        return cls(tuple(dict.fromkeys(findings)))

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def display(self) -> Table:
        """Return one paragraph per finding."""
        return Table("", (), (), [_paragraph(finding) for finding in self.findings] or ["lint: clean."])


def _paragraph(finding: Finding) -> str:
    first, *rest = finding.message.split("\n")
    lines = textwrap.wrap(f"LEAK  {finding.where} {first}", WIDTH, subsequent_indent=_INDENT)
    last = " ".join([*rest, f"Cure: {finding.cure}"])
    return "\n".join([*lines, *textwrap.wrap(last, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)])


def lint_sql(sql: str, where: str) -> list[Finding]:
    """Name the current-time and current-date functions in feature SQL: a statement, an expression or lines of them.

    Raises:
        BadExpression: the text is not SQL.
    """
    return [
        Finding(
            "current-time",
            where,
            f"uses {use}: over history every row is computed with today's clock, and the same run tomorrow gives other "
            "values.",
            "compare with the row's own time, or with a parameter of the job such as as_of.",
        )
        for use in clock_uses(sql)
    ]


def lint_cell(source: str, where: str) -> list[Finding]:
    """Name the current-time functions in the feature SQL of a notebook cell.

    In a cell of a SQL magic (``%%fstk windows``, ``%%sql``) the body is SQL. In a Python cell it is the strings given
    to ``sql``, ``expr``, ``selectExpr`` and ``Aggregate``, besides calls of PySpark's own functions such as
    ``F.current_date()``; ``datetime.now()`` to time a run is no feature.
    """
    first, _, body = source.lstrip().partition("\n")
    if first.startswith(_SQL_CELLS):
        return _of_fragment(body, where)
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:  # not Python: a cell of another language, which may hold SQL
        return _of_fragment(source, where)
    findings = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        at = f"{where}, line {call.lineno},"
        if name in FUNCTIONS and _of_pyspark(call.func):
            findings += lint_sql(f"{name}()", at)
        elif name in _TAKES_SQL:
            for text in _strings(call):
                findings += _of_fragment(text, at)
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


def lint_windows(
    table: str,
    columns: Sequence[str],
    closed: str,
    labels: pa.Table,
    label_keys: Sequence[str],
    label_time: str,
    events: pa.Table,
    event_keys: Sequence[str],
    event_time: str,
) -> list[Finding]:
    """Name windows that contain the labelled event: closed at their end, and joined at the instant of an event.

    Args:
        table: where the windowed features are, for the message.
        columns: their names.
        closed: ``left``, ``right`` or ``both``, as the features were computed.
        labels: the labels or a sample of them, with their key columns and ``label_time``.
        events: the events that the windows were computed of; all events of the labels' entities.

    Key columns agree by position and type; times are TIMESTAMP, TIMESTAMP_NTZ (as UTC) or DATE (its midnight UTC).
    """
    if closed == "left" or not columns or not labels.num_rows:
        return []
    at_label, at_event = number_entities([(labels, label_keys, label_time), (events, event_keys, event_time)])
    known = at_label.entity >= 0
    moments = np.unique(at_event.time)
    rank = np.searchsorted(moments, at_label.time)
    rank[rank == len(moments)] = 0
    meets = known & (len(moments) > 0)
    if len(moments):
        meets &= moments[rank] == at_label.time
        pairs = at_event.entity * len(moments) + np.searchsorted(moments, at_event.time)
        meets &= np.isin(at_label.entity * len(moments) + rank, pairs)
    share = float(meets.mean())
    if share == 0:
        return []
    more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
    return [
        Finding(
            "holds-the-label",
            f"{table}.{columns[0]}{more}",
            f'closes at the label\'s own instant (closed="{closed}"): the event being predicted is counted.\n'
            f"{labels.num_rows:,} labels, {percent(share)} have an event at exactly {label_time}.",
            'closed="left" (the default), or shift the label.',
        )
    ]


def percent(share: float) -> str:
    """Return a share as a person reads it: what is more than nothing never reads as 0 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "less than 1 %"
