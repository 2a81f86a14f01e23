"""``fstk tables`` and ``fstk show``: what feature tables there are. Reads metadata only, never starts Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from fstk.display import Displayed, Table

if TYPE_CHECKING:
    from fstk.tables.spec import FeatureTable


@dataclass(frozen=True, repr=False)
class TableList(Displayed):
    """The feature tables of a catalog, in the order of their names."""

    tables: tuple[FeatureTable, ...]

    def display(self) -> Table:
        """Show one table a line."""
        rows = [
            (
                t.name,
                t.version,
                t.rows,
                ", ".join((*t.primary_keys, *filter(None, [t.timeseries_column]))),
                len(t.features),
            )
            for t in self.tables
        ]
        notes = [] if rows else ["no feature tables yet.   See one being made: fstk demo"]
        return Table("", ("table", "version", "rows", "keys", "features") if rows else (), rows, notes)


def tables() -> TableList:
    """List the feature tables."""
    # the grammar must be there at once: what a verb needs is loaded by the verb
    from fstk.tables.catalog import open_catalog

    return TableList(tuple(open_catalog().list()))


def show(table: Annotated[str, Argument(metavar="TABLE", help="The table's name.")]) -> Displayed:
    """Show a table: keys, columns, tags."""
    from fstk.tables.catalog import open_catalog

    return open_catalog().get(table)
