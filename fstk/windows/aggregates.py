"""The aggregate functions of windowed features, each a class that holds all that is known of it.

A further one is a class here with its place in :data:`AGGREGATES`, and its rule in the tests' plain loop: parsing,
plans, kernel, help and completion read it from here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import decimals, masked
from fstk.engines.types import TIME_TYPES, arrow_type, spark_type
from fstk.errors import NumericOverflow, UnsupportedType
from fstk.windows.arguments import Argument, Windows
from fstk.windows.exact import Floats, int64, int128, reaches, sums
from fstk.windows.reduce import deviations, distinct, extremes

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_COMPARED = (*_NUMBERS, "string", "boolean", *TIME_TYPES)
KEYS = (*_COMPARED, "binary")
"""Types of an entity column, and of what distinct values are counted of."""


def is_of(spark: str, kinds: Sequence[str]) -> bool:
    """Tell whether a Spark SQL type is among ``kinds``, whatever its parameters."""
    return ("decimal" if spark.startswith("decimal(") else spark) in kinds


@dataclass(frozen=True)
class AggregateFunction(ABC):
    """One aggregate function of one argument; results of a part have the shape (windows, points)."""

    name: ClassVar[str]  # what Spark SQL calls it
    distinct: ClassVar[bool] = False  # called with ``distinct`` before its argument
    star: ClassVar[bool] = False  # may be called with ``*`` in place of an argument
    valued: ClassVar[bool] = True  # needs the argument's values, not only to know which are null
    fewest: ClassVar[int] = 1  # with fewer values in a window the result is null
    takes: ClassVar[tuple[Sequence[str], str]] = (_NUMBERS, "numbers")  # the argument's Spark types, and words for them

    def written(self, argument: str) -> str:
        return f"{self.name}({'distinct ' if self.distinct else ''}{argument})"

    @property
    def forms(self) -> tuple[str, ...]:
        """How messages write it: by its name alone where that tells all."""
        if self.star:
            return (f"{self.name}(*)", self.written("x"))
        return (self.written("x") if self.distinct else self.name,)

    def accepts(self, argument: str) -> bool:
        return is_of(argument, self.takes[0])

    def feature_type(self, argument: str | None, written: str) -> str:
        """Return the Spark SQL type over an ``argument`` of a type, None for ``*``; a message quotes ``written``."""
        if argument is not None and self.valued and not self.accepts(argument):
            raise UnsupportedType(
                f"{written}: its argument is {argument}; it takes {self.takes[1]}. Cast it inside the expression."
            )
        return spark_type(self.result(pa.int64() if argument is None else arrow_type(argument)))

    def result(self, argument: pa.DataType) -> pa.DataType:
        return pa.float64()

    def words(self, argument: pa.DataType) -> tuple[type, ...]:
        """Return the NumPy types of what :meth:`compute` gives: two words (low, high) for a decimal, else one."""
        kind = self.result(argument)
        if pa.types.is_decimal(kind):
            return (np.uint64, np.int64)
        return (np.float64,) if pa.types.is_floating(kind) else (np.int64,)

    def prepare(self, argument: Argument) -> None:
        """Compute of the argument what every part needs, before the parts are shared among threads."""
        _ = argument.numbers

    @abstractmethod
    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        """Return one array per word, anything where a window has fewer values than the function needs."""

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        """Return the values of one window as Arrow, null where fewer rows were ``counted`` than it needs."""
        kind, valid = self.result(argument.kind), counted >= self.fewest
        if pa.types.is_decimal(kind):
            return decimals(words[0], words[1], valid, kind)
        return masked(words[0], valid)


class Count(AggregateFunction):
    """``count(*)`` and ``count(x)``: rows are counted for every argument anyway, so nothing is computed."""

    name, star, valued = "count", True, False

    def result(self, argument: pa.DataType) -> pa.DataType:
        return pa.int64()

    def words(self, argument: pa.DataType) -> tuple[type, ...]:
        return ()

    def prepare(self, argument: Argument) -> None:
        pass

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return ()

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        return pa.array(counted)


class CountDistinct(AggregateFunction):
    """``count(distinct x)``."""

    name, distinct, fewest = "count", True, 0
    takes = (KEYS, "numbers, strings, bytes, dates, timestamps or booleans")

    def result(self, argument: pa.DataType) -> pa.DataType:
        return pa.int64()

    def prepare(self, argument: Argument) -> None:
        _ = argument.ordinals

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (distinct(windows.entity, windows.ordinals, windows.spans),)


class Sum(AggregateFunction):
    """``sum(x)``, exact: of integers a bigint, of decimals ten digits wider, of floating numbers rounded once."""

    name = "sum"

    def result(self, argument: pa.DataType) -> pa.DataType:
        if pa.types.is_decimal(argument):
            return pa.decimal128(min(38, argument.precision + 10), argument.scale)
        return pa.float64() if pa.types.is_floating(argument) else pa.int64()

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        if isinstance(windows.numbers, Floats):
            return (windows.rounded,)
        kind = self.result(windows.argument.kind)
        if not pa.types.is_decimal(kind):
            if windows.narrow is not None:
                return (windows.narrow,)
            total, fits = int64(sums(windows.numbers.digits(32), windows.spans), 32)
            _refuse_unless(fits, "bigint", "decimal(38,0)")
            return (total,)
        if windows.narrow is not None:
            return windows.narrow.view(np.uint64), windows.narrow >> 63
        low, high, fits = int128(sums(windows.numbers.digits(32), windows.spans), 32)
        _refuse_unless(fits & ~reaches(low, high, 10**kind.precision), spark_type(kind), "double")
        return low, high


class Avg(AggregateFunction):
    """``avg(x)``: the sum, rounded once, over the count."""

    name = "avg"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (windows.rounded / (windows.spans.length * 10.0**windows.argument.scale),)


class _Extreme(AggregateFunction):
    better: ClassVar[np.ufunc]
    takes = (_COMPARED, "numbers, strings, dates, timestamps or booleans")

    def result(self, argument: pa.DataType) -> pa.DataType:
        return argument

    def words(self, argument: pa.DataType) -> tuple[type, ...]:
        return (np.int64,)

    def prepare(self, argument: Argument) -> None:
        _ = argument.ordinals

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (extremes(windows.ordinals, windows.spans, self.better),)

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        return argument.ordinals.decode(words[0], counted >= self.fewest)


class Min(_Extreme):
    """``min(x)``."""

    name, better = "min", np.minimum


class Max(_Extreme):
    """``max(x)``; NaN is greater than all numbers."""

    name, better = "max", np.maximum


class Stddev(AggregateFunction):
    """``stddev(x)``: of the sample, so of two values at least; NaN where one is NaN or infinite."""

    name, fewest = "stddev", 2

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        spread = deviations(windows.numbers, windows.spans, windows.spans.length) / 10.0**windows.argument.scale
        return (spread if windows.special is None else np.where(windows.special == 0.0, spread, np.nan),)


AGGREGATES: tuple[AggregateFunction, ...] = (Count(), CountDistinct(), Sum(), Avg(), Min(), Max(), Stddev())
"""All of them, in the order in which messages name them."""


def _refuse_unless(fits: np.ndarray, kind: str, wider: str) -> None:
    if not fits.all():
        raise NumericOverflow(f"the sum of a window exceeds {kind}.   Try sum(cast(… as {wider})).")
