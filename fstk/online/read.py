"""Online rows by key; all that a read needs is in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from fstk.columns.instants import given, instant
from fstk.display import Displayed, Sheet, duration
from fstk.errors import InvalidInput, StoreUnavailable, UnknownColumn, UnknownTable, nearest
from fstk.online.codec import RowCodec
from fstk.online.keys import KeyCodec
from fstk.online.spec import OnlineSpec, open_store
from fstk.online.store import OnlineStore, OnlineTable, Row
from fstk.warehouse import table_name

_FEW = 6  # columns that a line holds readably
Status = Literal["present", "missing", "expired"]


@dataclass(frozen=True)
class KeyState:
    """What became of one key: an expired row reads as missing, and its event time still tells how old it is."""

    status: Status
    event_time: datetime | None


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
        self, table: str, rows: list[dict[str, Any]], found: list[KeyState], source_version: int, now: datetime
    ) -> None:
        super().__init__(rows)
        self.table = table
        self.found = found
        self.source_version = source_version
        self.now = now

    def display(self) -> Sheet:
        """Return one line per key, with status and age; of few keys with many features one column per key."""
        title = f"{self.table} online · source version {self.source_version}"
        names = list(self[0]) if self else []
        ages = [None if found.event_time is None else duration(self.now - found.event_time) for found in self.found]
        if len(self) <= _FEW < len(names):
            states = zip(self.found, ages, strict=True)
            heads = [found.status if age is None else f"{found.status}, {age}" for found, age in states]
            return Sheet(title, ("column", *heads), [(name, *(row[name] for row in self)) for name in names])
        lines = [(found.status, age, *row.values()) for found, age, row in zip(self.found, ages, self, strict=True)]
        return Sheet(title, ("status", "age", *names), lines)


def read_online(
    name: str,
    keys: Sequence[Mapping[str, Any]],
    features: Sequence[str] | None = None,
    *,
    store: str | OnlineSpec | None = None,
    now: datetime | date | None = None,
) -> OnlineRows:
    """Return the online rows of ``keys``, in their order; a key with a None equals nothing.

    See ``FeatureEngineeringClient.read_online`` for arguments and errors. ``now`` decides what is expired: a datetime
    with a time zone or a date (its midnight UTC).

    >>> from fstk.online.read import read_online
    >>> report = fe.publish_table(source_table_name="shop.spend")
    >>> read_online("shop.spend", [{"customer_id": 1}, {"customer_id": 9}], ["spend_30d"])[:]
    [{'customer_id': 1, 'spend_30d': 25.0}, {'customer_id': 9, 'spend_30d': None}]
    """
    at = datetime.now(UTC) if now is None else given(now, "now")
    with open_store(store) as online:
        table = described(online, name)
        if table.watermark is None:
            raise StoreUnavailable(
                f"online {table.name} is being published for the first time: what is missing now may be there soon. If "
                "no publication is under way, publish again."
            )
        wanted = _wanted(table, features)
        if not isinstance(keys, Sequence) or isinstance(keys, str | bytes):
            raise InvalidInput(f"keys must be a list of dicts, one per row; got {type(keys).__name__}.")
        codec = KeyCodec(table.keys)
        encoded = [codec.encode_one(key, position) for position, key in enumerate(keys)]
        distinct = list(dict.fromkeys(key for key in encoded if key is not None))
        held = dict(zip(distinct, online.get([(table, distinct)])[0], strict=True))
    stored = [None if code is None else held[code] for code in encoded]
    codecs = {layout: RowCodec(table.layouts[layout]) for layout in {row.layout for row in stored if row is not None}}
    rows, found = [], []
    for key, row in zip(keys, stored, strict=True):
        state = _state(table, row, at)
        values = codecs[row.layout].decode(row.value) if row is not None and state.status == "present" else {}
        rows.append({part: key[part] for part in table.keys} | {feature: values.get(feature) for feature in wanted})
        found.append(state)
    return OnlineRows(table.name, rows, found, table.watermark.version, at)


def described(online: OnlineStore, name: str) -> OnlineTable:
    """Return what the store knows of a table; UnknownTable when it was never published there."""
    name = table_name(name)
    table = online.table(name) or (None if "." in name else online.table(f"default.{name}"))
    if table is None:
        hint = nearest(name, online.names()) or " Nothing was published there."
        raise UnknownTable(f"no online table {name} in {online.url}.{hint}")
    return table


def drop_online_table(name: str, store: str | OnlineSpec | None = None) -> None:
    """Remove a table and its rows from an online store; see ``FeatureEngineeringClient.drop_online_table``."""
    with open_store(store) as online:
        online.drop(described(online, name))


def _wanted(table: OnlineTable, features: Sequence[str] | None) -> list[str]:
    if features is None:
        return list(table.features)
    if isinstance(features, str):
        raise InvalidInput(f"features must be a list of names; write [{features!r}].")
    for name in features:
        if name not in table.features and name not in table.keys:
            raise UnknownColumn(f"online {table.name} has no feature {name}.{nearest(str(name), table.features)}")
    return [name for name in features if name not in table.keys]


def _state(table: OnlineTable, row: Row | None, now: datetime) -> KeyState:
    if row is None:
        return KeyState("missing", None)
    if table.timeseries_column is None:
        return KeyState("present", None)
    event_time = instant(row.event_time)
    if table.ttl is not None and now - event_time > table.ttl:
        return KeyState("expired", event_time)
    return KeyState("present", event_time)
