"""Settings: ``FSTK_*`` variables, then ``fstk.toml``, then the defaults below.

``fstk.toml`` is looked for in the working folder and above it; its folder is the project's root, against which relative
paths are read, so that a notebook in ``notebooks/`` and a job started at the root meet the same warehouse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from fstk.errors import InvalidInput

_FILE = "fstk.toml"
_SQLITE = "sqlite:///"


def root() -> Path:
    """Return the project's root: the nearest folder from here upwards with a ``fstk.toml``; else the working folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / _FILE).is_file()), here)


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
    jars: Path = Path.home() / ".cache" / "fstk"
    """Folder that keeps Delta's jars and the class-data archive between sessions."""

    @field_validator("warehouse", "runs", "jars")
    @classmethod
    def _from_root(cls, path: Path) -> Path:
        return root() / path.expanduser()

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
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=root() / _FILE)


def load() -> Settings:
    """Return the settings in force now, so that a changed variable counts at the next call; InvalidInput names a
    variable or line of ``fstk.toml`` with an unknown name or a value that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"setting {name} (FSTK_{name.upper()} or {_FILE}): {first['msg']}; got {first['input']!r}."
        ) from error
