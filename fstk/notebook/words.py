"""The words of a magic's line, as a shell would read them, and Python variables put into them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fstk.errors import InvalidInput, NaiveDatetime, UnknownName, nearest
from fstk.verbs.text import SHELL, uncommented

_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_ESCAPED = re.compile(r"\\([\s\S])")
_VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def split(line: str, cell: str | None = None) -> tuple[list[str], str | None]:
    """Return the words of a magic's line, and what is left of the cell below it; raises InvalidInput.

    Quotes and backslashes act as in a shell, ``#`` at the start of a word begins a comment, and a line that ends in a
    backslash goes on in the next line of the cell.
    """
    while cell and line.rstrip().endswith("\\"):
        more, _, cell = cell.partition("\n")
        line = f"{line.rstrip()[:-1]} {more}"
    try:
        return shlex.split(_QUOTED.sub(_unescaped, uncommented(_VARIABLE.sub(r"{{\1}}", line), SHELL))), cell
    except ValueError as error:
        hint = "Put a word that holds a quote in quotes."
        raise InvalidInput(f"cannot read {line.strip()!r}: {error}. {hint}") from error


def _unescaped(quoted: re.Match[str]) -> str:
    """Take backslashes from before ``$`` and backquotes in double quotes, as shells do and :mod:`shlex` does not."""
    text = quoted[0]
    return _ESCAPED.sub(lambda one: one[one[1] in "$`"], text) if text.startswith('"') else text


def insert(text: str, namespace: Mapping[str, Any]) -> str:
    """Return ``text`` with every ``{{name}}`` replaced by the value of that variable; nothing else is touched.

    Text, numbers, dates and aware datetimes go in as they print (instants in ISO 8601), lists of them with commas;
    anything else raises UnknownName, NaiveDatetime or InvalidInput.
    """
    return _VARIABLE.sub(lambda found: _value(found[1], namespace), text)


def _value(name: str, namespace: Mapping[str, Any]) -> str:
    if not name.isidentifier():
        raise InvalidInput(f"{{{{{name}}}}}: only the name of a variable may stand between the braces.")
    if name not in namespace:
        known = [known for known in namespace if not known.startswith("_")]
        raise UnknownName(f"{{{{{name}}}}}: no variable {name}.{nearest(name, known)}")
    return _text(name, namespace[name])


def _text(name: str, value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise NaiveDatetime(f"{{{{{name}}}}}: {value} has no time zone; give it one, as in value.replace(tzinfo=UTC).")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return ",".join(_text(name, item) for item in value)
    raise InvalidInput(
        f"{{{{{name}}}}}: a {type(value).__name__} cannot be written into a line; text, numbers and dates can. "
        f"A frame is named without braces: {name}"
    )
