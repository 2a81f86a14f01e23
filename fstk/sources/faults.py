"""What of a file's or frame's values has to be settled by the person who loads it, with the cure of each."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from fstk.display import Sheet, plural
from fstk.errors import InvalidInput

_OPTIONS = {"types": "--type", "null_values": "--null", "time_format": "--time-format", "rename": "--rename"}
_MOST = 24  # letters of an example
_WIDE = 10_000  # a cure that is cut is none


@dataclass(frozen=True)
class Fault:
    """Values of one column that do not say what they mean: how many, what they are, and the argument of
    ``create_source`` that settles it: ``value`` of ``column``, or ``value`` alone."""

    column: str
    rows: int
    what: str
    argument: str
    value: str

    def cure(self, *, typed: bool) -> str:
        """Return what to type in a line of the grammar (``typed``), or in Python."""
        paired = self.argument in ("types", "rename")
        if typed:
            word = f"{self.column}={self.value}" if paired else self.value
            return f"{_OPTIONS[self.argument]} {shlex.quote(word)}"
        value = [self.value] if self.argument == "null_values" else self.value
        return f"{self.argument}={json.dumps({self.column: value} if paired else value, ensure_ascii=False)}"


def refuse(faults: Sequence[Fault], where: str, *, typed: bool) -> None:
    """Raise InvalidInput, which tells all faults of ``where`` as a table, if there are any."""
    if not faults:
        return
    rows = [(one.column, one.rows, one.what, one.cure(typed=typed)) for one in faults]
    title = f"{where}: {plural(len(faults), 'thing')} to settle first. Nothing was written."
    raise InvalidInput(Sheet(title, ("column", "rows", "what", "cure"), rows).text(_WIDE))


def example(value: object) -> str:
    """Return a value as a fault shows it."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
