"""What a verb does, as plain Python: ready for a cell of a job, and the same thing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fstk.display import Displayed, Sheet, line_of

_UNCUT = 1_000_000  # columns: what is to be pasted must be whole


@dataclass(frozen=True, repr=False)
class Code(Displayed):
    """Python source, shown as it is."""

    text: str

    def display(self) -> Sheet:
        return Sheet("", (), (), [self.text])

    def __repr__(self) -> str:
        return "\n".join(line_of(line, _UNCUT) for line in self.text.splitlines())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def call(function: str, arguments: Sequence[tuple[str, str]]) -> str:
    """Return a call with one keyword argument a line; each value is source text."""
    lines = [f"    {name}={value}," for name, value in arguments]
    return "\n".join([f"{function}(", *lines, ")"])


def listed(items: Sequence[str]) -> str:
    """Return a list with one item a line, indented for an argument of :func:`call`."""
    return "\n".join(["[", *(f"        {item}," for item in items), "    ]"])


def datetime_import(values: Sequence[Any]) -> list[str]:
    """Return the lines that :func:`literal` of ``values`` needs before it: an import and an empty line, or none."""
    kinds = {type(value).__name__ for value in values if isinstance(value, date | timedelta)}
    if not kinds:
        return []
    return [f"from datetime import {', '.join(sorted(kinds | ({'UTC'} if 'datetime' in kinds else set())))}", ""]


def literal(value: Any) -> str:
    """Return a value as source text, as ``from datetime import UTC, date, datetime, timedelta`` makes it read; text
    stands in double quotes, as everywhere in this project."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, tuple | list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
        parts = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
        while len(parts) > 3 and parts[-1] == 0:
            parts.pop()
        return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
    if isinstance(value, date):
        return f"date({value.year}, {value.month}, {value.day})"
    if isinstance(value, timedelta):
        if value.seconds == value.microseconds == 0:
            return f"timedelta(days={value.days})"
        micros = value // timedelta(microseconds=1)
        seconds, rest = divmod(micros, 1_000_000)
        return f"timedelta(microseconds={micros})" if rest else f"timedelta(seconds={seconds})"
    return repr(value)
