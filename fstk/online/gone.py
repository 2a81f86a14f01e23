"""Online keys that their feature table no longer holds: what pruning removes, and parity tells apart."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from fstk.online.source import Progress, Source
from fstk.online.store import OnlineStore, OnlineTable

_SHORT = 16  # bytes of a key that is kept as it is: a million keys in about 100 MB, however long they are


def gone(
    source: Source, online: OnlineStore, table: OnlineTable, progress: Progress | None = None
) -> Iterator[list[bytes]]:
    """Yield the keys with a row online that no row of the source has at its version, whatever a filter condition or its
    time says of that row. ``progress`` hears of keys of the source, then of keys online."""
    held: set[bytes] = set()
    for keys in source.all_keys():
        held.update(map(_short, keys))
        if progress is not None:
            progress(len(held), None)
    done, total = 0, online.count(table)
    for keys in online.keys(table):
        yield [key for key in keys if _short(key) not in held]
        done += len(keys)
        if progress is not None:
            progress(done, max(done, total))


def _short(key: bytes) -> bytes:
    # one byte longer than what is kept as it is: a digest is never a key
    return key if len(key) <= _SHORT else blake2b(key, digest_size=_SHORT + 1).digest()
