"""What is read online is what the feature table holds, as DuckDB sees it in the Parquet files."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fstk.engines.base import Engine
from fstk.errors import StoreUnavailable, UnknownTable
from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.read import read_online
from fstk.online.spec import SQLiteSpec
from tests.generated import examples
from tests.online.tables import Made

SCHEMA = {
    "id": "bigint",
    "name": "string",
    "at": "timestamp",
    "big": "bigint",
    "price": "decimal(20,4)",
    "share": "double",
    "flag": "boolean",
    "seen": "timestamp",
    "wall": "timestamp_ntz",
    "born": "date",
    "raw": "binary",
    "tags": "array<string>",
    "pair": "struct<a:int,b:array<double>>",
    "counts": "map<string,bigint>",
    "small": "float",
    "tiny": "tinyint",
}
START = datetime(2024, 1, 1, tzinfo=UTC)


def _row(choose: random.Random, key: int, name: str, at: int) -> dict[str, Any]:
    def sometimes(value: Any) -> Any:
        return None if choose.random() < 0.2 else value

    moment = START + timedelta(microseconds=choose.randrange(-(10**15), 10**15))
    share = choose.choice([0.1, -0.0, float("nan"), float("inf"), 1e300, 5e-324])
    return {
        "id": key,
        "name": name,
        "at": START + timedelta(hours=at),
        "big": sometimes(choose.randrange(2**53, 2**63)),
        "price": sometimes(Decimal(choose.randrange(-(10**20) + 1, 10**20)).scaleb(-4)),
        "share": sometimes(share),
        "flag": sometimes(choose.random() < 0.5),
        "seen": sometimes(moment),
        "wall": sometimes(moment.replace(tzinfo=None)),
        "born": sometimes(moment.date()),
        "raw": sometimes(choose.randbytes(3)),
        "tags": sometimes([sometimes(choose.choice(["a", "ü", ""])) for _ in range(choose.randrange(3))]),
        "pair": sometimes({"a": sometimes(7), "b": sometimes([sometimes(share)])}),
        "counts": sometimes([("x", sometimes(choose.randrange(2**60))), ("y", 1)][: choose.randrange(3)]),
        "small": sometimes(choose.choice([0.5, -0.0, 0.10000000149011612])),
        "tiny": sometimes(choose.randrange(-128, 128)),
    }


def _newest(folder: str, version: int) -> dict[tuple[int, str], dict[str, Any]]:
    """The newest row of each key by DuckDB."""
    files = deltalake.DeltaTable(folder, version=version).file_uris()
    features = ", ".join(name for name in SCHEMA if name not in ("id", "name", "at"))
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        query = (
            f"SELECT id, name, {features} FROM read_parquet($files) "
            'QUALIFY row_number() OVER (PARTITION BY id, name ORDER BY "at" DESC) = 1'
        )
        result = db.execute(query, {"files": files})
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, values, strict=True)) for values in result.fetchall()]
    return {(row["id"], row["name"]): row for row in rows}


def _spelled(row: dict[str, Any]) -> str:
    """Values with their types; an instant without the class of its zone."""
    return repr({name: value.astimezone(UTC) if name == "seen" and value else value for name, value in row.items()})


@pytest.mark.transport
def test_every_type_reads_online_as_another_reader_sees_it_offline(engine: Engine, tmp_path: Path) -> None:
    choose = random.Random(11)
    made = Made(tmp_path / "t", SCHEMA, ("id", "name"), "at")
    store = SQLiteSpec(tmp_path / "o.db")
    names = ["a", "A", "a|", "1", ""]
    for version in range(2):
        rows = [_row(choose, key, name, 2 * at + version) for key in range(8) for name in names for at in range(3)]
        table = made.append(*choose.sample(rows, len(rows)))
        report = publish(table, store, engine=engine)
        assert (report.written, report.failed) == (40, 0)
        offline = _newest(made.folder, table.version)
        keys = [{"id": key, "name": name} for key, name in offline]
        read = read_online("s.t", keys, store=store)
        assert [_spelled(row) for row in read] == [_spelled(row) for row in offline.values()]
        parity = check_parity(table, store, engine=engine)
        assert (parity.ok, parity.equal, parity.source_version) == (True, 40, table.version)


_KEYS = st.integers(0, 4)
_WRITES = st.lists(st.tuples(_KEYS, st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=6)
_STEPS = st.lists(st.tuples(_WRITES, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=2)), max_size=4)


@settings(max_examples=examples(25), deadline=None)
@given(_STEPS)
@example([([(0, 1, 0)], [(0, 1)]), ([(0, 0, 0)], [(0, 0)])])  # a late row, published up to an earlier instant
@pytest.mark.slow
def test_after_any_publications_the_last_one_leaves_the_newest_rows(steps: list[Any]) -> None:
    """Versions are published late, twice, never, or up to an earlier instant; then the newest once, up to the end."""
    with tempfile.TemporaryDirectory() as folder:
        made = Made(Path(folder) / "t", {"id": "bigint", "at": "timestamp", "n": "int"}, ("id",), "at")
        store = SQLiteSpec(Path(folder) / "o.db")
        rows: dict[tuple[int, int], int] = {}
        for writes, publications in steps:
            upserts = {(key, at): n for key, at, n in writes}
            rows |= upserts
            made.merge(*({"id": k, "at": START + timedelta(hours=at), "n": n} for (k, at), n in upserts.items()))
            for back, until in publications:
                version = max(0, made.at().version - back)
                publish(made.at(version), store, as_of=START + timedelta(hours=until))
        publish(made.at(), store, as_of=START + timedelta(hours=6))
        newest = {key: n for (key, _), n in sorted(rows.items())}
        read = read_online("s.t", [{"id": key} for key in range(5)], store=store)
        assert {row["id"]: row["n"] for row in read} == {key: newest.get(key) for key in range(5)}
        assert check_parity(made.at(), store).ok


def test_each_kind_of_difference_is_counted_and_named(tmp_path: Path) -> None:
    made = Made(tmp_path / "t", {"id": "bigint", "at": "timestamp", "x": "double"}, ("id",), "at")
    store = SQLiteSpec(tmp_path / "o.db")
    table = made.append(*({"id": key, "at": START, "x": 0.0} for key in range(6)))
    publish(table, store)
    with sqlite3.connect(store.path) as db:
        db.execute("DELETE FROM fstk_rows WHERE key = ?", (b"i1",))
        db.execute("UPDATE fstk_rows SET event_time = event_time + 1 WHERE key = ?", (b"i2",))
        [value] = db.execute("SELECT value FROM fstk_rows WHERE key = ?", (b"i3",)).fetchone()
        db.execute("UPDATE fstk_rows SET value = ? WHERE key = ?", (value.replace(b"\xcb\x00", b"\xcb\x80"), b"i3"))
        db.execute("UPDATE fstk_rows SET key = ? WHERE key = ?", (b"i99", b"i4"))
    report = check_parity(table, store)
    assert (report.ok, report.equal, report.different, report.missing, report.kept) == (False, 2, 2, 2, 1)
    assert [(d.key, d.feature, d.offline, d.online) for d in report.differences] == [
        ("id=1", None, "there", None),
        ("id=2", "at", START, START + timedelta(microseconds=1)),
        ("id=3", "x", 0.0, -0.0),
        ("id=4", None, "there", None),
    ]
    shown = repr(report)
    assert "2 equal · 2 different · 2 missing online" in shown
    assert "1 online rows have a key that is not offline" in shown


def test_parity_is_with_the_published_version_not_the_newest(tmp_path: Path) -> None:
    made = Made(tmp_path / "t", {"id": "bigint", "n": "int"}, ("id",), None)
    store = SQLiteSpec(tmp_path / "o.db")
    with pytest.raises(UnknownTable):
        check_parity(made.at(), store)
    publish(made.append({"id": 1, "n": 1}), store)
    table = made.merge({"id": 1, "n": 2}, {"id": 2, "n": 2})
    assert check_parity(table, store).ok


def test_a_publication_that_was_never_completed_has_no_parity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(tmp_path / "t", {"id": "bigint", "n": "int"}, ("id",), None)
    store = SQLiteSpec(tmp_path / "o.db")
    with monkeypatch.context() as patch:
        patch.setattr("fstk.online.sqlite.SQLiteStore.complete", lambda *_: None)
        publish(made.append({"id": 1, "n": 1}), store)
    with pytest.raises(StoreUnavailable, match="publish again"):
        check_parity(made.at(), store)
