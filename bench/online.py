"""``python -m bench online``: reading and publishing online rows, beside a bare client of the same server, and in Redis
beside Feast.

Reads are an open loop: each has its moment, at twice the median of fstk's own, and its latency counts from that moment,
whatever the reads before it took. Server and client have a core each where there are two.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import msgspec
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import redis

from bench.feast_env import NoFeast, feast, quiet
from bench.report import machine
from fstk.display import Displayed, Sheet
from fstk.online.codec import RowCodec
from fstk.online.publish import publish
from fstk.online.reader import OnlineReader
from fstk.online.redis import RedisSpec
from fstk.online.spec import OnlineSpec, SQLiteSpec
from fstk.online.store import OnlineTable, Row
from tests.online.tables import Made
from tests.servers.postgres import DATABASE, PASSWORD, USER, postgres
from tests.servers.redis import redis_server

_FEATURES = {f"f{number}": "double" for number in range(50)}
_TABLES = 5
_BATCH = 5_000
_PATIENCE = 1_200  # seconds of a process of Feast
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = tuple(_FEATURES)
_decode = msgspec.msgpack.Decoder(list).decode

Bare = tuple[Callable[[Sequence[bytes]], object], Callable[[Sequence[Row]], object]]
"""What reads the rows of keys into dicts, and what writes rows, with nothing but the store's own client."""


@dataclass(frozen=True)
class Size:
    """Rows of each table, reads of each case."""

    rows: int
    reads: int


FULL, QUICK = Size(20_000, 10_000), Size(200, 50)


@dataclass(repr=False)
class OnlineReport(Displayed):
    """``times`` of reads in seconds by (store, case, contender), ``rates`` of rows per second likewise; ``sizes`` of
    a row in Redis in bytes by contender."""

    size: Size
    load: float
    times: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    rates: dict[tuple[str, str, str], float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def display(self) -> Sheet:
        """Return a line for each store, case and contender, and its ratio to the bare client."""
        lines = []
        for (store, case, contender), times in self.times.items():
            parts = [f"{1e3 * float(np.quantile(times, q)):.3f}" for q in (0.5, 0.99, 0.999)]
            ratio = None
            if contender != "bare":
                ratio = f"{np.quantile(times, 0.99) / np.quantile(self.times[store, case, 'bare'], 0.99):.2f}"
            lines.append((store, case, contender, *parts, None, ratio))
        for (store, case, contender), rate in self.rates.items():
            ratio = f"{rate / self.rates[store, case, 'bare']:.2f}" if contender == "fstk" else None
            lines.append((store, case, contender, None, None, None, f"{rate:,.0f}", ratio))
        counts = f"{self.size.rows:,} rows × 50 features a table · {self.size.reads:,} reads a case"
        title = f"{counts} · load at start {self.load:.1f}\n{machine()}"
        columns = ("store", "case", "contender", "p50 ms", "p99 ms", "p99.9 ms", "rows/s", "to bare")
        sizes = [f"bytes a row in Redis, {contender}: {size:,.0f}" for contender, size in self.sizes.items()]
        return Sheet(title, columns, lines, ["to bare: of p99, and of rows a second", *sizes, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, raw times among them, as plain values."""
        reads = [{"store": s, "case": c, "contender": w, "seconds": times} for (s, c, w), times in self.times.items()]
        rates = [{"store": s, "case": c, "contender": w, "rows": rate} for (s, c, w), rate in self.rates.items()]
        counts = {"size": vars(self.size), "bytes": self.sizes, "notes": self.notes}
        return {"machine": machine(), "load": self.load, **counts, "reads": reads, "rates": rates}


def measure(size: Size, *, with_feast: bool = False, only: str = "") -> OnlineReport:
    """Measure all stores, or those that have ``only`` in their names, each case for itself; Feast, too, whose
    environment is made where there is none."""
    report = OnlineReport(size, os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="fstk-bench-") as scratch:
        folder = Path(scratch)
        source = _source(folder, size)
        stores = {"SQLite": _sqlite, "Redis": _redis, "PostgreSQL": _postgres}
        for name, opened in [one for one in stores.items() if only in one[0]]:
            with opened(folder) as (spec, (read, write)):
                _measure(report, name, spec, read, write, source)
                if with_feast and isinstance(spec, RedisSpec):
                    try:
                        _measure_feast(report, folder, spec, source)
                    except NoFeast as error:
                        report.notes.append(f"Feast is not among them: {error}")
    return report


def _measure(report: OnlineReport, name: str, spec: OnlineSpec, read: Any, write: Any, source: Made) -> None:
    size = report.size
    codec, rng = RowCodec(_FEATURES), np.random.default_rng(1)
    values = codec.encode(pa.table({feature: rng.random(size.rows) for feature in _FEATURES}))
    rows = [Row(b"i%d" % key, 1, 1, 0, value) for key, value in enumerate(values)]
    report.rates[name, "write", "bare"] = _rate(rows, write)
    with spec.open() as store:
        description = OnlineTable("bench.written", "", "bench", {"id": "bigint"}, "at", (_FEATURES,), None, None)
        table = store.put_table(description, None)
        report.rates[name, "write", "fstk"] = _rate(rows, lambda part: store.write(table, part))
    names = [f"bench.t{number}" for number in range(_TABLES)]
    source.name = names[0]
    started = time.perf_counter()
    publish(source.at(), spec, as_of=_NOW)
    report.rates[name, "publish", "bare"] = report.rates[name, "write", "bare"]
    report.rates[name, "publish", "fstk"] = size.rows / (time.perf_counter() - started)
    for other in names[1:]:
        source.name = other
        publish(source.at(), spec, as_of=_NOW)
    choose = random.Random(2)
    with OnlineReader(names, spec) as reader:
        for case, tables, count in (("1 entity", 1, 1), ("100 entities", 1, 100), ("5 tables × 1 entity", _TABLES, 1)):
            asked = [choose.sample(range(size.rows - _TABLES), count) for _ in range(size.reads)]
            wanted = [{one: [{"id": key} for key in keys] for one in names[:tables]} for keys in asked]
            plain = [[b"i%d" % (key + more) for key in keys for more in range(tables)] for keys in asked]
            warm = [_timed(lambda one=one: reader.read(one)) for one in wanted[:200]]
            interval = 2 * statistics.median(warm)
            report.times[name, case, "bare"] = _loop(read, plain, interval)
            report.times[name, case, "fstk"] = _loop(reader.read, wanted, interval)
            print(f" {name}, {case}: {size.reads:,} reads each, every {interval * 1e3:.2f} ms", flush=True)


def _measure_feast(report: OnlineReport, folder: Path, spec: RedisSpec, source: Made) -> None:
    """Let Feast write the same rows to the same server, and read them; compare what a row takes there."""
    programs, size, choose = feast(), report.size, random.Random(2)
    repository, rows, asked = folder / "feast", folder / "rows.parquet", folder / "asked.json"
    repository.mkdir()
    pq.write_table(deltalake.DeltaTable(source.folder).to_pyarrow_table(), rows)
    cases = {"1 entity": (1, size.reads), "100 entities": (100, -(-size.reads // 10))}  # of many it is slow
    ids = {
        case: [choose.sample(range(size.rows), count) for _ in range(reads)] for case, (count, reads) in cases.items()
    }
    asked.write_text(json.dumps(ids), encoding="utf-8")

    def run(script: str, *arguments: object) -> str:
        command = [programs / "python", Path(__file__).with_name(script), repository, *arguments]
        said = subprocess.run(
            [*map(str, command)], cwd=repository, env=quiet(), capture_output=True, text=True, timeout=_PATIENCE
        )
        if said.returncode:
            raise NoFeast((said.stderr.strip().splitlines() or [f"exit {said.returncode}"])[-1])
        return said.stdout

    with closing(redis.Redis(port=spec.port)) as client:
        before = _used(client)
        source.name = "bench.bytes"
        publish(source.at(), spec, as_of=_NOW)
        between = _used(client)
        run("feast_repo.py", spec.port, rows)
        report.sizes = {
            "fstk": (between - before) / size.rows,
            "Feast with its vector": (_used(client) - between) / size.rows,
        }
    for contender, found in json.loads(run("feast_reads.py", asked).splitlines()[-1]).items():
        for case, times in found.items():
            report.times["Redis", case, contender] = times


def _used(client: redis.Redis) -> int:
    found: Any = client.info("memory")
    return found["used_memory"]


def _loop(read: Callable[[Any], object], asked: Sequence[Any], interval: float) -> list[float]:
    times, start = [], time.perf_counter() + interval
    for number, one in enumerate(asked):
        due = start + number * interval
        while time.perf_counter() < due:
            pass  # sleeping would wake too late
        read(one)
        times.append(time.perf_counter() - due)
    return times


def _timed(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def _rate(rows: Sequence[Row], write: Callable[[Sequence[Row]], object]) -> float:
    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    return len(rows) / _timed(lambda: [write(part) for part in parts])


def _source(folder: Path, size: Size) -> Made:
    schema = {"id": "bigint", "at": "timestamp", **_FEATURES}
    made = Made(folder / "source", schema, ("id",), "at", name="bench.t0")
    values = np.random.default_rng(3).random((size.rows, len(_NAMES))).tolist()
    at = _NOW - timedelta(days=1)
    made.append(*({"id": key, "at": at, **dict(zip(_NAMES, row, strict=True))} for key, row in enumerate(values)))
    return made


@contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[OnlineSpec, Bare]]:
    with closing(sqlite3.connect(folder / "bare.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE bare (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

        def read(keys: Sequence[bytes]) -> list[dict[str, Any]]:
            query = f"SELECT value FROM bare WHERE key IN ({', '.join('?' * len(keys))})"
            return [dict(zip(_NAMES, _decode(value), strict=True)) for (value,) in db.execute(query, keys)]

        def write(rows: Sequence[Row]) -> None:
            with db:
                db.executemany("INSERT OR REPLACE INTO bare VALUES (?, ?)", [(row.key, row.value) for row in rows])

        yield SQLiteSpec(folder / "online.db"), (read, write)


@contextmanager
def _redis(folder: Path) -> Iterator[tuple[OnlineSpec, Bare]]:
    with redis_server(folder / "redis") as port, closing(redis.Redis(port=port)) as client:
        found: Any = client.info("server")

        def read(keys: Sequence[bytes]) -> list[dict[str, Any]]:
            values: Any = client.mget(keys) if len(keys) > 1 else [client.get(keys[0])]
            return [dict(zip(_NAMES, _decode(value), strict=True)) for value in values]

        def write(rows: Sequence[Row]) -> None:
            pipeline = client.pipeline(transaction=False)
            for row in rows:
                pipeline.set(row.key, row.value)
            pipeline.execute()

        with _apart(found["process_id"]):
            yield RedisSpec("127.0.0.1", port), (read, write)


@contextmanager
def _postgres(_: Path) -> Iterator[tuple[OnlineSpec, Bare]]:
    with postgres() as server, _apart(server.pid), ExitStack() as stack:
        password = os.environ[PASSWORD.removeprefix("env:")]
        login = f"host=127.0.0.1 port={server.port} dbname={DATABASE} user={USER} sslmode=require"
        db = stack.enter_context(closing(psycopg.connect(login, password=password, autocommit=True)))
        db.execute("CREATE SCHEMA bare")
        db.execute("CREATE TABLE bare.bare (key bytea PRIMARY KEY, value bytea)")

        def read(keys: Sequence[bytes]) -> list[dict[str, Any]]:
            query = "SELECT value FROM bare.bare WHERE key = ANY(%s)"
            found = db.execute(query, [list(keys)], prepare=True, binary=True)
            return [dict(zip(_NAMES, _decode(value), strict=True)) for (value,) in found]

        def write(rows: Sequence[Row]) -> None:
            with db.cursor().copy("COPY bare.bare FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["bytea", "bytea"])
                for row in rows:
                    copy.write_row((row.key, row.value))

        yield server.spec("bench"), (read, write)


@contextmanager
def _apart(server: int) -> Iterator[None]:
    """Give the server the first core and this process the others, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(server, cores[:1])
        os.sched_setaffinity(0, cores[1:])
    yield
    os.sched_setaffinity(0, cores)
