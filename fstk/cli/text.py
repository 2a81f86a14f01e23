"""The text below a cell magic, or on a terminal's standard input, as lines that each say one thing."""

from __future__ import annotations


def uncommented(line: str, mark: str, quotes: str = "'\"") -> str:
    """Return ``line`` up to the first comment ``mark`` outside quotes; ``#`` begins one only at the start of a word."""
    quote, before = "", " "
    letters = iter(enumerate(line))
    for place, letter in letters:
        if quote:
            if letter == "\\" and quote == '"':
                next(letters, None)
            elif letter == quote:
                quote = ""
        elif letter == "\\":
            next(letters, None)
        elif letter in quotes:
            quote = letter
        elif line.startswith(mark, place) and (mark != "#" or before.isspace()):
            return line[:place]
        before = letter
    return line


def statements(text: str) -> list[str]:
    """Return the statements of ``text``, one a line, without blank lines, comments (``--`` and ``#``) and closing
    commas.

    A statement whose parentheses are open goes on in the next line.
    """
    found, open_line = [], ""
    for line in text.splitlines():
        for mark in ("--", "#"):
            line = uncommented(line, mark, "'\"`")
        open_line = f"{open_line} {line.strip()}".strip()
        if open_line and not _unclosed(open_line):
            found.append(open_line.rstrip(",").rstrip())
            open_line = ""
    return [*found, open_line] if open_line else found


def _unclosed(line: str) -> bool:
    depth, quote = 0, ""
    for letter in line:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"`":
            quote = letter
        else:
            depth += {"(": 1, ")": -1}.get(letter, 0)
    return depth > 0
