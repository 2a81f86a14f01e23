"""The engine ``spark``: a session in this process, started the quick way."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fstk.engines import jars
from fstk.engines.location import ready_warehouse
from fstk.errors import InvalidInput
from fstk.optional import need
from fstk.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
}
_LOGGING = Path(__file__).with_name("log4j2.properties")
_OPTIONS = "master, app_name, and Spark settings as **{'spark.…': value}"


def start(settings: Settings, options: dict[str, str]) -> SparkSession:
    """Return a new session with Delta."""
    pyspark = need("pyspark.sql")
    given = dict(options)
    conf = configuration(settings, given.pop("master", settings.master), given.pop("app_name", "fstk"))
    unknown = [name for name in given if not name.startswith("spark.")]
    if unknown:
        raise InvalidInput(f"connect('spark') has no option {unknown[0]!r}. There is: {_OPTIONS}.")
    more_java = given.pop("spark.driver.extraJavaOptions", "")
    conf |= given
    conf["spark.driver.extraJavaOptions"] += f" {more_java}"
    shared = jars.archive(settings.jars)
    if "-XX:ArchiveClassesAtExit" not in more_java and shared.is_file():
        # Never "on": a JVM that cannot map the archive then starts without it, and says nothing.
        quiet = "-Xlog:disable -Xlog:all=error:stderr"
        conf["spark.driver.extraJavaOptions"] += f" -XX:SharedArchiveFile={shared} -Xshare:auto {quiet}"
    if conf["spark.master"].startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers are this Python, whatever python3 is
    builder = pyspark.SparkSession.builder
    for name, value in conf.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def configuration(settings: Settings, master: str, name: str) -> dict[str, str]:
    """Return the Spark settings of a session."""
    found = [str(path) for path in jars.paths(settings.jars)]
    conf = {
        **DELTA,
        "spark.master": master,
        "spark.app.name": name,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraClassPath": ":".join(found),
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOGGING}",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # INT96 cannot be read past 1677..2262 elsewhere
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.warehouse.dir": str(ready_warehouse(settings.warehouse) / ".spark"),
    }
    if master.startswith("local"):
        conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        conf["spark.sql.shuffle.partitions"] = "4"
    else:
        conf["spark.jars"] = ",".join(found)
    return conf
