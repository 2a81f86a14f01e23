"""Column types: Spark SQL's spelling and Arrow's, each turned into the other without loss.

An instant (``timestamp``) is ``timestamp[us, tz=UTC]``; ``timestamp_ntz`` is ``timestamp[us]``; ``date`` is ``date32``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.errors import UnsupportedType

INSTANT = pa.timestamp("us", tz="UTC")
TIME_TYPES = ("timestamp", "timestamp_ntz", "date")
"""Types of a time column; TIMESTAMP_NTZ is taken as UTC, DATE as its midnight UTC (docs/rules.md#time-1)."""

_ATOMS: dict[str, pa.DataType] = {"tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64()}
_ATOMS |= {"float": pa.float32(), "double": pa.float64(), "boolean": pa.bool_(), "void": pa.null()}
_ATOMS |= {"string": pa.string(), "binary": pa.binary()}
_ATOMS |= {"date": pa.date32(), "timestamp": INSTANT, "timestamp_ntz": pa.timestamp("us")}
_NAMES = {arrow: name for name, arrow in _ATOMS.items()}
# Arrow types that Spark lacks, each with the smallest Spark type that holds all its values.
_WIDER: dict[pa.DataType, str] = {pa.uint8(): "smallint", pa.uint16(): "int", pa.uint32(): "bigint"}
_WIDER |= {pa.uint64(): "decimal(20,0)", pa.float16(): "float", pa.date64(): "date"}
_WIDER |= {pa.large_string(): "string", pa.string_view(): "string"}
_WIDER |= {pa.large_binary(): "binary", pa.binary_view(): "binary"}
_DECLARED = "__CHAR_VARCHAR_TYPE_STRING"  # under which Spark keeps CHAR(n) in the metadata of a column of strings
_ALIASES = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint"}
_ALIASES |= {"real": "float", "timestamp_ltz": "timestamp"}
_TEXT = re.compile(r"(?:var)?char(?:acter)?\s*\(\s*\d+\s*\)")
_DECIMAL = re.compile(r"(?:decimal|dec|numeric)(?:\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")
_FIELD = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^`:<>,\s]+))\s*(?::|\s)\s*(.+)", re.DOTALL)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def spark_type(arrow: pa.DataType) -> str:
    """Return the Spark SQL type that holds every value of an Arrow type; UnsupportedType where Spark has none (times of
    day, durations, decimals past 38 digits)."""
    if arrow in _NAMES:
        return _NAMES[arrow]
    if arrow in _WIDER:
        return _WIDER[arrow]
    if isinstance(arrow, pa.TimestampType):
        return "timestamp_ntz" if arrow.tz is None else "timestamp"
    if pa.types.is_decimal(arrow) and arrow.precision <= 38 and 0 <= arrow.scale <= arrow.precision:
        return f"decimal({arrow.precision},{arrow.scale})"
    if isinstance(arrow, pa.DictionaryType | pa.RunEndEncodedType):
        return spark_type(arrow.value_type)
    if isinstance(arrow, pa.MapType):
        return f"map<{spark_type(arrow.key_type)},{spark_type(arrow.item_type)}>"
    if isinstance(arrow, pa.StructType):
        return f"struct<{','.join(f'{field_name(f.name)}:{spark_type(f.type)}' for f in arrow)}>"
    if pa.types.is_fixed_size_binary(arrow):
        return "binary"
    if hasattr(arrow, "value_type"):  # lists of every kind
        return f"array<{spark_type(arrow.value_type)}>"
    raise UnsupportedType(f"no Spark type holds the Arrow type {arrow}; cast the column first.")


def arrow_type(spark: str) -> pa.DataType:
    """Return the Arrow type of a Spark SQL type, nested ones included; ``varchar`` and ``char`` are strings.
    UnsupportedType: not a type, or one that has no exact Arrow counterpart (interval, variant, collated strings)."""
    known = _ATOMS.get(spark)
    if known is not None:
        return known
    text = spark.strip()
    word = text.lower()
    atom = _ATOMS.get(_ALIASES.get(word, word))
    if atom is not None:
        return atom
    if _TEXT.fullmatch(word):
        return pa.string()
    decimal = _DECIMAL.fullmatch(word)
    if decimal:
        precision, scale = int(decimal[1] or 10), int(decimal[2] or 0)
        if 1 <= precision <= 38 and scale <= precision:
            return pa.decimal128(precision, scale)
    nested = re.fullmatch(r"(array|map|struct)\s*<(.*)>", text, re.DOTALL | re.IGNORECASE)
    if nested:
        built = _nested(nested[1].lower(), _parts(nested[2]))
        if built is not None:
            return built
    raise UnsupportedType(f"{spark!r} is not a Spark SQL type with an exact Arrow counterpart.")


def _nested(kind: str, parts: list[str]) -> pa.DataType | None:
    if kind == "array" and len(parts) == 1:
        return pa.list_(pa.field("element", arrow_type(parts[0])))
    if kind == "map" and len(parts) == 2:
        return pa.map_(arrow_type(parts[0]), arrow_type(parts[1]))
    if kind == "struct":
        fields = [_FIELD.fullmatch(part) for part in parts]
        if all(fields):
            return pa.struct([((f[1] or f[2]).replace("``", "`"), arrow_type(f[3])) for f in fields if f])
    return None


def _parts(text: str) -> list[str]:
    """Return what stands between the commas outside brackets and backquotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, character in enumerate(text):
        if character == "`":
            quoted = not quoted
        elif not quoted:
            depth += (character in "<(") - (character in ">)")
            if character == "," and depth == 0:
                parts.append(text[start:position])
                start = position + 1
    last = text[start:]
    return [*parts, last] if parts or last.strip() else []


def char_lengths(fields: Iterable[Any]) -> dict[str, int]:
    """Return the columns that were declared CHAR(n), with their n, of the fields of a schema of Spark or delta-rs."""
    declared = {field.name: str(field.metadata.get(_DECLARED, "")) for field in fields}
    return {name: int(kind[5:-1]) for name, kind in declared.items() if kind.startswith("char(")}


def field_name(name: str) -> str:
    """Return a struct field's name as it stands in a type string: quoted only where it must be."""
    return name if _PLAIN_NAME.fullmatch(name) else quoted_name(name)


def quoted_name(name: str) -> str:
    """Return one identifier quoted for Spark SQL."""
    return "`" + name.replace("`", "``") + "`"


def schema_of(schema: pa.Schema) -> Schema:
    """Return the Spark types of an Arrow schema, in column order; UnsupportedType names the column that has none."""
    return _each(spark_type, zip(schema.names, schema.types, strict=True))


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of Spark types, in column order, every column nullable; errors as :func:`schema_of`."""
    return pa.schema(_each(arrow_type, schema.items()))


def _each(convert: Callable[[Any], Any], types: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    converted = {}
    for name, kind in types:
        try:
            converted[name] = convert(kind)
        except UnsupportedType as error:
            raise UnsupportedType(f"column {name}: {error}") from error
    return converted
