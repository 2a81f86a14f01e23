"""Online rows in Redis: one server, a cluster, or one endpoint before many shards (Azure Managed Redis).

| key | what it holds |
|---|---|
| ``fstk:tables`` | set: every name that was ever published |
| ``fstk:table:NAME`` | hash: ``generation``, ``layouts``, ``description``, ``watermark``, ``rows``, marks ``open:…`` |
| ``fstk:{}:GENERATION:KEY`` | string: a row, its floor in front; of a removed key the floor alone |
| ``fstk:dropped`` | set: generations whose rows are still to be deleted |

The header of a row is three times eight bytes, floor, event time and version, and four of the layout, big-endian and
with the sign flipped, so that their order as bytes is that of the numbers. The scripts compare four bytes at a time:
Lua's numbers are doubles, and its ``<`` on strings follows the server's locale. Every script touches one key. ``{}``
is an empty hash tag: whatever a key holds, all of it decides its slot.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlencode

from pydantic import Field

from fstk.errors import InvalidInput, StoreUnavailable, WriteConflict
from fstk.online.address import Server
from fstk.online.redis_nodes import Commands, Item, Nodes, command
from fstk.online.store import Counts, OnlineTable, Row, SecretReference, Ttl, Wanted, Watermark, check_same
from fstk.optional import need
from fstk.validated import validated

_PORT = 6379
_TIMEOUT = 5.0  # seconds for each part of an answer
_PATIENCE = 30.0  # seconds that a write waits for a restart or a fail-over
_TOGETHER = 200  # rows that one command reads
_PACE = 0.005  # seconds between portions of a deletion
_LINGER = 1.0  # seconds that closing waits for a deletion under way; the next drop or publication goes on with it
_MICROSECOND = timedelta(microseconds=1)
_LATE = timedelta(days=7)  # that Redis keeps a row after it expired, or was written

_SIGN = 2**63
_HEADER = struct.Struct(">QQQI")
_ORDER = struct.Struct(">QQI")
_FLOOR = struct.Struct(">Q")

_BEFORE = """
local function before(a, b)
  if a == b then return false end
  for i = 1, #a, 4 do
    local x, y = struct.unpack('>I4', a, i), struct.unpack('>I4', b, i)
    if x ~= y then return x < y end
  end
  return false
end
local never = '\\127\\255\\255\\255\\255\\255\\255\\255'
local held = redis.call('GET', KEYS[1])
local floor = held and string.sub(held, 1, 8) or never
local row = held and #held > 8
"""
# ARGV: the order offered, the value, when Redis may let go of it (milliseconds; empty: never)
_WRITE = f"""{_BEFORE}
local order = ARGV[1]
if floor ~= never and not before(floor, string.sub(order, 9, 16)) then return 0 end
if row then
  local was = string.sub(held, 9, 28)
  if before(order, was) then return 0 end
  if order == was then return 1 end
  if string.sub(order, 1, 8) == string.sub(was, 1, 8) and string.sub(order, 17) == string.sub(was, 17)
      and string.sub(held, 29) == ARGV[2] then
    redis.call('SETRANGE', KEYS[1], 16, string.sub(order, 9, 16))
    return 1
  end
end
redis.call('SET', KEYS[1], floor .. order .. ARGV[2])
if ARGV[3] ~= '' and floor == never then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
return row and 2 or 3
"""
# ARGV: the version removed at. A floor is never let go of.
_REMOVE = f"""{_BEFORE}
if before(floor, ARGV[1]) then floor = ARGV[1] end
if row and before(ARGV[1], string.sub(held, 17, 24)) then
  redis.call('SETRANGE', KEYS[1], 0, floor)
  redis.call('PERSIST', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], floor)
return row and 1 or 0
"""
# Of a table: ARGV: how many fields must be as they were, their names and values (empty: absent), those to set.
_CHANGE = """
local last = 2 * ARGV[1] + 1
for i = 2, last, 2 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
redis.call('HSET', KEYS[1], unpack(ARGV, last + 1))
return 1
"""
# ARGV: generation, layouts, the mark of a batch, how many rows it added. A mark that somebody took away meanwhile means
# that the rows were counted while the batch was at work: they are to be counted anew.
_CLOSE = """
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then return 0 end
if redis.call('HDEL', KEYS[1], ARGV[3]) == 1 then redis.call('HINCRBY', KEYS[1], 'rows', ARGV[4])
else redis.call('HSET', KEYS[1], 'open:unsure', 1) end
return redis.call('HGET', KEYS[1], 'layouts') == ARGV[2] and 1 or 0
"""
# ARGV: generation, rows as it was and is, how many fields there were, the marks that the counting settles.
_COUNTED = """
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'rows') ~= ARGV[2]
    or redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], 'rows', ARGV[3])
redis.call('HDEL', KEYS[1], unpack(ARGV, 5))
return 1
"""
_DROP = """
if redis.call('HGET', KEYS[1], 'generation') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
Offered = tuple[bytes, *tuple[bytes | str | int, ...]]
"""The key of a row, and what its script gets."""
_TABLES, _DROPPED = b"fstk:tables", b"fstk:dropped"
_UNSURE = "open:unsure"


@validated()
class RedisSpec:
    """An online store in Redis, for any number of machines; needs ``pip install 'fstk[redis]'``.

    Args:
        host: name or address of the server, of a node of a cluster, or of the one endpoint before many shards.
        port: its port.
        db: the number of the database; a cluster has 0 alone.
        ssl: TLS; certificates are checked against those that the system trusts, or that ``SSL_CERT_FILE`` names.
        cluster: ask each node of a Redis Cluster itself. Not for one endpoint that answers for all shards.
        username: the ACL user; None is Redis' ``default``.
        password: where the password is kept, such as ``env:NAME`` (:class:`fstk.Secret`), never itself. It is read anew
            at each login.
        entra: log in as the Microsoft Entra identity that ``azure.identity.DefaultAzureCredential`` finds; with
            ``ssl``.
        ttl: a published row expires when ``now > event time + ttl``. Only tables with a time column can have one.
            None leaves the table's as it is: none at first, then the one last published with. Redis deletes a row at
            the earliest a week after it expired or was written.

    Raises:
        InvalidInput: an argument of another form, two ways to log in, ``entra`` without ``ssl``.

    >>> from fstk.online.spec import spec_of
    >>> spec = RedisSpec("cache.example", ssl=True, username="reader", password="env:REDIS_PASSWORD")
    >>> spec == spec_of("rediss://reader@cache.example?password=env:REDIS_PASSWORD")
    True
    """

    forms: ClassVar[str] = "redis://[user@]host[:port][/db]"
    options: ClassVar[tuple[str, ...]] = ("cluster", "entra", "password")

    host: str = Field(description="the name or address of a server", pattern=r"^[^\s/@?#\[\]]+$")
    port: int = Field(default=_PORT, description="a port, 1 to 65535", ge=1, le=65_535)
    db: int = Field(default=0, kw_only=True, description="a whole number from 0", ge=0)
    ssl: bool = Field(default=False, kw_only=True, description="True or False")
    cluster: bool = Field(default=False, kw_only=True, description="True or False")
    username: str | None = Field(default=None, kw_only=True, description="the name of a user", min_length=1)
    password: SecretReference = Field(default=None, kw_only=True)
    entra: bool = Field(default=False, kw_only=True, description="True or False")
    ttl: Ttl = Field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.entra and (self.username or self.password):
            raise InvalidInput("entra is a login of its own; leave out username and password.")
        if self.username and not self.password:
            raise InvalidInput("a user needs a password; name where it is kept: password=env:NAME.")
        if self.entra and not self.ssl:
            raise InvalidInput("entra sends a token, so it needs TLS: ssl=True, or rediss://.")
        if self.cluster and self.db:
            raise InvalidInput(f"a cluster has database 0 alone; got {self.db}.")

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> RedisSpec:
        """Return the spec of ``redis://`` and ``place``; see :class:`fstk.online.spec.URLSpec`.

        >>> RedisSpec.from_url("cache.example/2", None, {}).db
        2
        """
        return _of_url(place, ttl, options, ssl=False)

    def open(self) -> RedisStore:
        """Return the store; connects when first used.

        >>> RedisSpec("cache.example", cluster=True).open().url
        'redis://cache.example:6379?cluster=true'
        """
        return RedisStore(self)


class TLSRedisSpec(RedisSpec):
    """What ``rediss://`` stands for: a :class:`RedisSpec` with ``ssl``."""

    forms: ClassVar[str] = "rediss://[user@]host[:port][/db] (with TLS)"

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> RedisSpec:
        """Return the spec of ``rediss://`` and ``place``.

        >>> TLSRedisSpec.from_url("cache.example", None, {"entra": "true"}).ssl
        True
        """
        return _of_url(place, ttl, options, ssl=True)


def _of_url(place: str, ttl: timedelta | None, options: Mapping[str, str], *, ssl: bool) -> RedisSpec:
    server = Server.of(place, _PORT)
    database = server.path or "0"
    if not server.host or not re.fullmatch("[0-9]{1,9}", database):
        raise InvalidInput("after its host come a port and the number of a database, or neither")
    switches = {name: options.get(name, "false") for name in ("cluster", "entra")}
    if not {"true", "false"}.issuperset(switches.values()):
        raise InvalidInput("cluster and entra are true or false")
    on = {name: value == "true" for name, value in switches.items()}
    try:
        return RedisSpec(
            server.host,
            server.port,
            db=int(database),
            ssl=ssl,
            username=server.user,
            password=options.get("password"),
            ttl=ttl,
            **on,
        )
    except InvalidInput as error:
        raise InvalidInput(str(error).removesuffix(".")) from None


def _url(spec: RedisSpec) -> str:
    user = f"{quote(spec.username, safe='')}@" if spec.username else ""
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    switches = {name: "true" for name in ("cluster", "entra") if getattr(spec, name)}
    options = switches | ({"password": spec.password} if spec.password else {})
    query = f"?{urlencode(options, safe=':/')}" if options else ""
    return f"redis{'s' * spec.ssl}://{user}{host}:{spec.port}{f'/{spec.db}' if spec.db else ''}{query}"


class RedisStore:
    """The store of a spec; see :class:`fstk.online.store.OnlineStore`. Threads may share one object.

    A batch is compared and set row by row: of one that is killed half-way, some rows are there. Each part of an answer
    is waited for ``timeout`` seconds; then a read fails, and a write is tried again until ``patience`` seconds are
    over. Rows that a server acknowledged may be lost with it: a publication that lost a node is never complete, and of
    one that was complete before, parity finds what is missing.
    """

    def __init__(self, spec: RedisSpec, timeout: float = _TIMEOUT, patience: float = _PATIENCE) -> None:
        self.url = _url(spec)
        self._spec, self._patience = spec, patience
        self._redis: Any = need("redis")
        self._nodes = Nodes(spec, self.url, timeout)
        self._sweep: threading.Thread | None = None
        self._full = ""  # what the server said when it refused a row
        self._together = 1 if spec.cluster else _TOGETHER

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sweep is not None:
            self._sweep.join(_LINGER)
        self._nodes.close()

    def names(self) -> list[str]:
        with self._translated():
            names = sorted(name.decode() for name in self._nodes.one("SMEMBERS", _TABLES))
            there = self._nodes.all([command("EXISTS", _table_key(name)) for name in names])
        return [name for name, is_there in zip(names, there, strict=True) if is_there]

    def table(self, name: str) -> OnlineTable | None:
        with self._translated():
            return self._table(name)[0]

    def put_table(self, table: OnlineTable, seen: OnlineTable | None) -> OnlineTable:
        name = table.name
        with self._translated():
            check_same(name, self.table(name), seen)
            new: dict[str, Any] = {"layouts": len(table.layouts), "description": table.description}
            if seen is None:
                self._nodes.one("SADD", _TABLES, name)
                new |= {"generation": secrets.token_urlsafe(8), "rows": 0}
            elif seen.ttl is not None and (table.ttl is None or table.ttl > seen.ttl):
                for keys in self._nodes.scanned(_prefix(seen)):
                    self._nodes.all([command("PERSIST", key) for key in keys])
            if not self._changed(name, _same(seen), new):
                raise self._conflict(name, seen)
            recorded = self.table(name)
        if recorded is None:
            raise self._conflict(name, table)
        return recorded

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        now, prefix = time.time_ns() // 1_000, _prefix(table)

        def offered(row: Row) -> Offered:
            return prefix + row.key, _order(row), row.value, _let_go(table, row, now)

        said = self._compared(table, _WRITE, rows, offered, lambda said: said.count(3))
        return Counts(said.count(2) + said.count(3), said.count(1), said.count(0), said.count(None))

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        if self._nodes.shaken:
            raise StoreUnavailable(
                f"online store {self.url} lost a node while {table.name} was being published, and perhaps rows that it "
                "had acknowledged; publish again."
            )
        with self._translated():
            held, was = self._table(table.name)
            check_same(table.name, held, table)
            if held and held.watermark and watermark.order < held.watermark.order:
                return
            if not self._changed(
                table.name, {**_same(table), "watermark": was}, {"watermark": json.dumps(watermark.kept)}
            ):
                self.complete(table, watermark)  # another publication was recorded since
                return
            self._delete_dropped()

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        keys = [prefix + key for table, keys in wanted for prefix in (_prefix(table),) for key in keys]
        with self._translated():
            generations, held = self._held([_table_key(table.name) for table, _ in wanted], keys)
        # The rows of a dropped table may still lie there.
        there = [
            generation == table.generation.encode() for generation, (table, _) in zip(generations, wanted, strict=True)
        ]
        rows = [[_row(key, next(held)) for key in keys] for _, keys in wanted]
        return [of if is_there else [None] * len(of) for of, is_there in zip(rows, there, strict=True)]

    def _held(
        self, tables: Sequence[bytes], keys: Sequence[bytes]
    ) -> tuple[list[bytes | None], Iterator[bytes | None]]:
        """Return the generation of each of the tables, and what lies at each key."""
        parts = [keys[start : start + self._together] for start in range(0, len(keys), self._together)]
        generations = [command("HGET", table, b"generation") for table in tables]
        try:
            found = self._nodes.all([*generations, *(command("MGET", *part) for part in parts)])
        except self._redis.exceptions.ClusterCrossSlotError:
            if self._together == 1:
                raise
            self._together = 1  # one endpoint before many shards
            return self._held(tables, keys)
        return found[: len(tables)], chain.from_iterable(found[len(tables) :])

    def keys(self, table: OnlineTable) -> Iterator[list[bytes]]:
        prefix = _prefix(table)
        seen: set[bytes] = set()  # a scan may meet a key twice
        with self._translated():
            for found in self._nodes.scanned(prefix):
                new = list(set(found) - seen)
                seen.update(new)
                sizes = self._nodes.all([command("STRLEN", key) for key in new])
                portion = [key[len(prefix) :] for key, size in zip(new, sizes, strict=True) if size > _FLOOR.size]
                if portion:
                    yield portion
            if not seen:  # rows that were counted may be lost: they are to be counted anew, which a reader may not say
                with suppress(self._redis.exceptions.NoPermissionError):
                    self._changed(table.name, _same(table), {_UNSURE: 1})

    def remove(self, table: OnlineTable, keys: Sequence[bytes], version: int) -> int:
        at, prefix = _FLOOR.pack(version + _SIGN), _prefix(table)
        said = self._compared(table, _REMOVE, keys, lambda key: (prefix + key, at), lambda said: -said.count(1))
        if None in said:
            raise StoreUnavailable(f"online store {self.url} is full: {said.count(None):,} keys were not removed.")
        return said.count(1)

    def count(self, table: OnlineTable) -> int:
        """Return how many rows the table has, from a number that each batch adds to.

        A batch that was killed, or had to be sent twice, leaves a mark; then, and only then, the rows are counted one
        by one and the number is set right. Rows that Redis itself deleted, since they expired long ago or memory was
        short, still count until then.
        """
        with self._translated():
            flat = self._nodes.one("HGETALL", _table_key(table.name))
            held = dict(zip(flat[::2], flat[1::2], strict=True))
            if held.get(b"generation") != table.generation.encode():
                return 0
            marks = [name for name in held if name.startswith(b"open:")]
            if not marks:
                return int(held[b"rows"])
            counted = sum(map(len, self.keys(table)))
            expected = table.generation, held[b"rows"], counted, len(held)
            self._nodes.one("EVAL", _table_key(table.name), *expected, *marks, script=_COUNTED)
            return counted

    def drop(self, table: OnlineTable) -> None:
        """Remove the table, at once; its rows, which no one reads any more, are deleted in the background."""
        with self._translated():
            self._nodes.one("SADD", _DROPPED, table.generation)
            self._nodes.one("EVAL", _table_key(table.name), table.generation, script=_DROP)
            self._delete_dropped()

    def notes(self, table: OnlineTable, rows: int) -> list[str]:
        """See :class:`fstk.online.store.Telling`."""
        full = (
            [f"The server refused rows, since it is full: {self._full.partition('. script')[0]}."] if self._full else []
        )
        doubt = self.doubt([table])
        return full if doubt is None else [*full, doubt]

    def doubt(self, tables: Sequence[OnlineTable]) -> str | None:
        """See :class:`fstk.online.store.Doubted`."""
        try:
            with self._translated():
                found = re.search(rb"maxmemory_policy:(\S+)", self._nodes.one("INFO", b"memory"))
        except StoreUnavailable as error:
            return f"Whether Redis evicts rows is not known: {error}"
        policy = found[1].decode() if found else "noeviction"
        if policy.startswith("allkeys") or (policy.startswith("volatile") and any(table.ttl for table in tables)):
            return (
                f"Redis evicts rows when memory is short, unnoticed: they read as missing (maxmemory-policy {policy}). "
                "Set it to noeviction."
            )
        return None

    def _table(self, name: str) -> tuple[OnlineTable | None, bytes]:
        """What is known of a table, and its watermark as it is kept."""
        key = _table_key(name)
        generation, description, mark = self._nodes.one("HMGET", key, "generation", "description", "watermark")
        if generation is None:
            return None, b""
        return OnlineTable.of(
            name, generation.decode(), description, Watermark.of(json.loads(mark)) if mark else None
        ), mark or b""

    def _changed(self, name: str, expected: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Set fields of a table where the ``expected`` ones are as they were; tell whether they were."""
        pairs = [part for pair in (*expected.items(), *new.items()) for part in pair]
        arguments = _table_key(name), len(expected), *pairs
        return bool(self._nodes.one("EVAL", *arguments, script=_CHANGE, patience=self._patience))

    def _conflict(self, name: str, seen: OnlineTable | None) -> WriteConflict:
        try:
            check_same(name, self.table(name), seen)
        except WriteConflict as conflict:
            return conflict
        return WriteConflict(f"online table {name} was changed while it was being published; publish again.")

    def _compared(
        self,
        table: OnlineTable,
        script: str,
        items: Sequence[Item],
        offered: Callable[[Item], Offered],
        added: Callable[[list[Any]], int],
    ) -> list[Any]:
        """Return what ``script`` says of what is ``offered`` for each item, None where memory is short; ``added`` tells
        by how much that changes the number of rows. WriteConflict when the table is not the same before or after."""
        name, full = table.name, self._redis.exceptions.OutOfMemoryError
        mark = f"open:{secrets.token_hex(4)}"
        digest = hashlib.sha1(script.encode()).hexdigest()
        with self._translated():
            try:
                if not self._changed(name, _same(table), {mark: 1}):
                    raise self._conflict(name, table)
            except full as error:
                self._full = str(error)
                return [None] * len(items)
            commands = Commands(items, lambda item: command("EVALSHA", *offered(item), script=digest))
            replies, twice = self._nodes.replies(commands, self._patience, [command("SCRIPT", b"LOAD", script)])
            said = [None if isinstance(reply, full) else self._nodes.right(reply) for reply in replies]
            self._full = next((str(reply) for reply in replies if isinstance(reply, full)), self._full)
            closing = "open:" if twice else mark  # what was sent twice may have been done the first time
            told = table.generation, len(table.layouts), closing, added(said)
            same = 1
            with suppress(full):  # the mark stays
                same = self._nodes.one("EVAL", _table_key(name), *told, script=_CLOSE, patience=self._patience)
            if not same:
                # What the batch wrote after a drop is deleted as the rest is.
                if self._nodes.one("HGET", _table_key(name), "generation") != table.generation.encode():
                    self._nodes.one("SADD", _DROPPED, table.generation)
                raise self._conflict(name, table)
        return said

    def _delete_dropped(self) -> None:
        if self._nodes.one("SCARD", _DROPPED) and not (self._sweep and self._sweep.is_alive()):
            self._sweep = threading.Thread(target=_delete_dropped, args=(self._spec,), daemon=True)
            self._sweep.start()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        redis = self._redis.exceptions
        try:
            yield
        except redis.RedisError as error:
            # redis-py says nothing of what was sent; a server may repeat a command that it does not know, AUTH too
            said = str(error).partition(", with args")[0].rstrip(".")
            if isinstance(error, redis.OutOfMemoryError):
                said = f"it is full: {said}"
            elif isinstance(error, redis.MovedError):
                said = "it is a node of a cluster; add cluster=true"
            elif isinstance(error, redis.AuthenticationError):
                said = f"it refused the login of {self._spec.username or 'its default user'}: {said}"
            raise StoreUnavailable(f"online store {self.url} did not answer: {said}.") from None


def _delete_dropped(spec: RedisSpec) -> None:
    """Delete the rows of dropped tables, pausing after each portion; what a fault leaves, the next call deletes."""
    with RedisStore(spec) as store, suppress(StoreUnavailable), store._translated():
        for generation in store._nodes.one("SMEMBERS", _DROPPED):
            for keys in store._nodes.scanned(_rows_of(generation)):
                store._nodes.all([command("UNLINK", key) for key in keys])
                time.sleep(_PACE)
            store._nodes.one("SREM", _DROPPED, generation)


def _table_key(name: str) -> bytes:
    return b"fstk:table:" + name.encode()


def _rows_of(generation: bytes) -> bytes:
    return b"fstk:{}:%b:" % generation


def _prefix(table: OnlineTable) -> bytes:
    """What the keys of a table's rows begin with."""
    return _rows_of(table.generation.encode())


def _same(table: OnlineTable | None) -> dict[str, Any]:
    """The fields by which :func:`fstk.online.store.check_same` compares."""
    return {"generation": ""} if table is None else {"generation": table.generation, "layouts": len(table.layouts)}


def _order(row: Row) -> bytes:
    return _ORDER.pack(row.event_time + _SIGN, row.version + _SIGN, row.layout)


def _let_go(table: OnlineTable, row: Row, now: int) -> int | str:
    if table.ttl is None:
        return ""
    expired = row.event_time + table.ttl // _MICROSECOND
    return -(-(max(expired, now) + _LATE // _MICROSECOND) // 1_000)


def _row(key: bytes, held: bytes | None) -> Row | None:
    if held is None or len(held) == _FLOOR.size:
        return None
    _, event_time, version, layout = _HEADER.unpack_from(held)
    return Row(key, event_time - _SIGN, version - _SIGN, layout, held[_HEADER.size :])
