"""PySpark's type objects and fstk's type strings, each turned into the other, in one file that needs PySpark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import field_name

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType


def struct_type(struct: StructType) -> Schema:
    """Return the columns of a PySpark schema as type strings, nested field names quoted where they must be."""
    return {field.name: _spelled(field.dataType) for field in struct.fields}


def spark_schema(schema: pa.Schema) -> StructType:
    """Return an Arrow schema as a PySpark one; no session is needed."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


def _spelled(kind: DataType) -> str:
    from pyspark.sql import types

    if isinstance(kind, types.StructType):
        return f"struct<{','.join(f'{field_name(f.name)}:{_spelled(f.dataType)}' for f in kind.fields)}>"
    if isinstance(kind, types.ArrayType):
        return f"array<{_spelled(kind.elementType)}>"
    if isinstance(kind, types.MapType):
        return f"map<{_spelled(kind.keyType)},{_spelled(kind.valueType)}>"
    return kind.simpleString()
