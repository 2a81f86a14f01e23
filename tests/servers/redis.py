"""Real Redis servers on loopback, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import trustme
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

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


def certificates(folder: Path, *names: str) -> tuple[str, ...]:
    """Write ``ca.pem`` and a certificate of ``names`` to ``folder``; return the server's options to speak TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert(*names)
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


def agreed(true: Callable[[], bool]) -> bool:
    """Wait a minute at most until something is true, and tell whether it is."""
    pause = threading.Event()
    return any(true() or pause.wait(0.1) for _ in range(600))


class Cluster:
    """Three primaries and a replica of each, by their ports."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports

    def node(self, port: int) -> Redis:
        return Redis(port=port, socket_timeout=10, retry=Retry(NoBackoff(), 0))

    def slots(self) -> list[Any]:
        """Return what the first node that answers knows of the slots: first, last, primary, replicas."""
        for port in self.ports:
            with suppress(RedisError), self.node(port) as node:
                found: Any = node.execute_command("CLUSTER SLOTS")
                return found
        raise RuntimeError("no node of the cluster answers")

    def primaries(self) -> list[int]:
        """Return the ports of the primaries."""
        return [holders[0][1] for _, _, *holders in self.slots()]

    def owner(self, slot: int) -> int:
        """Return the port of the primary that has a slot."""
        return next(holders[0][1] for first, last, *holders in self.slots() if first <= slot <= last)

    def whole(self) -> bool:
        """Tell whether all nodes see all slots, and all replicas have what their primaries hold."""
        infos = [(self.node(port).cluster("info"), self.node(port).info("replication")) for port in self.ports]
        return all(
            info["cluster_state"] == "ok" and replication.get("master_link_status", "up") == "up"
            for info, replication in infos
        )

    def flush(self) -> None:
        for port in set(self.primaries()):
            with self.node(port) as node:
                node.flushall()


@contextmanager
def redis_cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    """Start a cluster of six servers, whose primaries are replaced within seconds when they die.

    Raises:
        RuntimeError: a server ended, or they found no agreement within a minute.
    """
    with ExitStack() as stack:
        ports = []
        for number in range(6):
            # By default the second port is the first plus 10,000, and may not be free.
            meeting = ("cluster-enabled yes", "cluster-node-timeout 1000", f"cluster-port {free_port()}")
            ports.append(stack.enter_context(redis_server(folder / str(number), *meeting, *options)))
        command = ["redis-cli", "--cluster", "create", *(f"127.0.0.1:{port}" for port in ports)]
        made = [*command, "--cluster-replicas", "1", "--cluster-yes"]
        said = subprocess.run(made, capture_output=True, text=True, timeout=60, check=False)
        cluster = Cluster(ports)
        if not agreed(cluster.whole):
            raise RuntimeError(f"the cluster did not come to be:\n{said.stdout[-3000:]}{said.stderr}")
        yield cluster
