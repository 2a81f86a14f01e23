"""The engine ``remote``: any Spark Connect server with Delta, ``sc://host:port``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fstk.engines.translate import translated
from fstk.errors import InvalidInput
from fstk.optional import need

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def start(options: dict[str, str]) -> SparkSession:
    """Return a session on the server at ``url``, or at ``SPARK_REMOTE`` when no ``url`` is given."""
    given = dict(options)
    url = given.pop("url", None) or os.environ.get("SPARK_REMOTE")
    if not url or not url.startswith("sc://"):
        raise InvalidInput(f"connect('remote') needs url='sc://host:port' (or SPARK_REMOTE); got {url!r}.")
    unknown = [name for name in given if not name.startswith("spark.")]
    if unknown:
        raise InvalidInput(f"connect('remote') has no option {unknown[0]!r}. There is: url.")
    connect = need("pyspark.sql.connect.session")
    with translated(f"connecting to {url}"):
        session = connect.SparkSession.builder.remote(url).create()
        for name, value in {"spark.sql.session.timeZone": "UTC", **given}.items():
            session.conf.set(name, value)
    return session
