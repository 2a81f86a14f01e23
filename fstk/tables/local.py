"""Feature tables in folders, read by delta-rs: no JVM starts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import TableNotFoundError
from deltalake.table import TableMerger

from fstk.columns.instants import instants
from fstk.engines.base import CHANGE_FEED, CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION
from fstk.engines.buckets import stored_rows
from fstk.engines.delta import answered, open_delta
from fstk.engines.types import schema_of
from fstk.errors import AccessDenied, DamagedTable, FstkError, InvalidInput, InvalidName
from fstk.tables.history import Version, only_fstk, read_history, read_mark
from fstk.tables.lock import PATIENCE, exclusive
from fstk.tables.properties import APPENDED, from_properties
from fstk.tables.spec import FeatureTable
from fstk.warehouse import ready_warehouse, table_name

LOG = "_delta_log"


def is_table(folder: Path) -> bool:
    """Tell whether a folder holds a Delta table, whole or damaged; raises AccessDenied."""
    try:
        with os.scandir(folder / LOG) as entries:
            return any(entry.name[0].isdigit() for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise AccessDenied(f"{folder / LOG} may not be read: permission denied.") from error


def names_in(warehouse: Path) -> list[str]:
    """Return the names of the Delta tables of a warehouse, sorted, those that may not be read too; a folder inside a
    table is none. AccessDenied: the warehouse itself may not be read."""
    if warehouse.exists() and not os.access(warehouse, os.R_OK | os.X_OK):
        raise AccessDenied(f"warehouse {warehouse} may not be read: permission denied.")
    found = []
    for log in [*warehouse.glob(f"*/*/{LOG}"), *warehouse.glob(f"*/*/*/{LOG}")]:
        name = ".".join(log.parent.relative_to(warehouse).parts)
        if _reachable(name) and enclosing(warehouse, log.parent) is None:
            unreadable = not os.access(log, os.R_OK | os.X_OK)
            found += [name] if unreadable or is_table(log.parent) else []
    return sorted(found)


def enclosing(warehouse: Path, folder: Path) -> Path | None:
    """Return the folder of the table that ``folder`` lies inside of, if any."""
    above = [parent for parent in folder.parents if parent.is_relative_to(warehouse)]
    return next((parent for parent in above if (parent / LOG).exists()), None)


@contextmanager
def writing(warehouse: Path, name: str, folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of what is to be written at ``folder``, in a warehouse that is made where it is not there.
    InvalidInput: it cannot be written, or the folder lies inside a table; WriteConflict: another writer is at it."""
    ready_warehouse(warehouse)
    outer = enclosing(warehouse, folder)
    if outer is not None:
        raise InvalidInput(f"{name} would lie inside the table at {outer}; choose a name outside it.")
    with exclusive(folder, name, patience):
        yield


def read(name: str, folder: Path) -> FeatureTable | None:
    """Return the feature table at a folder, None when no feature table is there; raises DamagedTable, AccessDenied, and
    UnsupportedTable for one whose log only Spark reads."""
    if not is_table(folder):
        return None
    opened = _open(name, folder)
    with _answered(name):
        metadata, schema = opened.metadata(), schema_of(pa.schema(opened.schema().to_arrow()))
    table = from_properties(name, metadata.configuration, schema, metadata.partition_columns, metadata.description)
    if table is None:
        return None
    versions = _history(name, opened)
    return replace(
        table,
        version=opened.version(),
        rows=stored_rows(str(folder), opened.version()),
        location=str(folder),
        written_by_fstk=only_fstk(versions),
        versions=tuple(versions),
    )


def newest(name: str, folder: Path) -> int:
    """Return the newest version of the Delta table at a folder; raises as :func:`read`."""
    return _open(name, folder).version()


def history(name: str, folder: Path) -> list[Version]:
    """Return the versions of the Delta table at a folder, newest first; raises as :func:`read`."""
    return _history(name, _open(name, folder))


def marks(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return what each commit of the Delta table at a folder says of itself, newest first; raises as :func:`read`."""
    with _answered(name):
        return [read_mark(entry.get("userMetadata")) for entry in _open(name, folder).history()]


def append(name: str, folder: Path, rows: pa.Table, mark: str) -> None:
    """Append rows to the Delta table at a folder, which is made where it is not there, in one commit with ``mark``; new
    columns are added. For the holder of :func:`writing`. Raises as :func:`read`."""
    with _answered(name):
        deltalake.write_deltalake(
            folder,
            rows,
            mode="append",
            schema_mode="merge" if is_table(folder) else None,
            configuration=APPENDED,
            commit_properties=deltalake.CommitProperties(custom_metadata={"userMetadata": mark}),
        )


def store_copy(name: str, folder: Path, copy: Path, rows: pa.Table) -> None:
    """Write ``rows`` as a new Delta table at ``copy``, with the properties that fstk knows of the one at ``folder``.
    Changes, of a feature table or of one that was only appended to, are committed in their order, at their times; rows
    before an update are not among them. Raises as :func:`read`."""
    with _answered(name):
        known = _open(name, folder).metadata().configuration
        kept = {key: value for key, value in known.items() if key.startswith("fstk.")}
        own = [column for column in rows.column_names if column not in CHANGE_FEED]
        schema = rows.select(own).schema
        deltalake.DeltaTable.create(copy, schema, configuration=APPENDED | kept, raise_if_key_not_exists=False)
        if COMMIT_VERSION not in rows.column_names:
            deltalake.write_deltalake(copy, rows, mode="append")
            return
        table = from_properties(name, kept, schema_of(schema), (), None)
        keys = [] if table is None else table.keys
        numbers, done = rows.column(COMMIT_VERSION), 0
        for number in sorted(pc.unique(numbers).to_pylist()):
            changes = rows.filter(pc.equal(numbers, number))
            _commit(copy, changes.column(CHANGE_TYPE), changes.select(own), keys)
            newest = deltalake.DeltaTable(copy).version()
            for version in range(done, newest + 1):
                _set_time(copy, version, int(instants(changes.column(COMMIT_TIMESTAMP))[0][0]) // 1000)
            done = newest + 1


def _commit(folder: Path, kinds: pa.ChunkedArray, rows: pa.Table, keys: Sequence[str]) -> None:
    """Change a Delta table as the changes of one commit say."""
    gone = rows.filter(pc.equal(kinds, "delete"))
    come = rows.filter(pc.not_equal(kinds, "delete"))
    if gone.num_rows:
        _merge(folder, gone, keys).when_matched_delete().execute()
    if pc.any(pc.equal(kinds, "update_postimage")).as_py():
        _merge(folder, come, keys).when_matched_update_all().when_not_matched_insert_all().execute()
    elif come.num_rows:
        deltalake.write_deltalake(folder, come, mode="append")


def _merge(folder: Path, rows: pa.Table, keys: Sequence[str]) -> TableMerger:
    same = " AND ".join(f'old."{key}" = new."{key}"' for key in keys)
    return deltalake.DeltaTable(folder).merge(rows, same, source_alias="new", target_alias="old")


def _set_time(folder: Path, version: int, at: int) -> None:
    """Let a version of a Delta table have been committed ``at`` so many milliseconds after 1970: its commit says it to
    delta-rs, the file's own time to Spark."""
    file = folder / LOG / f"{version:020}.json"
    actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] = at
    file.write_text("".join(f"{json.dumps(action)}\n" for action in actions), encoding="utf-8")
    os.utime(file, ns=(at * 1_000_000, at * 1_000_000))


def file_sizes(folder: Path, name: str) -> dict[str, list[int]]:
    """Return the bytes of each file of the Delta table at a folder, by partition; raises as :func:`read`."""
    added = pa.RecordBatchReader.from_stream(_open(name, folder).get_add_actions()).read_all()
    sizes: dict[str, list[int]] = {}
    for path, size in zip(added.column("path").to_pylist(), added.column("size_bytes").to_pylist(), strict=True):
        sizes.setdefault(path.rpartition("/")[0], []).append(size)
    return sizes


def _reachable(name: str) -> bool:
    try:
        return table_name(name) == name
    except InvalidName:
        return False  # a hidden or foreign folder


def _open(name: str, folder: Path) -> deltalake.DeltaTable:
    # delta-rs passes over a commit that was cut to nothing, and then counts versions wrongly.
    empty = next((file for file in sorted((folder / LOG).glob("*.json")) if not file.stat().st_size), None)
    if empty is not None:
        raise DamagedTable(f"{name}: {empty.name} in its Delta log is empty; restore that file from a copy.")
    try:
        with _answered(name):
            return open_delta(str(folder))
    except DamagedTable as error:
        if isinstance(error.__cause__, TableNotFoundError):
            where = folder / LOG
            raise DamagedTable(f"{name}: {where} holds no version of the table; restore it from a copy.") from error
        raise


def _history(name: str, opened: deltalake.DeltaTable) -> list[Version]:
    try:
        with _answered(name):
            return read_history(opened.history())
    except (ValueError, KeyError) as error:
        if isinstance(error, FstkError):
            raise
        raise DamagedTable(f"{name}: its history cannot be read: {error}. Restore {LOG} from a copy.") from error


def _answered(name: str) -> AbstractContextManager[None]:
    return answered(name, f"{name}: its Delta log cannot be read", cure=f" Restore {LOG} from a copy.")
