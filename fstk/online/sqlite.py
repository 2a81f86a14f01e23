"""Online rows in one SQLite file: for one machine, with any number of processes reading and writing at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Self

from fstk.columns.instants import instant, microseconds
from fstk.errors import InvalidInput, StoreUnavailable, WriteConflict
from fstk.online.store import Counts, OnlineTable, Row, Watermark

_BUSY_SECONDS = 30.0  # how long one batch waits for other writers before the store counts as unavailable
_FORMAT = 1
_KEYS_A_QUERY = 500  # SQLite binds at most 999 values in old builds

# The order of a row stands beside its value, so that one statement compares and sets both.
_SCHEMA = """
CREATE TABLE fstk_tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    layouts INTEGER NOT NULL,
    version INTEGER,
    layout INTEGER,
    seen_to INTEGER,
    waiting INTEGER,
    filter_condition TEXT
);
CREATE TABLE fstk_rows (
    table_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    event_time INTEGER NOT NULL,
    version INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;
"""
_OFFERED = """
CREATE TEMP TABLE IF NOT EXISTS fstk_offered (
    key BLOB NOT NULL,
    event_time INTEGER NOT NULL,
    version INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    value BLOB NOT NULL
)
"""
_COUNT = """
WITH compared AS (
    SELECT held.key IS NULL AS fresh,
        (offered.event_time, offered.version, offered.layout) > (held.event_time, held.version, held.layout) AS newer,
        (offered.event_time, offered.version, offered.layout) = (held.event_time, held.version, held.layout) AS equal,
        (offered.event_time, offered.layout, offered.value) = (held.event_time, held.layout, held.value) AS same
    FROM temp.fstk_offered AS offered
    LEFT JOIN main.fstk_rows AS held ON held.table_id = ? AND held.key = offered.key
)
SELECT count(*) FILTER (WHERE fresh OR (newer AND NOT same)),
    count(*) FILTER (WHERE NOT fresh AND (equal OR (newer AND same))),
    count(*) FILTER (WHERE NOT fresh AND NOT equal AND NOT newer)
FROM compared
"""
_COMPARE_AND_SET = """
INSERT INTO main.fstk_rows
SELECT ?, key, event_time, version, layout, value FROM temp.fstk_offered WHERE true
ON CONFLICT (table_id, key) DO UPDATE SET
    event_time = excluded.event_time, version = excluded.version, layout = excluded.layout, value = excluded.value
WHERE (excluded.event_time, excluded.version, excluded.layout)
    > (fstk_rows.event_time, fstk_rows.version, fstk_rows.layout)
"""
_TABLE = "SELECT id, description, version, seen_to, waiting, filter_condition, layout FROM fstk_tables WHERE name = ?"


class SQLiteStore:
    """The store at ``path``; see :class:`fstk.online.store.OnlineStore`. One object serves one thread.

    The file is in WAL mode and is created by the first write. A batch is one transaction: killed half-way, it never
    happened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def names(self) -> list[str]:
        with self._reading() as db:
            return [] if db is None else [name for (name,) in db.execute("SELECT name FROM fstk_tables ORDER BY name")]

    def table(self, name: str) -> OnlineTable | None:
        with self._reading() as db:
            return None if db is None else _table(db, name)

    def put_table(self, table: OnlineTable, replaces: OnlineTable | None) -> OnlineTable:
        with self._writing() as db:
            held = _table(db, table.name)
            if (held is None) != (replaces is None) or (held and replaces and not held.same_as(replaces)):
                raise _changed(table.name)
            row = (_description(table), len(table.layouts), table.name)
            if held is None:
                db.execute("INSERT INTO fstk_tables (description, layouts, name) VALUES (?, ?, ?)", row)
            else:
                db.execute("UPDATE fstk_tables SET description = ?, layouts = ? WHERE name = ?", row)
            recorded = _table(db, table.name)
            assert recorded is not None
            return recorded

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        with self._writing() as db:
            _check_same(db, table)
            db.execute(_OFFERED)
            db.execute("DELETE FROM temp.fstk_offered")
            db.executemany("INSERT INTO temp.fstk_offered VALUES (?, ?, ?, ?, ?)", rows)
            counts = Counts(*db.execute(_COUNT, (int(table.generation),)).fetchone())
            db.execute(_COMPARE_AND_SET, (int(table.generation),))
            return counts

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        order = (watermark.version, watermark.layout, microseconds(watermark.seen_to))
        waiting = None if watermark.waiting is None else microseconds(watermark.waiting)
        with self._writing() as db:
            _check_same(db, table)
            db.execute(
                "UPDATE fstk_tables SET version = ?, layout = ?, seen_to = ?, waiting = ?, filter_condition = ? "
                "WHERE id = ? AND (version IS NULL OR (version, layout, seen_to) <= (?, ?, ?))",
                (*order, waiting, watermark.filter_condition, int(table.generation), *order),
            )

    def get(self, table: OnlineTable, keys: Sequence[bytes]) -> list[Row | None]:
        found: dict[bytes, Row] = {}
        with self._reading() as db:
            if db is not None:
                for start in range(0, len(keys), _KEYS_A_QUERY):
                    part = keys[start : start + _KEYS_A_QUERY]
                    marks = ", ".join("?" * len(part))
                    query = (
                        "SELECT key, event_time, version, layout, value FROM fstk_rows "
                        f"WHERE table_id = ? AND key IN ({marks})"
                    )
                    for row in db.execute(query, (int(table.generation), *part)):
                        found[row[0]] = Row(*row)
        return [found.get(key) for key in keys]

    def count(self, table: OnlineTable) -> int:
        with self._reading() as db:
            if db is None:
                return 0
            query = "SELECT count(*) FROM fstk_rows WHERE table_id = ?"
            return db.execute(query, (int(table.generation),)).fetchone()[0]

    def drop(self, table: OnlineTable) -> None:
        with self._writing() as db:
            db.execute("DELETE FROM fstk_rows WHERE table_id = ?", (int(table.generation),))
            db.execute("DELETE FROM fstk_tables WHERE id = ?", (int(table.generation),))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One moment's state of the file; None when there is no file, or nothing was ever published to it."""
        with self._translated():
            if not self.path.exists():
                yield None
                return
            db = self._connected("rw")
            if _format(db, self.url) == 0:
                yield None
                return
            with _transaction(db, "BEGIN"):
                yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that keeps other writers out; the file and its tables are made when missing."""
        with self._translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = self._connected("rwc")
            _write_ahead(db)
            with _transaction(db, "BEGIN IMMEDIATE"):
                if _format(db, self.url) == 0:
                    for statement in _SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {_FORMAT}")
                yield db

    def _connected(self, mode: str) -> sqlite3.Connection:
        if self._connection is None:
            uri = f"{self.path.absolute().as_uri()}?mode={mode}"
            db = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            self._connection = db
            # After a power cut the newest batches may be missing, watermark included; what is there is whole.
            db.execute("PRAGMA synchronous = NORMAL")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"online store {self.url} did not answer: {error}.") from error


def _write_ahead(db: sqlite3.Connection) -> None:
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # Another process is at work in a file that is still new. Everything holds in either mode; a later write turns
        # WAL on.
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _format(db: sqlite3.Connection, url: str) -> int:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, _FORMAT):
        raise InvalidInput(
            f"{url} is no online store of this fstk (format {found}, expected {_FORMAT}); name another file."
        )
    return found


def _check_same(db: sqlite3.Connection, table: OnlineTable) -> None:
    row = db.execute("SELECT layouts FROM fstk_tables WHERE id = ?", (int(table.generation),)).fetchone()
    if row is None or row[0] != len(table.layouts):
        raise _changed(table.name)


def _changed(name: str) -> WriteConflict:
    return WriteConflict(
        f"online table {name} was dropped, or got other features, while it was being published; publish again."
    )


def _description(table: OnlineTable) -> str:
    ttl = None if table.ttl is None else table.ttl // timedelta(microseconds=1)
    return json.dumps(
        {
            "source": table.source,
            "keys": table.keys,
            "timeseries_column": table.timeseries_column,
            "layouts": table.layouts,
            "ttl_microseconds": ttl,
        }
    )


def _table(db: sqlite3.Connection, name: str) -> OnlineTable | None:
    row = db.execute(_TABLE, (name,)).fetchone()
    if row is None:
        return None
    generation, description, version, seen_to, waiting, filter_condition, layout = row
    known = json.loads(description)
    ttl = known["ttl_microseconds"]
    table = OnlineTable(
        name=name,
        generation=str(generation),
        source=known["source"],
        keys=known["keys"],
        timeseries_column=known["timeseries_column"],
        layouts=tuple(known["layouts"]),
        ttl=None if ttl is None else timedelta(microseconds=ttl),
        watermark=None,
    )
    if version is None:
        return table
    later = None if waiting is None else instant(waiting)
    return replace(table, watermark=Watermark(version, instant(seen_to), later, filter_condition, layout))
