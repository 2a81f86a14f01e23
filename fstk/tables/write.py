"""Rows into a feature table: checked, compared with what is there, and only what differs merged, in one commit."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fstk import settings
from fstk.display import instant
from fstk.engines.base import Schema
from fstk.engines.meaning import held
from fstk.engines.spark import SparkEngine
from fstk.engines.spark_errors import translated
from fstk.engines.types import char_lengths, quoted_name
from fstk.errors import DuplicateKeys, InvalidInput, NullKeys, WriteConflict
from fstk.progress import tell_rows
from fstk.tables import sql
from fstk.tables.definition import Definitions, FeatureDefinition, redefined
from fstk.tables.history import Told, Version, commit_mark
from fstk.tables.plan import plan_write
from fstk.tables.properties import to_keys
from fstk.tables.redefinition import Difference, Redefinition, RedefinitionPlan
from fstk.tables.report import WriteReport
from fstk.tables.spec import OWN, FeatureTable, TableDefinition

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SHOWN = 5  # keys that an error shows
_EXAMPLES = 3  # rows that a changed meaning is shown on
_LOOKED_AT = 10_000  # rows on which it is measured
_TEXT = 20  # bytes that a value which nobody looked at is taken to have
_WALL = "timestamp_ntz"
# What readers of the files rely on; a session that the caller made may write otherwise.
_FILES = {
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # many read INT96 wrongly before 1677 and after 2262
    "parquet.page.write-checksum.enabled": "true",
}
_MARK = "spark.databricks.delta.commitInfo.userMetadata"
_NONE: Definitions = MappingProxyType({})
_NOTHING = Told()
# The setting that marks a commit belongs to the whole session, so commits of this process take turns.
_one_commit = threading.RLock()


@dataclass(frozen=True)
class Target:
    """The table that is written: its name in SQL, and how to ask what it is now."""

    identifier: str
    table: Callable[[], FeatureTable]
    versions: Callable[[], list[Version]]


@dataclass(frozen=True)
class _Wanted:
    """Rows to be merged, what features of them are, and whether these may mean another thing than before."""

    frame: DataFrame
    defined: Definitions
    redefine: bool


@dataclass(frozen=True)
class Counts:
    """Rows of a frame, how many of them are new to the table or differ from their row there, and about how many bytes
    all of them are."""

    rows: int
    inserted: int
    updated: int
    size: int


def merge(
    engine: SparkEngine,
    target: Target,
    frame: DataFrame,
    defined: Definitions = _NONE,
    *,
    redefine: bool = False,
    attempts: int = 5,
) -> WriteReport:
    """Merge ``frame`` into a feature table (docs/rules.md#feature-tables); nothing is committed when nothing differs.

    The frame is computed once and kept while it is compared with the table at one version; then the rows that differ
    are merged. Should another writer have come between (commits name the version that they read), the comparison is
    made again with what is there now, ``attempts`` times in all, so that the outcome is that of one writer after the
    other. ``defined`` is what features of the frame are; Redefined where they mean another thing in the table, unless
    the caller means to ``redefine`` them. Errors are else those of ``FeatureEngineeringClient.write_table``.
    """
    before = target.table()
    with translated(f"writing {before.name}"), ExitStack() as stack:
        wanted = _Wanted(engine.noted(frame, {}), defined, redefine)
        merged = _merged(engine, stack, target, before, wanted, attempts)
    now = target.table()
    unchanged = max(0, merged.rows - merged.inserted - merged.updated)
    return WriteReport(now.name, before.version, now.version, merged.inserted, merged.updated, unchanged, now.rows)


def _merged(
    engine: SparkEngine,
    stack: ExitStack,
    target: Target,
    table: FeatureTable,
    wanted: _Wanted,
    attempts: int,
) -> Counts:
    inserted = updated = 0
    frame, defined = wanted.frame, wanted.defined
    for _ in range(attempts):
        changed = {} if wanted.redefine else redefined(defined, table.definitions)
        if changed:
            raise _plan_of(engine, stack, table, frame, changed).refusal()
        added, flagged, counts = _compare(engine, stack, table, frame)
        version = table.version + _enable(engine, target, table, added)
        told = Told(defined, table.versions)
        if not counts.inserted + counts.updated:
            if added:
                change(engine, table.name, sql.add_columns(target.identifier, added), told)
            elif told.redefined:  # a commit that changes nothing else
                change(engine, table.name, sql.set_properties(target.identifier, to_keys(table)), told)
            return Counts(counts.rows, inserted, updated, counts.size)
        with suppress(WriteConflict):  # another writer's commit was first: the next comparison is with what it wrote
            changes = flagged.where(f"{sql.NEW} OR {sql.DIFFERS}").drop(sql.NEW, sql.DIFFERS)
            commit = _commit(engine, stack, target, table, changes, counts, added, told)
            inserted, updated = inserted + commit.inserted, updated + commit.updated
            if commit.read_version == version:
                return Counts(counts.rows, inserted, updated, counts.size)
        frame, table = flagged.drop(sql.NEW, sql.DIFFERS), target.table()
    raise WriteConflict(f"{table.name}: other writers kept coming between. The same write may be tried again.")


def _compare(
    engine: SparkEngine, stack: ExitStack, table: FeatureTable, frame: DataFrame
) -> tuple[Schema, DataFrame, Counts]:
    """Return the columns to add, the frame's rows, kept, each flagged as new or differing, and how many are."""
    given = column_types(engine, frame)
    plan = plan_write(table, given)
    plan.check()
    wanted = {name: plan.table.schema[name] for name in given}
    there = engine.read(table.at())
    if not table.written_by_fstk:
        _refuse_repeated_in_table(engine, stack, there, table)
    source = engine.padded(frame.selectExpr(*sql.typed(given, wanted)), there)
    query = sql.flagged(_view(stack, source), _view(stack, there), table.keys, wanted, table.schema)
    with _in_few_jobs(engine, frame, there):
        rows = _kept(engine, stack, query)
        return plan.added, rows, check(engine, _view(stack, rows), table, wanted)


def _plan_of(
    engine: SparkEngine,
    stack: ExitStack,
    table: FeatureTable,
    frame: DataFrame,
    changed: Mapping[str, tuple[FeatureDefinition, FeatureDefinition]],
) -> RedefinitionPlan:
    """Return what would change, measured on so few rows of the frame that nobody waits for a comparison of all."""
    given = column_types(engine, frame)
    plan_write(table, given).check()
    there = engine.read(table.at())
    features = {name: table.schema[name] for name in changed}
    wanted = {name: table.schema[name] for name in (*table.keys, *features)}
    rows = frame.selectExpr(*sql.typed({name: given[name] for name in wanted}, wanted))
    looked_at = engine.arrow(engine.padded(rows, there).limit(_LOOKED_AT + 1))
    some = looked_at.num_rows > _LOOKED_AT
    few = engine.frame(looked_at.slice(0, _LOOKED_AT), "rows")
    found = engine.arrow(engine.sql(sql.compared(_view(stack, few), _view(stack, there), table.keys, features)))
    changes = []
    for place, (name, (before, after)) in enumerate(changed.items()):
        other = found.filter(found.column(f"{sql.DIFFERS}{place}"))
        examples = tuple(_example(row, place, table) for row in other.slice(0, _EXAMPLES).to_pylist())
        changes.append(Redefinition(name, before, after, Difference(found.num_rows, other.num_rows, examples, some)))
    return RedefinitionPlan(table.name, table.timeseries_column or "the point", tuple(changes))


def _example(row: Mapping[str, Any], place: int, table: FeatureTable) -> str:
    time = table.timeseries_column
    where = ", ".join(_value(row[key]) for key in table.primary_keys)
    at = "" if time is None else f" at {_value(row[time])}"
    return f"{where}{at}: {_value(row[f'{OWN}before{place}'])} → {_value(row[f'{OWN}after{place}'])}"


def _enable(engine: SparkEngine, target: Target, table: FeatureTable, added: Schema) -> int:
    """Let a table hold the types of the columns to add, where Delta wants to be asked before; return the number of
    commits, which change neither columns nor rows."""
    if not any(_WALL in kind for kind in added.values()) or any(_WALL in kind for kind in table.schema.values()):
        return 0
    change(engine, table.name, sql.set_properties(target.identifier, {"delta.feature.timestampNtz": "supported"}))
    return 1


def _commit(
    engine: SparkEngine,
    stack: ExitStack,
    target: Target,
    table: FeatureTable,
    changes: DataFrame,
    counts: Counts,
    added: Schema,
    told: Told,
) -> Version:
    """Merge ``changes`` and the columns to add in one commit, and return it; raises WriteConflict where Delta or its
    log has none of it."""
    width = counts.size // max(1, counts.rows)
    rest = sum(sql.width(kind) or _TEXT for name, kind in table.schema.items() if name not in changes.columns)
    view = _view(stack, _laid_out(changes, table, (counts.inserted + counts.updated) * width))
    settled = layout(engine, ((table.rows or 0) + counts.inserted) * (width + rest))
    with translated(f"writing {table.name}"), marked(engine, told, settled) as write:
        lengths = {} if table.written_by_fstk else char_lengths(engine.read(table.at()).schema.fields)
        names = target.identifier, view, table.keys, changes.columns
        kinds = {"inserting": counts.inserted > 0, "updating": counts.updated > 0}
        engine.sql(sql.merge(*names, **kinds, evolving=bool(added), lengths=lengths))
    for version in target.versions():
        if version.write == write:
            return version
    raise WriteConflict(f"{table.name}: the commit is not in its log.")


def layout(engine: SparkEngine, size: int) -> dict[str, str]:
    """Return the settings by which a merge writes files of one size: it joins on sorted keys, so that
    each partition of the join is one sorted file. For one file there is nothing to adapt, and planning again after each
    shuffle would be most of the work. Databricks lays files out itself, and serverless compute refuses such settings.
    """
    if engine.name == "databricks":
        return {}
    files = _files(size)
    adaptive = {"spark.sql.adaptive.enabled": "false"} if files == 1 else {}
    return adaptive | {
        "spark.sql.shuffle.partitions": str(files),
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
    }


@contextmanager
def _in_few_jobs(engine: SparkEngine, *frames: DataFrame) -> Iterator[None]:
    """Hold the session to one task a step, planned once, where it is known that the frames have few rows."""
    if not engine.few_rows(*frames):
        yield
        return
    with _one_commit, held(engine.session, layout(engine, 0)):
        yield


def _laid_out(frame: DataFrame, table: TableDefinition, size: int) -> DataFrame:
    """Return the rows in as many partitions as they fill files, each a range of the keys in their order."""
    order = [quoted_name(name) for name in dict.fromkeys((*table.partition_columns, *table.keys))]
    files = _files(size)
    parts = frame.repartitionByRange(files, *order) if files > 1 else frame.coalesce(1)  # which samples no rows
    return parts.sortWithinPartitions(*order)


def _files(size: int) -> int:
    """Return how many files of the wanted size hold so many bytes."""
    return max(1, -(-size // (settings.load().file_mb * 1_000_000)))


def create(
    engine: SparkEngine, identifier: str, definition: TableDefinition, frame: DataFrame, defined: Definitions
) -> Counts:
    """Create the Delta table ``identifier`` from a frame of the definition's columns, in one commit."""
    with translated(f"creating {definition.name}"), ExitStack() as stack:
        given = column_types(engine, frame)
        ordered = {name: given[name] for name in definition.schema}
        source = engine.noted(frame, {}).selectExpr(*sql.typed(ordered, definition.schema))
        with _in_few_jobs(engine, frame):
            rows = _kept(engine, stack, sql.flagged_as_new(_view(stack, source)))
            counts = check(engine, _view(stack, rows), definition, definition.schema)
        with marked(engine, Told(defined)):
            view = _view(stack, _laid_out(rows, definition, counts.size))
            engine.sql(sql.create_as(identifier, definition, view))
    return counts


def change(engine: SparkEngine, name: str, statement: str, told: Told = _NOTHING) -> None:
    """Run a statement that changes what is known of a table, not its rows."""
    with translated(f"changing {name}"), marked(engine, told):
        engine.sql(statement)


def column_types(engine: SparkEngine, frame: DataFrame) -> Schema:
    """Return a frame's columns and types; raises InvalidInput when two columns have one name."""
    types = engine.schema(frame)
    doubled = sorted({name for name in frame.columns if frame.columns.count(name) > 1})
    if doubled:
        raise InvalidInput(f"df: two columns are called {doubled[0]}; rename one.")
    return types


def check(engine: SparkEngine, view: str, table: TableDefinition, given: Schema) -> Counts:
    """Count the flagged rows of ``view``, of columns ``given``, in one pass, and refuse them when keys are null or
    repeated (docs/rules.md#tables-1), or a partition's value would be lost."""
    keys = table.keys
    partitions = [name for name in table.partition_columns if given.get(name) == "string"]
    found = engine.sql(sql.totals(view, keys, partitions, given)).collect()[0]
    tell_rows(found.rows)
    if found.nulls:
        some = engine.arrow(engine.sql(sql.rows_without_key(view, keys, _SHOWN))).to_pylist()
        raise NullKeys(
            f"{table.name}: {_number(found.nulls, 'row lacks', 'rows lack')} a key: {_listed(some, found.nulls)}. "
            "Nothing was written."
        )
    if found.repeated:
        some = engine.arrow(engine.sql(sql.repeated_keys(view, keys, _SHOWN))).to_pylist()
        raise DuplicateKeys(
            f"{table.name}: {_number(found.repeated, 'key comes', 'keys come')} more than once, in {found.repeating:,} "
            f"rows: {_listed(some, found.repeated)}. Nothing was written; keep one row per key."
        )
    if found.lost:
        raise InvalidInput(
            f"{table.name}: {_number(found.lost, 'row has', 'rows have')} an empty text in {' or '.join(partitions)}, "
            "which Delta reads back as null in a partition column. Nothing was written; give them another value, or "
            "leave the column out of partition_columns."
        )
    return Counts(found.rows, found.inserted, found.updated, found.size)


@contextmanager
def marked(engine: SparkEngine, told: Told, others: Mapping[str, str] | None = None) -> Iterator[str]:
    """Let the commits of the block carry the mark of one new write and what it ``told``, and give the write's name;
    ``others`` are settings of the session that hold in the block, too."""
    write, mark = commit_mark(told)
    session = engine.session
    with _one_commit, held(session, _FILES, where_allowed=True), held(session, {_MARK: mark, **(others or {})}):
        yield write


def _refuse_repeated_in_table(engine: SparkEngine, stack: ExitStack, there: DataFrame, table: FeatureTable) -> None:
    query = sql.repeated_keys(_view(stack, there), table.keys, _SHOWN)
    some = engine.arrow(engine.sql(query)).to_pylist()
    if some:
        raise DuplicateKeys(
            f"{table.name} itself holds keys more than once, written by others than fstk: {_listed(some, len(some))}. "
            "Remove the rows that should not be there first."
        )


def _kept(engine: SparkEngine, stack: ExitStack, query: str) -> DataFrame:
    rows = engine.sql(query).persist()
    stack.callback(rows.unpersist)
    return rows


def _view(stack: ExitStack, frame: DataFrame) -> str:
    name = f"fstk_{uuid.uuid4().hex}"
    frame.createOrReplaceTempView(name)
    stack.callback(frame.sparkSession.catalog.dropTempView, name)
    return name


def _listed(rows: list[dict[str, Any]], of: int) -> str:
    shown = [
        "(" + ", ".join(f"{key}={_value(value)}" for key, value in row.items() if not key.startswith(OWN)) + ")"
        for row in rows
    ]
    return ", ".join(shown) + (", …" if of > len(rows) else "")


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return instant(value) if isinstance(value, dt.datetime) else str(value)


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
