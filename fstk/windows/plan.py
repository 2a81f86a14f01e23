"""What a windowed feature will be: its column, type and meaning, known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fstk.columns.instants import Align
from fstk.columns.length import Length
from fstk.display import Displayed, Sheet, Stacked, plural
from fstk.engines.base import Schema
from fstk.matrix import MANY, Place, aggregate_name, matrix, on_request


@dataclass(frozen=True)
class PlannedFeature:
    """One output column: its Spark SQL type, what it says in words, and of which aggregate and window it is."""

    column: str
    type: str
    meaning: str
    expression: str
    window: str

    def place(self, shown: str) -> Place:
        """Return its place in a matrix, where ``shown`` stands for it."""
        return Place(aggregate_name(self.column, self.window, self.expression), self.window, shown)


@dataclass(frozen=True, repr=False)
class WindowPlan(Stacked):
    """What :meth:`WindowedFeatures.compute` returns: the points' columns, then the features.

    ``points`` are the columns and types that come first, ``time`` the one of them that is the points' instant,
    ``notes`` what the features take for granted.
    """

    source: str
    entity: tuple[str, ...]
    time: str
    points: Schema
    features: tuple[PlannedFeature, ...]
    notes: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """All output columns and their types, in order."""
        return self.points | {feature.column: feature.type for feature in self.features}

    def parts(self) -> Sequence[Displayed]:
        """Return every column, or of many first their types by aggregate and window."""
        every = self.every_column()
        if len(self.features) <= MANY:
            return [every]
        types = matrix(every.title, [one.place(one.type) for one in self.features], self.notes)
        return [types, on_request(replace(every, notes=()), len(self.features))]

    def every_column(self) -> Sheet:
        """Return a line per feature, with its type and its meaning."""
        return Sheet(
            f"{plural(len(self.features), 'windowed feature')} of {self.source}, "
            f"keys ({', '.join(self.entity)}, {self.time} TIMESERIES)",
            ("column", "type", "meaning"),
            [(feature.column, feature.type, feature.meaning) for feature in self.features],
            self.notes,
        )


def meaning(written: str, length: Length, closed: str, time: str, align: Align | None) -> str:
    """Return a feature in words: ``count(*) over [as_of − 7 d, as_of)``."""
    time = time if align is None else f"start of {time}'s {align}"
    if length.micros is length.months is None:
        return f"{written} over all {'before' if closed == 'left' else 'up to'} {time}"
    opening, closing = ("(" if closed == "right" else "["), (")" if closed == "left" else "]")
    return f"{written} over {opening}{time} − {length.spoken}, {time}{closing}"
