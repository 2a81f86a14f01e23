"""The rows that count for an aggregate's argument, and what each function makes of them in every window of a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import decimal_words, decimals, floats, integers, whole
from fstk.columns.ordinals import Ordinals, ordinals
from fstk.engines.types import spark_type
from fstk.errors import NumericOverflow
from fstk.windows.bounds import Part
from fstk.windows.distinct import distinct
from fstk.windows.exact import Floats, Integers, Numbers, Spans, WideIntegers, int64, int128, rounded, sums, width_for
from fstk.windows.extremes import extremes
from fstk.windows.spread import deviations

Function = Literal["count", "count_distinct", "sum", "avg", "min", "max", "stddev"]
_NUMERIC = ("sum", "avg", "stddev")
_ORDERED = ("min", "max", "count_distinct")


class Argument:
    """One argument with its filter, as NumPy, shared by all functions of it.

    ``kind`` is its Arrow type (bigint for ``count(*)``, which has none); ``keep`` tells the rows that count, None for
    all; ``label`` names it in errors.
    """

    def __init__(
        self, column: pa.ChunkedArray | None, keep: np.ndarray | None, label: str, functions: set[str]
    ) -> None:
        self.kind = pa.int64() if column is None else column.type
        self.keep = keep
        self.label = label
        self.ordinals: Ordinals | None = None
        self._numbers: Integers | WideIntegers | np.ndarray | None = None
        if column is not None and functions & set(_ORDERED):
            self.ordinals = ordinals(column)
        if column is not None and functions & set(_NUMERIC):
            array = whole(column)
            if pa.types.is_floating(self.kind):
                self._numbers = floats(array)
            elif not pa.types.is_decimal(self.kind):
                self._numbers = Integers(integers(array))
            else:
                low, high = decimal_words(array)
                narrow = self.kind.precision <= 18
                self._numbers = Integers(low.view(np.int64)) if narrow else WideIntegers(low, high)

    @property
    def scale(self) -> int:
        """Digits after the point of a decimal; 0 for all else."""
        return self.kind.scale if pa.types.is_decimal(self.kind) else 0

    def numbers(self, rows: np.ndarray) -> Integers | WideIntegers | np.ndarray:
        """Return the numbers of some rows; a NumPy array of float64 may hold NaN and infinities."""
        assert self._numbers is not None
        return self._numbers[rows] if isinstance(self._numbers, np.ndarray) else self._numbers.take(rows)

    def result_type(self, function: Function) -> pa.DataType:
        """Return the Arrow type of a function of this argument, as the rules have it."""
        if function in ("count", "count_distinct"):
            return pa.int64()
        if function in ("avg", "stddev"):
            return pa.float64()
        if function in ("min", "max"):
            return self.kind
        if pa.types.is_decimal(self.kind):
            return pa.decimal128(min(38, self.kind.precision + 10), self.kind.scale)
        return pa.float64() if pa.types.is_floating(self.kind) else pa.int64()

    def words(self, function: Function) -> tuple[type, ...]:
        """Return the NumPy types of what :meth:`Reduced.of` gives; ``count`` is kept elsewhere."""
        if function == "count":
            return ()
        if function in ("min", "max", "count_distinct"):
            return (np.int64,)
        kind = self.result_type(function)
        if pa.types.is_decimal(kind):
            return (np.uint64, np.int64)
        return (np.float64,) if pa.types.is_floating(kind) else (np.int64,)

    def finish(self, function: Function, values: Sequence[np.ndarray], counted: np.ndarray) -> pa.Array:
        """Return a function's values as Arrow, null where too few rows were ``counted``."""
        kind = self.result_type(function)
        if function in ("count", "count_distinct"):
            return pa.array(values[0])
        valid = counted > (1 if function == "stddev" else 0)
        if function in ("min", "max"):
            assert self.ordinals is not None
            return self.ordinals.decode(values[0], valid)
        if pa.types.is_decimal(kind):
            return decimals(values[0], values[1], valid, kind)
        return pa.array(values[0], mask=None if valid.all() else ~valid)


@dataclass(frozen=True)
class View:
    """The rows of a part that count for an argument, ordered by entity and time, and the windows over them."""

    rows: np.ndarray
    entity: np.ndarray
    spans: Spans

    @staticmethod
    def of(part: Part, whole_spans: Spans, keep: np.ndarray | None) -> View:
        """Return the view of the rows that ``keep`` lets through."""
        if keep is None:
            return View(part.events, part.entity, whole_spans)
        kept = keep[part.events]
        before = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(kept, out=before[1:])
        spans = Spans(before[whole_spans.low], before[whole_spans.high])
        return View(part.events[kept], part.entity[kept], spans)


class Reduced:
    """The functions of one argument over all windows of one part; every result has the shape (windows, points)."""

    def __init__(self, argument: Argument, view: View) -> None:
        self._argument = argument
        self._view = view
        self._spans = view.spans

    def of(self, function: Function) -> tuple[np.ndarray, ...]:
        """Return one array, or two 64-bit words (low, high) of unscaled decimals; meaningless where the window is
        empty."""
        if function == "count":
            return (self._spans.length,)
        if function == "sum":
            return self._sum
        if function == "avg":
            return (self._rounded / (self._spans.length * 10.0**self._argument.scale),)
        if function == "stddev":
            spread = deviations(self._numbers, self._spans, self._spans.length) / 10.0**self._argument.scale
            return (spread if self._special is None else np.where(self._special == 0.0, spread, np.nan),)
        ordinal = self._argument.ordinals
        assert ordinal is not None
        values = ordinal.values[self._view.rows]
        if function == "count_distinct":
            return (distinct(self._view.entity, values, self._spans),)
        return (extremes(values, self._spans, function),)

    @cached_property
    def _raw(self) -> Numbers | np.ndarray:
        return self._argument.numbers(self._view.rows)

    @cached_property
    def _numbers(self) -> Numbers:
        if isinstance(self._raw, np.ndarray):
            return Floats(np.where(np.isfinite(self._raw), self._raw, 0.0))
        return self._raw

    @cached_property
    def _special(self) -> np.ndarray | None:
        """What NaN and infinities alone sum to in each window; None when there are none."""
        if not isinstance(self._raw, np.ndarray) or np.isfinite(self._raw).all():
            return None
        kinds = [np.isnan(self._raw), self._raw == np.inf, self._raw == -np.inf]
        nan, up, down = (count > 0 for count in sums([kind.astype(np.int64) for kind in kinds], self._spans))
        return np.where(nan | (up & down), np.nan, np.where(up, np.inf, np.where(down, -np.inf, 0.0)))

    @cached_property
    def _narrow(self) -> np.ndarray | None:
        """The sums in 64 bits, when no window can need more."""
        numbers = self._numbers
        if not isinstance(numbers, Integers) or numbers.bits() + self._spans.longest.bit_length() > 63:
            return None
        return sums([numbers.values], self._spans)[0]

    @cached_property
    def _rounded(self) -> np.ndarray:
        if self._narrow is not None:
            return self._narrow.astype(np.float64)
        width = width_for(self._numbers, self._spans)
        total = rounded(sums(self._numbers.digits(width), self._spans), width, self._numbers.exponent)
        return total if self._special is None else np.where(self._special == 0.0, total, self._special)

    @cached_property
    def _sum(self) -> tuple[np.ndarray, ...]:
        if isinstance(self._numbers, Floats):
            return (self._rounded,)
        kind = self._argument.result_type("sum")
        if self._narrow is not None:
            return (self._narrow.view(np.uint64), self._narrow >> 63) if pa.types.is_decimal(kind) else (self._narrow,)
        digits = sums(self._numbers.digits(32), self._spans)
        if not pa.types.is_decimal(kind):
            total, fits = int64(digits, 32)
            self._refuse(~fits, "bigint", "sum(cast(… as decimal(38,0)))")
            return (total,)
        low, high, fits = int128(digits, 32)
        self._refuse(~fits | _reaches(low, high, 10**kind.precision), spark_type(kind), "sum(cast(… as double))")
        return low, high

    def _refuse(self, wrong: np.ndarray, kind: str, cure: str) -> None:
        if wrong.any():
            raise NumericOverflow(f"{self._argument.label}: the sum of a window exceeds {kind}.   Try {cure}.")


def _reaches(low: np.ndarray, high: np.ndarray, limit: int) -> np.ndarray:
    """Tell where a 128-bit integer is ≥ ``limit`` or ≤ −``limit``."""
    negative = high < 0
    # Two's complement: −x is ~x + 1, and the 1 carries into the high word when the low one was all ones.
    size_low = np.where(negative, ~low + np.uint64(1), low)
    size_high = np.where(negative, ~high + (low == 0), high)
    top, rest = np.int64(limit >> 64), np.uint64(limit & (2**64 - 1))
    return (size_high > top) | ((size_high == top) & (size_low >= rest)) | (size_high < 0)
