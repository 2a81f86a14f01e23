"""The Parquet files of a Delta table as Arrow reads them: no page with a flipped bit, no row group in vain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.base import CHANGE_TYPE, Within
from fstk.errors import DamagedTable, UnsupportedType

_NANOS = 2**63 // 1000  # microseconds from 1970 that nanoseconds of 64 bits reach
_BATCH = 2**24  # rows: whole row groups, of which a value is taken faster than of many small pieces
_ORDERED = (pa.types.is_integer, pa.types.is_string, pa.types.is_date, pa.types.is_timestamp)


def rows(
    opened: deltalake.DeltaTable,
    name: str,
    columns: Sequence[str] | None,
    among: pc.Expression | None,
    within: Within,
) -> pa.Table:
    """Return ``columns`` (None for all) of the rows that satisfy ``among``; row groups whose statistics lie outside
    ``within`` are left out. DamagedTable: a file has another column in the place of one of the table's."""
    import pyarrow.dataset as ds  # brings pandas with it, which only a read should wait for
    import pyarrow.fs as fs

    # Spark writes INT96 times by default; read as nanoseconds they would be wrong before 1677 and after 2262.
    options = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")
    place = fs.SubTreeFileSystem(_folder(opened), fs.LocalFileSystem())
    dataset = opened.to_pyarrow_dataset(filesystem=place, parquet_read_options=options)
    wanted = _asked(dataset.schema, within, among)
    fragments = list(dataset.get_fragments(wanted))
    stored = set(dataset.schema.names).difference(opened.metadata().partition_columns)
    for fragment in fragments:
        _check_names(name, fragment, stored)
    if wanted is not None:
        fragments = [part for part in (whole.subset(wanted) for whole in fragments) if part.row_groups]
    return ds.FileSystemDataset(fragments, dataset.schema, dataset.format, dataset.filesystem).to_table(
        None if columns is None else list(columns),
        filter=among,
        batch_size=_BATCH,
        fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=True, page_checksum_verification=True),
    )


def current(opened: deltalake.DeltaTable) -> Iterator[Path]:
    """Yield the files of a table's version."""
    folder = opened.table_uri.removeprefix("file://")
    for uri in opened.file_uris():
        yield Path(unquote(folder) + uri.removeprefix(folder))  # delta-rs escapes the folder, and nothing after it


def changed(opened: deltalake.DeltaTable, since: int, until: int) -> Iterator[Path]:
    """Yield the files of the changes from version ``since`` to ``until``: a commit's own, or, where it has none, those
    that it added and removed."""
    folder = Path(_folder(opened))
    for version in range(since, until + 1):
        log = folder / "_delta_log" / f"{version:020}.json"
        actions = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        own = [action["cdc"] for action in actions if "cdc" in action]
        moved = [action[kind] for action in actions for kind in ("add", "remove") if kind in action]
        yield from (folder / unquote(file["path"]) for file in own or moved)


def check(files: Iterable[Path], name: str) -> None:
    """Read ``files`` that delta-rs is to read, which checks no page and takes times for nanoseconds.

    OSError: a page is not what was written; UnsupportedType: times in the INT96 format, Spark's default, outside the
    years 1677 to 2262.
    """
    import pyarrow.parquet as pq  # brings pandas with it, which only a read should wait for

    for path in filter(Path.is_file, files):
        with pq.ParquetFile(path, coerce_int96_timestamp_unit="us", page_checksum_verification=True) as file:
            parts = [file.schema.column(i) for i in range(len(file.schema))]
            old = {part.path for part in parts if part.physical_type == "INT96"}
            for batch in file.iter_batches():
                for column in old.intersection(batch.schema.names):
                    bounds = pc.min_max(batch.column(column).cast(pa.int64())).as_py()
                    if bounds["min"] is not None and (bounds["min"] < -_NANOS or bounds["max"] > _NANOS):
                        raise UnsupportedType(
                            f"{name}, column {column}: times before 1677 or after 2262 in an old format, which cannot "
                            "be read without Spark. Read it through a session, or rewrite the table with "
                            "fstk.connect()'s settings."
                        )


def _folder(opened: deltalake.DeltaTable) -> str:
    return unquote(opened.table_uri.removeprefix("file://"))


def _asked(schema: pa.Schema, within: Within, among: pc.Expression | None) -> pc.Expression | None:
    """Return what the statistics of files and row groups are held against."""
    for column, bounds in within.items():
        if not any(ordered(schema.field(column).type) for ordered in _ORDERED):
            continue  # of floating numbers NaN is in no statistics
        for bound, at_least in zip(bounds, (True, False), strict=True):
            if bound.is_valid:
                value = bound.cast(schema.field(column).type)
                one = pc.field(column) >= value if at_least else pc.field(column) <= value
                among = one if among is None else among & one
    return among


def _check_names(name: str, fragment: Any, stored: set[str]) -> None:
    """Refuse a file in whose footer, which no checksum covers, a column's name is not what was written: its values
    would read as nulls."""
    there = set(fragment.physical_schema.names)
    # A merge leaves the type of a change in the files, null in each row, and numbered rows have names of Delta's.
    strange = sorted(column for column in there - stored if column != CHANGE_TYPE and not column.startswith("_row-"))
    if strange and stored - there:
        raise DamagedTable(f"reading {name}: {fragment.path} has a column {strange[0]!r} that the table has not.")
