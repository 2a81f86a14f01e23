"""What text can tell of leaks: each rule's name, what is wrong, and the cure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from fstk.engines.sql.ahead import Look, looks
from fstk.lint.report import Finding

_LONGEST = 60  # letters of code that a finding quotes
_MOMENTS = ("_at", "_ts", "_on", "_date", "_time", "_timestamp")
_INSTANTS = frozenset(("as_of", "at", "ts", "dt", "ds", "day", "date", "time", "timestamp"))
_EVENTS = re.compile(
    r"(\w+_)?(order|transaction|txn|event|invoice|receipt|basket|purchase|payment)_?(id|no|nr|number|key|uuid)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rule:
    """A kind of leak that a piece of code shows."""

    code: str
    wrong: str
    cure: str

    def found(self, where: str, text: str) -> Finding:
        """Return the finding of this rule in ``text``, a piece of code at ``where``."""
        return Finding(self.code, where, f"has {textwrap.shorten(text, _LONGEST)}: {self.wrong}", self.cure)


LATER_ROWS = Rule(
    "later-rows",
    "each row gets values of rows that come after it.",
    "look back: lag(), shift(1), ffill(), a frame that ends at the row; or %%fstk windows.",
)
UNORDERED_WINDOW = Rule(
    "unordered-window",
    "each row gets what all rows (of its partition) tell together, those after it, too.",
    "order the window by time, with a frame that ends at the row; or %%fstk windows.",
)
LABEL_IN_WINDOW = Rule(
    "label-in-window",
    "each row gets the label of others, or its own; nobody knows these at its time.",
    "make a feature table of past outcomes, stamped with the instant each was known at, and look it up.",
)
LOCAL_TIME = Rule(
    "local-time",
    "a local time as a column is read as UTC: rows move by hours, into labels that are earlier or out of them.",
    "keep the instant as the time column; take local hours and days as features: hour(from_utc_timestamp(…)).",
)
CLOCK = Rule(
    "current-time",
    "over history every row is computed with today's clock, and the same run tomorrow gives other values.",
    "compare with the row's own time, or with a parameter of the job such as as_of.",
)
FITTED_ON_ALL = Rule(
    "fitted-on-all",
    "it learns from the rows that the model is tested on, and from those that come later.",
    "fit it on the training part alone: split first, or put it into the model's own Pipeline.",
)
SHUFFLED_SPLIT = Rule(
    "shuffled-split",
    "labels have times; a shuffled split trains on labels that are later than those it tests on.",
    "split by time: rows before an instant train, those after it test (shuffle=False on rows in order of time).",
)
CLOSED_AT_EVENT = Rule(
    "closed-at-event",
    "the windows hold the event at whose instant they are computed.",
    'closed="left" (the default), or points of a Calendar.',
)


def is_moment(column: str) -> bool:
    """Tell whether a column is called as an instant is: rows that share its value were known at once."""
    return column.lower() in _INSTANTS or column.lower().endswith(_MOMENTS)


def known_at_once(partition: Collection[str], entities: Collection[str]) -> bool:
    """Tell whether rows that share ``partition`` were known at once: they share an instant, or are the parts of one
    event, an order or a payment, that is none of the ``entities`` (in lower case) to which events happen."""
    events = (column for column in partition if column.lower() not in entities)
    return any(map(is_moment, partition)) or any(map(_EVENTS.fullmatch, events))


def lint_looks(sql: str, where: str, labels: Iterable[str], entities: Collection[str] = ()) -> list[Finding]:
    """Name what the windows of feature SQL see too much of; a window that makes one of ``labels`` may look ahead."""
    known = frozenset(label.lower() for label in labels)
    rules = {"later": LATER_ROWS, "all": UNORDERED_WINDOW, "local": LOCAL_TIME}
    findings = []
    for look in looks(sql):
        rule = LABEL_IN_WINDOW if look.columns & known and look.at != "local" else _rule(look, rules, entities)
        if rule is not None and not look.names & known:
            findings.append(rule.found(where, look.text))
    return findings


def _rule(look: Look, rules: dict[str, Rule], entities: Collection[str]) -> Rule | None:
    if look.at is None or (look.at == "all" and known_at_once(look.partition, entities)):
        return None
    return rules[look.at]
