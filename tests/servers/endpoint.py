"""One endpoint before many shards, as the Enterprise policy of Azure Managed Redis has it: a command whose keys lie in
several slots is refused, as is every command whose keys are not known here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import hiredis
from redis.crc import key_slot

_NO_KEYS = {b"SCAN", b"SCRIPT", b"INFO", b"CLIENT", b"PING", b"SELECT"}
_ONE_KEY = {b"GET", b"STRLEN", b"PERSIST", b"HGET", b"HMGET", b"HGETALL", b"SADD", b"SREM", b"SCARD", b"SMEMBERS"}
_ALL_KEYS = {b"MGET", b"EXISTS", b"UNLINK", b"DEL"}
_pack: Any = hiredis.pack_command  # its stub knows commands of one word
_REFUSAL = _pack(("EVAL", "return redis.error_reply(ARGV[1])", "0", "CROSSSLOT keys of several slots"))


@contextmanager
def endpoint(port: int) -> Iterator[int]:
    """Pass on to the server at ``port`` what such an endpoint takes; yield the port to connect to."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        threading.Thread(target=_accept, args=(listening, port), daemon=True).start()
        yield listening.getsockname()[1]
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, port: int) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            client, _ = listening.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for carry, source, target in ((_checked, client, server), (_answers, server, client)):
                threading.Thread(target=carry, args=(source, target), daemon=True).start()


@contextmanager
def ended(*sockets: socket.socket) -> Iterator[None]:
    """Afterwards end connections, which wakes whoever waits for them; the last who holds one closes it.

    A wait for a socket that somebody else closed goes on, in Linux, by the number that it had: begun anew, after a
    signal, it takes what comes for whatever has that number by then.
    """
    try:
        yield
    finally:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _checked(client: socket.socket, server: socket.socket) -> None:
    reader = hiredis.Reader()
    with suppress(OSError), ended(client, server):
        while data := client.recv(1 << 16):
            reader.feed(data)
            passed = []
            while command := reader.gets():
                passed.append(_pack(tuple(command)) if _taken(command) else _REFUSAL)
            server.sendall(b"".join(passed))


def _answers(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError), ended(client, server):
        while data := server.recv(1 << 16):
            client.sendall(data)


def _taken(command: list[bytes]) -> bool:
    name = command[0].upper()
    if name in (b"EVAL", b"EVALSHA"):
        keys = command[3 : 3 + int(command[2])]
    elif name in _ALL_KEYS:
        keys = command[1:]
    elif name in _ONE_KEY:
        keys = command[1:2]
    else:
        return name in _NO_KEYS
    return len({key_slot(key) for key in keys}) == 1
