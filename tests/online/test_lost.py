"""Rows that a store lost come back by publishing again."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from redis import Redis

from fstk.online.cosmos import AzureCosmosDBSpec, CosmosStore
from fstk.online.parity import check_parity
from fstk.online.postgres import PostgreSQLSpec
from fstk.online.publish import publish
from fstk.online.redis import RedisSpec
from fstk.online.spec import OnlineSpec, SQLiteSpec
from tests.online.tables import Made
from tests.servers.redis import redis_server
from tests.stores import PROCESSES, can


def row(key: int, n: int) -> dict[str, Any]:
    return {"id": key, "at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n), "n": n}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = Made(tmp_path / "t", {"id": "bigint", "at": "timestamp", "n": "bigint"}, ("id",), "at")
    made.append(*(row(key, 1) for key in range(9)))
    return made


def emptied(spec: OnlineSpec) -> None:
    """Remove all rows by the back door, and leave what the store knows of tables."""
    if isinstance(spec, SQLiteSpec):
        with closing(sqlite3.connect(spec.path, isolation_level=None)) as db:
            db.execute("DELETE FROM fstk_rows")
    elif isinstance(spec, RedisSpec):
        with Redis(port=spec.port) as client:
            client.delete(*client.scan_iter("fstk:{}:*"))
    elif isinstance(spec, PostgreSQLSpec):
        with psycopg.connect(**_login(spec), autocommit=True) as db:
            db.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(spec.schema, "fstk_rows")))
    else:
        assert isinstance(spec, AzureCosmosDBSpec)
        with CosmosStore(spec) as store:
            table = store.table("s.t")
            assert table is not None
            for ids in list(store._query("VALUE c.id", table.generation)):
                store._each(store._delete, ids)


def lost(spec: OnlineSpec) -> None:
    """Remove all that there is."""
    if isinstance(spec, SQLiteSpec):
        Path(spec.path).unlink()
    elif isinstance(spec, RedisSpec):
        with Redis(port=spec.port) as client:
            client.flushall()
    elif isinstance(spec, PostgreSQLSpec):
        with psycopg.connect(**_login(spec), autocommit=True) as db:
            db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(spec.schema)))
    else:
        assert isinstance(spec, AzureCosmosDBSpec)
        with CosmosStore(spec) as store:
            client = store._client().azure().get_database_client(spec.database_name)
            client.delete_container(spec.container_name)


def _login(spec: PostgreSQLSpec) -> dict[str, Any]:
    assert spec.password is not None
    password = os.environ[spec.password.removeprefix("env:")]
    return {"host": spec.host, "port": spec.port, "dbname": spec.database, "user": spec.user, "password": password}


@can(PROCESSES)
@pytest.mark.parametrize("changed", [False, True])
def test_rows_that_are_all_gone_are_published_again_whatever_was_said_of_them(
    made: Made, spec: OnlineSpec, changed: bool
) -> None:
    assert publish(made.at(), spec).written == 9
    emptied(spec)
    table = made.append(row(9, 2)) if changed else made.at()
    assert publish(table, spec, dry_run=True).written == 9 + changed
    report = publish(table, spec)
    assert (report.written, report.unchanged, report.reason) == (
        9 + changed,
        0,
        "the store has no row of it",
    )
    parity = check_parity(table, spec)
    assert (parity.ok, parity.equal, parity.kept) == (True, 9 + changed, 0)
    assert publish(table, spec).unchanged == 9 + changed


@can(PROCESSES)
def test_a_store_that_lost_everything_gets_it_by_publishing_again(made: Made, spec: OnlineSpec) -> None:
    publish(made.at(), spec)
    lost(spec)
    assert publish(made.at(), spec).written == 9
    assert check_parity(made.at(), spec).ok


@pytest.mark.server
def test_so_does_a_redis_that_started_anew(made: Made, tmp_path: Path) -> None:
    with ExitStack() as servers:
        port = servers.enter_context(redis_server(tmp_path / "first"))
        publish(made.at(), RedisSpec("127.0.0.1", port))
        servers.close()
        servers.enter_context(redis_server(tmp_path / "second", f"port {port}", f"# {{port}} is not {port}"))
        assert publish(made.at(), RedisSpec("127.0.0.1", port)).written == 9
        assert check_parity(made.at(), RedisSpec("127.0.0.1", port)).ok


def test_of_some_lost_rows_parity_tells_and_pruning_offers_all_keys_again(made: Made, tmp_path: Path) -> None:
    spec = SQLiteSpec(tmp_path / "online.db")
    publish(made.at(), spec)
    with closing(sqlite3.connect(spec.path, isolation_level=None)) as db:
        db.execute("DELETE FROM fstk_rows WHERE key = ?", (b"i3",))
    report = publish(made.at(), spec)
    assert (report.changed, report.unchanged) == (False, 8)
    assert "version 1 is online; parity tells whether all of it still is" in repr(report)
    parity = check_parity(made.at(), spec)
    assert (parity.missing, parity.differences[0].key) == (1, "id=3")
    assert "fstk publish s.t --prune offers every key again" in repr(parity)
    assert publish(made.at(), spec, prune=True).written == 1
    assert check_parity(made.at(), spec).ok
