"""Real Redis servers on loopback, for tests."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import trustme

from tests.processes import server

USER, PASSWORD = "publisher", "correct horse: battery/staple"
_TRIES = 5


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[int]:
    """Start a server that keeps nothing on disk, in ``folder``; yield its port; end it by its process id. ``options``
    are lines of its configuration, with ``{port}`` where the port belongs.

    Raises:
        RuntimeError: it ended; the message holds what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = options if any("{port}" in option for option in options) else ("port {port}", *options)
    with ExitStack() as stack:
        for left in reversed(range(_TRIES)):
            port = free_port()
            lines = ["bind 127.0.0.1", 'save ""', f'dir "{folder}"', *(option.format(port=port) for option in options)]
            (folder / "redis.conf").write_text("\n".join(lines))
            try:
                command = ["redis-server", str(folder / "redis.conf")]
                stack.enter_context(server(command, r"port=(\d+)", os.environ, folder))
            except RuntimeError:
                if not left:
                    raise
            else:
                break  # no other process took the port meanwhile
        yield port


def certificates(folder: Path) -> tuple[str, ...]:
    """Write ``ca.pem`` and a certificate of this machine to ``folder``; return the server's options to speak TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    pem = folder / "server.pem"
    return (
        "port 0",
        "tls-port {port}",
        f'tls-cert-file "{pem}"',
        f'tls-key-file "{pem}"',
        f'tls-ca-cert-file "{folder / "ca.pem"}"',
        "tls-auth-clients no",
    )


def acl_user() -> tuple[str, ...]:
    """Return the server's options to let in :data:`USER` alone, who sees the keys of fstk alone."""
    return "user default off", f"user {USER} on ~fstk:* +@all #{sha256(PASSWORD.encode()).hexdigest()}"
