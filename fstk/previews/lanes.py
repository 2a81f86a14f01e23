"""The lanes of a timeline, drawn twice on the same columns: as text, and as one SVG with its own text and axis.

The SVG scales as a whole, so that what stands under a mark stays there at any width; its colours are the theme's: the
row that was used in that of success, those that were refused in that of errors. Its letters come in the order of the
text: where a viewer strips SVG (an untrusted notebook), the text is what is left.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LANE = 76
"""Columns of a lane; with its name a line stays under 100."""
LABEL, EVENT, EVENT_AT_LABEL = "│", "·", "◆"
USED_BAR, PLAIN_BAR = "━", "─"

_NAME = 13  # columns before a lane
_COLUMN, _HEIGHT, _LEGEND = 9, 26, 22  # units of the drawing
_LEFT = 100  # where lanes begin
_END = _LEFT + LANE * _COLUMN - _COLUMN // 2
_WIDTH = _END + 8  # a mark in the last column is whole
_MARKED = 13  # from a mark to the words that explain it
_LETTER = 7.8  # a monospaced letter of 13 units is so wide, at most
_TEXT = 'font-family="var(--jp-code-font-family, monospace), monospace" font-size="13" fill="currentColor"'
_ATTRIBUTES = 'fill="none" stroke="currentColor" stroke-width="1.5"'
_USED = "var(--jp-success-color1, currentColor)"
_REFUSED = 'fill="none" stroke="var(--jp-error-color1, currentColor)" stroke-width="1.5" stroke-dasharray="3 2"'
_DIAMOND = '<path d="M{x} {y}m0 -7l7 7l-7 7l-7 -7z"'
_SHAPES = {
    "○": f'<circle cx="{{x}}" cy="{{y}}" r="6" {_ATTRIBUTES}/>',
    "×": f'<path d="M{{x}} {{y}}m-5 -5l10 10m0 -10l-10 10" {_ATTRIBUTES}/>',
    "◇": f"{_DIAMOND} {_REFUSED}/>",
    "◌": f'<circle cx="{{x}}" cy="{{y}}" r="6" {_REFUSED}/>',
    "●": f'<circle cx="{{x}}" cy="{{y}}" r="6.5" fill="{_USED}"/>',
    EVENT: '<circle cx="{x}" cy="{y}" r="3" fill="currentColor"/>',
    EVENT_AT_LABEL: f'{_DIAMOND} fill="currentColor"/>',
    "├": f'<path d="M{{x}} {{y}}m0 -7v14" {_ATTRIBUTES}/>',
}


@dataclass(frozen=True)
class Lane:
    """One line of the picture: marks by column, and a bar from a column to the label's."""

    name: str
    marks: Mapping[int, str]
    bar: tuple[str, int] | None = None


@dataclass(frozen=True)
class Date:
    """A date of the axis: its text, the column that it begins in, and where in it its instant is."""

    text: str
    start: int
    anchor: Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Picture:
    """Lanes over one axis, the column of the label in all of them, and what their marks mean, ``""`` where words
    explain none."""

    lanes: Sequence[Lane]
    label: int
    dates: Sequence[Date]
    legend: Sequence[tuple[str, str]]

    def lines(self) -> list[str]:
        """Return the picture as text, a line per lane."""
        named = [(lane.name, self._text(lane)) for lane in self.lanes]
        legend = [("", "  ".join(f"{mark} {words}".lstrip() for mark, words in line)) for line in self._legend()]
        return [
            f" {name:<{_NAME - 1}}{text}".rstrip() for name, text in [*named, ("time (UTC)", self._axis()), *legend]
        ]

    def svg(self, title: str) -> str:
        """Return the picture as inline SVG, with ``title`` for those who do not see it."""
        axis = len(self.lanes) * _HEIGHT
        x = _x(self.label)
        after = f'<rect x="{x}" y="0" width="{_END - x}" height="{axis}" fill="currentColor" opacity="0.1"/>'
        line = f'<path d="M{x} 0v{axis + 5}" {_ATTRIBUTES}/>'
        base = f'<path d="M{_x(0)} {axis}H{_END}" {_ATTRIBUTES} opacity="0.5"/>'
        lines = [self._drawn(lane, place * _HEIGHT + _HEIGHT // 2) for place, lane in enumerate(self.lanes)]
        lines.append(self._drawn_axis(axis))
        foot = axis + _HEIGHT
        lines += [_drawn_legend(line, foot + (place + 0.5) * _LEGEND) for place, line in enumerate(self._legend())]
        height = foot + len(self._legend()) * _LEGEND
        style = "display: block; width: 100%; max-width: 860px; break-inside: avoid"
        name = html.escape(title)
        head = f'<svg role="img" aria-label="{name}" viewBox="0 0 {_WIDTH} {height}" style="{style}" {_TEXT}>'
        return head + after + base + line + "\n".join(lines) + "</svg>"

    def _text(self, lane: Lane) -> str:
        cells = [" "] * LANE
        cells[self.label] = LABEL
        if lane.bar is not None:
            line, start = lane.bar
            cells[start : self.label] = line * (self.label - start)
            cells[self.label] = "┥" if line == USED_BAR else "┤"
        for column, mark in lane.marks.items():
            cells[column] = mark
        return "".join(cells)

    def _axis(self) -> str:
        line = ""
        for date in self.dates:
            line = line.ljust(date.start) + date.text
        return line

    def _drawn(self, lane: Lane, y: int) -> str:
        shapes = []
        if lane.bar is not None:
            line, start = lane.bar
            colour, width = (_USED, 4) if line == USED_BAR else ("currentColor", 1.5)
            shapes.append(f'<path d="M{_x(start)} {y}H{_x(self.label)}" stroke="{colour}" stroke-width="{width}"/>')
        shapes += [_SHAPES[mark].format(x=_x(column), y=y) for column, mark in lane.marks.items()]
        text = html.escape(self._text(lane).rstrip())
        return f"{_drawn_name(lane.name, y)}<g><desc>{text}</desc>{''.join(shapes)}</g>"

    def _drawn_axis(self, y: int) -> str:
        drawn, before = _drawn_name("time (UTC)", y + 16), 0
        for date in self.dates:
            x = _x({"start": date.start, "middle": self.label, "end": LANE - 1}[date.anchor])
            # the label's date stands under its line, but inside the picture
            half = len(date.text) * _LETTER / 2 if date.anchor == "middle" else 0
            x = min(max(x, _LEFT + half), _WIDTH - half)
            gap = " " * (date.start - before)
            drawn += f'{gap}<text x="{x:g}" y="{y + 20}" text-anchor="{date.anchor}">{html.escape(date.text)}</text>'
            before = date.start + len(date.text)
        return drawn

    def _legend(self) -> list[list[tuple[str, str]]]:
        lines: list[list[tuple[str, str]]] = [[]]
        for one in self.legend:
            if sum(len(words) + 4 for _, words in [*lines[-1], one]) > LANE + 2 and lines[-1]:
                lines.append([])
            lines[-1].append(one)
        return lines


def _drawn_legend(line: Sequence[tuple[str, str]], y: float) -> str:
    parts, x = [], _x(0) + 6.0
    for mark, words in line:
        if mark:
            shape = f"<g><desc>{mark}</desc>{_SHAPES[mark].format(x=f'{x:g}', y=f'{y:g}')}</g> "
            x += _MARKED
        else:
            shape = ""
        parts.append(f'{shape}<text x="{x:g}" y="{y + 4:g}">{html.escape(words)}</text>')
        x += (len(words) + 3) * _LETTER
    return " " * _NAME + "  ".join(parts)


def _drawn_name(name: str, y: int) -> str:
    return f' <text x="0" y="{y + 4}">{name}</text>{" " * (_NAME - 1 - len(name))}'


def _x(column: int) -> int:
    return _LEFT + column * _COLUMN + _COLUMN // 2
