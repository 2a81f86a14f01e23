"""Small texts that are kept beside the tables of a warehouse folder, under names like theirs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fstk import warehouse
from fstk.errors import AccessDenied, InvalidInput, TableExists, UnknownName, nearest
from fstk.tables import local
from fstk.tables.lock import exclusive


class Records:
    """Texts of one ``kind`` (a word that file names may hold) by name; each is one file, ``.NAME.KIND.json`` in the
    folder of its schema, that is there whole or not at all."""

    def __init__(self, folder: Path, kind: str, called: str) -> None:
        self._folder = folder.expanduser().absolute()
        self._kind = f"{kind}.json"
        self._called = called

    def full_name(self, name: str) -> str:
        """Return the one name under which a record is known; raises InvalidName."""
        name = warehouse.table_name(name)
        return name if "." in name else f"default.{name}"

    def create(self, name: str, text: str) -> None:
        """Keep a text under a name that is free; TableExists: another is there. InvalidInput: the folder cannot be
        written. WriteConflict: another writer is at it."""
        path = self._path(name)
        warehouse.ready_warehouse(self._folder)
        outer = local.enclosing(self._folder, path)
        if outer is not None:
            raise InvalidInput(f"{name} would lie inside the table at {outer}; choose a name outside it.")
        temporary = path.with_name(f".{secrets.token_hex(8)}")
        with exclusive(self._place(name), name):
            if path.exists():
                raise TableExists(f"{self._called} {name} is there already; delete it first, or choose another name.")
            with _told(name):
                try:
                    with temporary.open("x", encoding="utf-8") as file:
                        file.write(text)
                        file.flush()
                        os.fsync(file.fileno())
                    temporary.replace(path)
                finally:
                    temporary.unlink(missing_ok=True)

    def read(self, name: str) -> str:
        """Return the text under a name; UnknownName gives the nearest. AccessDenied: it may not be read."""
        with _told(name):
            try:
                return self._path(name).read_text(encoding="utf-8")
            except FileNotFoundError as error:
                raise UnknownName(f"no {self._called} {name}.{nearest(name, self.names())}") from error

    def delete(self, name: str) -> None:
        """Remove the text under a name; raises as :meth:`read`."""
        with _told(name):
            try:
                self._path(name).unlink()
            except FileNotFoundError as error:
                raise UnknownName(f"no {self._called} {name}.{nearest(name, self.names())}") from error
