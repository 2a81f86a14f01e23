"""Which registered models read a feature table: what their own records say."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from fstk.errors import InvalidInput
from fstk.models.registry import Registry
from fstk.models.spec import FILE, read_record


@dataclass(frozen=True)
class Reader:
    """A registered model's version that an address without a number leads to, and its aliases."""

    name: str
    version: int
    aliases: tuple[str, ...]

    @property
    def title(self) -> str:
        return " ".join((f"{self.name} v{self.version}", *(f"@{alias}" for alias in self.aliases)))


def models_reading(table: str, registry_uri: str | None = None) -> list[Reader]:
    """Return, of all registered models, the newest versions and those with an alias that look features up in ``table``,
    a full name."""
    registry = Registry(registry_uri)
    found = []
    for model, aliases in registry.current():
        with tempfile.TemporaryDirectory(prefix="fstk-record-") as temporary:
            registry.fetch(model, Path(temporary), FILE)
            try:
                record = read_record(Path(temporary), model.uri)
            except InvalidInput:
                continue  # of another fstk, which no endpoint of this one serves
        if table in record.tables and model.name is not None and model.version is not None:
            found.append(Reader(model.name, model.version, aliases))
    return found
