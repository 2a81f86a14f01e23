"""Which online store: a spec, or a URL that stands for one. The stores that a URL can name are registered here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from fstk import settings
from fstk.columns.length import read_length
from fstk.errors import InvalidInput
from fstk.online.cosmos import AzureCosmosDBSpec
from fstk.online.memory import MemorySpec
from fstk.online.postgres import PostgreSQLSpec
from fstk.online.redis import RedisSpec, TLSRedisSpec
from fstk.online.sqlite import SQLiteSpec
from fstk.online.store import OnlineStore


@runtime_checkable
class OnlineSpec(Protocol):
    """Names an online store; holds no secret. Any object with these two is one."""

    @property
    def ttl(self) -> timedelta | None:
        """How long after its event time a published row stays readable; None leaves what the table has."""
        ...

    def open(self) -> OnlineStore:
        """Return the store; connects when first used."""
        ...


class URLSpec(OnlineSpec, Protocol):
    """A spec that a URL can stand for, ``{scheme}://{place}?{option}={value}&…``, by its entry in :data:`SPECS`."""

    forms: ClassVar[str]
    """How its URLs are written, for messages."""
    options: ClassVar[tuple[str, ...]]
    """Names of its options beside ``ttl``, which every store has."""

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> OnlineSpec:
        """Return the spec; ``options`` are no others than those of this class.

        InvalidInput says what is wrong, without repeating any of it: it may hold a password.
        """
        ...


SPECS: Mapping[str, type[URLSpec]] = {
    "sqlite": SQLiteSpec,
    "memory": MemorySpec,
    "postgresql": PostgreSQLSpec,
    "redis": RedisSpec,
    "rediss": TLSRedisSpec,
    "cosmos": AzureCosmosDBSpec,
}
"""Scheme → spec: a store is registered by its entry here."""


def beginnings() -> list[str]:
    """Return how URLs of the registered stores begin: ``sqlite:///`` and so on."""
    return [match[0] for spec in SPECS.values() if (match := re.match(r"\w+:/+", spec.forms))]


def spec_of(store: str | OnlineSpec | None) -> OnlineSpec:
    """Return the spec of a store given as a spec or a URL; None is the setting ``FSTK_ONLINE_STORE``.

    Raises:
        InvalidInput: not a spec, or a URL that names no store.

    >>> from fstk.online.spec import spec_of
    >>> spec_of("memory://shop?ttl=36h")
    MemorySpec(name='shop', ttl=datetime.timedelta(days=1, seconds=43200))
    """
    if store is None:
        store = settings.load().online_store
    if isinstance(store, str):
        return _from_url(store)
    if isinstance(store, OnlineSpec) and not isinstance(store, type):
        return store
    raise InvalidInput(f"online_store must be a spec or a URL; got {type(store).__name__}. {_known()}")


def open_store(store: str | OnlineSpec | None) -> OnlineStore:
    """Return the store of a spec or URL; raises as :func:`spec_of`."""
    return spec_of(store).open()


def _from_url(url: str) -> OnlineSpec:
    # No message repeats what follows the scheme: it may hold a password.
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SPECS:
        raise InvalidInput(f"no online store {(scheme + '://…' if separator else url)!r}. {_known()}")
    spec = SPECS[scheme]
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    try:
        ttl = _ttl(options.pop("ttl", None))
        if not set(spec.options).issuperset(options):
            raise InvalidInput(f"after ? its options are {', '.join(['ttl', *spec.options])}")
        return spec.from_url(place, ttl, options)
    except InvalidInput as error:
        raise InvalidInput(f"online store {scheme}://…: {error}. Write {spec.forms}.") from None


def _ttl(text: str | None) -> timedelta | None:
    try:
        micros = read_length(text, "ttl").micros
    except InvalidInput:
        raise InvalidInput("ttl must be a length such as 90d, 4w, 36h, 15m or 30s") from None
    return None if micros is None else timedelta(microseconds=micros)


def _known() -> str:
    return f"There is: {', '.join(spec.forms for spec in SPECS.values())}."
