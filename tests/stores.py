"""The stores that every test of online rows runs on; a store joins by one entry in ``STORES``.

``spec`` and ``store`` are fixtures: a test that asks for one runs once for each store, on an empty one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from fstk.online.redis import RedisSpec
from fstk.online.spec import MemorySpec, OnlineSpec, SQLiteSpec
from fstk.online.store import OnlineStore, OnlineTable, Row
from tests.servers.redis import PASSWORD, USER

PROCESSES = "several processes at work in it at once"


@dataclass(frozen=True)
class Store:
    """How a test gets an empty one: ``make(request, folder)``, which may ask for fixtures, a server's for example. What
    it cannot do is ``cannot``; ``marks`` say what it needs. A ``mode`` is one more way to reach a store of this list:
    what takes several processes is not tried on it again. ``share`` of what a test repeats is enough where each call
    costs much."""

    make: Callable[[pytest.FixtureRequest, Path], OnlineSpec]
    cannot: frozenset[str] = frozenset()
    marks: tuple[Any, ...] = ()
    mode: bool = False
    share: float = 1.0


def _redis(request: pytest.FixtureRequest, _: Path) -> RedisSpec:
    port = request.getfixturevalue("redis_port")
    with Redis(port=port) as client:
        client.flushall()
    return RedisSpec("127.0.0.1", port)


def _redis_endpoint(request: pytest.FixtureRequest, folder: Path) -> RedisSpec:
    _redis(request, folder)
    return RedisSpec("127.0.0.1", request.getfixturevalue("redis_endpoint"))


def _rediss(request: pytest.FixtureRequest, _: Path) -> RedisSpec:
    (port, authority), patch = request.getfixturevalue("rediss"), request.getfixturevalue("monkeypatch")
    patch.setenv("SSL_CERT_FILE", str(authority))
    patch.setenv("REDIS_PASSWORD", PASSWORD)
    with Redis(port=port, ssl=True, username=USER, password=PASSWORD) as client:
        client.flushall()
    return RedisSpec("127.0.0.1", port, ssl=True, username=USER, password="env:REDIS_PASSWORD")


def _redis_cluster(request: pytest.FixtureRequest, _: Path) -> RedisSpec:
    cluster = request.getfixturevalue("redis_cluster")
    cluster.flush()
    return RedisSpec("127.0.0.1", cluster.ports[0], cluster=True)


STORES: dict[str, Store] = {
    "sqlite": Store(lambda _, folder: SQLiteSpec(folder / "sub folder" / "online #1.db")),
    "memory": Store(lambda _, folder: MemorySpec(str(folder)), cannot=frozenset({PROCESSES})),
    "postgresql": Store(
        lambda request, folder: request.getfixturevalue("postgres").spec(str(folder)[-60:]), marks=(pytest.mark.server,)
    ),
    "redis": Store(_redis, marks=(pytest.mark.server,)),
    "rediss": Store(_rediss, marks=(pytest.mark.server,), mode=True),
    "redis-endpoint": Store(_redis_endpoint, marks=(pytest.mark.server,), mode=True),
    "redis-cluster": Store(_redis_cluster, marks=(pytest.mark.server,), mode=True),
    "cosmos": Store(
        lambda request, _: request.getfixturevalue("cosmos").spec(), marks=(pytest.mark.server,), share=0.2
    ),
}


def parameters(*needs: str, lacking: bool = False, modes: bool = True) -> list[Any]:
    """Return the stores that can do all of ``needs``; with ``lacking`` those that cannot; without ``modes`` no mode of
    another."""
    return [
        pytest.param(name, marks=made.marks)
        for name, made in STORES.items()
        if made.cannot.isdisjoint(needs) is not lacking and not (made.mode and (PROCESSES in needs or not modes))
    ]


def can(*needs: str) -> pytest.MarkDecorator:
    """Run a test only on the stores that can do all of ``needs``."""
    return pytest.mark.parametrize("spec", parameters(*needs), indirect=True)


@pytest.fixture(params=parameters())
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnlineSpec]:
    yield from empty(request, tmp_path)


def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnlineSpec]:
    """Yield an empty store of the name that is the fixture's parameter."""
    made = STORES[request.param].make(request, tmp_path)
    yield made
    if isinstance(made, SQLiteSpec) and Path(made.path).exists():
        with closing(sqlite3.connect(made.path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def share(request: pytest.FixtureRequest) -> float:
    """Return how much of what a test repeats is tried on its store."""
    return STORES[request.node.callspec.params["spec"]].share


@pytest.fixture
def store(spec: OnlineSpec) -> Iterator[OnlineStore]:
    with spec.open() as opened:
        yield opened


@pytest.fixture
def adapter(spec: OnlineSpec) -> type[Any]:
    """The class of the store, for tests that let one of its methods fail."""
    with spec.open() as opened:
        return type(opened)


def with_ttl(spec: OnlineSpec, ttl: timedelta) -> OnlineSpec:
    """Return the same store with another ttl."""
    return replace(spec, ttl=ttl)  # type: ignore[type-var]  every spec is a dataclass


def contents(spec: OnlineSpec) -> dict[str, tuple[OnlineTable, list[Row | None]]]:
    """Return all that a store holds; what was never written to is not made by looking."""
    held = {}
    with spec.open() as store:
        for name in store.names():
            table = store.table(name)
            assert table is not None
            keys = sorted(key for portion in store.keys(table) for key in portion)
            held[name] = table, got(store, table, keys)
    assert held or not isinstance(spec, SQLiteSpec) or not Path(spec.path).exists()
    return held


def got(store: OnlineStore, table: OnlineTable, keys: Sequence[bytes]) -> list[Row | None]:
    """Return the rows of one table's keys."""
    (rows,) = store.get([(table, keys)])
    return rows


def overwritten(store: OnlineStore, key: bytes, of: Callable[[Row], Row]) -> None:
    """Put another row in place of a key's in s.t, by the back door: one of a newer version, which parity does not look
    at."""
    table = store.table("s.t")
    assert table is not None
    [row] = got(store, table, [key])
    assert row is not None
    assert store.write(table, [of(row._replace(version=row.version + 1))]).stale == 0
