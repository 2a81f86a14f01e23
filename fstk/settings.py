"""Settings: ``FSTK_*`` variables, then ``fstk.toml``, then the defaults below.

``fstk.toml`` is looked for in the working folder and above it; its folder is the project's root, against which relative
paths are read, so that a notebook in ``notebooks/`` and a job started at the root meet the same warehouse.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import Field, PositiveInt, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from fstk.errors import InvalidInput, shown

_FILE = "fstk.toml"
_SQLITE = "sqlite:///"
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # a single letter would be a drive
_LOCAL = re.compile(r"file:(?://(?:localhost)?(?=/))?", re.IGNORECASE)


def root() -> Path:
    """Return the project's root: the nearest folder from here upwards with a ``fstk.toml``; else the working folder."""
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise InvalidInput("the working folder is gone. cd to a folder that is there.") from error
    return next((folder for folder in (here, *here.parents) if _has_file(folder)), here)


def looked_in(warehouse: Path) -> str:
    """Return where tables were looked for, and why there where no project says it.

    >>> looked_in(Path("/data/warehouse")).splitlines()[0]
    'Looked in /data/warehouse'
    """
    said = f"Looked in {warehouse}"
    if "FSTK_WAREHOUSE" in os.environ or _has_file(root()):
        return said
    return f"{said}: there is no {_FILE} from the working folder upwards, so that is the project.   Make one: fstk init"


class Settings(BaseSettings):
    """What can be set once for all verbs; paths are absolute."""

    model_config = SettingsConfigDict(env_prefix="FSTK_", extra="forbid", frozen=True, validate_default=True)

    engine: Literal["spark", "remote", "databricks"] = "spark"
    """Engine of ``fstk.connect()``."""
    warehouse: Path = Path("fstk-warehouse")
    """Folder of the local Delta tables: ``<warehouse>/<schema>/<table>``."""
    online_store: str = Field(default_factory=lambda data: f"{_SQLITE}{data['warehouse']}/online.db")
    """URL of the online store that ``read_online`` and ``publish_table`` use when none is named."""
    runs: Path = Path("runs")
    """Folder of executed notebooks and run records."""
    master: str = "local[*]"
    """Spark master of the engine ``spark``."""
    driver_memory: str = "2g"
    """Heap of the JVM of the engine ``spark``."""
    file_mb: PositiveInt = 128
    """Megabytes, about, of a table's file: a write makes as many as its rows fill, in the order of their keys."""
    jars: Path = Field(default_factory=lambda: _home() / ".cache" / "fstk")
    """Folder that keeps Delta's jars and the class-data archive between sessions."""

    trusted_models: Annotated[tuple[str, ...], NoDecode] = ()
    """Models that may run code when they are loaded though fstk did not log them: names of registered models, or
    addresses as ``score_batch`` takes them; in the variable with commas between."""

    @field_validator("trusted_models", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("warehouse", "runs", "jars", mode="before")
    @classmethod
    def _folder(cls, given: Any) -> Any:
        address = _ADDRESS.match(given) if isinstance(given, str) else None
        if address is None:
            return given
        local = _LOCAL.match(given)
        if local is None or given[local.end() :].startswith("//"):
            raise ValueError(f"files are kept in a folder of this machine; {address[1]}:// is not supported yet")
        return unquote(given[local.end() :])

    @field_validator("warehouse", "runs", "jars")
    @classmethod
    def _from_root(cls, path: Path) -> Path:
        if "\0" in str(path):
            raise ValueError("no folder can have that name")
        try:
            return root() / path.expanduser()
        except RuntimeError as error:
            raise ValueError("there is no such home folder") from error

    @field_validator("online_store")
    @classmethod
    def _sqlite_from_root(cls, url: str) -> str:
        return f"{_SQLITE}{root() / url.removeprefix(_SQLITE)}" if url.startswith(_SQLITE) else url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        **_unused: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read(root() / _FILE))


def load() -> Settings:
    """Return the settings in force now, so that a changed variable counts at the next call; InvalidInput names a
    variable or a line of ``fstk.toml`` with an unknown name or a value that cannot be used, or that is no TOML."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        said = f"{first['msg'].removeprefix('Value error, ')}; got {shown(first['input'])}."
        raise InvalidInput(f"setting {name} ({_place(name)}): {said}") from error


def _place(name: str) -> str:
    variable, path = f"FSTK_{name.upper()}", root() / _FILE
    lines = path.read_text(encoding="utf-8").splitlines() if variable not in os.environ and path.is_file() else []
    key = re.compile(rf"\W*{re.escape(name.partition('.')[0])}\b")
    line = next((number for number, line in enumerate(lines, 1) if key.match(line)), None)
    return f"{variable} or {_FILE}" if line is None else f"{path}, line {line}"


def _read(path: Path) -> dict[str, Any]:
    text = b""
    try:
        text = path.read_bytes()
        return tomllib.loads(text.decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise InvalidInput(f"{path}, line {line}: not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error).partition(" (at ")[0]
        raise InvalidInput(f"{path}, line {_line(text.decode().splitlines(), error)}: {what}.") from error


def _line(lines: list[str], error: Exception) -> int:
    told = re.search(r"at line (\d+)", str(error))
    if told is None and not isinstance(error, tomllib.TOMLDecodeError):  # it does not tell where: the first such line
        for number in range(1, len(lines)):
            try:
                tomllib.loads("\n".join(lines[:number]))
            except tomllib.TOMLDecodeError:
                continue
            except (ValueError, RecursionError):
                return number
    return int(told[1]) if told else max(1, len(lines))


def _has_file(folder: Path) -> bool:
    try:
        return (folder / _FILE).is_file()
    except OSError:  # not ours to look into
        return False


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without an entry, as containers have them
        return root()
