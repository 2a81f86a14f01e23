"""A real PostgreSQL on a loopback port, for tests: TLS on, passwords asked for, nothing kept safe from a power cut.

Of Debian's package ``postgresql``. Its programs refuse to run as root: then they run as the user ``postgres``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import trustme
from psycopg import sql

from fstk.online.postgres import PostgreSQLSpec
from tests.processes import server

DATABASE = "online"
USER = "publisher"
"""Who may make schemas in the database, and is no superuser."""
PASSWORD = "env:FSTK_TEST_POSTGRES"
_ATTEMPTS = 5  # at a port that nobody else takes first
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "autovacuum_naptime": "1s",
    "log_min_messages": "log",
    "lc_messages": "C",
    "ssl": "on",
    "ssl_cert_file": "server.pem",
    "ssl_key_file": "server.key",
}
_WHO = """
local   all         all                     trust
hostssl replication all     127.0.0.1/32    scram-sha-256
host    all         all     127.0.0.1/32    scram-sha-256
"""


class _PortTaken(RuntimeError):
    pass


@dataclass(frozen=True)
class Server:
    """A server that runs: its folder, which also holds its socket, and its port on 127.0.0.1."""

    folder: Path
    port: int

    def spec(self, schema: str, **more: Any) -> PostgreSQLSpec:
        """Return a spec of a schema that is not there yet, for the user who may make it."""
        named = {"user": USER, "password": PASSWORD, **more}
        return PostgreSQLSpec("127.0.0.1", DATABASE, port=self.port, schema=schema, **named)

    def admin(self, statement: Any, *values: Any) -> list[tuple]:
        """Run one statement as superuser and return its rows."""
        with closing(psycopg.connect(**self.superuser(DATABASE), autocommit=True)) as db:
            cursor = db.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def superuser(self, database: str) -> dict[str, Any]:
        """Return how to connect as one."""
        return {"host": str(self.folder), "port": self.port, "user": "postgres", "dbname": database}

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        return int((self.folder / "postmaster.pid").read_text().split()[0])


def programs() -> Path:
    """Return the folder of the newest PostgreSQL that is installed here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).resolve()]
    if not found:
        raise RuntimeError("PostgreSQL is not installed; make test installs it: sudo apt-get install postgresql")
    return found[-1].parent


def as_user(*command: str | Path) -> list[str]:
    """Return the command as it may run: as ``postgres`` when this is root; ended, too, when this process is."""
    drop = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig=INT", *drop, *map(str, command)]


@contextmanager
def folder() -> Iterator[Path]:
    """Make an empty folder that the server may use; /tmp, since a socket's path is short and others must get there."""
    made = Path(tempfile.mkdtemp(prefix="fstk-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(made, "postgres", "postgres")
    try:
        yield made
    finally:
        shutil.rmtree(made)


def initialise(folder: Path) -> None:
    """Make an empty cluster of databases in ``folder``."""
    command = as_user(programs() / "initdb", "-D", folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
    made = subprocess.run([*command, "--locale=C.UTF-8"], cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
    identity = trustme.CA().issue_cert("127.0.0.1", "localhost")
    identity.private_key_pem.write_to_path(folder / "server.key")
    for pem in identity.cert_chain_pems:
        pem.write_to_path(folder / "server.pem", append=True)
    (folder / "server.key").chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(folder / "server.key", "postgres", "postgres")
    (folder / "pg_hba.conf").write_text(_WHO)


@contextmanager
def running(folder: Path, port: int) -> Iterator[Server]:
    """Run the server on ``folder``; its sessions are cut when the context ends."""
    command = as_user(programs() / "postgres", "-D", folder, "-h", "127.0.0.1", "-p", str(port), "-k", folder)
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    with ExitStack() as stack:
        try:
            stack.enter_context(server(command, r"listening on IPv4 address .*port (\d+)", os.environ, folder))
        except RuntimeError as error:
            raise _PortTaken(str(error)) if "already in use" in str(error) else error from None
        found = Server(folder, port)
        pid = found.pid
        _ready(found)
        try:
            yield found
        finally:
            os.kill(pid, signal.SIGINT)  # without it the end waits for all sessions to go by themselves


def _ready(found: Server) -> None:
    # It tells its port, and listens there, before it has its socket and is done with what the last end left.
    pause, patience = threading.Event(), time.monotonic() + 60
    while True:
        try:
            psycopg.connect(**found.superuser("postgres")).close()
        except psycopg.OperationalError:
            if time.monotonic() > patience:
                raise
            pause.wait(0.05)
        else:
            return


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a new server with the database :data:`DATABASE` of :data:`USER`, whose password :data:`PASSWORD` names."""
    variable = PASSWORD.removeprefix("env:")
    os.environ.setdefault(variable, "correct 'horse' \\ battery")
    with folder() as place, ExitStack() as stack:
        initialise(place)
        found = _started(place, stack)
        with closing(psycopg.connect(**found.superuser("postgres"), autocommit=True)) as db:
            secret = sql.Literal(os.environ[variable])
            db.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(USER), secret))
            db.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*map(sql.Identifier, (DATABASE, USER))))
        yield found


def _started(place: Path, stack: ExitStack) -> Server:
    for _ in range(_ATTEMPTS - 1):
        with suppress(_PortTaken):
            return stack.enter_context(running(place, free_port()))
    return stack.enter_context(running(place, free_port()))


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with closing(socket.create_server(("127.0.0.1", 0))) as asked:
        return asked.getsockname()[1]
