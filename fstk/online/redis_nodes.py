"""Commands to the nodes of Redis and their replies: one server, or each node of a cluster its own.

Redirections, lost connections and fail-overs are dealt with here. redis-py's own cluster client sends no scripts in a
pipeline.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from fstk.errors import StoreUnavailable
from fstk.optional import need
from fstk.secret import Secret

if TYPE_CHECKING:
    from redis import Connection, ConnectionPool

    from fstk.online.redis import RedisSpec

_ENTRA = ("https://redis.azure.com/.default",)
_RENEWED = 180.0  # seconds before a token ends
_CONNECT = 3.0  # seconds
_REDIRECTS = 16
_SLOTS = 16_384
_SENT = 200  # commands in one piece; the server begins while the next is made
_SCANNED = 2_000  # keys in a portion, about a millisecond of the server's time

Address = tuple[str, int]
Item = TypeVar("Item")
Command = tuple[bytes, bytes]
"""The key that decides the node, and the command as it is sent."""


def command(name: str, key: bytes, *arguments: bytes | str | int, script: str = "") -> Command:
    """Return a command; of EVAL and EVALSHA ``script`` is the script or its digest."""
    return key, _packer()((name, *((script, 1) if script else ()), key, *arguments))


class Commands(Sequence[Command]):
    """The command that ``make`` makes of each item, made when it is first asked for: the server begins with the first
    while the others are made."""

    def __init__(self, items: Sequence[Item], make: Callable[[Item], Command]) -> None:
        self._items, self._make = items, make
        self._made: list[Command | None] = [None] * len(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Command:
        made = self._made[index]
        if made is None:
            made = self._made[index] = self._make(self._items[index])
        return made


@cache
def _packer() -> Any:
    return need("hiredis").pack_command


class Nodes:
    """The nodes of a spec. Threads may share one object: each of its calls has connections of its own.

    ``shaken`` tells whether a node was lost to a write, or replaced. Each part of an answer is waited for ``timeout``
    seconds. Methods raise redis-py's errors; errors that a server answered to one of many commands are replies.
    """

    def __init__(self, spec: RedisSpec, url: str, timeout: float) -> None:
        self.shaken = False
        self._spec, self._url = spec, url
        self._redis: Any = need("redis")
        self._pools: dict[Address, ConnectionPool] = {}
        self._seed: Address = (spec.host, spec.port)
        self._nodes = [self._seed]  # of a cluster, those that answered last first
        self._owners: list[Address | None] = []  # of each slot of a cluster; empty until it is asked
        self._were: list[Address | None] = []  # when it was asked before
        self._entra = _Entra() if spec.entra else None
        self._settings: dict[str, Any] = {
            "connection_class": self._redis.SSLConnection if spec.ssl else self._redis.Connection,
            "db": spec.db,
            "protocol": 2,
            "socket_timeout": timeout,
            "socket_connect_timeout": min(timeout, _CONNECT),
            "retry": self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 0),
            "credential_provider": _Password(spec.username, spec.password) if spec.password else self._entra,
        }

    def close(self) -> None:
        """Close all connections."""
        for pool in list(self._pools.values()):
            pool.disconnect()

    def scanned(self, prefix: bytes) -> Iterator[list[bytes]]:
        """Yield the keys that begin with ``prefix``, which has no wildcard, a portion at a time; some twice."""
        if self._spec.cluster and not self._owners:
            self._ask_owners()
        for address in dict.fromkeys(self._owners) if self._spec.cluster else [self._seed]:
            cursor = b"0"
            while address is not None:
                scan = command("SCAN", cursor, "MATCH", prefix + b"*", "COUNT", _SCANNED)
                cursor, found = self.right(self._at(address, scan))
                if found:
                    yield found
                if cursor == b"0":
                    break

    def one(self, name: str, key: bytes, *arguments: Any, script: str = "", patience: float = 0.0) -> Any:
        """Return the reply to one :func:`command`."""
        return self.right(self.replies([command(name, key, *arguments, script=script)], patience)[0][0])

    def all(self, commands: Sequence[Command]) -> list[Any]:
        """Return the reply to each command."""
        return [self.right(reply) for reply in self.replies(commands)[0]]

    def right(self, reply: Any) -> Any:
        """Return a reply of :meth:`replies`, or raise it where it is an error."""
        if isinstance(reply, self._redis.ResponseError):
            raise reply
        return reply

    def _at(self, address: Address, command: Command) -> Any:
        flight = _Flight(self._pool(address), [command], 1, self._entra)
        try:
            return flight.reply(self._redis.ResponseError)
        finally:
            flight.close()

    def replies(
        self, commands: Sequence[Command], patience: float = 0.0, before: Sequence[Command] = ()
    ) -> tuple[list[Any], bool]:
        """Return the reply to each command, an error that the server answered being one, and whether any was sent twice
        for want of a reply. All go at once, to each node its own, after the commands ``before``.

        Redirections are followed. For want of a connection, or of a node that may answer, commands are sent once more,
        and again while ``patience`` lasts.
        """
        redis, replies, twice = self._redis.exceptions, [None] * len(commands), False
        left: dict[int, Address | None] = dict.fromkeys(range(len(commands)))
        until, pause, rounds = time.monotonic() + patience, 0.05, 0
        while left:
            left, trouble = self._round(commands, left, before, replies)
            rounds += 1
            if trouble is None:
                if rounds > _REDIRECTS:
                    raise StoreUnavailable(f"online store {self._url} sends from node to node without end.")
                continue
            twice = twice or not isinstance(trouble, redis.ResponseError)
            self.shaken |= patience > 0 and isinstance(trouble, (redis.ConnectionError, redis.ClusterDownError))
            once_more = rounds == 1 and not isinstance(trouble, redis.TimeoutError)
            if isinstance(trouble, redis.AuthenticationError) or not (once_more or time.monotonic() < until):
                raise trouble
            if not once_more:
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, 1.0)
            if self._owners:
                self._were, self._owners = self._owners, []
        return replies, twice

    def _round(
        self, commands: Sequence[Command], left: dict[int, Address | None], before: Sequence[Command], replies: list
    ) -> tuple[dict[int, Address | None], Exception | None]:
        """Send what is ``left`` and fill in ``replies``; return what is to be sent again, with the node that is to be
        asked for it out of turn, and what went wrong, if that was more than a redirection."""
        redis, again, trouble = self._redis.exceptions, {}, None
        lost = (redis.ConnectionError, redis.TimeoutError)
        waits = (redis.ClusterDownError, redis.TryAgainError, redis.ReadOnlyError)
        flights: list[tuple[_Flight, list[int], bool]] = []
        try:
            groups = self._grouped(commands, left)
        except lost as error:
            return left, error
        try:
            for (address, out_of_turn), indices in groups.items():
                first = [(b"", b"*1\r\n$6\r\nASKING\r\n")] if out_of_turn else []
                try:
                    due = len(before) + len(indices) * (1 + out_of_turn)
                    sent = chain(before, (one for i in indices for one in (*first, commands[i])))
                    flights.append((_Flight(self._pool(address), sent, due, self._entra), indices, out_of_turn))
                except lost as error:
                    again, trouble = again | dict.fromkeys(indices), error
                    self._nodes.sort(key=address.__eq__)  # to the end
            for flight, indices, out_of_turn in flights:
                done = 0
                try:
                    for _ in before:
                        self.right(flight.reply(redis.ResponseError))
                    for i in indices:
                        if out_of_turn:
                            flight.reply(redis.ResponseError)
                        reply = flight.reply(redis.ResponseError)
                        done += 1
                        if not isinstance(reply, redis.ResponseError):
                            replies[i] = reply
                        elif isinstance(reply, redis.MovedError) and self._spec.cluster:
                            self._owners[reply.slot_id], again[i] = self._reached(*reply.node_addr), None
                        elif isinstance(reply, redis.AskError) and self._spec.cluster:
                            again[i] = self._reached(*reply.node_addr)
                        elif isinstance(reply, redis.NoScriptError):
                            again[i] = None
                        elif isinstance(reply, waits):
                            again[i], trouble = None, reply
                        else:
                            replies[i] = reply
                except lost as error:
                    again, trouble = again | dict.fromkeys(indices[done:]), error
        finally:
            for flight, _, _ in flights:
                flight.close()
        return again, trouble

    def _grouped(
        self, commands: Sequence[Command], left: dict[int, Address | None]
    ) -> dict[tuple[Address, bool], list[int]]:
        """Return what is left by the node that is asked for it, and whether that is out of turn."""
        if not self._spec.cluster:
            return {(self._seed, False): list(left)}
        if not self._owners:
            self._ask_owners()
        slot_of = self._redis.crc.key_slot
        groups: dict[tuple[Address, bool], list[int]] = {}
        for i, named in left.items():
            owner = self._owners[slot_of(commands[i][0])] if named is None else named
            if owner is None:
                raise self._redis.exceptions.ConnectionError("not all slots of the cluster have a node")
            groups.setdefault((owner, named is not None), []).append(i)
        return groups

    def _ask_owners(self) -> None:
        """Learn from the first node that answers which node has which slots."""
        redis = self._redis.exceptions
        trouble: Exception | None = None
        for address in list(self._nodes):
            try:
                ranges = self.right(self._at(address, command("CLUSTER", b"SLOTS")))
            except (redis.ConnectionError, redis.TimeoutError) as error:
                trouble = error
                continue
            owners: list[Address | None] = [None] * _SLOTS
            nodes = [address]
            for first, last, *holders in ranges:
                there = [self._reached(host.decode() if host else address[0], port) for host, port, *_ in holders]
                owners[first : last + 1] = there[:1] * (last + 1 - first)
                nodes += there
            self._nodes, self._owners = list(dict.fromkeys([*nodes, self._seed])), owners
            self.shaken |= bool(self._were) and owners != self._were
            return
        assert trouble is not None
        raise trouble

    def _reached(self, host: str, port: int) -> Address:
        """The address by which a node is to be reached: nodes tell numbers, their certificates may have names alone."""
        if self._spec.ssl and host in self._numbers():
            return self._spec.host, port
        return host, port

    def _numbers(self) -> set[str]:
        try:
            return {str(found[4][0]) for found in socket.getaddrinfo(self._spec.host, None)}
        except OSError:  # the name is not known any more; what was told will have to do
            return set()

    def _pool(self, address: Address) -> ConnectionPool:
        if address not in self._pools:
            self._pools[address] = self._redis.ConnectionPool(host=address[0], port=address[1], **self._settings)
        return self._pools[address]


class _Password:
    """A login that redis-py asks for at each connection."""

    def __init__(self, username: str | None, reference: str) -> None:
        self._user, self._secret = [] if username is None else [username], Secret(reference)

    def get_credentials(self) -> tuple[str, ...]:
        return (*self._user, self._secret.reveal())


class _Entra:
    """Logins by tokens of Microsoft Entra, each renewed before it ends.

    redis-entraid's own provider renews from a thread that a notebook, whose loop runs already, would wait for without
    end; here every connection is logged in again when it is used after the token was renewed.
    """

    def __init__(self) -> None:
        provided = need("redis_entraid.identity_provider")
        self._provider = provided.DefaultAzureCredentialProvider(provided.DefaultAzureCredential(), _ENTRA)
        self._failed = need("redis.auth.err").RequestTokenErr
        self._token: Any = None
        self._lock = threading.Lock()
        self._logins: WeakKeyDictionary[Connection, Any] = WeakKeyDictionary()

    def get_credentials(self) -> tuple[str, ...]:
        with self._lock:
            if self._token is None or self._token.ttl() < _RENEWED * 1_000:
                try:
                    self._token = self._provider.request_token()
                except self._failed as error:
                    reason = next(iter(str(error).splitlines()), "no reason given").rstrip(".")
                    raise StoreUnavailable(f"no token of Microsoft Entra: {reason}.   az login") from error
            return self._token.try_get("oid"), self._token.get_value()

    def log_in(self, connection: Connection) -> None:
        """Log in again where the token is another than the last time."""
        credentials = self.get_credentials()
        if self._logins.get(connection) != credentials:
            connection.send_command("AUTH", *credentials, check_health=False)
            connection.read_response()
            self._logins[connection] = credentials


class _Flight:
    """Commands, ``due`` of them, on their way to one node, on a connection of their own until all were answered."""

    def __init__(self, pool: ConnectionPool, commands: Iterable[Command], due: int, login: _Entra | None) -> None:
        self._pool, self._due = pool, due
        self._connection: Connection = pool.get_connection()
        try:
            if login is not None:
                login.log_in(self._connection)
            packed = (packed for _, packed in commands)
            while sent := b"".join(islice(packed, _SENT)):
                self._connection.send_packed_command([sent], check_health=False)
        except BaseException:
            self.close()
            raise

    def reply(self, error: type[Exception]) -> Any:
        """Return the next reply; an ``error`` that the server answered is one."""
        try:
            found = self._connection.read_response()
        except error as answered:
            found = answered
        self._due -= 1
        return found

    def close(self) -> None:
        if self._due:
            self._connection.disconnect()
        self._pool.release(self._connection)
