"""A text beside a column of a frame, in the field's metadata: selecting, filtering and renaming keep it, what computes
another column of it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from fstk.engines.frames import is_spark

KEY = "fstk.definition"
"""Under which a field's metadata holds the text."""


def notes_of(data: Any) -> dict[str, str]:
    """Return the text beside each column of a Spark or Arrow frame that has one; frames of other kinds have none."""
    if is_spark(data):
        return {field.name: field.metadata[KEY] for field in data.schema.fields if KEY in (field.metadata or {})}
    if not isinstance(data, pa.Table | pa.RecordBatch):
        return {}
    return {f.name: f.metadata[KEY.encode()].decode() for f in data.schema if KEY.encode() in (f.metadata or {})}


def noted(table: pa.Table, notes: Mapping[str, str]) -> pa.Table:
    """Return an Arrow table with these texts beside its columns, and no others."""
    fields = []
    for field in table.schema:
        metadata = {key: value for key, value in (field.metadata or {}).items() if key != KEY.encode()}
        metadata |= {KEY.encode(): notes[field.name].encode()} if field.name in notes else {}
        fields.append(field.with_metadata(metadata or None))
    return pa.table(table.columns, schema=pa.schema(fields, table.schema.metadata))
