"""A condition chosen instead of typed: one column, an operator, a value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from fstk.engines.types import TIME_TYPES, field_name
from fstk.errors import InvalidInput
from fstk.notebook.widgets.columns import with_types
from fstk.notebook.widgets.panel import choice, line, offer
from fstk.tables.sql import literal

OPERATORS = ("=", "<>", ">", ">=", "<", "<=", "in", "like", "is null", "is not null")
_WITHOUT_VALUE = ("is null", "is not null")
_BOOLEANS = ("true", "false")


def condition(column: str, kind: str, operator: str, value: str) -> str:
    """Return a condition on a column of a Spark SQL type as Spark SQL; ``value`` is what a person wrote, of ``in`` with
    commas between. InvalidInput: it is no value of that type.

    >>> condition("shop", "string", "in", "north, south")
    "shop in ('north', 'south')"
    >>> condition("amount", "double", ">", "5")
    'amount > 5'
    """
    name = field_name(column)
    if operator in _WITHOUT_VALUE:
        return f"{name} {operator}"
    if operator == "in":
        return f"{name} in ({', '.join(_value(column, kind, part) for part in value.split(','))})"
    return f"{name} {operator} {_value(column, 'string' if operator == 'like' else kind, value)}"


def _value(column: str, kind: str, text: str) -> str:
    text = text.strip()
    try:
        if not text:
            raise ValueError
        if kind in TIME_TYPES:
            datetime.fromisoformat(text)
            return f"{'date' if kind == 'date' else 'timestamp'} {literal(text)}"
        if kind == "boolean":
            return _BOOLEANS[_BOOLEANS.index(text.lower())]
        if kind in ("string", "binary"):
            return literal(text)
        number = Decimal(text)
        if not number.is_finite():
            raise ValueError
        return f"{number:f}"
    except (ValueError, InvalidOperation) as error:
        raise InvalidInput(f"{column} is {kind}: write such a value; got {text!r}.") from error


class ConditionControls:
    """Three controls, under the names ``column``, ``operator`` and ``value`` of ``controls``, that make a condition."""

    def __init__(self, none: str) -> None:
        self._none = none
        self._types: Mapping[str, str] = {}
        self.controls: dict[str, Any] = {
            "column": choice("Only where", [(none, "")]),
            "operator": choice("Operator", OPERATORS),
            "value": line("Value", "", "of in: with commas"),
        }

    def offer(self, types: Mapping[str, str]) -> None:
        """Offer columns with their Spark SQL types."""
        self._types = types
        offer(self.controls["column"], [(self._none, ""), *with_types(types)])

    def text(self) -> str | None:
        """Return the condition, None where no column is chosen; raises InvalidInput."""
        column, operator, value = (self.controls[name].value for name in ("column", "operator", "value"))
        return condition(column, self._types[column], operator, value) if column else None
