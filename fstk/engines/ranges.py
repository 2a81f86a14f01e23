"""Ranges of whole days in seconds, over columns of times: what ``rangeBetween(-7 * 86400, 0)`` is meant to say.

Spark orders a range by a number, or by a time and an interval. Here the order becomes that of microseconds, in which
times, and numbers of seconds, compare as before.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

_DAY = 86_400
_MICROS = 1_000_000
_ORDERED = "_fstk_ordered"  # the spec before its order, and the columns of the order
_SPECS = ("pyspark.sql.classic.window", "pyspark.sql.connect.window")


def whole_days_in_seconds(told: Callable[[], None]) -> None:
    """Let ``rangeBetween`` of PySpark's windows take whole days in seconds; ``told`` is called at each such use."""
    for module in _SPECS:
        try:
            spec: Any = importlib.import_module(module).WindowSpec
        except ImportError:
            continue  # a client without grpc, or one that is Connect alone
        if not hasattr(spec.orderBy, "__wrapped__"):
            spec.orderBy = _remembering(spec.orderBy)
            spec.rangeBetween = _in_micros(spec.rangeBetween, told)


def _remembering(order_by: Any) -> Any:
    @functools.wraps(order_by)
    def ordered(self: Any, *cols: Any) -> Any:
        made = order_by(self, *cols)
        setattr(made, _ORDERED, (self, cols))
        return made

    return ordered


def _in_micros(range_between: Any, told: Callable[[], None]) -> Any:
    @functools.wraps(range_between)
    def between(self: Any, start: int, end: int) -> Any:
        before, cols = getattr(self, _ORDERED, (None, ()))
        days = all(abs(bound) < 2**40 and bound % _DAY == 0 for bound in (start, end)) and (start or end)
        if not days or before is None or len(cols) != 1 or not isinstance(cols[0], str):
            return range_between(self, start, end)
        told()
        functions = importlib.import_module("pyspark.sql.functions")
        micros = functions.unix_micros(functions.col(cols[0]).cast("timestamp"))
        return range_between(before.orderBy(micros), start * _MICROS, end * _MICROS)

    return between
