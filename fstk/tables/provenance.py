"""What a feature table knows of the events that its windows were computed of: by its features' definitions, else, where
it was made otherwise, by three tags that people set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fstk.engines.base import Schema, TableVersion
from fstk.engines.direct import stored_schema
from fstk.errors import FstkError
from fstk.tables.configured import local_table
from fstk.tables.spec import FeatureTable

_SOURCE, _TIME, _CLOSED = "source", "event_time", "closed"


@dataclass(frozen=True)
class EventSource:
    """The events of a feature table: where they are, their time column, which ends of a window counted, their columns,
    and the aggregates of them that are known."""

    events: TableVersion
    time: str
    closed: str
    schema: Schema = field(default_factory=dict)
    expressions: tuple[str, ...] = ()


def event_sources(tables: Iterable[FeatureTable]) -> dict[str, EventSource]:
    """Return, by feature table, the events that it tells of, where these are local and fit the table's keys; of a table
    that was computed at the events of a frame, and sees their own instants, its own rows."""
    sources = {}
    for table in tables:
        name, time, closed = _told(table)
        if not name or not time:
            sources |= _of_its_rows(table)
            continue
        try:
            events = local_table(name)
            schema = {} if events is None else stored_schema(events)
        except FstkError:
            continue  # a tag is free text: what it names need not be a table
        fits = time in schema and all(schema.get(key) == table.schema[key] for key in table.primary_keys)
        if events is not None and fits:
            expressions = tuple(one.expression for one in table.definitions.values())
            sources[table.name] = EventSource(events, time, closed, schema, expressions)
    return sources


def _of_its_rows(table: FeatureTable) -> dict[str, EventSource]:
    time = table.timeseries_column
    seeing = {one.closed for one in table.definitions.values() if one.points == "events" and one.closed != "left"}
    if time is None or not seeing:
        return {}
    return {table.name: EventSource(table.at(table.version), time, seeing.pop())}


def _told(table: FeatureTable) -> tuple[str | None, str | None, str]:
    """Return the source, its time column and ``closed``: one that sees its own instant, where any feature does."""
    known = [one for one in table.definitions.values() if one.source is not None]
    if known:
        one = next((one for one in known if one.closed != "left"), known[0])
        return one.source, one.timestamp, one.closed
    return table.tags.get(_SOURCE), table.tags.get(_TIME), table.tags.get(_CLOSED, "left")
