"""PySpark's type objects and fstk's type strings, each turned into the other, in one file that needs PySpark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import field_name, spark_type

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType


def struct_type(struct: StructType) -> Schema:
    """Return the columns of a PySpark schema as type strings, nested field names quoted where they must be."""
    return {field.name: _spelled(field.dataType) for field in struct.fields}


def spark_schema(schema: pa.Schema) -> StructType:
    """Return an Arrow schema as a PySpark one; no session is needed."""
    from pyspark.sql import types

    return types.StructType([types.StructField(field.name, _built(field.type), True) for field in schema])


def _spelled(kind: DataType) -> str:
    from pyspark.sql import types

    if isinstance(kind, types.StructType):
        return f"struct<{','.join(f'{field_name(f.name)}:{_spelled(f.dataType)}' for f in kind.fields)}>"
    if isinstance(kind, types.ArrayType):
        return f"array<{_spelled(kind.elementType)}>"
    if isinstance(kind, types.MapType):
        return f"map<{_spelled(kind.keyType)},{_spelled(kind.valueType)}>"
    return kind.simpleString()


def _built(kind: pa.DataType) -> DataType:
    from pyspark.sql import types

    if isinstance(kind, pa.StructType):
        return types.StructType([types.StructField(f.name, _built(f.type), True) for f in kind])
    if isinstance(kind, pa.MapType):
        return types.MapType(_built(kind.key_type), _built(kind.item_type), True)
    if pa.types.is_list(kind):
        return types.ArrayType(_built(kind.value_type), True)
    if pa.types.is_decimal(kind):
        return types.DecimalType(kind.precision, kind.scale)
    plain = {
        "tinyint": types.ByteType,
        "smallint": types.ShortType,
        "int": types.IntegerType,
        "bigint": types.LongType,
        "float": types.FloatType,
        "double": types.DoubleType,
        "boolean": types.BooleanType,
        "string": types.StringType,
        "binary": types.BinaryType,
        "date": types.DateType,
        "timestamp": types.TimestampType,
        "timestamp_ntz": types.TimestampNTZType,
        "void": types.NullType,
    }
    return plain[spark_type(kind)]()
