"""What every online store offers, and what it must promise; publishing and reading know this protocol and no adapter.

A store keeps, for each published table, one :class:`OnlineTable` and one :class:`Row` per key. All that a read needs
is in the store, so that reading asks nothing of the offline table.

Order of a row is ``(event time, source version, layout)``. A layout is a set of feature columns; each later layout of
a table holds all columns of the one before, so that the same row with more columns counts as newer. A store never
lets a row be replaced by one that is not newer, atomically per key, under any interleaving of publishers, kills and
retries.

A key that its source lost is removed at a source version, and the store keeps that version as the key's *floor*: what
an older or equally old version offers for the key later is stale, whatever its event time (docs/rules.md#online-5).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self, runtime_checkable

from pydantic import BeforeValidator, Field, ValidationInfo

from fstk.columns.instants import instant, microseconds
from fstk.columns.typing import Nulls
from fstk.engines.base import Schema
from fstk.errors import InvalidInput, WriteConflict
from fstk.secret import Secret

Ttl = Annotated[timedelta | None, Field(description="a datetime.timedelta above zero", gt=timedelta(0))]
"""Argument ``ttl`` of every store's spec: a row is expired when ``now > event time + ttl``."""


def _checked(reference: object, about: ValidationInfo) -> object:
    if reference is not None:
        try:
            Secret(reference if isinstance(reference, str) else "")
        except InvalidInput as error:
            raise InvalidInput(f"{about.field_name} is {error}") from None
    return reference


SecretReference = Annotated[str | None, BeforeValidator(_checked)]
"""Where a secret is kept, as a spec's argument: what is no reference is refused without being repeated."""

NO_TIME = 0
TIMES, TIMES_TYPE = "__fstk_times", "array<timestamp>"
"""Column of a layout that skips nulls: the time of each value before it, in order, null where it is the row's own."""
"""Event time of the rows of a static table: they are ordered by source version alone."""


class Row(NamedTuple):
    """One row as a store holds it.

    ``event_time`` is microseconds since 1970-01-01 UTC (:data:`NO_TIME` in a static table), ``version`` the version
    of the source table that it was published from, ``layout`` an index into :attr:`OnlineTable.layouts`, ``value``
    the encoded features.
    """

    key: bytes
    event_time: int
    version: int
    layout: int
    value: bytes

    @property
    def order(self) -> tuple[int, int, int]:
        """``(event_time, version, layout)``: the greater is the newer row."""
        return self[1:4]


Verdict = Literal["written", "unchanged", "stale"]


NO_FLOOR = -1
"""Floor of a key that was never removed: below every version."""


def replaces(offered: Row, held: Row | None, floor: int = NO_FLOOR) -> bool:
    """Tell whether a store keeps ``offered`` in place of ``held``: of equal order, what is there stays."""
    return offered.version > floor and (held is None or offered.order > held.order)


def verdict(offered: Row, held: Row | None, floor: int = NO_FLOOR) -> Verdict:
    """Return how a row offered to a store that holds ``held`` for its key is counted.

    ``written``: the key is new, or the row is newer and differs. ``unchanged``: the same content is there already; a
    newer source version is kept with it (:func:`replaces`), so that a late writer of a version in between stays shut
    out. ``stale``: a newer row is there, or the key was removed at the row's version or a later one.
    """
    if offered.version <= floor:
        return "stale"
    if held is None:
        return "written"
    if offered.order < held.order:
        return "stale"
    same = offered._replace(version=held.version) == held
    return "written" if replaces(offered, held) and not same else "unchanged"


class Counts(NamedTuple):
    """What became of rows offered to a store: a :func:`verdict` each, or ``failed`` where the store refused the row."""

    written: int = 0
    unchanged: int = 0
    stale: int = 0
    failed: int = 0

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Counts:
        """Return how often each verdict was given."""
        said = list(verdicts)
        return cls(said.count("written"), said.count("unchanged"), said.count("stale"))

    def plus(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


Kept = tuple[int, int, int, int | None, str | None]


@dataclass(frozen=True)
class Watermark:
    """The last publication that was completed: everything up to it is in the store.

    ``seen_to`` is the instant up to which event times were published, ``waiting`` the earliest event time that was
    left out because it lay after that (None: there was none), ``filter_condition`` the predicate on the source's
    rows, ``layout`` the columns, all of the publication of source version ``version``.
    """

    version: int
    seen_to: datetime
    waiting: datetime | None
    filter_condition: str | None
    layout: int

    @property
    def order(self) -> tuple[int, int, int]:
        """``(version, layout, seen_to in microseconds)``: a watermark never goes back to a smaller one."""
        return self.version, self.layout, microseconds(self.seen_to)

    @property
    def kept(self) -> Kept:
        """What a store keeps of it: :attr:`order`, then ``waiting`` in microseconds and ``filter_condition``;
        :meth:`of` reads it."""
        return *self.order, None if self.waiting is None else microseconds(self.waiting), self.filter_condition

    @classmethod
    def of(cls, kept: Sequence[Any]) -> Watermark | None:
        """Return the watermark of what was :attr:`kept`; None where there is no version, since there was none."""
        version, layout, seen_to, waiting, filter_condition = kept
        if version is None:
            return None
        return cls(version, instant(seen_to), None if waiting is None else instant(waiting), filter_condition, layout)


@dataclass(frozen=True)
class OnlineTable:
    """What a store knows of one published table.

    ``generation`` is given by the store and never again: a table that was dropped and published anew has another.
    ``source`` identifies the offline table itself, ``keys`` gives the entity keys and their types in order,
    ``layouts`` the columns of a row's value, oldest layout first: the features and, where nulls are skipped,
    :data:`TIMES`. ``ttl`` None means that rows never expire. ``watermark`` is
    None until a first publication is completed.
    """

    name: str
    generation: str
    source: str
    keys: Schema
    timeseries_column: str | None
    layouts: tuple[Schema, ...]
    ttl: timedelta | None
    watermark: Watermark | None

    @property
    def features(self) -> Schema:
        """The feature columns as they are published now."""
        return {name: kind for name, kind in self.layout.items() if name != TIMES}

    @property
    def layout(self) -> Schema:
        """The columns of a row's value as they are published now."""
        return self.layouts[-1]

    @property
    def nulls(self) -> Nulls:
        """What a null in a key's newest row is."""
        return "skip" if TIMES in self.layout else "keep"

    @property
    def description(self) -> str:
        """All but name, generation and watermark, as the JSON that a store keeps; :meth:`of` reads it."""
        ttl = None if self.ttl is None else self.ttl // timedelta(microseconds=1)
        kept = {"source": self.source, "keys": self.keys, "timeseries_column": self.timeseries_column}
        return json.dumps({**kept, "layouts": self.layouts, "ttl_microseconds": ttl})

    @classmethod
    def of(cls, name: str, generation: str, description: str, watermark: Watermark | None) -> OnlineTable:
        """Return the table of a :attr:`description`."""
        kept = json.loads(description)
        count = kept["ttl_microseconds"]
        ttl = None if count is None else timedelta(microseconds=count)
        source, keys, time = kept["source"], kept["keys"], kept["timeseries_column"]
        return cls(name, generation, source, keys, time, tuple(kept["layouts"]), ttl, watermark)


Wanted = tuple[OnlineTable, Sequence[bytes]]
"""A table and the keys to read of it."""


def check_same(name: str, held: OnlineTable | None, expected: OnlineTable | None) -> None:
    """Raise WriteConflict where the table that a store holds is not the one that a publisher saw."""
    found, seen = (table and (table.generation, len(table.layouts)) for table in (held, expected))
    if found != seen:
        raise WriteConflict(
            f"online table {name} was dropped, or got other features, while it was being published; publish again."
        )


class OnlineStore(Protocol):
    """One online store; a context manager that closes its connections.

    Every method may raise StoreUnavailable: the store did not answer, and nothing may be concluded from that.
    """

    url: str
    """How to name this store in messages; never holds a secret."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def names(self) -> list[str]:
        """Return the names of the published tables."""
        ...

    def table(self, name: str) -> OnlineTable | None:
        """Return what is known of a table; None when it was never published here. Creates nothing."""
        ...

    def put_table(self, table: OnlineTable, seen: OnlineTable | None) -> OnlineTable:
        """Record what a table is before it is published, its watermark untouched, and return what is now recorded;
        WriteConflict when the recorded table is no longer the same as ``seen`` (None: there was none)."""
        ...

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        """Offer rows with distinct keys, each compared and set atomically: kept where it :func:`replaces`, counted by
        :func:`verdict`; WriteConflict when the table was dropped or got another layout since."""
        ...

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        """Record a completed publication, unless a newer one was recorded meanwhile; WriteConflict as :meth:`write`."""
        ...

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        """Return for each table the rows of its keys in their order, None where there is none; one round trip for all
        (one to each node of a cluster)."""
        ...

    def keys(self, table: OnlineTable) -> Iterator[list[bytes]]:
        """Yield the keys that have a row, in any order, a portion at a time; of those that come or go meanwhile, some.
        For publishers and parity, not for reading: in the end it went through the whole table."""
        ...

    def remove(self, table: OnlineTable, keys: Sequence[bytes], version: int) -> int:
        """Remove the rows of ``keys`` that were published from ``version`` or an earlier one, each compared and removed
        atomically, and return how many; the floor of every key becomes ``version``, where it is not higher already.
        WriteConflict as :meth:`write`."""
        ...

    def count(self, table: OnlineTable) -> int:
        """Return how many rows the table has, expired ones included; asked once per publication."""
        ...

    def drop(self, table: OnlineTable) -> None:
        """Remove the table and all its rows."""
        ...


@runtime_checkable
class Doubted(Protocol):
    """A store that may be set up so that it does not keep what it was given."""

    def doubt(self, tables: Sequence[OnlineTable]) -> str | None:
        """Return why, of a store with these tables, and what mends it; None where there is no reason to doubt."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A store that takes no row above some size."""

    row_bytes: int
    """Key and value together that surely fit."""

    def check_sizes(self, table: OnlineTable, rows: Sequence[Row]) -> None:
        """Raise InvalidInput that names the first row that the store does not take."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A store that has more to tell of a publication than counts."""

    def notes(self, table: OnlineTable, rows: int) -> list[str]:
        """Return what a publisher should know of what was done since the store was opened, such as its price; the
        table has ``rows`` in all."""
        ...
