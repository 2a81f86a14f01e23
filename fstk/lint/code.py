"""Leaks that Python code shows: its tree is looked at, names are followed to what they were assigned."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fstk.engines.sql.ahead import PLACES
from fstk.lint.report import Finding
from fstk.lint.rules import (
    CLOCK,
    CLOSED_AT_EVENT,
    FITTED_ON_ALL,
    LABEL_IN_WINDOW,
    LATER_ROWS,
    LOCAL_TIME,
    SHUFFLED_SPLIT,
    UNORDERED_WINDOW,
    Rule,
    known_at_once,
)

SQL_CELLS = ("%%fstk", "%%sql", "%%sparksql")
"""Magics whose cells hold SQL."""
_TOTALS = frozenset(("mean", "avg", "sum", "min", "max", "std", "stddev", "var", "median", "count", "quantile", "last"))
_SHIFTS = frozenset(("shift", "diff", "pct_change"))
_LEARNING = ("Scaler", "Encoder", "Imputer", "Transformer", "Discretizer", "PCA")
_OF_LABELS = frozenset(("LabelEncoder", "LabelBinarizer"))
_PARTS = frozenset(("filter", "where", "query", "head", "tail", "limit", "sample", "slice", "split", "randomSplit"))
_FOLDS = frozenset(("train_test_split", "KFold", "StratifiedKFold"))
_SHUFFLES = frozenset(("ShuffleSplit", "StratifiedShuffleSplit", "randomSplit", "random_split"))
_MAKERS = frozenset(("assign", "with_columns", "select", "agg"))


@dataclass
class Known:
    """What the text around a piece of code tells: its labels, the entities to which events happen (in lower case),
    whether labels have a time, whether it makes training sets at all, and what names were assigned by which line (None:
    what cannot be told)."""

    labels: set[str] = field(default_factory=set)
    entities: set[str] = field(default_factory=set)
    timed: bool = False
    trains: bool = False
    assigned: list[tuple[int, str, ast.expr | None]] = field(default_factory=list)


def without_magics(source: str) -> str:
    """Return a cell's Python, on the lines that it has there."""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def read_python(source: str) -> ast.Module | None:
    """Return the tree of a cell; None: it is SQL, of a magic or as the cell of another language."""
    if source.lstrip().startswith(SQL_CELLS):
        return None
    try:
        return ast.parse(without_magics(source))
    except SyntaxError:
        return None


def called(call: ast.Call) -> str:
    """Return the last name of what is called: ``over`` of ``F.sum("x").over(w)``."""
    return _last(call.func)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Return all calls of a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def given(call: ast.Call, name: str, place: int | None = None) -> ast.expr | None:
    """Return an argument by its name or its place."""
    named = next((one.value for one in call.keywords if one.arg == name), None)
    if named is None and place is not None and place < len(call.args):
        return call.args[place]
    return named


def reads_clock(node: ast.AST) -> bool:
    """Tell whether Python's own clock is read within: ``datetime.now()``, ``pd.Timestamp.now()``, ``date.today()``."""
    return any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr in ("now", "utcnow", "today")
        and _last(call.func.value) in ("datetime", "date", "Timestamp")
        for call in calls(node)
    )


class Code:
    """The tree of one cell or file, its lines numbered on from the cells before it, of which it is ``known`` what they
    assigned."""

    def __init__(self, tree: ast.Module, known: Known) -> None:
        self.tree, self.known = tree, known
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        known.assigned += sorted(_assignments(tree), key=lambda one: one[0])

    def value(self, node: ast.expr) -> ast.expr | None:
        """Return what a name was last assigned before it is used; of another expression itself; None: unknown."""
        while isinstance(node, ast.Name):  # to lines ever earlier
            name, line = node.id, node.lineno
            found = next((one[2] for one in reversed(self.known.assigned) if one[1] == name and one[0] < line), None)
            if found is None:
                return None
            node = found
        return node

    def findings(self, where: Callable[[ast.expr], str]) -> list[Finding]:
        """Return what each call shows; ``where`` says the place of one."""
        found = []
        for call in calls(self.tree):
            rule = next((rule for rule, holds in _RULES.items() if holds(self, call)), None)
            if rule is not None and not self.makes_label(call):
                found.append(rule.found(where(call), ast.unparse(call)))
        for name in self._clock_names():
            found.append(CLOCK.found(where(name), ast.unparse(name)))
        return found

    def made(self, node: ast.AST) -> set[str]:
        """Return the names of the columns that an expression becomes."""
        names: set[str] = set()
        while not isinstance(above := self._parents.get(node), ast.stmt | None):
            if isinstance(above, ast.keyword) and above.arg and called_by(self._parents[above]) in _MAKERS:
                names.add(above.arg)
            elif isinstance(above, ast.Call) and called(above) in ("withColumn", "alias") and above.args:
                names.update(_texts([above.args[0]]))
            node = above
        if isinstance(above, ast.Assign):
            names.update(_texts([target.slice for target in above.targets if isinstance(target, ast.Subscript)]))
        return names

    def makes_label(self, node: ast.AST) -> bool:
        """Tell whether an expression becomes a label, which may look ahead: by its column, or by a name with label."""
        labels = {label.lower() for label in self.known.labels}
        if any(name.lower() in labels for name in self.made(node)):
            return True
        statement: ast.AST | None = node
        while not isinstance(statement, ast.stmt | None):
            statement = self._parents.get(statement)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        return any("label" in _last(one.value if isinstance(one, ast.Subscript) else one).lower() for one in targets)

    def sql(self, call: ast.Call) -> Iterator[str]:
        """Return the texts given to a call, by name, too; what is put into an f-string is a value, or the clock."""
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            for node in (argument, *(argument.elts if isinstance(argument, ast.List | ast.Tuple) else ())):
                value = self.value(node)
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
                elif isinstance(value, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in value.values)

    def clocks_in_sql(self, call: ast.Call) -> Iterator[ast.expr]:
        """Return what reads the clock among the values that f-strings given to a call hold."""
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            value = self.value(argument)
            for part in value.values if isinstance(value, ast.JoinedStr) else ():
                if isinstance(part, ast.FormattedValue) and self._is_clock_value(part.value):
                    yield part.value

    def _is_clock_value(self, node: ast.expr) -> bool:
        names = (one for one in ast.walk(node) if isinstance(one, ast.Name))
        return reads_clock(node) or any(value is not None and reads_clock(value) for value in map(self.value, names))

    def _clock_names(self) -> Iterator[ast.Name]:
        """Return the names that stand for the clock within columns that are made."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and self.made(node):
                value = self.value(node)
                if value is not None and reads_clock(value):
                    yield node

    def is_shuffled(self, call: ast.Call) -> bool:
        name, shuffle = called(call), given(call, "shuffle")
        if name in _SHUFFLES:
            return self.known.timed
        if name not in _FOLDS:
            return False
        if isinstance(shuffle, ast.Constant) and shuffle.value is True:
            return self.known.timed or not self.known.trains
        return shuffle is None and name == "train_test_split" and self.known.timed

    def is_fitted_on_all(self, call: ast.Call) -> bool:
        if called(call) not in ("fit", "fit_transform") or not isinstance(call.func, ast.Attribute) or not call.args:
            return False
        made = self.value(call.func.value)
        name = called(made) if isinstance(made, ast.Call) else ""
        return name.endswith(_LEARNING) and name not in _OF_LABELS and not self._is_part(call.args[0])

    def is_closed_at_event(self, call: ast.Call) -> bool:
        windows, points = (None if node is None else self.value(node) for node in _computed(call))
        if not isinstance(windows, ast.Call) or called(windows) != "WindowedFeatures":
            return False
        closed = given(windows, "closed")
        return _texts([points]) == ["events"] and _texts([closed and self.value(closed)]) in (["both"], ["right"])

    def is_clock(self, call: ast.Call) -> bool:
        if not reads_clock(call) or any(reads_clock(child) for child in ast.iter_child_nodes(call)):
            return False
        return bool(self.made(call))

    def is_label_window(self, call: ast.Call) -> bool:
        if called(call) not in ("over", "transform"):
            return False
        texts = {text.lower() for node in ast.walk(call.func) for text in (*_texts([node]), _attribute(node)) if text}
        return bool(texts & {label.lower() for label in self.known.labels}) and self._is_window(call)

    def is_unordered(self, call: ast.Call) -> bool:
        if self._is_scale(call):
            return True
        if called(call) == "transform":
            return bool(set(_texts(call.args)) & _TOTALS) and not self._at_once(_grouped(call))
        if called(call) != "over" or not isinstance(call.func, ast.Attribute):
            return False
        steps = self._steps(call)
        if steps is None:  # Polars, whose windows are columns
            partition = _texts(call.args)
            total = _last_call(call.func.value) in _TOTALS and given(call, "order_by") is None
            return total and bool(partition) and not self._at_once(partition)
        partition = _texts(steps["partitionBy"].args) if "partitionBy" in steps else []
        place = _last_call(call.func.value) in PLACES
        return "orderBy" not in steps and not place and not self._at_once(partition)

    def is_later(self, call: ast.Call) -> bool:
        name = called(call)
        if name in ("bfill", "backfill"):
            return True
        if name in ("fillna", "fill_null"):
            how = _texts([given(call, "method"), given(call, "strategy")])
            return how in (["bfill"], ["backfill"], ["backward"])
        if name in _SHIFTS:
            steps = _number(given(call, "periods", 0) or given(call, "n"))
            return steps is not None and steps < 0 and isinstance(call.func, ast.Attribute)
        if name.startswith("rolling"):
            center = given(call, "center")
            return isinstance(center, ast.Constant) and center.value is True
        return name == "over" and self._sees_later(call)

    def is_local(self, call: ast.Call) -> bool:
        above = self._parents.get(call)
        if isinstance(above, ast.Attribute) and above.attr == "alias":
            above = self._parents.get(above)
        elif called_by(above) != "withColumn":
            return False
        return called(call) == "from_utc_timestamp" and isinstance(above, ast.Call)

    def _at_once(self, partition: list[str]) -> bool:
        return known_at_once(partition, self.known.entities)

    def _is_scale(self, call: ast.Call) -> bool:
        """Tell whether a column is compared with its own total, as in ``df["x"] - df["x"].mean()``."""
        above = self._parents.get(call)
        if called(call) not in _TOTALS or not isinstance(call.func, ast.Attribute) or not isinstance(above, ast.BinOp):
            return False
        column = ast.dump(call.func.value)
        same = any(ast.dump(node) == column for node in ast.walk(above.left))
        return isinstance(above.op, ast.Sub | ast.Div) and above.right is call and same and bool(self.made(call))

    def _sees_later(self, call: ast.Call) -> bool:
        steps = self._steps(call)
        if steps is None or "orderBy" not in steps or not isinstance(call.func, ast.Attribute):
            return False
        first = steps["orderBy"].args[:1]
        descends = any(called(one).startswith("desc") for node in first for one in calls(node))
        function = _last_call(call.func.value)
        if function in PLACES:
            return False
        if function in ("lead", "lag"):
            return (function == "lead") != descends
        frame = steps.get("rowsBetween") or steps.get("rangeBetween")
        if frame is None or len(frame.args) != 2:
            return descends
        end = _number(frame.args[0 if descends else 1])
        return end is not None and (end < 0 if descends else end > 0)

    def _steps(self, call: ast.Call) -> Mapping[str, ast.Call] | None:
        """Return the calls that make PySpark's Window which a function is over, by name; None where it is none."""
        node = self.value(call.args[0]) if call.args else None
        steps: dict[str, ast.Call] = {}
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            steps.setdefault(node.func.attr, node)
            if _last(node.func.value) == "Window":
                return steps
            node = self.value(node.func.value)
        return None

    def _is_window(self, call: ast.Call) -> bool:
        return called(call) == "transform" or bool(_texts(call.args)) or self._steps(call) is not None

    def _is_part(self, node: ast.expr) -> bool:
        """Tell whether rows are, or may be, a part of all: filtered, split, or of a function's caller."""
        if isinstance(node, ast.Name):
            value = self.value(node)
            if value is None:
                return any(name == node.id for _, name, _ in self.known.assigned)
            return self._is_part(value)
        if isinstance(node, ast.Call):
            inside = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            return called(node) in _PARTS or any(self._is_part(one) for one in (*inside, *node.args))
        if isinstance(node, ast.Subscript):
            return not self._is_columns(node.slice) or self._is_part(node.value)
        return isinstance(node, ast.Attribute) and self._is_part(node.value)

    def _is_columns(self, node: ast.expr) -> bool:
        value = self.value(node)
        if isinstance(value, ast.List | ast.Tuple):
            return all(map(self._is_columns, value.elts))
        return bool(_texts([value])) or (isinstance(value, ast.Slice) and value.lower is value.upper)


_RULES: dict[Rule, Callable[[Code, ast.Call], bool]] = {
    LABEL_IN_WINDOW: Code.is_label_window,
    UNORDERED_WINDOW: Code.is_unordered,
    LATER_ROWS: Code.is_later,
    LOCAL_TIME: Code.is_local,
    CLOCK: Code.is_clock,
    FITTED_ON_ALL: Code.is_fitted_on_all,
    SHUFFLED_SPLIT: Code.is_shuffled,
    CLOSED_AT_EVENT: Code.is_closed_at_event,
}


def _computed(call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    """Return the features that a call computes, and the points that it computes them at."""
    if called(call) == "create_table":
        return given(call, "features"), given(call, "points")
    if called(call) in ("compute", "to_arrow") and isinstance(call.func, ast.Attribute):
        return call.func.value, given(call, "points", 0)
    return None, None


def texts_of(node: ast.expr | None) -> list[str]:
    """Return the text that a node is, or the texts of the list that it is."""
    return _texts([node])


def called_by(node: ast.AST | None) -> str:
    """Return what is called, where a node is a call."""
    return called(node) if isinstance(node, ast.Call) else ""


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _last_call(node: ast.expr) -> str:
    return called(node) if isinstance(node, ast.Call) else ""


def _attribute(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _texts(nodes: Iterable[ast.AST | None]) -> list[str]:
    """Return the texts among nodes, and in lists of these."""
    found = []
    for node in nodes:
        for one in node.elts if isinstance(node, ast.List | ast.Tuple) else [node]:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                found.append(one.value)
    return found


def _grouped(call: ast.Call) -> list[str]:
    groups = (one for one in calls(call.func) if called(one) == "groupby")
    return [text for one in groups for text in _texts([*one.args, *(word.value for word in one.keywords)])]


def _number(node: ast.expr | None) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = _number(node.left), _number(node.right)
        return None if left is None or right is None else left * right
    far = {"unboundedFollowing": float("inf"), "maxsize": float("inf"), "unboundedPreceding": float("-inf")}
    return far.get(node.attr) if isinstance(node, ast.Attribute) else None


def _assignments(tree: ast.AST) -> Iterator[tuple[int, str, ast.expr | None]]:
    """Return each name that is assigned, with its last line and value; None: a part of something, or a caller's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _bound(target, node.value, node.end_lineno or node.lineno)
        elif isinstance(node, ast.AnnAssign):
            yield from _bound(node.target, node.value, node.end_lineno or node.lineno)
        elif isinstance(node, ast.For | ast.comprehension):
            yield from _bound(node.target, None, node.target.lineno)
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg, None


def _bound(target: ast.expr, value: ast.expr | None, line: int) -> Iterator[tuple[int, str, ast.expr | None]]:
    if isinstance(target, ast.Name):
        yield line, target.id, value
    elif isinstance(target, ast.Tuple | ast.List):
        parts: list[ast.expr | None] = [None] * len(target.elts)
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(parts):
            parts = [*value.elts]
        for one, part in zip(target.elts, parts, strict=True):
            yield from _bound(one, part, line)
