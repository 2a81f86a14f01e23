"""``create_source``: everything is read and settled before anything is written; what is there already is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from fstk.columns.typing import ColumnNames, DataFrameLike
from fstk.columns.zones import check_clock
from fstk.display import plural
from fstk.engines.base import Schema, TableVersion
from fstk.engines.choice import session_for
from fstk.engines.connect import direct
from fstk.engines.frames import is_spark, to_arrow
from fstk.engines.spark import SparkEngine
from fstk.engines.types import TIME_TYPES, arrow_schema, arrow_type, schema_of
from fstk.errors import (
    DuplicateKeys,
    InvalidInput,
    NullKeys,
    SchemaChange,
    TableExists,
    TypeMismatch,
    UnknownColumn,
    nearest,
)
from fstk.sources.faults import Fault, refuse
from fstk.sources.files import Batch, digest, mixed_kinds, paths_of, read_file
from fstk.sources.values import Roles, settle, written_twice
from fstk.tables.source import Load, Reading, Source, SourceDefinition, Sources
from fstk.tables.spec import checked_schema, column_names


def create_source(
    name: str,
    *,
    df: DataFrameLike | None = None,
    path: str | Path | Sequence[str | Path] | None = None,
    query: str | None = None,
    event_time: str | None = None,
    entity: ColumnNames | None = None,
    key: ColumnNames | None = None,
    reading: Reading = Reading(),  # noqa: B008 it is frozen
    typed: bool = False,
    session: SparkEngine | None = None,
) -> Source:
    """Create a source or append to it; see ``FeatureEngineeringClient.create_source``. ``typed``: cures are told as
    options of the grammar."""
    if sum(one is not None for one in (df, path, query)) != 1:
        raise InvalidInput("give df, path or query: one of the three says where the events come from.")
    sources = Sources()
    name = sources.full_name(name)
    there = sources.find(name)
    definition = _definition(name, there, event_time, entity, key, reading)
    with sources.writing(name) as there:
        new, notes = [], []
        known = {} if there is None else there.remembered
        for batch in _batches(df, path, query, definition.reading, session, typed=typed):
            if batch.digest in known:
                notes.append(f"{batch.name} is there already ({plural(known[batch.digest].rows, 'event')})")
            else:
                known[batch.digest] = Load(batch.name, batch.digest, batch.rows.num_rows)
                new.append(batch)
        schema = {} if there is None else there.schema
        settled = []
        for batch in new:
            rows = _settled(name, batch, definition, schema, typed=typed)
            schema = {**schema, **schema_of(rows.schema)}
            settled.append((batch, rows))
        notes += _observations(definition, settled)
        unknown: list[pa.Table] = []
        for _, rows in settled:  # all of them are known to be good before the first is appended
            unknown.append(_unknown(name, definition, rows, there, unknown))
        for (batch, rows), fresh in zip(settled, unknown, strict=True):
            sources.append(name, definition, Load(batch.name, batch.digest, fresh.num_rows), fresh)
            left = rows.num_rows - fresh.num_rows
            notes.append(f"appended {plural(fresh.num_rows, 'event')} of {batch.name}" + _left(left))
        return replace(sources.get(name), notes=tuple(notes))


def _left(count: int) -> str:
    return f", {count:,} by their key there already" if count else ""


def _definition(
    name: str,
    there: Source | None,
    event_time: str | None,
    entity: ColumnNames | None,
    key: ColumnNames | None,
    reading: Reading,
) -> SourceDefinition:
    """Return what the source is, as it was said before where it is there; TableExists: it is something else."""
    check_clock(reading.zone, reading.unclear_times)
    for kind in reading.types.values():
        arrow_type(kind)
    who = None if entity is None else column_names("entity", entity)
    which = None if key is None else column_names("key", key)
    if there is None:
        if event_time is None or not who:
            raise InvalidInput(
                f"{name} is new: name the column of its event time and that of its entity, in Python event_time= and "
                "entity=, in a line --time and --entity."
            )
        return SourceDefinition(event_time, who, which or (), reading)
    asked = (event_time or there.event_time, who or there.entity, there.key if which is None else which)
    if asked != (there.event_time, there.entity, there.key):
        raise TableExists(
            f"{name} is a source of {', '.join(there.entity)} at {there.event_time}"
            f"{f' with the key {there.key}' if there.key else ''} already; leave them out, or choose another name."
        )
    before = there.definition.reading
    told = {field: getattr(reading, field) for field in Reading.__struct_fields__}
    kept = {field: value or getattr(before, field) for field, value in told.items() if field not in ("types", "rename")}
    kept["unclear_times"] = before.unclear_times if reading.unclear_times == "refuse" else reading.unclear_times
    types, renamed = before.types | reading.types, before.rename | reading.rename
    return SourceDefinition(*asked, Reading(types=types, rename=renamed, **kept))


def _batches(
    df: DataFrameLike | None,
    path: str | Path | Sequence[str | Path] | None,
    query: str | None,
    reading: Reading,
    session: SparkEngine | None,
    *,
    typed: bool,
) -> Iterable[Batch]:
    if path is not None:
        return (read_file(one) for one in paths_of(path))
    if query is not None:
        engine = session_for(session=session)
        rows = engine.arrow(engine.session.sql(query))
        return [Batch("query", digest(rows), rows)]
    if is_spark(df):
        engine = session_for(df)
        rows = engine.arrow(engine.frame(df, "df"))
        return [Batch("df", digest(rows), rows)]
    frame, faults = mixed_kinds(df, reading.types)
    refuse(faults, "df", typed=typed)
    rows = to_arrow(frame, "df")
    return [Batch("df", digest(rows), rows)]


def _settled(name: str, batch: Batch, definition: SourceDefinition, schema: Schema, *, typed: bool) -> pa.Table:
    """Return a batch's rows in the types of the source; raises InvalidInput and its kinds."""
    reading = definition.reading
    rows = batch.rows.rename_columns([reading.rename.get(column, column) for column in batch.rows.column_names])
    refuse(_spaces(rows.column_names), batch.name, typed=typed)
    named = dict.fromkeys((definition.event_time, *definition.entity, *definition.key))
    for column in (*named, *reading.types):
        if column not in rows.column_names and column not in schema:
            raise UnknownColumn(f"{batch.name}: no column {column}.{nearest(column, rows.column_names)}")
    roles = Roles(definition.event_time, (*definition.entity, *definition.key))
    rows, faults = settle(rows, roles, reading, schema, texts=batch.texts)
    refuse(faults, batch.name, typed=typed)
    given = checked_schema(name, schema_of(rows.schema))
    missing = [column for column in schema if column not in given]
    if missing:
        raise SchemaChange(f"{batch.name}: the source has the column {missing[0]}, this has not. Nothing was written.")
    for column, kind in given.items():
        if kind != schema.get(column, kind):
            raise TypeMismatch(f"{batch.name}: column {column} is {kind}, in {name} it is {schema[column]}.")
    if given[definition.event_time] not in TIME_TYPES:
        raise TypeMismatch(f"{batch.name}: event_time {definition.event_time} is {given[definition.event_time]}.")
    return rows.cast(arrow_schema(given))


def _spaces(columns: Sequence[str]) -> list[Fault]:
    """Name columns whose names no Delta table takes, with one that it does."""
    faults = []
    for column in columns:
        plain = "_".join("".join(one if one.isalnum() else " " for one in column).split()).lower()
        if any(character in " ,;{}()\n\t=`" for character in column) or not column:
            faults.append(Fault(column, 0, "a name that Delta does not take", "rename", plain or "column"))
    return faults


def _observations(definition: SourceDefinition, settled: Sequence[tuple[Batch, pa.Table]]) -> list[str]:
    """Return what is worth a look of rows that are taken as they are."""
    notes = []
    for batch, rows in settled:
        for column in dict.fromkeys((*definition.entity, definition.event_time)):
            count = rows.column(column).null_count
            if count:
                notes.append(f"{batch.name}: {plural(count, 'event')} without {column}; no window will hold them")
            twice = written_twice(rows.column(column))
            if twice:
                notes.append(
                    f"{batch.name}: {plural(twice, 'event')} whose {column} is written as 17.0 and elsewhere as 17; "
                    "texts keep them apart"
                )
        kind = rows.column(definition.event_time).type
        if pa.types.is_timestamp(kind) and kind.tz is None:
            notes.append(
                f"{definition.event_time} has no zone and is taken as UTC; of local clock times say timestamp_zone, in "
                "a line --tz"
            )
    return list(dict.fromkeys(notes))


def _unknown(
    name: str, definition: SourceDefinition, rows: pa.Table, there: Source | None, before: Sequence[pa.Table]
) -> pa.Table:
    """Return the rows whose key the source lacks, and the tables that come ``before``; all of them where events have no
    key. NullKeys, DuplicateKeys: a row without a key, and two rows of one key that differ."""
    keys = list(definition.key)
    if not keys:
        return rows
    empty = sum(rows.column(column).null_count for column in keys)
    if empty:
        raise NullKeys(f"{name}: {plural(empty, 'event')} without a value of the key {', '.join(keys)}.")
    frame = _frame(rows).unique(maintain_order=True)
    twice = frame.filter(pl.struct(keys).is_duplicated())
    if not twice.is_empty():
        raise DuplicateKeys(f"{name}: events of one key that differ: {_some(twice, keys)}. Nothing was written.")
    held = [_frame(one) for one in before]
    if there is not None:
        among = {column: rows.column(column) for column in keys}
        held.append(_frame(direct().read_part(TableVersion(name, there.location, there.version), None, among)))
    if not held:
        return rows.take(pa.array(_places(rows, frame, keys)))
    stored = pl.concat(held, how="diagonal")
    shared = [column for column in frame.columns if column in stored.columns]
    both = frame.join(stored.select(shared), on=keys, how="semi")
    same = both.join(stored.select(shared), on=shared, how="semi", nulls_equal=True)
    if same.height < both.height:
        other = both.join(same, on=keys, how="anti")
        raise DuplicateKeys(
            f"{name}: {plural(other.height, 'event')} with the key of one that is there, and other values: "
            f"{_some(other, keys)}. Nothing was written; events do not change."
        )
    return rows.take(pa.array(_places(rows, frame.join(stored, on=keys, how="anti"), keys)))


def _places(rows: pa.Table, wanted: pl.DataFrame, keys: list[str]) -> list[int]:
    """Return the first row of each wanted key."""
    numbered = _frame(rows.select(keys)).with_row_index("fstk_row").unique(keys, keep="first")
    return sorted(numbered.join(wanted.select(keys), on=keys, how="semi")["fstk_row"].to_list())


def _some(rows: pl.DataFrame, keys: list[str]) -> str:
    listed = rows.select(keys).unique(maintain_order=True).head(5).rows()
    return ", ".join("/".join(map(str, key)) for key in listed)


def _frame(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame
