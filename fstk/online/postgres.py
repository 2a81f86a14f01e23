"""Online rows in PostgreSQL: two tables of one schema, for any number of machines reading and writing at once.

A removed key keeps its row, without a value: so the key's floor lies in the row that every writer of the key locks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from datetime import timedelta
from functools import cache
from itertools import chain
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args
from urllib.parse import quote, unquote, urlencode

from pydantic import Field

from fstk.errors import InvalidInput, StoreUnavailable
from fstk.online.address import Server
from fstk.online.store import (
    NO_FLOOR,
    NO_TIME,
    Counts,
    OnlineTable,
    Row,
    SecretReference,
    Ttl,
    Wanted,
    Watermark,
    check_same,
)
from fstk.optional import need
from fstk.secret import Secret
from fstk.validated import validated

T = TypeVar("T")
SSLMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

_PORT = 5432
_SCHEMA = "fstk"
_SSLMODE = "require"
_FORMAT = "online rows of fstk, format 1"
_MAKING = 0x6673_746B  # the advisory lock of who makes the tables
_CONNECT_SECONDS = 10
_PATIENCE = 20  # times as long for what goes through a whole table
_ATTEMPTS = 5  # at a transaction that others made fail
_KEYS_A_PORTION = 5_000
_ROWS_A_SWEEP = 10_000
# Of one statement: its arrays hold less than 1 GB each, and no more than this is quicker by COPY (measured).
_ROWS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 32_000_000
_SHORT = 32  # bytes of a digest: shorter keys are their own

_MAKE = """
CREATE TABLE {tables} (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH {start}) PRIMARY KEY,
    name text UNIQUE,
    description text NOT NULL,
    layouts integer NOT NULL,
    version bigint,
    layout integer,
    seen_to bigint,
    waiting bigint,
    filter_condition text
);
CREATE TABLE {rows} (
    table_id bigint NOT NULL,
    event_time bigint NOT NULL,
    version bigint NOT NULL,
    content_version bigint NOT NULL,
    floor bigint NOT NULL,
    layout integer NOT NULL,
    id bytea NOT NULL,
    key bytea,
    value bytea,
    PRIMARY KEY (table_id, id)
);
COMMENT ON TABLE {tables} IS {format}
"""
_ORDERS = "unnest(%b::bytea[], %b::bigint[], %b::bigint[], %b::integer[]) AS offered (id, event_time, version, layout)"
_OFFERED = (
    "unnest(%b::bytea[], %b::bigint[], %b::bigint[], %b::integer[], %b::bytea[], %b::bytea[]) "
    "AS offered (id, event_time, version, layout, value, key)"
)
# What passes, besides the loss of a connection: the server shut down, cut the session, became a standby, or chose this
# transaction among those that met; the schema was dropped. A new connection tells what is there now.
_PASSING = ("57P", "08", "25P03", "25006", "40001", "40P01", "42P01", "3F000")
_MARGIN = 2.0  # seconds: a server that can still say that a statement took too long says so first
# From the catalogs themselves: to_regclass may remember what was missing before a lock was waited for.
_LOOK = """
SELECT pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = 'fstk_tables'
"""
# Of a session. Rows are always reached by their key, one after another: so plans need not know how many there are, and
# one that was made while a table was empty serves when it is large.
_SETTINGS = {
    "search_path": "",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_HINTS = {
    "42501": 'The role lacks a right: see "Rights" in docs/online-postgresql.md.',
    "25006": "It is a standby, or set to read only: name the server that takes writes.",
    "53100": "Its disk is full; nothing of this batch was written.",
    "53300": "It has as many connections as it allows.",
    "57014": "It took longer than it may.",
}


@validated()
class PostgreSQLSpec:
    """An online store in a schema of a PostgreSQL database.

    Args:
        host: a host name, an address, or the folder of a Unix socket.
        database: the name of a database that is there.
        port: 5432 unless said otherwise.
        user: the role; None is what ``psql`` would take, such as the variable ``PGUSER``.
        password: where the password is kept, never itself: ``env:NAME``, say (:class:`fstk.Secret`). It is read at each
            login, so that it may be a token that ends. None is what ``psql`` would take, such as ``~/.pgpass``.
        schema: made by the first publication where it is missing.
        sslmode: libpq's. ``require``: encrypted or not at all; ``verify-full`` also checks that it is the named host,
            by the certificates that ``PGSSLROOTCERT`` names.
        ttl: a published row expires when ``now > event time + ttl``. Only tables with a time column can have one.
            None leaves the table's as it is: none at first, then the one last published with.

    Raises:
        InvalidInput: an argument of another form; of ``password`` nothing is repeated, since it may be the secret.

    >>> from fstk.online.spec import spec_of
    >>> url = "postgresql://publisher@db.example.com/shop?password=env:SHOP_PASSWORD"
    >>> spec_of(url) == PostgreSQLSpec("db.example.com", "shop", user="publisher", password="env:SHOP_PASSWORD")
    True
    """

    forms: ClassVar[str] = "postgresql://user@host:5432/database?password=env:NAME"
    options: ClassVar[tuple[str, ...]] = ("password", "sslmode", "schema")

    host: str = Field(description="a host name", pattern=r"^[^\x00]+$")
    database: str = Field(description="the name of a database", pattern=r"^[^\x00]+$")
    _: KW_ONLY
    port: int = Field(default=_PORT, description="a number from 1 to 65535", ge=1, le=65535)
    user: str | None = Field(default=None, description="the name of a role", pattern=r"^[^\x00]+$")
    password: SecretReference = None
    schema: str = Field(default=_SCHEMA, description="the name of a schema, at most 63 bytes")
    sslmode: SSLMode = Field(default=_SSLMODE, description=f"one of {', '.join(get_args(SSLMode))}")
    ttl: Ttl = None

    def __post_init__(self) -> None:
        if not 0 < len(self.schema.encode()) < 64 or "\0" in self.schema or self.schema.startswith("pg_"):
            raise InvalidInput(f"schema must be the name of a schema, at most 63 bytes; got {self.schema!r}.")

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> Self:
        """Return the spec of ``postgresql://`` and ``place``; see :class:`fstk.online.spec.URLSpec`.

        >>> PostgreSQLSpec.from_url("ann%40example.com@[::1]:6432/shop", None, {"schema": "rows"}).url
        'postgresql://ann%40example.com@[::1]:6432/shop?schema=rows'
        """
        server = Server.of(place, _PORT)
        if not server.host or not server.path or "/" in server.path:
            raise InvalidInput("it names no host and database")
        if options.get("sslmode", _SSLMODE) not in get_args(SSLMode):
            raise InvalidInput(f"sslmode is one of {', '.join(get_args(SSLMode))}")
        named: dict[str, Any] = {"port": server.port, "user": server.user, **options}
        return cls(server.host, unquote(server.path), ttl=ttl, **named)

    @property
    def url(self) -> str:
        """The URL that stands for this spec, without its ttl; it holds no secret.

        >>> PostgreSQLSpec("db.example.com", "shop", sslmode="verify-full").url
        'postgresql://db.example.com/shop?sslmode=verify-full'
        """
        user = "" if self.user is None else f"{quote(self.user, safe='')}@"
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe=",")
        port = "" if self.port == _PORT else f":{self.port}"
        said = {"password": self.password, "sslmode": self.sslmode, "schema": self.schema}
        usual = {"password": None, "sslmode": _SSLMODE, "schema": _SCHEMA}
        query = urlencode({name: value for name, value in said.items() if value != usual[name]}, safe=":/")
        return f"postgresql://{user}{host}{port}/{quote(self.database, safe='')}{query and '?'}{query}"

    def open(self) -> PostgreSQLStore:
        """Return the store; schema and tables are made by the first publication.

        Raises:
            MissingPackage: psycopg is not installed; the message gives the pip line.

        >>> PostgreSQLSpec("db.example.com", "shop").open().url
        'postgresql://db.example.com/shop'
        """
        return PostgreSQLStore(self)


class PostgreSQLStore:
    """The store of a spec; see :class:`fstk.online.store.OnlineStore`. One object serves one thread.

    It has one connection, made when first used and again when it was lost. A batch is one transaction: killed
    half-way, it never happened. A server that is silent for ``seconds`` counts as unavailable.
    """

    def __init__(self, spec: PostgreSQLSpec, seconds: float = 30.0) -> None:
        need("psycopg")
        import psycopg

        self.url = spec.url
        self._errors = psycopg.Error, OSError
        self._isolation = psycopg.IsolationLevel.READ_COMMITTED
        self._spec = spec
        self._seconds = seconds
        self._connection: Any = None
        # psycopg reads % in a statement; in a name it is doubled.
        names = {name: _quoted(spec.schema, f"fstk_{name}") for name in ("tables", "rows")}
        self._names = {name: quoted.replace("%", "%%") for name, quoted in names.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def names(self) -> list[str]:
        query = self._sql("SELECT name FROM {tables} WHERE name IS NOT NULL")
        found = self._reading(lambda db: db.execute(query, ()).fetchall())
        return sorted(name for (name,) in found or ())

    def table(self, name: str) -> OnlineTable | None:
        return self._reading(lambda db: self._table(db, name))

    def put_table(self, table: OnlineTable, seen: OnlineTable | None) -> OnlineTable:
        def work(db: Any) -> OnlineTable:
            held = self._table(db, table.name, "FOR UPDATE")
            check_same(table.name, held, seen)
            put = (
                "INSERT INTO {tables} (description, layouts, name) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
                if held is None
                else "UPDATE {tables} SET description = %s, layouts = %s WHERE name = %s"
            )
            put_now = db.execute(self._sql(put), (table.description, len(table.layouts), table.name)).rowcount
            recorded = self._table(db, table.name)
            if not put_now:  # another publisher's came in between
                check_same(table.name, recorded, seen)
            assert recorded is not None
            return recorded

        return self._writing(work)

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        # In the order of the keys, so that of two writers one waits for the other, never each for each.
        offered: list[tuple[Any, ...]] = sorted((_id(row.key), *row[1:], _long(row.key)) for row in rows)

        def work(db: Any) -> Counts:
            check_same(table.name, self._table(db, table.name, "FOR KEY SHARE"), table)
            counts = Counts()
            for part in _parts(offered):
                counts = counts.plus(self._offer(db, int(table.generation), part))
            return counts

        return self._writing(work)

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        def work(db: Any) -> None:
            held = self._table(db, table.name, "FOR NO KEY UPDATE")
            check_same(table.name, held, table)
            if held and held.watermark and watermark.order < held.watermark.order:
                return
            change = (
                "UPDATE {tables} SET version = %s, layout = %s, seen_to = %s, waiting = %s, filter_condition = %s "
                "WHERE id = %s"
            )
            db.execute(self._sql(change), (*watermark.kept, int(table.generation)))

        self._writing(work)

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        places = [[(int(table.generation), _id(key)) for key in keys] for table, keys in wanted]
        tables, ids = zip(*chain(*places), strict=True) if any(places) else ((), ())
        query = self._sql(
            "SELECT table_id, id, event_time, version, layout, value "
            "FROM unnest(%b::bigint[], %b::bytea[]) AS wanted (table_id, id) JOIN {rows} USING (table_id, id) "
            "WHERE value IS NOT NULL"
        )
        asked = list(tables), list(ids)
        rows = self._reading(lambda db: db.reading.execute(query, asked).fetchall()) if ids else None
        found = {row[:2]: row[2:] for row in rows or ()}
        return [
            [Row(key, *found[place]) if place in found else None for key, place in zip(keys, of_keys, strict=True)]
            for (_, keys), of_keys in zip(wanted, places, strict=True)
        ]

    def keys(self, table: OnlineTable) -> Iterator[list[bytes]]:
        last: bytes | None = None
        portion: list[tuple[bytes, bytes]] | None = None
        while portion is None or portion:
            after = "" if last is None else "AND id > %b"
            query = self._sql(
                "SELECT id, coalesce(key, id) FROM {rows} WHERE table_id = %b AND value IS NOT NULL "
                f"{after} ORDER BY id LIMIT {_KEYS_A_PORTION}"
            )
            values = int(table.generation), *(() if last is None else (last,))
            portion = self._reading(lambda db, q=query, v=values: db.execute(q, v, binary=True).fetchall()) or []
            if portion:
                last = portion[-1][0]
                yield [key for _, key in portion]

    def remove(self, table: OnlineTable, keys: Sequence[bytes], version: int) -> int:
        ids = {_id(key): key for key in sorted(keys, key=_id)}
        # The first statement locks the row of every key, so that the second meets what it is then.
        floors = self._sql(
            "INSERT INTO {rows} AS held (table_id, event_time, version, content_version, floor, layout, id, key) "
            "SELECT %b, %b, %b, %b, %b, 0, id, key FROM unnest(%b::bytea[], %b::bytea[]) AS removed (id, key) "
            "ON CONFLICT (table_id, id) DO UPDATE SET floor = greatest(held.floor, excluded.floor)"
        )
        gone = self._sql(
            "UPDATE {rows} SET value = NULL "
            "WHERE table_id = %b AND id = ANY(%b::bytea[]) AND value IS NOT NULL AND version <= %b"
        )

        def work(db: Any) -> int:
            check_same(table.name, self._table(db, table.name, "FOR KEY SHARE"), table)
            if not ids:
                return 0
            long = [_long(key) for key in ids.values()]
            number = int(table.generation)
            db.execute(floors, (number, NO_TIME, version, version, version, list(ids), long))
            return db.execute(gone, (number, list(ids), version)).rowcount

        return self._writing(work)

    def count(self, table: OnlineTable) -> int:
        query = self._sql("SELECT count(*) FROM {rows} WHERE table_id = %s AND value IS NOT NULL")

        seconds = self._seconds * _PATIENCE

        def work(db: Any) -> int:
            with db.transaction():
                _set(db, {"statement_timeout": str(int(seconds * 1000)), "enable_seqscan": "on"}, local=True)
                db.seconds = seconds + _MARGIN
                try:
                    return db.execute(query, (int(table.generation),)).fetchone()[0]
                finally:
                    db.seconds = self._seconds + _MARGIN

        return self._reading(work) or 0

    def drop(self, table: OnlineTable) -> None:
        forget = self._sql("UPDATE {tables} SET name = NULL WHERE id = %s")
        self._writing(lambda db: db.execute(forget, (int(table.generation),)))
        while self._writing(self._sweep):
            pass

    def _sweep(self, db: Any) -> bool:
        """Remove some rows of a dropped table, also of one whose dropping was killed; False when there is none."""
        dropped = "SELECT id FROM {tables} WHERE name IS NULL ORDER BY id LIMIT 1 FOR UPDATE"
        rows = (
            "DELETE FROM {rows} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {rows} WHERE table_id = %s LIMIT "
            f"{_ROWS_A_SWEEP}))"
        )
        found = db.execute(self._sql(dropped), ()).fetchone()
        if found is not None and not db.execute(self._sql(rows), found).rowcount:
            db.execute(self._sql("DELETE FROM {tables} WHERE id = %s"), found)
        return found is not None

    def _offer(self, db: Any, table: int, offered: list[tuple]) -> Counts:
        """Offer rows, each ``(id, event_time, version, layout, value, key)``, within a transaction."""
        values = tuple(map(list, zip(*offered, strict=True)))
        # Whether or not it replaces a row, it locks it: what the row is then, is what it was compared with.
        change = (
            "INSERT INTO {rows} AS held "
            "(table_id, event_time, version, content_version, floor, layout, id, key, value) "
            f"SELECT %b, event_time, version, version, {NO_FLOOR}, layout, id, key, value FROM {_OFFERED} ORDER BY id "
            "ON CONFLICT (table_id, id) DO UPDATE SET (event_time, version, layout, value, content_version) = "
            "(excluded.event_time, excluded.version, excluded.layout, excluded.value, CASE "
            "WHEN (held.event_time, held.layout, held.value) = (excluded.event_time, excluded.layout, excluded.value) "
            "THEN held.content_version ELSE excluded.version END) "
            "WHERE excluded.version > held.floor AND (held.value IS NULL OR "
            "(excluded.event_time, excluded.version, excluded.layout) > (held.event_time, held.version, held.layout)) "
            "RETURNING content_version = version"
        )
        kept = [written for (written,) in db.execute(self._sql(change), (table, *values), binary=True)]
        stale = 0
        if len(kept) < len(offered):
            query = (
                f"SELECT count(*) FROM {_ORDERS} JOIN {{rows}} AS held ON held.table_id = %b AND held.id = offered.id "
                "WHERE offered.version <= held.floor OR (offered.event_time, offered.version, offered.layout) < "
                "(held.event_time, held.version, held.layout)"
            )
            (stale,) = db.execute(self._sql(query), (*values[:4], table), binary=True).fetchone() or (0,)
        return Counts(kept.count(True), len(offered) - kept.count(True) - stale, stale)

    def _table(self, db: Any, name: str, lock: str = "") -> OnlineTable | None:
        query = (
            "SELECT id, description, version, layout, seen_to, waiting, filter_condition FROM {tables} WHERE name = %s "
        )
        row = db.execute(self._sql(query + lock), (name,)).fetchone()
        if row is None:
            return None
        generation, description, *kept = row
        return OnlineTable.of(name, str(generation), description, Watermark.of(kept))

    def _reading(self, work: Callable[[Any], T]) -> T | None:
        """Return what ``work`` reads; None when nothing was ever published here."""
        for again in (True, False):
            try:
                db = self._connected()
                return work(db) if self._found(db) else None
            except self._errors as error:
                self.__exit__()
                if not (again and _passing(error)):
                    raise self._unavailable(error) from error
        raise AssertionError

    def _writing(self, work: Callable[[Any], T]) -> T:
        """Return what ``work`` did in one transaction, again where a lost connection or another publisher undid it; the
        tables are made when missing."""
        for attempt in range(_ATTEMPTS):
            done: Any = None
            transaction = None
            try:
                db = self._connected()
                if not self._found(db):
                    self._make(db)
                with db.transaction():
                    done = work(db)
                    (transaction,) = db.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone()
                return done
            except self._errors as error:
                self.__exit__()
                if attempt == _ATTEMPTS - 1 or not _passing(error):
                    raise self._unavailable(error) from error
                if transaction is not None and self._committed(transaction):
                    return done
        raise AssertionError

    def _committed(self, transaction: str) -> bool:
        """Tell whether a transaction took place whose end was not heard."""
        try:
            (said,) = self._connected().execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
        except self._errors as error:
            self.__exit__()
            raise self._unavailable(error) from error
        return said == "committed"

    def _connected(self) -> Any:
        if self._connection is None:
            spec, seconds = self._spec, self._seconds
            try:
                self._connection = _connection_class().connect(
                    host=spec.host,
                    port=spec.port,
                    dbname=spec.database,
                    user=spec.user,
                    password=None if spec.password is None else Secret(spec.password).reveal(),
                    sslmode=spec.sslmode,
                    gssencmode="disable",  # where there is a ticket of Kerberos, it would come before TLS
                    client_encoding="utf8",
                    application_name="fstk",
                    connect_timeout=max(2, min(_CONNECT_SECONDS, int(seconds))),
                    tcp_user_timeout=int(seconds * 1000),
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                    autocommit=True,
                )
            except self._errors as error:
                raise self._unavailable(error) from None  # the frames behind it hold the password
            # Whatever the server's default is: under another, writers that meet undo each other.
            self._connection.isolation_level = self._isolation
            self._connection.seconds = seconds + _MARGIN
            self._connection.reading = self._connection.cursor(binary=True)
            # A session whose client is lost unheard is cut before another gives up waiting for its locks.
            limits = {
                "statement_timeout": str(int(seconds * 1000)),
                "idle_in_transaction_session_timeout": str(int(seconds * 500)),
            }
            _set(self._connection, _SETTINGS | limits)
        return self._connection

    def _found(self, db: Any) -> bool:
        """Tell whether the tables are there."""
        if db.made:
            return True
        found = db.execute(_LOOK, (self._spec.schema,)).fetchone()
        if found not in (None, (_FORMAT,)):
            raise InvalidInput(
                f"schema {self._spec.schema} of {self.url} has tables fstk_tables that are none of this fstk; name "
                "another schema."
            )
        db.made = found is not None
        return db.made

    def _make(self, db: Any) -> None:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
            if self._found(db):
                return
            schema = _quoted(self._spec.schema)
            # Who was given a schema need not have the right to make one.
            namespace = "SELECT FROM pg_namespace WHERE nspname = %s"
            if not db.execute(namespace, (self._spec.schema,)).rowcount:
                db.execute("CREATE SCHEMA {}".format(schema.replace("%", "%%")), ())
            # A generation is never given again, not even where a schema was dropped with its sequence.
            start, format = str(time.time_ns() // 1000), f"'{_FORMAT}'"
            for statement in _MAKE.split(";"):
                db.execute(self._sql(statement, start=start, format=format), ())
            db.made = True

    def _sql(self, text: str, **more: str) -> str:
        return text.format(**self._names, **more)

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        state = getattr(error, "sqlstate", None)
        said = str(error).strip().splitlines() or [type(error).__name__]
        # What a login fails with has no code, and lines for each address that was tried, with psycopg's word before.
        fatal = [line.rpartition("FATAL:")[2] for line in said if "FATAL:" in line]
        reason = (fatal or said)[0].removeprefix("connection failed: ").strip().rstrip(".")
        hint = _HINTS.get(state or "", "")
        if fatal and self._spec.password is not None and "password" in reason:
            hint = f"The password is read anew from {self._spec.password} at each login."
        return StoreUnavailable(f"online store {self.url} did not answer: {reason}. {hint}".rstrip())


def _set(db: Any, settings: Mapping[str, str], *, local: bool = False) -> None:
    """Set what is set for a session, or for the transaction it is in."""
    one = f"pg_catalog.set_config(%s, %s, {local})"
    db.execute(f"SELECT {', '.join([one] * len(settings))}", tuple(chain(*settings.items())))


def _id(key: bytes) -> bytes:
    """Return what a row is found by: the key, or the digest of one that would be too long for an index."""
    return key if len(key) < _SHORT else hashlib.sha256(key).digest()


def _long(key: bytes) -> bytes | None:
    """Return the key where it is not what its row is found by."""
    return key if len(key) >= _SHORT else None


def _parts(offered: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    part, size = [], 0
    for row in offered:
        if len(part) == _ROWS_AT_ONCE or (part and size + len(row[4]) > _BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[4])
    if part:
        yield part


def _quoted(*names: str) -> str:
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names)


def _passing(error: Exception) -> bool:
    if isinstance(error, OSError):  # a silent server, which would be as silent again
        return False
    import psycopg

    state = getattr(error, "sqlstate", None)
    return isinstance(error, psycopg.OperationalError) if state is None else state.startswith(_PASSING)


@cache
def _connection_class() -> Any:
    import psycopg

    class Connection(psycopg.Connection):
        """A connection whose every answer is waited for within bounds: a server may be stopped, or a network gone."""

        seconds = 0.0
        made = False  # the tables are there
        reading: Any = None  # a cursor: making one takes as long as asking

        def wait(self, generator: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().wait(_bounded(generator, self.seconds), *args, **kwargs)
            except TimeoutError:
                self.close()  # its answer may still come, to another question
                raise

    return Connection


def _bounded(steps: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """Go through psycopg's steps; each yields what to wait for, and is told None a few times a second meanwhile."""
    end = time.monotonic() + seconds
    try:
        state = next(steps)
        while True:
            ready = yield state
            if not ready and time.monotonic() > end:
                raise TimeoutError(f"no answer within {seconds:.0f} seconds")
            state = steps.send(ready)
    except StopIteration as ended:
        return ended.value
