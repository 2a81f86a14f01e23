"""Features that a write would give another meaning: what they were, what they would be, and how much differs by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fstk.display import Displayed, Sheet, plural, share
from fstk.errors import Redefined
from fstk.tables.definition import FeatureDefinition

_SHOWN = 3  # features that an error tells of in full


@dataclass(frozen=True)
class Difference:
    """How many of the ``rows`` that a table and a frame both hold differ in a feature, and some that do, as
    ``17 at 1998-03-25: 4.0 → 8.0``. ``some`` tells that further rows were not looked at."""

    rows: int
    differing: int
    examples: tuple[str, ...]
    some: bool = False

    def __str__(self) -> str:
        if self.rows == 0:
            return "none of these rows is in the table yet, so no value could be compared"
        such = f", such as {' · '.join(self.examples)}" if self.examples else ""
        looked_at = f" that {'was' if self.rows == 1 else 'were'} looked at" if self.some else ""
        rows = plural(self.rows, "row") + looked_at
        return f"{self.differing:,} of {rows} differ ({share(self.differing, self.rows)}){such}"


@dataclass(frozen=True)
class Redefinition:
    """One feature, before and after; ``difference`` None where no row could be compared."""

    column: str
    before: FeatureDefinition
    after: FeatureDefinition
    difference: Difference | None = None

    def change(self, time: str) -> str:
        """Return both in words: ``sum(x) over the 30 days before as_of → sum(x*2) over the 30 days before as_of``."""
        before, after = self.before.words(time), self.after.words(time)
        if before == after:
            before, after = f"{before} {self.before.origin}", f"{after} {self.after.origin}"
        return f"{before} → {after}"


@dataclass(frozen=True, repr=False)
class RedefinitionPlan(Displayed):
    """What a write with ``redefine`` would change; without one it is refused."""

    table: str
    time: str
    features: tuple[Redefinition, ...]

    def display(self) -> Sheet:
        lines = [f"{one.column}: {one.change(self.time)}" for one in self.features]
        lines += [f"{one.column}: {one.difference}" for one in self.features if one.difference is not None]
        return Sheet(
            f"{self.table} would change what {_listed(self.features)} mean: only with --redefine", (), (), lines
        )

    def refusal(self) -> Redefined:
        """Return what to raise."""
        lines = [f"{self.table}: {_listed(self.features)} would change meaning. Nothing was written."]
        for one in self.features[:_SHOWN]:
            lines.append(f"  {one.column}: {one.change(self.time)}")
            lines += [f"    {one.difference}"] if one.difference is not None else []
        lines.append("Write it all the same: --redefine (redefine=True). Keep both: give the feature another name.")
        return Redefined("\n".join(lines), self.table)


def _listed(features: Sequence[Redefinition]) -> str:
    names = [one.column for one in features]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
