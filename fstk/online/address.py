"""Where a server is, as URLs of stores have it: ``[user@]host[:port][/path]``, never with a password."""

from __future__ import annotations

from typing import NamedTuple, Self
from urllib.parse import unquote

from fstk.errors import InvalidInput


class Server(NamedTuple):
    """The parts of ``user@host:port/path``, unquoted but for the path; ``host`` is empty where there is none."""

    user: str | None
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, place: str, port: int) -> Self:
        """Read what follows ``scheme://`` in a URL; ``port`` stands where there is none.

        InvalidInput: a password, a port that is none, or nothing before the @; none of it is repeated.

        >>> Server.of("ann%40example.com@[::1]:6432/shop", 5432)
        Server(user='ann@example.com', host='::1', port=6432, path='shop')
        """
        location, _, path = place.partition("/")
        user, at, server = location.rpartition("@")
        host, _, number = server.rpartition(":") if ":" in server and not server.endswith("]") else (server, "", "")
        if ":" in user:
            raise InvalidInput("a password is no part of it, only where it is kept: ?password=env:NAME")
        if at and not user:
            raise InvalidInput("before its @ there is no user")
        if number and not (number.isdecimal() and len(number) <= 5 and 0 < int(number) < 65536):
            raise InvalidInput("its port is no number from 1 to 65535")
        return cls(unquote(user) or None, unquote(host.removeprefix("[").removesuffix("]")), int(number or port), path)
