"""Windowed features as a feature table: one row for each key and instant, and what is said of it where nobody does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fstk.display import plural
from fstk.engines.frames import column_names
from fstk.tables.definition import Definitions
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.meaning import definitions
from fstk.windows.run import source_tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from fstk.engines.spark import SparkEngine

AS_OF = "as_of"
"""What a calendar's instants are called in a new table."""


@dataclass(frozen=True)
class WindowedTable:
    """Windowed features on their way into a feature table.

    ``points`` are ``"events"``, a Calendar or a frame, ``points_time`` their time column (None: the events'), ``time``
    the feature table's.
    """

    features: WindowedFeatures
    points: Any
    points_time: str | None
    time: str

    @classmethod
    def of(cls, features: WindowedFeatures, points: Any, time: str | None) -> WindowedTable:
        """Return the table whose time column is ``time``; None is ``as_of`` of a Calendar, else the events'."""
        events = features.timestamp
        if isinstance(points, Calendar):
            return cls(features, points, time or AS_OF, time or AS_OF)
        if isinstance(points, str):
            return cls(features, points, None, time or events)
        return cls(features, points, time if time in column_names(points) else events, time or events)

    def rows(self, engine: SparkEngine) -> DataFrame:
        """Return one row per key and time: at one instant all features of an entity are alike."""
        rows = self.features.compute(self.points, timestamp=self.points_time, engine=engine)
        keys = [*self.features.keys, self.points_time or self.features.timestamp]
        if not isinstance(self.points, Calendar):
            rows = rows.select(*keys, *self.features.columns).dropna(subset=keys).dropDuplicates(keys)
        return rows.withColumnRenamed(keys[-1], self.time)

    @property
    def definitions(self) -> Definitions:
        """What each feature is."""
        return definitions(self.features, next(iter(source_tables(self.features)), None), self.points)

    @property
    def description(self) -> str:
        features = self.features
        side = "before" if features.closed == "left" else "up to"
        windows = ", ".join(length.name for length in features.lengths)
        return f"{plural(len(features.columns), 'feature')} of {features.source_name} over {windows} {side} {self.time}"

    @property
    def tags(self) -> dict[str, str]:
        """Where the events are: nothing of a frame, which is kept nowhere."""
        features = self.features
        if not isinstance(features.source, str):
            return {}
        return {"source": features.source, "event_time": features.timestamp, "closed": features.closed}
