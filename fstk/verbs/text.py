"""The text below a cell magic, or on a terminal's standard input, as lines that each say one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Quoting(NamedTuple):
    """How a language quotes: its quotes, those in which a backslash takes the meaning of the next letter (an empty one:
    outside of them), and what begins a comment; ``#`` does so only at the start of a word."""

    quotes: str
    escaping: tuple[str, ...]
    comments: tuple[str, ...]


SHELL = Quoting("'\"", ("", '"'), ("#",))
SQL = Quoting("'\"`", ("'", '"'), ("--", "#"))
"""Databricks SQL, and ``#`` as in Python."""


def uncommented(line: str, quoting: Quoting) -> str:
    """Return ``line`` up to the first comment outside quotes."""
    for place, before in _outside(line, quoting):
        for mark in quoting.comments:
            if line.startswith(mark, place) and (mark != "#" or before.isspace()):
                return line[:place]
    return line


def _outside(line: str, quoting: Quoting) -> Iterator[tuple[int, str]]:
    """Yield the place of each letter outside quotes and escapes, and the letter before it (or its backslash)."""
    quote, before = "", " "
    letters = iter(enumerate(line))
    for place, letter in letters:
        if letter == "\\" and quote in quoting.escaping:
            next(letters, None)
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in quoting.quotes:
            quote = letter
        else:
            yield place, before
        before = letter


def statements(text: str) -> list[str]:
    """Return the statements of ``text``, one a line, without blank lines, comments (``--``, ``#``), closing commas; one
    whose parentheses are open goes on in the next line."""
    found, open_line = [], ""
    for line in text.splitlines():
        open_line = f"{open_line} {uncommented(line, SQL).strip()}".strip()
        if open_line and not _unclosed(open_line):
            found.append(open_line.rstrip(",").rstrip())
            open_line = ""
    return [*found, open_line] if open_line else found


def _unclosed(line: str) -> bool:
    return sum({"(": 1, ")": -1}.get(line[place], 0) for place, _ in _outside(line, SQL)) > 0
