"""Many windowed features at a glance: aggregates down, windows across."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fstk.display import OnRequest, Sheet

MANY = 16
"""More features than these are shown as a matrix first."""
ON_REQUEST = "--columns lists them, in Python .every_column()"


class Place(NamedTuple):
    """A feature's place in a matrix, and what is shown there."""

    aggregate: str
    window: str
    shown: str


def matrix(title: str, places: Iterable[Place], notes: Iterable[str] = ()) -> Sheet:
    """Return a line per aggregate and a column per window, both in the order of their first feature.

    >>> matrix("", [Place("n = count(*)", "7d", "▁█"), Place("n = count(*)", "30d", "▃▅ 2%")])
      aggregate     7d  30d
      n = count(*)  ▁█  ▃▅ 2%
    """
    places = list(places)
    windows = list(dict.fromkeys(one.window for one in places))
    shown = {(one.aggregate, one.window): one.shown for one in places}
    rows = [
        (aggregate, *(shown.get((aggregate, window), "") for window in windows))
        for aggregate in dict.fromkeys(one.aggregate for one in places)
    ]
    return Sheet(title, ("aggregate", *windows), rows, list(notes))


def aggregate_name(column: str, window: str, expression: str) -> str:
    """Return an aggregate as a matrix names it: ``n = count(*)``."""
    return f"{column.removesuffix(f'_{window}')} = {expression}"


def on_request(sheet: Sheet, number: int) -> OnRequest:
    """Return a list of so many columns that stands closed."""
    title = f"each of the {number:,} columns"
    return OnRequest(title, sheet.columns, sheet.rows, sheet.notes, hint=ON_REQUEST)


def closed(sheet: Sheet) -> Sheet:
    """Return a table as it stands beside so much that in HTML only its title has room."""
    if not sheet.title:
        return on_request(sheet, len(sheet.rows))
    return sheet if isinstance(sheet, OnRequest) else OnRequest(sheet.title, sheet.columns, sheet.rows, sheet.notes)
