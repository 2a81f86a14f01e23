"""Findings that a person accepts, with a reason: by a comment in the code, or by a tag of the feature table."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from fstk.engines.sql.clock import comments_of
from fstk.errors import BadExpression
from fstk.lint.code import SQL_CELLS, read_python, without_magics
from fstk.lint.report import Finding, LintReport

EVERYWHERE = ""
"""A place that all others are within: what a join's own text accepts."""
_TAG = "accept_"
_OF_LABELS = {  # which only a join finds, and no text
    *("label-copy", "perfect-predictor", "nearly-the-label", "label-of-two", "knows-the-outcome", "later-than-label"),
    *("newer-than-labels", "start-of-period", "rounded-label", "written-later"),
}


@dataclass(frozen=True)
class Acceptance:
    """That findings of one ``rule`` at a place, a cell, a file or a table, are no leak, and why."""

    rule: str
    where: str
    reason: str
    told: bool = True
    """Whether it is told when nothing needs it."""

    @property
    def place(self) -> str:
        return self.where or "the join"

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is of this rule, and at this place or within it."""
        inside = finding.where == self.where or finding.where.startswith((f"{self.where},", f"{self.where}."))
        return finding.code == self.rule and (inside or self.where == EVERYWHERE)


def in_code(source: str, where: str) -> list[Acceptance]:
    """Return what comments accept in a cell or a file: ``# fstk: accept RULE because …``, in SQL after ``--``."""
    found = []
    for comment in _comments(source):
        words = comment.strip().lstrip("#").split(None, 3)
        if words[:2] == ["fstk:", "accept"] and len(words) > 2:
            reason = _reason(words[3] if len(words) > 3 else "")
            found.append(Acceptance(words[2], where, reason, where == EVERYWHERE or words[2] not in _OF_LABELS))
    return found


def in_tags(tags: Mapping[str, str], table: str, told: Collection[str] = ()) -> list[Acceptance]:
    """Return what tags of a feature table accept: ``accept_one_instant``, whose value is the reason; those of rules in
    ``told`` are told when nothing needs them."""
    found = []
    for key, reason in tags.items():
        if key.startswith(_TAG):
            rule = key.removeprefix(_TAG).replace("_", "-")
            found.append(Acceptance(rule, table, reason.strip(), rule in told))
    return found


def settled(findings: Iterable[Finding], accepted: Iterable[Acceptance], unread: Iterable[object] = ()) -> LintReport:
    """Return the report of findings, those that are accepted with a reason apart; an acceptance that no finding needs,
    or without a reason, is told."""
    accepted = list(dict.fromkeys(accepted))
    found = []
    used: set[Acceptance] = set()
    for finding in dict.fromkeys(findings):
        covering = [one for one in accepted if one.covers(finding)]
        used.update(covering)
        found.append(replace(finding, accepted=next((one.reason for one in covering if one.reason), "")))
    idle = [
        f"{one.place} accepts {one.rule}, which nothing there needs."
        for one in accepted
        if one.told and one not in used
    ]
    bare = [
        f'{one.place} accepts {one.rule} without a reason, which does not count: accept {one.rule} because …'
        for one in accepted
        if one in used and not one.reason
    ]  # fmt: skip
    return LintReport.of(found, unread, [*idle, *bare])


def _reason(text: str) -> str:
    first, _, reason = text.partition(" ")
    return reason.strip() if first == "because" else ""


def _comments(source: str) -> list[str]:
    if read_python(source) is not None:
        tokens = tokenize.generate_tokens(io.StringIO(without_magics(source)).readline)
        return [token.string for token in tokens if token.type == tokenize.COMMENT]
    first, _, body = source.lstrip().partition("\n")
    try:
        return comments_of(body if first.startswith(SQL_CELLS) else source)
    except BadExpression:
        return []
