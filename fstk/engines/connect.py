"""``fstk.connect``: one session per process, and the engine over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fstk import settings
from fstk.engines import launch, remote
from fstk.engines.direct import DirectEngine
from fstk.engines.spark import SparkEngine
from fstk.errors import InvalidInput, nearest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_engines: dict[int, SparkEngine] = {}
_current: SparkEngine | None = None


def connect(engine: str | None = None, **options: Any) -> SparkSession:
    """Return the session."""
    global _current
    if _current is not None:
        return _current.session
    loaded = settings.load()
    engine = engine or loaded.engine
    if engine == "spark":
        session = launch.start(loaded, options)
    elif engine == "remote":
        session = remote.start(options)
    else:
        raise InvalidInput(f"no engine {engine!r}.{nearest(engine, settings.ENGINES)}")
    _current = SparkEngine(session, engine)
    return session


def active() -> SparkEngine:
    """Return the engine over the current session, starting the configured one when there is none."""
    connect()
    assert _current is not None
    return _current


def engine_of(session: SparkSession) -> SparkEngine:
    """Return the engine over a session that the caller made."""
    if _current is not None and _current.session is session:
        return _current
    module = type(session).__module__
    return SparkEngine(session, "remote" if module.startswith("pyspark.sql.connect") else "spark")


def direct() -> DirectEngine:
    """Return the engine without a JVM."""
    return DirectEngine()
