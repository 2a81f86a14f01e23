"""What the checks found: leaks, each with its place, what is wrong and its cure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from fstk.display import WIDTH, Displayed, Sheet

_INDENT = " " * 6


@dataclass(frozen=True)
class Finding:
    """One leak: its kind (``code``), ``where`` it is (table, column or cell), what is wrong, and how to mend it."""

    code: str
    where: str
    message: str
    cure: str


@dataclass(frozen=True, repr=False)
class LintReport(Displayed):
    """What the checks found; no finding is a clean set."""

    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> LintReport:
        """Return the report of some findings, each named once."""
        return cls(tuple(dict.fromkeys(findings)))

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def display(self) -> Sheet:
        """Return one paragraph per finding."""
        return Sheet("", (), (), [_paragraph(finding) for finding in self.findings] or ["lint: clean."])


def _paragraph(finding: Finding) -> str:
    first, *rest = finding.message.split("\n")
    lines = textwrap.wrap(f"LEAK  {finding.where} {first}", WIDTH, subsequent_indent=_INDENT)
    last = " ".join([*rest, f"Cure: {finding.cure}"])
    return "\n".join([*lines, *textwrap.wrap(last, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)])


def percent(share: float) -> str:
    """Return a share as a person reads it: what is more than nothing never reads as 0 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "less than 1 %"
