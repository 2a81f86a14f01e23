"""What a proof is asked about, and what it says: leaks with their columns, labels and source rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from fstk.display import Displayed, Sheet, Stacked, instant, plural
from fstk.previews.timeline import Timeline


@dataclass(frozen=True)
class Labels:
    """Who is asked about, and when: ``rows`` with the keys of the features and the column ``time``; ``label`` is the
    column to be predicted, which may know the future; ``table`` is their name in the warehouse."""

    rows: pa.Table
    time: str
    label: str | None
    table: str | None = None


@dataclass(frozen=True)
class Leak:
    """A feature that changed with the future: for which label, from what to what, and the nearest source row that was
    rewritten, with what was done to it and its time."""

    feature: str
    entity: str
    at: datetime
    before: Any
    after: Any
    source: str
    act: str
    source_at: datetime
    labels: int
    picture: Timeline

    def __str__(self) -> str:
        changed = f"changed from {shown(self.before)} to {shown(self.after)}"
        cause = f"when the row of {self.source} of {instant(self.source_at)} was {self.act}"
        where = f"{self.feature} of {self.entity} at {instant(self.at)}"
        return f"LEAK  {where} {changed} {cause}; {plural(self.labels, 'label')} in all."


@dataclass(frozen=True, repr=False)
class Proof(Stacked):
    """What came of it; ``moved`` of ``labels`` changed when their past was altered; ``unproven`` says of features that
    stand in their table otherwise than as they were made here."""

    title: str
    leaks: tuple[Leak, ...]
    labels: int
    features: int
    moved: int
    instants: tuple[datetime, ...]
    notes: tuple[str, ...]
    unproven: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether nothing is against it."""
        return self.refusal is None

    @property
    def refusal(self) -> str | None:
        """What is against it, in a sentence."""
        if self.leaks:
            return f"{plural(len(self.leaks), 'feature')} know{'s' if len(self.leaks) == 1 else ''} the future."
        if self.unproven:
            number = plural(len(self.unproven), "feature")
            return f"{number} not proven: the table holds other values than were made here."
        return None

    def parts(self) -> Sequence[Displayed]:
        """Return the verdict, and the picture of each leak's label."""
        cut = ", ".join(map(instant, self.instants))
        looked_at = f"{plural(self.labels, 'label')} · {plural(self.features, 'feature')}"
        first = f"{looked_at} · the future after {cut} deleted, altered, negated"
        lines = [*map(str, self.leaks), *self.unproven] or ["PROVED  nothing changed"]
        blind = f"{plural(self.moved, 'label')} changed when rows before them were altered and deleted"
        lines += [first, f"{blind}: the proof is not blind"]
        return [Sheet(self.title, (), (), [*lines, *self.notes]), *(leak.picture for leak in self.leaks)]


def shown(value: Any) -> str:
    """Return a feature's value as it is told."""
    return "null" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
