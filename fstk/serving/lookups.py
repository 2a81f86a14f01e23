"""What a model's record says is to be looked up, resolved against an online store once, read once a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from fstk.columns.instants import days, microseconds, wall_microseconds
from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.errors import FstkError, StoreUnavailable, TypeMismatch, UnknownColumn, nearest
from fstk.models.score import fits
from fstk.online.codec import RowCodec
from fstk.online.keys import KeyCodec
from fstk.online.read import described
from fstk.online.spec import OnlineSpec
from fstk.online.store import NO_TIME, OnlineTable, Row
from fstk.serving.body import ABSENT
from fstk.training.resolve import Join

_MICROSECOND_DAY = 86_400_000_000


@dataclass(frozen=True)
class Found:
    """The values of each feature, one a row, and how many rows of each table were missing and expired."""

    columns: dict[str, list[Any]]
    missing: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    ages: dict[str, float] = field(default_factory=dict)
    """Seconds since the event time of the oldest row of each table that was used."""


class Lookups:
    """The joins of a model's record against the tables of an online store.

    UnknownTable, UnknownColumn, TypeMismatch: what is online is not what the model was trained on. StoreUnavailable:
    the store does not answer, or a first publication is under way.
    """

    def __init__(self, joins: tuple[Join, ...], spec: OnlineSpec) -> None:
        self._joins = [join for join in joins if join.outputs]
        self._spec = spec
        self._store = spec.open()
        self._resolved: list[_Resolved] = []
        self.refresh()

    @property
    def tables(self) -> list[str]:
        """The feature tables that are read, each once."""
        return list(dict.fromkeys(join.table for join in self._joins))

    @property
    def features(self) -> int:
        """How many features are looked up."""
        return sum(len(join.outputs) for join in self._joins)

    def reopen(self) -> None:
        """Leave the connections of the store as they are, and make new ones."""
        with suppress(FstkError):
            self._store.__exit__()
        self._store = self._spec.open()

    def refresh(self) -> None:
        """Ask the store what its tables are now; raises as the class. Until it finds all of them, nothing is read."""
        self._whole = False
        try:
            self._resolve()
        except FstkError as error:
            # StoreUnavailable: what was known may still be true the next time
            self._whole = isinstance(error, StoreUnavailable) and bool(self._resolved)
            self.reopen()  # a file may have been put in the place of another
            raise
        self._whole = True

    def _resolve(self) -> None:
        asked = {name: described(self._store, name) for name in self.tables}
        known = [one.table for one in self._resolved] or [None] * len(self._joins)
        if known != [asked[join.table] for join in self._joins]:
            self._resolved = [_Resolved(join, asked[join.table]) for join in self._joins]

    def read(self, columns: Mapping[str, list[Any]], number: int, now: int) -> Found:
        """Return the features of ``number`` rows in one round trip. ``columns`` hold keys and times; a feature among
        them stands for the stored one where it is not ABSENT. ``now`` (microseconds since 1970 UTC) says what is
        expired, and stands for a time that is not given. StoreUnavailable: the store did not answer."""
        if not self._whole:
            raise StoreUnavailable("the online store no longer has the tables that the model was trained on.")
        asked = [one.keys(columns, number) for one in self._resolved]
        distinct = [list(dict.fromkeys(key for key in keys if key)) for keys in asked]
        wanted = [(one.table, keys) for one, keys in zip(self._resolved, distinct, strict=True)]
        got = self._store.get(wanted) if any(distinct) else [[] for _ in wanted]
        found = Found({})
        for one, keys, names, rows in zip(self._resolved, asked, distinct, got, strict=True):
            if any(row is not None and row.layout >= len(one.table.layouts) for row in rows):
                self.refresh()  # published with more features since
                return self.read(columns, number, now)
            one.fill(found, keys, dict(zip(names, rows, strict=True)), columns, now)
        return found


_NOT_ASKED = b""
"""Key of a row whose features the request holds itself."""


class _Resolved:
    """One join, and the table of the store that it reads."""

    def __init__(self, join: Join, table: OnlineTable) -> None:
        if table.watermark is None:
            raise StoreUnavailable(
                f"online {table.name} is being published for the first time; wait until that is done."
            )
        self.join = join
        self.table = table
        self._codec = KeyCodec(table.keys)
        self._rows = [RowCodec(layout) for layout in table.layouts]
        self._ttl = None if table.ttl is None or not table.timeseries_column else table.ttl.total_seconds() * 1e6
        for output in join.outputs:
            _check(output.feature, output.type, table.features, table.name)
        if tuple(table.keys) != join.table_keys:
            raise TypeMismatch(
                f"online {table.name} has the keys {', '.join(table.keys)}; the model was trained with "
                f"{', '.join(join.table_keys)}."
            )

    def keys(self, columns: Mapping[str, list[Any]], number: int) -> list[bytes | None]:
        """Return the key of each row; None where a part is null, :data:`_NOT_ASKED` where nothing is to be read."""
        given = [columns[output.name] for output in self.join.outputs if output.name in columns]
        parts = [columns.get(name) for name in self.join.label_keys]
        keys: list[bytes | None] = []
        for place in range(number):
            if len(given) == len(self.join.outputs) and all(column[place] is not ABSENT for column in given):
                keys.append(_NOT_ASKED)
                continue
            values = [ABSENT if column is None else column[place] for column in parts]
            if ABSENT in values:
                raise KeyError(self.join.label_keys[values.index(ABSENT)])
            key = dict(zip(self.join.table_keys, values, strict=True))
            keys.append(self._codec.encode_one(key, place))
        return keys

    def fill(
        self,
        found: Found,
        keys: list[bytes | None],
        rows: Mapping[bytes, Row | None],
        columns: Mapping[str, list[Any]],
        now: int,
    ) -> None:
        """Add this join's outputs to what was found."""
        join, name = self.join, self.table.name
        times = None if join.label_time is None else columns.get(join.label_time)
        read: dict[bytes, dict[str, Any]] = {}
        values: list[Mapping[str, Any]] = []
        for place, key in enumerate(keys):
            row = rows.get(key) if key else None
            state = self._state(row, _moment(times[place], now) if times else now, now)
            if state == "present" and row is not None and key is not None:
                if key not in read:
                    read[key] = self._rows[row.layout].decode(row.value)
                if row.event_time != NO_TIME:
                    found.ages[name] = max(found.ages.get(name, 0.0), (now - row.event_time) / 1e6)
                values.append(read[key])
                continue
            values.append({})
            if key != _NOT_ASKED:
                (found.expired if state == "expired" else found.missing)[name] += 1
        for output in join.outputs:
            own = columns.get(output.name)
            filled = [output.default if (value := row.get(output.feature)) is None else value for row in values]
            if own is not None:
                filled = [kept if mine is ABSENT else mine for mine, kept in zip(own, filled, strict=True)]
            found.columns[output.name] = filled

    def _state(self, row: Row | None, at: int | None, now: int) -> str:
        if row is None or at is None:
            return "missing"
        if self.table.timeseries_column is None:
            return "present"
        if self._ttl is not None and now - row.event_time > self._ttl:
            return "expired"
        age = at - row.event_time
        recent = self.join.lookback is None or age <= self.join.lookback
        return "present" if age >= 0 and recent else "missing"


def _moment(value: Any, now: int) -> int | None:
    """Return a row's own time in microseconds since 1970 UTC, ``now`` where it has none."""
    if value is ABSENT:
        return now
    if isinstance(value, datetime):
        return wall_microseconds(value) if value.tzinfo is None else microseconds(value)
    return days(value) * _MICROSECOND_DAY if isinstance(value, date) else None


def _check(name: str, trained: str, stored: Schema, table: str) -> None:
    if name not in stored:
        raise UnknownColumn(f"online {table} has no feature {name}, which the model takes.{nearest(name, stored)}")
    if not fits(arrow_type(stored[name]), arrow_type(trained)):
        raise TypeMismatch(f"the model was trained with {name} as {trained}; online {table} has it as {stored[name]}.")
