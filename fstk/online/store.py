"""What every online store offers, and what it must promise; publishing and reading know this protocol and no adapter.

A store keeps, for each published table, one :class:`OnlineTable` and one :class:`Row` per key. All that a read needs
is in the store, so that reading asks nothing of the offline table.

Order of a row is ``(event time, source version, layout)``. A layout is a set of feature columns; each later layout of
a table holds all columns of the one before, so that the same row with more columns counts as newer. A store never
lets a row be replaced by one that is not newer, atomically per key, under any interleaving of publishers, kills and
retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from fstk.engines.base import Schema

NO_TIME = 0
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


Verdict = Literal["written", "unchanged", "stale"]


def verdict(offered: Row, held: Row | None) -> Verdict:
    """Return what becomes of a row offered to a store that holds ``held`` for its key: the rule that every store keeps.

    ``written``: the key is new, or the row is newer and differs. ``unchanged``: the same content is there already; a
    newer source version is recorded with it, so that a late writer of a version in between stays shut out. ``stale``:
    a newer row is there; it stays.
    """
    if held is None:
        return "written"
    new, old = offered[1:4], held[1:4]
    if new < old:
        return "stale"
    same = (offered.event_time, offered.layout, offered.value) == (held.event_time, held.layout, held.value)
    return "unchanged" if same or new == old else "written"


class Counts(NamedTuple):
    """What became of rows offered to a store: a :func:`verdict` each, or ``failed`` where the store refused the row."""

    written: int = 0
    unchanged: int = 0
    stale: int = 0
    failed: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


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


@dataclass(frozen=True)
class OnlineTable:
    """What a store knows of one published table.

    ``generation`` is given by the store and never again: a table that was dropped and published anew has another.
    ``source`` identifies the offline table itself, ``keys`` gives the entity keys and their types in order,
    ``layouts`` the feature columns, oldest layout first. ``ttl`` None means that rows never expire. ``watermark`` is
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
        return self.layouts[-1]

    def same_as(self, other: OnlineTable) -> bool:
        """Tell whether both are one creation of the table, at one layout."""
        return self.generation == other.generation and len(self.layouts) == len(other.layouts)


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

    def put_table(self, table: OnlineTable, replaces: OnlineTable | None) -> OnlineTable:
        """Record what a table is before it is published, its watermark untouched, and return what is now recorded.

        Raises:
            WriteConflict: the recorded table is no longer the same as ``replaces`` (None: there was none).
        """
        ...

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        """Offer rows with distinct keys, each compared and set atomically by :func:`verdict`.

        Raises:
            WriteConflict: the table was dropped or got another layout since; rows of an older layout never replace
                newer ones.
        """
        ...

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        """Record a completed publication, unless a newer one was recorded meanwhile.

        Raises:
            WriteConflict: as :meth:`write`.
        """
        ...

    def get(self, table: OnlineTable, keys: Sequence[bytes]) -> list[Row | None]:
        """Return the rows of ``keys`` in their order, None where there is none; one round trip (per node)."""
        ...

    def count(self, table: OnlineTable) -> int:
        """Return how many rows the table has, expired ones included; asked once per publication."""
        ...

    def drop(self, table: OnlineTable) -> None:
        """Remove the table and all its rows."""
        ...
