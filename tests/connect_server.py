"""A real Spark Connect server with Delta on a loopback port of its own choice, for tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyspark

from fstk import settings
from fstk.engines.start.launch import configuration
from tests.processes import server

_JAVA = "spark.driver.extraJavaOptions"
_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_LOGGING = f"""
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{{1}}: %m%n%ex
logger.connect.name = {_SERVER}
logger.connect.level = info
logger.deploy.name = org.apache.spark.deploy
logger.deploy.level = info
"""


def logging_to(file: Path) -> str:
    """Write into ``file`` how Spark's servers log, their ports and errors alone; return the option of Java for it."""
    file.write_text(_LOGGING)
    return f"-Dlog4j2.configurationFile={file}"


@contextmanager
def connect_server(
    folder: Path,
    python: str = sys.executable,
    *,
    master: str = "local[2]",
    environment: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Start a server that logs into ``folder``; yield its ``sc://`` address; stop it by its process id.

    ``python`` runs its workers, ``master`` is where these are; ``more`` are settings of Spark.
    """
    conf = configuration(settings.load(), master, "fstk-test-server")
    conf |= {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": "0",
        "spark.driver.memory": "1g",
        _JAVA: f"{conf[_JAVA]} {logging_to(folder / 'log4j2.properties')}",
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        **(more or {}),
    }
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit")]
    for name, value in conf.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--class", _SERVER, "spark-internal"]
    variables = os.environ | {"PYSPARK_PYTHON": python, "SPARK_NO_DAEMONIZE": "1"} | dict(environment or {})
    variables.pop("SPARK_REMOTE", None)
    with server(command, r"server started at: .*:(\d+)", variables, folder) as port:
        yield f"sc://127.0.0.1:{port}"
