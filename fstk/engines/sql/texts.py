"""Spark SQL's functions of texts, row by row in code points, under its default collation (UTF8_BINARY)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fstk.engines.types import arrow_type
from fstk.errors import InvalidInput


@dataclass(frozen=True)
class TextFunction:
    """A function that is null where an argument is: the kinds it ``takes``, what it gives, the value of each row, and
    the values of last arguments that may be left out."""

    takes: tuple[str, ...]
    result: str
    of: Callable[..., Any]
    otherwise: tuple[Any, ...] = ()

    def __call__(self, columns: Sequence[pa.Array]) -> pa.Array:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        left_out = self.otherwise[len(self.otherwise) - (len(self.takes) - len(columns)) :]
        values = [None if None in row else self.of(*row, *left_out) for row in rows]
        return pa.array(values, arrow_type(self.result))

    def accepts(self, number: int) -> bool:
        """Tell whether it can be called with a number of arguments."""
        return len(self.takes) - len(self.otherwise) <= number <= len(self.takes)


def like(pattern: str, *, any_case: bool) -> Callable[[str], bool]:
    """Return what tells whether a text is like a pattern in which nothing is escaped.

    >>> like("a_%", any_case=False)("a😀"), like("a_%", any_case=True)("AB"), like("a_%", any_case=False)("AB")
    (True, True, False)
    """
    if any_case:
        in_lower_case = like(_lower(pattern), any_case=False)
        return lambda text: in_lower_case(_lower(text))
    wild = {"%": ".*", "_": "."}
    matches = re.compile("".join(wild.get(one) or re.escape(one) for one in pattern), re.DOTALL).fullmatch
    return lambda text: matches(text) is not None


def _lower(text: str) -> str:
    return text.translate(_LOWER).lower()


def _upper(text: str) -> str:
    return text.translate(_UPPER).upper()


def _substring(text: str, position: int, length: int) -> str:
    start = position - 1 if position > 0 else len(text) + position if position < 0 else 0
    return text[max(start, 0) : max(start + length, 0)]


def _split_part(text: str, delimiter: str, number: int) -> str:
    if number == 0:
        raise InvalidInput("split_part counts its parts from 1, or from −1 at the end; it was asked for part 0.")
    parts = text.split(delimiter) if delimiter else [text]
    place = number - 1 if number > 0 else len(parts) + number
    return parts[place] if 0 <= place < len(parts) else ""


def _padding(length: int, text: str, pad: str) -> str:
    missing = length - len(text)
    return (pad * (missing // len(pad) + 1))[:missing] if missing > 0 and pad else ""


# Letters that got their other case in Unicode 16, which Spark 4 knows, and an older Python does not.
_LOWER = {0x1C89: 0x1C8A, 0xA7CB: 0x0264, 0xA7CC: 0xA7CD, 0xA7DA: 0xA7DB, 0xA7DC: 0x019B}
_LOWER |= {letter: letter + 0x20 for letter in range(0x10D50, 0x10D66)}
_UPPER = {lower: upper for upper, lower in _LOWER.items()}
_LONGEST = 2**31 - 1
_ONE, _TWO = ("string",), ("string", "string")
TEXT_FUNCTIONS = {
    "length": TextFunction(_ONE, "int", len),
    "lower": TextFunction(_ONE, "string", _lower),
    "upper": TextFunction(_ONE, "string", _upper),
    "startswith": TextFunction(_TWO, "boolean", str.startswith),
    "endswith": TextFunction(_TWO, "boolean", str.endswith),
    "contains": TextFunction(_TWO, "boolean", str.__contains__),
    "substring": TextFunction(("string", "int", "int"), "string", _substring, (_LONGEST,)),
    "left": TextFunction(("string", "int"), "string", lambda text, number: text[: max(number, 0)]),
    "right": TextFunction(("string", "int"), "string", lambda text, number: text[-number:] if number > 0 else ""),
    "replace": TextFunction(
        ("string", "string", "string"), "string", lambda text, old, new: text.replace(old, new) if old else text, ("",)
    ),
    "split_part": TextFunction(("string", "string", "int"), "string", _split_part),
    "lpad": TextFunction(
        ("string", "int", "string"),
        "string",
        lambda text, length, pad: _padding(length, text, pad) + text[: max(length, 0)],
        (" ",),
    ),
    "rpad": TextFunction(
        ("string", "int", "string"),
        "string",
        lambda text, length, pad: text[: max(length, 0)] + _padding(length, text, pad),
        (" ",),
    ),
    "trim": TextFunction(_TWO, "string", str.strip, (" ",)),
    "ltrim": TextFunction(_TWO, "string", str.lstrip, (" ",)),
    "rtrim": TextFunction(_TWO, "string", str.rstrip, (" ",)),
}
"""By the names that Spark knows them by."""
TEXT_FUNCTIONS |= dict.fromkeys(("len", "char_length", "character_length"), TEXT_FUNCTIONS["length"])
TEXT_FUNCTIONS |= {"lcase": TEXT_FUNCTIONS["lower"], "ucase": TEXT_FUNCTIONS["upper"]}
