"""What a feature table knows of the events that its windows were computed of; it travels in three of its tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fstk.engines.base import TableVersion
from fstk.engines.direct import stored_schema
from fstk.errors import FstkError
from fstk.tables.configured import local_table
from fstk.tables.spec import FeatureTable

_SOURCE, _TIME, _CLOSED = "source", "event_time", "closed"


@dataclass(frozen=True)
class EventSource:
    """The events of a feature table: where they are, their time column, and which ends of a window counted."""

    events: TableVersion
    time: str
    closed: str


def source_tags(events: str, time: str, closed: str) -> dict[str, str]:
    return {_SOURCE: events, _TIME: time, _CLOSED: closed}


def event_sources(tables: Iterable[FeatureTable]) -> dict[str, EventSource]:
    """Return, by feature table, the events that its tags name, where these are local and fit the table's keys."""
    sources = {}
    for table in tables:
        name, time = table.tags.get(_SOURCE), table.tags.get(_TIME)
        if not name or not time:
            continue
        try:
            events = local_table(name)
            schema = {} if events is None else stored_schema(events)
        except FstkError:
            continue  # a tag is free text: what it names need not be a table
        fits = time in schema and all(schema.get(key) == table.schema[key] for key in table.primary_keys)
        if events is not None and fits:
            sources[table.name] = EventSource(events, time, table.tags.get(_CLOSED, "left"))
    return sources
