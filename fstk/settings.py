"""Settings: ``FSTK_*`` variables, then ``fstk.toml`` in the working folder, then the defaults below."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from fstk.errors import InvalidInput

ENGINES = ("spark", "remote", "databricks")


class Settings(BaseSettings):
    """What can be set once for all verbs; read anew by :func:`load`, so a changed variable counts at the next call."""

    model_config = SettingsConfigDict(env_prefix="FSTK_", toml_file="fstk.toml", extra="forbid", frozen=True)

    engine: Literal["spark", "remote", "databricks"] = "spark"
    """Engine of ``fstk.connect()``."""
    warehouse: Path = Path("fstk-warehouse")
    """Folder of the local Delta tables: ``<warehouse>/<schema>/<table>``."""
    online_store: str = "sqlite:///fstk-warehouse/online.db"
    """URL of the online store that ``read_online`` and ``publish_table`` use when none is named."""
    runs: Path = Path("runs")
    """Folder of executed notebooks and run records."""
    master: str = "local[*]"
    """Spark master of the engine ``spark``."""
    driver_memory: str = "2g"
    """Heap of the JVM of the engine ``spark``."""
    jars: Path = Path.home() / ".cache" / "fstk"
    """Folder that keeps Delta's jars and the class-data archive between sessions."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load() -> Settings:
    """Return the settings in force now.

    Raises:
        InvalidInput: a variable or a line of ``fstk.toml`` has a value that cannot be used, or an unknown name.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"setting {name} (FSTK_{name.upper()} or fstk.toml): {first['msg']}; got {first['input']!r}."
        ) from error
