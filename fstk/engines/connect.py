"""``fstk.connect``: one session per process, and the engine over it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fstk import settings
from fstk.engines.direct import DirectEngine
from fstk.engines.meaning import is_connect
from fstk.engines.spark import SparkEngine, has_delta, stopped
from fstk.engines.start import databricks, launch, remote
from fstk.engines.start.packages import installed
from fstk.errors import EngineUnavailable, InvalidInput, UnknownName, nearest
from fstk.progress import at_work

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_STARTS = {"spark": launch.start, "remote": remote.start, "databricks": databricks.start}
_BEGINS = {"spark": "starting Spark", "remote": "connecting to Spark", "databricks": "connecting to Databricks"}


@dataclass(frozen=True)
class _Opened:
    engine: SparkEngine
    options: dict[str, str]
    made: bool = True  # by fstk


_opened: _Opened | None = None
_lost: tuple[str, dict[str, str]] | None = None
"""Engine and options of a session whose JVM or server has ended: the next one gets them."""
_adopted: SparkEngine | None = None
_lock = threading.RLock()
_used: ContextVar[SparkEngine | None] = ContextVar("fstk_engine", default=None)
_direct = DirectEngine()


def connect(engine: str | None = None, **options: Any) -> SparkSession:
    """Return the Spark session of this process, starting it at the first call.

    Args:
        engine: ``"spark"`` (in this process, or on a cluster with ``master=``), ``"remote"`` (``url="sc://host:port"``,
            else SPARK_REMOTE) or ``"databricks"`` (databricks-connect; ``profile``, ``host``, ``token``,
            ``cluster_id``, ``serverless``); None takes it from the settings. A session with Delta that is already
            running is used.
        options: of the engine; Spark settings as ``**{"spark.…": value}``.

    Raises:
        EngineUnavailable: Java, a package, the jars, the server or Delta is missing; the message says what to do.
        InvalidInput: an unknown option, a warehouse folder that cannot be used, or another engine or other options
            than the session at hand was started with (``.stop()`` it first).
        UnknownName: no such engine.

    >>> session = connect()
    >>> session.range(3).count()
    3
    """
    with _lock:
        _notice_lost()
        return _connected(engine, {name: str(value) for name, value in options.items()})


def _connected(engine: str | None, given: dict[str, str]) -> SparkSession:
    """Return the session of this process, whose server is not asked whether it is still there."""
    global _lost, _opened
    if engine is not None and engine not in _STARTS:
        raise UnknownName(f"no engine {engine!r}.{nearest(engine, _STARTS)}")
    with _lock:
        _notice_dead()
        if _opened is not None and stopped(_opened.engine.session):
            _opened = None
        if _opened is None:
            again = _lost is not None and engine in (None, _lost[0])
            if _lost is not None and again:
                engine, given = _lost[0], given or _lost[1]
            found = None if again and engine == "remote" else _running()
            loaded = settings.load()
            wanted = engine or (found.name if found else loaded.engine)
            if found is not None and found.name == wanted and not given:
                _opened = _Opened(found, {}, made=False)
            else:
                if found is not None and found.name == wanted == "spark":
                    raise InvalidInput("a Spark session is already running with its own settings. .stop() it first.")
                with at_work(_BEGINS[wanted]):
                    _opened = _Opened(SparkEngine(_STARTS[wanted](loaded, given), wanted), given)
            _lost = None
        if engine not in (None, _opened.engine.name):
            raise InvalidInput(f"a session of engine {_opened.engine.name!r} is open. .stop() it before {engine!r}.")
        if given and given != _opened.options:
            raise InvalidInput("the session is already open with other options. .stop() it first.")
        return _opened.engine.session


def active() -> SparkEngine:
    """Return the engine over the current session, starting the configured one when there is none; raises as connect."""
    used = _used.get()
    if used is not None:
        return used
    with _lock:
        _connected(None, {})
        assert _opened is not None
        return _opened.engine


def adopt(session: SparkSession) -> SparkEngine:
    """Return the engine over a session that the caller made, and let ``fstk.connect()`` return it from now on; only
    where none is open or adopted yet: a second one serves those to whom it is handed."""
    global _adopted
    engine = engine_of(session)
    with _lock:
        _notice_dead()
        known = _opened.engine if _opened is not None else _adopted
        if known is None or stopped(known.session):
            _adopted = engine
    return engine


@contextmanager
def using(engine: SparkEngine) -> Iterator[SparkEngine]:
    """Make ``engine`` what :func:`active` returns inside the block, for a session that the caller made."""
    token = _used.set(engine)
    try:
        yield engine
    finally:
        _used.reset(token)


def engine_of(session: SparkSession) -> SparkEngine:
    """Return the engine over a session, one that the caller made included."""
    for known in (_used.get(), _opened.engine if _opened else None, _adopted):
        if known is not None and known.session is session:
            return known
    if is_connect(session):
        return SparkEngine(session, "databricks" if installed("databricks-connect") else "remote")
    return SparkEngine(session, "spark")


def ended(session: SparkSession) -> bool:
    """Tell whether a session has been stopped, or its JVM has ended."""
    with _lock:
        _notice_dead()
    return stopped(session)


def direct() -> DirectEngine:
    return _direct


def _notice_dead() -> None:
    global _lost, _opened
    if launch.forget_dead() and _opened is not None and _opened.engine.name == "spark":
        _lost, _opened = (_opened.engine.name, _opened.options), None


def _notice_lost() -> None:
    """Forget a session whose Spark Connect server has ended, or was started anew."""
    global _lost, _opened
    if _opened is None or _opened.engine.name != "remote" or not _opened.made or stopped(_opened.engine.session):
        return
    if not remote.answers(_opened.engine.session, _opened.options):
        _lost, _opened = ("remote", _opened.options), None


def _running() -> SparkEngine | None:
    """Return the engine over a session that is adopted or already there, such as a Databricks notebook's."""
    found = _adopted if _adopted is not None and not stopped(_adopted.session) else None
    module = sys.modules.get("pyspark.sql")
    session = module.SparkSession.getActiveSession() if module is not None and found is None else None
    if session is not None:
        found = engine_of(session)
    if found is not None and found.name == "spark" and not has_delta(found.session):
        raise EngineUnavailable(
            "the running Spark session was made without Delta Lake. Stop it (spark.stop()), restart Python, "
            "and let fstk.connect() make it."
        )
    return found
