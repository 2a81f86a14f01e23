"""A real Spark Connect server with Delta on a free loopback port, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pyspark

from fstk import settings
from fstk.engines.start.launch import configuration


@contextmanager
def connect_server(folder: Path, python: str = sys.executable, **more: str) -> Iterator[str]:
    """Start a server that logs into ``folder``; yield its ``sc://`` address; stop it by its process id.

    ``python`` runs its workers; ``more`` are settings of Spark.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = configuration(settings.load(), "local[2]", "fstk-test-server") | {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        **more,
    }
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit")]
    for name, value in conf.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    environment = os.environ | {"PYSPARK_PYTHON": python, "SPARK_NO_DAEMONIZE": "1"}
    environment.pop("SPARK_REMOTE", None)
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=30)
