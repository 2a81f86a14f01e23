"""Request-time features: columns that a Spark SQL expression gives, of the labels, of what was looked up, of each
other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.sql.expressions import compiled
from fstk.engines.sql.scalar import Scalar, check_columns, renamed, scalar
from fstk.engines.types import arrow_type, spark_type
from fstk.errors import InvalidInput, TypeMismatch, UnknownColumn, nearest

KindOf = Callable[[Schema, str], str]
"""The Spark type of an expression over columns."""


@dataclass(frozen=True, init=False)
class FeatureFunction:
    """A feature that is computed when it is asked for, such as a request's amount beside what was looked up.

    It stands beside :class:`FeatureLookup` in ``feature_lookups``. A model remembers it: ``score_batch`` computes the
    same value, to the bit, from the columns that it is given.

    Args:
        expression: deterministic Spark SQL over columns of the labels (but the label itself), outputs of lookups and of
            other functions, in whatever order these are given. It means UTC in any session, under ANSI's rules:
            overflow and division by zero are errors, ``nullif(x, 0)`` makes null of a zero.
        output_name: the name of its column.
        inputs: name in the expression → column that it stands for; a list takes columns by their own names. The
            expression may then read nothing else. None: each name is a column.

    Raises:
        InvalidInput: an argument of another shape than described. BadExpression: no SQL expression, or one whose value
        depends on more than its row. UnknownColumn: ``inputs`` and the expression name different columns.

    >>> ratio = FeatureFunction("paid / nullif(usual, 0)", "ratio", inputs={"paid": "amount", "usual": "spend_30d"})
    >>> orders = pd.DataFrame({"customer_id": [1, 2, 3], "at": at, "amount": [5.0, 30.0, 1.0]})
    >>> fe.create_training_set(df=orders, feature_lookups=[lookup, ratio], label=None).to_pandas()["ratio"].tolist()
    [0.5, 4.0, nan]
    """

    expression: str
    output_name: str
    inputs: dict[str, str] | None

    def __init__(
        self, expression: str, output_name: str, *, inputs: Mapping[str, str] | Sequence[str] | None = None
    ) -> None:
        if not isinstance(output_name, str) or not output_name:
            raise InvalidInput(f"output_name of a FeatureFunction must be a column name; got {output_name!r}.")
        of = f"FeatureFunction {output_name}"
        if not isinstance(expression, str):
            raise InvalidInput(f"{of}: expression must be Spark SQL as text; got {expression!r}.")
        read = scalar(expression, of)
        bound = None if inputs is None else _inputs(inputs, read, of)
        for field, value in {"expression": expression, "output_name": output_name, "inputs": bound}.items():
            object.__setattr__(self, field, value)

    def to_json(self) -> dict[str, Any]:
        """Return the function as JSON values; :meth:`from_json` turns them back.

        >>> FeatureFunction("amount * 2", "double_amount").to_json()["expression"]
        'amount * 2'
        """
        return {"expression": self.expression, "output_name": self.output_name, "inputs": self.inputs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeatureFunction:
        """Return the function that :meth:`to_json` described.

        >>> function = FeatureFunction("amount * 2", "double_amount")
        >>> FeatureFunction.from_json(function.to_json()) == function
        True
        """
        return cls(data["expression"], data["output_name"], inputs=data["inputs"])


def over_columns(function: FeatureFunction) -> Scalar:
    """Return the expression of a function over columns themselves, each in the place of the name that stands for it."""
    of = f"FeatureFunction {function.output_name}"
    read = scalar(function.expression, of)
    return read if function.inputs is None else scalar(renamed(read, function.inputs), of)


def _inputs(given: Any, read: Scalar, of: str) -> dict[str, str]:
    named = given if isinstance(given, Mapping) else {name: name for name in _listed(given, of)}
    if not named or not all(isinstance(text, str) and text for pair in named.items() for text in pair):
        raise InvalidInput(f"{of}: inputs must map names of the expression to columns; got {given!r}.")
    folded = {name.lower() for name in named}
    if len(folded) < len(named):
        raise InvalidInput(f"{of}: inputs {', '.join(named)} differ in case only, which SQL does not tell apart.")
    for column in read.columns:
        if column.lower() not in folded:
            raise UnknownColumn(f"{of}: {column} is not among its inputs.{nearest(column, named)}")
    unused = [name for name in named if name.lower() not in {column.lower() for column in read.columns}]
    if unused:
        raise UnknownColumn(
            f"{of}: the expression does not read its input {unused[0]}.{nearest(unused[0], read.columns)}"
        )
    return dict(named)


def _listed(given: Any, of: str) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise InvalidInput(f"{of}: inputs must be names of columns, or map names to columns; got {given!r}.")
    return list(given)


@dataclass(frozen=True)
class Function:
    """A function of a plan: its column ``name`` of Spark type ``type``, and the ``columns`` that ``expression`` reads,
    as they are called."""

    name: str
    expression: str
    columns: tuple[str, ...]
    type: str


def planned(functions: Sequence[FeatureFunction], known: Schema, label: str | None, kind_of: KindOf) -> list[Function]:
    """Return the functions in an order in which each comes after those that it reads, with their types.

    ``known`` are the other columns. UnknownColumn: one that no function may read; InvalidInput: the label, a circle of
    functions, or a column of nothing but nulls."""
    read = {one.output_name: over_columns(one) for one in functions}
    called = {name.lower(): name for name in [*known, *read]}
    reads: dict[str, list[str]] = {}
    for name, expression in read.items():
        if label is not None and label.lower() in map(str.lower, expression.columns):
            raise InvalidInput(
                f"FeatureFunction {name} reads the label {label}, which nobody knows when the feature is asked for: a "
                "leak. Compute it of other columns."
            )
        check_columns(expression.columns, [one for one in called.values() if one != label], f"FeatureFunction {name}")
        reads[name] = [called[column.lower()] for column in expression.columns]
    try:
        order = list(
            TopologicalSorter({name: [one for one in reads[name] if one in read] for name in read}).static_order()
        )
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise InvalidInput(
            f"FeatureFunctions wait for each other: {circle}. Let one of them read other columns."
        ) from error
    types, made = dict(known), []
    for name in order:
        text = read[name].text
        kind = kind_of({column: types[column] for column in reads[name]}, text)
        if kind == "void":
            raise InvalidInput(f"FeatureFunction {name}: {text!r} is NULL in every row; write what it is.")
        types[name] = kind
        made.append(Function(name, text, tuple(dict.fromkeys(reads[name])), kind))
    return made


def needed(functions: Sequence[Function], wanted: Callable[[str], bool]) -> list[Function]:
    """Return, in their order, the functions whose columns are wanted, and those that they read."""
    kept: list[Function] = []
    for one in reversed(functions):
        if wanted(one.name) or any(one.name in other.columns for other in kept):
            kept.insert(0, one)
    return kept


def steps(functions: Sequence[Function]) -> list[list[Function]]:
    """Return the functions in groups, each of which reads earlier ones alone."""
    depth: dict[str, int] = {}
    for one in functions:
        depth[one.name] = 1 + max((depth.get(column, 0) for column in one.columns), default=0)
    return [
        [one for one in functions if depth[one.name] == step] for step in range(1, max(depth.values(), default=0) + 1)
    ]


def kind_here(columns: Schema, expression: str) -> str:
    """Return the type of an expression as this process computes it; raises as
    :func:`fstk.engines.sql.expressions.compiled`."""
    return compiled(columns, expression).kind


class CompiledFunctions:
    """Functions read once, for any number of tables: called with rows that hold the columns that the functions read, it
    returns them with the functions' columns. Computes in this process, without a session.

    ``columns`` are the names and Spark types of what the functions may read. A function whose column the rows have
    already is not computed: the caller's stands for it. BadExpression: what only Spark evaluates.
    """

    def __init__(self, functions: Sequence[Function], columns: Schema) -> None:
        types = dict(columns) | {one.name: one.type for one in functions}
        self._read = [
            (
                one,
                {name: arrow_type(types[name]) for name in one.columns},
                compiled(_only(types, one), one.expression).run,
            )
            for one in functions
        ]

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Raises UnknownColumn, TypeMismatch: a column is missing or of another type; InvalidInput: division by zero;
        NumericOverflow."""
        for one, kinds, run in self._read:
            if one.name in rows.column_names:
                continue
            for name, kind in kinds.items():
                if name not in rows.column_names:
                    raise UnknownColumn(f"FeatureFunction {one.name} reads {name}, which is missing.")
                found = rows.schema.field(name).type
                if found != kind:
                    kinds_named = f"{spark_type(kind)}; it is {spark_type(found)}"
                    raise TypeMismatch(f"FeatureFunction {one.name} reads {name} as {kinds_named}. Cast it.")
            rows = rows.append_column(one.name, run(rows.select(list(kinds))) if kinds else run(rows))
        return rows


def _only(types: Schema, one: Function) -> Schema:
    return {name: types[name] for name in one.columns}
