"""What is read online is what the feature table holds, as DuckDB sees it in the Parquet files."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fstk.engines.base import Engine
from fstk.engines.direct import DirectEngine
from fstk.errors import DamagedTable, InvalidInput, StoreUnavailable, UnknownTable
from fstk.online.codec import RowCodec
from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.read import read_online
from fstk.online.spec import OnlineSpec, SQLiteSpec
from fstk.online.store import OnlineStore
from tests.generated import examples
from tests.online.tables import Made
from tests.stores import overwritten, with_ttl

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
    _published_twice(engine, SQLiteSpec(tmp_path / "o.db"), tmp_path)


def test_every_type_reads_the_same_from_every_store(spec: OnlineSpec, tmp_path: Path) -> None:
    _published_twice(DirectEngine(), spec, tmp_path)


def _published_twice(engine: Engine, spec: OnlineSpec, tmp_path: Path) -> None:
    choose = random.Random(11)
    made = Made(tmp_path / "t", SCHEMA, ("id", "name"), "at")
    names = ["a", "A", "a|", "1", ""]
    for version in range(2):
        rows = [_row(choose, key, name, 2 * at + version) for key in range(8) for name in names for at in range(3)]
        table = made.append(*choose.sample(rows, len(rows)))
        report = publish(table, spec, engine=engine)
        assert (report.written, report.failed) == (40, 0)
        offline = _newest(made.folder, table.version)
        keys = [{"id": key, "name": name} for key, name in offline]
        read = read_online("s.t", keys, store=spec)
        assert [_spelled(row) for row in read] == [_spelled(row) for row in offline.values()]
        parity = check_parity(table, spec, engine=engine)
        assert (parity.ok, parity.equal, parity.keys, parity.source_version) == (True, 40, 40, table.version)


_KEYS = st.integers(0, 4)
_WRITES = st.lists(st.tuples(_KEYS, st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=6)
_STEPS = st.lists(st.tuples(_WRITES, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=2)), max_size=4)
_NUMBERS = itertools.count()


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
@example([([(0, 1, 0)], [(0, 1)]), ([(0, 0, 0)], [(0, 0)])])  # a late row, published up to an earlier instant
@pytest.mark.slow
def test_after_any_publications_the_last_one_leaves_the_newest_rows(
    spec: OnlineSpec, tmp_path: Path, steps: list[Any]
) -> None:
    """Versions are published late, twice, never, or up to an earlier instant; then the newest once, up to the end."""
    name = f"s.t{next(_NUMBERS)}"
    made = Made(tmp_path / name, {"id": "bigint", "at": "timestamp", "n": "int"}, ("id",), "at", name=name)
    rows: dict[tuple[int, int], int] = {}
    for writes, publications in steps:
        upserts = {(key, at): n for key, at, n in writes}
        rows |= upserts
        made.merge(*({"id": k, "at": START + timedelta(hours=at), "n": n} for (k, at), n in upserts.items()))
        for back, until in publications:
            version = max(0, made.at().version - back)
            publish(made.at(version), spec, as_of=START + timedelta(hours=until))
    publish(made.at(), spec, as_of=START + timedelta(hours=6))
    newest = {key: n for (key, _), n in sorted(rows.items())}
    read = read_online(name, [{"id": key} for key in range(5)], store=spec)
    assert {row["id"]: row["n"] for row in read} == {key: newest.get(key) for key in range(5)}
    assert check_parity(made.at(), spec).ok


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "t", {"id": "bigint", "at": "timestamp", "x": "double"}, ("id",), "at")


def test_each_kind_of_difference_is_counted_and_named(made: Made, spec: OnlineSpec, store: OnlineStore) -> None:
    table = made.append(*({"id": key, "at": START, "x": 0.0} for key in range(9)))
    publish(table, spec)
    online = store.table("s.t")
    assert online is not None
    store.remove(online, [b"i1"], 9)
    overwritten(store, b"i2", lambda row: row._replace(event_time=row.event_time + 1))
    overwritten(store, b"i3", lambda row: row._replace(value=row.value.replace(b"\xcb\x00", b"\xcb\x80")))
    overwritten(store, b"i4", lambda row: row._replace(key=b"i99"))
    store.remove(online, [b"i4"], 1)
    overwritten(store, b"i5", lambda row: row._replace(value=RowCodec({"x": "bigint"}).encode(pa.table({"x": [0]}))[0]))
    overwritten(store, b"i6", lambda row: row._replace(value=b"\xc1"))
    overwritten(store, b"i7", lambda row: row._replace(value=RowCodec({}).encode(pa.table({"x": [0]}))[0]))
    report = check_parity(table, spec)
    assert (report.ok, report.equal, report.different, report.missing) == (False, 2, 5, 2)
    assert (report.kept, report.gone, report.gone_keys, report.expired) == (1, 1, ("id=99",), 0)
    found = {d.key: (d.feature, d.offline, d.online) for d in report.differences}
    unreadable = {key: found.pop(key) for key in ("id=6", "id=7")}
    assert found == {
        "id=1": (None, "there", None),
        "id=2": ("at", START, START + timedelta(microseconds=1)),
        "id=3": ("x", 0.0, -0.0),
        "id=4": (None, "there", None),
        "id=5": ("x", 0.0, 0),
    }
    assert all("unreadable: an online row is not as it was written" in there for _, _, there in unreadable.values())
    shown = repr(report)
    assert "2 equal · 5 different · 2 missing online" in shown
    assert "1 online rows have a key that is gone offline: id=99. fstk publish s.t --prune removes them." in shown
    lines = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in shown.splitlines() if "id=" in line}
    assert lines["id=3"].split() == ["x", "0.0", "-0.0"]
    assert lines["id=5"].split() == ["x", "0.0", "(float)", "0", "(int)"]
    with pytest.raises(DamagedTable, match="not as it was written"):
        read_online("s.t", [{"id": 6}], store=spec)


def test_one_wrong_bit_among_many_rows_is_found(
    tmp_path: Path, spec: OnlineSpec, store: OnlineStore, share: float
) -> None:
    count = round(20_000 * share**2)
    wrong = count - 7
    made = Made(tmp_path / "many", {"id": "bigint", "a": "double", "b": "string"}, ("id",), None)
    table = made.append(*({"id": key, "a": key / 7, "b": f"word {key}"} for key in range(count)))
    publish(table, spec)
    assert check_parity(table, spec).ok

    def flipped(value: bytes) -> bytes:
        return value[:9] + bytes([value[9] ^ 1]) + value[10:]

    overwritten(store, b"i%d" % wrong, lambda row: row._replace(value=flipped(row.value)))
    told: list[tuple[int, int | None]] = []
    report = check_parity(table, spec, progress=lambda *state: told.append(state))
    assert (report.equal, report.different, report.missing, report.keys) == (count - 1, 1, 0, count)
    [difference] = report.differences
    assert (difference.key, difference.feature, difference.offline) == (f"id={wrong}", "a", wrong / 7)
    assert told == [(min(done, count), count) for done in range(5_000, count + 5_000, 5_000)]


def test_a_sample_is_of_the_keys_that_its_seed_chooses(made: Made, spec: OnlineSpec, store: OnlineStore) -> None:
    table = made.append(*({"id": key, "at": START, "x": 0.0} for key in range(300)))
    publish(table, spec)
    online = store.table("s.t")
    assert online is not None
    store.remove(online, [b"i%d" % key for key in range(0, 300, 2)], 1)

    def missing(**arguments: Any) -> tuple[int, tuple[str, ...]]:
        report = check_parity(table, spec, sample=40, **arguments)
        assert (report.equal + report.missing, report.keys, report.kept) == (40, 300, 0)
        assert f"40 of 300 keys, chosen at random (seed {report.seed})" in repr(report)
        return report.missing, tuple(one.key for one in report.differences)

    assert missing(seed=1) == missing(seed=1)
    assert missing(seed=1) != missing(seed=2)
    assert len({missing()[1] for _ in range(3)}) > 1
    assert 5 < missing(seed=3)[0] < 35
    everything = check_parity(table, spec, sample=1_000, seed=0)
    assert (everything.equal, everything.missing) == (150, 150)
    for sample, seed in ((0, None), (-1, 1), (None, 1)):
        with pytest.raises(InvalidInput, match="sample"):
            check_parity(table, spec, sample=sample, seed=seed)


def test_expired_rows_are_told(made: Made, spec: OnlineSpec) -> None:
    table = made.append(*({"id": key, "at": START + timedelta(days=key * 20_000), "x": 0.0} for key in range(3)))
    publish(table, with_ttl(spec, timedelta(days=1)), as_of=START + timedelta(days=100_000))
    report = check_parity(table, spec)
    assert (report.ok, report.equal, report.expired) == (True, 3, 1)
    assert "1 of the online rows are expired, and read as missing." in repr(report)


def test_parity_is_with_the_published_version_not_the_newest(tmp_path: Path, spec: OnlineSpec) -> None:
    made = Made(tmp_path / "t", {"id": "bigint", "n": "int"}, ("id",), None)
    with pytest.raises(UnknownTable):
        check_parity(made.at(), spec)
    publish(made.append({"id": 1, "n": 1}), spec)
    table = made.merge({"id": 1, "n": 2}, {"id": 2, "n": 2})
    assert check_parity(table, spec).ok


def test_a_publication_that_was_never_completed_has_no_parity(
    made: Made, spec: OnlineSpec, adapter: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(adapter, "complete", lambda *_: None)
        publish(made.append({"id": 1, "at": START, "x": 1.0}), spec)
    with pytest.raises(StoreUnavailable, match="publish again"):
        check_parity(made.at(), spec)
