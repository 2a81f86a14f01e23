"""Online rows in one SQLite file: for one machine, with any number of processes reading and writing at once."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from fstk import settings
from fstk.errors import InvalidInput, StoreUnavailable
from fstk.online.store import (
    NO_FLOOR,
    Counts,
    OnlineTable,
    Row,
    Ttl,
    Wanted,
    Watermark,
    check_same,
    replaces,
    verdict,
)
from fstk.validated import validated

_FORMAT = 2
_READABLE = (1, 2)  # 1 had no floors
# What opening to read fails with where nothing can be written: no permission, a read-only place, a full disk.
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
_KEYS_A_QUERY = 500  # SQLite binds at most 999 values in old builds
_KEYS_A_PORTION = 5_000

# fstk_tables.layouts belongs to the format: earlier versions of fstk compare by it.
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
_FLOORS = """
CREATE TABLE fstk_floors (
    table_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID
"""
_TABLE = "SELECT id, description, version, layout, seen_to, waiting, filter_condition FROM fstk_tables WHERE name = ?"


@validated()
class SQLiteSpec:
    """An online store in one SQLite file, for any number of processes of one machine.

    Args:
        path: the file; a relative one starts at the project's root (where ``fstk.toml`` is, else the working folder).
        ttl: a published row expires when ``now > event time + ttl``. Only tables with a time column can have one.
            None leaves the table's as it is: none at first, then the one last published with.

    Raises:
        InvalidInput: an empty path, or a ``ttl`` that is not a ``datetime.timedelta`` above zero.

    >>> from datetime import timedelta
    >>> from fstk.online.spec import spec_of
    >>> spec_of("sqlite:////data/online.db?ttl=90d") == SQLiteSpec("/data/online.db", ttl=timedelta(days=90))
    True
    """

    forms: ClassVar[str] = (
        "sqlite:///folder/online.db (from the project's root) or sqlite:////folder/online.db (absolute)"
    )
    options: ClassVar[tuple[str, ...]] = ()

    path: str | Path = Field(description="the path of a file")
    ttl: Ttl = None

    def __post_init__(self) -> None:
        if str(self.path).strip() in {"", ":memory:"}:
            raise InvalidInput(f"path must be the path of a file; got {self.path!r}.")

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> Self:
        """Return the spec of ``sqlite://`` and ``place``; see :class:`fstk.online.spec.URLSpec`.

        >>> SQLiteSpec.from_url("//data/online.db", None, {})
        SQLiteSpec(path='/data/online.db', ttl=None)
        """
        path = place.removeprefix("/")
        if not place.startswith("/") or path in {"", "/", ":memory:"}:
            raise InvalidInput("it names no file")
        return cls(path, ttl)

    def open(self) -> SQLiteStore:
        """Return the store; the file is made by the first write.

        >>> with SQLiteSpec("online.db").open() as store:
        ...     store.names()
        []
        """
        return SQLiteStore(settings.root() / Path(self.path).expanduser())


class SQLiteStore:
    """The store at ``path``; see :class:`fstk.online.store.OnlineStore`. One object serves one thread at a time.

    The file is in WAL mode and is created by the first write. A batch is one transaction: killed half-way, it never
    happened. It waits ``busy_seconds`` for other writers before the store counts as unavailable.
    """

    def __init__(self, path: Path, busy_seconds: float = 30.0) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # what it is connected to

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

    def put_table(self, table: OnlineTable, seen: OnlineTable | None) -> OnlineTable:
        with self._writing() as db:
            check_same(table.name, _table(db, table.name), seen)
            db.execute(
                "INSERT INTO fstk_tables (name, description, layouts) VALUES (?, ?, ?) ON CONFLICT (name) "
                "DO UPDATE SET description = excluded.description, layouts = excluded.layouts",
                (table.name, table.description, len(table.layouts)),
            )
            recorded = _table(db, table.name)
            assert recorded is not None
            return recorded

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        with self._writing() as db:
            check_same(table.name, _table(db, table.name), table)
            keys = [row.key for row in rows]
            found, floors = _rows(db, table, keys), _floors(db, table, keys)
            beside = [(row, found.get(row.key), floors.get(row.key, NO_FLOOR)) for row in rows]
            db.executemany(
                "INSERT OR REPLACE INTO fstk_rows VALUES (?, ?, ?, ?, ?, ?)",
                ((int(table.generation), *row) for row, held, floor in beside if replaces(row, held, floor)),
            )
            return Counts.of(verdict(*one) for one in beside)

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        with self._writing() as db:
            held = _table(db, table.name)
            check_same(table.name, held, table)
            if held and held.watermark and watermark.order < held.watermark.order:
                return
            db.execute(
                "UPDATE fstk_tables SET version = ?, layout = ?, seen_to = ?, waiting = ?, filter_condition = ? "
                "WHERE id = ?",
                (*watermark.kept, int(table.generation)),
            )

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        with self._reading() as db:
            found = [{} if db is None else _rows(db, table, keys) for table, keys in wanted]
        return [[rows.get(key) for key in keys] for rows, (_, keys) in zip(found, wanted, strict=True)]

    def keys(self, table: OnlineTable) -> Iterator[list[bytes]]:
        last = [b""]
        first = ">="  # an empty key is one, too
        while last:
            with self._reading() as db:
                if db is None:
                    return
                query = f"SELECT key FROM fstk_rows WHERE table_id = ? AND key {first} ? ORDER BY key LIMIT ?"
                last = [key for (key,) in db.execute(query, (int(table.generation), last[-1], _KEYS_A_PORTION))]
            first = ">"
            if last:
                yield last

    def remove(self, table: OnlineTable, keys: Sequence[bytes], version: int) -> int:
        with self._writing() as db:
            check_same(table.name, _table(db, table.name), table)
            found = _rows(db, table, keys)
            gone = [key for key in keys if key in found and found[key].version <= version]
            table_id = int(table.generation)
            db.executemany("DELETE FROM fstk_rows WHERE table_id = ? AND key = ?", ((table_id, key) for key in gone))
            db.executemany(
                "INSERT INTO fstk_floors VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET version = max(version, excluded.version)",
                ((table_id, key, version) for key in keys),
            )
            return len(gone)

    def count(self, table: OnlineTable) -> int:
        with self._reading() as db:
            if db is None:
                return 0
            query = "SELECT count(*) FROM fstk_rows WHERE table_id = ?"
            return db.execute(query, (int(table.generation),)).fetchone()[0]

    def drop(self, table: OnlineTable) -> None:
        with self._writing() as db:
            for rows in ("fstk_rows", "fstk_floors"):
                db.execute(f"DELETE FROM {rows} WHERE table_id = ?", (int(table.generation),))
            db.execute("DELETE FROM fstk_tables WHERE id = ?", (int(table.generation),))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One moment's state of the file; None when there is no file, or nothing was ever published to it."""
        with self._translated(), ExitStack() as stack:
            if not self.path.exists():
                yield None
                return
            try:
                db = self._connected("rw")
                known = _format(db, self.url)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
                    raise
                self.__exit__()
                db = stack.enter_context(self._unwritable())
                known = _format(db, self.url)
            if known == 0:
                yield None
                return
            with _transaction(db, "BEGIN"):
                yield db

    @contextmanager
    def _unwritable(self) -> Iterator[sqlite3.Connection]:
        """The file where this process cannot write the two that SQLite keeps beside it: as it lies there, or, where a
        write is not moved into it yet, a copy of it."""
        log = self.path.with_name(f"{self.path.name}-wal")
        before = _stamps(self.path, log)
        with ExitStack() as stack:
            if before[1] is None or not before[1][1]:
                place, how = self.path, "immutable=1"
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fstk-online-"))
                place, how = Path(shutil.copy(self.path, folder)), "mode=rw"
                shutil.copy(log, folder)
            yield stack.enter_context(closing(_connection(place, how, self._busy_seconds)))
        if _stamps(self.path, log) != before:
            raise StoreUnavailable(f"online store {self.url} was written while it was read; read again.")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that keeps other writers out; the file and its tables are made when missing."""
        with self._translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = self._connected("rwc")
            _write_ahead(db)
            with _transaction(db, "BEGIN IMMEDIATE"):
                found = _format(db, self.url)
                if found < _FORMAT:
                    for statement in [*(_SCHEMA.split(";") if found == 0 else ()), _FLOORS]:
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {_FORMAT}")
                yield db

    def _connected(self, mode: str) -> sqlite3.Connection:
        if self._connection is not None and self._file != _identity(self.path):
            self.__exit__()  # another file has taken its place; a connection would go on reading the one that is gone
        if self._connection is None:
            self._connection = _connection(self.path, f"mode={mode}", self._busy_seconds)
            self._file = _identity(self.path)
            # After a power cut the newest batches may be missing, watermark included; what is there is whole.
            self._connection.execute("PRAGMA synchronous = NORMAL")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"online store {self.url} did not answer: {error}.") from error


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name, None where there is none."""
    with suppress(FileNotFoundError):
        found = file.stat()
        return found.st_dev, found.st_ino
    return None


def _stamps(*files: Path) -> list[tuple[int, int] | None]:
    """Return when each file was last written and its size, None where it is not there."""
    found = [file.stat() if file.exists() else None for file in files]
    return [None if one is None else (one.st_mtime_ns, one.st_size) for one in found]


def _connection(path: Path, options: str, busy_seconds: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    # Threads take turns at a store; its connection need not be of the one that reads or closes it.
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)


def _write_ahead(db: sqlite3.Connection) -> None:
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # Another process is at work in a file that is still new. Either mode will do; a later write turns WAL on.
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
    if found not in (0, *_READABLE):
        expected = f"format {found}, expected {_FORMAT}"
        raise InvalidInput(f"{url} is no online store of this fstk ({expected}); name another file.")
    return found


def _rows(db: sqlite3.Connection, table: OnlineTable, keys: Sequence[bytes]) -> dict[bytes, Row]:
    columns = "key, event_time, version, layout, value FROM fstk_rows"
    return {row[0]: Row(*row) for row in _of_keys(db, columns, table, keys)}


def _floors(db: sqlite3.Connection, table: OnlineTable, keys: Sequence[bytes]) -> dict[bytes, int]:
    return dict(_of_keys(db, "key, version FROM fstk_floors", table, keys))


def _of_keys(db: sqlite3.Connection, columns: str, table: OnlineTable, keys: Sequence[bytes]) -> Iterator[tuple]:
    for start in range(0, len(keys), _KEYS_A_QUERY):
        part = keys[start : start + _KEYS_A_QUERY]
        query = f"SELECT {columns} WHERE table_id = ? AND key IN ({', '.join('?' * len(part))})"
        yield from db.execute(query, (int(table.generation), *part))


def _table(db: sqlite3.Connection, name: str) -> OnlineTable | None:
    row = db.execute(_TABLE, (name,)).fetchone()
    if row is None:
        return None
    generation, description, *kept = row
    return OnlineTable.of(name, str(generation), description, Watermark.of(kept))
