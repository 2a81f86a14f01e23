"""What the user asks for: aggregates of a source over windows before each point; planned, computed, reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SkipValidation

from fstk.columns.instants import Align
from fstk.columns.length import Length, read_window
from fstk.columns.zones import Unclear
from fstk.display import Displayed, Sheet
from fstk.engines.choice import session_for
from fstk.engines.clocks import Clock
from fstk.engines.frames import is_spark
from fstk.errors import InvalidInput, NameCollision
from fstk.validated import validated
from fstk.windows import run
from fstk.windows.plan import WindowPlan, meaning
from fstk.windows.spec import Aggregate, Closed, Points, Window

if TYPE_CHECKING:
    import pyarrow as pa

    from fstk.engines.base import Engine, Frame
    from fstk.windows.report import SourceReport


@validated(repr=False, eq=False)
class WindowedFeatures(Displayed):
    """Aggregates of a source over windows before each point: features ``{name}_{window}``.

    Args:
        source: a table name or a frame (Spark, pandas, Polars, Arrow) of events, a row each.
        entity: its key column, or a list of them: numbers, text, bytes, dates, timestamps or booleans.
        timestamp: its time column: timestamp, timestamp_ntz (taken as UTC) or date (taken as midnight UTC).
        aggregates: what is computed in each window.
        windows: lengths such as ``"4w"``, ``"7d"``, ``"36h"``, ``"90m"``, ``"1s"``, a number of days, a ``timedelta``,
            or None for all that was before. A day is 86,400 s. ``"1mo"`` reaches back to the same day of the month
            before (or its last), at the same time of day in UTC.
        closed: a window of length d is ``[p − d, p)`` for a point at p with ``"left"``, ``[p − d, p]`` with ``"both"``,
            ``(p − d, p]`` with ``"right"``. With the last two a point sees the events of its own instant.
        align: ``"day"``, ``"week"`` (from Monday) or ``"month"``: windows end at the last beginning of one that is not
            after the point, instead of at the point; in UTC, or in the zone of a :class:`Calendar` that has one.
        timestamp_zone: of a frame, the zone whose clocks its times show where they have none, such as
            ``"Europe/London"``, and those of points in a frame; they become instants, days its midnights. None takes
            them as UTC. Of a table it is said once, in ``fe.create_source``.
        unclear_times: what clock times mean that the zone skipped or had twice: ``"refuse"``, ``"earlier"`` or
            ``"later"``.

    Raises:
        InvalidInput: an argument of another type, an empty list, a length that is not positive, the same window twice,
            an unknown ``closed``, a ``timestamp_zone`` of a table. UnknownName: no such zone.
        NameCollision: two features of one name.

    >>> import pyarrow as pa
    >>> days = pa.array([0, 3, 9], pa.int32()).cast(pa.date32())
    >>> purchases = pa.table({"customer_id": [1, 1, 1], "at": days, "amount": [10.0, 20.0, 5.0]})
    >>> spend = Aggregate("sum(amount)", name="spend")
    >>> features = WindowedFeatures(purchases, "customer_id", "at", [spend], windows=["7d", None])
    >>> features.columns
    ('spend_7d', 'spend_lifetime')
    """

    source: Any
    entity: str | Sequence[str] = Field(
        description="the source's key column, or a list of different ones without the time column"
    )
    timestamp: str = Field(description="the name of the source's time column")
    aggregates: Sequence[Aggregate] = Field(
        min_length=1, description="a list of Aggregate objects, such as [Aggregate('count(*)', name='txn_count')]"
    )
    windows: Sequence[Annotated[Window, SkipValidation]] = Field(
        min_length=1, description="a list such as ['7d', '30d', None]"
    )
    closed: Closed = Field(default="left", description="'left' (the default), 'right' or 'both'")
    align: Align | None = Field(default=None, description="'day', 'week', 'month' or None (the default)")
    timestamp_zone: str | None = Field(default=None, description="a time zone, such as 'Europe/London', or None")
    unclear_times: Unclear = Field(default="refuse", description="'refuse' (the default), 'earlier' or 'later'")

    def __post_init__(self) -> None:
        if not self.keys or len(set(self.keys)) < len(self.keys) or self.timestamp in self.keys:
            raise InvalidInput(
                "entity must be the source's key column, or a list of different ones without the time column; "
                f"got {self.entity!r}."
            )
        written = [length.name for length in self.lengths]
        doubled = sorted({name for name in written if written.count(name) > 1})
        if doubled:
            raise InvalidInput(f"windows: {doubled[0]} is there twice.")
        if self.clock is not None and isinstance(self.source, str):
            raise InvalidInput(
                f"timestamp_zone is of events in a frame; {self.source} is a table, whose times were read when it was "
                "made: fe.create_source(…, timestamp_zone=…), in a line fstk load … --tz ZONE."
            )
        names = [name.lower() for name in self.columns]
        collision = next((name for name in names if names.count(name) > 1), None)
        if collision is not None:
            raise NameCollision(f"two aggregates would both give the feature {collision}; rename one of them.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The entity columns, in order."""
        return (self.entity,) if isinstance(self.entity, str) else tuple(self.entity)

    @property
    def lengths(self) -> tuple[Length, ...]:
        """The windows, read."""
        return tuple(read_window(window, "windows") for window in self.windows)

    @property
    def clock(self) -> Clock | None:
        """What the times without a zone mean."""
        return Clock.told(self.timestamp_zone, self.unclear_times)

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns, in order."""
        return tuple(column for column, _, _ in self.features)

    @property
    def features(self) -> tuple[tuple[str, Aggregate, Length], ...]:
        """Column, aggregate and window of each feature, in order: windows first."""
        return tuple((f"{one.name}_{length.name}", one, length) for length in self.lengths for one in self.aggregates)

    @property
    def source_name(self) -> str:
        """What the source is called in plans: its table name, or that it is a frame."""
        if isinstance(self.source, str):
            return self.source
        return "a Spark DataFrame" if is_spark(self.source) else "a frame"

    def plan(
        self, points: Points = "events", *, timestamp: str | None = None, engine: Engine | None = None
    ) -> WindowPlan:
        """Return what :meth:`compute` would return, with types and meaning; computes nothing.

        Arguments and errors are those of :meth:`compute`.

        >>> import pyarrow as pa
        >>> purchases = pa.table({"customer_id": [1], "at": pa.array([0], pa.timestamp("us", "UTC"))})
        >>> features = WindowedFeatures(purchases, "customer_id", "at", [Aggregate("count(*)", name="n")], ["7d"])
        >>> features.plan().schema
        {'customer_id': 'bigint', 'at': 'timestamp', 'n_7d': 'bigint'}
        """
        return run.plan(self, points, engine or run.engine_for(self, points, rows=False), timestamp)

    def compute(self, points: Points, *, timestamp: str | None = None, engine: Engine | None = None) -> Frame:
        """Return the features at ``points``: a Spark DataFrame (of the ``engine``'s own kind when one is given).

        Nothing runs before the frame is used. An empty window counts 0, all else is null. Counts and sums of integers
        are bigint, sums of decimal(p,s) are decimal(min(38,p+10),s), other sums, avg and stddev double, min and max as
        their argument. Events with a null key or time belong to no window; :meth:`report` counts them.

        Args:
            points: where the features are wanted.

                - ``"events"``: each row of the source, all its columns first, features at its own instant;
                - a frame with the entity columns and a time column: each of its rows, all its columns first, none
                  lost: null keys, null times and unknown entities get empty windows;
                - a :class:`Calendar`: entity columns and a time column (timestamp, UTC), a row for each instant and
                  each entity with an event before it.
            timestamp: the time column of the points when it is not called as the source's.
            engine: where to compute; by default the session of a Spark frame given, else the current one.

        Raises:
            UnknownTable, UnknownColumn: no such source or column. TypeMismatch: keys of different types, or a time
            column that is no time. UnsupportedType: a key, or an argument, of a type that cannot be compared or
            summed. NameCollision: a feature is called as a column of the points. BadExpression: the engine cannot
            evaluate an argument. InvalidInput: a ``timestamp_zone`` of times that have one; local times that are none,
            counted (of a Spark frame when its rows are used). NumericOverflow (when rows are used): a sum beyond bigint
            or 38 digits.

        >>> import datetime as dt
        >>> import pyarrow as pa
        >>> from fstk import Calendar
        >>> from fstk.engines.connect import direct
        >>> days = pa.array([0, 3, 9], pa.int32()).cast(pa.date32())
        >>> purchases = pa.table({"customer_id": [1, 1, 1], "at": days, "amount": [10.0, 20.0, 5.0]})
        >>> spend = Aggregate("sum(amount)", name="spend")
        >>> features = WindowedFeatures(purchases, "customer_id", "at", [spend], windows=["7d"])
        >>> features.compute("events", engine=direct())["spend_7d"].to_pylist()
        [None, 10.0, 20.0]
        >>> weekly = Calendar(dt.date(1970, 1, 1), dt.date(1970, 1, 16), every="7d")
        >>> features.compute(weekly, engine=direct())["spend_7d"].to_pylist()
        [30.0, 5.0]
        """
        return run.compute(self, points, engine or session_for(self.source, points), timestamp)

    def to_arrow(self, points: Any, *, timestamp: str | None = None) -> pa.Table:
        """Return the rows of :meth:`compute` as Arrow: without a JVM when source and points are local and fit in memory
        and the expressions are simple enough. Arguments and errors as there.

        >>> import pyarrow as pa
        >>> purchases = pa.table({"customer_id": [1, 1], "at": pa.array([0, 10**6], pa.timestamp("us", "UTC"))})
        >>> features = WindowedFeatures(purchases, "customer_id", "at", [Aggregate("count(*)", name="n")], ["7d"])
        >>> features.to_arrow("events")["n_7d"].to_pylist()
        [0, 1]
        """
        engine = run.engine_for(self, points)
        return engine.arrow(run.compute(self, points, engine, timestamp))

    def report(self, *, engine: Engine | None = None) -> SourceReport:
        """Count the source's events, and those that belong to no window because a key or the time is null.

        Reads them; errors are those of :meth:`compute`.

        >>> import pyarrow as pa
        >>> purchases = pa.table({"customer_id": [1, None], "at": pa.array([0, 0], pa.timestamp("us", "UTC"))})
        >>> features = WindowedFeatures(purchases, "customer_id", "at", [Aggregate("count(*)", name="n")], ["7d"])
        >>> features.report().ignored
        1
        """
        return run.report(self, engine)

    def display(self) -> Sheet:
        """Return one row per feature; types need the source, so they are in :meth:`plan`."""
        rows = [
            (column, meaning(aggregate.text, length, self.closed, self.timestamp, self.align))
            for column, aggregate, length in self.features
        ]
        title = f"{len(rows):,} windowed features of {self.source_name} by {', '.join(self.keys)}"
        return Sheet(title, ("column", "meaning"), rows, ("types: .plan()   rows: .compute(points)",))
