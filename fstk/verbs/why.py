"""What ``fstk why`` answers: of which source rows one value of a feature table was made, and whether it still is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import add_months, given, microseconds
from fstk.columns.instants import instant as time_of
from fstk.columns.length import LIFETIME, read_window
from fstk.columns.zones import aligned_in
from fstk.display import Displayed, Sheet, Stacked, instant, key_text, plural
from fstk.engines.base import CHANGE_TYPE, COMMIT_VERSION, WRITTEN
from fstk.engines.choice import engine_for
from fstk.errors import InvalidInput, UnknownColumn, UnknownName, nearest
from fstk.previews.pictures import moments
from fstk.previews.timeline import Timeline
from fstk.tables.configured import open_catalog
from fstk.tables.definition import ALIGN, FeatureDefinition
from fstk.tables.history import Version, definitions_at, text_of
from fstk.tables.spec import FeatureTable
from fstk.verbs.explain import key_values, rows_of
from fstk.verbs.windows import moment
from fstk.windows.trace import same_bits, trace

_ROWS = 20  # source rows that are listed, newest last


@dataclass(frozen=True, repr=False)
class Why(Stacked):
    """One value, the source rows that made it in the order of their times, and the value that they alone make."""

    title: str
    origin: str
    rows: pa.Table
    stored: pa.Scalar
    computed: pa.Scalar
    picture: Timeline
    entity: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether both values are one, bit for bit."""
        return same_bits(self.stored, self.computed)

    def parts(self) -> Sequence[Displayed]:
        number = self.rows.num_rows
        hidden = [f"… {number - _ROWS:,} rows before these"] if number > _ROWS else []
        last = self.rows.slice(max(0, number - _ROWS))
        events = last.to_pylist()
        these = "this row" if number == 1 else f"these {number:,} rows"
        verdict = "equal, bit for bit" if self.equal else f"NOT EQUAL to {_plain(self.stored)}"
        told = [self.origin, f"recomputed from {these} alone: {_plain(self.computed)}   {verdict}"]
        rows = [[key_text(value) if name in self.entity else value for name, value in row.items()] for row in events]
        listed = Sheet(self.title, last.column_names, rows, hidden)
        return [listed, Sheet("", (), (), told), self.picture]


@dataclass(frozen=True, repr=False)
class WrittenByCell(Displayed):
    """A value whose feature has no definition: all that is known is the cell that wrote it."""

    title: str
    text: str

    def display(self) -> Sheet:
        return Sheet(self.title, (), (), self.text.splitlines())


def why(name: str, feature: str, key: str, at: str | None) -> Why | WrittenByCell:
    """Return where the value of ``feature`` is from that the entity ``key`` had at ``at`` (None: its newest).

    UnknownTable, UnknownColumn, UnknownName: no such table, feature or row. InvalidInput: a key or time that is none,
    or a value of which nothing is recorded. ExpiredSnapshot: the source's version is no longer kept.
    """
    table = open_catalog().get(name)
    if feature not in table.features:
        raise UnknownColumn(f"{table.name} has no feature {feature}.{nearest(feature, table.features)}")
    if table.timeseries_column is None:
        raise InvalidInput(f"{table.name} has no time column: its rows say of no instant what was known then.")
    row, when = _row(table, key, at)
    writer = _writer(table, row)
    place = f"{feature} = {_plain(row.column(feature)[0])} of {', '.join(table.primary_keys)} {key} at {instant(when)}"
    definition = definitions_at(table.versions, [feature], writer.version).get(feature)
    if definition is None:
        return _by_cell(table, place, writer)
    if definition.source is None:
        raise InvalidInput(
            f"{place} is {definition.words(table.timeseries_column)} of a frame, whose rows nobody kept.   Keep the "
            "events as a source (create_source), and compute of it by its name."
        )
    return _traced(table, feature, row, when, definition, writer, place)


def _traced(
    table: FeatureTable,
    feature: str,
    row: pa.Table,
    when: datetime,
    definition: FeatureDefinition,
    writer: Version,
    place: str,
) -> Why:
    assert definition.source is not None
    assert table.timeseries_column is not None
    entity = definition.entity_of(table.primary_keys)
    source = open_catalog().find(definition.source, definition.source_version)
    events = rows_of(source, {own: row.column(key) for key, own in entity.items()})
    point = row.select([*entity, table.timeseries_column]).rename_columns([*entity.values(), definition.timestamp])
    found = trace(definition, events, point)
    made = found.events.sort_by(definition.timestamp)
    picture = Timeline.of(
        entity=place.partition(" of ")[2].rpartition(" at ")[0],
        at=when,
        lookup=f"{table.name}.{feature}",
        status=f"{plural(made.num_rows, 'event')} in the window",
        times=[when],
        used=when,
        events=moments(made, definition.timestamp),
        lookback=_reach(definition, when, made),
        called="point",
    )
    written = f" · v{writer.version}{f' by {writer.writer}' if writer.writer else ''}"
    title = f"{place} = {definition.words(table.timeseries_column)}"
    return Why(
        title,
        f"{definition.origin}{written}",
        made,
        row.column(feature)[0],
        found.values[0],
        picture,
        definition.entity,
    )


def _reach(definition: FeatureDefinition, when: datetime, made: pa.Table) -> timedelta | None:
    """Return how far before its point a window begins; one of all time at the first of the events that it holds."""
    if definition.window == LIFETIME:
        times = moments(made, definition.timestamp)
        return when - min(times) if times else None
    length, align = read_window(definition.window, "window"), definition.others.get(ALIGN)
    end = np.array([microseconds(when)])
    end = end if align is None else aligned_in(end, align, definition.zone)
    start = add_months(end, -length.months) if length.months is not None else end - (length.micros or 0)
    return when - time_of(int(start[0]))


def _row(table: FeatureTable, key: str, at: str | None) -> tuple[pa.Table, datetime]:
    """Return the newest row of a key that is not after ``at``, and its instant."""
    rows = rows_of(table.at(table.version), key_values(table, key))
    until = None if at is None else given(moment(at, "--at"), "--at")
    times = moments(rows, str(table.timeseries_column))  # fstk writes no row without one
    seen = [(time, place) for place, time in enumerate(times) if until is None or time <= until]
    if not seen:
        there = f"; its first is at {instant(min(times))}" if times else ""
        until_words = "" if until is None else f" at or before {instant(until)}"
        raise UnknownName(f"{table.name} has no row of {', '.join(table.primary_keys)} {key}{until_words}{there}.")
    when, place = max(seen)
    return rows.slice(place, 1), when


def _writer(table: FeatureTable, row: pa.Table) -> Version:
    """Return the version that last wrote a row, as the table's change data feed tells."""
    writers = [version for version in table.versions if version.rows or version.version == 0]
    if len(writers) == 1:
        return writers[0]
    at = table.at(table.version)
    engine = engine_for(tables={at: None}, changes=True)
    changes = engine.arrow(engine.changes(at))
    wanted = pc.field(CHANGE_TYPE).isin(WRITTEN)
    for column in table.keys:
        wanted = wanted & (pc.field(column) == row.column(column)[0])
    newest = pc.max(changes.filter(wanted).column(COMMIT_VERSION)).as_py()
    return next(version for version in table.versions if version.version == newest)


def _by_cell(table: FeatureTable, place: str, writer: Version) -> WrittenByCell:
    text = text_of(table.versions, writer.cell)
    if text is None:
        raise InvalidInput(
            f"{place}: how it was computed is not recorded; v{writer.version} was not written with windowed features, "
            "nor from a notebook's cell."
        )
    return WrittenByCell(f"{place}: v{writer.version} by {writer.writer}", text)


def _plain(value: pa.Scalar) -> str:
    plain: Any = value.as_py()
    if isinstance(plain, datetime):
        return instant(plain.replace(tzinfo=UTC) if plain.tzinfo is None else plain)
    return "null" if plain is None else str(plain)
