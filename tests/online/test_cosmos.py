"""The Cosmos store beside its contract: faults of the service, ids, sizes, logins, containers, and what is charged.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import ContainerProxy, CosmosClient, PartitionKey
from hypothesis import given
from hypothesis import strategies as st

from fstk.errors import AccessDenied, InvalidInput, MissingPackage, StoreUnavailable, WriteConflict
from fstk.online import cosmos as module
from fstk.online import cosmos_client as clients
from fstk.online.cosmos import AzureCosmosDBSpec, CosmosStore
from fstk.online.cosmos_client import WORKERS
from fstk.online.publish import publish
from fstk.online.spec import open_store, spec_of
from fstk.online.store import NO_FLOOR, Counts, OnlineTable, Row, Watermark
from tests.online.tables import Made
from tests.servers.azure import identity
from tests.servers.cosmos import KEY, Peer
from tests.stores import got

ACCOUNT = "https://shop.documents.azure.com"
TABLE = OnlineTable("s.t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)
MARK = Watermark(1, datetime(2024, 1, 1, tzinfo=UTC), None, None, 0)
ROWS = [Row(b"i%d" % i, 5, 1, 0, b"%d" % i) for i in range(30)]
CREATE, PATCH, DELETE = ({"method": method} for method in ("POST", "PATCH", "DELETE"))
pytestmark = pytest.mark.server


@pytest.fixture
def spec(cosmos: Peer) -> Iterator[AzureCosmosDBSpec]:
    yield cosmos.spec()
    cosmos.faults()


@pytest.fixture
def store(spec: AzureCosmosDBSpec) -> CosmosStore:
    return CosmosStore(spec, patience_seconds=10)


@pytest.fixture
def table(store: CosmosStore) -> OnlineTable:
    return store.put_table(TABLE, None)


def container_of(spec: AzureCosmosDBSpec) -> ContainerProxy:
    """Return the container by a client of the test's own."""
    client = CosmosClient(spec.account_uri, "a2V5")
    return client.get_database_client(spec.database_name).get_container_client(spec.container_name)


def items_of(spec: AzureCosmosDBSpec) -> list[dict[str, Any]]:
    return list(container_of(spec).read_all_items())


# What a spec is.


def test_a_spec_is_what_its_url_says() -> None:
    for spec in (
        AzureCosmosDBSpec(ACCOUNT, "features", "online"),
        AzureCosmosDBSpec(f"{ACCOUNT}:8081", "a b", "c%d", key="databricks:shop/cosmos"),
        AzureCosmosDBSpec(ACCOUNT, "features", "online", "shop/writer", "shop/reader"),
        AzureCosmosDBSpec(ACCOUNT, "features", "online", read_secret_prefix="shop/reader"),
    ):
        assert spec_of(spec.open().url) == spec
    assert spec_of("cosmos://h/d/c?ttl=36h") == AzureCosmosDBSpec("https://h", "d", "c", ttl=timedelta(hours=36))
    assert AzureCosmosDBSpec(f"{ACCOUNT}:443/", "d", "c").open().url == AzureCosmosDBSpec(ACCOUNT, "d", "c").open().url


def test_databricks_prefixes_name_the_secrets_of_a_scope() -> None:
    spec = AzureCosmosDBSpec(ACCOUNT, "features", "online", "shop/writer", "shop/reader")
    assert [str(spec.secret(reading)) for reading in (True, False)] == [
        "Secret('databricks:shop/reader-authorization-key')",
        "Secret('databricks:shop/writer-authorization-key')",
    ]
    assert AzureCosmosDBSpec(ACCOUNT, "features", "online").secret(reading=True) is None


def test_what_may_only_read_writes_nothing() -> None:
    store = AzureCosmosDBSpec(ACCOUNT, "features", "online", read_secret_prefix="shop/reader").open()
    for write in (
        lambda: store.put_table(TABLE, None),
        lambda: store.write(TABLE, ROWS),
        lambda: store.remove(TABLE, [b"i1"], 1),
        lambda: store.drop(TABLE),
    ):
        with pytest.raises(InvalidInput, match="can only be read; name the secret to write with"):
            write()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"account_uri": "http://hunter2"}, "account_uri must be https://"),
        ({"account_uri": "https://user:hunter2@host"}, "account_uri must be https://"),
        ({"account_uri": "https://host/hunter2"}, "account_uri must be https://"),
        ({"database_name": ""}, "database_name must be a name"),
        ({"container_name": "hunter2/x"}, "container_name must be a name"),
        ({"key": "hunter2"}, "not a reference to a secret"),
        ({"write_secret_prefix": "hunter2"}, "not a reference to a secret"),
        ({"read_secret_prefix": "a/b/hunter2"}, "not a reference to a secret"),
        ({"key": "env:A", "write_secret_prefix": "hunter2/b"}, "a key is given once"),
        ({"ttl": timedelta(0)}, "ttl must be"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_and_not_repeated(arguments: dict[str, Any], said: str) -> None:
    whole: dict[str, Any] = {"account_uri": ACCOUNT, "database_name": "features", "container_name": "online"}
    with pytest.raises(InvalidInput, match=said) as refused:
        AzureCosmosDBSpec(**(whole | arguments))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["h", "h/d", "h/d/c/hunter2", "h/d/c?password=hunter2", "u:hunter2@h/d/c", "h/d/"])
def test_a_url_that_names_no_container_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"Write cosmos://account\.documents\.azure\.com/database/") as refused:
        spec_of(f"cosmos://{url}")
    assert "hunter2" not in str(refused.value)


def test_without_its_package_there_is_a_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "azure"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if "Editable" not in repr(finder)])
    with pytest.raises(MissingPackage, match=re.escape("pip install 'fstk[cosmos]'")):
        AzureCosmosDBSpec(ACCOUNT, "features", "online", key="env:X").open().names()


# Ids and sizes.


@given(st.sets(st.binary(max_size=600) | st.text(max_size=400).map(str.encode), max_size=20))
def test_no_two_keys_share_an_id_and_every_id_may_be_one(keys: set[bytes]) -> None:
    table = replace(TABLE, generation="0" * 32)
    ids = {module._row_id(table, key) for key in keys}
    assert len(ids) == len(keys)
    for one in ids:
        assert len(one) <= 101
        assert re.fullmatch(r"[A-Za-z0-9_.~-]+", one)


def test_a_long_key_is_kept_whole(store: CosmosStore, table: OnlineTable) -> None:
    keys = [b"s3:" + bytes([letter]) * 10_240 for letter in b"ab"]
    assert store.write(table, [Row(key, 1, 1, 0, key[-1:]) for key in keys]) == Counts(written=2)
    assert got(store, table, keys) == [Row(key, 1, 1, 0, key[-1:]) for key in keys]
    assert sorted(key for page in store.keys(table) for key in page) == keys


def test_an_item_of_another_key_is_no_answer(
    store: CosmosStore, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_row_id", lambda *_: "the same")
    store.write(table, [Row(b"i1", 1, 1, 0, b"one")])
    with pytest.raises(StoreUnavailable, match="is of another key"):
        got(store, table, [b"i2"])
    with pytest.raises(StoreUnavailable, match="is of another key"):
        store.write(table, [Row(b"i2", 1, 1, 0, b"two")])
    assert got(store, table, [b"i1"]) == [Row(b"i1", 1, 1, 0, b"one")]


def test_a_row_that_is_too_large_is_named_before_anything_is_written(
    cosmos: Peer, store: CosmosStore, table: OnlineTable
) -> None:
    largest = Row(b"i16", 1, 1, 0, bytes(1_500_000))
    assert store.write(table, [largest]) == Counts(written=1)
    assert got(store, table, [b"i16"]) == [largest]
    cosmos.faults()
    with pytest.raises(InvalidInput, match=r"s\.t, id=17: the row has 1\.6 MB; Azure Cosmos DB takes items of 2 MB"):
        store.write(table, [*ROWS, Row(b"i17", 1, 1, 0, bytes(1_600_000))])
    assert cosmos.faults() == []


@pytest.mark.parametrize("kind", ["string", "array<string>"])
def test_a_row_that_is_too_large_is_named_before_the_batches_before_it_are_written(
    spec: AzureCosmosDBSpec, store: CosmosStore, tmp_path: Path, kind: str
) -> None:
    made = Made(tmp_path / "source", {"id": "bigint", "text": kind}, ("id",), None)
    texts = ["short", "short", "x" * 1_600_000]
    table = made.append(*({"id": n, "text": text if kind == "string" else [text]} for n, text in enumerate(texts)))
    for dry_run in (True, False):
        with pytest.raises(InvalidInput, match=r"s\.t, id=2: the row has 1\.6 MB"):
            publish(table, spec, portion=1, dry_run=dry_run)
    described = store.table(table.name)
    assert described is not None
    assert store.count(described) == 0


def test_a_row_that_the_service_finds_too_large_is_named(cosmos: Peer, store: CosmosStore, table: OnlineTable) -> None:
    cosmos.faults(CREATE | {"status": 413})
    with pytest.raises(InvalidInput, match=r"s\.t, id=\d+: the row has 0\.0 MB"):
        store.write(table, ROWS)


# Faults of the service.

_PASSING: list[dict[str, Any]] = [
    {"status": 429, "headers": {"x-ms-retry-after-ms": "7"}},
    {"status": 429},
    {"status": 408},
    {"status": 449},
    {"status": 500},
    {"status": 503},
    {"drop": "before"},
    {"drop": "after"},
]


@pytest.mark.parametrize("fault", _PASSING, ids=str)
def test_what_passes_is_waited_for(cosmos: Peer, store: CosmosStore, table: OnlineTable, fault: dict[str, Any]) -> None:
    cosmos.faults(CREATE | fault | {"times": 12})
    assert store.write(table, ROWS) == Counts(written=30)
    newer = [row._replace(version=2, value=b"newer") for row in ROWS]
    cosmos.faults(PATCH | fault | {"times": 12})
    assert store.write(table, newer) == Counts(written=30)
    cosmos.faults({"method": "GET|QUERY", **fault, "times": 2})
    assert got(store, table, [row.key for row in newer]) == newer
    assert got(store, table, [b"i1"]) == [newer[1]]
    cosmos.faults({"method": "QUERY", **fault, "times": 2})
    assert store.count(table) == 30
    cosmos.faults(PATCH | fault | {"times": 3}, CREATE | fault | {"times": 1})
    assert store.remove(table, [b"i1", b"i2", b"never"], 2) == 2
    cosmos.faults(DELETE | fault | {"times": 3})
    store.drop(table)
    assert items_of(store._spec) == []


@pytest.mark.parametrize(
    "fault", [{"status": 429, "headers": {"x-ms-retry-after-ms": "60000"}}, {"status": 503}, {"drop": "before"}]
)
def test_what_does_not_pass_counts_what_is_unwritten_and_publishing_again_ends_the_same(
    cosmos: Peer, spec: AzureCosmosDBSpec, table: OnlineTable, fault: dict[str, Any]
) -> None:
    store = CosmosStore(spec, patience_seconds=0.3)
    cosmos.faults(CREATE | fault | {"times": -1})
    with pytest.raises(StoreUnavailable, match=r"did not answer for 0\.3 s: .*30 of the 30 rows of this batch"):
        store.write(table, ROWS)
    cosmos.faults()
    assert store.write(table, ROWS[:20]) == Counts(written=20)
    cosmos.faults(CREATE | fault | {"times": -1})
    with pytest.raises(StoreUnavailable, match="10 of the 30 rows of this batch are not written"):
        store.write(replace(table, watermark=MARK), ROWS)
    cosmos.faults()
    assert store.write(table, ROWS) == Counts(written=10, unchanged=20)
    assert got(store, table, [row.key for row in ROWS]) == ROWS


def test_after_a_refusal_half_as_many_ask_at_once() -> None:
    client = clients.Client(ACCOUNT, None)
    refusal: Any = type("Refusal", (), {"headers": {"x-ms-retry-after-ms": "50"}})()
    asking, most, guard = 0, 0, threading.Lock()

    def ask(all_there: threading.Barrier) -> None:
        nonlocal asking, most
        with client.turn():
            with guard:
                asking += 1
                most = max(most, asking)
            all_there.wait(30)  # so many ask at once, or this fails
            with guard:
                asking -= 1

    def at_once(number: int) -> bool:
        nonlocal most
        most, all_there = 0, threading.Barrier(number)
        for future in [client.pool.submit(ask, all_there) for _ in range(60)]:
            future.result(timeout=60)
        return most == number

    assert at_once(WORKERS)
    for limit in (5, 2, 1, 1):
        assert client.pause(refusal, time.monotonic() + 30)
        assert client.pause(refusal, time.monotonic() + 30)  # sent with the first, and counted with it
        assert at_once(limit)
    for _ in range(100):
        client.let_through()
    assert at_once(WORKERS)
    client.pool.shutdown()


def test_one_client_serves_all_stores_of_a_process(cosmos: Peer, spec: AzureCosmosDBSpec, table: OnlineTable) -> None:
    cosmos.faults()
    for _ in range(5):
        with spec.open() as store:
            assert store.table("s.t") == table
    assert len(cosmos.faults()) == 5


def test_a_row_that_another_wrote_meanwhile_is_decided_anew(
    spec: AzureCosmosDBSpec, store: CosmosStore, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(table, watermark=None)
    for version, said in ((4, Counts(stale=1)), (9, Counts(written=1))):
        key = b"i%d" % version
        store.write(known, [Row(key, 5, 1, 0, b"one")])
        read = CosmosStore._found

        def found(self: CosmosStore, *asked: Any, read: Any = read) -> Any:
            before = read(self, *asked)
            monkeypatch.setattr(CosmosStore, "_found", read)
            for late in (Row(b"i4", 5, 5, 0, b"five"), Row(b"i9", 5, 5, 0, b"five")):
                spec.open().write(known, [late])
            return before

        monkeypatch.setattr(CosmosStore, "_found", found)
        assert store.write(known, [Row(key, 5, version, 0, b"mine")]) == said
    assert [row and row.version for row in got(store, table, [b"i4", b"i9"])] == [5, 9]


def test_a_row_whose_key_another_removed_meanwhile_stays_away(
    spec: AzureCosmosDBSpec, store: CosmosStore, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(table, watermark=MARK)
    store.write(table, ROWS)
    read = CosmosStore._found

    def found(self: CosmosStore, *asked: Any) -> Any:
        before = read(self, *asked)
        monkeypatch.setattr(CosmosStore, "_found", read)
        spec.open().remove(table, [b"i1"], 7)
        return before

    monkeypatch.setattr(CosmosStore, "_found", found)
    assert store.write(known, [Row(b"i1", 6, 4, 0, b"late"), Row(b"i2", 6, 4, 0, b"four")]) == Counts(1, 0, 1)
    assert got(store, table, [b"i1", b"i2"]) == [None, Row(b"i2", 6, 4, 0, b"four")]


def test_a_removal_that_another_was_quicker_than_is_decided_anew(
    spec: AzureCosmosDBSpec, store: CosmosStore, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(table, ROWS)
    read = CosmosStore._found

    def found(self: CosmosStore, *asked: Any) -> Any:
        before = read(self, *asked)
        monkeypatch.setattr(CosmosStore, "_found", read)
        spec.open().write(table, [Row(b"i1", 6, 9, 0, b"newer"), Row(b"new", 6, 3, 0, b"older")])
        spec.open().remove(table, [b"i2"], 7)
        return before

    monkeypatch.setattr(CosmosStore, "_found", found)
    assert store.remove(table, [b"i1", b"i2", b"new"], 5) == 1
    assert got(store, table, [b"i1", b"i2", b"new"]) == [Row(b"i1", 6, 9, 0, b"newer"), None, None]
    assert store.write(table, [Row(b"i2", 9, 7, 0, b"")]) == Counts(stale=1)


def test_a_publisher_that_is_not_alone_with_a_table_stops(
    spec: AzureCosmosDBSpec, store: CosmosStore, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CosmosStore._entry

    def then_others(self: CosmosStore, name: str) -> Any:
        before = entry(self, name)
        monkeypatch.setattr(CosmosStore, "_entry", entry)
        spec.open().put_table(replace(TABLE, ttl=timedelta(days=1)), table)
        return before

    monkeypatch.setattr(CosmosStore, "_entry", then_others)
    with pytest.raises(WriteConflict, match="is being described by another publisher"):
        store.put_table(replace(TABLE, ttl=timedelta(days=2)), table)


def test_what_a_drop_left_is_removed_by_the_next_drop(
    cosmos: Peer, spec: AzureCosmosDBSpec, store: CosmosStore, table: OnlineTable
) -> None:
    store.write(table, ROWS)
    other = store.put_table(replace(TABLE, name="s.other"), None)
    cosmos.faults(DELETE | {"path": f"{table.generation}-i", "status": 503, "times": -1})
    with pytest.raises(StoreUnavailable):
        CosmosStore(spec, patience_seconds=0.3).drop(table)
    assert (store.names(), store.table("s.t")) == (["s.other"], None)
    cosmos.faults()
    store.drop(other)
    assert items_of(spec) == []


# Who answers, and who may ask.


def test_a_container_that_is_gone_is_no_missing_row(store: CosmosStore, table: OnlineTable, cosmos: Peer) -> None:
    store.write(table, ROWS)
    cosmos.faults({"method": "GET", "status": 404, "headers": {"x-ms-substatus": "1003"}})
    with pytest.raises(StoreUnavailable, match="has no such database and container"):
        got(store, table, [b"i1"])


def test_an_item_that_this_session_cannot_see_yet_is_no_missing_row(
    store: CosmosStore, table: OnlineTable, cosmos: Peer
) -> None:
    store.write(table, ROWS)
    unseen = {"method": "GET", "status": 404, "headers": {"x-ms-substatus": "1002"}}
    cosmos.faults(unseen | {"times": 3})
    assert got(store, table, [b"i1"]) == [ROWS[1]]
    cosmos.faults(unseen | {"times": -1})
    with pytest.raises(StoreUnavailable, match="404 Not Found"):
        got(CosmosStore(store._spec, patience_seconds=0.2), table, [b"i1"])


def test_a_server_that_is_not_there_is_told_within_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "a2V5")
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
    store = CosmosStore(AzureCosmosDBSpec(f"https://127.0.0.2:{port}", "d", "c", key=f"env:{KEY}"), 0.2)
    with pytest.raises(StoreUnavailable, match=r"did not answer for 0\.2 s.*refused"):
        store.names()


def test_a_server_that_is_silent_is_told_within_a_time(
    cosmos: Peer, spec: AzureCosmosDBSpec, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_CLIENTS", {})
    monkeypatch.setattr(clients, "_ANSWER_SECONDS", 0.3)
    cosmos.faults(CREATE | {"drop": "never", "times": -1})
    store = CosmosStore(spec, patience_seconds=0.2)
    with pytest.raises(StoreUnavailable, match=r"did not answer for 0\.2 s.*timed out.* 30 of the 30 rows"):
        store.write(table, ROWS)
    assert len([method for method, _ in cosmos.faults() if method == "POST"]) <= 2 * WORKERS


def test_a_certificate_that_nobody_signed_is_refused(cosmos: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setattr(clients, "_CLIENTS", {})
    with pytest.raises(StoreUnavailable, match="its certificate is not signed by anybody that is trusted here"):
        cosmos.spec().open().names()


def test_a_key_that_was_changed_is_read_anew_and_a_wrong_one_is_not_told(
    cosmos: Peer, store: CosmosStore, table: OnlineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosmos.faults({"status": 401})
    assert store.table("s.t") == table
    cosmos.faults({"status": 401, "times": -1})
    with pytest.raises(AccessDenied, match=f"the account does not know the key in env:{KEY}"):
        store.table("s.t")
    monkeypatch.setattr(clients, "_CLIENTS", {})
    monkeypatch.setenv(KEY, "hunter2 is no base64")
    with pytest.raises(AccessDenied, match=f"what env:{KEY} holds is no key") as refused:
        store.table("s.t")
    assert "hunter2" not in str(refused.value)


def test_what_a_login_may_not_do_is_said(cosmos: Peer, store: CosmosStore, table: OnlineTable) -> None:
    cosmos.faults({"status": 403, "times": -1})
    with pytest.raises(AccessDenied, match=r"refused: 403 Forbidden, asked for by a test\."):
        store.write(table, ROWS)


def test_without_a_key_the_login_is_the_identity_of_where_this_runs(cosmos: Peer) -> None:
    with identity() as asked, replace(cosmos.spec(), key=None).open() as store:
        table = store.put_table(TABLE, None)
        assert store.write(table, ROWS) == Counts(written=30)
    assert "127.0.0.2" in asked[0]


def test_without_any_login_there_is_a_way_to_one(cosmos: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    monkeypatch.setattr(clients, "_CLIENTS", {})
    with pytest.raises(AccessDenied, match=r"refused: .*Log in \(az login\), or name the account's key") as refused:
        replace(cosmos.spec(), key=None).open().names()
    assert "\n" not in str(refused.value)


# Containers, ttl, and what is charged.


def test_the_container_is_made_for_reads_by_id(spec: AzureCosmosDBSpec, table: OnlineTable) -> None:
    made = container_of(spec).read()
    assert made["partitionKey"]["paths"] == ["/id"]
    assert made["indexingPolicy"]["includedPaths"] == [{"path": "/g/?"}]
    assert made["indexingPolicy"]["excludedPaths"] == [{"path": "/*"}]
    assert made["defaultTtl"] == -1


def _by_hand(spec: AzureCosmosDBSpec, path: str, **more: Any) -> None:
    database = CosmosClient(spec.account_uri, "a2V5").create_database_if_not_exists(spec.database_name)
    database.create_container(spec.container_name, PartitionKey(path), **more)


def test_a_container_made_by_hand_works_and_is_told_with_its_price(spec: AzureCosmosDBSpec, store: CosmosStore) -> None:
    _by_hand(spec, "/id", indexing_policy={"indexingMode": "consistent", "includedPaths": [{"path": "/*"}]})
    table = store.put_table(replace(TABLE, ttl=timedelta(days=1)), None)
    assert store.write(table, ROWS) == Counts(written=30)
    assert got(store, table, [row.key for row in ROWS]) == ROWS
    spent, ttl, indexed = store.notes(table, 3_000)
    assert spent.endswith("request units; to write all 3,000 rows takes about 24,000.")
    assert ttl.startswith("The container's time to live is off: rows stay in it after they expired")
    assert indexed.endswith(" A row takes 8.0 request units, and 5.5 where nothing is indexed.")
    assert store.count(table) == len(items_of(spec)) - 1 == 30


def test_a_container_that_is_parted_otherwise_is_refused(spec: AzureCosmosDBSpec, store: CosmosStore) -> None:
    _by_hand(spec, "/customer")
    with pytest.raises(InvalidInput, match="is parted by /customer; name a container with the partition key /id"):
        store.put_table(TABLE, None)


def test_what_is_charged_is_added_up(cosmos: Peer, spec: AzureCosmosDBSpec, table: OnlineTable) -> None:
    cosmos.faults()
    store = spec.open()
    store.write(table, ROWS)
    cosmos.faults(PATCH | {"status": 429, "headers": {"x-ms-retry-after-ms": "1", "x-ms-request-charge": "100"}})
    store.write(table, [ROWS[0]._replace(version=2)])
    charged = (
        1 + 30 * 8 + 1 + 1 + 1 + 100 + 1
    )  # the table, the rows; the table, a conflict, its row, a refusal, a patch
    assert store.notes(table, 31)[0].startswith(f"{charged:,} request units")


def test_a_report_tells_what_was_charged(spec: AzureCosmosDBSpec, tmp_path: Path) -> None:
    made = Made(tmp_path / "source", {"id": "bigint", "at": "timestamp", "x": "double"}, ("id",), "at")
    first = {"at": datetime(2024, 1, 1, tzinfo=UTC), "x": 1.0}
    loaded = publish(made.append(*({"id": key, **first} for key in range(20))), spec)
    assert re.fullmatch(r"\d+ request units\.", loaded.notes[0])
    later = publish(made.append({"id": 3, "at": datetime(2024, 1, 2, tzinfo=UTC), "x": 2.0}), spec)
    assert (later.written, later.unchanged) == (1, 19)
    assert re.fullmatch(r"\d+ request units; to write all 20 rows takes about \d+\.", later.notes[0])
    assert later.notes[0] in str(later)


def test_a_ttl_is_told_to_the_service_later_than_a_row_expires(
    spec: AzureCosmosDBSpec, store: CosmosStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now * 10**9)
    table = store.put_table(replace(TABLE, ttl=timedelta(hours=1)), None)
    ages = {b"i1": 0, b"i2": 1_800, b"i3": 10_000, b"i4": -(2**32)}
    store.remove(table, [b"i5"], 0)
    rows = [Row(key, (now - age) * 10**6 + 1, 1, 0, b"") for key, age in (ages | {b"i5": 0}).items()]
    assert store.write(table, rows) == Counts(written=5)

    def told() -> list[int]:
        found = {item["id"]: item["ttl"] for item in items_of(spec)}
        return [found[module._row_id(table, row.key)] for row in rows]

    day = 86_400
    assert told() == [3_601 + day, 1_801 + day, day, -1, -1]  # of the last two one lies too far off, one has a floor
    longer = store.put_table(replace(table, ttl=timedelta(hours=2)), table)
    assert told() == [7_200 + day, 5_400 + day, day, -1, -1]
    store.put_table(replace(longer, ttl=None), longer)
    assert told() == [-1] * 5
    assert module._seconds(replace(table, timeseries_column=None), 0, NO_FLOOR) == -1


def test_its_url_opens_it(store: CosmosStore, table: OnlineTable) -> None:
    with open_store(store.url) as same:
        assert same.table("s.t") == table
