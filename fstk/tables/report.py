"""What a write did."""

from __future__ import annotations

from dataclasses import dataclass

from fstk.display import Displayed, Sheet


@dataclass(frozen=True, repr=False)
class WriteReport(Displayed):
    """What a write did to a feature table.

    ``version_before`` is None for a table that the write created; ``version`` is the newest after it, equal to
    ``version_before`` when nothing changed. ``inserted``, ``updated`` and ``unchanged`` count the rows given; ``rows``
    the rows of the table afterwards (None where its log does not count them).
    """

    table: str
    version_before: int | None
    version: int
    inserted: int
    updated: int
    unchanged: int
    rows: int | None

    @property
    def created(self) -> bool:
        """Whether the write created the table."""
        return self.version_before is None

    @property
    def changed(self) -> bool:
        """Whether there is a new version."""
        return self.version != self.version_before

    @property
    def outcome(self) -> str:
        """What became of the table: ``created at v0``, ``v0 → v1`` or ``v1 · nothing changed``."""
        if self.created:
            return f"created at v{self.version}"
        return f"v{self.version_before} → v{self.version}" if self.changed else f"v{self.version} · nothing changed"

    def display(self) -> Sheet:
        counts = (self.inserted, self.updated, self.unchanged, self.rows)
        return Sheet(f"{self.table} {self.outcome}", ("inserted", "updated", "unchanged", "rows in table"), [counts])
