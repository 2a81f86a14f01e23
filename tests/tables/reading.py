"""What a table holds, read by others than fstk and Spark: delta-rs for the log, DuckDB for the files."""

from __future__ import annotations

from typing import Any

import deltalake
import duckdb

from fstk.tables.spec import FeatureTable


def rows(table: FeatureTable, order: str, version: int | None = None) -> list[dict[str, Any]]:
    """Return the rows of a local table, ordered by SQL, as plain values; the table must have no partitions."""
    assert table.location is not None
    files = deltalake.DeltaTable(table.location, version=version).file_uris()
    if not files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = f"SELECT * FROM read_parquet($files, union_by_name=true) ORDER BY {order}"
        found = connection.execute(query, {"files": files})
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def newest_commit(table: FeatureTable) -> dict[str, Any]:
    """Return what the newest commit says of itself."""
    assert table.location is not None
    return deltalake.DeltaTable(table.location).history(1)[0]
