"""Tokens of those who may ask: shown once, kept as hashes in the project's ``.fstk/tokens.json``, its owner's alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from filelock import FileLock

from fstk import settings
from fstk.atomic import replace_file
from fstk.columns.length import read_length
from fstk.errors import AccessDenied, InvalidInput, UnknownName, nearest

_PREFIX = "fstk"
_BYTES = 32  # of randomness in a token
_FOLDER, _FILE = ".fstk", "tokens.json"


class Token(msgspec.Struct, frozen=True):
    """What is kept of a token: not the token. ``hash`` is the SHA-256 of all of it, which needs no salt, since it is
    random itself."""

    id: str
    principal: str
    groups: tuple[str, ...]
    created: datetime
    expires: datetime | None
    hash: str

    def expired(self, now: datetime) -> bool:
        """Tell whether it is past its end."""
        return self.expires is not None and now >= self.expires


_KEPT = msgspec.json.Decoder(tuple[Token, ...])
_NO_ONE = Token(
    "", "", (), datetime.fromtimestamp(0, UTC), None, hashlib.sha256(secrets.token_bytes(_BYTES)).hexdigest()
)


class Tokens:
    """The tokens in ``file``, None for those of this project. Every method raises AccessDenied where others than its
    owner could read or change the file."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = settings.root() / _FOLDER / _FILE if file is None else file
        self._seen: tuple[int, int, int] | None = None
        self._by_id: dict[str, Token] = {}

    def new(self, principal: str, groups: tuple[str, ...] = (), expires: str | None = None) -> tuple[str, Token]:
        """Make a token of ``principal``, a member of ``groups``, that ends after a length such as ``30d``, and return
        it with what is kept of it. InvalidInput: no name, or no length."""
        for name in (principal, *groups):
            if not name.strip() or not name.isprintable() or "," in name:
                raise InvalidInput(f"a principal or group is a name of printable letters without commas; got {name!r}.")
        now = datetime.now(UTC).replace(microsecond=0)
        micros = None if expires is None else read_length(expires, "--expires").micros
        end = None if micros is None else now + timedelta(microseconds=micros)
        number = secrets.token_hex(4)
        shown = f"{_PREFIX}_{number}_{secrets.token_urlsafe(_BYTES)}"
        made = Token(number, principal, groups, now, end, _digest(shown))
        with self._changing() as held:
            held.append(made)
        return shown, made

    def list(self) -> list[Token]:
        """Return what is kept of each token, oldest first."""
        self._refresh()
        return list(self._by_id.values())

    def revoke(self, number: str) -> Token:
        """Remove a token by its id; from the next request on it opens nothing. UnknownName: there is none."""
        with self._changing() as held:
            found = next((token for token in held if token.id == number), None)
            if found is None:
                raise UnknownName(f"no token {number!r}.{nearest(number, [token.id for token in held])}")
            held.remove(found)
        return found

    def holder(self, shown: str) -> Token | None:
        """Return whose token this is, None where it is no token, or past its end. Takes as long for one that nearly
        is one as for any other."""
        self._refresh()
        known = self._by_id.get(shown[len(_PREFIX) + 1 :].partition("_")[0], _NO_ONE)
        same = hmac.compare_digest(known.hash, _digest(shown))
        return known if same and not known.expired(datetime.now(UTC)) else None

    def _refresh(self) -> None:
        try:
            found = self.file.stat()
        except FileNotFoundError:
            self._seen, self._by_id = None, {}
            return
        stamp = found.st_mtime_ns, found.st_ino, found.st_size
        if stamp != self._seen:
            self._by_id = {token.id: token for token in self._read()}
            self._seen = stamp

    def _read(self) -> list[Token]:
        if not self.file.exists():
            return []
        if stat.S_IMODE(self.file.stat().st_mode) & 0o077:
            raise AccessDenied(f"{self.file} is open to others than its owner.   chmod 600 {self.file}")
        try:
            return list(_KEPT.decode(self.file.read_bytes()))
        except msgspec.DecodeError as error:
            raise AccessDenied(f"{self.file} is damaged; remove it and make new tokens.") from error
        except OSError as error:
            raise AccessDenied(f"{self.file} cannot be read: {error.strerror}.") from error

    @contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self.file.with_suffix(".lock"), mode=0o600):
                held = self._read()
                yield held
                replace_file(self.file, msgspec.json.encode(held), 0o600)
        except OSError as error:
            raise AccessDenied(f"{self.file} cannot be written: {error.strerror}.") from error


def _digest(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()
