"""The types a job parameter may have, and how text is read by each."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from fstk.columns import instants
from fstk.errors import InvalidInput
from fstk.secret import FORMS, Secret

NAMES = "str, int, float, bool, date, datetime, Secret, Literal[...] and T | None of these"
_WRONG = "not of the declared type"  # the value itself stays out: it may be a secret
_NONE = frozenset({"", "none", "null"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")


@dataclass(frozen=True)
class ParameterType:
    """A type as written, how a value or its text is read by it (else ValueError), and how a person is told of it."""

    source: str
    read: Callable[[Any], Any]
    expected: str
    options: tuple[Any, ...] = ()
    secret: bool = False


def parameter_type(source: str, name: str, where: str) -> ParameterType:
    """Return the type written as ``source``; ``name`` and ``where`` tell the parameter and its notebook in the
    InvalidInput that any other type raises.

    >>> parameter_type("Literal['1d', '7d'] | None", "every", "churn.ipynb").expected
    "one of '1d', '7d' or none"
    """
    try:
        kind = _type_of(ast.parse(source, mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):  # a text within it, or any text of an annotation
        kind = None
    if kind is None:
        raise InvalidInput(f"{where}: parameter {name} cannot be a {source}. Types are: {NAMES}.")
    return replace(kind, source=source)


def _type_of(node: ast.expr) -> ParameterType | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _type_of(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not _is_none(side)]
        return _optional(_type_of(sides[0])) if len(sides) == 1 else None
    if isinstance(node, ast.Subscript) and _last(node.value) == "Optional":
        return _optional(_type_of(node.slice))
    if isinstance(node, ast.Subscript) and _last(node.value) == "Literal":
        return _literal(node.slice)
    return _PLAIN.get(_last(node))


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_none(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or _last(node) == "NoneType"


def _optional(inner: ParameterType | None) -> ParameterType | None:
    if inner is None:
        return None
    # the word "none" is a text like any other for a str; only the empty text can stand for nothing there
    words = {""} if inner.source == "str" else _NONE

    def read(value: Any) -> Any:
        return None if value is None or (isinstance(value, str) and value.lower() in words) else inner.read(value)

    return replace(inner, read=read, expected=f"{inner.expected} or none")


def _literal(node: ast.expr) -> ParameterType | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    options = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(option, str | int | bool) for option in options):
        return None

    def read(value: Any) -> Any:
        for option in options:
            if type(option) is type(value) and option == value:
                return option
        for option in options:
            if isinstance(value, str) and not isinstance(option, str) and str(option).lower() == value.lower():
                return option
        raise ValueError(_WRONG)

    expected = "one of " + ", ".join(repr(option) for option in options)
    return ParameterType("", read, expected, options)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_WRONG)
    return value


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(_WRONG)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(_WRONG)
    return float(value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise ValueError(_WRONG)


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        return date.fromisoformat(value)
    raise ValueError(_WRONG)


def _instant(value: Any) -> datetime:
    if isinstance(value, str) and _TIME.fullmatch(value):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError(_WRONG)
    return instants.given(value, "the parameter")


def _reference(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(_text(value))


_PLAIN = {
    kind.source: kind
    for kind in (
        ParameterType("str", _text, "text"),
        ParameterType("int", _whole, "a whole number"),
        ParameterType("float", _number, "a number"),
        ParameterType("bool", _flag, "true or false"),
        ParameterType("date", _day, "a date (YYYY-MM-DD)"),
        ParameterType("datetime", _instant, "a time with its zone (YYYY-MM-DDTHH:MM:SSZ)"),
        ParameterType("Secret", _reference, f"a reference to a secret ({FORMS}), not its value", secret=True),
    )
}
