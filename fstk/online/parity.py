"""Does the store hold what the feature table held at the version that was published last?"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Any

from fstk.columns.instants import instant, microseconds
from fstk.display import Displayed, Sheet
from fstk.engines.base import Engine
from fstk.engines.spark import SparkEngine
from fstk.errors import DamagedTable, InvalidInput, StoreUnavailable
from fstk.online.codec import RowCodec
from fstk.online.gone import gone
from fstk.online.keys import KeyCodec
from fstk.online.reader import described
from fstk.online.source import PORTION, Progress, Source, engine_for
from fstk.online.spec import OnlineSpec, open_store
from fstk.online.store import OnlineTable, Row
from fstk.tables.spec import FeatureTable

_SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """One value that differs; ``feature`` None where there is no online row, or none that can be read, ``key`` spelled
    ``customer_id=17``."""

    key: str
    feature: str | None
    offline: Any
    online: Any

    @property
    def cells(self) -> list[str]:
        """As a person reads it: with the types of the values where these differ."""
        values = [self.offline, self.online]
        texts = [str(value) if isinstance(value, datetime) or self.feature is None else repr(value) for value in values]
        if self.feature is not None and type(self.offline) is not type(self.online):
            texts = [f"{text} ({type(value).__name__})" for text, value in zip(texts, values, strict=True)]
        return [self.key, self.feature or "the whole row", *texts]


@dataclass(frozen=True, repr=False)
class ParityReport(Displayed):
    """Keys of the feature table at ``source_version`` beside the online rows.

    ``equal`` keys hold the same values of the same types, ``different`` do not, ``missing`` have no online row;
    ``differences`` names the first few. ``expired`` of the compared rows read as missing by now, since their ``ttl`` is
    over, whether the store has them still or not. ``kept`` online rows have a key that was not published now: ``gone``
    of them one that the feature table lacks, ``gone_keys`` the first few, the others one whose rows a filter condition,
    or their time, leaves out. With ``seed`` (None: all keys were compared) only some of the ``keys`` were, chosen by
    it, and no others looked at.
    """

    table: str
    store: str
    source_version: int
    keys: int
    equal: int
    different: int
    missing: int
    expired: int
    kept: int
    gone: int
    differences: tuple[Difference, ...]
    gone_keys: tuple[str, ...]
    seed: int | None = None

    @property
    def ok(self) -> bool:
        """Whether every key of the feature table that was compared reads online as it is offline."""
        return not self.different and not self.missing

    def display(self) -> Sheet:
        """Return the differences, the bad news first."""
        counts = f"{self.equal:,} equal · {self.different:,} different · {self.missing:,} missing online"
        if self.seed is not None:
            compared = self.equal + self.different + self.missing
            counts += f"\n{compared:,} of {self.keys:,} keys, chosen at random (seed {self.seed})"
        notes = []
        if self.missing:
            notes.append(f"fstk publish {self.table} --prune offers every key again, and so those that are missing.")
        if self.expired:
            notes.append(f"{self.expired:,} of the online rows are expired, and read as missing.")
        if self.gone:
            shown = "; ".join(self.gone_keys) + ("; …" if self.gone > len(self.gone_keys) else "")
            cure = f"fstk publish {self.table} --prune removes them."
            notes.append(f"{self.gone:,} online rows have a key that is gone offline: {shown}. {cure}")
        if self.kept > self.gone:
            left = "a filter condition, or their time, leaves out"
            notes.append(f"{self.kept - self.gone:,} online rows have a key whose rows {left}; merge keeps them.")
        title = f"{self.table} at version {self.source_version} against {self.store}\n{counts}"
        columns = ("key", "feature", "offline", "online") if self.differences else ()
        return Sheet(title, columns, [one.cells for one in self.differences], notes)


def check_parity(
    table: FeatureTable,
    store: str | OnlineSpec | None = None,
    *,
    sample: int | None = None,
    seed: int | None = None,
    engine: Engine | None = None,
    session: SparkEngine | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Compare every online row with the feature table at the version last published, value and type, TTL aside.

    Args:
        table: the feature table.
        store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.
        sample: compare that many keys, chosen at random; None compares all.
        seed: the same seed of the same version chooses the same keys; None chooses one, which the report shows.
        engine, session, progress: as in :func:`fstk.online.publish.publish`.

    Raises:
        InvalidInput: ``sample`` is below 1, or there is a ``seed`` without it.
        UnknownTable: it was never published there.
        ExpiredSnapshot: the published version is no longer kept offline.
        StoreUnavailable: the store did not answer, or no publication was completed.

    >>> from fstk.online.parity import check_parity
    >>> report = fe.publish_table(source_table_name="shop.spend")
    >>> parity = check_parity(fe.get_table(name="shop.spend"))
    >>> parity.ok, parity.equal, parity.different, parity.missing
    (True, 2, 0, 0)
    """
    if sample is not None and sample < 1:
        raise InvalidInput(f"sample must be a number of keys from 1 on; got {sample}.")
    if sample is None and seed is not None:
        raise InvalidInput("seed chooses the keys of a sample; give sample, too.")
    if sample is not None and seed is None:
        seed = secrets.randbelow(10**6)
    with open_store(store) as online:
        target = described(online, table.name)
        mark = target.watermark
        if mark is None:
            raise StoreUnavailable(f"no publication of {target.name} to {online.url} was completed; publish again.")
        at_mark = replace(table, version=mark.version)
        reader = engine_for(at_mark, mark.filter_condition, session) if engine is None else engine
        source = Source(at_mark, reader, target, mark.filter_condition, mark.seen_to)
        compared = _Compared(target)
        rows = _Rows(source, progress)
        chosen: Iterable[Row] = rows
        if sample is not None:
            told = f"{seed}".encode()
            chosen = heapq.nsmallest(sample, rows, key=lambda row: blake2b(row.key, digest_size=8, key=told).digest())
        offers = iter(chosen)
        while offered := list(islice(offers, PORTION)):
            (held,) = online.get([(target, [row.key for row in offered])])
            compared.add(offered, held)
        kept, lost, lost_keys = 0, 0, []
        if sample is None:
            kept = max(0, online.count(target) - compared.equal - compared.different)
            spelled = KeyCodec(target.keys).spelled
            for keys in gone(source, online, target, progress) if kept else ():
                lost += len(keys)
                lost_keys += [spelled(key) for key in keys[: _SHOWN - len(lost_keys)]]
        return ParityReport(
            table=target.name,
            store=online.url,
            source_version=mark.version,
            keys=rows.count,
            equal=compared.equal,
            different=compared.different,
            missing=compared.missing,
            expired=compared.expired,
            kept=max(kept, lost),
            gone=lost,
            differences=tuple(compared.shown),
            gone_keys=tuple(lost_keys),
            seed=seed,
        )


class _Rows:
    """The rows that a publication of the source would offer, counted as they go by."""

    def __init__(self, source: Source, progress: Progress | None) -> None:
        self.count = 0
        self._source, self._progress = source, progress

    def __iter__(self) -> Iterator[Row]:
        for portion in self._source.everything():
            self.count += len(portion.rows)
            yield from portion.rows
            if self._progress is not None:
                self._progress(self.count, portion.total)


class _Compared:
    """Compares offered rows with what is online, and adds up what it finds."""

    def __init__(self, target: OnlineTable) -> None:
        self.equal = self.different = self.missing = self.expired = 0
        self.shown: list[Difference] = []
        self._target = target
        self._spelled = KeyCodec(target.keys).spelled
        self._codecs = [RowCodec(layout) for layout in target.layouts]
        self._ends = None if target.ttl is None else microseconds(datetime.now(UTC) - target.ttl)

    def add(self, offered: Iterable[Row], held: Iterable[Row | None]) -> None:
        for offline, online in zip(offered, held, strict=True):
            if online is None and self._ends is not None and offline.event_time < self._ends:
                self.equal, self.expired = self.equal + 1, self.expired + 1  # a store may delete what is expired
                continue
            found = list(self._differences(offline, online))
            self.shown += found[: _SHOWN - len(self.shown)]
            self.equal += not found
            self.missing += online is None
            self.different += bool(found) and online is not None
            self.expired += online is not None and self._ends is not None and online.event_time < self._ends

    def _differences(self, offered: Row, held: Row | None) -> Iterator[Difference]:
        if held is not None and offered._replace(version=0) == held._replace(version=0):
            return
        key = self._spelled(offered.key)
        if held is None:
            yield Difference(key, None, "there", None)
            return
        offline = self._codecs[offered.layout].decode(offered.value)
        try:
            online = self._codecs[held.layout].decode(held.value)
            times = instant(offered.event_time), instant(held.event_time)
        except (DamagedTable, IndexError, OverflowError) as error:
            yield Difference(key, None, "there", f"unreadable: {error}")
            return
        if offered.event_time != held.event_time:
            yield Difference(key, self._target.timeseries_column, *times)
        for feature, value in offline.items():
            if repr(value) != repr(online.get(feature)):  # repr, so that types, NaN and −0.0 count
                yield Difference(key, feature, value, online.get(feature))
