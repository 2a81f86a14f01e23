"""What the checks found: leaks, each with its place, what is wrong and its cure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from fstk.display import WIDTH, Displayed, Sheet, escaped

BESIDE = 3
"""Findings that are in sight beside other things."""
_INDENT = " " * 6
_MARK = "\N{WARNING SIGN}"
_RED = "color: var(--jp-error-color1, #c62828)"  # the theme's is read on dark, too
_BOX = "border-left: 4px solid #c62828; background: rgba(198, 40, 40, 0.1); padding: 4px 10px; margin: 4px 0"
_MORE = "It knows times, texts and nearness to the label; what a row was made of only fstk prove NOTEBOOK can tell."


@dataclass(frozen=True)
class Finding:
    """One leak: its kind (``code``), ``where`` it is (table, column or cell), what is wrong, and how to mend it; or why
    it is ``accepted``."""

    code: str
    where: str
    message: str
    cure: str
    accepted: str = ""


@dataclass(frozen=True, repr=False)
class LintReport(Displayed):
    """What the checks found, and why they could not look at all that they should have (``unread``); apart from these
    what was ``accepted`` with a reason, and ``notes`` on acceptances that do nothing. Of more findings than
    ``in_sight`` HTML shows so many, and a click the others."""

    findings: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()
    accepted: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    in_sight: int = 10

    @classmethod
    def of(cls, findings: Iterable[Finding], unread: Iterable[object] = (), notes: Iterable[str] = ()) -> LintReport:
        """Return the report of some findings, each named once."""
        every = tuple(dict.fromkeys(findings))
        found, accepted = (tuple(one for one in every if bool(one.accepted) is taken) for taken in (False, True))
        return cls(found, tuple(map(str, unread)), accepted, tuple(notes))

    @property
    def clean(self) -> bool:
        """Whether all was looked at and nothing was found that is not accepted."""
        return not self.findings and not self.unread

    def display(self) -> Sheet:
        """Return one paragraph per finding, and per table that could not be looked at."""
        unread = [f"NOT LOOKED AT  {reason}" for reason in self.unread]
        found = [*map(_paragraph, self.findings), *unread] or ["lint: clean.", _MORE]
        return Sheet("", (), (), [*found, *map(_accepted, self.accepted), *(f"NOTE  {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        """Return each finding as a box that differs from the text around it, with its cure on a line of its own."""
        lines = self.display().notes[len(self.findings) :]
        seen = self.findings if len(self.findings) <= self.in_sight + 1 else self.findings[: self.in_sight]
        boxes, more = "".join(map(_box, seen)), self.findings[len(seen) :]
        if more:
            closed = f'<strong style="{_RED}">{_MARK} {len(more):,} more LEAKs</strong>'
            boxes += f"<details><summary>{closed}</summary>{''.join(map(_box, more))}</details>"
        return boxes + Sheet("", (), (), lines).html() if lines else boxes


def _paragraph(finding: Finding) -> str:
    first, *rest = finding.message.split("\n")
    lines = textwrap.wrap(f"{_MARK} LEAK  {finding.where} {first}", WIDTH, subsequent_indent=_INDENT)
    for line in [*rest, f"Cure: {finding.cure} [{finding.code}]"]:
        lines += textwrap.wrap(line, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return "\n".join(lines)


def _accepted(finding: Finding) -> str:
    text = f"ACCEPTED  {finding.code} at {finding.where} because {finding.accepted}".replace(", because", " because")
    return "\n".join(textwrap.wrap(text, WIDTH, subsequent_indent=_INDENT))


def _box(finding: Finding) -> str:
    return (
        f'<div style="{_BOX}"><strong style="{_RED}">{_MARK} LEAK</strong> '
        f"<strong>{escaped(finding.where)}</strong> {escaped(finding.message)}<br>"
        f"<strong>Cure:</strong> {escaped(finding.cure)} [{escaped(finding.code)}]</div>"
    )


def percent(share: float) -> str:
    """Return a share as a person reads it: what is more than nothing never reads as 0 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "less than 1 %"
