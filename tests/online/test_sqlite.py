"""The SQLite store as a file: made by the first write, one transaction per batch, damage, locks, other programs' files.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fstk.errors import InvalidInput, StoreUnavailable
from fstk.online.sqlite import SQLiteStore
from fstk.online.store import OnlineTable, Row

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
