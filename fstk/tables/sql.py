"""The SQL that writes a feature table, as text: identifiers quoted, values escaped where Spark cannot bind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import arrow_type, quoted_name
from fstk.tables.properties import to_properties
from fstk.tables.spec import OWN, TableDefinition

NEW = f"{OWN}new"
DIFFERS = f"{OWN}differs"
# Delta keeps a partition's value as text, and reads these back as null.
_READ_AS_NULL = ("", "__HIVE_DEFAULT_PARTITION__")
_ESCAPED = {"\\": "\\\\", "'": "\\'", "$": "\\u0024", "\n": "\\n", "\r": "\\r", "\0": "\\u0000"}


def literal(text: str) -> str:
    """Return a string literal; ``$`` is written as its code, for Spark puts settings in place of ``${name}``."""
    return "'" + "".join(_ESCAPED.get(character, character) for character in text) + "'"


def pairs(texts: Mapping[str, str]) -> str:
    """Return names and texts as literals, as tags and properties are set."""
    return ", ".join(f"{literal(key)} = {literal(value)}" for key, value in texts.items())


def columns(names: Iterable[str], of: str = "") -> str:
    """Return quoted column names, comma between, each after the alias ``of`` when one is given."""
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + quoted_name(name) for name in names)


def typed(given: Schema, wanted: Schema) -> list[str]:
    """Return the select list that takes the columns of ``given``, those of no type (``void``) as the wanted one."""
    return [
        f"CAST({quoted_name(name)} AS {wanted[name]}) AS {quoted_name(name)}" if kind == "void" else quoted_name(name)
        for name, kind in given.items()
    ]


def flagged_as_new(source: str) -> str:
    return f"SELECT *, true AS {NEW}, false AS {DIFFERS} FROM {source}"


def flagged(source: str, target: str, keys: Sequence[str], given: Schema, there: Schema) -> str:
    """Return the query of all rows of ``source``, flagged as new to ``target`` or as differing from their row there,
    where a column that ``there`` lacks is null."""
    compared = [
        _differs(f"s.{quoted_name(name)}", f"t.{quoted_name(name)}" if name in there else "NULL", kind)
        for name, kind in given.items()
        if name not in keys
    ]
    met = f"t.{quoted_name(keys[0])} IS NOT NULL"
    changed = f"{met} AND ({' OR '.join(compared)})" if compared else "false"
    return (
        f"SELECT {columns(given, 's')}, NOT ({met}) AS {NEW}, {changed} AS {DIFFERS} "
        f"FROM {source} AS s LEFT JOIN {target} AS t ON {_equal(keys)}"
    )


def totals(rows: str, keys: Sequence[str], partitions: Sequence[str], given: Schema) -> str:
    """Return the query of one row of counts over flagged ``rows`` of columns ``given``: ``rows``, ``inserted``,
    ``updated``, ``nulls`` (with a null key), ``repeated`` (keys of more rows than one), ``repeating`` (rows of those
    keys), ``lost`` (rows with a value of a string column of ``partitions`` that Delta would lose), ``size`` (bytes,
    about)."""
    taken = ", ".join(map(literal, _READ_AS_NULL))
    lost = " OR ".join(f"{quoted_name(name)} IN ({taken})" for name in partitions) or "false"
    return (
        "SELECT coalesce(sum(n), 0) AS rows, coalesce(sum(IF(no_key, n, 0)), 0) AS nulls, "
        "count_if(n > 1 AND NOT no_key) AS repeated, coalesce(sum(IF(n > 1 AND NOT no_key, n, 0)), 0) AS repeating, "
        "coalesce(sum(lost), 0) AS lost, coalesce(sum(new), 0) AS inserted, coalesce(sum(differing), 0) AS updated, "
        "coalesce(sum(size), 0) AS size "
        f"FROM (SELECT ({null_key(keys)}) AS no_key, count(*) AS n, count_if({lost}) AS lost, "
        f"sum({_size(given)}) AS size, "
        f"count_if({NEW}) AS new, count_if({DIFFERS}) AS differing FROM {rows} GROUP BY {columns(keys)})"
    )


def compared(rows: str, target: str, keys: Sequence[str], features: Schema) -> str:
    """Return the query of the keys that both have, with three columns for each of ``features``, by its place among
    them: ``before0`` in ``target``, ``after0`` in ``rows``, and whether these ``differ0``. ``rows`` are few."""
    found = []
    for place, (name, kind) in enumerate(features.items()):
        before, after = f"t.{quoted_name(name)}", f"s.{quoted_name(name)}"
        found += [f"{before} AS {OWN}before{place}", f"{after} AS {OWN}after{place}"]
        found.append(f"{_differs(after, before, kind)} AS {DIFFERS}{place}")
    return (
        f"SELECT /*+ BROADCAST(s) */ {columns(keys, 's')}, {', '.join(found)} "
        f"FROM {rows} AS s JOIN {target} AS t ON {_equal(keys)} ORDER BY {columns(keys)}"
    )


def null_key(keys: Sequence[str]) -> str:
    return " OR ".join(f"{quoted_name(key)} IS NULL" for key in keys)


def repeated_keys(rows: str, keys: Sequence[str], at_most: int) -> str:
    """Return the query of up to so many keys that have more rows than one, with ``n``, how many."""
    return (
        f"SELECT {columns(keys)}, count(*) AS {OWN}n FROM {rows} WHERE NOT ({null_key(keys)}) GROUP BY {columns(keys)} "
        f"HAVING count(*) > 1 ORDER BY {columns(keys)} LIMIT {at_most}"
    )


def rows_without_key(rows: str, keys: Sequence[str], at_most: int) -> str:
    """Return the query of the keys of up to so many rows that lack one."""
    return f"SELECT {columns(keys)} FROM {rows} WHERE {null_key(keys)} ORDER BY {columns(keys)} LIMIT {at_most}"


def merge(
    target: str,
    source: str,
    keys: Sequence[str],
    given: Sequence[str],
    *,
    inserting: bool = True,
    updating: bool = True,
    evolving: bool = False,
    lengths: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """Return the statement that merges all rows of ``source``, of columns ``given``, into ``target`` by its keys; with
    ``evolving`` the same commit adds those that the target lacks. Without ``inserting`` or ``updating`` all rows are of
    the other kind, which Delta merges in fewer steps. ``lengths`` are those of keys of CHAR(n) that others may have
    stored without the spaces that fill them up."""
    features = [name for name in given if name not in keys]
    # No t. before a column that may be new: Delta finds those in the source alone.
    assignments = ", ".join(f"{quoted_name(name)} = s.{quoted_name(name)}" for name in features)
    update = f" WHEN MATCHED THEN UPDATE SET {assignments}" if updating and features else ""
    insert = f" WHEN NOT MATCHED THEN INSERT ({columns(given)}) VALUES ({columns(given, 's')})" if inserting else ""
    evolution = "WITH SCHEMA EVOLUTION " if evolving else ""
    return f"MERGE {evolution}INTO {target} AS t USING {source} AS s ON {_equal(keys, lengths)}{update}{insert}"


def _size(given: Schema) -> str:
    """Return SQL of about how many bytes a row has in a file."""
    fixed = {name: width(kind) for name, kind in given.items()}
    texts = [f"coalesce(length(CAST({quoted_name(name)} AS STRING)), 0)" for name, size in fixed.items() if not size]
    return " + ".join([f"{sum(fixed.values())}L", *texts])


def width(kind: str) -> int:
    """Return the bytes of a value of a type in which all have the same, else 0."""
    arrow = arrow_type(kind)
    return -(-arrow.bit_width // 8) if pa.types.is_primitive(arrow) else 0


def create_as(target: str, definition: TableDefinition, source: str) -> str:
    """Return the statement that creates a feature table from the rows of ``source``."""
    return f"CREATE TABLE {target}{_settings(definition)} AS SELECT {columns(definition.schema)} FROM {source}"


def create_empty(target: str, definition: TableDefinition, parts: Sequence[str]) -> str:
    """Return the statement that creates a feature table without rows; ``parts`` are its columns and constraints."""
    return f"CREATE TABLE {target} ({', '.join(parts)}){_settings(definition)}"


def _settings(definition: TableDefinition) -> str:
    properties = pairs(to_properties(definition))
    partitions = f" PARTITIONED BY ({columns(definition.partition_columns)})" if definition.partition_columns else ""
    described = f" COMMENT {literal(definition.description)}" if definition.description else ""
    return f" USING delta{partitions}{described} TBLPROPERTIES ({properties})"


def add_columns(target: str, added: Schema) -> str:
    return f"ALTER TABLE {target} ADD COLUMNS ({', '.join(f'{quoted_name(n)} {kind}' for n, kind in added.items())})"


def set_properties(target: str, properties: Mapping[str, str]) -> str:
    return f"ALTER TABLE {target} SET TBLPROPERTIES ({pairs(properties)})"


def unset_property(target: str, key: str) -> str:
    return f"ALTER TABLE {target} UNSET TBLPROPERTIES ({literal(key)})"


def comment(target: str, description: str) -> str:
    return f"COMMENT ON TABLE {target} IS {literal(description)}"


def _equal(keys: Sequence[str], lengths: Mapping[str, int] = MappingProxyType({})) -> str:
    stored = {key: f"t.{quoted_name(key)}" for key in keys}
    stored |= {key: f"rpad({stored[key]}, {lengths[key]}, ' ')" for key in keys if key in lengths}
    return " AND ".join(f"{stored[key]} = s.{quoted_name(key)}" for key in keys)


def _differs(column: str, other: str, kind: str) -> str:
    """Return SQL that is true where two expressions of type ``kind`` hold different values: by Spark's null-safe
    equality (NaN equals NaN, −0.0 equals 0.0), extended to maps, which are equal with equal entries in any order."""
    arrow = arrow_type(kind)
    return f"NOT ({_comparable(column, arrow)} <=> {_comparable(other, arrow)})"


def _comparable(value: str, kind: pa.DataType, depth: int = 0) -> str:
    if not _holds_map(kind):
        return value
    element = f"e{depth}"
    if isinstance(kind, pa.MapType):
        key = _comparable(f"{element}.key", kind.key_type, depth + 1)
        item = _comparable(f"{element}.value", kind.item_type, depth + 1)
        return f"array_sort(transform(map_entries({value}), {element} -> struct({key} AS k, {item} AS v)))"
    if isinstance(kind, pa.StructType):
        names = {quoted_name(field.name): field.type for field in kind}
        parts = ", ".join(f"{_comparable(f'{value}.{name}', inner, depth)} AS {name}" for name, inner in names.items())
        return f"IF({value} IS NULL, NULL, struct({parts}))"
    inner = _comparable(element, kind.value_type, depth + 1)
    return f"transform({value}, {element} -> {inner})"


def _holds_map(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.MapType):
        return True
    return any(_holds_map(kind.field(i).type) for i in range(kind.num_fields))
