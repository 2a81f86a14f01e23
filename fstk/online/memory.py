"""Online rows in the memory of this process: for tests of what is published and read, without a file or a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import RLock
from typing import ClassVar, Self

from pydantic import Field

from fstk.errors import InvalidInput
from fstk.online.store import (
    NO_FLOOR,
    Counts,
    OnlineTable,
    Row,
    Ttl,
    Wanted,
    Watermark,
    check_same,
    replaces,
    verdict,
)
from fstk.validated import validated


@validated()
class MemorySpec:
    """An online store in the memory of this process, for tests; gone when the process ends.

    Args:
        name: tells one store from another: all threads that give the same name meet in the same store.
        ttl: a published row expires when ``now > event time + ttl``. Only tables with a time column can have one.
            None leaves the table's as it is.

    Raises:
        InvalidInput: an empty name, or a ``ttl`` that is not a ``datetime.timedelta`` above zero.

    >>> report = fe.publish_table(source_table_name="shop.spend", online_store=MemorySpec("example"))
    >>> fe.read_online(name="shop.spend", keys=[{"customer_id": 2}], online_store="memory://example")[0]
    {'customer_id': 2, 'spend_30d': 7.5}
    """

    forms: ClassVar[str] = "memory://name (in this process alone)"
    options: ClassVar[tuple[str, ...]] = ()

    name: str = Field(description="a name", min_length=1)
    ttl: Ttl = None

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> Self:
        """Return the spec of ``memory://`` and ``place``; see :class:`fstk.online.spec.URLSpec`.

        >>> MemorySpec.from_url("shop", None, {})
        MemorySpec(name='shop', ttl=None)
        """
        if not place:
            raise InvalidInput("it has no name")
        return cls(place, ttl)

    def open(self) -> MemoryStore:
        """Return the store of that name, empty when it is new.

        >>> MemorySpec("shop").open().url
        'memory://shop'
        """
        return MemoryStore(self.name)


@dataclass
class _Content:
    """What all stores of one name share; ``rows`` and ``floors`` by generation and key."""

    tables: dict[str, OnlineTable] = field(default_factory=dict)
    rows: dict[str, dict[bytes, Row]] = field(default_factory=dict)
    floors: dict[str, dict[bytes, int]] = field(default_factory=dict)
    created: int = 0
    lock: RLock = field(default_factory=RLock)


_CONTENTS: dict[str, _Content] = {}


class MemoryStore:
    """The store of a name; see :class:`fstk.online.store.OnlineStore`. Threads may share one object, or not."""

    def __init__(self, name: str) -> None:
        self.url = f"memory://{name}"
        self._content = _CONTENTS.setdefault(name, _Content())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def names(self) -> list[str]:
        with self._content.lock:
            return sorted(self._content.tables)

    def table(self, name: str) -> OnlineTable | None:
        return self._content.tables.get(name)

    def put_table(self, table: OnlineTable, seen: OnlineTable | None) -> OnlineTable:
        content = self._content
        with content.lock:
            held = content.tables.get(table.name)
            check_same(table.name, held, seen)
            if held is None:
                content.created += 1
                put = replace(table, generation=str(content.created), watermark=None)
                content.rows[put.generation], content.floors[put.generation] = {}, {}
            else:
                put = replace(table, generation=held.generation, watermark=held.watermark)
            content.tables[table.name] = put
            return put

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        with self._content.lock:
            check_same(table.name, self.table(table.name), table)
            kept, floors = self._content.rows[table.generation], self._content.floors[table.generation]
            beside = [(row, kept.get(row.key), floors.get(row.key, NO_FLOOR)) for row in rows]
            kept.update((row.key, row) for row, held, floor in beside if replaces(row, held, floor))
            return Counts.of(verdict(*one) for one in beside)

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        with self._content.lock:
            held = self.table(table.name)
            check_same(table.name, held, table)
            if held and (held.watermark is None or watermark.order >= held.watermark.order):
                self._content.tables[table.name] = replace(held, watermark=watermark)

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        with self._content.lock:
            kept = self._content.rows
            return [[kept.get(table.generation, {}).get(key) for key in keys] for table, keys in wanted]

    def keys(self, table: OnlineTable) -> Iterator[list[bytes]]:
        with self._content.lock:
            found = list(self._content.rows.get(table.generation, ()))
        yield found

    def remove(self, table: OnlineTable, keys: Sequence[bytes], version: int) -> int:
        with self._content.lock:
            check_same(table.name, self.table(table.name), table)
            kept, floors = self._content.rows[table.generation], self._content.floors[table.generation]
            floors.update({key: max(version, floors.get(key, NO_FLOOR)) for key in keys})
            return len([kept.pop(key) for key in keys if key in kept and kept[key].version <= version])

    def count(self, table: OnlineTable) -> int:
        return len(self._content.rows.get(table.generation, {}))

    def drop(self, table: OnlineTable) -> None:
        with self._content.lock:
            if self._content.rows.pop(table.generation, None) is not None:
                del self._content.tables[table.name]
