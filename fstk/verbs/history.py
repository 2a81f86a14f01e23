"""The versions of a feature table: what wrote each, and what its features became. Reads metadata only."""

from __future__ import annotations

from dataclasses import dataclass

from fstk.display import Displayed, Sheet, plural
from fstk.tables.configured import open_catalog
from fstk.tables.history import Version, definitions_at
from fstk.tables.redefinition import Redefinition
from fstk.tables.spec import FeatureTable

_DEFINED = 12  # definitions that are shown of one version


@dataclass(frozen=True, repr=False)
class TableHistory(Displayed):
    """The versions of a feature table, newest first: what wrote each, its rows, and what became of definitions."""

    table: FeatureTable

    def display(self) -> Sheet:
        """Return a line per version, and below the definitions that each gave."""
        versions = self.table.versions
        rows = [
            (
                f"v{v.version}",
                f"{v.timestamp:%Y-%m-%d %H:%M}",
                v.writer,
                v.operation.partition(" TABLE")[0],
                v.inserted,
                v.updated,
            )
            for v in versions
        ]
        notes = [note for version in versions for note in self._defined(version)]
        columns = ("version", "time (UTC)", "written by", "operation", "inserted", "updated")
        return Sheet(f"{self.table.name} · {plural(len(rows), 'version')}, newest first", columns, rows, notes)

    def _defined(self, version: Version) -> list[str]:
        """Return a line per feature that a version defined: what it is, after what it was if that was another thing."""
        time = self.table.timeseries_column or "the point"
        before = definitions_at(self.table.versions, version.defined, version.version - 1)
        lines = []
        for name, one in version.defined.items():
            changed = Redefinition(name, before[name], one).change(time) if name in before else one.sentence(time)
            lines.append(f"v{version.version}  {name}: {changed}")
        more = len(lines) - _DEFINED
        return [*lines[:_DEFINED], *([f"v{version.version}  and {plural(more, 'more feature')}"] if more > 0 else [])]


def history(name: str) -> TableHistory:
    """Return the history of a feature table; raises UnknownTable with the nearest names."""
    return TableHistory(open_catalog().get(name))
