"""The PostgreSQL store as a server: who meets whom there, what is lost and made again, rights, and what it says.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from fstk import PostgreSQLSpec
from fstk.errors import Infrastructure, InvalidInput, StoreUnavailable, UnknownName, WriteConflict
from fstk.online import postgres as module
from fstk.online.postgres import PostgreSQLStore
from fstk.online.spec import spec_of
from fstk.online.store import Counts, OnlineTable, Row, Watermark
from tests.online import racer
from tests.servers.endpoint import ended
from tests.servers.postgres import DATABASE, PASSWORD, USER, Server
from tests.stores import got

TABLE = OnlineTable("t", "", "a-table", {"id": "bigint"}, "at", ({"x": "double"},), None, None)
ROW = Row(b"k", 1, 1, 0, b"one")
pytestmark = pytest.mark.server


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> str:
    return f'{request.node.name[:40]} "é" {time.time_ns() % 10**9}'[-50:]


@pytest.fixture
def spec(postgres: Server, schema: str) -> PostgreSQLSpec:
    return postgres.spec(schema)


@pytest.fixture
def store(spec: PostgreSQLSpec) -> Iterator[PostgreSQLStore]:
    with spec.open() as opened:
        yield opened


@pytest.fixture
def table(store: PostgreSQLStore) -> OnlineTable:
    return store.put_table(TABLE, None)


def rows_of(schema: str, statement: LiteralString) -> sql.Composed:
    """Return a statement about the rows, which it calls {}."""
    return sql.SQL(statement).format(sql.Identifier(schema, "fstk_rows"))


def refused(spec: PostgreSQLSpec) -> str:
    """Return what is said where nothing can be asked."""
    with spec.open() as store, pytest.raises(StoreUnavailable) as caught:
        store.names()
    return str(caught.value)


def test_a_url_holds_what_a_spec_does() -> None:
    for spec in (
        PostgreSQLSpec("h", "d"),
        PostgreSQLSpec("h", "d", port=5433, user="ann@example.com", password="databricks:scope/key", sslmode="disable"),
        PostgreSQLSpec("2001:db8::1", "d", schema='s "ü" %&?'),
        PostgreSQLSpec("/var/run/postgresql", "a/b?c d", user="u:x"),
        PostgreSQLSpec("one,two", "d", sslmode="verify-full"),
    ):
        assert spec_of(spec.url) == spec
        assert spec.open().url == spec.url
    assert spec_of("postgresql://h/d?ttl=36h") == PostgreSQLSpec("h", "d", ttl=timedelta(hours=36))
    assert spec_of("postgresql://ann@example.com@h/d") == PostgreSQLSpec("h", "d", user="ann@example.com")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hunter2@h/d", "only where it is kept: ?password=env:NAME"),
        ("postgresql://u:hun@ter2@h/d", "only where it is kept"),
        ("postgresql://u:hunter2/hunter2@h/d", "its port is no number from 1 to 65535"),
        ("postgresql://u:hunter2?@h/d", "its options are ttl, password, sslmode, schema"),
        ("postgresql://h:hunter2/d", "its port is no number from 1 to 65535"),
        ("postgresql://h:0/d", "its port is no number"),
        ("postgresql://h:65536/d", "its port is no number"),
        ("postgresql://h/d?password=hunter2", "not a reference to a secret (env:NAME"),
        ("postgresql://h/d?sslmode=hunter2", "sslmode is one of disable, allow"),
        ("postgresql://h/d?hunter2=1", "its options are ttl, password, sslmode, schema"),
        ("postgresql://h/d?schema=", "schema must be the name of a schema"),
        ("postgresql://", "it names no host and database"),
        ("postgresql://h", "it names no host and database"),
        ("postgresql://h/", "it names no host and database"),
        ("postgresql:///d", "it names no host and database"),
        ("postgresql://@h/d", "before its @ there is no user"),
    ],
)
def test_a_url_that_names_no_store_is_refused_without_being_repeated(url: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_of(url)
    assert said in str(caught.value)
    assert "Write postgresql://user@host:5432/database?password=env:NAME." in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).replace(url, "")


@pytest.mark.parametrize("password", ["hunter2", "env:", "env:hunter2/", b"hunter2", ["hunter2"]])
def test_what_may_be_a_password_is_shown_nowhere(password: Any) -> None:
    with pytest.raises(InvalidInput, match="not a reference to a secret") as caught:
        PostgreSQLSpec("h", "d", password=password)
    lines = traceback.format_exception(caught.value)
    assert "hunter2" not in "".join(line for line in lines if "PostgreSQLSpec(" not in line)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"host": ""}, "host must be a host name"),
        ({"database": "a\0b"}, "database must be the name of a database"),
        ({"port": 0}, "port must be a number from 1 to 65535"),
        ({"port": "5432"}, "port must be a number"),
        ({"user": ""}, "user must be the name of a role"),
        ({"schema": "pg_own"}, "schema must be"),
        ({"schema": "é" * 32}, "schema must be"),
        ({"sslmode": "on"}, "sslmode must be one of disable"),
    ],
)
def test_a_spec_needs_each_argument_as_it_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        PostgreSQLSpec(**{"host": "h", "database": "d", **arguments})


def test_nothing_is_made_by_reading(postgres: Server, schema: str, store: PostgreSQLStore) -> None:
    assert (store.names(), store.table("t")) == ([], None)
    never = replace(TABLE, generation="1")
    assert (got(store, never, [b"k"]), store.count(never), list(store.keys(never))) == ([None], 0, [])
    assert postgres.admin("SELECT to_regnamespace(quote_ident(%s))", schema) == [(None,)]


def test_sessions_are_encrypted(postgres: Server, store: PostgreSQLStore) -> None:
    store.names()
    said = postgres.admin(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'fstk'"
    )
    assert set(said) == {(True,)}


def test_keys_longer_than_an_index_holds_and_large_values(store: PostgreSQLStore, table: OnlineTable) -> None:
    digest = module._id(b"a" * 10_000)
    keys = [b"a" * 10_000, b"a" * 9_999, b"a" * 31, b"a" * 32, digest, digest[:31], os.urandom(100_000)]
    rows = [Row(key, 1, 1, 0, key[:1] * 1_000_000) for key in keys]
    assert store.write(table, rows) == Counts(written=len(keys))
    assert got(store, table, keys) == rows
    assert sorted(key for portion in store.keys(table) for key in portion) == sorted(keys)
    assert store.remove(table, keys[:4], 1) == 4
    assert got(store, table, keys) == [None] * 4 + rows[4:]
    assert store.write(table, rows) == Counts(unchanged=3, stale=4)


@pytest.mark.parametrize("limit", ["_ROWS_AT_ONCE", "_BYTES_AT_ONCE"])
def test_a_batch_in_parts_is_decided_as_a_whole_one(spec: PostgreSQLSpec, limit: str, monkeypatch: Any) -> None:
    def counted() -> list[Any]:
        with spec.open() as store:
            table = store.put_table(replace(TABLE, name=limit), None)
            said: list[Any] = [store.remove(table, [b"i0"], 2)]
            said += [store.write(table, rows) for rows, _, _ in racer.steps(3, 12, removing=False)]
            said.append(got(store, table, racer.KEYS))
            store.drop(table)
            return said

    whole = counted()
    monkeypatch.setattr(module, limit, 7)
    assert counted() == whole


def test_a_batch_that_fails_changes_nothing(store: PostgreSQLStore, table: OnlineTable) -> None:
    for more in (0, 2 * module._ROWS_AT_ONCE):
        rows = [Row(b"%d" % number, 1, 1, 0, b"") for number in range(more)]
        with pytest.raises(StoreUnavailable):
            store.write(table, [*rows, Row(b"y", 1, 1, 0, b""), Row(b"z", None, 1, 0, b"")])  # type: ignore[arg-type]
        assert store.count(table) == 0
    assert store.write(table, [ROW]).written == 1


def test_a_read_is_one_statement(store: PostgreSQLStore, table: OnlineTable, monkeypatch: Any) -> None:
    other = store.put_table(replace(TABLE, name="u"), None)
    store.write(other, [ROW])
    asked: list[Any] = []
    execute = psycopg.Cursor.execute
    monkeypatch.setattr(psycopg.Cursor, "execute", lambda *a, **b: asked.append(a) or execute(*a, **b))
    assert store.get([(table, [b"k", b"l"]), (other, [b"l", b"k"])]) == [[None, None], [None, ROW]]
    assert len(asked) == 1
    for _ in range(10):
        store.get([(table, [b"k"])])
    assert store._connection.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'wanted'"
    ).fetchone()[0]


def test_whatever_a_role_is_set_to(postgres: Server, schema: str) -> None:
    hostile = sql.Identifier(f"hostile {schema}"[:60])
    name = hostile.as_string().strip('"').replace('""', '"')
    secret = os.environ[PASSWORD.removeprefix("env:")]
    postgres.admin(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(hostile, secret, sql.Identifier(USER)))
    postgres.admin(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(DATABASE), hostile))
    trap = sql.Identifier(f"trap {schema}"[:60])
    postgres.admin(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(trap, hostile))
    postgres.admin(sql.SQL("CREATE TABLE {}.fstk_rows (x int)").format(trap))
    postgres.admin(sql.SQL("CREATE TABLE {}.fstk_tables (x int)").format(trap))
    for function in ("set_config(text, text, boolean)", "pg_current_xact_id_if_assigned()"):
        traps = "CREATE FUNCTION {}.{} RETURNS text LANGUAGE sql AS 'SELECT (1/0)::text'"
        postgres.admin(sql.SQL(traps).format(trap, sql.SQL(function)))
    for setting in (
        sql.SQL("search_path = {}, pg_catalog").format(trap),
        sql.SQL("default_transaction_isolation = 'serializable'"),
        sql.SQL("client_encoding = 'latin1'"),
        sql.SQL("bytea_output = 'escape'"),
        sql.SQL("row_security = off"),
        sql.SQL("timezone = 'Asia/Kathmandu'"),
    ):
        postgres.admin(sql.SQL("ALTER ROLE {} SET {}").format(hostile, setting))
    with postgres.spec(f'%s {schema[-40:]} "', user=name).open() as store:
        table = store.put_table(replace(TABLE, name="é.☃"), None)
        assert store.names() == ["é.☃"]
        assert store.write(table, [ROW]) == Counts(written=1)
        assert got(store, table, [b"k"]) == [ROW]
        (level,) = _in_transaction(store, lambda db: db.execute("SHOW transaction_isolation").fetchone())
        assert level == "read committed"


def _in_transaction(store: PostgreSQLStore, work: Callable[[Any], Any]) -> Any:
    return store._writing(work)


# Who meets whom


@contextmanager
def other(postgres: Server) -> Iterator[psycopg.Connection[tuple]]:
    """Open the session of somebody else, in a transaction."""
    with closing(psycopg.connect(**postgres.superuser(DATABASE))) as db:
        yield db


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run ``work`` in a thread; in the end its result, or its error, is in the list."""
    said: list[Any] = []

    def run() -> None:
        try:
            said.append(work())
        except Infrastructure as error:
            said.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield said
    thread.join(timeout=60)
    assert not thread.is_alive()


def until(found: Callable[[], Any]) -> None:
    """Wait until something is so, a minute at most."""
    pause = threading.Event()
    for _ in range(1200):
        if found():
            return
        pause.wait(0.05)
    raise AssertionError("it never was so")


def waiting(postgres: Server) -> int:
    """Return how many sessions of stores wait for another's lock."""
    query = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'fstk' AND wait_event_type = 'Lock'"
    return len(postgres.admin(query))


def test_a_writer_that_is_the_victim_of_a_deadlock_writes_again(
    postgres: Server, schema: str, store: PostgreSQLStore, table: OnlineTable
) -> None:
    first, second = Row(b"a", 1, 1, 0, b""), Row(b"b", 1, 1, 0, b"")
    store.write(table, [first, second])
    lock = rows_of(schema, "UPDATE {} SET layout = layout WHERE id = %s")
    newer = [row._replace(version=2, value=b"new") for row in (first, second)]
    with other(postgres) as db:
        db.execute(lock, (b"b",))
        with meanwhile(lambda: store.write(table, newer)) as said:
            until(lambda: waiting(postgres))
            db.execute(lock, (b"a",))
            db.rollback()
    assert said == [Counts(written=2)]
    assert got(store, table, [b"a", b"b"]) == newer


def test_a_row_that_came_meanwhile_is_met_as_it_is(
    postgres: Server, schema: str, spec: PostgreSQLSpec, store: PostgreSQLStore, table: OnlineTable
) -> None:
    """A row that another transaction put there, unseen until it ended, and one whose transaction came to nothing."""
    number = int(table.generation)
    values = "INSERT INTO {} VALUES (%s, 5, 5, 5, -1, 0, 'k', NULL, 'five')"
    for end, counts in (("rollback", Counts(written=1)), ("commit", Counts(stale=1))):
        with other(postgres) as db:
            db.execute(rows_of(schema, "DELETE FROM {}"))
            db.commit()
            db.execute(rows_of(schema, values), (number,))
            with meanwhile(lambda: store.write(table, [ROW])) as said:
                until(lambda: waiting(postgres))
                getattr(db, end)()
        assert said == [counts]


@pytest.mark.parametrize("at_once", [1, 2_000])
def test_rows_are_locked_in_the_order_of_their_keys(
    postgres: Server, schema: str, store: PostgreSQLStore, table: OnlineTable, at_once: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", at_once)
    rows = [Row(key, 1, 1, 0, b"") for key in (b"b", b"a")]
    store.write(table, rows)
    lock = rows_of(schema, "SELECT FROM {} WHERE id = %s FOR UPDATE NOWAIT")
    for ask in (lambda: store.write(table, rows), lambda: store.remove(table, [b"b", b"a"], 0)):
        with other(postgres) as db:
            db.execute(lock, (b"a",))
            with meanwhile(ask) as said:
                until(lambda: waiting(postgres))
                db.execute(lock, (b"b",))  # free yet
                db.rollback()
        assert said in ([Counts(unchanged=2)], [0])


def test_a_table_cannot_change_under_a_writer(
    postgres: Server, schema: str, store: PostgreSQLStore, table: OnlineTable, spec: PostgreSQLSpec
) -> None:
    wider = replace(table, layouts=({"x": "double"}, {"x": "double", "y": "double"}))
    with other(postgres) as db:
        tables = sql.Identifier(schema, "fstk_tables")
        db.execute(sql.SQL("SELECT FROM {} FOR KEY SHARE").format(tables))  # as a writer does
        for change in (lambda: store.put_table(wider, table), lambda: store.drop(table)):
            with meanwhile(change) as said:
                until(lambda: waiting(postgres))
                assert not said
                db.rollback()
            db.execute(sql.SQL("SELECT FROM {} FOR KEY SHARE").format(tables))
            assert len(said) == 1


def test_a_writer_meets_the_table_as_it_is(postgres: Server, schema: str, store: PostgreSQLStore) -> None:
    tables = sql.Identifier(schema, "fstk_tables")
    for name, ask in (
        ("a", lambda table: store.write(table, [ROW])),
        ("b", lambda table: store.remove(table, [b"k"], 1)),
        ("c", lambda table: store.put_table(table, table)),
    ):
        table = store.put_table(replace(TABLE, name=name), None)
        with other(postgres) as db:
            db.execute(sql.SQL("UPDATE {} SET name = NULL WHERE id = %s").format(tables), (int(table.generation),))
            with meanwhile(lambda ask=ask, table=table: ask(table)) as said:
                until(lambda: waiting(postgres))
                db.commit()
        assert isinstance(said[0], WriteConflict)
        assert store.count(table) == 0


def test_publications_that_end_at_once_leave_the_newest_watermark(
    postgres: Server, schema: str, store: PostgreSQLStore, table: OnlineTable
) -> None:
    mark = Watermark(7, datetime(2024, 1, 1, tzinfo=UTC), None, None, 0)
    change = sql.SQL("UPDATE {} SET version = 8, layout = 0, seen_to = 0")
    with other(postgres) as db:
        db.execute(change.format(sql.Identifier(schema, "fstk_tables")))
        with meanwhile(lambda: store.complete(table, mark)):
            until(lambda: waiting(postgres))
            db.commit()
    held = store.table("t")
    assert held is not None
    assert held.watermark == Watermark(8, datetime(1970, 1, 1, tzinfo=UTC), None, None, 0)


def test_of_first_publications_at_once_one_makes_the_tables(postgres: Server, spec: PostgreSQLSpec) -> None:
    with other(postgres) as db, spec.open() as one, spec.open() as two, spec.open() as reader:
        db.execute("SELECT pg_advisory_xact_lock(%s)", (module._MAKING,))
        with (
            meanwhile(lambda: one.put_table(replace(TABLE, name="a"), None).name) as first,
            meanwhile(lambda: two.put_table(replace(TABLE, name="b"), None).name) as second,
        ):
            until(lambda: waiting(postgres) == 2)
            assert reader.names() == []
            db.rollback()
        assert (first, second) == (["a"], ["b"])
        assert reader.names() == ["a", "b"]


def test_rows_are_reached_by_their_keys_whatever_is_known_of_the_table(
    postgres: Server, schema: str, spec: PostgreSQLSpec
) -> None:
    with spec.open() as store:
        table = store.put_table(TABLE, None)
        for _ in range(10):
            rows = [Row(b"%d" % number, 1, 1, 0, b"") for number in range(3_000)]
            store.write(table, rows)
            got(store, table, [row.key for row in rows])
            list(store.keys(table))
            store.remove(table, [b"1", b"x"], 1)
    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE schemaname = %s AND relname = 'fstk_rows' AND idx_scan > 0"
    until(lambda: postgres.admin(scans, schema))
    assert postgres.admin(scans, schema) == [(1,)]  # when its index was made


@pytest.mark.slow
def test_what_goes_through_a_whole_table_may_take_longer(
    postgres: Server, schema: str, spec: PostgreSQLSpec, store: PostgreSQLStore, table: OnlineTable
) -> None:
    with other(postgres) as db, PostgreSQLStore(spec, seconds=1) as hasty:
        db.execute(sql.SQL("LOCK TABLE {}").format(sql.Identifier(schema, "fstk_rows")))
        with pytest.raises(StoreUnavailable, match="statement timeout. It took longer than it may"):
            got(hasty, table, [b"k"])
        longer = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'fstk' AND now() - query_start > '2 s'"
        with meanwhile(lambda: hasty.count(table)) as said:
            until(lambda: waiting(postgres) and postgres.admin(f"{longer} AND wait_event_type = 'Lock'"))
            db.rollback()
        assert said == [0]
        assert hasty._connection.execute("SHOW statement_timeout").fetchone() == ("1s",)
        assert hasty._connection.seconds == 3


def test_what_a_killed_drop_left_is_removed_by_the_next(
    postgres: Server, schema: str, store: PostgreSQLStore, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "_ROWS_A_SWEEP", 3)
    tables = [store.put_table(replace(TABLE, name=name), None) for name in ("a", "b", "c")]
    for table in tables:
        store.write(table, [Row(b"%d" % key, 1, 1, 0, b"") for key in range(10)])
        store.remove(table, [b"3", b"11"], 1)
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(PostgreSQLStore, "_sweep", killed)
        with pytest.raises(KeyboardInterrupt):
            store.drop(tables[0])
    assert store.names() == ["b", "c"]
    again = store.put_table(replace(TABLE, name="a"), None)
    assert again.generation not in {table.generation for table in tables}
    store.drop(tables[1])
    left = postgres.admin(rows_of(schema, "SELECT table_id, count(*) FROM {} GROUP BY 1"))
    assert left == [(int(tables[2].generation), 11)]
    assert store.names() == ["a", "c"]


def test_a_generation_is_not_given_again_where_the_schema_was_dropped(
    postgres: Server, schema: str, store: PostgreSQLStore, table: OnlineTable
) -> None:
    postgres.admin(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    assert store.table("t") is None
    assert got(store, table, [b"k"]) == [None]
    with pytest.raises(WriteConflict, match="was dropped"):
        store.write(table, [ROW])
    anew = store.put_table(TABLE, None)
    assert anew.generation != table.generation


def test_tables_of_another_format_are_left_alone(postgres: Server, schema: str, store: PostgreSQLStore) -> None:
    owned = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}")
    postgres.admin(owned.format(sql.Identifier(schema), sql.Identifier(USER)))
    postgres.admin(sql.SQL("CREATE TABLE {} (x int)").format(sql.Identifier(schema, "fstk_tables")))
    for ask in (store.names, lambda: store.put_table(TABLE, None)):
        with pytest.raises(InvalidInput, match="none of this fstk; name another schema"):
            ask()


# What is lost and made again


SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'fstk'"
CUT = SESSIONS.replace("pid", "pg_terminate_backend(pid)")


def test_a_session_that_was_cut_is_made_again(postgres: Server, store: PostgreSQLStore, table: OnlineTable) -> None:
    store.write(table, [ROW])
    asks: list[tuple[Callable[[], Any], Any]] = [
        (lambda: store.write(table, [ROW]), Counts(unchanged=1)),
        (lambda: store.remove(table, [b"k"], 0), 0),
        (lambda: got(store, table, [b"k"]), [ROW]),
        (store.names, ["t"]),
        (lambda: store.count(table), 1),
        (lambda: list(store.keys(table)), [[b"k"]]),
    ]
    for ask, said in asks:
        postgres.admin(CUT)
        until(lambda: not postgres.admin(CUT))
        assert ask() == said
        store._connection.execute("SET idle_session_timeout = 1")
        until(lambda: not postgres.admin(SESSIONS))
        assert ask() == said


def test_a_server_that_was_restarted_is_connected_to_again(
    postgres: Server, store: PostgreSQLStore, table: OnlineTable
) -> None:
    store.write(table, [ROW])
    (pid,) = postgres.admin(SESSIONS)[0]
    os.kill(pid, signal.SIGKILL)  # after which all sessions are ended, and the server recovers

    def answers() -> bool:
        try:
            return bool(postgres.admin("SELECT 1"))
        except psycopg.OperationalError:
            return False

    until(lambda: not alive(pid))
    until(answers)
    assert store.write(table, [ROW]) == Counts(unchanged=1)
    assert got(store, table, [b"k"]) == [ROW]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Wire:
    """A way to the server that is cut where a client ends its transaction: ``before`` the server hears of it, or
    ``after`` it has answered, the answer kept back."""

    def __init__(self, port: int) -> None:
        self.cut: str | None = None
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which ends the wait for another client

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._port))
        with ended(client, server):
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
            while said := client.recv(1 << 16):
                ends, cut = b"COMMIT\0" in said, self.cut
                if ends and cut == "before":
                    self.cut = None
                    return
                self._keep = keep = ends and cut == "after"
                server.sendall(said)
                if keep:  # the answer may be kept back already
                    until(lambda: self.cut is None)
                    return

    _keep = False

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while said := server.recv(1 << 16):
                if self._keep:
                    self.cut, self._keep = None, False
                    return
                client.sendall(said)
        except OSError:
            return


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_transaction_whose_end_was_not_heard_is_counted_as_what_became_of_it(
    postgres: Server, spec: PostgreSQLSpec, store: PostgreSQLStore, table: OnlineTable, cut: str
) -> None:
    with (
        closing(Wire(postgres.port)) as wire,
        replace(spec, port=wire.port, sslmode="disable").open() as over,
    ):
        assert over.table("t") == table
        for ask, said in (
            (lambda: over.write(table, [ROW]), Counts(written=1)),
            (lambda: over.remove(table, [b"k"], 1), 1),
            (lambda: over.put_table(replace(TABLE, name="u"), None).name, "u"),
            (lambda: over.drop(table), None),
        ):
            wire.cut = cut
            assert ask() == said
            assert wire.cut is None
    assert store.names() == ["u"]


@pytest.mark.slow
def test_a_server_that_is_stopped_is_unavailable_in_bounded_time(postgres: Server, spec: PostgreSQLSpec) -> None:
    with PostgreSQLStore(spec, seconds=1) as store:
        table = store.put_table(TABLE, None)
        (pid,) = store._connection.execute("SELECT pg_backend_pid()").fetchone()
        for ask in (lambda: got(store, table, [b"k"]), lambda: store.write(table, [ROW])):
            os.kill(pid, signal.SIGSTOP)
            try:
                with pytest.raises(StoreUnavailable, match="no answer within 3 seconds"):
                    ask()
            finally:
                os.kill(pid, signal.SIGCONT)
            store.names()
            (pid,) = store._connection.execute("SELECT pg_backend_pid()").fetchone()
        assert got(store, table, [b"k"]) == [None]
    os.kill(postgres.pid, signal.SIGSTOP)
    try:
        with (
            PostgreSQLStore(spec, seconds=1) as store,
            pytest.raises(StoreUnavailable, match="did not answer: connection timeout expired"),
        ):
            store.names()
    finally:
        os.kill(postgres.pid, signal.SIGCONT)


@pytest.mark.slow
def test_a_publisher_that_stands_still_is_cut_and_others_go_on(
    postgres: Server, spec: PostgreSQLSpec, table: OnlineTable
) -> None:
    with PostgreSQLStore(spec, seconds=1) as still, spec.open() as store:
        still.names()
        db = still._connection
        db.execute("BEGIN")
        still._offer(db, int(table.generation), [(*ROW, None)])
        assert store.write(table, [ROW]) == Counts(written=1)
        until(lambda: not postgres.admin(f"{SESSIONS} AND state ~ 'transaction'"))
        assert still.write(table, [ROW]) == Counts(unchanged=1)


# Rights and messages


@pytest.fixture
def role(postgres: Server) -> str:
    """A role that may log in, and nothing else."""
    name = f"role {random.randrange(10**9)}"
    secret = os.environ[PASSWORD.removeprefix("env:")]
    postgres.admin(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), secret))
    return name


def test_a_password_is_read_at_each_login(
    postgres: Server, role: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = sql.SQL("ALTER ROLE {} PASSWORD {}")
    spec = postgres.spec(schema, user=role, password="env:FSTK_TEST_TOKEN")
    assert "token" not in repr(spec)
    with pytest.raises(UnknownName, match="FSTK_TEST_TOKEN is not set"), spec.open() as store:
        store.names()
    with spec.open() as store:
        for token in ("token-1", "token-2"):
            postgres.admin(change.format(sql.Identifier(role), token))
            monkeypatch.setenv("FSTK_TEST_TOKEN", token)
            postgres.admin(CUT)
            assert store.names() == []
        postgres.admin(change.format(sql.Identifier(role), "token-3"))
        assert store.names() == []  # it is checked at login only
        postgres.admin(CUT)
        with pytest.raises(StoreUnavailable) as caught:
            store.names()
        assert str(caught.value) == (
            f'online store {spec.url} did not answer: password authentication failed for user "{role}". The password '
            "is read anew from env:FSTK_TEST_TOKEN at each login."
        )
        assert "token-" not in "".join(traceback.format_exception(caught.value))


def test_the_rights_that_the_page_gives_are_those_that_are_needed(postgres: Server) -> None:
    """Who reads may change nothing."""
    page = (Path(__file__).parents[2] / "docs" / "online-postgresql.md").read_text()
    first, more = re.findall(r"^```sql\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    secret = os.environ[PASSWORD.removeprefix("env:")]
    for role in ("reader", "other_reader", "other_publisher"):
        postgres.admin(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), secret))
    batch = [Row(b"%d" % number, 1, 1, 0, b"") for number in range(10)]

    def refuses(role: str, ask: Callable[[PostgreSQLStore], Any], said: str) -> None:
        with postgres.spec("fstk", user=role).open() as store, pytest.raises(StoreUnavailable, match=said):
            ask(store)

    for statement in first.split(";")[:-1]:
        postgres.admin(statement)
    with postgres.spec("fstk", user="reader").open() as store:
        assert store.names() == []
    with postgres.spec("fstk").open() as store:
        table = store.put_table(TABLE, None)
        store.write(table, [ROW])
    refuses("other_publisher", lambda store: store.write(table, [ROW]), "denied for schema fstk. The role lacks")
    for statement in more.split(";")[:-1]:
        postgres.admin(statement)
    with postgres.spec("fstk", user="other_publisher").open() as store:
        store.write(table, batch)
        store.remove(table, [batch[0].key], 1)
        second = store.put_table(replace(TABLE, name="u"), None)
        store.drop(second)
    for role in ("reader", "other_reader"):
        with postgres.spec("fstk", user=role).open() as store:
            assert store.table("t") == table
            assert got(store, table, [b"k"]) == [ROW]
            assert store.count(table) == len(batch)
            assert sum(map(len, store.keys(table))) == len(batch)
        for change in (
            lambda store: store.write(table, [ROW]),
            lambda store: store.remove(table, [b"k"], 9),
            lambda store: store.put_table(replace(TABLE, name="v"), None),
            lambda store: store.drop(table),
        ):
            refuses(role, change, "permission denied for table fstk_tables. The role lacks a right")


def test_what_keeps_a_client_out_is_said(postgres: Server, spec: PostgreSQLSpec, schema: str, role: str) -> None:
    said = refused(replace(spec, database="nope"))
    assert 'did not answer: database "nope" does not exist.' in said
    assert "port 1 failed: Connection refused." in refused(replace(spec, port=1))
    assert "failed to resolve host" in refused(replace(spec, host="no.such.host.invalid"))
    assert "no password supplied" in refused(replace(spec, password=None))
    with spec.open() as store:
        store.put_table(TABLE, None)
    assert f"did not answer: permission denied for schema {schema}. The role lacks a right: see" in refused(
        replace(spec, user=role)
    )
    with replace(spec, user=role, schema=f"{schema}2"[:60]).open() as store:
        assert store.names() == []
        with pytest.raises(StoreUnavailable, match=f"permission denied for database {DATABASE}. The role lacks"):
            store.put_table(TABLE, None)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("53100", "Its disk is full; nothing of this batch was written."),
        ("25006", "name the server that takes writes"),
        ("53200", "did not answer: so."),
    ],
)
def test_what_a_server_fails_at_is_said(
    postgres: Server, schema: str, store: PostgreSQLStore, table: OnlineTable, code: str, said: str
) -> None:
    function = sql.Identifier(schema, "fail")
    fail = "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'so' USING ERRCODE = {}; END $$"
    postgres.admin(sql.SQL(fail).format(function, code))
    trigger = sql.SQL("CREATE TRIGGER fail BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}()")
    rows = sql.Identifier(schema, "fstk_rows")
    postgres.admin(trigger.format(rows, function))
    with pytest.raises(StoreUnavailable, match=said):
        store.write(table, [ROW])
    postgres.admin(sql.SQL("DROP TRIGGER fail ON {}").format(rows))
    assert store.write(table, [ROW]) == Counts(written=1)


def test_a_server_that_only_reads_is_read(postgres: Server, schema: str, spec: PostgreSQLSpec, role: str) -> None:
    with spec.open() as store:
        store.write(store.put_table(TABLE, None), [ROW])
    postgres.admin(sql.SQL("GRANT {} TO {}").format(sql.Identifier(USER), sql.Identifier(role)))
    postgres.admin(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(role)))
    with replace(spec, user=role).open() as store:
        table = store.table("t")
        assert table is not None
        assert got(store, table, [b"k"]) == [ROW]
        assert store.count(table) == 1
        with pytest.raises(StoreUnavailable, match="read-only transaction. It is a standby"):
            store.write(table, [ROW])
