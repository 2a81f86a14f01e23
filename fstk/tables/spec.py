"""What a feature table is: its definition as the caller gives it, and the table as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from fstk.columns.typing import ColumnNames, SchemaLike
from fstk.display import Displayed, Sheet, Stacked, plural
from fstk.engines.base import Schema, TableVersion
from fstk.engines.sparktypes import struct_type
from fstk.engines.types import TIME_TYPES, arrow_type, spark_type
from fstk.errors import InvalidInput, InvalidName, UnknownColumn, UnsupportedType, nearest
from fstk.matrix import MANY, Place, aggregate_name, matrix, on_request
from fstk.tables.definition import Definitions, origins
from fstk.tables.history import Version, definitions_at, text_of
from fstk.tables.report import WriteReport
from fstk.warehouse import table_name

Grants = Mapping[str, tuple[str, ...]]
"""To which principals, users and groups, each privilege is granted; empty where no right was ever said."""
NOBODY: Grants = {"SELECT": ()}

OWN = "__fstk_"
"""What the names of fstk's passing columns begin with."""

# What Delta writes only with column mapping, which other readers lack; and the backtick, on which its MERGE fails.
_UNWRITABLE = re.compile(r"[ ,;{}()\n\t=`]")
# What Delta's commands and readers call columns of their own, in a merge above all; Spark ignores case.
_TAKEN = re.compile(
    r"_change_type|_commit_version|_commit_timestamp|_metadata|_tmp_metadata_\w*|filepath|deletionvectorid|rowindexcol"
    rf"|_(?!_)\w*[^_]_|__is_cdc|__delta_internal_\w*|{OWN}.*",
    re.IGNORECASE,
)
# Readers refuse longer names in the log for good.
_LONGEST_NAME = 255
_LONGEST_TEXT = 100_000
_LINES = 12  # of a cell that made features
_VERSIONS = 3  # of which it is shown what wrote them


@dataclass(frozen=True)
class TableDefinition:
    """A feature table as it was asked for; :func:`define` makes one from a caller's arguments."""

    name: str
    primary_keys: tuple[str, ...]
    timeseries_column: str | None
    schema: Schema
    partition_columns: tuple[str, ...] = ()
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns whose values are unique together: the primary keys, then the time column."""
        return self.primary_keys if self.timeseries_column is None else (*self.primary_keys, self.timeseries_column)


@dataclass(frozen=True, repr=False)
class FeatureTable(Stacked, TableDefinition):
    """A feature table at its newest version, as ``get_table`` and ``create_table`` return it.

    Attributes:
        name: its full name, lower-cased.
        primary_keys: the entity keys in order, without the time column.
        timeseries_column: the time column, of TIMESTAMP, TIMESTAMP_NTZ (taken as UTC) or DATE; None of a static table.
        schema: column → Spark SQL type, in column order.
        partition_columns, description, tags: as they were given.
        version: the Delta version. rows: how many it has, None where the log does not count them.
        location: the Delta folder, None in Unity Catalog.
        written_by_fstk: whether every commit of rows came from fstk, so that keys are known to be unique.
        versions: what each version tells of itself, newest first.
        report: what the ``create_table`` that returned this object wrote; None of a table that was looked up.
        grants: privilege → principals to whom it is granted; Unity Catalog's are kept there, and not here.

    >>> table = fe.get_table(name="shop.spend")
    >>> table.keys, table.features, table.rows
    (('customer_id', 'as_of'), ['spend_30d'], 3)
    """

    version: int = 0
    rows: int | None = None
    location: str | None = None
    written_by_fstk: bool = False
    versions: tuple[Version, ...] = field(default=(), compare=False)
    report: WriteReport | None = field(default=None, compare=False)
    grants: Grants = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        """The columns that are neither key nor time, in column order."""
        return [name for name in self.schema if name not in self.keys]

    @property
    def definitions(self) -> Definitions:
        """How features are computed, of those of which it was recorded, in column order.

        >>> fe.get_table(name="shop.spend").definitions
        {}
        """
        return definitions_at(self.versions, self.schema)

    def at(self, version: int | None = None) -> TableVersion:
        """Return what an engine reads: this table at ``version``, or at the newest when the frame is made.

        >>> fe.get_table(name="shop.spend").at(0).version
        0
        """
        return TableVersion(self.name, self.location, version)

    def _columns(self) -> list[tuple[str, str, str]]:
        return [(name, kind, role(self, name)) for name, kind in self.schema.items()]

    def parts(self) -> Sequence[Displayed]:
        """Return every column, or of many windowed features first their types by aggregate and window."""
        every, defined = self.every_column(), self.definitions
        if len(defined) <= MANY:
            return [every]
        places = [
            Place(aggregate_name(name, one.window, one.expression), one.window, self.schema[name])
            for name, one in defined.items()
        ]
        return [matrix(every.title, places, every.notes), on_request(replace(every, notes=()), len(self.schema))]

    def every_column(self) -> Sheet:
        """Return a line per column, with its type and role, and its meaning where that was recorded.

        >>> [row[0] for row in fe.get_table(name="shop.spend").every_column().rows]
        ['customer_id', 'as_of', 'spend_30d']
        """
        rows = "" if self.rows is None else f" · {self.rows:,} rows"
        time = self.timeseries_column or "the point"
        version = f"v{self.version}" if self.report is None else self.report.outcome
        defined = self.definitions
        notes = [f"description: {self.description}"] if self.description else []
        for origin, columns in origins(defined).items():
            notes.append(origin if len(columns) == len(self.features) else f"{', '.join(columns)}: {origin}")
        if self.report is not None and self.report.created:
            notes[:0] = fraction_notes(self)
        if self.report is not None and self.report.changed:
            counts = f"{self.report.inserted:,} inserted, {self.report.updated:,} updated"
            notes.insert(0, f"written: {counts}, {self.report.unchanged:,} unchanged")
        if self.tags:
            notes.append("tags: " + ", ".join(f"{key}={value}" for key, value in sorted(self.tags.items())))
        if self.partition_columns:
            notes.append(f"partitioned by {', '.join(self.partition_columns)}")
        written = [f"v{one.version} by {one.writer}" for one in self.versions if one.run or one.cell]
        if written:
            notes.append(f"written: {', '.join(written[:_VERSIONS])}{', …' if len(written) > _VERSIONS else ''}")
        notes += self._made_by_cell(defined)
        if not self.written_by_fstk:
            notes.append("also written by others than fstk: its keys may repeat")
        if self.location:
            notes.append(f"folder: {self.location}")
        return Sheet(
            f"{self.name} {version}{rows} · keys {keys_text(self)} · {features_text(self)}",
            ("column", "type", "role", "meaning") if defined else ("column", "type", "role"),
            [(*row, _words(defined, row[0], time)) if defined else row for row in self._columns()],
            notes,
        )

    def _made_by_cell(self, defined: Definitions) -> list[str]:
        """Return the beginning of the notebook cell that last wrote rows, if it made features without a definition."""
        others = [name for name in self.features if name not in defined]
        cell = next((one.cell for one in self.versions if one.rows), None)
        text = text_of(self.versions, cell)
        if text is None or not others:
            return []
        lines = text.strip().splitlines()
        more = [f"… {plural(len(lines) - _LINES, 'more line')}"] if len(lines) > _LINES else []
        return [f"{', '.join(others)}: as made by cell {cell}", *(f"  {line}" for line in lines[:_LINES]), *more]


def _words(defined: Definitions, column: str, time: str) -> str:
    return defined[column].words(time) if column in defined else ""


def matches(table: FeatureTable, tags: Mapping[str, str | None], text: str) -> bool:
    """Tell whether a table has all of ``tags``, None for any value, and ``text``, in any case, in its name, its
    description, a column's name or a tag."""
    described = [table.name, table.description or "", *table.schema, *table.tags, *table.tags.values()]
    tagged = all(key in table.tags and value in (None, table.tags[key]) for key, value in tags.items())
    return tagged and any(text.casefold() in one.casefold() for one in described)


def keys_text(table: TableDefinition) -> str:
    """Return the keys as they are written everywhere: ``(customer_id, as_of TIMESERIES)``."""
    time = () if table.timeseries_column is None else (f"{table.timeseries_column} TIMESERIES",)
    return f"({', '.join((*table.primary_keys, *time))})"


def features_text(table: TableDefinition) -> str:
    return plural(sum(role(table, column) == "feature" for column in table.schema), "feature")


def fraction_notes(table: TableDefinition) -> list[str]:
    """Return a line for each key that holds fractions: ids seldom do, and match no whole number when they are joined.

    >>> fraction_notes(define("shop.a", "id", {"id": "double", "x": "int"}))
    ['key id is double, and no bigint matches it. Of ids, cast them before: pandas makes floats of ids with nulls']
    """
    return [
        f"key {key} is {table.schema[key]}, and no bigint matches it. Of ids, cast them before: pandas makes floats of "
        "ids with nulls"
        for key in table.primary_keys
        if table.schema[key] in ("double", "float")
    ]


def role(table: TableDefinition, column: str) -> str:
    """Return ``key``, ``time`` or ``feature``."""
    if column == table.timeseries_column:
        return "time"
    return "key" if column in table.primary_keys else "feature"


def define(
    name: str,
    primary_keys: ColumnNames,
    schema: Schema,
    timeseries_column: ColumnNames | None = None,
    partition_columns: ColumnNames | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    timestamp_keys: ColumnNames | None = None,
) -> TableDefinition:
    """Return the definition of a feature table.

    The time column may be named in ``primary_keys`` or not; it is the last of the keys either way. See
    ``FeatureEngineeringClient.create_table`` for arguments and errors.
    """
    name = table_name(name)
    schema = checked_schema(name, schema)
    time = time_column(timeseries_column, timestamp_keys)
    keys = tuple(key for key in column_names("primary_keys", primary_keys) if key != time)
    partitions = column_names("partition_columns", partition_columns) if partition_columns else ()
    if not keys:
        raise InvalidInput(f"{name}: primary_keys must name at least one column beside the time column.")
    for argument, columns in (
        ("primary_keys", keys),
        ("timeseries_column", () if time is None else (time,)),
        ("partition_columns", partitions),
    ):
        for column in columns:
            if column not in schema:
                raise UnknownColumn(f"{name}: {argument} names {column!r}.{nearest(column, schema)}")
    for column in dict.fromkeys((*keys, *partitions)):
        kind = arrow_type(schema[column])
        if pa.types.is_nested(kind) or (pa.types.is_binary(kind) and column in partitions):
            use = "a partition column" if column in partitions else "a key"
            raise UnsupportedType(f"{name}: column {column} is {schema[column]}, which cannot be {use}.")
    if time is not None and schema[time] not in TIME_TYPES:
        raise UnsupportedType(
            f"{name}: time column {time} is {schema[time]}; it must be one of {', '.join(TIME_TYPES)}."
        )
    for column in partitions:
        if "." in column:
            raise InvalidName(f"{name}: partition column {column}: Delta's MERGE takes its dot for a field.")
    if len(partitions) == len(schema):
        raise InvalidInput(f"{name}: every column is a partition column; leave at least one out.")
    if description is not None and not isinstance(description, str):
        raise InvalidInput(f"{name}: description must be a text; got {description!r}.")
    _check_text(f"{name}: description", description or "", _LONGEST_TEXT)
    for key, value in (tags or {}).items():
        check_tag(key, value)
    return TableDefinition(name, keys, time, schema, partitions, description, dict(tags or {}))


def checked_schema(name: str, schema: Schema) -> Schema:
    """Return columns and types as fstk spells them; InvalidName, UnsupportedType name the column of the table ``name``
    that no Delta table may have."""
    schema = {column: _canonical(column, kind) for column, kind in schema.items()}
    _check_columns(name, schema)
    return schema


def check_tag(key: str, value: str) -> None:
    """Refuse a tag whose key or value is not a text or too long, or whose key is empty; raises InvalidInput."""
    if not (isinstance(key, str) and isinstance(value, str) and key.strip()):
        raise InvalidInput(f"a tag is a name and a text, as in ('team', 'data-science'); got ({key!r}, {value!r}).")
    _check_text("the name of a tag", key, _LONGEST_NAME)
    _check_text(f"the tag {key!r}", value, _LONGEST_TEXT)


def _check_text(what: str, text: str, longest: int) -> None:
    """Refuse what a reader of Delta's log would not take: a text too long, or that is no UTF-8."""
    if len(text) > longest:
        raise InvalidInput(f"{what} has {len(text):,} characters; at most {longest:,} fit into every reader.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise InvalidInput(f"{what} holds half a character ({half!r}), which is no text.") from error


def read_schema(schema: SchemaLike) -> Schema:
    """Return columns and types of a ``schema=`` argument: a Spark StructType, a dict of types, or DDL text."""
    if isinstance(schema, Mapping):
        return {str(column): _canonical(str(column), str(kind)) for column, kind in schema.items()}
    if isinstance(schema, str):
        return _from_ddl(schema)
    if type(schema).__name__ == "StructType":
        return struct_type(schema)
    raise InvalidInput(
        f"schema must be a StructType, a dict like {{'id': 'bigint'}} or a text like 'id bigint'; got "
        f"{type(schema).__name__}."
    )


def _from_ddl(text: str) -> Schema:
    import sqlglot  # a third of a second, for which no worker and no listing of tables should wait
    from sqlglot import exp

    try:
        parsed = sqlglot.parse_one(f"CREATE TABLE t ({text})", dialect="databricks")
    except sqlglot.ParseError as error:
        raise InvalidInput(f"schema {text!r} does not parse; write it like 'id bigint, ts timestamp'.") from error
    columns: Schema = {}
    definitions = parsed.this.expressions if isinstance(parsed.this, exp.Schema) else []
    for column in definitions:
        kind = column.args.get("kind") if isinstance(column, exp.ColumnDef) else None
        if kind is None or column.args.get("constraints") or column.name in columns:
            raise InvalidInput(f"schema {text!r}: {column.sql()!r} is not a column and its type, or comes twice.")
        columns[column.name] = _canonical(column.name, kind.sql(dialect="databricks"))
    return columns


def _canonical(column: str, kind: str) -> str:
    """Return a type in the one spelling that fstk compares, after checking the column's name."""
    _check_text(f"the name of the column {column[:40]!r}", column, _LONGEST_NAME)
    if not column or _UNWRITABLE.search(column):
        raise InvalidName(f"column {column!r}: a Delta column name may not hold spaces or any of , ; {{ }} ( ) = `.")
    if _TAKEN.fullmatch(column):
        raise InvalidName(f"column {column!r}: Delta and fstk have a column of that name of their own; rename it.")
    try:
        return spark_type(arrow_type(kind))
    except UnsupportedType as error:
        raise UnsupportedType(f"column {column}: {error}") from error


def _check_columns(name: str, schema: Schema) -> None:
    folded: dict[str, str] = {}
    for column, kind in schema.items():
        twin = folded.setdefault(column.lower(), column)
        if twin != column:
            raise InvalidName(f"{name}: columns {twin} and {column} differ only in case; Spark takes them for one.")
        if _untyped(arrow_type(kind)):
            raise UnsupportedType(
                f"{name}: column {column} holds only nulls and so has no type ({kind}); cast it, or give schema=."
            )


def _untyped(kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or any(_untyped(kind.field(i).type) for i in range(kind.num_fields))


def time_column(named: ColumnNames | None, older: ColumnNames | None) -> str | None:
    """Return the time column by its argument's name or the older client's; InvalidInput: two, or different ones."""
    both = {"timeseries_column": named, "timestamp_keys": older}
    given = {column_names(argument, value) for argument, value in both.items() if value}
    if len(given) > 1:
        raise InvalidInput(f"timeseries_column {named!r} and timestamp_keys {older!r} disagree; give one of them.")
    columns = given.pop() if given else ()
    if len(columns) > 1:
        raise InvalidInput(f"a feature table has one time column; got {', '.join(columns)}.")
    return columns[0] if columns else None


def column_names(argument: str, value: ColumnNames) -> tuple[str, ...]:
    """Return a column's name, or several, as a tuple; InvalidInput names ``argument``: no text, or one twice."""
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for name in names:
        if not isinstance(name, str):
            raise InvalidInput(f"{argument} must be a column name or a list of them; got {name!r}.")
        if names.count(name) > 1:
            raise InvalidInput(f"{argument} names {name!r} twice.")
    return names
