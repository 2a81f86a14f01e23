"""What the checks found: leaks, each with its place, what is wrong and its cure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from fstk.display import WIDTH, Displayed, Sheet

_INDENT = " " * 6
_MORE = "It knows times, texts and nearness to the label; what a row was made of only a proof can tell."


@dataclass(frozen=True)
class Finding:
    """One leak: its kind (``code``), ``where`` it is (table, column or cell), what is wrong, and how to mend it."""

    code: str
    where: str
    message: str
    cure: str


@dataclass(frozen=True, repr=False)
class LintReport(Displayed):
    """What the checks found, and why they could not look at all that they should have (``unread``)."""

    findings: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding], unread: Iterable[object] = ()) -> LintReport:
        """Return the report of some findings, each named once."""
        return cls(tuple(dict.fromkeys(findings)), tuple(map(str, unread)))

    @property
    def clean(self) -> bool:
        """Whether all was looked at and nothing was found."""
        return not self.findings and not self.unread

    def display(self) -> Sheet:
        """Return one paragraph per finding, and per table that could not be looked at."""
        unread = [f"NOT LOOKED AT  {reason}" for reason in self.unread]
        return Sheet("", (), (), [*map(_paragraph, self.findings), *unread] or ["lint: clean.", _MORE])


def _paragraph(finding: Finding) -> str:
    first, *rest = finding.message.split("\n")
    lines = textwrap.wrap(f"LEAK  {finding.where} {first}", WIDTH, subsequent_indent=_INDENT)
    last = " ".join([*rest, f"Cure: {finding.cure}"])
    return "\n".join([*lines, *textwrap.wrap(last, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)])


def percent(share: float) -> str:
    """Return a share as a person reads it: what is more than nothing never reads as 0 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "less than 1 %"
