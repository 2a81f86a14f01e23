"""Feature tables for tests, written by delta-rs so that no JVM is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa

from fstk.engines.types import arrow_schema
from fstk.tables.spec import FeatureTable

SCHEMA = {"id": "bigint", "at": "timestamp", "n": "bigint", "word": "string"}
"""Of a table of numbers and words, by key and day."""


def day(number: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)


def row(key: int, at: int, n: int | None, word: str | None = None) -> dict[str, Any]:
    return {"id": key, "at": day(at), "n": n, "word": word}


class Made:
    """A feature table that a test writes to, version by version."""

    def __init__(
        self,
        folder: Path,
        schema: dict[str, str],
        keys: tuple[str, ...],
        time: str | None,
        *,
        name: str = "s.t",
        feed: bool = True,
    ) -> None:
        self.folder, self.schema, self.keys, self.time, self.name = str(folder), schema, keys, time, name
        empty = arrow_schema(schema).empty_table()
        configuration = {"delta.enableChangeDataFeed": "true"} if feed else None
        deltalake.write_deltalake(self.folder, empty, configuration=configuration)

    def append(self, *rows: dict[str, Any]) -> FeatureTable:
        """Add rows as they are; return the table."""
        table = pa.Table.from_pylist(list(rows), schema=arrow_schema(self.schema))
        deltalake.write_deltalake(self.folder, table, mode="append")
        return self.at()

    def merge(self, *rows: dict[str, Any]) -> FeatureTable:
        """Insert or replace rows by keys and time; return the table."""
        names = [*self.keys, *([self.time] if self.time else [])]
        table = pa.Table.from_pylist(list(rows), schema=arrow_schema(self.schema))
        same = " AND ".join(f"t.{name} = s.{name}" for name in names)
        merged = deltalake.DeltaTable(self.folder).merge(table, same, source_alias="s", target_alias="t")
        merged.when_matched_update_all().when_not_matched_insert_all().execute()
        return self.at()

    def delete(self, predicate: str) -> FeatureTable:
        """Delete rows; return the table."""
        deltalake.DeltaTable(self.folder).delete(predicate)
        return self.at()

    def at(self, version: int | None = None) -> FeatureTable:
        """Return the table as it stands, or stood."""
        opened = deltalake.DeltaTable(self.folder, version=version)
        return FeatureTable(
            name=self.name,
            primary_keys=self.keys,
            timeseries_column=self.time,
            schema=self.schema,
            version=opened.version(),
            rows=None,
            location=self.folder,
        )
