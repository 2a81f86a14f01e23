"""The Redis store alone: how it is named, its modes, its faults.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

import itertools
import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from redis import Connection, ConnectionError, Redis
from redis.crc import key_slot
from redis.exceptions import ClusterCrossSlotError

from fstk.columns.instants import microseconds
from fstk.errors import InvalidInput, StoreUnavailable, UnknownTable, WriteConflict
from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.read import read_online
from fstk.online.redis import RedisSpec, RedisStore, _prefix
from fstk.online.redis_nodes import Nodes, _Flight
from fstk.online.spec import spec_of
from fstk.online.store import Counts, OnlineTable, Row, Watermark
from fstk.tables.spec import FeatureTable
from fstk.verbs.doctor import diagnose
from tests.online.tables import Made
from tests.servers.redis import PASSWORD, USER, Cluster, agreed, certificates, free_port, redis_cluster, redis_server
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
        ("redis://:hunter2@localhost:6379", "a password is no part of it, only where it is kept: ?password=env:NAME"),
        ("rediss://u:hunter2@host", "Write rediss://[user@]host[:port][/db] (with TLS)."),
        ("redis://host?password=hunter2", "not a reference to a secret (env:NAME"),
        ("redis://host?password=", "not a reference to a secret (env:NAME"),
        ("redis://hunter2@host", "needs a password; name where it is kept: password=env:NAME"),
        ("redis://host:hunter2", "its port is no number from 1 to 65535"),
        ("redis://host:65536", "its port is no number from 1 to 65535"),
        ("redis://host:0", "its port is no number from 1 to 65535"),
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
        ({"password": b"correct horse"}, "password is not a reference to a secret"),
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
def test_nodes_told_by_number_are_reached_by_the_name_that_their_certificate_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    meeting = ("cluster-enabled yes", "tls-cluster yes", f"cluster-port {free_port()}")
    with redis_server(tmp_path, *certificates(tmp_path, "localhost"), *meeting) as port:
        with Redis("localhost", port, ssl=True) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            told: Any = node.execute_command("CLUSTER SLOTS")
            assert told[0][2][0] in (b"", b"127.0.0.1")
            assert agreed(lambda: node.cluster("INFO")["cluster_state"] == "ok")
        with RedisStore(RedisSpec("localhost", port, ssl=True, cluster=True), patience=60) as store:
            table = store.put_table(TABLE, None)
            assert store.write(table, _rows(10)) == Counts(written=10)
            assert store._nodes._reached("127.0.0.1", 8500) == ("localhost", 8500)
            assert store._nodes._reached("192.0.2.7", 8500) == ("192.0.2.7", 8500)


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
def test_many_rows_are_read_by_one_command_except_where_it_is_refused(
    spec: RedisSpec, redis_endpoint: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisStore(spec) as store, RedisStore(RedisSpec("127.0.0.1", redis_endpoint)) as behind:
        table = store.put_table(TABLE, None)
        store.write(table, _rows(300))
        keys = [b"i%d" % number for number in range(301)]
        sent: list[list[int]] = []
        real = Connection.send_packed_command

        def counted(self: Connection, command: Any, check_health: bool = True) -> None:
            sent.append([b"".join(command).count(b"MGET")])
            real(self, command, check_health)

        for one, wanted in ((store, [[2], [2]]), (behind, [[2], [199], [102], [199], [102]])):
            assert one.table("t") == table
            sent.clear()
            with monkeypatch.context() as patch:
                patch.setattr(Connection, "send_packed_command", counted)
                for _ in range(2):
                    assert got(one, table, keys) == [*_rows(300), None]
            assert sent == wanted


@pytest.mark.server
def test_a_connection_that_was_closed_while_nobody_used_it_is_no_node_lost(spec: RedisSpec, client: Redis) -> None:
    with RedisStore(spec) as store:
        table = store.put_table(TABLE, None)
        store.write(table, _rows(3))
        client.client_kill_filter(_type="normal", skipme=True)
        assert store.write(table, _rows(3, 2)) == Counts(written=3)
        store.complete(table, Watermark(2, T0, None, None, 0))


@pytest.mark.server
def test_a_process_that_is_forked_asks_over_connections_of_its_own(spec: RedisSpec) -> None:
    with RedisStore(spec) as store:
        table = store.put_table(TABLE, None)
        store.write(table, _rows(3))
        asked = store._nodes.one("CLIENT", b"ID")
        child = os.fork()
        if child == 0:
            right = False
            try:
                right = got(store, table, [b"i1"]) == [_rows(3)[1]]
                right = right and store._nodes.one("CLIENT", b"ID") != asked
            finally:
                os._exit(not right)  # and no further test
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert got(store, table, [b"i2"]) == [_rows(3)[2]]


@pytest.mark.server
def test_a_script_that_is_forgotten_within_a_batch_is_sent_again(
    spec: RedisSpec, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisStore(spec) as store:
        table = store.put_table(TABLE, None)
        real, pieces = Connection.send_packed_command, itertools.count()

        def flushing(self: Connection, command: Any, check_health: bool = True) -> None:
            if b"EVALSHA" in command[0] and next(pieces) == 1:
                with Redis(port=spec.port) as other, monkeypatch.context() as patch:
                    patch.setattr(Connection, "send_packed_command", real)
                    assert agreed(lambda: other.exists(_prefix(table) + b"i0") == 1)
                    other.script_flush()
            real(self, command, check_health)

        monkeypatch.setattr(Connection, "send_packed_command", flushing)
        assert store.write(table, _rows(600)) == Counts(written=600)
        assert next(pieces) > 4  # the rest went once more


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


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def client(spec: RedisSpec) -> Iterator[Redis]:
    with Redis(port=spec.port) as client:
        yield client


@pytest.mark.server
def test_a_server_that_does_not_answer_is_an_error_and_then_answers_again(spec: RedisSpec, client: Redis) -> None:
    with RedisStore(spec, timeout=0.2, patience=0.2) as store:
        table = store.put_table(TABLE, None)
        store.write(table, _rows(3))
        with _stopped(client.info("server")["process_id"]):  # type: ignore[index]
            for ask in (lambda: got(store, table, [b"i1"]), lambda: store.write(table, _rows(3, 2)), store.names):
                with pytest.raises(StoreUnavailable, match="did not answer: Timeout"):
                    ask()
        assert got(store, table, [b"i1"])[0] in (_rows(2)[1], _rows(2, 2)[1])


@pytest.mark.server
def test_a_read_does_not_wait_while_a_server_pauses_and_a_write_does(spec: RedisSpec, client: Redis) -> None:
    with RedisStore(spec, timeout=0.2, patience=60) as store:
        table = store.put_table(TABLE, None)
        client.client_pause(2_500)
        with pytest.raises(StoreUnavailable, match="did not answer: Timeout"):
            got(store, table, [b"i1"])
        assert store.write(table, _rows(3)) == Counts(written=3)


@pytest.mark.server
def test_what_a_batch_sent_twice_added_is_counted_anew(
    spec: RedisSpec, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisStore(spec) as store:
        table = store.put_table(TABLE, None)
        real, lost = _Flight.reply, iter([True])

        def once_lost(self: _Flight, error: type[Exception]) -> Any:
            found = real(self, error)
            if found == 3 and next(lost, False):
                raise ConnectionError("the reply was lost")
            return found

        monkeypatch.setattr(_Flight, "reply", once_lost)
        store.write(table, _rows(10))
        assert client.hget(b"fstk:table:t", "rows") != b"10"
        assert store.count(table) == 10
        assert client.hget(b"fstk:table:t", "rows") == b"10"
        assert set(client.hkeys("fstk:table:t")) == {b"generation", b"layouts", b"description", b"rows"}
        with pytest.raises(StoreUnavailable, match="lost a node"):
            store.complete(table, Watermark(1, T0, None, None, 0))


@pytest.mark.server
def test_a_batch_that_was_killed_leaves_a_mark_and_the_rows_are_counted_one_by_one(
    spec: RedisSpec, client: Redis
) -> None:
    with RedisStore(spec) as store:
        table = store.put_table(TABLE, None)
        store.write(table, _rows(10))
        client.hset(b"fstk:table:t", mapping={"open:0123": 1, "rows": 3})
        assert store.count(table) == 10
        assert store.remove(table, [b"i1"], 1) == 1
        assert store.count(table) == 9


@pytest.mark.server
def test_a_server_without_memory_refuses_rows_and_publishing_again_heals(
    spec: RedisSpec, client: Redis, tmp_path: Path
) -> None:
    feature_table = _feature_table(tmp_path, 2_000)

    def fill(done: int, _: int | None) -> None:
        if done == 500:
            client.config_set("maxmemory", 1_000_000)

    try:
        report = publish(feature_table, spec, portion=500, progress=fill)
    finally:
        client.config_set("maxmemory", 0)
    assert (report.written, report.failed) == (500, 1_500)
    assert report.notes[0].startswith("The server refused rows, since it is full: command not allowed when used memory")
    with pytest.raises(StoreUnavailable, match="being published for the first time"):
        read_online("s.t", [{"id": 1}], store=spec)
    again = publish(feature_table, spec)
    assert (again.written, again.unchanged, again.failed) == (1_500, 500, 0)
    assert check_parity(feature_table, spec).ok
    with spec.open() as store:
        table = store.table("s.t")
        assert table is not None
        assert store.count(table) == 2_000


@pytest.mark.server
def test_what_was_flushed_is_never_read_as_missing_and_publishing_again_heals(
    spec: RedisSpec, client: Redis, tmp_path: Path
) -> None:
    feature_table = _feature_table(tmp_path, 900)
    publish(feature_table, spec)
    client.flushall()
    with pytest.raises(UnknownTable, match="Nothing was published there"):
        read_online("s.t", [{"id": 1}], store=spec)

    def flush(done: int, _: int | None) -> None:
        if done == 300:
            client.flushall()

    with pytest.raises(WriteConflict, match="was dropped"):
        publish(feature_table, spec, portion=300, progress=flush)
    assert publish(feature_table, spec).written == 900
    assert check_parity(feature_table, spec).ok


@pytest.mark.server
def test_a_server_that_starts_anew_while_a_table_is_published_is_empty_and_publishing_again_heals(
    tmp_path: Path,
) -> None:
    feature_table = _feature_table(tmp_path, 900)
    with ExitStack() as servers:
        port = servers.enter_context(redis_server(tmp_path / "first"))
        spec = RedisSpec("127.0.0.1", port)

        def restart(done: int, _: int | None) -> None:
            if done == 300:
                servers.close()
                servers.enter_context(redis_server(tmp_path / "second", f"port {port}", f"# {{port}} is not {port}"))

        with pytest.raises((StoreUnavailable, WriteConflict)):
            publish(feature_table, spec, portion=300, progress=restart)
        assert publish(feature_table, spec).written == 900
        assert check_parity(feature_table, spec).ok


@pytest.mark.server
def test_what_is_not_let_in_says_so_without_the_password(
    rediss: tuple[int, Path], redis_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, authority = rediss
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("REDIS_PASSWORD", "hunter2")
    login: dict[str, Any] = {"username": USER, "password": "env:REDIS_PASSWORD"}
    refusals = {
        f"it refused the login of {USER}": RedisSpec("127.0.0.1", port, ssl=True, **login),
        "it refused the login of its default user": RedisSpec("127.0.0.1", port, ssl=True),
        "Connection": RedisSpec("127.0.0.1", free_port()),
        "did not answer": RedisSpec("127.0.0.1", redis_port, ssl=True),
        "cluster support disabled": RedisSpec("127.0.0.1", redis_port, cluster=True),
    }
    for said, spec in refusals.items():
        with RedisStore(spec, timeout=1.0) as store, pytest.raises(StoreUnavailable, match=said) as caught:
            store.names()
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    monkeypatch.delenv("SSL_CERT_FILE")
    unknown = pytest.raises(StoreUnavailable, match="certificate verify failed")
    with RedisSpec("127.0.0.1", port, ssl=True, **login).open() as store, unknown:
        store.names()


@pytest.mark.server
def test_a_node_asked_alone_tells_how_to_ask_its_cluster(redis_cluster: Cluster) -> None:
    redis_cluster.flush()
    told = set()
    for port in redis_cluster.ports:
        with RedisSpec("127.0.0.1", port).open() as store:
            try:
                store.put_table(TABLE, None)
            except StoreUnavailable as error:
                told.add(str(error).partition(": ")[2])
    assert told == {"it is a node of a cluster; add cluster=true."}


@pytest.mark.server
def test_redis_lets_go_of_an_expired_row_late_and_of_no_floor(spec: RedisSpec, client: Redis) -> None:
    week = timedelta(days=7)
    now = datetime.now(UTC)
    with RedisStore(spec) as store:
        expiring = store.put_table(replace(TABLE, ttl=timedelta(days=30)), None)
        old, new = Row(b"old", microseconds(T0), 1, 0, b""), Row(b"new", microseconds(now), 1, 0, b"")
        back = Row(b"back", microseconds(now), 6, 0, b"")
        store.remove(expiring, [b"gone", b"back"], 5)
        store.write(expiring, [old, new, back])

        def ends(key: bytes) -> datetime | None:
            at: Any = client.execute_command("PEXPIRETIME", _prefix(expiring) + key)
            return None if at == -1 else datetime.fromtimestamp(at / 1000, UTC)

        for key, earliest in ((b"old", now + week), (b"new", now + timedelta(days=30) + week)):
            end = ends(key)
            assert end is not None
            assert earliest <= end < earliest + timedelta(hours=1)
        assert (ends(b"gone"), ends(b"back")) == (None, None)
        store.put_table(replace(expiring, ttl=timedelta(days=31)), expiring)  # what is there is not let go of too early
        assert (ends(b"old"), ends(b"new")) == (None, None)
        assert store.write(expiring, [new._replace(version=7, value=b"newer")]) == Counts(written=1)
        assert ends(b"new") is not None
        assert store.remove(expiring, [b"new"], 6) == 0
        assert ends(b"new") is None


@pytest.mark.server
def test_an_expired_row_that_redis_let_go_of_reads_as_one_that_is_there(
    spec: RedisSpec, client: Redis, tmp_path: Path
) -> None:
    feature_table, expiring = _feature_table(tmp_path, 3), replace(spec, ttl=timedelta(days=9))
    assert publish(feature_table, expiring).written == 3
    with RedisStore(spec) as store:
        table = store.table("s.t")
        assert table is not None
        client.unlink(_prefix(table) + b"i1")
    parity = check_parity(feature_table, spec)
    assert (parity.ok, parity.equal, parity.missing, parity.expired) == (True, 3, 0, 3)
    with RedisStore(spec) as store:
        store.put_table(replace(table, ttl=None), table)
    assert check_parity(feature_table, spec).missing == 1


@pytest.mark.server
def test_the_rows_of_a_dropped_table_are_deleted_and_those_written_to_it_since(spec: RedisSpec, client: Redis) -> None:
    with RedisStore(spec) as store, RedisStore(spec) as other:
        table = store.put_table(TABLE, None)
        kept = store.put_table(replace(TABLE, name="kept"), None)
        store.write(kept, _rows(10))
        store.write(table, _rows(5_000))
        sent, dropped = Nodes.replies, iter([True])

        def dropping(self: Nodes, commands: Any, *arguments: Any) -> Any:
            if len(commands) == 20 and next(dropped, False):
                other.drop(table)
                assert other._sweep is not None
                other._sweep.join(60)
            return sent(self, commands, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Nodes, "replies", dropping)
            with pytest.raises(WriteConflict, match="was dropped"):
                store.write(table, _rows(20, 2))
        store.complete(kept, Watermark(1, T0, None, None, 0))
        assert store._sweep is not None
        store._sweep.join(60)
        assert len(client.keys(_prefix(table) + b"*")) == 0
        assert client.smembers("fstk:dropped") == set()
        assert store.count(kept) == 10


@pytest.mark.server
@pytest.mark.parametrize(
    ("policy", "ttl", "told"),
    [
        ("allkeys-lru", None, True),
        ("volatile-ttl", timedelta(days=9), True),
        ("volatile-ttl", None, False),
        ("noeviction", timedelta(days=9), False),
    ],
)
def test_a_policy_that_evicts_is_said(
    spec: RedisSpec, client: Redis, policy: str, ttl: timedelta | None, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FSTK_ONLINE_STORE", f"redis://127.0.0.1:{spec.port}")
    client.config_set("maxmemory-policy", policy)
    try:
        with RedisStore(spec) as store:
            table = store.put_table(replace(TABLE, ttl=ttl), None)
            said = store.notes(table, 0)
        found = next(check for check in diagnose().checks if "redis://" in check.text)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert [policy in note for note in said] == [True] * told
    assert found.ok is not told
    assert (f"maxmemory-policy {policy}" in found.text) is told


class _Credential:
    """Stands in for azure-identity: every token is new, ends within two minutes, and is the user's only password."""

    def __init__(self, port: int) -> None:
        self.server = Redis(port=port, ssl=True, username=USER, password=PASSWORD)
        self.given: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://redis.azure.com/.default",)
        ends = int(datetime.now(UTC).timestamp()) + 120
        token = jwt.encode({"oid": "an-object-id", "exp": ends, "n": len(self.given)}, "k" * 32)
        self.server.execute_command("ACL", "SETUSER", "an-object-id", "reset", "on", "~fstk:*", "+@all", f">{token}")
        self.given.append(token)
        return AccessToken(token, ends)


@pytest.mark.server
def test_tokens_of_entra_are_renewed_while_a_table_is_published(
    rediss: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, authority = rediss
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    credential = _Credential(port)
    monkeypatch.setattr("redis_entraid.identity_provider.DefaultAzureCredential", lambda: credential)
    credential.server.flushall()
    known: list[int] = []

    def cut(done: int, _: int | None) -> None:
        known.append(len(credential.given))
        if done == 900:  # as Azure does with a connection whose token has ended
            credential.server.execute_command("CLIENT", "KILL", "USER", "an-object-id")

    report = publish(
        _feature_table(tmp_path, 1_500), f"rediss://127.0.0.1:{port}?entra=true", portion=300, progress=cut
    )
    assert (report.written, report.failed) == (1_500, 0)
    assert known == sorted(set(known))
    assert len(known) == 5
    logins = credential.server.info("commandstats")["cmdstat_auth"]["calls"]  # type: ignore[index]
    assert logins >= len(known)


@pytest.mark.server
def test_no_token_of_entra_is_an_error(rediss: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token.\nAttempted: …")

    monkeypatch.setenv("SSL_CERT_FILE", str(rediss[1]))
    monkeypatch.setattr("redis_entraid.identity_provider.DefaultAzureCredential", Nobody)
    none = pytest.raises(StoreUnavailable, match="no token of Microsoft Entra: DefaultAzureCredential failed")
    with RedisSpec("127.0.0.1", rediss[0], ssl=True, entra=True).open() as store, none:
        store.names()
