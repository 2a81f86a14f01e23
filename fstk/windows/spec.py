"""What the user asks for: aggregates of a source over windows before each point."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fstk.columns.length import Length, read_length
from fstk.display import Displayed, Sheet
from fstk.engines.choice import session_for
from fstk.engines.frames import is_spark
from fstk.errors import InvalidInput, InvalidName, NameCollision
from fstk.windows import run
from fstk.windows.calendar import Calendar
from fstk.windows.expression import Parsed, parse
from fstk.windows.plan import WindowPlan, feature_names, meaning

if TYPE_CHECKING:
    import pyarrow as pa

    from fstk.engines.base import Engine, Frame
    from fstk.windows.report import SourceReport

Closed = Literal["left", "right", "both"]
_NOT_IN_NAMES = " ,;{}()\n\t=`."  # what Delta or a dotted path would take for something else


@dataclass(frozen=True)
class Aggregate:
    """One aggregate: a Spark SQL ``expression`` over the source's columns, and the ``name`` its features begin with.

    The expression is ``count(*)``, ``count(x)``, ``count(distinct x)``, ``sum(x)``, ``avg(x)``, ``min(x)``,
    ``max(x)`` or ``stddev(x)`` (of the sample), each with an optional ``FILTER (WHERE condition)``. x and the
    condition are any deterministic scalar expressions. A function that only the session knows is taken at its word
    that it is one.

    Raises:
        BadExpression: anything else, named: a subquery, a window function, the clock, chance, another aggregate.
        InvalidName: a name that is empty or that a Delta column cannot have.
    """

    expression: str
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.expression, str) or not isinstance(self.name, str):
            raise InvalidInput(
                f"Aggregate takes two texts, as in Aggregate('count(*)', name='txn_count'); got {self!r}."
            )
        if not self.name or any(character in _NOT_IN_NAMES for character in self.name):
            raise InvalidName(f"aggregate name {self.name!r}: letters, digits and underscores, as in 'txn_count'.")
        _ = self.parsed

    @property
    def parsed(self) -> Parsed:
        """The expression, read."""
        return parse(self.expression)


@dataclass(frozen=True, repr=False, eq=False)
class WindowedFeatures(Displayed):
    """Aggregates of ``source`` over windows before each point: features ``{name}_{window}``.

    ``source`` is a table name or a frame (Spark, pandas, Polars, Arrow) of events; ``entity`` its key column or
    columns; ``timestamp`` its time column (timestamp, timestamp_ntz taken as UTC, or date taken as midnight UTC);
    ``windows`` lengths such as ``"7d"``, ``"36h"``, ``"90m"``, ``"1s"``, a number of days, a ``timedelta``, or None
    for all that was before. A window is ``[p − d, p)`` for a point at p; ``closed="both"`` makes it ``[p − d, p]``,
    ``"right"`` ``(p − d, p]``.

    Raises:
        InvalidInput: an empty list, a length that is not positive, the same window twice, an unknown ``closed``.
        NameCollision: two features of one name.
    """

    source: Any
    entity: str | Sequence[str]
    timestamp: str
    aggregates: Sequence[Aggregate]
    windows: Sequence[str | int | dt.timedelta | None]
    closed: Closed = "left"

    def __post_init__(self) -> None:
        if self.closed not in ("left", "right", "both"):
            raise InvalidInput(f"closed must be 'left' (the default), 'right' or 'both'; got {self.closed!r}.")
        if not isinstance(self.timestamp, str):
            raise InvalidInput(f"timestamp must be the name of the source's time column; got {self.timestamp!r}.")
        keys = self.keys
        if (
            not keys
            or not all(isinstance(key, str) for key in keys)
            or len(set(keys)) < len(keys)
            or self.timestamp in keys
        ):
            raise InvalidInput(
                "entity must be the source's key column, or a list of different ones without the time column; "
                f"got {self.entity!r}."
            )
        if isinstance(self.aggregates, str) or not self.aggregates:
            raise InvalidInput("aggregates must be a list such as [Aggregate('count(*)', name='txn_count')].")
        strange = next((item for item in self.aggregates if not isinstance(item, Aggregate)), None)
        if strange is not None:
            raise InvalidInput(
                f"aggregates must be Aggregate objects; got {strange!r}. Write Aggregate('count(*)', name='n')."
            )
        if isinstance(self.windows, str) or not self.windows:
            raise InvalidInput(f"windows must be a list such as ['7d', '30d', None]; got {self.windows!r}.")
        written = [length.name for length in self.lengths]
        doubled = sorted({name for name in written if written.count(name) > 1})
        if doubled:
            raise InvalidInput(f"windows: {doubled[0]} is there twice.")
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
        return tuple(read_length(window, "windows") for window in self.windows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns, in order."""
        return tuple(feature_names([aggregate.name for aggregate in self.aggregates], self.lengths))

    @property
    def source_name(self) -> str:
        """What the source is called in plans: its table name, or that it is a frame."""
        if isinstance(self.source, str):
            return self.source
        return "a Spark DataFrame" if is_spark(self.source) else "a frame"

    def plan(self, points: Any = "events", *, timestamp: str | None = None, engine: Engine | None = None) -> WindowPlan:
        """Return what :meth:`compute` would return, with types and meaning; runs nothing. Arguments and errors as
        there."""
        return run.plan(self, points, engine or run.engine_for(self, points, rows=False), timestamp)

    def compute(self, points: Any, *, timestamp: str | None = None, engine: Engine | None = None) -> Frame:
        """Return the features at ``points``: a Spark DataFrame (of the ``engine``'s own kind when one is given).

        ``points`` is

        - ``"events"``: each row of the source, all its columns first, features at its own instant;
        - a frame with the entity columns and a time column, called as the source's or as ``timestamp`` says: each of
          its rows, all its columns first, none lost: null keys, null times and unknown entities get empty windows;
        - a :class:`Calendar`: entity columns and a time column (timestamp; called as the source's, or ``timestamp``),
          a row for each instant and each entity with an event before it.

        An empty window counts 0, all else is null. Counts and sums of integers are bigint, sums of decimal(p,s) are
        decimal(min(38,p+10),s), other sums, avg and stddev double, min and max as their argument. Events with a null
        key or time belong to no window; :meth:`report` counts them. Nothing runs before the frame is used.

        Raises:
            UnknownTable, UnknownColumn: no such source or column. TypeMismatch: keys of different types, or a time
            column that is no time. UnsupportedType: a key, or an argument, of a type that cannot be compared or
            summed. NameCollision: a feature is called as a column of the points. BadExpression: the engine cannot
            evaluate an argument. NumericOverflow (when rows are used): a sum beyond bigint or 38 digits.
        """
        return run.compute(self, points, engine or session_for(self.source, points), timestamp)

    def to_arrow(self, points: Any, *, timestamp: str | None = None) -> pa.Table:
        """Return the rows of :meth:`compute` as Arrow: without a JVM when source and points are local and fit in memory
        and the expressions are simple enough. Arguments and errors as there."""
        engine = run.engine_for(self, points)
        return engine.arrow(run.compute(self, points, engine, timestamp))

    def report(self, *, engine: Engine | None = None) -> SourceReport:
        """Count the source's events, and those that belong to no window because a key or the time is null; reads
        them."""
        return run.report(self, engine)

    def display(self) -> Sheet:
        """Return one row per feature; types need the source, so they are in :meth:`plan`."""
        rows = [
            (f"{aggregate.name}_{length.name}", meaning(aggregate.expression, length, self.closed, self.timestamp))
            for length in self.lengths
            for aggregate in self.aggregates
        ]
        title = f"{len(rows):,} windowed features of {self.source_name} by {', '.join(self.keys)}"
        return Sheet(title, ("column", "meaning"), rows, ("types: .plan()   rows: .compute(points)",))


__all__ = ["Aggregate", "Calendar", "Closed", "WindowedFeatures"]
