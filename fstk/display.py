"""What an object looks like: one immutable table, rendered as text of at most 100 columns or as static HTML.

The HTML carries no script, no style element and no external address, so that it survives GitHub, nbconvert, VS Code and
an untrusted notebook; every value is escaped.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

WIDTH = 100
"""Columns of a text rendering."""
_ROWS = 200  # more rows, columns or letters than a person reads
_COLUMNS = 32
_VALUE = 200
_LINES = 3
_HEAD = 8  # letters left of a cell before its window
_NO_BREAK = "\N{BRAILLE PATTERN BLANK}"  # a space that rich takes for a letter
_NUMBER = re.compile(r"[+−-]?([\d,]+\.?\d*|\.\d+)(e[+-]?\d+)?( ?%| d| h| min| s)?|–|NaN|-?Infinity")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2}(\.\d+)?)?)?")
_TALL = 24  # rows that are in sight, so that few renderings are over 1,000 pixels
_BYTES = 90_000  # of a table's rows as HTML; with title and notes a rendering stays under 100 kB


class Displayed:
    """Mixin: an object that is shown as its :meth:`display` table, in a terminal and in a notebook."""

    def display(self) -> Sheet:
        """Return what a person should see of this object."""
        raise NotImplementedError  # every subclass has its own

    def __repr__(self) -> str:
        return self.display().text()

    def _repr_html_(self) -> str:
        return self.display().html()


@dataclass(frozen=True, repr=False)
class Sheet(Displayed):
    """Title, headers, rows and closing lines; a column of numbers, and times among them, is aligned right. In HTML
    ``tall`` rows are in sight; a click opens the others.

    >>> Sheet("two tables", ["table", "rows"], [["customers", 23570], ["visits", 7]], notes=["as of today"])
    two tables
      table        rows
      customers  23,570
      visits          7
    as of today
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = field(default=())
    tall: int = _TALL

    def display(self) -> Sheet:
        return self

    def text(self, width: int = WIDTH) -> str:
        """Return the table as plain text, no line longer than ``width``: a title or note that does not fit goes on in
        the next lines, at most three; a cell that does not fit is cut with ``…``."""
        columns, rows = self._cells()
        lines = _folded(self.title, width) if self.title else []
        if columns:
            right = self._right(rows)
            cells = [columns, *rows]
            widths = [min(max(cell_len(row[i]) for row in cells), width) for i in range(len(columns))]
            gap = 2 if sum(widths) + 2 * len(widths) <= width else 1  # closer together, before anything is cut
            room = width - 2 - gap * (len(widths) - 1)
            while sum(widths) > room and max(widths) > 4:
                widths[widths.index(max(widths))] -= 1
            for row in cells:
                parts = [_pad(_cut(cell, w), w, right[i]) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
                lines.append(_fit(("  " + (" " * gap).join(parts)).rstrip(), width))
        lines += [line for note in self._notes(len(rows)) for line in _folded(note, width)]
        return "\n".join(lines)

    def html(self, room: int = _BYTES) -> str:
        """Return the table as a ``<div>`` of escaped, static HTML, its rows in ``room`` bytes; the rest is counted."""
        columns, rows = self._cells()
        right = self._right(rows)
        out = ["<div>"]
        if self.title:
            out.append(f"<p><strong>{escaped(self.title)}</strong></p>")
        lines: list[str] = []
        if columns:
            for row in rows:
                line = "".join(_cell("td", cell, right[i]) for i, cell in enumerate(row))
                room -= len(line.encode())
                if room < 0:
                    break
                lines.append(f"<tr>{line}</tr>")
            head = "".join(_cell("th", name, right[i]) for i, name in enumerate(columns))
            tall = self.tall if len(lines) > self.tall + 1 else len(lines)
            out.append(_html_table(head, lines[:tall]))
            if lines[tall:]:
                rest = f"the {len(lines) - tall:,} rows below these"
                out.append(f"<details><summary>{rest}</summary>{_html_table(head, lines[tall:])}</details>")
        out += [f"<p>{escaped(note)}</p>" for note in self._notes(len(lines))]
        out.append("</div>")
        return "".join(out)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [[_plain(value) for value in row[:_COLUMNS]] for row in self.rows[:_ROWS]]
        return [_printable(name) for name in self.columns[:_COLUMNS]], rows

    def _notes(self, rows: int) -> list[str]:
        """Return the closing lines, after what a rendering of so many rows leaves out."""
        cut = [f"… {len(self.rows) - rows:,} more rows"] if len(self.rows) > rows else []
        hidden = len(self.columns) - _COLUMNS
        return [*cut, *([f"… {hidden:,} more columns"] if hidden > 0 else []), *self.notes]

    def _right(self, rows: list[list[str]]) -> list[bool]:
        return [_is_right([row[i] for row in rows if row[i]]) for i in range(min(len(self.columns), _COLUMNS))]


@dataclass(frozen=True, repr=False)
class OnRequest(Sheet):
    """A table that stands closed: a click opens it in HTML; in text its title and ``hint``, how to see it, stand for
    it, where there is a hint."""

    tall: int = _ROWS
    hint: str = ""

    def text(self, width: int = WIDTH) -> str:
        if not self.hint:
            return Sheet.text(self, width)
        return "\n".join(_folded(f"{self.title}: {self.hint}", width))

    def html(self, room: int = _BYTES) -> str:
        inside = replace(self, title="")
        return f"<details><summary>{escaped(self.title)}</summary>{Sheet.html(inside, room)}</details>"


class Stacked(Displayed):
    """Mixin: an object that is shown as several parts, one below the other."""

    def parts(self) -> Sequence[Displayed]:
        """Return the parts, in order; there is at least one."""
        raise NotImplementedError  # every subclass has its own

    def display(self) -> Sheet:
        return self.parts()[0].display()

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.parts()))

    def _repr_html_(self) -> str:
        parts = self.parts()
        room, plain = _BYTES // len(parts), Displayed._repr_html_  # a part that draws itself, a picture, is small
        return "".join(
            part.display().html(room) if type(part)._repr_html_ is plain else part._repr_html_() for part in parts
        )


def line_of(text: str, width: int = WIDTH) -> str:
    """Return ``text`` as one line of printable characters, cut with ``…`` where it is wider than ``width`` columns."""
    return _fit(_printable(text), width)


def short_path(path: Path) -> str:
    """Return a path as a person would type it from here.

    >>> short_path(Path.cwd() / "runs" / "churn")
    'runs/churn'
    """
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _folded(text: str, width: int) -> list[str]:
    lines = []
    for line in map(_printable, text.split("\n")):
        lines += [line] if cell_len(line) <= width else _wrapped(line, width)
    return lines


def _wrapped(line: str, width: int) -> list[str]:
    from rich.console import Console  # of all that is shown, only a long line has to wait for these
    from rich.text import Text

    console = Console(width=width)
    facts = line.split(" · ")
    if max(map(cell_len, facts)) < width - 4:  # what stands between dots stays together
        line = " · ".join(fact.replace(" ", _NO_BREAK) for fact in facts)
    first = Text(line).wrap(console, width)[0].plain
    rest = [f"  {part.plain.rstrip()}" for part in Text(line[len(first) :].lstrip()).wrap(console, width - 2)]
    if len(rest) >= _LINES:
        rest[_LINES - 2] += " …"
    return [_fit(part.replace(_NO_BREAK, " "), width) for part in (first.rstrip(), *rest[: _LINES - 1])]


def plural(number: int, noun: str) -> str:
    """Return ``1 label`` or ``1,200 labels``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def key_text(value: Any) -> Any:
    """Return a key as it is shown: a number that is a name has no thousands separators.

    >>> key_text(1042)
    '1042'
    """
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def share(count: int, total: int) -> str:
    """Return a share to a tenth of a percent; what is some reads neither as none (0.0 %) nor as all (100.0 %)."""
    tenths = round(1000 * count / total) if total else 0
    if 0 < count < total:
        tenths = min(max(tenths, 1), 999)
    return f"{tenths / 10:.1f} %"


def duration(length: timedelta) -> str:
    """Return a length of time in its largest fitting unit, cut, never rounded up: ``3 d``, ``4 h``, ``0.5 s``."""
    if length < timedelta(0):
        return f"−{duration(-length)}"
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if length >= size:
            return f"{length // size:,} {unit}"
    return f"{length.total_seconds():g} s"


def instant(at: datetime) -> str:
    """Return an instant in UTC without what is zero: ``1997-02-01``, ``1997-02-01 14:00``, ``1997-02-01 14:00:05``."""
    at = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    if at.time() == datetime.min.time():
        return f"{at.date()}"
    return at.isoformat(" ", "auto" if at.second or at.microsecond else "minutes")


def _is_right(cells: Sequence[str]) -> bool:
    """Tell whether cells are aligned right: numbers are, and times among them."""
    others = [cell for cell in cells if not _NUMBER.fullmatch(cell)]
    numbers = any(cell != "–" and cell not in others for cell in cells)
    return (numbers and all(_TIME.fullmatch(cell) for cell in others)) if others else bool(cells)


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, timedelta):
        return duration(value)
    text = str(value)
    more = f"… {len(text) - _VALUE:,} more letters" if len(text) > _VALUE else ""
    return _printable(text[:_VALUE]) + more


def _float(value: float) -> str:
    """Return a number as a person reads it, to some digits: ``41.98``, ``1,234,567.8912``, ``1.2e-05``, ``NaN``."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e12:
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:.6g}"


def _printable(text: str) -> str:
    text = text.replace("\t", " ").replace("\r", " ").replace("\n", " ")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _fit(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _cut(cell: str, width: int) -> str:
    """Return a cell in ``width`` columns, without its middle where it is wider; what follows ``over``, a window, stays:
    in it the columns of one aggregate differ."""
    if cell_len(cell) <= width:
        return cell
    window = cell.rfind(" over ")
    tail = cell[window:] if window >= 0 and cell_len(cell) - window < width - _HEAD else ""
    head = set_cell_size(cell, width - 1 - cell_len(tail)).rstrip()
    return f"{head}…{tail}"


def _pad(text: str, width: int, right: bool) -> str:
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def escaped(text: str) -> str:
    """Return text as HTML: no markup and no control characters, line ends as breaks."""
    return "<br>".join(html.escape(_printable(line)) for line in text.split("\n"))


def _html_table(head: str, lines: Sequence[str]) -> str:
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _cell(tag: str, text: str, right: bool) -> str:
    align = "right" if right else "left"
    return f'<{tag} style="text-align: {align}">{escaped(text)}</{tag}>'
