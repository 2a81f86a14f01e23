"""Online rows by key, of many tables at once; all that a read needs is in the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from fstk.columns.instants import given, instant, microseconds
from fstk.columns.typing import EntityKeys
from fstk.display import Displayed, Sheet, duration, key_text
from fstk.errors import InvalidInput, StoreUnavailable, UnknownColumn, UnknownTable, WriteConflict, nearest
from fstk.online.codec import RowCodec
from fstk.online.keys import KeyCodec
from fstk.online.spec import OnlineSpec, open_store
from fstk.online.store import TIMES, OnlineStore, OnlineTable, Row
from fstk.warehouse import table_name

_KNOWN_FOR = 1.0  # seconds
_ATTEMPTS = 3  # at reading, while the table gets other features
_FEW = 6  # columns that a line holds readably
Status = Literal["present", "missing", "expired"]


class KeyState(NamedTuple):
    """What became of one key: an expired row reads as missing, and its event time still tells how old it is;
    ``source_version`` is the version of the feature table that the row was published from. ``older`` has the time of
    each value that is older than its row, as values may be where nulls are skipped."""

    status: Status
    event_time: datetime | None
    source_version: int | None = None
    older: Mapping[str, datetime] = MappingProxyType({})


class OnlineRows(Displayed, list[dict[str, Any]]):
    """One dict per key asked for, in order: the key's columns as given, then its features, None where there is no row.

    ``found`` tells present, missing and expired apart, with each row's event time (UTC; None in a table without a time
    column); ``source_version`` is the version of the feature table that was last published completely.

    >>> report = fe.publish_table(source_table_name="shop.spend")
    >>> rows = fe.read_online(name="shop.spend", keys=[{"customer_id": 2}, {"customer_id": 9}])
    >>> rows[0], rows.found[1].status
    ({'customer_id': 2, 'spend_30d': 7.5}, 'missing')
    """

    def __init__(
        self,
        table: str,
        rows: list[dict[str, Any]],
        found: list[KeyState],
        source_version: int,
        now: datetime,
        keys: Sequence[str] = (),
    ) -> None:
        super().__init__(rows)
        self.table = table
        self.found = found
        self.source_version = source_version
        self.now = now
        self._keys = keys

    def display(self) -> Sheet:
        """Return one line per key, with status and age; of one key, or of few with many features, one column per
        key."""
        title = f"{self.table} online · source version {self.source_version}"
        names = list(self[0]) if self else []
        ages = [None if found.event_time is None else duration(self.now - found.event_time) for found in self.found]
        rows = [{name: key_text(row[name]) if name in self._keys else row[name] for name in names} for row in self]
        if len(rows) == 1 or len(rows) <= _FEW < len(names):
            states = zip(self.found, ages, strict=True)
            heads = [found.status if age is None else f"{found.status}, {age}" for found, age in states]
            return Sheet(title, ("column", *heads), [(name, *(row[name] for row in rows)) for name in names])
        lines = [(found.status, age, *row.values()) for found, age, row in zip(self.found, ages, rows, strict=True)]
        return Sheet(title, ("status", "age", *names), lines)


class OnlineReader:
    """Reads tables of one online store, and stays open: what the tables are is found out once, not at every read.

    ``tables`` are names, or names with the features wanted of each, in order (None: all that are published). A reader
    connects when it is made, and is closed by :meth:`close`, or as a context manager. Threads may share one: they take
    turns at the store, so that threads that shall wait for it side by side each need their own.

    What a reader knows of its tables (their generation, features, ttl, and the version that was published last) is at
    most a second old, or as old as the last :meth:`refresh`, which a caller may call between reads to spare them
    asking. A table that was dropped since is an error, no missing row.

    >>> report = fe.publish_table(source_table_name="shop.spend")
    >>> with fe.online_reader(["shop.spend"]) as reader:
    ...     read = reader.read({"shop.spend": [{"customer_id": 1}, {"customer_id": 9}]})
    >>> read["shop.spend"][:]
    [{'customer_id': 1, 'spend_30d': 25.0}, {'customer_id': 9, 'spend_30d': None}]
    """

    def __init__(
        self, tables: Sequence[str] | Mapping[str, Sequence[str] | None], store: str | OnlineSpec | None = None
    ) -> None:
        if isinstance(tables, str):
            raise InvalidInput(f"tables must be a list of names; write [{tables!r}].")
        self._chosen = dict(tables) if isinstance(tables, Mapping) else dict.fromkeys(tables)
        self._lock = threading.Lock()
        self._store: OnlineStore | None = open_store(store)
        self._tables: dict[str, _Table] = {}
        self._known_at = 0.0
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the store; a second time does nothing.

        >>> fe.publish_table(source_table_name="shop.spend").written
        2
        >>> fe.online_reader(["shop.spend"]).close()
        """
        with self._lock:
            if self._store is not None:
                self._store.__exit__(None, None, None)
                self._store = None

    @property
    def tables(self) -> dict[str, OnlineTable]:
        """What is known of each table, by the name that the reader was given."""
        return {name: found.table for name, found in self._tables.items()}

    def refresh(self) -> None:
        """Ask the store anew what the tables are.

        Raises:
            UnknownTable, UnknownColumn: a table or feature is not online.
            StoreUnavailable: the store did not answer, or a first publication is not complete.

        >>> _ = fe.publish_table(source_table_name="shop.spend")
        >>> with fe.online_reader(["shop.spend"]) as reader:
        ...     reader.refresh()
        """
        with self._lock:
            self._refresh()

    def read(self, wanted: Mapping[str, EntityKeys], *, now: datetime | date | None = None) -> dict[str, OnlineRows]:
        """Return the rows of each table's keys, in their order: one round trip to the store, to each node of a cluster.

        Args:
            wanted: table's name, as the reader was given it, to keys: one dict per row wanted, with every key column;
                values of exactly the column's type. A key with a None equals nothing.
            now: decides what is expired: a datetime with a time zone or a date (its midnight UTC). None is now.

        Returns:
            By table as ``FeatureEngineeringClient.read_online``.

        Raises:
            UnknownTable: the reader was made without that table, or it is no longer online.
            UnknownColumn, InvalidInput, TypeMismatch: as ``FeatureEngineeringClient.read_online``.
            StoreUnavailable: the store did not answer.

        >>> _ = fe.publish_table(source_table_name="shop.spend")
        >>> with fe.online_reader({"shop.spend": ["spend_30d"]}) as reader:
        ...     reader.read({"shop.spend": [{"customer_id": 2}]})["shop.spend"].found[0].status
        'present'
        """
        at = datetime.now(UTC) if now is None else given(now, "now")
        if not isinstance(wanted, Mapping):
            raise InvalidInput(f"write {{table: keys}}, a list of keys per table; got {type(wanted).__name__}.")
        for _ in range(_ATTEMPTS):
            tables = self._current()
            asked = [
                _Asked(_named(tables, name), keys, "keys" if len(tables) == 1 else name)
                for name, keys in wanted.items()
            ]
            with self._lock:
                stored = self._open.get([(one.of.table, one.distinct) for one in asked])
            if all(one.of.knows(rows) for one, rows in zip(asked, stored, strict=True)):
                moment = microseconds(at)
                return {
                    name: one.answer(rows, at, moment) for name, one, rows in zip(wanted, asked, stored, strict=True)
                }
            self.refresh()
        raise WriteConflict(f"{', '.join(wanted)}: other features are being published at every attempt; read again.")

    @property
    def _open(self) -> OnlineStore:
        if self._store is None:
            raise InvalidInput("this reader is closed; make another: fe.online_reader(…).")
        return self._store

    def _current(self) -> dict[str, _Table]:
        if time.monotonic() - self._known_at > _KNOWN_FOR:
            with self._lock:
                if time.monotonic() - self._known_at > _KNOWN_FOR:  # unless another thread was here
                    self._refresh()
        return self._tables

    def _refresh(self) -> None:
        online = self._open
        began = time.monotonic()
        found = {}
        for name, features in self._chosen.items():
            table = described(online, name)
            if table.watermark is None:
                raise StoreUnavailable(
                    f"online {table.name} is being published for the first time: what is missing now may be there "
                    "soon. If no publication is under way, publish again."
                )
            before = self._tables.get(name)
            found[name] = before if before is not None and before.table == table else _Table(table, features)
        self._tables, self._known_at = found, began


class _Table:
    """A table as it was when it was asked for, and all that reading it needs."""

    def __init__(self, table: OnlineTable, features: Sequence[str] | None) -> None:
        assert table.watermark is not None
        self.table = table
        self.source_version = table.watermark.version
        self.features = _wanted(table, features)
        self.keys = KeyCodec(table.keys)
        self._codecs: dict[int, tuple[RowCodec, bool]] = {}  # by layout, and whether it is just the features
        self._timed = table.timeseries_column is not None
        self._ttl = None if table.ttl is None else table.ttl // timedelta(microseconds=1)

    def knows(self, rows: Sequence[Row | None]) -> bool:
        """Whether the layouts of all rows are known."""
        count = len(self.table.layouts)
        return not [row for row in rows if row is not None and row.layout >= count]

    def state(self, row: Row | None, now: int) -> KeyState:
        """Return what became of a key; ``now`` in microseconds since 1970 UTC."""
        if row is None:
            return _MISSING
        if not self._timed:
            return KeyState("present", None, row.version)
        expired = self._ttl is not None and now - row.event_time > self._ttl
        return KeyState("expired" if expired else "present", instant(row.event_time), row.version)

    def fill(self, row: dict[str, Any], stored: Row, now: int) -> dict[str, datetime]:
        """Write the features wanted into ``row``, None where the layout lacks one or where its own time has expired;
        return the times of values that are older than the row."""
        codec, exact = self._codecs.get(stored.layout) or self._codec(stored.layout)
        if exact:
            codec.decode(stored.value, row)
            return {}
        values = codec.decode(stored.value)
        row.update((name, values.get(name)) for name in self.features)
        times = values.get(TIMES)
        if times is None:
            return {}
        older = {name: at for name, at in zip(codec.names, times, strict=False) if at is not None and name in row}
        for name, at in older.items():
            if self._ttl is not None and now - microseconds(at) > self._ttl:
                row[name] = None
        return older

    def _codec(self, layout: int) -> tuple[RowCodec, bool]:
        codec = RowCodec(self.table.layouts[layout])
        found = self._codecs[layout] = codec, codec.names == self.features
        return found


_MISSING = KeyState("missing", None)


class _Asked:
    """The keys asked of one table: ``distinct`` ones are what the store is asked for."""

    def __init__(self, of: _Table, keys: EntityKeys, name: str) -> None:
        if not isinstance(keys, Sequence) or isinstance(keys, str | bytes):
            of_table = "" if name == "keys" else f"{name}: "
            raise InvalidInput(f"{of_table}keys must be a list of dicts, one per row; got {type(keys).__name__}.")
        self.of, self._keys = of, keys
        self._encoded = [of.keys.encode_one(key, position, name) for position, key in enumerate(keys)]
        self.distinct = list(dict.fromkeys(key for key in self._encoded if key is not None))

    def answer(self, stored: Sequence[Row | None], at: datetime, now: int) -> OnlineRows:
        of = self.of
        held = dict(zip(self.distinct, stored, strict=True))
        names = tuple(of.table.keys)
        rows, found = [], []
        for key, code in zip(self._keys, self._encoded, strict=True):
            one = None if code is None else held[code]
            state = of.state(one, now)
            row = {name: key[name] for name in names}
            if one is not None and state.status == "present":
                older = of.fill(row, one, now)
                state = state._replace(older=older) if older else state
            else:
                row.update(dict.fromkeys(of.features))
            rows.append(row)
            found.append(state)
        return OnlineRows(of.table.name, rows, found, of.source_version, at, names)


def _named(tables: Mapping[str, _Table], name: str) -> _Table:
    found = tables.get(name)
    if found is None:
        raise UnknownTable(f"this reader was made without the table {name}.{nearest(str(name), tables)}")
    return found


def described(online: OnlineStore, name: str) -> OnlineTable:
    """Return what the store knows of a table; UnknownTable when it was never published there. A table of Unity Catalog
    is found without its catalog, too, where no other has one of that name."""
    name = table_name(name)
    table = online.table(name) or (None if "." in name else online.table(f"default.{name}"))
    if table is None and name.count(".") == 1:
        longer = [known for known in online.names() if known.endswith(f".{name}")]
        table = online.table(longer[0]) if len(longer) == 1 else None
    if table is None:
        hint = nearest(name, online.names()) or " Nothing was published there."
        raise UnknownTable(f"no online table {name} in {online.url}.{hint}")
    return table


def _wanted(table: OnlineTable, features: Sequence[str] | None) -> tuple[str, ...]:
    if features is None:
        return tuple(table.features)
    if isinstance(features, str):
        raise InvalidInput(f"features must be a list of names; write [{features!r}].")
    for name in features:
        if name not in table.features and name not in table.keys:
            raise UnknownColumn(f"online {table.name} has no feature {name}.{nearest(str(name), table.features)}")
    return tuple(name for name in features if name not in table.keys)
