"""Names of tables and the folders of a local warehouse."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote

from fstk.errors import InvalidInput, InvalidName

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 255  # also what most file systems allow
_LOG = "_delta_log"  # a folder with one of this name is a table
_TABLES = (f"*/*/{_LOG}", f"*/*/*/{_LOG}", "*.db")  # what a warehouse holds, Spark's own databases too
_MARKER = ".fstk"  # tells a warehouse that holds no table yet from somebody else's folder


def table_name(name: str) -> str:
    """Return the canonical, lower-cased form of a table name of one to three parts (docs/rules.md#tables-4), or raise
    InvalidName: a part is an ASCII letter or underscore, then letters, digits, underscores, 255 at most, and not the
    name of Delta's own folder."""
    parts = name.split(".") if isinstance(name, str) else []
    if not 1 <= len(parts) <= 3 or not all(_PART.fullmatch(part) and len(part) <= _LONGEST for part in parts):
        shown = name if isinstance(name, str) and len(name) <= 80 else f"{str(name)[:77]}…"
        raise InvalidName(
            f"table name {shown!r}: one to three parts joined by dots, each a letter or underscore followed by "
            f"letters, digits or underscores, at most {_LONGEST} characters. For example feature_store.customers."
        )
    if _LOG in (part.lower() for part in parts):
        raise InvalidName(f"table name {name!r}: Delta keeps the log of a table in {_LOG}; choose another name.")
    return name.lower()


def quoted(name: str) -> str:
    """Return a table name as a SQL identifier, every part quoted; raises InvalidName as :func:`table_name`."""
    return ".".join(f"`{part}`" for part in table_name(name).split("."))


def folder(warehouse: Path, name: str) -> Path:
    """Return the Delta folder of a table: ``<warehouse>/<schema>/<table>``; a one-part name lies in ``default``."""
    name = table_name(name)
    return warehouse.joinpath(*(name if "." in name else f"default.{name}").split("."))


def beside(folder: Path, what: str) -> Path:
    """Return the path beside a table's folder that no table can have, for its lock or for what is half done; of a name
    too long for the file system the beginning and a hash."""
    name = f".{folder.name}.{what}"
    if len(name) > _LONGEST:
        name = f".{folder.name[:200]}.{hashlib.sha256(folder.name.encode()).hexdigest()[:16]}.{what}"
    return folder.with_name(name)


def read_only(path: Path) -> bool:
    """Tell whether ``path`` is a folder that this user may read and not write."""
    return path.is_dir() and os.access(path, os.R_OK | os.X_OK) and not os.access(path, os.W_OK)


def ready_warehouse(path: Path) -> Path:
    """Make sure that ``path`` is a folder that fstk may write Delta tables to, creating it; return it absolute.
    InvalidInput: it cannot be written, is itself a table, holds somebody else's files, or has a name that not
    all readers of Delta read alike."""
    path = path.expanduser().absolute()
    if unquote(str(path)) != str(path):
        raise InvalidInput(
            f"warehouse {path} holds a % and two digits, which delta-rs reads as one letter. Set FSTK_WAREHOUSE to "
            "another folder."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".fstk-write-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(
            f"warehouse {path} cannot be written: {reason}. Set FSTK_WAREHOUSE to a folder that you may write."
        ) from error
    if (path / _LOG).exists():
        raise InvalidInput(
            f"warehouse {path} is itself a Delta table. Set FSTK_WAREHOUSE to the folder above its schema's folder."
        )
    marker = path / _MARKER
    if not marker.exists():
        foreign = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        if foreign and not any(any(path.glob(tables)) for tables in _TABLES):
            raise InvalidInput(
                f"warehouse {path} holds other files ({', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}) "
                "and no feature table. Set FSTK_WAREHOUSE to a new or empty folder."
            )
        marker.touch()
    return path
