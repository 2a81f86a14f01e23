"""The Redis store alone: how it is named, its modes, its faults.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ClusterCrossSlotError

from fstk.errors import InvalidInput, StoreUnavailable
from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.redis import RedisSpec, RedisStore, _prefix
from fstk.online.spec import spec_of
from fstk.online.store import Counts, OnlineTable, Row
from fstk.tables.spec import FeatureTable
from tests.online.tables import Made
from tests.servers.redis import Cluster, redis_cluster
from tests.stores import got

TABLE = OnlineTable("t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)
T0 = datetime(2024, 1, 1, tzinfo=UTC)

URLS = {
    "redis://cache.example": RedisSpec("cache.example"),
    "redis://cache.example:6380/3?ttl=90d": RedisSpec("cache.example", 6380, db=3, ttl=timedelta(days=90)),
    "redis://[::1]:7000?cluster=true": RedisSpec("::1", 7000, cluster=True),
    "rediss://cache.example?entra=true": RedisSpec("cache.example", ssl=True, entra=True),
    "rediss://a%40b@cache.example?password=databricks:scope/key": RedisSpec(
        "cache.example", ssl=True, username="a@b", password="databricks:scope/key"
    ),
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_says_what_a_spec_does(url: str) -> None:
    spec = URLS[url]
    assert spec_of(url) == spec
    opened = spec.open().url
    assert spec_of(opened) == RedisSpec(**{**vars(spec), "ttl": None})
    assert spec_of(opened).open().url == opened


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@localhost:6379", "it holds no password, but says where that is kept: ?password=env:NAME"),
        ("rediss://u:hunter2@host", "Write rediss://[user@]host[:port][/db] (with TLS)."),
        ("redis://host?password=hunter2", "not a reference to a secret (env:NAME"),
        ("redis://host?password=", "not a reference to a secret (env:NAME"),
        ("redis://hunter2@host", "needs a password; name where it is kept: password=env:NAME"),
        ("redis://host:hunter2", "its host and port cannot be read"),
        ("redis://host:65536", "its host and port cannot be read"),
        ("redis://host:0", "port must be a port, 1 to 65535"),
        ("redis://host/hunter2", "the number of a database"),
        ("redis://", "after its host come a port"),
        ("redis://host/1?cluster=true", "a cluster has database 0 alone; got 1"),
        ("redis://host?cluster=yes", "cluster and entra are true or false"),
        ("redis://host?entra=true", "entra sends a token, so it needs TLS"),
        ("rediss://u@host?entra=true&password=env:A", "entra is a login of its own"),
        ("redis://host?hunter2=1", "after ? its options are ttl, cluster, entra, password"),
    ],
)
def test_a_url_that_names_none_is_refused_without_repeating_it(url: str, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_of(url)
    assert shown in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"host": ""}, "host must be the name or address of a server"),
        ({"host": "redis://host"}, "host must be the name or address of a server"),
        ({"port": "6379"}, "port must be a port"),
        ({"db": -1}, "db must be a whole number"),
        ({"password": b"correct horse"}, "password must be where it is kept"),
        ({"password": "correct horse"}, "not a reference to a secret"),
    ],
)
def test_an_argument_of_another_form_is_refused(arguments: dict[str, Any], shown: str) -> None:
    with pytest.raises(InvalidInput, match=shown) as caught:
        RedisSpec(**{"host": "cache.example", **arguments})
    assert "horse" not in str(caught.value)


def _rows(count: int, version: int = 1) -> list[Row]:
    return [Row(b"i%d" % i, i, version, 0, b"%d/%d" % (i, version)) for i in range(count)]


def _feature_table(folder: Path, count: int) -> FeatureTable:
    made = Made(folder / "source", {"id": "bigint", "at": "timestamp", "x": "double"}, ("id",), "at")
    return made.append(*({"id": i, "at": T0, "x": i / 3} for i in range(count)))


@pytest.fixture
def spec(redis_port: int) -> RedisSpec:
    with Redis(port=redis_port) as client:
        client.flushall()
    return RedisSpec("127.0.0.1", redis_port)


@pytest.fixture
def clustered(redis_cluster: Cluster) -> Iterator[tuple[Cluster, RedisStore, OnlineTable]]:
    redis_cluster.flush()
    with RedisStore(RedisSpec("127.0.0.1", redis_cluster.ports[-1], cluster=True)) as store:
        yield redis_cluster, store, store.put_table(TABLE, None)


@pytest.mark.server
def test_rows_spread_over_the_nodes_whatever_their_keys_hold(
    clustered: tuple[Cluster, RedisStore, OnlineTable],
) -> None:
    cluster, store, table = clustered
    rows = [Row(b"s5:{same}%d" % i, 1, 1, 0, b"") for i in range(300)]
    assert store.write(table, rows) == Counts(written=300)
    assert got(store, table, [row.key for row in rows]) == rows
    for port in set(cluster.primaries()):
        assert cluster.node(port).dbsize() > 50


@pytest.mark.server
def test_a_slot_that_moves_is_followed(clustered: tuple[Cluster, RedisStore, OnlineTable]) -> None:
    cluster, store, table = clustered
    rows = _rows(3000)
    store.write(table, rows[::2])
    key = _prefix(table) + rows[0].key
    slot = key_slot(key)
    old = cluster.owner(slot)
    new = next(port for port in cluster.primaries() if port != old)
    source, target = cluster.node(old), cluster.node(new)
    try:
        target.cluster("SETSLOT", slot, "IMPORTING", source.cluster("MYID"))
        source.cluster("SETSLOT", slot, "MIGRATING", target.cluster("MYID"))
        source.migrate("127.0.0.1", new, key, 0, 5000)
        newer = rows[0]._replace(version=2, value=b"moved")
        assert got(store, table, [rows[0].key, rows[2].key]) == [rows[0], rows[2]]  # ASK
        assert store.write(table, [newer, rows[2]]) == Counts(written=1, unchanged=1)
        for node in (target, source):
            node.cluster("SETSLOT", slot, "NODE", target.cluster("MYID"))
        assert got(store, table, [rows[0].key, rows[1].key]) == [newer, None]  # MOVED
        assert store.write(table, [rows[0]]) == Counts(stale=1)
        assert store.count(table) == 1500
    finally:
        for node in (source, target):
            node.cluster("SETSLOT", slot, "STABLE")
            for moved in node.cluster("GETKEYSINSLOT", slot, 100):
                node.unlink(moved)
        for node in map(cluster.node, cluster.primaries()):
            node.cluster("SETSLOT", slot, "NODE", source.cluster("MYID"))


@pytest.mark.server
def test_scripts_that_a_node_forgot_are_sent_again(clustered: tuple[Cluster, RedisStore, OnlineTable]) -> None:
    cluster, store, table = clustered
    for version in (1, 2):
        assert store.write(table, _rows(600, version)) == Counts(written=600)
        for port in set(cluster.primaries()):
            cluster.node(port).script_flush()
    assert store.remove(table, [b"i1", b"i2", b"i3"], 2) == 3


@pytest.mark.server
def test_the_endpoint_of_the_tests_refuses_keys_of_several_slots(redis_endpoint: int) -> None:
    with Redis(port=redis_endpoint, protocol=2) as client:
        client.execute_command("MGET", "{a}1", "{a}2")
        for command in (("MGET", "a", "b"), ("EVAL", "return 1", 2, "a", "b"), ("KEYS", "*")):
            with pytest.raises(ClusterCrossSlotError):
                client.execute_command(*command)


@pytest.mark.server
@pytest.mark.slow
def test_a_primary_that_dies_while_a_table_is_published_is_replaced_and_publishing_again_heals(tmp_path: Path) -> None:
    feature_table = _feature_table(tmp_path, 3_000)
    with redis_cluster(tmp_path / "cluster") as cluster:
        spec = RedisSpec("127.0.0.1", cluster.ports[0], cluster=True)
        dead = next(port for port in cluster.primaries() if port != cluster.ports[0])
        pid = cluster.node(dead).info("server")["process_id"]

        def kill(done: int, _: int | None) -> None:
            if done == 900:
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(StoreUnavailable, match="lost a node while s.t was being published"):
            publish(feature_table, spec, portion=300, progress=kill)
        report = publish(feature_table, spec, portion=300)
        assert (report.failed, report.stale, report.written + report.unchanged) == (0, 0, 3_000)
        assert check_parity(feature_table, spec).ok
        assert dead not in cluster.primaries()
