"""The picture of one label: what had happened, which feature row it saw, and which rows it may not see.

One frozen record, drawn twice on the same lanes: as text, and as static HTML whose lanes are inline SVG in the theme's
colours: the row that was used in that of success, those that were refused in that of errors. Where a viewer strips SVG
(an untrusted notebook) the text inside each lane stays, so the picture stays too.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from fstk.display import Displayed, Sheet, duration, instant, line_of

Kind = Literal["used", "superseded", "later", "written later", "outside look-back"]

_LANE = 76  # columns of a lane; with its name a line stays under 100
_BEFORE, _AFTER = 8, 4  # feature rows drawn on each side of the label; the others are counted
_LABEL = "│"
_EVENT, _EVENT_AT_LABEL = "·", "◆"
_GLYPHS: Mapping[Kind, str] = {  # where two share a column, the later entry is drawn
    "superseded": "○",
    "outside look-back": "×",
    "written later": "◇",
    "later": "◌",
    "used": "●",
}
_ATTRIBUTES = 'fill="none" stroke="currentColor" stroke-width="1.5"'
_USED = "var(--jp-success-color1, currentColor)"
_REFUSED = 'fill="none" stroke="var(--jp-error-color1, currentColor)" stroke-width="1.5" stroke-dasharray="3 2"'
_DIAMOND = '<path d="M{x} 6l7 7l-7 7l-7 -7z"'
_SHAPES = {
    "○": f'<circle cx="{{x}}" cy="13" r="6" {_ATTRIBUTES}/>',
    "×": f'<path d="M{{x}} 13m-5 -5l10 10m0 -10l-10 10" {_ATTRIBUTES}/>',
    "◇": f"{_DIAMOND} {_REFUSED}/>",
    "◌": f'<circle cx="{{x}}" cy="13" r="6" {_REFUSED}/>',
    "●": f'<circle cx="{{x}}" cy="13" r="6.5" fill="{_USED}"/>',
    "·": '<circle cx="{x}" cy="13" r="3" fill="currentColor"/>',
    "◆": f'{_DIAMOND} fill="currentColor"/>',
}


@dataclass(frozen=True)
class FeatureRow:
    """One feature row of the label's entity: its instant, and what it was to this label."""

    at: datetime
    kind: Kind


@dataclass(frozen=True)
class Timeline(Displayed):
    """What one label saw of one feature table; instants are aware and shown in UTC.

    ``entity`` and ``lookup`` are names to show; ``status`` is the one of ``explain``; ``events`` are instants of the
    source's events, when they are known; ``lookback`` None means that a row of any age will do; ``hidden`` counts rows
    that are not drawn; ``called`` is what the label is called.
    """

    entity: str
    at: datetime
    lookup: str
    status: str
    rows: tuple[FeatureRow, ...] = ()
    events: tuple[datetime, ...] = ()
    lookback: timedelta | None = None
    hidden: int = 0
    called: str = "label"

    @classmethod
    def of(
        cls,
        *,
        entity: str,
        at: datetime,
        lookup: str,
        status: str,
        times: Iterable[datetime],
        used: datetime | None = None,
        events: Iterable[datetime] = (),
        lookback: timedelta | None = None,
        written: Mapping[datetime, datetime] | None = None,
        called: str = "label",
    ) -> Timeline:
        """Return the picture of a label at ``at`` for an entity whose feature rows are at ``times``.

        ``used`` is the row that the join chose: it is shown, never worked out here. ``written`` gives, for a join "as
        known at", when each row was committed. The rows nearest to the label are kept, and the events about those.
        """

        def kind(time: datetime) -> Kind:
            if time == used:
                return "used"
            if time > at:
                return "later"
            if written is not None and written.get(time, time) > at:
                return "written later"
            return "superseded" if lookback is None or at - time <= lookback else "outside look-back"

        kinds: dict[datetime, Kind] = {time: kind(time) for time in set(times)}
        before = sorted(time for time in kinds if time <= at)
        after = sorted(time for time in kinds if time > at)
        kept = before[-_BEFORE:] + after[:_AFTER]
        if used is not None and used not in kept:
            kept.append(used)
        edges = [*kept, at, *([] if lookback is None else [_back(at, lookback)])]
        first, last = min(edges), max(edges)
        margin = (last - first) / 4
        return cls(
            entity=entity,
            at=at,
            lookup=lookup,
            status=status,
            rows=tuple(FeatureRow(time, kinds[time]) for time in sorted(kept)),
            events=tuple(sorted(event for event in events if first - event <= margin >= event - last)),
            lookback=lookback,
            hidden=len(kinds) - len(kept),
            called=called,
        )

    def display(self) -> Sheet:
        """Return the facts of the picture: one line per feature row drawn."""
        rows = [[row.at, row.kind, self.at - row.at] for row in self.rows]
        notes = [f"{self.hidden:,} further rows not drawn"] if self.hidden else []
        return Sheet(self._headline(), ["feature row at (UTC)", "for this label", "age at the label"], rows, notes)

    def __repr__(self) -> str:
        lanes = [f" {lane.name:<12}{lane.text}".rstrip() for lane in self._lanes()]
        return "\n".join([self._headline(), *lanes, *self._notes()])

    def _repr_html_(self) -> str:
        lanes = [f" {lane.name:<12}{lane.svg or html.escape(lane.text)}" for lane in self._lanes()]
        lines = [f"<strong>{html.escape(self._headline())}</strong>", *lanes, *map(html.escape, self._notes())]
        return '<pre style="line-height: 1.6">' + "\n".join(lines) + "</pre>"

    def _headline(self) -> str:
        used = [row.at for row in self.rows if row.kind == "used"]
        age = f", age {duration(self.at - used[0])}" if used else ""
        status = self.status.replace("_", " ")
        return line_of(f"{self.entity} · {self.called} {instant(self.at)} · {self.lookup} · {status}{age}")

    def _notes(self) -> list[str]:
        here = {row.kind for row in self.rows}
        rows = [f"{_GLYPHS[kind]} {kind}{', refused' if 'later' in kind else ''}" for kind in _GLYPHS if kind in here]
        rows += [f"{self.hidden:,} further rows not drawn"] if self.hidden else []
        events = [f"{_EVENT} event"] if any(event != self.at for event in self.events) else []
        events += [f"{_EVENT_AT_LABEL} event at the {self.called}'s own instant"] if self.at in self.events else []
        rows = rows or ["no feature rows of this entity"]
        together = "  ".join([*rows, *events])
        lines = [together] if len(together) <= _LANE else ["  ".join(words) for words in (rows, events) if words]
        return [f" {'':<12}{line}" for line in lines]

    def _lanes(self) -> list[_Lane]:
        column = self._columns()
        label = column[self.at]
        rows = sorted(self.rows, key=lambda row: list(_GLYPHS).index(row.kind))
        used = [column[row.at] for row in rows if row.kind == "used"]
        lanes = []
        if self.events:
            marks = {column[at]: _EVENT for at in self.events if at != self.at}
            marks |= {label: _EVENT_AT_LABEL} if self.at in self.events else {}
            lanes.append(_Lane("events", label, marks))
        marks = {column[row.at]: _GLYPHS[row.kind] for row in rows}
        lanes.append(_Lane("features", label, marks, ("━", used[0]) if used else None))
        if self.lookback is not None:
            start = column[_back(self.at, self.lookback)]
            lanes.append(_Lane("look-back", label, {start: "├"}, ("─", start)))
        first, last = (instant(end) if end != self.at else "" for end in (min(column), max(column)))
        return [*lanes, _Lane("time (UTC)", label, {}, axis=(first, instant(self.at), last))]

    def _columns(self) -> dict[datetime, int]:
        """Place every instant on a lane, to scale, but strictly on its side of the label's column."""
        moments = {self.at, *self.events, *(row.at for row in self.rows)}
        moments |= set() if self.lookback is None else {_back(self.at, self.lookback)}
        first, span = min(moments), max(moments) - min(moments)
        to_scale = {at: round((at - first) / span * (_LANE - 1)) if span else _LANE // 2 for at in moments}
        label = min(max(to_scale[self.at], 1), _LANE - 2)
        return {
            at: min(column, label - 1) if at < self.at else max(column, label + 1) if at > self.at else label
            for at, column in sorted(to_scale.items())
        }


@dataclass(frozen=True)
class _Lane:
    """One line of the picture: marks by column, a bar from a column to the label, or the dates of the axis."""

    name: str
    label: int
    marks: Mapping[int, str]
    bar: tuple[str, int] | None = None
    axis: tuple[str, str, str] | None = None

    @property
    def text(self) -> str:
        if self.axis is not None:
            return _axis(self.label, *self.axis)
        cells = [" "] * _LANE
        cells[self.label] = _LABEL
        if self.bar is not None:
            line, start = self.bar
            cells[start : self.label] = line * (self.label - start)
            cells[self.label] = "┥" if line == "━" else "┤"
        for column, mark in self.marks.items():
            cells[column] = mark
        return "".join(cells)

    @property
    def svg(self) -> str:
        """Return the lane as inline SVG with its text inside, or nothing for the axis, which is text."""
        if self.axis is not None:
            return ""
        x, end = _x(self.label), _LANE * 10
        shapes = [f'<rect x="{x}" width="{end - x}" height="26" fill="currentColor" opacity="0.1"/>']
        shapes.append(f'<path d="M{x} 0v26" {_ATTRIBUTES}/>')
        if self.bar is not None:
            line, start = self.bar
            colour, width = (_USED, 4) if line == "━" else ("currentColor", 1.5)
            shapes.append(f'<path d="M{_x(start)} 13H{x}" stroke="{colour}" stroke-width="{width}"/>')
        for column, mark in self.marks.items():
            shape = _SHAPES.get(mark, f'<path d="M{{x}} 6v14" {_ATTRIBUTES}/>')
            shapes.append(shape.format(x=_x(column)))
        style = f"width: {_LANE}ch; vertical-align: middle; overflow: visible"
        shown = f"<desc>{html.escape(self.text)}</desc>{''.join(shapes)}"
        return f'<svg role="img" viewBox="0 0 {end} 26" style="{style}">{shown}</svg>'


def _back(at: datetime, lookback: timedelta) -> datetime:
    """Return the first instant inside the look-back, or the first of all."""
    first = datetime.min.replace(tzinfo=at.tzinfo)
    return at - lookback if at - first > lookback else first


def _x(column: int) -> int:
    return column * 10 + 5


def _axis(label: int, first: str, at: str, last: str) -> str:
    """Return the axis: the label's instant under its bar, the ends where they do not touch it."""
    start = min(max(label - len(at) // 2, 0), _LANE - len(at))
    line = " " * start + at
    if len(first) + 2 <= start:
        line = first + line[len(first) :]
    if start + len(at) + 2 + len(last) <= _LANE:
        line = line.ljust(_LANE - len(last)) + last
    return line
