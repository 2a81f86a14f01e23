"""The SQLite store: order per key under any interleaving, one transaction per batch, kills, damage."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.errors import InvalidInput, StoreUnavailable, WriteConflict
from fstk.online import sqlite
from fstk.online.sqlite import SQLiteStore
from fstk.online.store import OnlineTable, Row, Watermark, verdict
from tests.generated import examples
from tests.online.publisher import offered

TABLE = OnlineTable(
    name="t",
    generation="",
    source="a-table",
    keys={"id": "bigint", "region": "string"},
    timeseries_column="at",
    layouts=({"x": "double"},),
    ttl=timedelta(days=30),
    watermark=None,
)
WIDER = replace(TABLE, layouts=({"x": "double"}, {"x": "double", "y": "decimal(10,2)"}))
T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub folder" / "online #1?.db"


def test_a_table_is_described_by_the_store_alone(path: Path) -> None:
    with SQLiteStore(path) as store:
        assert (store.names(), store.table("t")) == ([], None)
        assert not path.exists()
        put = store.put_table(TABLE, None)
    with SQLiteStore(path) as store:
        assert store.table("t") == put
        assert replace(put, generation="") == TABLE
        assert list(put.keys) == ["id", "region"]
        mark = Watermark(7, T0, T0 + timedelta(microseconds=1), "x > 1", 0)
        store.complete(put, mark)
        assert store.table("t") == replace(put, watermark=mark)
        assert store.names() == ["t"]


@pytest.mark.parametrize("older", [{"version": 6}, {"seen_to": T0 - timedelta(microseconds=1)}])
def test_a_watermark_never_goes_back(path: Path, older: dict[str, object]) -> None:
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
        newest = Watermark(7, T0, None, None, 0)
        store.complete(table, newest)
        store.complete(table, replace(newest, **older))
        held = store.table("t")
        assert held is not None
        assert held.watermark == newest


_ORDERS = st.tuples(st.integers(-3, 3), st.integers(0, 3), st.integers(0, 1), st.sampled_from([b"a", b"b"]))
_BATCHES = st.lists(st.dictionaries(st.sampled_from([b"i1", b"i2", b"i3"]), _ORDERS, max_size=3), max_size=8)


@settings(max_examples=examples(50), deadline=None)
@given(_BATCHES)
def test_any_sequence_of_batches_keeps_the_newest_row_of_each_key(batches: list[dict[bytes, tuple]]) -> None:
    with tempfile.TemporaryDirectory() as folder, SQLiteStore(Path(folder) / "o.db") as store:
        table = store.put_table(WIDER, None)
        held: dict[bytes, Row] = {}
        for batch in batches:
            rows = [Row(key, *order) for key, order in batch.items()]
            counts = store.write(table, rows)
            expected = {"written": 0, "unchanged": 0, "stale": 0}
            for row in rows:
                old = held.get(row.key)
                if old is None or (row.event_time, row.version, row.layout) > (old.event_time, old.version, old.layout):
                    moved = old is None or (row.event_time, row.layout, row.value) != (
                        old.event_time,
                        old.layout,
                        old.value,
                    )
                    expected["written" if moved else "unchanged"] += 1
                    held[row.key] = row
                elif (row.event_time, row.version, row.layout) == (old.event_time, old.version, old.layout):
                    expected["unchanged"] += 1
                else:
                    expected["stale"] += 1
            assert counts._asdict() == {**expected, "failed": 0}
        keys = [b"i3", b"i0", b"i1", b"i2", b"i3"]
        assert store.get(table, keys) == [held.get(key) for key in keys]
        assert store.count(table) == len(held)


@given(_ORDERS, _ORDERS)
def test_the_verdict_of_the_protocol_is_what_the_statement_does(one: tuple, two: tuple) -> None:
    old, new = Row(b"k", *one), Row(b"k", *two)
    assert verdict(new, None) == "written"
    said = verdict(new, old)
    assert (said == "stale") == (new[1:4] < old[1:4])
    assert (said == "written") == (new[1:4] > old[1:4] and (new[1], new[3], new[4]) != (old[1], old[3], old[4]))


def test_equal_event_time_and_newer_version_wins(path: Path) -> None:
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
        assert store.write(table, [Row(b"k", 5, 1, 0, b"one")]).written == 1
        assert store.write(table, [Row(b"k", 5, 2, 0, b"two")]).written == 1
        assert store.write(table, [Row(b"k", 5, 1, 0, b"one")]).stale == 1
        assert store.get(table, [b"k"]) == [Row(b"k", 5, 2, 0, b"two")]


def test_content_that_came_back_shuts_out_a_late_writer_of_the_version_between(path: Path) -> None:
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
        store.write(table, [Row(b"k", 5, 13, 0, b"x")])
        assert store.write(table, [Row(b"k", 5, 15, 0, b"x")]).unchanged == 1
        assert store.write(table, [Row(b"k", 5, 14, 0, b"y")]).stale == 1
        assert store.get(table, [b"k"]) == [Row(b"k", 5, 15, 0, b"x")]


def test_more_keys_than_one_query_binds(path: Path) -> None:
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
        rows = [Row(b"i%d" % i, i, 1, 0, b"%d" % i) for i in range(1201)]
        assert store.write(table, rows).written == 1201
        assert store.get(table, [row.key for row in reversed(rows)]) == list(reversed(rows))


def test_a_publisher_of_other_columns_or_of_a_dropped_table_stops(path: Path) -> None:
    with SQLiteStore(path) as store:
        narrow = store.put_table(TABLE, None)
        with pytest.raises(WriteConflict):
            store.put_table(TABLE, None)
        wide = store.put_table(replace(narrow, layouts=WIDER.layouts), narrow)
        with pytest.raises(WriteConflict):
            store.put_table(replace(narrow, layouts=WIDER.layouts), narrow)
        with pytest.raises(WriteConflict):
            store.write(narrow, [Row(b"k", 1, 9, 0, b"")])
        store.write(wide, [Row(b"k", 1, 1, 1, b"")])
        store.drop(wide)
        again = store.put_table(TABLE, None)
        assert again.generation != wide.generation
        assert store.get(again, [b"k"]) == [None]
        for stop in (
            lambda: store.write(wide, [Row(b"k", 1, 1, 1, b"")]),
            lambda: store.complete(wide, Watermark(1, T0, None, None, 1)),
        ):
            with pytest.raises(WriteConflict, match="dropped"):
                stop()


def test_a_batch_that_fails_changes_nothing(path: Path) -> None:
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
        with pytest.raises(StoreUnavailable):
            store.write(table, [Row(b"a", 1, 1, 0, b""), Row(b"b", None, 1, 0, b"")])  # type: ignore[arg-type]
        assert store.count(table) == 0
        assert store.write(table, [Row(b"a", 1, 1, 0, b"")]).written == 1


def test_a_store_that_cannot_answer_is_an_error(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.0)
    with SQLiteStore(path) as store, pytest.raises(StoreUnavailable, match="locked"):
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


def test_publishers_killed_and_retried_in_any_order_leave_the_newest_rows(path: Path) -> None:
    versions, keys = (1, 2, 3, 4), 400
    with SQLiteStore(path) as store:
        table = store.put_table(TABLE, None)
    choose = random.Random(7)
    running: dict[int, subprocess.Popen[str]] = {}
    kills = {version: 2 for version in versions}
    seen: dict[bytes, tuple[int, int]] = {}
    reads = 0
    try:
        for version in versions:
            running[version] = _start(path, version, keys, choose.random())
        with SQLiteStore(path) as reader:
            while running:
                version = choose.choice(sorted(running))
                process = running[version]
                assert process.stdout is not None
                line = process.stdout.readline()
                if line == "done\n":
                    assert process.wait() == 0
                    del running[version]
                elif kills[version] and choose.random() < 0.4:
                    kills[version] -= 1
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    process.stdout.close()
                    running[version] = _start(path, version, keys, choose.random())
                for row in reader.get(table, [b"i%d" % key for key in range(keys)]):
                    if row is not None:
                        reads += 1
                        order = (row.event_time, row.version)
                        assert row.value == b"%s/%d/%d" % (row.key[1:], *order)
                        assert seen.get(row.key, order) <= order
                        seen[row.key] = order
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    assert sum(kills.values()) < 2 * len(versions)
    assert reads
    newest: dict[bytes, Row] = {}
    for version in versions:
        for row in offered(version, keys):
            if row.key not in newest or row[1:3] > newest[row.key][1:3]:
                newest[row.key] = row
    with SQLiteStore(path) as store:
        assert store.get(table, list(newest)) == list(newest.values())
        assert store.count(table) == keys
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_many_processes_may_make_the_store_at_once(path: Path) -> None:
    names = [f"t{i}" for i in range(4)]
    started = [subprocess.Popen([sys.executable, "-m", "tests.online.publisher", str(path), name]) for name in names]
    assert [process.wait() for process in started] == [0] * len(names)
    with SQLiteStore(path) as store:
        assert store.names() == names


def _start(path: Path, version: int, keys: int, seed: float) -> subprocess.Popen[str]:
    arguments = [str(path), "t", str(version), str(keys), str(int(seed * 1e6))]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.online.publisher", *arguments], stdout=subprocess.PIPE, text=True
    )
