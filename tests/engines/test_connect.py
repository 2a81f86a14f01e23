"""``fstk.connect``: the same session again, and one clear line where none can be had."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import fstk
from fstk import settings
from fstk.engines import connect as connecting
from fstk.engines.start import databricks, java, launch, remote
from fstk.errors import EngineUnavailable, FstkError, InvalidInput, MissingPackage, UnknownName


def refusal(kind: type[FstkError], engine: str, **options: Any) -> str:
    """What starting an engine says; nothing is started."""
    starts = {"spark": launch.start, "remote": remote.start, "databricks": databricks.start}
    with pytest.raises(kind) as error:
        starts[engine](settings.load(), options)
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions that the environment pretends to have; None: not installed."""
    pretended: dict[str, str | None] = {}
    real = metadata.version

    def version(name: str) -> str:
        found = pretended[name] if name in pretended else real(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    return pretended


def test_no_java(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    monkeypatch.setenv("JAVA_HOME", str(warehouse / "nowhere"))
    assert "apt-get install openjdk-17-jre-headless" in refusal(EngineUnavailable, "spark")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(warehouse))
    assert "none on PATH" in refusal(EngineUnavailable, "spark")


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2", "24.0.1", "25.0.3+9-LTS"])
def test_a_java_that_spark_does_not_run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    (tmp_path / "release").write_text(f'JAVA_VERSION="{version}"\n')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=f"needs Java 17 or 21; .* is {re.escape(version)}.*, JAVA_HOME"):
        java.find()


def test_a_java_without_a_release_file_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.find().major == 21
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(EngineUnavailable, match="does not run"):
        java.find()


@pytest.mark.parametrize(
    ("pyspark", "delta"), [("4.0.1", "4.3.1"), ("4.1.1", "4.0.0"), ("4.10.0", "4.3.1"), ("3.5.3", "3.2.0")]
)
def test_a_wrong_pair(versions: dict[str, str | None], pyspark: str, delta: str) -> None:
    versions |= {"pyspark": pyspark, "delta-spark": delta}
    said = refusal(EngineUnavailable, "spark")
    assert pyspark in said
    assert delta in said
    assert "pip install 'pyspark[connect]==4.1.*' 'delta-spark==4.3.*'" in said


def test_missing_packages(versions: dict[str, str | None]) -> None:
    versions["delta-spark"] = None
    assert refusal(EngineUnavailable, "spark") == "delta-spark is not installed.   pip install 'fstk[spark]'"
    versions["pyspark"] = None
    assert refusal(EngineUnavailable, "spark") == "pyspark is not installed.   pip install 'fstk[spark]'"
    assert refusal(MissingPackage, "databricks").endswith("pip install 'fstk[databricks]'")


@pytest.mark.parametrize("engine", ["spark", "remote", "databricks"])
def test_two_packages_that_clash(versions: dict[str, str | None], engine: str) -> None:
    versions["databricks-connect"] = "19.3.1"
    said = refusal(EngineUnavailable, engine, **({"url": "sc://127.0.0.1:1"} if engine == "remote" else {}))
    assert "cannot share an environment" in said
    assert "pip uninstall databricks-connect" in said


def test_databricks_beside_pyspark_or_spark_without_it(versions: dict[str, str | None]) -> None:
    assert "cannot share an environment with pyspark" in refusal(EngineUnavailable, "databricks")
    versions |= {"databricks-connect": "19.3.1", "pyspark": None}
    assert "no Spark of its own" in refusal(EngineUnavailable, "spark")


def test_databricks_gets_what_was_given(versions: dict[str, str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    versions |= {"databricks-connect": "19.3.0", "pyspark": None}
    called: list[tuple[str, Any]] = []

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            return lambda *values: (called.append((name, *values)), self)[1]

    recorder = Recorder()
    module = types.ModuleType("databricks.connect")
    module.__dict__["DatabricksSession"] = type("DatabricksSession", (), {"builder": recorder})
    monkeypatch.setitem(sys.modules, "databricks", types.ModuleType("databricks"))
    monkeypatch.setitem(sys.modules, "databricks.connect", module)
    recorder.__dict__["conf"] = recorder
    options = {"profile": "dev", "host": "https://adb", "token": "geheim", "cluster_id": "0-1", "serverless": "False"}
    databricks.start(settings.load(), options)
    assert called == [
        ("profile", "dev"),
        ("host", "https://adb"),
        ("token", "geheim"),
        ("clusterId", "0-1"),
        ("getOrCreate",),
        ("set", "spark.sql.session.timeZone", "UTC"),
    ]


def test_unknown_engines_and_options() -> None:
    with pytest.raises(UnknownName, match="no engine 'sprak'. Nearest: spark"):
        fstk.connect("sprak")
    assert "no option 'colour'. There is: master" in refusal(InvalidInput, "spark", colour="red")
    assert "no option 'port'. There is: url" in refusal(InvalidInput, "remote", url="sc://127.0.0.1", port="1")
    assert "no option 'url2'. There is: profile" in refusal(InvalidInput, "databricks", url2="x")


def test_a_spark_remote_variable_is_not_mistaken_for_a_session_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:1")
    assert "SPARK_REMOTE is set" in refusal(InvalidInput, "spark")


@pytest.mark.parametrize("url", [None, "http://127.0.0.1", "127.0.0.1:15002"])
def test_no_address(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    assert "sc://host:port" in refusal(InvalidInput, "remote", **({"url": url} if url else {}))


def test_nobody_at_the_address_and_no_token_told() -> None:
    with socket.socket() as deaf:  # bound, so that nobody else can be there
        deaf.bind(("127.0.0.1", 0))
        url = f"sc://127.0.0.1:{deaf.getsockname()[1]}"
        said = refusal(EngineUnavailable, "remote", url=f"{url}/;token=geheim")
    assert f"no Spark Connect server answers at {url}" in said
    assert "geheim" not in said


@pytest.mark.parametrize("place", ["thesis", "/proc/fstk"])
def test_a_foreign_or_unwritable_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    monkeypatch.setenv("FSTK_WAREHOUSE", str(tmp_path / place))
    assert "Set FSTK_WAREHOUSE to" in refusal(InvalidInput, "spark")


@pytest.mark.spark
def test_a_second_call_returns_the_same_session(spark: SparkSession) -> None:
    assert fstk.connect() is spark
    assert fstk.connect("spark") is spark
    assert connecting.active().session is spark
    assert connecting.engine_of(spark) is connecting.active()
    with pytest.raises(InvalidInput, match="is open"):
        fstk.connect("remote", url="sc://127.0.0.1:1")
    with pytest.raises(InvalidInput, match="other options"):
        fstk.connect("spark", master="local[1]")


@pytest.mark.slow
def test_a_server_that_was_started_anew_is_noticed(tmp_path: Path) -> None:
    said = python(
        """
import fstk
from fstk.engines import connect
from fstk.engines.start import remote
from fstk.errors import EngineUnavailable
from pyspark.sql.connect.session import SparkSession

class Conf:  # of a server that forgot its sessions when it was started anew
    def __init__(self, known): self.known, self.asked = known, 0
    def get(self, *_):
        self.asked += 1
        if not self.known: raise EngineUnavailable("Spark does not answer")
        return "UTC"

class Session(SparkSession):
    is_stopped = False
    conf = property(lambda self: self.of)
    def __init__(self, url): self.url, self.of = url, Conf(True)
    def __del__(self): pass

connect._STARTS["remote"] = lambda settings, options: Session(options["url"])
remote._reach = lambda url: print("REACHED", url)
first = fstk.connect("remote", url="sc://127.0.0.1:1")
print("SAME", fstk.connect() is first, first.of.asked)
connect.active()
print("WORK ASKS NOTHING", first.of.asked)
first.of.known = False
second = fstk.connect()
print("ANOTHER", second is not first, second.url, fstk.connect() is second, connect.active().session is second)
""",
        tmp_path,
    )
    assert said.splitlines() == [
        "REACHED sc://127.0.0.1:1",
        "SAME True 1",
        "WORK ASKS NOTHING 1",
        "REACHED sc://127.0.0.1:1",
        "REACHED sc://127.0.0.1:1",
        "ANOTHER True sc://127.0.0.1:1 True True",
    ]


@pytest.mark.spark
def test_java_has_room_for_the_code_that_it_compiles(spark: SparkSession) -> None:
    assert spark.sparkContext._jvm is not None
    pools: Any = spark.sparkContext._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()  # pyright: ignore
    room = [pool.getUsage().getMax() for pool in pools if pool.getName().startswith("Code")]
    assert sum(room) >= 200e6


@pytest.mark.spark
@pytest.mark.server
def test_a_connect_session_is_known_as_one(spark: SparkSession, remote: SparkSession) -> None:
    assert connecting.engine_of(remote).name == "remote"
    assert connecting.engine_of(spark).name == "spark"
    with connecting.using(connecting.engine_of(remote)) as engine:
        assert connecting.active() is engine
        assert connecting.engine_of(remote) is engine
    assert connecting.active().session is spark


def test_frames_of_another_engine_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = type("DataFrame", (), {"__module__": "pyspark.sql.classic.dataframe"})()
    with pytest.raises(InvalidInput, match="labels is a Spark DataFrame"):
        connecting.direct().frame(frame, "labels")


def python(script: str, folder: Path, **environment: str) -> str:
    """Run a script in a process of its own; return what it printed, its error output included."""
    variables = os.environ | {"FSTK_WAREHOUSE": str(folder / "warehouse"), "FSTK_DRIVER_MEMORY": "1g"} | environment
    variables.pop("SPARK_REMOTE", None)
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=variables,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return run.stdout


@pytest.mark.spark
def test_a_session_made_without_delta(tmp_path: Path) -> None:
    said = python(
        """
import fstk
from pyspark.sql import SparkSession
from fstk.engines.spark_errors import translated
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
try:
    fstk.connect()
except fstk.errors.EngineUnavailable as error:
    print("SAID", error)
engine = fstk.engines.connect.engine_of(spark)
for attempt in (
    lambda: engine.read(fstk.engines.base.TableVersion("s.t", "/tmp/none")),
    lambda: spark.range(1).write.format("delta").save("none"),
):
    try:
        with translated():
            attempt()
    except fstk.errors.EngineUnavailable as error:
        print("SAID", error)
""",
        tmp_path,
    )
    assert said.count("SAID") == 3, said
    assert "SAID the running Spark session was made without Delta Lake. Stop it (spark.stop())" in said
    assert said.count("this Spark session has no Delta Lake.") == 2


@pytest.mark.spark
def test_stopped_sessions_damaged_archives_and_sessions_of_ones_own(tmp_path: Path) -> None:
    real = settings.load().jars
    (tmp_path / "jars").mkdir()
    for file in real.glob("*.jar"):
        (tmp_path / "jars" / file.name).symlink_to(file)
    said = python(
        """
import fstk
from pathlib import Path
from fstk.engines.start import jars
from fstk import settings
jars.archive(settings.load().jars).write_bytes(b"an archive of another world")
first = fstk.connect("spark", master="local[1]", **{"spark.driver.extraJavaOptions": "-XX:+UseSerialGC"})
first.range(3).write.format("delta").save("t")
first.stop()
second = fstk.connect("spark", master="local[1]")
print("AGAIN", second is not first, second.read.format("delta").load("t").count())
second.stop()
from pyspark.sql import SparkSession
own = SparkSession.builder.master("local[1]").config("spark.sql.session.timeZone", "Asia/Kolkata")
own = own.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
own = own.config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate()
print("OWN", fstk.connect() is own, own.conf.get("spark.sql.session.timeZone"), fstk.engines.connect.active().name)
""",
        tmp_path,
        FSTK_JARS=str(tmp_path / "jars"),
    )
    assert said.splitlines() == ["AGAIN True 3", "OWN True Asia/Kolkata spark"]  # and nothing of Java's or Spark's


@pytest.mark.spark
def test_a_jvm_that_does_not_start(tmp_path: Path) -> None:
    said = python(
        """
import fstk
try:
    fstk.connect("spark", master="local[1]")
except fstk.errors.EngineUnavailable as error:
    print(error)
""",
        tmp_path,
        FSTK_DRIVER_MEMORY="1q",
    )
    assert said.startswith("Java ended before Spark started: ")
    assert "1q" in said
    assert len(said.splitlines()) == 1


@pytest.mark.spark
def test_a_jvm_that_is_too_small_or_ends_is_replaced(tmp_path: Path) -> None:
    said = python(
        """
import os, signal, threading, time
import fstk, pyarrow as pa
from fstk.errors import EngineUnavailable, FstkError
from pyspark import SparkContext

def attempt(name, work):
    try:
        print(name, work())
    except FstkError as error:
        print(name, type(error).__name__, error)

def end():
    os.kill(SparkContext._gateway.proc.pid, signal.SIGKILL)

attempt("SMALL", lambda: fstk.connect("spark", master="local[2]"))
os.environ["FSTK_DRIVER_MEMORY"] = "1g"
first = fstk.connect("spark", master="local[2]")
fe = fstk.FeatureEngineeringClient()
rows = pa.table({"k": [1, 2], "v": [1.0, 2.0]})
fe.create_table(name="fs.t", primary_keys="k", df=rows)
old = first.range(3).selectExpr("id AS k", "2.5D AS v")
slow = first.range(2).selectExpr("id AS k", "java_method('java.lang.Thread', 'sleep', 60000L) AS v")
threading.Timer(3, end).start()
attempt("DURING", lambda: fstk.engines.connect.engine_of(first).arrow(slow))
attempt("VERB", lambda: fe.write_table(name="fs.t", df=rows).inserted)
attempt("FRAME", lambda: fe.write_table(name="fs.t", df=old))
second = fstk.connect()
print("AGAIN", second is not first, second.sparkContext.master, fstk.connect() is second)
engine, frame = fstk.engines.connect.engine_of(second), second.range(3)
end()
attempt("SCHEMA", lambda: engine.schema(frame))
attempt("CLIENT", lambda: fstk.FeatureEngineeringClient(spark=second).write_table(name="fs.t", df=rows))
""",
        tmp_path,
        FSTK_DRIVER_MEMORY="400m",
        FSTK_WAREHOUSE=str(tmp_path / "${x} ${env:HOME}"),
    )
    lines = said.splitlines()
    names = ["SMALL", "DURING", "VERB", "FRAME", "AGAIN", "SCHEMA", "CLIENT"]
    assert [line.partition(" ")[0] for line in lines] == names, said
    small, during, verb, frame, again, schema, client = lines
    assert "FSTK_DRIVER_MEMORY" in small
    assert during.startswith("DURING EngineUnavailable the JVM of Spark does not answer")
    assert verb == "VERB 0"
    assert frame.startswith("FRAME EngineUnavailable the Spark session of this frame or client has ended")
    assert again == "AGAIN True local[2] True"
    assert schema.startswith("SCHEMA EngineUnavailable ")
    assert client.startswith("CLIENT EngineUnavailable ")
    assert "fstk.connect()" in during + schema + client
