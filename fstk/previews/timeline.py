"""The picture of one label: what had happened, which feature row it saw, and which rows it may not see.

One frozen record, drawn twice on the same lanes: as text, and in HTML as one SVG.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from fstk.display import Displayed, Sheet, duration, instant, line_of
from fstk.previews.lanes import EVENT, EVENT_AT_LABEL, LANE, PLAIN_BAR, USED_BAR, Date, Lane, Picture

Kind = Literal["used", "superseded", "later", "written later", "outside look-back"]

_BEFORE, _AFTER = 8, 4  # feature rows drawn on each side of the label; the others are counted
_GLYPHS: Mapping[Kind, str] = {  # where two share a column, the later entry is drawn
    "superseded": "○",
    "outside look-back": "×",
    "written later": "◇",
    "later": "◌",
    "used": "●",
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
        return "\n".join([self._headline(), *self._picture().lines()])

    def _repr_html_(self) -> str:
        headline = self._headline()
        head = f'<strong style="word-break: normal">{html.escape(headline)}</strong>'
        shown = f"{head}\n{self._picture().svg(headline)}"
        return f'<pre style="line-height: 1.6; white-space: pre-wrap">{shown}</pre>'

    def _headline(self) -> str:
        used = [row.at for row in self.rows if row.kind == "used"]
        age = f", age {duration(self.at - used[0])}" if used else ""
        status = self.status.replace("_", " ")
        return line_of(f"{self.entity} · {self.called} {instant(self.at)} · {self.lookup} · {status}{age}")

    def _picture(self) -> Picture:
        column = self._columns()
        label = column[self.at]
        rows = sorted(self.rows, key=lambda row: list(_GLYPHS).index(row.kind))
        used = [column[row.at] for row in rows if row.kind == "used"]
        lanes = []
        if self.events:
            marks = {column[at]: EVENT for at in self.events if at != self.at}
            marks |= {label: EVENT_AT_LABEL} if self.at in self.events else {}
            lanes.append(Lane("events", marks))
        marks = {column[row.at]: _GLYPHS[row.kind] for row in rows}
        lanes.append(Lane("features", marks, (USED_BAR, used[0]) if used else None))
        if self.lookback is not None:
            start = column[_back(self.at, self.lookback)]
            lanes.append(Lane("look-back", {start: "├"}, (PLAIN_BAR, start)))
        first, last = (instant(end) if end != self.at else "" for end in (min(column), max(column)))
        return Picture(lanes, label, _dates(label, first, instant(self.at), last), self._legend())

    def _legend(self) -> list[tuple[str, str]]:
        """Return what is drawn with its meaning, first the rows."""
        here = {row.kind for row in self.rows}
        legend = [(_GLYPHS[kind], f"{kind}{', refused' * ('later' in kind)}") for kind in _GLYPHS if kind in here]
        legend += [("", f"{self.hidden:,} further rows not drawn")] if self.hidden else []
        legend = legend or [("", "no feature rows of this entity")]
        legend += [(EVENT, "event")] if any(event != self.at for event in self.events) else []
        own = f"event at the {self.called}'s own instant"
        return [*legend, *([(EVENT_AT_LABEL, own)] if self.at in self.events else [])]

    def _columns(self) -> dict[datetime, int]:
        """Place every instant on a lane, to scale, but strictly on its side of the label's column."""
        moments = {self.at, *self.events, *(row.at for row in self.rows)}
        moments |= set() if self.lookback is None else {_back(self.at, self.lookback)}
        first, span = min(moments), max(moments) - min(moments)
        to_scale = {at: round((at - first) / span * (LANE - 1)) if span else LANE // 2 for at in moments}
        label = min(max(to_scale[self.at], 1), LANE - 2)
        return {
            at: min(column, label - 1) if at < self.at else max(column, label + 1) if at > self.at else label
            for at, column in sorted(to_scale.items())
        }


def _back(at: datetime, lookback: timedelta) -> datetime:
    """Return the first instant inside the look-back, or the first of all."""
    first = datetime.min.replace(tzinfo=at.tzinfo)
    return at - lookback if at - first > lookback else first


def _dates(label: int, first: str, at: str, last: str) -> list[Date]:
    """Return the dates of the axis: the label's under its line, the ends' where they do not touch it."""
    start = min(max(label - len(at) // 2, 0), LANE - len(at))
    end = LANE - len(last)
    dates = [Date(first, 0, "start")] if first and len(first) + 2 <= start else []
    dates.append(Date(at, start, "middle"))
    return [*dates, *([Date(last, end, "end")] if last and start + len(at) + 2 <= end else [])]
