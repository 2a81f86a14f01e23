"""Publishers of feature tables in processes of their own, to be killed: at any moment, or right after one of the
changes that they make to the store. What they publish, and what must be online then, is told by plain dicts.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fstk.errors import FstkError
from fstk.online.publish import PublishReport, publish
from fstk.online.spec import OnlineSpec
from fstk.online.store import OnlineStore
from fstk.tables.spec import FeatureTable
from tests.online.racer import CONTEXT
from tests.online.tables import Made

SCHEMA = {"id": "bigint", "at": "timestamp", "n": "bigint", "word": "string"}
_CHANGES = ("put_table", "write", "complete", "remove")  # of a store, one batch at most each
_PATIENCE = 120.0  # seconds


class History:
    """A feature table in ``folder`` of random versions, and what each of them holds: key → n, of the newest row.

    Every row ever written has another ``n``, and the ``word`` that spells it, so that a torn row shows. A key's newest
    row is never older than those that it had before, so that what is newest online is so whoever published last.
    """

    def __init__(self, folder: Path, choose: random.Random, keys: int, versions: int) -> None:
        self._made = Made(folder, SCHEMA, ("id",), "at")
        self.versions: list[dict[int, int]] = [{}]
        rows: dict[int, dict[int, int]] = {}
        latest = dict.fromkeys(range(keys), 0)
        numbers = count()
        for version in range(1, versions + 1):
            if version % 3:
                chosen = choose.sample(range(keys), keys if version == 1 else keys // 3)
                new = {
                    key: (latest[key] + choose.randint(-1 if latest[key] in rows.get(key, ()) else 0, 1), next(numbers))
                    for key in chosen
                }
                self._made.merge(*(_row(key, *put) for key, put in new.items()))
                for key, (at, n) in new.items():
                    rows[key] = rows.get(key, {}) | {at: n}
                    latest[key] = max(latest[key], at)
            else:
                gone = choose.sample(sorted(rows), len(rows) // 4)
                self._made.delete(f"id IN ({', '.join(map(str, gone))})")
                rows = {key: of for key, of in rows.items() if key not in gone}
            self.versions.append({key: of[max(of)] for key, of in rows.items()})

    @property
    def newest(self) -> int:
        return len(self.versions) - 1

    def table(self, name: str, version: int) -> FeatureTable:
        """Return a version of the table, as if it had that name."""
        self._made.name = name
        return self._made.at(version)


def _row(key: int, at: int, n: int) -> dict[str, Any]:
    return {"id": key, "at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=at), "n": n, "word": str(n)}


@dataclass(frozen=True)
class Dying:
    """The store of ``spec``, opened so that the process is killed when its change number ``after`` was made."""

    spec: OnlineSpec
    after: int | None
    changes: list[str]
    """Those that were made so far."""

    @property
    def ttl(self) -> timedelta | None:
        return self.spec.ttl

    def open(self) -> OnlineStore:
        """Return the store, counting."""
        store = self.spec.open()
        for name in _CHANGES:
            setattr(store, name, self._counted(name, getattr(store, name)))
        return store

    def _counted(self, name: str, change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            done = change(*arguments)
            self.changes.append(name)
            if len(self.changes) == self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return counted


class Publisher:
    """A process that publishes a table, ``portion`` rows at a time, and dies after a change where that is asked."""

    def __init__(
        self, spec: OnlineSpec, table: FeatureTable, portion: int, *, prune: bool = False, after: int | None = None
    ) -> None:
        self._said, saying = CONTEXT.Pipe(duplex=False)
        arguments = spec, table, portion, prune, after, dict(os.environ), saying
        self._process = CONTEXT.Process(target=_publish, args=arguments, daemon=True)
        self._process.start()
        saying.close()

    def kill_after(self, seconds: float) -> bool:
        """Kill it then; tell whether it was still at work."""
        self._process.join(seconds)
        self._process.kill()
        self._process.join(_PATIENCE)
        return self.killed

    @property
    def killed(self) -> bool:
        """Whether it was; waits until it has ended."""
        self._process.join(_PATIENCE)
        return self._process.exitcode == -signal.SIGKILL

    def end(self) -> tuple[PublishReport | str | None, list[str]]:
        """Wait for its end; return its report, or what it failed with, or None where it was killed, and its changes."""
        try:
            return self._said.recv() if self._said.poll(_PATIENCE) else ("no answer", [])
        except EOFError:
            return None, []


def take_environment(variables: Mapping[str, str]) -> None:
    """Take another process's variables: what is forked from the server of processes has those of when that began."""
    os.environ.update(variables)


def _publish(
    spec: OnlineSpec,
    table: FeatureTable,
    portion: int,
    prune: bool,
    after: int | None,
    environment: Mapping[str, str],
    saying: Connection,
) -> None:
    take_environment(environment)
    dying = Dying(spec, after, [])
    try:
        saying.send((publish(table, dying, prune=prune, portion=portion), dying.changes))
    except FstkError as error:
        saying.send((f"{type(error).__name__}: {error}", dying.changes))
