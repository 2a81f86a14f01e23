"""A real standalone cluster of Spark for tests: a master and two workers on loopback, each on a port of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

from tests.conftest import INTERPRETED
from tests.connect_server import logging_to
from tests.processes import server

_HOME = Path(pyspark.__file__).parent
_WORKERS = ("first", "second")
_QUICK = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
# What an administrator would write: every application takes one core of each worker, and stays on this machine.
_DEFAULTS = {
    "spark.driver.host": "127.0.0.1",
    "spark.executor.memory": "512m",
    "spark.executor.extraJavaOptions": _QUICK,
    "spark.sql.shuffle.partitions": "2",
    **INTERPRETED,
}


@dataclass(frozen=True)
class Cluster:
    """A cluster at ``master``, ``spark://…``, and the ``environment`` of its applications; each worker has a folder in
    ``work``, and in it one of each application that it worked for."""

    master: str
    environment: dict[str, str]
    work: Path

    @property
    def settings(self) -> dict[str, str]:
        """The variables by which a process computes there."""
        return self.environment | {"FSTK_MASTER": self.master}

    def workers_of_newest(self) -> list[str]:
        """Return which workers had an executor of the newest application."""
        newest = max(folder.name for folder in self.work.glob("*/app-*"))
        return [worker for worker in _WORKERS if (self.work / worker / newest).is_dir()]


@contextmanager
def spark_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster that logs into ``folder``; end its processes by their ids."""
    conf = folder / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in _DEFAULTS.items()))
    environment = os.environ | {
        "SPARK_HOME": str(_HOME),
        "SPARK_SCALA_VERSION": "2.13",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONF_DIR": str(conf),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": f"{logging_to(conf / 'daemons.properties')} {_QUICK}",
    }
    with ExitStack() as running:

        def start(name: str, kind: str, *words: str) -> int:
            (own := folder / name).mkdir()
            command = [str(_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}"]
            command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0", *words]
            listens = r"Starting Spark (?:master at spark://|worker )127\.0\.0\.1:(\d+)"
            return running.enter_context(server(command, listens, environment, own))

        master = f"spark://127.0.0.1:{start('master', 'master.Master')}"
        for name in _WORKERS:
            room = ("--cores", "1", "--memory", "512m", "--work-dir", str(folder / "work" / name))
            start(name, "worker.Worker", *room, master)
        client = {"SPARK_CONF_DIR": str(conf), "PYSPARK_PYTHON": sys.executable, "JDK_JAVA_OPTIONS": _QUICK}
        yield Cluster(master, client, folder / "work")
