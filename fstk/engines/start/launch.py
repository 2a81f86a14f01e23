"""The engine ``spark``: a session in this process, or on a cluster's master, started the quick way.

Against delta-spark's documented start: two jars from disk instead of a resolver at every start, an archive of loaded
classes when ``python -m fstk.engines.start.jars`` made one, no user interface, few partitions for logs and shuffles.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fstk.engines.meaning import SETTINGS
from fstk.engines.spark_errors import quietly, silence_loggers, translated
from fstk.engines.start import jars, java
from fstk.engines.start.packages import CONNECT_MODE, check_pair
from fstk.errors import EngineUnavailable, InvalidInput
from fstk.optional import need
from fstk.settings import Settings
from fstk.warehouse import read_only, ready_warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOGGING = Path(__file__).with_name("log4j2.properties")
_JAVA = "spark.driver.extraJavaOptions"
_COLLECTOR = " -XX:+UseParallelGC"
# Measured on two cores, processor seconds of the JVM against Java's defaults: start, first Delta write and MERGE 8.6
# instead of 20.2; a point-in-time join of 1 M labels with 5 M rows 12.8 instead of 21.9 the first time, 6.6 instead of
# 5.7 once warm. On a cluster, where the driver lives longer and does less, Java's defaults stay.
# With one compiler Java keeps 48 MB for compiled code, which some seven creates and writes of Delta tables fill; those
# after them took twice as long, for code was thrown away and made again. Memory is taken as it is needed.
_QUICK = f"{_COLLECTOR} -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
_logs: list[IO[bytes]] = []
_folders: list[tempfile.TemporaryDirectory[str]] = []


def start(settings: Settings, options: dict[str, str]) -> SparkSession:
    """Return a new session with Delta on ``master`` (default: the setting), named ``app_name``; see ``connect``."""
    given = dict(options)
    master, name = given.pop("master", settings.master), given.pop("app_name", "fstk")
    unknown = [option for option in given if not option.startswith("spark.")]
    if unknown:
        raise InvalidInput(
            f"connect('spark') has no option {unknown[0]!r}. There is: master, app_name, "
            "and Spark settings as **{'spark.…': value}."
        )
    if "SPARK_REMOTE" in os.environ:
        raise InvalidInput("SPARK_REMOTE is set: use connect('remote'), or unset it for a session in this process.")
    check_pair()
    java.find()
    conf = configuration(settings, master, name)
    more_java = given.pop(_JAVA, "")
    if re.search(r"-XX:\+Use\w+GC", more_java):
        conf[_JAVA] = conf[_JAVA].replace(_COLLECTOR, "")  # two collectors are refused by Java
    conf |= given
    conf[_JAVA] = f"{conf[_JAVA]} {more_java}".strip()
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers are this Python, whatever python3 is
    os.environ.pop(CONNECT_MODE, None)  # of a session over Connect before this one
    builder = need("pyspark.sql").SparkSession.builder.config(map=conf)
    with translated("starting Spark"):
        _launch(conf)
        silence_loggers()
        return builder.getOrCreate()


def forget_dead() -> bool:
    """Forget the JVM of this process if it has ended, so that its sessions count as stopped and another can start; tell
    whether it had."""
    module = sys.modules.get("pyspark.core.context")
    if module is None or module.SparkContext._gateway is None:
        return False
    context, gateway = module.SparkContext, module.SparkContext._gateway
    if _answers(gateway):
        return False
    if context._active_spark_context is not None:
        context._active_spark_context._jsc = None  # what is not there cannot be asked to stop
        context._active_spark_context.stop()
    end(gateway)
    return True


def _answers(gateway: Any) -> bool:
    from py4j.protocol import Py4JError

    try:
        with quietly():
            gateway.jvm.java.lang.System.nanoTime()
    except (Py4JError, OSError):
        return False
    return True


def end(gateway: Any) -> None:
    """End a JVM, and let PySpark know of none."""
    from pyspark import SparkContext

    gateway.shutdown()
    if gateway.proc is not None:
        gateway.proc.kill()
        gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


def _launch(conf: dict[str, str]) -> None:
    """Start the JVM and its context, unless this process has a JVM already."""
    from pyspark import SparkConf, SparkContext

    settings = SparkConf(loadDefaults=False).setAll(list(conf.items()))
    if SparkContext._gateway is not None:
        SparkContext(conf=settings)
        return
    started = gateway(conf)
    with ExitStack() as failed:
        failed.callback(end, started)  # a JVM of settings that Spark refuses serves nobody
        with translated("starting Spark"):  # while the JVM can still tell what is wrong
            SparkContext(conf=settings, gateway=started)
        failed.pop_all()


def gateway(conf: dict[str, str]) -> Any:
    """Return PySpark's gateway to a new JVM, or to the one that its variables name. What a new one prints (its
    warnings, and stacks of tasks whose error arrives in Python anyway) goes to a file that lasts as long as this
    process."""
    from pyspark import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    settings = SparkConf(loadDefaults=False).setAll(list(conf.items()))
    log = tempfile.TemporaryFile()  # noqa: SIM115 as long as the JVM; nameless, so that nothing stays after a kill
    try:
        started = launch_gateway(settings, {"stdout": log, "stderr": log})
    except PySparkRuntimeError as error:
        log.seek(0)
        said = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        words = " ".join(said[:2]) or "it said nothing"
        raise EngineUnavailable(f"Java ended before Spark started: {words}") from error
    _logs.append(log)
    return started


def configuration(settings: Settings, master: str, name: str) -> dict[str, str]:
    """Return the Spark settings of a quick session with Delta on ``master``; a Connect server starts with the same."""
    found = [str(path) for path in jars.paths(settings.jars)]
    conf = SETTINGS | {
        "spark.master": master,
        "spark.app.name": name,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraClassPath": os.pathsep.join(found),
        _JAVA: f"-Dlog4j2.configurationFile={_LOGGING}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # INT96, Spark's default, is read wrongly by others before 1677 and after 2262.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.hadoop.parquet.page.write-checksum.enabled": "true",
        "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
        "spark.sql.warehouse.dir": str(_own_tables(settings.warehouse)),
    }
    archive = jars.archive(settings.jars)
    if archive.is_file():
        # Never "on": a JVM that cannot map the archive starts without it, and is told to say nothing of that.
        conf[_JAVA] += f" -XX:SharedArchiveFile={archive} -Xshare:auto -Xlog:disable -Xlog:all=error:stderr"
    if not master.startswith("local"):
        return conf | {"spark.jars": ",".join(found)}
    conf[_JAVA] += _QUICK
    return conf | {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(_threads(master)),
    }


def _own_tables(warehouse: Path) -> Path:
    """Return where Spark keeps tables that are none of fstk's: one that only reads a warehouse makes none in it."""
    if not read_only(warehouse):
        return ready_warehouse(warehouse) / ".spark"
    _folders.append(tempfile.TemporaryDirectory(prefix="fstk-spark-"))
    return Path(_folders[-1].name)


def _threads(master: str) -> int:
    asked = re.match(r"local\[(\d+)", master)
    return max(2, int(asked[1]) if asked else len(os.sched_getaffinity(0)))
