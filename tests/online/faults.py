"""Faults of online stores: publishers that are killed, or meet. Whatever happened, the store holds rows of the table
alone, none older than before, and the next publication leaves what the newest version holds.

``tests/faults.py`` lets each happen at length, ``tests/online/test_faults.py`` briefly.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fstk.online.publish import PublishReport, publish
from fstk.online.redis import RedisSpec
from fstk.online.spec import OnlineSpec, SQLiteSpec
from fstk.online.store import Row
from tests.online import racer
from tests.online.audit import Noted, postgres_audit, redis_audit
from tests.online.publishers import History, Publisher, take_environment
from tests.stores import got

if TYPE_CHECKING:
    from tests.faults import Place

_RACERS = 8
_MOST = 200  # boundaries between batches


@dataclass(frozen=True)
class Size:
    """Keys of a table, rows of a batch, publishers that are killed, times that four publish at once, and batches of up
    to 50 keys that each of eight racing processes offers."""

    keys: int
    portion: int
    kills: int
    meetings: int
    batches: int


SHORT = Size(keys=24, portion=12, kills=3, meetings=1, batches=20)
LONG = Size(keys=400, portion=40, kills=100, meetings=25, batches=5_000)


@dataclass(frozen=True)
class Target:
    """A store that faults happen to; ``audit`` lets its server note what becomes of its rows, once a table is made."""

    name: str
    spec: OnlineSpec
    size: Size
    audit: Callable[[], AbstractContextManager[Noted]] | None = None


StoreFault = Callable[["Place", random.Random, Target], None]


class _Online:
    """What is online of a table of this history under one name."""

    def __init__(self, place: Place, history: History, target: Target, name: str) -> None:
        self.place, self.history, self.target = place, history, target
        self.name = f"{place.folder.name}.{name}"  # the store may hold what other places published
        self._seen: dict[int, tuple[int, ...]] = {}
        self._pruned = False
        self._ever = {pair for version in history.versions for pair in version.items()}

    def publisher(self, version: int, *, prune: bool = False, after: int | None = None) -> Publisher:
        """Start a process that publishes a version."""
        self._pruned |= prune
        table = self.history.table(self.name, version)
        return Publisher(self.target.spec, table, self.target.size.portion, prune=prune, after=after)

    def publish(self, version: int, *, prune: bool = False) -> PublishReport:
        """Publish a version undisturbed."""
        self._pruned |= prune
        table = self.history.table(self.name, version)
        return publish(table, self.target.spec, prune=prune, portion=self.target.size.portion)

    def look(self) -> dict[int, int]:
        """Return what the store holds, each row read by MessagePack alone; see that it is of the table, and not older
        than when it was looked at before."""
        held = {}
        for key, row in self._rows().items():
            n, word = msgspec.msgpack.decode(row.value)
            self._expect(word == str(n) and (key, n) in self._ever, f"{key} holds {n}, {word}")
            # A key that was removed may come back with an earlier time.
            self._expect(self._pruned or row.order >= self._seen.get(key, ()), f"{key} went back to {row.order}")
            self._seen[key] = row.order
            held[key] = n
        return held

    def converges(self, *, prune: bool) -> None:
        """See that one more publication of the newest version leaves what that holds, and another nothing to do."""
        newest = self.history.versions[self.history.newest]
        report = self.publish(self.history.newest, prune=prune)
        held = self.look()
        kept = {key: n for key, n in held.items() if key in newest}
        self._expect((held if prune else kept) == newest, f"{held} is online, the table holds {newest}")
        # What a late row of the change data feed is older than may be the source's own.
        stale = 0 if report.reason.startswith("versions ") else report.stale
        told = report.written + report.unchanged + report.stale
        right = told in (len(newest), len(held)) and stale == report.failed == 0
        self._expect(right, f"of {len(newest)} keys it said {report}")
        with self.target.spec.open() as store:
            table = store.table(self.name)
            assert table is not None
            counted = store.count(table)
        self._expect(counted == len(held), f"{counted} rows are counted, {len(held)} are there")
        again = self.publish(self.history.newest, prune=prune)
        self._expect(not again.changed, f"published again: {again}")

    def _rows(self) -> dict[int, Row]:
        keys = range(self.target.size.keys)
        with self.target.spec.open() as store:
            table = store.table(self.name)
            rows = [] if table is None else got(store, table, [b"i%d" % key for key in keys])
        return {key: row for key, row in zip(keys, rows, strict=False) if row is not None}

    def _expect(self, holds: bool, what: str) -> None:
        self.place.expect(holds, f"{self.name}: {what}")


def killed_publishers(place: Place, choose: random.Random, target: Target) -> None:
    """Publishers of any version are killed at any moment."""
    history = History(place.folder / "t", choose, target.size.keys, 6)
    for name in ("first", "second"):  # before the first, much has to start
        began = time.monotonic()
        _Online(place, history, target, name).publisher(history.newest).end()
    took, kills = time.monotonic() - began, 0
    for number in range(target.size.kills):
        online = _Online(place, history, target, f"t{number}")
        for _ in range(4):
            version, prune = choose.randint(1, history.newest), choose.random() < 0.2
            kills += online.publisher(version, prune=prune).kill_after(choose.uniform(0, took))
            online.look()
        online.converges(prune=choose.random() < 0.5)
        if kills >= target.size.kills:
            return
    place.expect(False, f"only {kills} publishers were still at work when they were killed")


def killed_after_each_change(place: Place, choose: random.Random, target: Target) -> None:
    """The first publisher of a table, and one that prunes, are killed after each change that they make."""
    history = History(place.folder / "t", choose, target.size.keys, 6)
    for before, made in ((None, {"put_table", "write", "complete"}), (1, {"write", "complete", "remove"})):
        for after in range(1, _MOST):
            online = _Online(place, history, target, f"t{before}_{after}")
            if before is not None:
                online.publish(before)
            dying = online.publisher(history.newest, prune=before is not None, after=after)
            _, changes = dying.end()
            online.look()
            online.converges(prune=choose.random() < 0.5)
            if not dying.killed:
                place.expect(made <= set(changes), f"nobody was killed after one of {made}: {changes}")
                break


def versions_at_once(place: Place, choose: random.Random, target: Target) -> None:
    """Four publishers of different versions meet, some of which prune."""
    history = History(place.folder / "t", choose, target.size.keys, 8)
    newest = history.versions[history.newest]
    for number in range(target.size.meetings):
        online = _Online(place, history, target, f"t{number}")
        versions = [history.newest, *choose.sample(range(1, history.newest), 3)]
        choose.shuffle(versions)
        publishers = {version: online.publisher(version, prune=choose.random() < 0.5) for version in versions}
        for version, publisher in publishers.items():
            report, _ = publisher.end()
            if not isinstance(report, PublishReport):
                place.expect(False, f"{online.name}: version {version} ended with {report}")
                continue
            counts = report.written, report.unchanged, report.stale, report.failed
            right = min(counts) >= 0 and not report.failed
            if not report.reason.startswith("versions "):
                right &= sum(counts) == len(history.versions[version])
                right &= not (report.stale and version == history.newest)
            place.expect(right, f"{online.name}: version {version} said {counts}, {report.reason}")
        held = online.look()
        place.expect({key: held.get(key) for key in newest} == newest, f"{online.name}: not the newest rows are online")
        online.converges(prune=True)


def racing_writes(place: Place, choose: random.Random, target: Target, *, removing: bool) -> None:
    """Eight processes write the same 50 keys, and remove some of them; the server itself says what it saw."""
    seeds = [choose.randrange(10**9) for _ in range(_RACERS)]
    batches = target.size.batches
    assert target.audit is not None
    with target.spec.open() as store, ExitStack() as stack:
        table = store.put_table(racer.TABLE, None)
        noted = stack.enter_context(target.audit())
        with ProcessPoolExecutor(_RACERS, racer.CONTEXT, take_environment, (dict(os.environ),)) as pool:
            racing = [pool.submit(racer.race, target.spec, seed, batches, removing) for seed in seeds]
            counted = [one.result() for one in racing]
        written, unchanged, stale, failed, removed = map(sum, zip(*counted, strict=True))
        saw = noted()
        place.expect(saw == (written, removed, 0), f"the server saw {saw}, counted were {(written, removed, 0)}")
        offered = sum(len(rows) for seed in seeds for rows, _, _ in racer.steps(seed, batches, removing))
        told = written + unchanged + stale, failed
        place.expect(told == (offered, 0), f"{told} were told of {offered} rows")
        left = racer.expected(seeds, batches, removing)
        held = got(store, table, racer.KEYS)
        place.expect(held == [left.get(key) for key in racer.KEYS], f"{held} are there, not {left}")
        place.expect(store.count(table) == len(left), f"{store.count(table)} rows are counted, {len(left)} are there")
        store.drop(table)


FAULTS: tuple[StoreFault, ...] = (killed_publishers, killed_after_each_change, versions_at_once)
RACES: tuple[StoreFault, ...] = tuple(partial(racing_writes, removing=removing) for removing in (False, True))


@contextmanager
def targets(folder: Path, size: Size) -> Iterator[list[Target]]:
    """Start a server of each store, and yield them with a SQLite file."""
    from tests.servers.cosmos import cosmos_server
    from tests.servers.postgres import postgres
    from tests.servers.redis import redis_server

    (folder / "cosmos").mkdir()
    with redis_server(folder / "redis") as port, postgres() as server, cosmos_server(folder / "cosmos") as peer:
        yield [
            Target("SQLite", SQLiteSpec(folder / "online.db"), size),
            Target("Redis", RedisSpec("127.0.0.1", port), size, partial(redis_audit, port)),
            Target("PostgreSQL", server.spec("faults"), size, partial(postgres_audit, server, "faults")),
            # Its peer here takes 25 ms for each row.
            Target("Cosmos", peer.spec(), replace(size, keys=30, portion=10, meetings=5)),
        ]


def store_faults(of: Iterable[Target]) -> Iterator[tuple[str, Callable[[Place, random.Random], None]]]:
    """Yield each fault of each store, with its name."""
    for target in of:
        for fault in (*FAULTS, *(RACES if target.audit else ())):
            named = fault.func if isinstance(fault, partial) else fault
            yield f"{named.__name__} on {target.name}", partial(fault, target=target)
