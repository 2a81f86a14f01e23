"""What a server itself saw of the changes to its rows, told apart from what fstk counted: contents put there, contents
removed, and changes that no rule allows (docs/rules.md#online-1, docs/rules.md#online-5)."""

from __future__ import annotations

import ast
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from psycopg import sql

from tests.servers.postgres import Server

Noted = Callable[[], tuple[int, int, int]]
"""How many contents were written, and removed, and how many changes were wrong."""

_NEVER = -1
_SIGN = 2**63


@contextmanager
def postgres_audit(postgres: Server, schema: str) -> Iterator[Noted]:
    """Let a trigger note every change of a row; a deadlock is a wrong one."""
    name = sql.Identifier(schema, "audit")
    note = sql.Identifier(schema, "note")
    postgres.admin(sql.SQL("DROP TABLE IF EXISTS {}").format(name))  # of a race before
    postgres.admin(sql.SQL("CREATE TABLE {} (what text)").format(name))
    postgres.admin(
        sql.SQL(
            """
            CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                IF NEW.value IS NULL THEN
                    IF TG_OP = 'UPDATE' AND OLD.value IS NOT NULL THEN
                        INSERT INTO {} VALUES (CASE WHEN OLD.version > NEW.floor THEN 'wrong' ELSE 'removed' END);
                    END IF;
                ELSIF NEW.version <= NEW.floor THEN
                    IF TG_OP = 'INSERT' OR OLD.value IS NULL OR OLD.floor = NEW.floor THEN
                        INSERT INTO {} VALUES ('wrong');
                    END IF;
                ELSIF TG_OP = 'INSERT' OR OLD.value IS NULL THEN
                    INSERT INTO {} VALUES ('written');
                ELSIF (NEW.event_time, NEW.version, NEW.layout) < (OLD.event_time, OLD.version, OLD.layout) THEN
                    INSERT INTO {} VALUES ('wrong');
                ELSIF (NEW.event_time, NEW.layout, NEW.value) <> (OLD.event_time, OLD.layout, OLD.value) THEN
                    INSERT INTO {} VALUES ('written');
                END IF;
                IF TG_OP = 'UPDATE' AND NEW.floor < OLD.floor THEN
                    INSERT INTO {} VALUES ('wrong');
                END IF;
                RETURN NULL;
            END $$
            """
        ).format(note, *[name] * 7)
    )
    trigger = "CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
    postgres.admin(sql.SQL(trigger).format(sql.Identifier(schema, "fstk_rows"), note))

    def noted() -> tuple[int, int, int]:
        said = [what for (what,) in postgres.admin(sql.SQL("SELECT what FROM {}").format(name))]
        return said.count("written"), said.count("removed"), said.count("wrong") + _deadlocks(postgres) - before

    before = _deadlocks(postgres)
    yield noted


def _deadlocks(postgres: Server) -> int:
    return int(postgres.admin("SELECT sum(deadlocks) FROM pg_stat_database")[0][0])


@contextmanager
def redis_audit(port: int) -> Iterator[Noted]:
    """Read what the server's MONITOR tells of every command, those of scripts too, in the order in which they were."""
    watch = _Watch()
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as monitor:
        monitor.sendall(b"MONITOR\r\n")
        lines = monitor.makefile("rb")
        assert lines.readline() == b"+OK\r\n"
        reading = threading.Thread(target=watch.read, args=(lines,), daemon=True)
        reading.start()

        def noted() -> tuple[int, int, int]:
            with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as last:
                last.sendall(b"ECHO audited\r\n")
            reading.join(120)
            assert not reading.is_alive()
            return watch.written, watch.removed, watch.wrong

        yield noted


class _Watch:
    """What became of each key: its floor, its order and its value, as they lie in the server."""

    def __init__(self) -> None:
        self.written = self.removed = self.wrong = 0
        self._held: dict[bytes, bytes] = {}

    def read(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            if line.endswith(b'"ECHO" "audited"\r\n'):
                return
            if b' lua] "SET' in line and b'"fstk:{}:' in line:
                _, _, text = line.partition(b" lua] ")
                name, key, *rest = ast.literal_eval("(b" + text.decode().strip().replace('" "', '", b"') + ")")
                self._changed(key, self._put(name, key, *rest))

    def _put(self, name: bytes, key: bytes, *rest: bytes) -> bytes:
        if name == b"SET":
            return rest[0]
        held, at = self._held[key], int(rest[0])
        return held[:at] + rest[1] + held[at + len(rest[1]) :]

    def _changed(self, key: bytes, now: bytes) -> None:
        was = self._held.get(key, b"")
        self._held[key] = now
        floor, version = _number(now[:8]), _number(now[16:24])
        if was and floor < _number(was[:8]):
            self.wrong += 1
        if len(now) == 8:
            if len(was) > 8:
                self.removed += 1
                self.wrong += _number(was[16:24]) > floor
        elif len(was) <= 8:
            self.written += 1
            self.wrong += version <= floor
        else:
            self.written += now[8:16] != was[8:16] or now[24:] != was[24:]
            self.wrong += now[8:28] < was[8:28]  # big-endian, so that bytes are in the order of the numbers


def _number(eight: bytes) -> int:
    return int.from_bytes(eight) - _SIGN if eight else _NEVER
