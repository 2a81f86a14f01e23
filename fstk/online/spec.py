"""Which online store: a spec, or a URL that stands for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from fstk import settings
from fstk.errors import InvalidInput
from fstk.online.sqlite import SQLiteStore
from fstk.online.store import OnlineStore

_FORMS = "sqlite:///folder/online.db (from the project's root) or sqlite:////folder/online.db (absolute)"


class OnlineSpec(Protocol):
    """Names an online store; holds no secret."""

    @property
    def ttl(self) -> timedelta | None:
        """How long after its event time a published row stays readable; None leaves what the table has."""
        ...

    def open(self) -> OnlineStore:
        """Return the store; connects when first used."""
        ...


@dataclass(frozen=True)
class SQLiteSpec:
    """An online store in one SQLite file.

    Args:
        path: the file; a relative one starts at the project's root (where ``fstk.toml`` is, else the working folder).
        ttl: a published row expires when ``now > event time + ttl``. Only tables with a time column can have one.
            None leaves the table's as it is: none at first, then the one last published with.

    Raises:
        InvalidInput: an empty path, or a ``ttl`` that is not a positive ``datetime.timedelta``.
    """

    path: str | Path
    ttl: timedelta | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | Path) or not str(self.path).strip() or str(self.path) == ":memory:":
            raise InvalidInput(f"SQLiteSpec needs the path of a file; got {self.path!r}.")
        if self.ttl is not None and (not isinstance(self.ttl, timedelta) or self.ttl <= timedelta(0)):
            raise InvalidInput(f"ttl must be a datetime.timedelta above zero; got {self.ttl!r}.")

    def open(self) -> SQLiteStore:
        """Return the store; the file is made by the first write."""
        return SQLiteStore(settings.root() / Path(self.path).expanduser())


def spec_of(store: str | OnlineSpec | None) -> OnlineSpec:
    """Return the spec of a store given as a spec or a URL; None is the setting ``FSTK_ONLINE_STORE``.

    Raises:
        InvalidInput: not a spec, or a URL that names no store.
    """
    if store is None:
        store = settings.load().online_store
    if not isinstance(store, str):
        if isinstance(store, SQLiteSpec):
            return store
        raise InvalidInput(
            f"online_store must be a spec or a URL; got {type(store).__name__}. There is: SQLiteSpec(path), {_FORMS}."
        )
    scheme, separator, rest = store.partition("://")
    if not separator or scheme != "sqlite":
        # whatever follows the scheme may hold a password
        raise InvalidInput(f"no online store {scheme + '://…' if separator else store!r}. There is: {_FORMS}.")
    path = rest.removeprefix("/")
    if not rest.startswith("/") or path in {"", "/", ":memory:"} or "?" in path:
        raise InvalidInput(f"online store {store!r} names no file. Write {_FORMS}.")
    return SQLiteSpec(path)


def open_store(store: str | OnlineSpec | None) -> OnlineStore:
    """Return the store of a spec or URL; raises as :func:`spec_of`."""
    return spec_of(store).open()
