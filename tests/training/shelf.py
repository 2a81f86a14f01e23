"""A folder of feature tables for tests, written by delta-rs: no session is needed, and duplicates are let through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import deltalake
import pyarrow as pa

from fstk.engines.types import schema_of
from fstk.tables.configured import open_catalog
from fstk.tables.spec import FeatureTable, define


class Shelf:
    """Finds tables by name, as a catalog does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tables: dict[str, FeatureTable] = {}

    def add(
        self, name: str, rows: pa.Table, keys: Sequence[str], time: str | None = None, *, unique: bool = True
    ) -> FeatureTable:
        """Write a table, or append to it; ``unique`` lets it pass for one that fstk wrote."""
        location = str(self.folder / name)
        on = {"delta.enableChangeDataFeed": "true"}
        deltalake.write_deltalake(location, rows, mode="append", configuration=on)
        definition = define(name, keys, schema_of(rows.schema), timeseries_column=time)
        version = deltalake.DeltaTable(location).version()
        table = FeatureTable(**vars(definition), version=version, location=location, written_by_fstk=unique)
        self._tables[table.name] = table
        return table

    def get(self, name: str) -> FeatureTable:
        """Return a table of the shelf; what becomes of any other name is for the real catalog to say."""
        return self._tables[name] if name in self._tables else open_catalog().get(name)
