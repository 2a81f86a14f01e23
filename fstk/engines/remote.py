"""The engine ``remote``: any Spark Connect server with Delta, ``sc://host:port``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fstk.engines.packages import check_clash
from fstk.engines.spark import has_delta
from fstk.engines.translate import translated
from fstk.errors import EngineUnavailable, InvalidInput
from fstk.optional import need
from fstk.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Instants are shown in UTC, and written so that readers other than Spark get those outside 1677..2262 right too.
_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}


def start(settings: Settings, options: dict[str, str]) -> SparkSession:
    """Return a new session on the server at ``url``, or at SPARK_REMOTE when no ``url`` is given.

    Raises:
        InvalidInput: no address, or an unknown option. EngineUnavailable: no answer, or a server without Delta.
    """
    given = dict(options)
    url = given.pop("url", None) or os.environ.get("SPARK_REMOTE")
    if not url or not url.startswith("sc://"):
        raise InvalidInput(f"connect('remote') needs url='sc://host:port' (or SPARK_REMOTE); got {url!r}.")
    unknown = [name for name in given if not name.startswith("spark.")]
    if unknown:
        raise InvalidInput(
            f"connect('remote') has no option {unknown[0]!r}. "
            "There is: url, and Spark settings as **{'spark.…': value}."
        )
    check_clash()
    connect = need("pyspark.sql.connect.session")
    with translated(f"connecting to {url.split(';')[0]}"):
        session = connect.SparkSession.builder.remote(url).create()
        for name, value in (_SESSION | given).items():
            session.conf.set(name, value)
        if not has_delta(session):
            session.stop()
            raise EngineUnavailable(
                f"the Spark Connect server at {url.split(';')[0]} runs without Delta Lake. Start it with "
                "--packages io.delta:delta-spark_4.1_2.13:4.3.1 and Delta's extension and catalog."
            )
    return session
