"""Who uses a feature table, as far as the model registry and the online store of the settings tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fstk.errors import Infrastructure, Redefined
from fstk.models.readers import models_reading
from fstk.online.spec import open_store


@contextmanager
def users_told() -> Iterator[None]:
    """Let a refusal to redefine features tell which models and online tables use them."""
    try:
        yield
    except Redefined as refusal:
        found = [*online(refusal.table), *models(refusal.table)]
        said = f"Used by {', '.join(found)}." if found else "No registered model or online table is known to use it."
        raise Redefined(f"{refusal}\n{said}", refusal.table) from refusal


def online(table: str) -> list[str]:
    """Return the online table of that name, if the settings' store has it."""
    try:
        with open_store(None) as store:
            return [f"its online table in {store.url}"] if store.table(table) is not None else []
    except Infrastructure as error:
        return [f"perhaps an online table ({error})"]


def models(table: str) -> list[str]:
    """Return the registered model versions that look features up in ``table``."""
    try:
        return [f"model {one.title}" for one in models_reading(table)]
    except Infrastructure as error:
        return [f"perhaps models ({error})"]
