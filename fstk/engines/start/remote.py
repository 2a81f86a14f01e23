"""The engine ``remote``: any Spark Connect server with Delta, ``sc://host:port``."""

from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING, Any

from fstk.engines.meaning import SETTINGS
from fstk.engines.spark import has_delta
from fstk.engines.spark_errors import silence_loggers, translated
from fstk.engines.start.packages import CONNECT_MODE, check_clash
from fstk.errors import EngineUnavailable, InvalidInput
from fstk.optional import need
from fstk.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PATIENCE = 15.0  # seconds without a sign from the server
# Instants are written so that readers other than Spark get those outside 1677..2262 right too.
_SESSION = SETTINGS | {
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "parquet.page.write-checksum.enabled": "true",
    "parquet.page.verify-checksum.enabled": "true",
}


def start(settings: Settings, options: dict[str, str]) -> SparkSession:
    """Return a new session on the server at ``url``, or at SPARK_REMOTE when no ``url`` is given; see ``connect``."""
    url = _address(options)
    given = {name: value for name, value in options.items() if name != "url"}
    unknown = [name for name in given if not name.startswith("spark.")]
    if unknown:
        raise InvalidInput(
            f"connect('remote') has no option {unknown[0]!r}. "
            "There is: url, and Spark settings as **{'spark.…': value}."
        )
    check_clash()
    connect = need("pyspark.sql.connect.session")
    _reach(url)
    with translated(f"connecting to {_shown(url)}"):
        session = connect.SparkSession.builder.remote(url).create()
        silence_loggers()
        for name, value in (_SESSION | given).items():
            session.conf.set(name, value)
        if not has_delta(session):
            session.stop()
            raise EngineUnavailable(
                f"the Spark Connect server at {_shown(url)} runs without Delta Lake. Start it with "
                "--packages io.delta:delta-spark_4.1_2.13:4.3.1 and Delta's extension and catalog."
            )
    context = getattr(need("pyspark"), "SparkContext", None)
    if context is None or context._active_spark_context is None:
        os.environ[CONNECT_MODE] = "1"  # without it PySpark's own functions and windows are those of a JVM here
    return session


def answers(session: SparkSession, options: dict[str, str]) -> bool:
    """Tell whether the server of a session that :func:`start` opened with ``options`` is there and knows it still."""
    try:
        _reach(_address(options))
        with translated():
            session.conf.get("spark.sql.session.timeZone")
    except EngineUnavailable:
        return False
    return True


def _address(options: dict[str, str]) -> str:
    url = options.get("url") or os.environ.get("SPARK_REMOTE")
    if not url or not url.startswith("sc://"):
        raise InvalidInput(f"connect('remote') needs url='sc://host:port' (or SPARK_REMOTE); got {url!r}.")
    return url


def _reach(url: str) -> None:
    # Spark's client would try for ten minutes; one refusal is answer enough.
    client, grpc = need("pyspark.sql.connect.client"), need("grpc")
    states: queue.SimpleQueue[Any] = queue.SimpleQueue()
    channel = client.DefaultChannelBuilder(url).toChannel()
    channel.subscribe(states.put, try_to_connect=True)
    state = None
    try:
        while state not in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
            state = states.get(timeout=_PATIENCE)
    except queue.Empty:
        state = None
    finally:
        channel.close()
    if state is not grpc.ChannelConnectivity.READY:
        raise EngineUnavailable(f"no Spark Connect server answers at {_shown(url)}. Start one, or set SPARK_REMOTE.")


def _shown(url: str) -> str:
    return url.split(";")[0].rstrip("/")  # what follows may be a token
