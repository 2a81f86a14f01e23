"""The SQLite store as a file: made by the first write, one transaction per batch, damage, locks, other programs' files.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fstk.errors import InvalidInput, StoreUnavailable
from fstk.online import sqlite
from fstk.online.sqlite import SQLiteStore
from fstk.online.store import OnlineTable, Row
from tests.stores import got

TABLE = OnlineTable("t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub folder" / "online #1?.db"


def test_the_file_is_made_by_the_first_write(path: Path) -> None:
    with SQLiteStore(path) as store:
        assert (store.names(), store.table("t")) == ([], None)
        assert not path.exists()
        store.put_table(TABLE, None)
        assert path.exists()


@pytest.mark.parametrize(("code", "told"), [(sqlite3.SQLITE_BUSY, False), (sqlite3.SQLITE_IOERR, True)])
def test_only_another_process_at_work_may_keep_a_new_file_from_its_mode(code: int, told: bool) -> None:
    class Refusing(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("not now")
            error.sqlite_errorcode = code
            raise error

    with closing(sqlite3.connect(":memory:", factory=Refusing)) as db:
        if told:
            with pytest.raises(sqlite3.OperationalError):
                sqlite._write_ahead(db)
        else:
            sqlite._write_ahead(db)


def test_a_file_put_in_place_of_the_one_that_was_read_is_read(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    for file, value in ((path, b"one"), (other, b"two")):
        with SQLiteStore(file) as store:
            store.write(store.put_table(TABLE, None), [Row(b"a", 1, 1, 0, value)])
    with SQLiteStore(path) as store:
        table = store.table("t")
        assert table is not None
        assert got(store, table, [b"a"]) == [Row(b"a", 1, 1, 0, b"one")]
        other.rename(path)
        assert got(store, table, [b"a"]) == [Row(b"a", 1, 1, 0, b"two")]
        path.unlink()
        assert store.names() == []


def test_a_batch_that_fails_changes_nothing(path: Path) -> None:
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
        with pytest.raises(StoreUnavailable):
            store.write(table, [Row(b"a", 1, 1, 0, b""), Row(b"b", None, 1, 0, b"")])  # type: ignore[arg-type]
        assert store.count(table) == 0
        assert store.write(table, [Row(b"a", 1, 1, 0, b"")]).written == 1


def test_a_store_that_cannot_answer_is_an_error(tmp_path: Path, path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database, by far" * 100)
    with SQLiteStore(garbage) as store, pytest.raises(StoreUnavailable, match=r"garbage\.db did not answer"):
        store.table("t")
    (tmp_path / "file").write_text("")
    with SQLiteStore(tmp_path / "file" / "x.db") as store, pytest.raises(StoreUnavailable):
        store.put_table(TABLE, None)
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with SQLiteStore(path, busy_seconds=0.0) as store, pytest.raises(StoreUnavailable, match="locked"):
        store.write(table, [Row(b"k", 1, 1, 0, b"")])
    blocker.close()


def test_a_file_of_another_program_or_a_later_format_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("PRAGMA user_version = 7")
    other.close()
    with SQLiteStore(tmp_path / "other.db") as store:
        for ask in (store.names, lambda: store.put_table(TABLE, None)):
            with pytest.raises(InvalidInput, match="format 7"):
                ask()


def test_the_file_is_in_write_ahead_mode(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.put_table(TABLE, None)
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def _filled(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.write(store.put_table(TABLE, None), [Row(b"a", 1, 1, 0, b"one")])


def _read(path: Path) -> list[Row | None]:
    with SQLiteStore(path) as store:
        table = store.table("t")
        assert table is not None
        return got(store, table, [b"a"])


@pytest.fixture
def _nothing_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite fail to open a file as it does where it cannot make the two beside it, whoever runs the test."""
    real = sqlite._connection

    def connection(place: Path, options: str, busy_seconds: float) -> sqlite3.Connection:
        if options == "mode=rw" and "fstk-online-" not in str(place):
            return real(place.with_name("not there"), options, busy_seconds)
        return real(place, options, busy_seconds)

    monkeypatch.setattr(sqlite, "_connection", connection)


@pytest.mark.usefixtures("_nothing_beside")
def test_a_place_that_cannot_be_written_is_read(path: Path) -> None:
    _filled(path)
    assert not list(path.parent.glob("*-wal"))
    assert _read(path) == [Row(b"a", 1, 1, 0, b"one")]


@pytest.mark.usefixtures("_nothing_beside")
def test_what_lies_beside_the_file_is_read_there_too(path: Path, tmp_path: Path) -> None:
    _filled(path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("UPDATE fstk_rows SET value = 'two'")
    left = tmp_path / "left"  # as a killed writer leaves it
    left.mkdir()
    for file in path.parent.iterdir():
        if not file.name.endswith("-shm"):
            shutil.copy(file, left)
    writer.close()
    assert _read(left / path.name)[0] == Row(b"a", 1, 1, 0, "two")  # type: ignore[arg-type]
    assert sorted(file.name for file in left.iterdir()) == [path.name, f"{path.name}-wal"]


@pytest.mark.usefixtures("_nothing_beside")
def test_a_write_meanwhile_is_no_answer(path: Path) -> None:
    _filled(path)
    meanwhile = pytest.raises(StoreUnavailable, match="was written while it was read")
    with SQLiteStore(path) as store, meanwhile, store._reading():
        path.touch()
