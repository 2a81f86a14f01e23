"""The rows that count for an aggregate's argument, and what all aggregates of it share in the windows of a part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import INT64_DIGITS, decimal_words, floats, integers, whole
from fstk.columns.ordinals import Ordinals, ordinals
from fstk.windows.bounds import Part
from fstk.windows.exact import Floats, Integers, Numbers, Spans, WideIntegers, rounded, sums, width_for
from fstk.windows.ranks import Ranked
from fstk.windows.reduce import Scientific, spread

Counted = tuple[str | None, str | None]
"""What decides which rows count: the column whose nulls do not, and the column of a filter; None for neither."""


class Argument:
    """One argument (None for ``count(*)``) with its filter; ``counted`` is equal where the same rows count."""

    def __init__(self, column: pa.ChunkedArray | None, counted: Counted) -> None:
        self.counted = counted
        self._column = pa.chunked_array([], pa.int64()) if column is None else column

    @property
    def kind(self) -> pa.DataType:
        """The Arrow type; bigint for ``count(*)``."""
        return self._column.type

    @property
    def scale(self) -> int:
        """Digits after the point of a decimal; 0 for all else."""
        return self.kind.scale if pa.types.is_decimal(self.kind) else 0

    @cached_property
    def ordinals(self) -> Ordinals:
        """The values as integers that compare as they do."""
        return ordinals(self._column)

    @cached_property
    def numbers(self) -> Integers | WideIntegers | np.ndarray:
        """The numbers, unscaled; a NumPy array of float64 may hold NaN and infinities."""
        if pa.types.is_floating(self.kind):
            return floats(self._column)
        if not pa.types.is_decimal(self.kind):
            return Integers(integers(self._column))
        low, high = decimal_words(whole(self._column))
        narrow = self.kind.precision <= INT64_DIGITS
        return Integers(low.view(np.int64)) if narrow else WideIntegers(low, high)


@dataclass(frozen=True)
class View:
    """The rows of a part that count for an argument, ordered by entity and ``time``, with the windows of points
    at the instants ``asked``."""

    rows: np.ndarray
    entity: np.ndarray
    time: np.ndarray
    asked: np.ndarray
    spans: Spans

    @staticmethod
    def of(part: Part, keep: np.ndarray | None) -> View:
        if keep is None:
            return View(part.events, part.entity, part.time, part.asked, part.spans)
        kept = keep[part.events]
        before = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(kept, out=before[1:])
        spans = Spans(before[part.spans.low], before[part.spans.high])
        return View(part.events[kept], part.entity[kept], part.time[kept], part.asked, spans)


class Windows:
    """All windows of one part over the rows of one argument, and what its aggregates share, computed when first asked.

    Every result has the shape (windows, points), meaningless where a window is empty.
    """

    def __init__(self, argument: Argument, view: View) -> None:
        self.argument, self.spans, self._view = argument, view.spans, view

    @property
    def time(self) -> np.ndarray:
        """The rows' instants in µs."""
        return self._view.time

    @property
    def asked(self) -> np.ndarray:
        """The points' instants in µs."""
        return self._view.asked

    @cached_property
    def ordinals(self) -> np.ndarray:
        return self.argument.ordinals.values[self._view.rows]

    @cached_property
    def ranked(self) -> Ranked:
        """The rows' ordinals in the order of values."""
        return Ranked(self._view.entity, self.ordinals)

    @cached_property
    def in_order(self) -> np.ndarray:
        """The rows' ordinals by entity, time and value: no window divides the rows of one instant."""
        entity, time = self._view.entity, self.time
        new = (entity[1:] != entity[:-1]) | (time[1:] != time[:-1])
        if new.all():
            return self.ordinals
        moment = np.concatenate([[0], np.cumsum(new)])
        return self.ordinals[np.lexsort((self.ordinals, moment))]

    @cached_property
    def _raw(self) -> Numbers | np.ndarray:
        numbers = self.argument.numbers
        rows = self._view.rows
        return numbers[rows] if isinstance(numbers, np.ndarray) else numbers.take(rows)

    @cached_property
    def numbers(self) -> Numbers:
        """The rows' numbers, unscaled, with 0 for NaN and infinities."""
        if isinstance(self._raw, np.ndarray):
            return Floats(np.where(np.isfinite(self._raw), self._raw, 0.0))
        return self._raw

    @cached_property
    def special(self) -> np.ndarray | None:
        """What NaN and infinities alone sum to in each window; None when there are none."""
        if not isinstance(self._raw, np.ndarray) or np.isfinite(self._raw).all():
            return None
        kinds = [np.isnan(self._raw), self._raw == np.inf, self._raw == -np.inf]
        nan, up, down = (count > 0 for count in sums([kind.astype(np.int64) for kind in kinds], self.spans))
        return np.where(nan | (up & down), np.nan, np.where(up, np.inf, np.where(down, -np.inf, 0.0)))

    @cached_property
    def spread(self) -> Scientific:
        """n·Σx² − (Σx)² of n finite numbers."""
        return spread(self.numbers, self.spans, self.spans.length)

    def finite(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the windows, NaN where a window holds NaN or an infinity."""
        return values if self.special is None else np.where(self.special == 0.0, values, np.nan)

    @cached_property
    def narrow(self) -> np.ndarray | None:
        """The exact sums in 64 bits, when no window can need more."""
        numbers = self.numbers
        if not isinstance(numbers, Integers) or numbers.bits() + self.spans.longest.bit_length() > 63:
            return None
        return sums([numbers.values], self.spans)[0]

    @cached_property
    def rounded(self) -> np.ndarray:
        """The sums as float64, rounded once."""
        if self.narrow is not None:
            return self.narrow.astype(np.float64)
        width = width_for(self.numbers, self.spans)
        total = rounded(sums(self.numbers.digits(width), self.spans), width, self.numbers.exponent)
        return total if self.special is None else np.where(self.special == 0.0, total, self.special)
