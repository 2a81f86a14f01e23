"""The aggregate functions of windowed features, each a class that holds all that is known of it.

A further one is a class here with its place in :data:`AGGREGATES`, and its rule in the tests' plain loop: parsing,
plans, kernel, help and completion read it from here.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import decimals, doubles, masked
from fstk.engines.types import TIME_TYPES, arrow_type, spark_type
from fstk.errors import BadExpression, NumericOverflow, UnsupportedType
from fstk.windows.arguments import Argument, Windows
from fstk.windows.exact import Floats, Integers, int64, int128, reaches, sums
from fstk.windows.ranks import distinct, most_frequent, smallest
from fstk.windows.reduce import deviations, extremes, picked, slopes, variances

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_COMPARED = (*_NUMBERS, "string", "boolean", *TIME_TYPES)
KEYS = (*_COMPARED, "binary")
"""Types of an entity column, and of what distinct values are counted of."""
_ANY = (KEYS, "numbers, strings, bytes, dates, timestamps or booleans")
_MOST_ITEMS = 1000  # of an array
_SECOND = 1e6  # in microseconds
_DAY = 86_400e6
_LATEST = 1 << 62


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
    parameter: ClassVar[str] = ""  # what a second argument is called

    def written(self, argument: str) -> str:
        return f"{self.name}({'distinct ' if self.distinct else ''}{argument})"

    @property
    def forms(self) -> tuple[str, ...]:
        """How messages write it: by its name alone where that tells all."""
        if self.star:
            return (f"{self.name}(*)", self.written("x"))
        if self.parameter:
            return (f"{self.name}(x, {self.parameter})",)
        return (self.written("x") if self.distinct else self.name,)

    def of_parameter(self, text: str) -> Self:
        """Return the function of a second argument as it was written; BadExpression says what it must be."""
        raise BadExpression(f"{self.name} takes one argument, not {text!r} too.")

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
    takes = _ANY

    def result(self, argument: pa.DataType) -> pa.DataType:
        return pa.int64()

    def prepare(self, argument: Argument) -> None:
        _ = argument.ordinals

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (distinct(windows.ranked, windows.spans),)


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


class _OneOf(AggregateFunction):
    """One of the values of a window, of its type."""

    takes = _ANY

    def result(self, argument: pa.DataType) -> pa.DataType:
        return argument

    def words(self, argument: pa.DataType) -> tuple[type, ...]:
        return (np.int64,)

    def prepare(self, argument: Argument) -> None:
        _ = argument.ordinals

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        return argument.ordinals.decode(words[0], counted >= self.fewest)


class _Extreme(_OneOf):
    better: ClassVar[np.ufunc]
    takes = (_COMPARED, "numbers, strings, dates, timestamps or booleans")

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (extremes(windows.ordinals, windows.spans, self.better),)


class Min(_Extreme):
    """``min(x)``."""

    name, better = "min", np.minimum


class Max(_Extreme):
    """``max(x)``; NaN is greater than all numbers."""

    name, better = "max", np.maximum


class Mode(_OneOf):
    """``mode(x)``: the most frequent value, of equals the smallest."""

    name = "mode"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (most_frequent(windows.ranked, windows.spans),)


class First(_OneOf):
    """``first(x)``: the oldest value; of one instant's the smallest."""

    name = "first"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return (picked(windows.in_order, windows.spans.low),)


class Last(_OneOf):
    """``last(x)``: the newest value; of one instant's the greatest."""

    name = "last"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        newest = picked(windows.in_order, windows.spans.high - 1)
        return (np.broadcast_to(newest, windows.spans.low.shape),)


@dataclass(frozen=True)
class _Several(_OneOf):
    """``number`` values of a window at most, as an array in the order of time, those of one instant by value."""

    number: int = 3
    parameter = "n"

    def written(self, argument: str) -> str:
        return f"{self.name}({argument}, {self.number})"

    def of_parameter(self, text: str) -> Self:
        if not re.fullmatch(r"[1-9]\d{0,3}", text) or int(text) > _MOST_ITEMS:
            raise BadExpression(f"{self.name}(x, n): n is a whole number from 1 to {_MOST_ITEMS:,}; got {text!r}.")
        return replace(self, number=int(text))

    def result(self, argument: pa.DataType) -> pa.DataType:
        return pa.list_(argument)

    def words(self, argument: pa.DataType) -> tuple[type, ...]:
        return (np.int64,) * self.number

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        length = np.minimum(counted, self.number)
        items = np.stack(words, axis=1)[np.arange(self.number) < length[:, None]]
        values = argument.ordinals.decode(items, np.ones(len(items), bool))
        ends = pa.array(np.concatenate([[0], np.cumsum(length)]), pa.int32())
        kind = pa.list_(pa.field("element", values.type))
        return pa.ListArray.from_arrays(ends, values, type=kind, mask=pa.array(length == 0))


class FirstN(_Several):
    """``first_n(x, n)``: the oldest values."""

    name = "first_n"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return [picked(windows.in_order, windows.spans.low + item) for item in range(self.number)]


class LastN(_Several):
    """``last_n(x, n)``: the newest values."""

    name = "last_n"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        begin = np.maximum(windows.spans.low, windows.spans.high - self.number)
        return [picked(windows.in_order, begin + item) for item in range(self.number)]


class _Since(AggregateFunction):
    """Seconds from an event to the point; of an argument from an event where it is not null."""

    star, valued = True, False

    def prepare(self, argument: Argument) -> None:
        pass

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        return masked(words[0], counted >= self.fewest)


class SinceLast(_Since):
    """``since_last(*)``: from the newest event of the window."""

    name = "since_last"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        seconds = (windows.asked - picked(windows.time, windows.spans.high - 1)) / _SECOND
        return (np.broadcast_to(seconds, windows.spans.low.shape),)


class SinceFirst(_Since):
    """``since_first(*)``: from the oldest event of the window."""

    name = "since_first"

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        return ((windows.asked - picked(windows.time, windows.spans.low)) / _SECOND,)


@dataclass(frozen=True)
class Percentile(AggregateFunction):
    """``percentile(x, p)``: between the two nearest values in proportion, in Spark's arithmetic."""

    name, parameter = "percentile", "p"
    share: float = 0.5

    def written(self, argument: str) -> str:
        return f"{self.name}({argument}, {self.share!r})"

    def of_parameter(self, text: str) -> Self:
        if not re.fullmatch(r"\d*\.?\d+", text) or not 0 <= float(text) <= 1:
            raise BadExpression(f"{self.name}(x, p): p is a number from 0 to 1, such as 0.25; got {text!r}.")
        return replace(self, share=float(text))

    def prepare(self, argument: Argument) -> None:
        _ = argument.ordinals

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        place = (windows.spans.length - 1) * self.share
        below, above = np.floor(place), np.ceil(place)
        found = smallest(windows.ranked, windows.spans, np.stack([below, above]).astype(np.int64))
        held = np.broadcast_to(windows.spans.length > 0, found.shape)
        values = windows.argument.ordinals.decode(found.ravel(), held.ravel())
        low, high = doubles(values).to_numpy(zero_copy_only=False).reshape(found.shape)
        return (np.where(found[0] == found[1], low, (above - place) * low + (place - below) * high),)


class Median(Percentile):
    """``median(x)``."""

    name, parameter = "median", ""

    def written(self, argument: str) -> str:
        return f"{self.name}({argument})"


class _Spread(AggregateFunction):
    """How far values are apart, NaN where one is NaN or infinite; ``fewest`` is 2 for a sample."""

    root: ClassVar[bool] = False

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        count, scale = np.maximum(windows.spans.length, self.fewest).astype(np.float64), windows.argument.scale
        divisor = count * (count - 1.0 if self.fewest == 2 else count)
        if self.root:
            return (windows.finite(deviations(windows.spread, divisor) / 10.0**scale),)
        return (windows.finite(variances(windows.spread, divisor) / 100.0**scale),)


class Stddev(_Spread):
    """``stddev(x)``: of the sample."""

    name, fewest, root = "stddev", 2, True


class StddevPop(_Spread):
    """``stddev_pop(x)``: of the values themselves."""

    name, root = "stddev_pop", True


class VarSamp(_Spread):
    """``var_samp(x)``: of the sample."""

    name, fewest = "var_samp", 2


class VarPop(_Spread):
    """``var_pop(x)``: of the values themselves."""

    name = "var_pop"


class Slope(AggregateFunction):
    """``slope(x)``: by least squares on time, per day; null with fewer than two instants, NaN as deviations are."""

    name, fewest = "slope", 2

    def words(self, argument: pa.DataType) -> tuple[type, ...]:
        return np.float64, np.bool_

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        times = Integers(windows.time - windows.time.min(initial=_LATEST))
        unit = _DAY / 10.0**windows.argument.scale
        slope, known = slopes(times, windows.numbers, windows.spans, windows.spans.length, unit)
        return windows.finite(slope), known

    def finish(self, argument: Argument, words: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        return masked(words[0], words[1] & (counted >= self.fewest))


AGGREGATES: tuple[AggregateFunction, ...] = (
    *(Count(), CountDistinct(), Sum(), Avg(), Min(), Max(), Stddev(), StddevPop(), VarSamp(), VarPop()),
    *(Median(), Percentile(), Mode(), First(), Last(), FirstN(), LastN(), SinceLast(), SinceFirst(), Slope()),
)
"""All of them, in the order in which messages name them; what takes a second argument with some."""


def _refuse_unless(fits: np.ndarray, kind: str, wider: str) -> None:
    if not fits.all():
        raise NumericOverflow(f"the sum of a window exceeds {kind}.   Try sum(cast(… as {wider})).")
