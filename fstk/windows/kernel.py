"""Points and events as Arrow in, the points with their windowed features out; NumPy on 64-bit integers in between."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from fstk.columns.arrays import integers, nulls
from fstk.columns.instants import Align
from fstk.columns.zones import aligned_in
from fstk.engines.types import INSTANT
from fstk.errors import NumericOverflow
from fstk.windows import bounds
from fstk.windows.aggregates import AggregateFunction, Count
from fstk.windows.arguments import Argument, Counted, View, Windows
from fstk.windows.bounds import Pair, Reach, Rows, divide, lay_out, longest_of, number_entities
from fstk.windows.grouped import by_group


@dataclass(frozen=True)
class Reduction:
    """One aggregate: columns of the events hold its argument (``value``; None for ``count(*)``) and whether a row
    counts (``filter``; None for all); ``text`` is what the user wrote, for messages. With ``group``, a column of the
    events, it is a map from that column's values in the window to the aggregate of their rows."""

    name: str
    function: AggregateFunction
    value: str | None
    filter: str | None
    text: str
    group: str | None = None

    @property
    def argument(self) -> tuple[str | None, str | None]:
        """What it shares with all reductions of the same argument and filter."""
        return self.value, self.filter

    def compute(self, windows: Windows) -> Sequence[np.ndarray]:
        try:
            with np.errstate(all="ignore"):  # empty windows divide by zero; what overflows is infinite by IEEE 754
                return self.function.compute(windows)
        except NumericOverflow as error:
            raise NumericOverflow(f"{self.text}: {error}") from error


@dataclass(frozen=True)
class WindowKernel:
    """Computes windowed features of tables that hold all events of their entities.

    Events have the columns ``event_entity`` (keys), ``event_time`` and those of the reductions. ``windows`` are pairs
    of name and length; they end at the point or, with ``align``, at the beginning of its day, week or month in ``zone``
    (None: UTC). Features come in the order windows, then reductions.
    """

    event_entity: tuple[str, ...]
    event_time: str
    windows: tuple[tuple[str, Reach], ...]
    closed: str
    reductions: tuple[Reduction, ...]
    threads: int = 1
    part_rows: int = bounds.PART_ROWS
    align: Align | None = None
    zone: str | None = None

    def at_points(self, points: pa.Table, events: pa.Table, entity: Sequence[str], time: str) -> pa.Table:
        """Return the points, all their columns and rows in order, followed by the features at each."""
        rows = number_entities([(events, self.event_entity, self.event_time), (points, entity, time)])
        return self._with_features(points, events, rows[0], self._ended(rows[1]))

    def at_events(self, events: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Return ``columns`` of the events, followed by the features at each event's own instant."""
        (rows,) = number_entities([(events, self.event_entity, self.event_time)])
        return self._with_features(events.select(columns), events, rows, self._ended(rows))

    def on_calendar(
        self, events: pa.Table, instants: np.ndarray, ends: np.ndarray, entity: Sequence[str], time: str
    ) -> pa.Table:
        """Return features at ``instants`` (µs), whose windows end at ``ends``, for every entity that had an event
        before the instant, after the columns ``entity`` (the keys) and ``time``."""
        (rows,) = number_entities([(events, self.event_entity, self.event_time)])
        points, known = entities_on(instants, events, self.event_entity, rows, "before")
        point_rows = Rows(known.entity, ends[np.searchsorted(instants, known.time)], known.time)
        return self._with_features(points.rename_columns([*entity, time]), events, rows, point_rows)

    def _ended(self, points: Rows) -> Rows:
        if self.align is None:
            return points
        known = points.entity >= 0  # the others have no time that is in any zone
        ends = points.time.copy()
        ends[known] = aligned_in(ends[known], self.align, self.zone)
        return Rows(points.entity, ends, points.time)

    def _with_features(self, points: pa.Table, events: pa.Table, event_rows: Rows, point_rows: Rows) -> pa.Table:
        features: dict[str, list[pa.Array]] = {}
        for group in dict.fromkeys(one.group for one in self.reductions):
            reductions = [one for one in self.reductions if one.group == group]
            if group is None:
                features |= self._reduced(reductions, events, event_rows, point_rows)
            else:
                features |= self._maps(reductions, events.column(group), events, event_rows, point_rows)
        columns, names = list(points.columns), list(points.column_names)
        for window, (name, _) in enumerate(self.windows):
            columns += [features[reduction.name][window] for reduction in self.reductions]
            names += [f"{reduction.name}_{name}" for reduction in self.reductions]
        return pa.table(columns, names=names)

    def _maps(
        self,
        reductions: Sequence[Reduction],
        column: pa.ChunkedArray,
        events: pa.Table,
        event_rows: Rows,
        point_rows: Rows,
    ) -> dict[str, list[pa.Array]]:
        """Return the maps from the values of ``column`` to each reduction, a column per window."""
        groups = by_group(column, event_rows, point_rows)
        counted = Reduction("", Count(), None, None, "count(*)")
        items = self._reduced([*reductions, counted], events, groups.events, groups.points)
        present = [integers(rows) > 0 for rows in items.pop(counted.name)]
        points = len(point_rows.entity)
        return {
            name: [groups.map_of(values, there, points) for values, there in zip(windows, present, strict=True)]
            for name, windows in items.items()
        }

    def _reduced(
        self, reductions: Sequence[Reduction], events: pa.Table, event_rows: Rows, point_rows: Rows
    ) -> dict[str, list[pa.Array]]:
        """Return the results of each reduction at the points, a column per window."""
        lengths, number = [length for _, length in self.windows], len(point_rows.entity)
        arguments = _arguments(reductions, events)
        keeps = {argument.counted: _keep(events, argument.counted) for argument in arguments.values()}

        def results(words: Sequence[type]) -> list[np.ndarray]:
            return [np.zeros((len(lengths), number), word) for word in words]

        counts = {counted: results([np.int64]) for counted in keeps}
        found = [results(one.function.words(arguments[one.argument].kind)) for one in reductions]

        def fill(pair: Pair) -> None:
            part = lay_out(event_rows, point_rows, pair, lengths, self.closed)
            views = {counted: View.of(part, keep) for counted, keep in keeps.items()}
            windows = {key: Windows(argument, views[argument.counted]) for key, argument in arguments.items()}
            for counted, view in views.items():
                _put(counts[counted], part.points, [view.spans.length])
            for reduction, words in zip(reductions, found, strict=True):
                _put(words, part.points, reduction.compute(windows[reduction.argument]))

        with ThreadPoolExecutor(self.threads) as pool:  # NumPy sorts and sums without Python's lock
            list(pool.map(fill, divide(event_rows, point_rows, longest_of(lengths), self.part_rows)))

        finished = {}
        for reduction, words in zip(reductions, found, strict=True):
            argument, finish = arguments[reduction.argument], reduction.function.finish
            [counted] = counts[argument.counted]
            finished[reduction.name] = [
                finish(argument, [word[window] for word in words], counted[window]) for window in range(len(lengths))
            ]
        return finished


def _arguments(reductions: Sequence[Reduction], events: pa.Table) -> dict[tuple[str | None, str | None], Argument]:
    """Return the arguments by what reductions share them, prepared for all functions of each."""
    arguments: dict[tuple[str | None, str | None], Argument] = {}
    for reduction in reductions:
        column = None if reduction.value is None else events.column(reduction.value)
        with_nulls = reduction.value if column is not None and column.null_count else None
        argument = arguments.setdefault(reduction.argument, Argument(column, (with_nulls, reduction.filter)))
        reduction.function.prepare(argument)
    return arguments


def _keep(events: pa.Table, counted: Counted) -> np.ndarray | None:
    """Return which events count, None for all."""
    with_nulls, condition = counted
    keep = None if with_nulls is None else ~nulls(events.column(with_nulls))
    if condition is None:
        return keep
    passes = integers(events.column(condition)) == 1  # null does not pass
    return passes if keep is None else keep & passes


def entities_on(
    calendar: np.ndarray, events: pa.Table, keys: Sequence[str], rows: Rows, known: Literal["before", "by then"]
) -> tuple[pa.Table, Rows]:
    """Return a row for each entity and each instant of ``calendar`` (µs, ascending) that it had an event before, or not
    after: the ``keys`` of the events, then the instant."""
    usable = np.flatnonzero(rows.entity >= 0)
    entities = int(rows.entity.max(initial=-1)) + 1
    first = np.full(entities, np.iinfo(np.int64).max)
    np.minimum.at(first, rows.entity[usable], rows.time[usable])
    example = np.zeros(entities, np.int64)
    example[rows.entity[usable]] = usable
    start = np.searchsorted(calendar, first, side="right" if known == "before" else "left")
    number = len(calendar) - start
    entity_of = np.repeat(np.arange(entities), number)
    begins = np.cumsum(number) - number
    at = calendar[np.arange(len(entity_of)) - np.repeat(begins - start, number)]
    found = events.select(list(keys)).take(pa.array(example[entity_of]))
    return found.append_column("at", pa.array(at).view(INSTANT)), Rows(entity_of, at)


def _put(results: Sequence[np.ndarray], points: np.ndarray, words: Sequence[np.ndarray]) -> None:
    """Store the words of some points, each shaped (windows, points)."""
    for result, word in zip(results, words, strict=True):
        for window, values in zip(result, word, strict=True):
            window[points] = values
