"""What SQL of fstk means whatever its session is set to: the settings that decide are held while it is read.

A session in this process reads and resolves an expression when a frame is made, and keeps it. Spark Connect does so at
every use, by what the session is set to then: there the frame is put behind a view of the server, which keeps it.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.variable.substitute": "false",  # ${env:NAME} is text
}
"""What fstk's own sessions are set to from the start."""
_lock = threading.RLock()
_unused: deque[tuple[weakref.ref[SparkSession], str]] = deque()
"""Views whose frames are gone; dropped when another is made, for what collects garbage must not call a server."""


@contextmanager
def settled(session: SparkSession, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Hold the session to the settings by which SQL of fstk is read, and to ``more``; what it was set to is put back at
    the end."""
    wanted = SETTINGS | dict(more)
    with _lock, held(session, {name: wanted[name] for name in _others(session, wanted)}, where_allowed=True):
        yield


@contextmanager
def held(session: SparkSession, wanted: Mapping[str, str], *, where_allowed: bool = False) -> Iterator[None]:
    """Hold the session to other settings, and put back at the end what they were; with ``where_allowed`` one that Spark
    does not let be set stays as it is."""
    from pyspark.errors import PySparkException

    before: dict[str, str | None] = {}
    try:
        for name, value in wanted.items():
            found = session.conf.get(name, None)
            with suppress(*((PySparkException,) if where_allowed else ())):
                session.conf.set(name, value)
                before[name] = found
        yield
    finally:
        for name, found in before.items():
            if found is None:
                session.conf.unset(name)
            else:
                session.conf.set(name, found)


def is_connect(session: SparkSession) -> bool:
    """Tell whether a session is one of Spark Connect, Databricks' included."""
    return type(session).__module__.startswith("pyspark.sql.connect")


def as_set(frame: DataFrame) -> DataFrame:
    """Return a caller's frame so that it means, inside :func:`settled` too, what its session is set to."""
    session = frame.sparkSession
    return kept(frame) if is_connect(session) and _others(session, SETTINGS) else frame


def kept(frame: DataFrame) -> DataFrame:
    """Return a frame of Spark Connect that stays what it is under the settings of now, whatever they are when it is
    used; the view behind it lasts as long as the frame and all that is made of it."""
    session = frame.sparkSession
    while _unused:
        of, stale = _unused.popleft()
        owner = of()
        if owner is not None and not getattr(owner, "is_stopped", False):
            owner.catalog.dropTempView(stale)
    name = f"fstk_{uuid.uuid4().hex}"
    frame.createTempView(name)
    view = session.table(name)
    weakref.finalize(view._plan, _unused.append, (weakref.ref(session), name)).atexit = False  # pyright: ignore
    return view


def _others(session: SparkSession, settings: Mapping[str, str]) -> list[str]:
    """Return those of the settings that the session has otherwise."""
    from pyspark.errors import PySparkException

    found = []
    for name, wanted in settings.items():
        with suppress(PySparkException):  # serverless compute knows few settings
            if (session.conf.get(name) or wanted).lower() != wanted.lower():
                found.append(name)
    return found
