"""What feature tables there are, and their tags. Looking reads metadata only and never starts Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fstk.display import Displayed, Sheet
from fstk.tables.configured import open_catalog
from fstk.tables.spec import FeatureTable


@dataclass(frozen=True, repr=False)
class TableList(Displayed):
    """The feature tables of a catalog, in the order of their names, and why others cannot be read."""

    tables: tuple[FeatureTable, ...]
    faults: tuple[str, ...] = ()

    def display(self) -> Sheet:
        rows = [(t.name, t.version, t.rows, ", ".join(t.keys), len(t.features)) for t in self.tables]
        none = [] if rows or self.faults else ["no feature tables yet.   See one being made: fstk demo"]
        notes = [*none, *self.faults]
        return Sheet("", ("table", "version", "rows", "keys", "features") if rows else (), rows, notes)


def tables() -> TableList:
    tables, faults = open_catalog().survey()
    return TableList(tuple(tables), tuple(map(str, faults)))


def show(name: str) -> FeatureTable:
    """Return one feature table; raises UnknownTable with the nearest names."""
    return open_catalog().get(name)


def tag(name: str, setting: Mapping[str, str], deleting: Sequence[str]) -> FeatureTable:
    """Set and delete tags of a feature table, and return it; raises UnknownTable, UnknownName: a tag to delete that it
    lacks, InvalidInput: a tag that is not one."""
    catalog = open_catalog()
    for key, value in setting.items():
        catalog.set_tag(name, key, value)
    for key in deleting:
        catalog.delete_tag(name, key)
    return catalog.get(name)
