"""Labels without a label frame: the entities that a feature table knew at each instant of a calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field, SkipValidation

from fstk import journal
from fstk.engines.base import Frame
from fstk.engines.choice import engine_for
from fstk.errors import InvalidInput
from fstk.validated import validated
from fstk.warehouse import table_name
from fstk.windows.bounds import number_entities
from fstk.windows.calendar import Calendar
from fstk.windows.kernel import entities_on

if TYPE_CHECKING:
    from fstk.engines.spark import SparkEngine
    from fstk.tables.spec import FeatureTable


@validated()
class Spine:
    """One label row for each entity of a feature table and each instant at which the table had a row of it, that
    instant's own included: for scoring everybody, or where the label is computed afterwards.

    The labels' columns are the table's keys and, under the name of the table's time column, the instant (timestamp,
    UTC); the point-in-time join then has them as any labels (docs/rules.md#join-12).

    Args:
        table: the feature table whose entities are asked for; it needs a time column.
        start: the first instant, as a :class:`Calendar` takes it: a date (its midnight UTC) or a datetime with a zone.
        end: the instant before which the last one lies.
        every: what lies between two instants, as a Calendar's.

    Raises:
        InvalidName: ``table`` is not a table name. NaiveDatetime, InvalidInput: as a Calendar.

    >>> import datetime as dt
    >>> spine = Spine("shop.spend", dt.date(2024, 1, 1), dt.date(2024, 1, 10), every="4d")
    >>> len(spine.calendar.instants)
    3
    """

    table: str = Field(description="the name of a feature table")
    start: dt.date | dt.datetime = Field(description="a date or a datetime with a time zone")
    end: dt.date | dt.datetime = Field(description="a date or a datetime with a time zone")
    every: Annotated[str | int | dt.timedelta, SkipValidation] = "1d"

    def __post_init__(self) -> None:
        table_name(self.table)
        _ = self.calendar

    @property
    def calendar(self) -> Calendar:
        """The instants."""
        return Calendar(self.start, self.end, self.every)


def labels_of(spine: Spine, table: FeatureTable, session: SparkEngine | None = None) -> Frame:
    """Return the labels of ``spine``, whose table is ``table``, at the table's version: Arrow for a local table that
    fits in memory, else a DataFrame of ``session`` (None: the current one)."""
    time = table.timeseries_column
    if time is None:
        raise InvalidInput(
            f"{table.name} has no time column, so when it knew an entity is not told; give df, the labels."
        )
    keys = tuple(table.primary_keys)
    version = table.at(table.version)
    engine = engine_for(tables={version: len(keys) + 1}, session=session)
    schema = {key: table.schema[key] for key in keys} | {time: "timestamp"}
    made = partial(_entities, keys=keys, time=time, instants=spine.calendar.instants)
    journal.note("read", version.name, version.version, None)
    return engine.map(engine.read(version, [*keys, time]), keys, made, schema)


def _entities(rows: pa.Table, keys: Sequence[str], time: str, instants: np.ndarray) -> pa.Table:
    (numbered,) = number_entities([(rows, keys, time)])
    labels, _ = entities_on(instants, rows, keys, numbered, "by then")
    return labels.rename_columns([*keys, time])
