"""What feature tables and sources there are, and tags. Looking reads metadata only and never starts Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fstk.display import Displayed, Sheet, Stacked, plural
from fstk.tables.configured import open_catalog
from fstk.tables.served_log import LogTable, all_logs, find_log
from fstk.tables.source import Source, Sources, all_sources, find_source
from fstk.tables.spec import FeatureTable, matches


@dataclass(frozen=True, repr=False)
class TableList(Stacked):
    """The feature tables of a catalog, its sources and the logs of what was served, in the order of their names, why
    others cannot be read, and what is said where there is ``none``."""

    tables: tuple[FeatureTable, ...]
    faults: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    none: str = ""
    logs: tuple[LogTable, ...] = ()

    def parts(self) -> list[Displayed]:
        rows = [(t.name, t.version, t.rows, ", ".join(t.keys), len(t.features)) for t in self.tables]
        none = [] if rows or self.faults else [self.none]
        notes = [*none, *self.faults]
        shown = Sheet("", ("table", "version", "rows", "keys", "features") if rows else (), rows, notes)
        events = [(s.name, s.version, s.rows, ", ".join(s.entity), s.event_time) for s in self.sources]
        columns = ("source", "version", "events", "entity", "event time")
        logs = [(log.name, log.version, log.rows) for log in self.logs]
        others = (Sheet("", columns, events), Sheet("", ("log of what was served", "version", "rows"), logs))
        return [shown, *(other for other in others if other.rows)]


def tables(tags: Mapping[str, str | None], text: str) -> TableList:
    """Return what there is; where ``tags`` or a ``text`` are asked for, the feature tables that match alone, as
    :func:`fstk.tables.spec.matches` says."""
    catalog, asked = open_catalog(), bool(tags or text)
    found, faults = catalog.survey()
    fitting = tuple(table for table in found if matches(table, tags, text))
    none = "no such feature table." if found and asked else f"no feature tables yet. {catalog.where}"
    if asked:
        return TableList(fitting, tuple(map(str, faults)), none=none)
    known = {table.name for table in found}
    sources = tuple(all_sources(known))
    logs = tuple(all_logs(known | {source.name for source in sources}))
    return TableList(fitting, tuple(map(str, faults)), sources, none, logs)


def show(name: str) -> FeatureTable | Source | LogTable:
    """Return one feature table, source or log; raises UnknownTable with the nearest names."""
    return find_source(name) or find_log(name) or open_catalog().get(name)


def every_column(found: FeatureTable | Source | LogTable) -> Displayed:
    """Return a feature table with one line per column; others are never folded."""
    return found.every_column() if isinstance(found, FeatureTable) else found


def tag(name: str, setting: Mapping[str, str], deleting: Sequence[str]) -> FeatureTable:
    """Set and delete tags of a feature table, and return it; raises UnknownTable, UnknownName: a tag to delete that it
    lacks, InvalidInput: a tag that is not one."""
    catalog = open_catalog()
    for key, value in setting.items():
        catalog.set_tag(name, key, value)
    for key in deleting:
        catalog.delete_tag(name, key)
    return catalog.get(name)


def drop(name: str, *, yes: bool) -> str:
    """Remove a feature table or a source and say so; without ``yes`` only say what there is. Raises UnknownTable."""
    found = show(name)
    rows = "" if found.rows is None else f" · {plural(found.rows, 'row')}"
    what = f"{found.name} v{found.version}{rows}"
    if not yes:
        return f"{what} would be removed for good.   Do it: fstk drop {found.name} --yes"
    if isinstance(found, Source):
        Sources().drop(found.name)
    else:
        open_catalog().drop(found.name)
    return f"{what} is removed."
