"""Small texts that are kept beside the tables of a warehouse folder, under names like theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fstk import warehouse
from fstk.atomic import replace_file
from fstk.errors import AccessDenied, Infrastructure, InvalidName, TableExists, UnknownName, nearest
from fstk.tables import local

_LONGEST = 255  # of a file's name, on most file systems


class Records:
    """Texts of one ``kind`` (a word that file names may hold) by name; each is one file, ``.NAME.KIND.json`` in the
    folder of its schema, that is there whole or not at all."""

    def __init__(self, folder: Path, kind: str, called: str) -> None:
        self._folder = folder.expanduser().absolute()
        self._suffix = f".{kind}.json"
        self._called = called

    def full_name(self, name: str) -> str:
        """Return the one name under which a record is known; raises InvalidName."""
        name = warehouse.table_name(name)
        return name if "." in name else f"default.{name}"

    def create(self, name: str, text: str) -> None:
        """Keep a text under a name; the same text again changes nothing. TableExists: another is there. InvalidInput:
        the folder cannot be written. WriteConflict: another writer is at it."""
        path = self._path(name)
        with local.writing(self._folder, name, warehouse.folder(self._folder, name)), _told(name):
            if path.exists():
                if path.read_text(encoding="utf-8") == text:
                    return
                there = f"another {self._called} {name} is there"
                raise TableExists(f"{there}; delete it first, or choose another name.")
            replace_file(path, text.encode())

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

    def names(self) -> list[str]:
        """Return the full names of all records, sorted."""
        found = [*self._folder.glob(f"*/.*{self._suffix}"), *self._folder.glob(f"*/*/.*{self._suffix}")]
        names = []
        for path in found:
            *above, last = path.relative_to(self._folder).parts
            with suppress(InvalidName):  # what others put there
                names.append(warehouse.table_name(".".join([*above, last[1:].removesuffix(self._suffix)])))
        return sorted(names)

    def _path(self, name: str) -> Path:
        folder = warehouse.folder(self._folder, name)
        file = f".{folder.name}{self._suffix}"
        if len(file) > _LONGEST:
            most = _LONGEST - len(self._suffix) - 1
            raise InvalidName(f"{self._called} {name[:40]}…: its last part may have {most} characters at most.")
        return folder.with_name(file)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell what the system refuses in one sentence."""
    try:
        yield
    except PermissionError as error:
        raise AccessDenied(f"{name}: {error.filename} may not be read or written: permission denied.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Infrastructure(f"{name} cannot be read or written: {error}.") from error
