"""What a windowed feature will be: its column, type and meaning, known before anything runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fstk.columns.length import Length
from fstk.display import Displayed, Sheet
from fstk.engines.base import Schema
from fstk.errors import UnsupportedType
from fstk.tables.spec import TIME_TYPES
from fstk.windows.expression import Parsed

_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_FLOATS = ("float", "double")
_COMPARED = (*_INTEGERS, *_FLOATS, "decimal", "string", "boolean", *TIME_TYPES)
KEYS = (*_COMPARED, "binary")
"""Types of an entity column, and of what distinct values are counted of."""


@dataclass(frozen=True)
class PlannedFeature:
    """One output column: its Spark SQL type, and what it says in words."""

    column: str
    type: str
    meaning: str


@dataclass(frozen=True, repr=False)
class WindowPlan(Displayed):
    """What :meth:`WindowedFeatures.compute` returns: the points' columns, then the features.

    ``points`` are the columns and types that come first, ``time`` the one of them that is the points' instant.
    """

    source: str
    entity: tuple[str, ...]
    time: str
    points: Schema
    features: tuple[PlannedFeature, ...]

    @property
    def schema(self) -> Schema:
        """All output columns and their types, in order."""
        return self.points | {feature.column: feature.type for feature in self.features}

    def display(self) -> Sheet:
        """Return one row per feature."""
        number = len(self.features)
        return Sheet(
            f"{number:,} windowed feature{'s' if number != 1 else ''} of {self.source}, "
            f"keys ({', '.join(self.entity)}, {self.time} TIMESERIES)",
            ("column", "type", "meaning"),
            [(feature.column, feature.type, feature.meaning) for feature in self.features],
        )


def base(spark_type: str) -> str:
    """Return a type without its parameters: ``decimal(10,2)`` → ``decimal``."""
    return spark_type.split("(")[0] if spark_type.startswith("decimal") else spark_type


def feature_type(parsed: Parsed, argument: str | None, written: str) -> str:
    """Return the Spark SQL type of an aggregate over an ``argument`` of a type, as the rules have it.

    Raises:
        UnsupportedType: the function has no meaning for such an argument; ``written`` is quoted in the message.
    """
    function = parsed.function
    if function == "count" or argument is None:
        return "bigint"
    kind = base(argument)
    if function == "count_distinct":
        _need(kind in KEYS, written, argument, "numbers, strings, bytes, dates, timestamps or booleans")
        return "bigint"
    if function in ("min", "max"):
        _need(kind in _COMPARED, written, argument, "numbers, strings, dates, timestamps or booleans")
        return argument
    _need(kind in (*_INTEGERS, *_FLOATS, "decimal"), written, argument, "numbers")
    if function != "sum" or kind in _FLOATS:
        return "double"
    if kind != "decimal":
        return "bigint"
    precision, scale = (int(part) for part in re.findall(r"\d+", argument))
    return f"decimal({min(38, precision + 10)},{scale})"


def _need(fits: bool, written: str, argument: str, wanted: str) -> None:
    if not fits:
        raise UnsupportedType(
            f"{written}: its argument is {argument}; it takes {wanted}. Cast it inside the expression."
        )


def meaning(written: str, length: Length, closed: str, time: str) -> str:
    """Return a feature in words: ``count(*) over [as_of − 7 d, as_of)``."""
    if length.micros is None:
        return f"{written} over all {'before' if closed == 'left' else 'up to'} {time}"
    opening, closing = ("(" if closed == "right" else "["), (")" if closed == "left" else "]")
    return f"{written} over {opening}{time} − {length.spoken}, {time}{closing}"


def feature_names(names: Sequence[str], lengths: Sequence[Length]) -> list[str]:
    """Return the feature columns in their order: windows first, then aggregates."""
    return [f"{name}_{length.name}" for length in lengths for name in names]
