"""Points and events as Arrow in, the points with their windowed features out; NumPy on 64-bit integers in between."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import integers, nulls
from fstk.engines.types import INSTANT
from fstk.windows import bounds
from fstk.windows.bounds import Rows, divide, lay_out, number_entities
from fstk.windows.exact import Spans
from fstk.windows.reduce import Argument, Function, Reduced, View


@dataclass(frozen=True)
class Reduction:
    """One aggregate: ``value`` names the events' column that holds its argument (None for ``count(*)``), ``filter`` a
    boolean column (None for no filter); ``text`` is what the user wrote, for messages."""

    name: str
    function: Function
    value: str | None
    filter: str | None
    text: str


@dataclass(frozen=True)
class WindowKernel:
    """Computes windowed features of tables that hold all events of their entities.

    Events have the columns ``event_entity`` (keys), ``event_time`` and those of the reductions. ``windows`` are pairs
    of name and length in microseconds, None for all that was before. Features come in the order windows, then
    reductions.
    """

    event_entity: tuple[str, ...]
    event_time: str
    windows: tuple[tuple[str, int | None], ...]
    closed: str
    reductions: tuple[Reduction, ...]
    threads: int = 1
    part_rows: int = bounds.PART_ROWS

    def at_points(self, points: pa.Table, events: pa.Table, entity: Sequence[str], time: str) -> pa.Table:
        """Return the points, all their columns and rows in order, followed by the features at each."""
        rows = number_entities([(events, self.event_entity, self.event_time), (points, entity, time)])
        return self._with_features(points, events, rows[0], rows[1])

    def at_events(self, events: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Return ``columns`` of the events, followed by the features at each event's own instant."""
        (rows,) = number_entities([(events, self.event_entity, self.event_time)])
        return self._with_features(events.select(columns), events, rows, rows)

    def on_calendar(
        self, events: pa.Table, instants: tuple[int, int, int], entity: Sequence[str], time: str
    ) -> pa.Table:
        """Return features at ``range(*instants)`` (µs) for every entity that had an event before the instant.

        The columns are ``entity`` (the keys), ``time`` (an instant) and the features.
        """
        (rows,) = number_entities([(events, self.event_entity, self.event_time)])
        known = np.flatnonzero(rows.entity >= 0)
        entities = int(rows.entity.max(initial=-1)) + 1
        first = np.full(entities, np.iinfo(np.int64).max)
        np.minimum.at(first, rows.entity[known], rows.time[known])
        example = np.zeros(entities, np.int64)
        example[rows.entity[known]] = known
        calendar = np.arange(*instants, dtype=np.int64)
        start = np.searchsorted(calendar, first, side="right")
        number = len(calendar) - start
        entity_of = np.repeat(np.arange(entities), number)
        begins = np.cumsum(number) - number
        at = calendar[np.arange(len(entity_of)) - np.repeat(begins - start, number)]
        keys = events.select(list(self.event_entity)).take(pa.array(example[entity_of]))
        points = pa.table([*keys.columns, pa.array(at).view(INSTANT)], names=[*entity, time])
        return self._with_features(points, events, rows, Rows(entity_of, at))

    def _with_features(self, points: pa.Table, events: pa.Table, event_rows: Rows, point_rows: Rows) -> pa.Table:
        lengths = [length for _, length in self.windows]
        bounded = [length for length in lengths if length is not None]
        longest = max(bounded) if len(bounded) == len(lengths) else None
        arguments = self._arguments(events)
        counts: dict[int, _Columns] = {}
        found: list[_Columns] = []
        for reduction in self.reductions:
            argument = arguments[reduction.value, reduction.filter]
            counts.setdefault(id(argument.keep), _Columns(len(self.windows), points.num_rows, (np.int64,)))
            found.append(_Columns(len(self.windows), points.num_rows, argument.words(reduction.function)))

        def fill(pair: tuple[np.ndarray, np.ndarray]) -> None:
            part = lay_out(event_rows, point_rows, *pair, lengths, self.closed)
            spans = Spans(np.stack(part.low), part.high)
            views: dict[int, View] = {}
            reduced: dict[int, Reduced] = {}
            for reduction, columns in zip(self.reductions, found, strict=True):
                argument = arguments[reduction.value, reduction.filter]
                shared = id(argument.keep)
                if shared not in views:
                    views[shared] = View.of(part, spans, argument.keep)
                    counts[shared].put(part.points, (views[shared].spans.length,))
                if id(argument) not in reduced:
                    reduced[id(argument)] = Reduced(argument, views[shared])
                if reduction.function != "count":
                    with np.errstate(
                        all="ignore"
                    ):  # empty windows divide by zero; what overflows is infinite by IEEE 754
                        columns.put(part.points, reduced[id(argument)].of(reduction.function))

        pairs = divide(event_rows, point_rows, longest, self.part_rows)
        if self.threads > 1 and len(pairs) > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(fill, pairs))
        else:
            for pair in pairs:
                fill(pair)

        columns, names = list(points.columns), list(points.column_names)
        for window, (name, _) in enumerate(self.windows):
            for reduction, values in zip(self.reductions, found, strict=True):
                argument = arguments[reduction.value, reduction.filter]
                counted = counts[id(argument.keep)].words[0][window]
                values = [counted] if reduction.function == "count" else [word[window] for word in values.words]
                columns.append(argument.finish(reduction.function, values, counted))
                names.append(f"{reduction.name}_{name}")
        return pa.table(columns, names=names)

    def _arguments(self, events: pa.Table) -> dict[tuple[str | None, str | None], Argument]:
        """Return each pair of value and filter once; those that let the same rows through share one ``keep``."""
        keeps: dict[tuple[str | None, str | None], np.ndarray | None] = {}
        arguments: dict[tuple[str | None, str | None], Argument] = {}
        for reduction in self.reductions:
            key = (reduction.value, reduction.filter)
            if key in arguments:
                continue
            column = None if reduction.value is None else events.column(reduction.value)
            has_nulls = column is not None and column.null_count > 0
            shared = (reduction.value if has_nulls else None, reduction.filter)
            if shared not in keeps:
                keep = ~nulls(column) if column is not None and has_nulls else None
                if reduction.filter is not None:
                    passes = integers(events.column(reduction.filter)) == 1  # null does not pass
                    keep = passes if keep is None else keep & passes
                keeps[shared] = keep
            uses = [other for other in self.reductions if (other.value, other.filter) == key]
            uses.sort(key=lambda other: other.function != "sum")  # only sums fail, so theirs is the text to quote
            arguments[key] = Argument(column, keeps[shared], uses[0].text, {other.function for other in uses})
        return arguments


class _Columns:
    """Results of one reduction in every window: per word, an array of (windows, points), 0 until put."""

    def __init__(self, windows: int, size: int, types: Sequence[type]) -> None:
        self.words = [[np.zeros(size, dtype) for _ in range(windows)] for dtype in types]

    def put(self, rows: np.ndarray, values: Sequence[np.ndarray]) -> None:
        """Store the values of some points, shaped (windows, points), one array per word."""
        for columns, word in zip(self.words, values, strict=True):
            for column, window in zip(columns, word, strict=True):
                column[rows] = window
