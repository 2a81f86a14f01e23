"""Lengths of time as people write them: ``4w``, ``7d``, ``36h``, ``90m``, ``1s``, a number of days, a ``timedelta``."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from numbers import Integral

from fstk.errors import InvalidInput

_UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "w": 7 * 86_400_000_000}
_WRITTEN = re.compile(r"([1-9][0-9]{0,11})([wdhms])")
_WRITTEN_MONTHS = re.compile(r"([1-9][0-9]{0,4})mo")
_WORDS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second", "mo": "month"}
LIFETIME = "lifetime"
"""How a length without a beginning is written in column names."""


@dataclass(frozen=True)
class Length:
    """A length of time: how it is written in column names, and its microseconds; None has no beginning (lifetime), or
    is of calendar ``months``."""

    name: str
    micros: int | None
    months: int | None = None

    @property
    def spoken(self) -> str:
        """The length with its unit apart: ``7 d``, ``90 min``."""
        if self.months is not None:
            return f"{self.months} mo"
        return f"{self.name[:-1]} {self.name[-1].replace('m', 'min')}"


def in_words(name: str) -> str:
    """Return a length in words, by how it is written in column names; anything else as it is.

    >>> in_words("30d"), in_words("1mo"), in_words("lifetime")
    ('the 30 days', 'the month', 'all')
    """
    written = _WRITTEN.fullmatch(name) or _WRITTEN_MONTHS.fullmatch(name)
    if written is None:
        return "all" if name == LIFETIME else name
    number, unit = written[1], _WORDS[name[len(written[1]) :]]
    return f"the {unit}" if number == "1" else f"the {number} {unit}s"


def read_age(value: dt.timedelta | str, argument: str) -> dt.timedelta:
    """Return how old something may be at most, as a length is written; zero, too. Errors name ``argument``.

    >>> read_age("14d", "within"), read_age("0", "within")
    (datetime.timedelta(days=14), datetime.timedelta(0))
    """
    if isinstance(value, dt.timedelta) and value < dt.timedelta(0):
        raise InvalidInput(f"{argument} must not be negative; got {value}.")
    if isinstance(value, dt.timedelta) or (isinstance(value, str) and re.fullmatch("0[wdhms]?", value)):
        return dt.timedelta(0) if isinstance(value, str) else value
    micros = read_length(value, argument).micros
    if micros is None:
        raise InvalidInput(f"{argument}: {value!r} has no fixed length; write '4w', '14d', '36h', '90m' or '1s'.")
    return dt.timedelta(microseconds=micros)


def read_length(value: object, argument: str) -> Length:
    """Return a length; an integer is days, None is ``lifetime``; a day is 86,400 s, a week seven. Errors name
    ``argument``.

    >>> read_length("36h", "windows").micros
    129600000000
    """
    if value is None:
        return Length(LIFETIME, None)
    text = value if isinstance(value, str) else ""
    if isinstance(value, dt.timedelta):
        micros = value // dt.timedelta(microseconds=1)
        unit = next((unit for unit, size in _UNITS.items() if micros % size == 0), "")
        text = f"{micros // _UNITS.get(unit, 1)}{unit}"
    elif isinstance(value, Integral):  # True and False become no length either
        text = f"{value}d"
    written = _WRITTEN.fullmatch(text)
    if not written:
        raise InvalidInput(
            f"{argument}: {value!r} is not a positive length; write '4w', '7d', '36h', '90m', '1s', a number of days "
            "or None."
        )
    return Length(text, int(written[1]) * _UNITS[written[2]])


def read_window(value: object, argument: str) -> Length:
    """Return a length, or one of calendar months; else as :func:`read_length`.

    >>> read_window("3mo", "windows").months
    3
    """
    written = _WRITTEN_MONTHS.fullmatch(value) if isinstance(value, str) else None
    return read_length(value, argument) if written is None else Length(written[0], None, int(written[1]))
