"""What the checks found: leaks, each with its place, what is wrong and its cure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from fstk.display import WIDTH, Displayed, Sheet, escaped

_INDENT = " " * 6
_MARK = "\N{WARNING SIGN}"
_BOX = "border-left: 4px solid #c62828; background: rgba(198, 40, 40, 0.1); padding: 4px 10px; margin: 4px 0"
_MORE = "It knows times, texts and nearness to the label; what a row was made of only fstk prove NOTEBOOK can tell."


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

    def _repr_html_(self) -> str:
        """Return each finding as a box that differs from the text around it, with its cure on a line of its own."""
        rest = LintReport((), self.unread)
        boxes = "".join(map(_box, self.findings))
        return boxes if self.findings and not self.unread else boxes + rest.display().html()


def _paragraph(finding: Finding) -> str:
    first, *rest = finding.message.split("\n")
    lines = textwrap.wrap(f"{_MARK} LEAK  {finding.where} {first}", WIDTH, subsequent_indent=_INDENT)
    for line in [*rest, f"Cure: {finding.cure}"]:
        lines += textwrap.wrap(line, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return "\n".join(lines)


def _box(finding: Finding) -> str:
    return (
        f'<div style="{_BOX}"><strong style="color: #c62828">{_MARK} LEAK</strong> '
        f"<strong>{escaped(finding.where)}</strong> {escaped(finding.message)}<br>"
        f"<strong>Cure:</strong> {escaped(finding.cure)}</div>"
    )


def percent(share: float) -> str:
    """Return a share as a person reads it: what is more than nothing never reads as 0 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "less than 1 %"
