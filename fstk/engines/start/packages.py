"""Whether the installed packages can work together, told before Spark fails in its own words."""

from __future__ import annotations

import re
from importlib import metadata

from fstk.errors import EngineUnavailable

CONNECT_MODE = "SPARK_CONNECT_MODE_ENABLED"
"""The variable by which PySpark knows that functions and windows are for a session over Connect."""
_PYSPARK, _DELTA = "4.1", "4.3"
_SPARK_LINE = f"pip install 'pyspark[connect]=={_PYSPARK}.*' 'delta-spark=={_DELTA}.*'"


def installed(package: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_clash() -> None:
    """Refuse an environment with both PySpark and databricks-connect, which overwrite each other's files."""
    if installed("databricks-connect") and installed("pyspark"):
        raise EngineUnavailable(
            "databricks-connect is installed beside pyspark: they cannot share an environment.   "
            f"pip uninstall databricks-connect pyspark, then {_SPARK_LINE}"
        )


def check_pair() -> None:
    """Refuse a PySpark and a delta-spark that were not made for each other, or of which one is missing."""
    check_clash()
    spark, delta = installed("pyspark"), installed("delta-spark")
    if spark is None and installed("databricks-connect"):
        raise EngineUnavailable(
            "databricks-connect brings no Spark of its own: use engine 'databricks' here, "
            "and pip install 'fstk[spark]' in another environment for engine 'spark'."
        )
    if spark is None or delta is None:
        missing = "pyspark" if spark is None else "delta-spark"
        raise EngineUnavailable(f"{missing} is not installed.   pip install 'fstk[spark]'")
    if not _is(spark, _PYSPARK) or not _is(delta, _DELTA):
        raise EngineUnavailable(
            f"pyspark {spark} and delta-spark {delta}: fstk needs {_PYSPARK} with {_DELTA}.   {_SPARK_LINE}"
        )


def _is(version: str, series: str) -> bool:
    return re.match(rf"{re.escape(series)}(\.|$)", version) is not None
