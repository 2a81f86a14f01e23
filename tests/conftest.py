"""Sessions and engines that every stage's tests share; one JVM for the whole run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fstk import settings
from fstk.engines.base import Engine
from fstk.engines.connect import direct, engine_of, using
from fstk.engines.spark import SparkEngine
from fstk.optional import without

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.servers.cosmos import Peer
    from tests.servers.postgres import Server
    from tests.servers.redis import Cluster

# All that shares a session, and all that shares a server, is for one of xdist's workers each.
SHARED = pytest.mark.xdist_group("spark")
SERVED = pytest.mark.xdist_group("served")
DIRECT = pytest.param("direct")
SPARK = pytest.param("spark", marks=[pytest.mark.spark, SHARED])
REMOTE = pytest.param("remote", marks=[pytest.mark.spark, pytest.mark.server, SHARED, pytest.mark.remote])
DATABRICKS = os.environ.get("FSTK_TEST_DATABRICKS")
"""Address of a Spark Connect server for databricks-connect, set by ``tests/engines/test_databricks.py`` alone: in the
environment of that package there is no other engine, and nothing is generated."""
if DATABRICKS is None:
    import tests.generated  # noqa: F401  its profiles are there before a test is collected

    with without("rfc3987_syntax"):  # seconds of every worker's start; see fstk/jobs/execution.py
        import nbformat  # noqa: F401
SPARKS = [SPARK, REMOTE] if DATABRICKS is None else [pytest.param("databricks", marks=pytest.mark.remote)]
ENGINES = [DIRECT, *SPARKS] if DATABRICKS is None else SPARKS
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
SERVING = {
    # A few rows are computed sooner than the code that would compute them is made: here the nightly run alone makes it,
    # beside all that has a session of its own, such as the demo and the templates.
    **({} if os.environ.get("FSTK_TEST_COMPILED") else INTERPRETED),
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": "0",
}
TRANSPORT = "tests/engines/"
"""Where every test is of what Spark Connect itself may change: types, errors, batches."""
CONTRACTS = "tests/contracts/"
"""Where a case that goes over Connect on every push is computed by Spark there, and a second time only nightly."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the nightly run what Connect cannot change, and say which tests are for one worker."""
    for item in items:
        file = item.nodeid.split("::")[0]
        has = item.get_closest_marker
        if has("remote") and not has("transport") and not file.startswith(TRANSPORT):
            item.add_marker(pytest.mark.nightly)
        if has("spark") and has("transport") and not has("remote") and file.startswith(CONTRACTS):
            item.add_marker(pytest.mark.nightly)
        if "served" in getattr(item, "fixturenames", ()) and not has("xdist_group"):
            item.add_marker(SERVED)
        if not has("xdist_group"):
            item.add_marker(SHARED if has("spark") and not has("server") else pytest.mark.xdist_group(file))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Call a test by its own name, without that of its group, so that it can be pasted; not in xdist's workers."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        report.nodeid = report.nodeid.rpartition("@")[0] or report.nodeid


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of ``fstk.connect()``, small: two threads, 3 GiB; its JVM is a Spark Connect server, too."""
    from fstk.engines.connect import connect

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FSTK_WAREHOUSE", str(tmp_path_factory.mktemp("spark")))
        patch.setenv("FSTK_DRIVER_MEMORY", "3g")
        patch.delenv("SPARK_REMOTE", raising=False)
        session = connect("spark", master="local[2]", **SERVING)
    yield session
    session.stop()


def served_port(session: SparkSession) -> int:
    """The port at which the JVM of a session with :data:`SERVING` is a Spark Connect server."""
    assert session.sparkContext._jvm is not None
    service = getattr(session.sparkContext._jvm, "org.apache.spark.sql.connect.service.SparkConnectService$")
    return getattr(service, "MODULE$").localPort()


@pytest.fixture(scope="session")
def remote(spark: SparkSession) -> Iterator[SparkSession]:
    """A session over Spark Connect; not the one of ``fstk.connect()``, although one JVM serves both."""
    from fstk.engines.start import remote as remote_engine

    session = remote_engine.start(settings.load(), {"url": f"sc://127.0.0.1:{served_port(spark)}"})
    yield session
    session.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; a test's own schema makes it an empty one."""
    from tests.servers.postgres import postgres as started

    with started() as server:
        yield server


@pytest.fixture(scope="session")
def databricks() -> Iterator[SparkSession]:
    """A session of databricks-connect."""
    from fstk.engines.start import databricks as databricks_engine

    assert DATABRICKS is not None
    session = databricks_engine.start(settings.load(), {"url": DATABRICKS})
    for name, value in INTERPRETED.items():
        session.conf.set(name, value)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis server."""
    from tests.servers.redis import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(scope="session")
def rediss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a Redis server with TLS and one ACL user, and the file of the authority to trust."""
    from tests.servers.redis import acl_user, certificates, redis_server

    folder = tmp_path_factory.mktemp("rediss")
    with redis_server(folder, *certificates(folder, "127.0.0.1", "localhost"), *acl_user()) as port:
        yield port, folder / "ca.pem"


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Redis Cluster of six servers."""
    from tests.servers.redis import redis_cluster

    with redis_cluster(tmp_path_factory.mktemp("redis-cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cosmos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A peer of Azure Cosmos DB; each test names a container of its own there."""
    from tests.servers.cosmos import cosmos_server

    with cosmos_server(tmp_path_factory.mktemp("cosmos")) as peer:
        yield peer


@pytest.fixture(scope="session")
def redis_endpoint(redis_port: int) -> Iterator[int]:
    """The port of one endpoint before that Redis server, which refuses commands with keys of several slots."""
    from tests.servers.endpoint import endpoint

    with endpoint(redis_port) as port:
        yield port


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Every engine in turn; a Spark one is also what ``active()`` returns."""
    if request.param == "direct":
        yield direct()
    else:
        with using(engine_of(request.getfixturevalue(request.param))) as found:
            yield found


@pytest.fixture(params=SPARKS)
def spark_engine(request: pytest.FixtureRequest) -> Iterator[SparkEngine]:
    """Every engine that is a Spark session, in turn; it is also what ``active()`` returns."""
    with using(engine_of(request.getfixturevalue(request.param))) as found:
        yield found


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder set as FSTK_WAREHOUSE."""
    folder = tmp_path / "warehouse"
    folder.mkdir()
    monkeypatch.setenv("FSTK_WAREHOUSE", str(folder))
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings by which other processes, such as kernels, compute on one Spark Connect server beside them."""
    from tests.connect_server import connect_server

    with connect_server(tmp_path_factory.mktemp("server")) as url:
        yield {"FSTK_ENGINE": "remote", "SPARK_REMOTE": url}


@pytest.fixture(scope="session")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder whose warehouse holds CDNOW's purchases as the table ``transactions``."""
    from fstk.demo import cdnow
    from tests.notebook.tables import write

    folder = tmp_path_factory.mktemp("purchases")
    (folder / "fstk.toml").write_text('warehouse = "fstk-warehouse"\n')
    write(folder / "fstk-warehouse" / "default" / "transactions", cdnow.purchases())
    return folder
