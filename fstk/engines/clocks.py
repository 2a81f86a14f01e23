"""Times without a zone in a frame, as the instants at which the clocks of one showed them; on every engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from fstk.columns.zones import Unclear, check_clock, from_clock
from fstk.engines.base import Engine, Frame, Schema
from fstk.errors import InvalidInput

_CLOCKS = ("timestamp_ntz", "date")


@dataclass(frozen=True)
class Clock:
    """The zone whose clocks were read, and what times mean that it skipped or had twice."""

    zone: str
    unclear: Unclear

    @classmethod
    def told(cls, zone: str | None, unclear: Unclear) -> Clock | None:
        """Return what ``timestamp_zone`` and ``unclear_times`` say; None where they say nothing."""
        check_clock(zone, unclear)
        if zone is None:
            if unclear != "refuse":
                raise InvalidInput(f"unclear_times={unclear!r} is of a timestamp_zone; give that, too.")
            return None
        return cls(zone, unclear)

    def read(self, schema: Schema, times: Iterable[str]) -> tuple[str, ...]:
        """Return those of some columns whose times have no zone: clock times, and days."""
        return tuple(time for time in dict.fromkeys(times) if schema.get(time) in _CLOCKS)

    def instants(self, frame: Frame, times: Iterable[str], engine: Engine, argument: str) -> Frame:
        """Return a frame in which the ``times`` without a zone are instants; a day is the zone's midnight.

        InvalidInput counts what the zone skipped or had twice unless ``unclear`` says what it means: of rows in memory
        now, of Spark's when they are used, and then of the part that a task saw.
        """
        schema = engine.schema(frame)
        clocks = self.read(schema, times)
        if not clocks:
            return frame
        part = "" if isinstance(frame, pa.Table) else ", in one part of its rows"
        named = {clock: f"{argument}, column {clock}{part}" for clock in clocks}
        made = partial(_instants, named=named, zone=self.zone, unclear=self.unclear)
        return engine.map_slices(frame, made, schema | dict.fromkeys(clocks, "timestamp"))

    def idle(self, times: Iterable[str]) -> InvalidInput:
        """Return the refusal where no column has a time without a zone."""
        named = ", ".join(dict.fromkeys(times))
        why = f"{named} has a zone already" if named else "there is no time to read"
        return InvalidInput(f"timestamp_zone={self.zone!r} changes nothing: {why}. Leave it out.")


def _instants(rows: pa.Table, named: dict[str, str], zone: str, unclear: Unclear) -> pa.Table:
    for column, where in named.items():
        place = rows.column_names.index(column)
        rows = rows.set_column(place, column, from_clock(rows.column(column), zone, where, unclear))
    return rows
