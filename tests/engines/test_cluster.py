"""Any Spark cluster: a standalone one, directly and through Spark Connect, gives the answers of this process alone."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fstk import Aggregate, Calendar, FeatureEngineeringClient, WindowedFeatures
from fstk.demo.churn import load
from fstk.engines.connect import direct
from fstk.engines.frames import canonical
from tests.connect_server import connect_server
from tests.engines import journey
from tests.spark_cluster import Cluster, spark_cluster

ROOT = Path(__file__).parents[2]
WAYS = ("spark", "remote")
pytestmark = [pytest.mark.spark, pytest.mark.server]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with spark_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@contextmanager
def settings_of(way: str, cluster: Cluster, folder: Path) -> Iterator[dict[str, str]]:
    """Settings by which a process computes on a cluster, directly or through a Connect server that does."""
    if way == "spark":
        yield cluster.settings
        return
    (own := folder / "server").mkdir()
    with connect_server(own, master=cluster.master, environment=cluster.environment) as url:
        yield {"FSTK_ENGINE": "remote", "SPARK_REMOTE": url}


def run(project: Path, words: Sequence[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in a project with these settings alone."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("FSTK_", "MLFLOW_", "SPARK_"))}
    return subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env=own | {"PYTHONPATH": str(ROOT), "FSTK_DRIVER_MEMORY": "1g"} | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


NOTED = """
import pyarrow as pa
from fstk import Aggregate, FeatureEngineeringClient, WindowedFeatures
from fstk.errors import EngineUnavailable
events = pa.table({"k": [1], "at": pa.array([0], pa.timestamp("us", "UTC"))})
features = WindowedFeatures(events, "k", "at", [Aggregate("count(*)", name="n")], ["7d"])
try:
    FeatureEngineeringClient().create_table(name="s.t", primary_keys="k", df=features.compute("events"))
except EngineUnavailable as error:
    print(error)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with purchases; this process computes in it without a JVM."""
    (tmp_path / "fstk.toml").write_text('warehouse = "fstk-warehouse"\n')
    for name in [name for name in os.environ if name.startswith(("FSTK_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    fe = FeatureEngineeringClient()
    fe.create_source(name=journey.SOURCE, df=journey.events(), event_time="at", entity=["customer_id", "shop"])
    return tmp_path


def in_order(rows: pa.Table) -> list[str]:
    """Rows that can be compared whatever their order; a double is written so that its bits are told."""
    return sorted(map(repr, rows.to_pylist()))


def test_a_cluster_gives_the_answers_of_this_process(cluster: Cluster, project: Path) -> None:
    done = run(project, ["-m", "tests.engines.journey", str(project)], cluster.settings)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert cluster.workers_of_newest() == ["first", "second"]
    features = journey.FEATURES.to_arrow(journey.CALENDAR, timestamp="as_of")
    for way in WAYS:
        training_set = journey.training_set(FeatureEngineeringClient(), way)
        joined = training_set.to_arrow()
        answers = journey.model(training_set).predict(training_set.to_pandas().drop(columns="outcome"))
        scored = joined.drop_columns("outcome").append_column("prediction", pa.array(answers))
        for name, expected in {"features": features, "joined": joined, "scored": scored}.items():
            got = canonical(pq.read_table(project / f"{way}_{name}.parquet"))
            assert set(expected.column_names) <= set(got.column_names)
            got = got.select(expected.column_names)
            assert got.schema.types == expected.schema.types
            assert in_order(got) == in_order(expected), (way, name)


def test_a_worker_without_fstk_is_one_line(cluster: Cluster, project: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / "bare"], check=True, timeout=120)
    python = {"PYSPARK_PYTHON": str(project / "bare" / "bin" / "python")}
    done = run(project, ["-c", NOTED], cluster.settings | python)
    assert len(done.stdout.splitlines()) == 1, done.stdout + done.stderr
    assert done.stdout.startswith("creating s.t: the Python of Spark's workers has no fstk. Install it there: pip ")
    assert not done.stderr


@pytest.mark.nightly
@pytest.mark.parametrize("way", WAYS)
def test_the_first_notebook_of_the_demo_runs_on_a_cluster(way: str, cluster: Cluster, project: Path) -> None:
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    assert load()
    program = "import sys; from fstk.cli.app import main; sys.exit(main())"
    words = ["run", "notebooks/10_build_features.ipynb", "-p", "start=1998-01-07"]
    with settings_of(way, cluster, project) as settings:
        done = run(project, ["-c", program, *words], settings)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert cluster.workers_of_newest() == ["first", "second"]
    features = WindowedFeatures(
        "transactions",
        "customer_id",
        "purchased_at",
        [
            Aggregate("count(*)", name="txn_count"),
            Aggregate("sum(amount)", name="total_spend"),
            Aggregate("avg(amount)", name="avg_spend"),
        ],
        ["7d", "14d", "30d", "90d", None],
    )
    calendar = Calendar(dt.date(1998, 1, 7), dt.date(1998, 4, 1), every="7d")
    order = [("customer_id", "ascending"), ("as_of", "ascending")]
    expected = features.to_arrow(calendar, timestamp="as_of").sort_by(order)
    table = FeatureEngineeringClient().get_table(name="feature_store.customer_features")
    got = direct().read(table.at()).sort_by(order)
    assert got.num_rows > 250_000
    assert got.equals(expected)
