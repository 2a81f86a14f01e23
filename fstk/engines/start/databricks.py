"""The engine ``databricks``: a workspace's cluster or serverless compute, by databricks-connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fstk.engines.spark_errors import translated
from fstk.engines.start.packages import check_clash, installed
from fstk.errors import EngineUnavailable, InvalidInput
from fstk.optional import need
from fstk.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OPTIONS = ("profile", "host", "token", "cluster_id", "serverless", "url")
_METHODS = {"url": "remote", "profile": "profile", "host": "host", "token": "token", "cluster_id": "clusterId"}


def start(settings: Settings, options: dict[str, str]) -> SparkSession:
    """Return a session on Databricks; what is not given comes from its own configuration (profile, DATABRICKS_*)."""
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise InvalidInput(f"connect('databricks') has no option {unknown[0]!r}. There is: {', '.join(_OPTIONS)}.")
    check_clash()
    if installed("pyspark") and not installed("databricks-connect"):
        raise EngineUnavailable(
            "engine 'databricks' needs databricks-connect, which cannot share an environment with pyspark. "
            "In a new one (Python 3.12):   pip install 'fstk[databricks]'"
        )
    session_class = need("databricks.connect").DatabricksSession
    with translated("connecting to Databricks"):
        builder = session_class.builder
        for name, method in _METHODS.items():
            if name in options:
                builder = getattr(builder, method)(options[name])
        if options.get("serverless", "").lower() in {"true", "1"}:
            builder = builder.serverless(True)
        session = builder.getOrCreate()
        session.conf.set("spark.sql.session.timeZone", "UTC")
    return session
