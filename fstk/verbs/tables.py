"""What feature tables and sources there are, and tags. Looking reads metadata only and never starts Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fstk.display import Displayed, Sheet, Stacked
from fstk.tables.configured import open_catalog
from fstk.tables.source import Source, all_sources, find_source
from fstk.tables.spec import FeatureTable


@dataclass(frozen=True, repr=False)
class TableList(Stacked):
    """The feature tables of a catalog and its sources, in the order of their names, and why others cannot be read."""

    tables: tuple[FeatureTable, ...]
    faults: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    where: str = ""

    def parts(self) -> list[Displayed]:
        rows = [(t.name, t.version, t.rows, ", ".join(t.keys), len(t.features)) for t in self.tables]
        none = [] if rows or self.faults else [f"no feature tables yet. {self.where}"]
        notes = [*none, *self.faults]
        shown = Sheet("", ("table", "version", "rows", "keys", "features") if rows else (), rows, notes)
        events = [(s.name, s.version, s.rows, ", ".join(s.entity), s.event_time) for s in self.sources]
        columns = ("source", "version", "events", "entity", "event time")
        return [shown, *([Sheet("", columns, events)] if events else [])]


def tables() -> TableList:
    catalog = open_catalog()
    tables, faults = catalog.survey()
    return TableList(tuple(tables), tuple(map(str, faults)), tuple(all_sources()), catalog.where)


def show(name: str) -> FeatureTable | Source:
    """Return one feature table or source; raises UnknownTable with the nearest names."""
    return find_source(name) or open_catalog().get(name)


def tag(name: str, setting: Mapping[str, str], deleting: Sequence[str]) -> FeatureTable:
    """Set and delete tags of a feature table, and return it; raises UnknownTable, UnknownName: a tag to delete that it
    lacks, InvalidInput: a tag that is not one."""
    catalog = open_catalog()
    for key, value in setting.items():
        catalog.set_tag(name, key, value)
    for key in deleting:
        catalog.delete_tag(name, key)
    return catalog.get(name)
