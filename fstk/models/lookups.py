"""What a plan says is to be looked up, by a reader of the online store that stays open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from fstk.columns.instants import given
from fstk.engines.types import arrow_type
from fstk.errors import FstkError, StoreUnavailable, TypeMismatch, UnknownName
from fstk.models.score import fits
from fstk.online.reader import KeyState, OnlineReader, Status
from fstk.online.spec import OnlineSpec
from fstk.online.store import OnlineTable
from fstk.training.resolve import Join


class Absent:
    """Stands for a cell that the caller does not give, which is not null."""


ABSENT: Final = Absent()
_MICROSECOND = timedelta(microseconds=1)
_GONE = "the online store no longer has what is looked up here."


@dataclass(frozen=True)
class Found:
    """The values of each feature, one a row; of each table how many rows were missing and expired, and the age in
    seconds, as of ``at``, of the oldest row that was used. ``states`` hold for each join what became of each row's key,
    None where the request holds all that it would find."""

    at: datetime
    columns: dict[str, list[Any]] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    ages: dict[str, float] = field(default_factory=dict)
    states: list[list[KeyState | None]] = field(default_factory=list)


class Lookups:
    """The joins of a plan against the tables of an online store.

    UnknownTable, UnknownColumn, TypeMismatch: what is online is not what was planned with. StoreUnavailable: the store
    does not answer, or a first publication is under way.
    """

    def __init__(self, joins: tuple[Join, ...], spec: OnlineSpec, key_types: Mapping[str, str]) -> None:
        self.joins = [join for join in joins if join.outputs]
        self._outputs = [_Outputs(join) for join in self.joins]
        self._spec = spec
        self._key_types = key_types
        self._reader: OnlineReader | None = None
        self.refresh()

    @property
    def tables(self) -> list[str]:
        """The feature tables that are read, each once."""
        return list(dict.fromkeys(join.table for join in self.joins))

    @property
    def features(self) -> int:
        """How many features are looked up."""
        return sum(len(join.outputs) for join in self.joins)

    def close(self) -> None:
        """Leave the connections to the store; the next read makes new ones."""
        if self._reader is not None:
            with suppress(FstkError):
                self._reader.close()
        self._reader = None

    def refresh(self) -> None:
        """Ask the store what its tables are now; raises as the class."""
        try:
            self._open().refresh()
        except FstkError:
            self.close()  # a file may have been put in the place of another
            raise

    def _open(self) -> OnlineReader:
        if self._reader is None:
            wanted: dict[str, list[str]] = {}
            for join in self.joins:
                wanted.setdefault(join.table, []).extend(output.feature for output in join.outputs)
            self._reader = OnlineReader({name: list(dict.fromkeys(all_)) for name, all_ in wanted.items()}, self._spec)
            for join in self.joins:
                self._check(join, self._reader.tables[join.table])
        return self._reader

    def _check(self, join: Join, table: OnlineTable) -> None:
        if join.nulls != table.nulls:
            raise TypeMismatch(
                f"nulls of {join.table} are {join.nulls!r} to what is served; online they are "
                f"{'skipped' if table.nulls == 'skip' else 'kept'}: publish_table(…, nulls={join.nulls!r})."
            )
        stored = table.keys | table.features
        trained = {key: self._key_types[name] for name, key in zip(join.label_keys, join.table_keys, strict=True)}
        same = trained.keys() == table.keys.keys()
        if not same or any(arrow_type(kind) != arrow_type(stored[key]) for key, kind in trained.items()):
            raise TypeMismatch(
                f"the keys of {join.table} are {trained} to what is served; online they are {table.keys}."
            )
        for output in join.outputs:
            kind = stored[output.feature]
            if not fits(arrow_type(kind), arrow_type(output.type)):
                one = f"{output.feature} of {join.table}"
                raise TypeMismatch(f"{one} is {output.type} to what is served; online it is {kind}.")

    def read(self, columns: Mapping[str, list[Any]], number: int) -> Found:
        """Return the features of ``number`` rows in one round trip. ``columns`` hold keys and times; a feature among
        them stands for the stored one where it is not ABSENT. KeyError: a key is missing. StoreUnavailable: the store
        did not answer, or has other tables by now."""
        now = datetime.now(UTC)
        asked = [_Asked(outputs, columns, number) for outputs in self._outputs]
        wanted: dict[str, list[dict[str, Any]]] = {}
        for one in asked:
            one.start = len(wanted.setdefault(one.join.table, []))
            wanted[one.join.table] += one.keys
        found = Found(now)
        if not any(wanted.values()):
            read = {}
        else:
            try:
                read = self._open().read(wanted, now=now)
            except UnknownName as error:
                self.close()
                raise StoreUnavailable(_GONE) from error
            except StoreUnavailable:
                self.close()
                raise
        for one in asked:
            rows = read.get(one.join.table)
            own = slice(one.start, one.start + len(one.keys))
            one.fill(found, rows[own] if rows else [], rows.found[own] if rows else [], columns, now)
        return found


class _Outputs:
    """What a join is asked for: by its ``names`` the ``features`` of its table, in the same order."""

    def __init__(self, join: Join) -> None:
        self.join = join
        self.names = tuple(output.name for output in join.outputs)
        self.features = tuple(output.feature for output in join.outputs)
        self.defaults = {output.name: output.default for output in join.outputs if output.default is not None}
        self.nothing = dict.fromkeys(self.features)


class _Asked:
    """One join of one request: the keys of the rows whose features the request does not hold itself."""

    def __init__(self, outputs: _Outputs, columns: Mapping[str, list[Any]], number: int) -> None:
        join = self.join = outputs.join
        self.start = 0
        self._outputs = outputs
        self._number = number
        self._own = {name: column for name, column in columns.items() if name in outputs.names}
        every = len(self._own) == len(outputs.names)
        self.places = [
            row for row in range(number) if not every or any(column[row] is ABSENT for column in self._own.values())
        ]
        parts = [(key, name, columns.get(name)) for name, key in zip(join.label_keys, join.table_keys, strict=True)]
        if self.places:
            for _, name, column in parts:
                if column is None or any(column[row] is ABSENT for row in self.places):
                    raise KeyError(name)
        self.keys = [{key: column[row] for key, _, column in parts if column is not None} for row in self.places]

    def fill(
        self,
        found: Found,
        rows: list[dict[str, Any]],
        states: list[KeyState],
        columns: Mapping[str, list[Any]],
        now: datetime,
    ) -> None:
        """Add the outputs of the join to what was found."""
        join, outputs = self.join, self._outputs
        times = None if join.label_time is None else columns.get(join.label_time)
        values = [outputs.nothing] * self._number
        seen: list[KeyState | None] = [None] * self._number
        found.states.append(seen)
        for place, row, state in zip(self.places, rows, states, strict=True):
            at = now if times is None else _moment(times[place], now)
            status = self._status(state, at)
            seen[place] = state if status == state.status else state._replace(status=status)
            if status == "present":
                past = [name for name, time in state.older.items() if not self._recent(time, at)]
                values[place] = row | dict.fromkeys(past) if past else row
                if state.event_time is not None:
                    age = (now - state.event_time).total_seconds()
                    found.ages[join.table] = max(found.ages.get(join.table, age), age)
            else:
                (found.expired if status == "expired" else found.missing)[join.table] += 1
        made = map(list, zip(*(map(row.__getitem__, outputs.features) for row in values), strict=True))
        found.columns.update(zip(outputs.names, made, strict=True))
        for name, default in outputs.defaults.items():
            found.columns[name] = [default if value is None else value for value in found.columns[name]]
        for name, own in self._own.items():
            kept = zip(own, found.columns[name], strict=True)
            found.columns[name] = [stored if mine is ABSENT else mine for mine, stored in kept]

    def _status(self, state: KeyState, at: datetime | None) -> Status:
        """Return what a stored row is to a row of the instant ``at``, by the rules of a training set: of a later time
        it is none, and past the look-back it has expired."""
        if state.status != "present" or state.event_time is None:
            return state.status
        if at is None or state.event_time > at:
            return "missing"
        return "present" if self._recent(state.event_time, at) else "expired"

    def _recent(self, time: datetime, at: datetime | None) -> bool:
        lookback = self.join.lookback
        return lookback is None or (at is not None and (at - time) // _MICROSECOND <= lookback)


def _moment(value: Any, now: datetime) -> datetime | None:
    """Return a row's own time, ``now`` where it has none; without a zone it is in UTC."""
    if value is ABSENT:
        return now
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return given(value, "time") if isinstance(value, date) else None
