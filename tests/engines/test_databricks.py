"""The real databricks-connect against an open-source Spark Connect server with Delta: the contract cases, a write, and
the demo's job.

It shares no environment with PySpark, so it has one of its own, which ``make test`` makes where it finds a Python 3.12.
What it lacks for want of a workspace stands before the server (``tests/servers/unity.py``); GRANT is what
``tests/tables`` looks at.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import deltalake
import pyarrow.parquet as pq
import pytest

from fstk.demo import cdnow
from tests.connect_server import connect_server
from tests.demo.oracle import miscounted
from tests.servers.unity import unity

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-databricks" / "bin" / "python"
TESTS = [
    "tests/contracts/test_pit_cases.py",
    "tests/contracts/test_window_cases.py",
    "tests/tables/test_write.py::test_new_keys_are_inserted_changed_rows_updated_and_equal_rows_left",
]
# Written out as databricks-connect reads them: it takes an open-source server's own "16777216b" for no number.
LIMITS = {
    "spark.sql.session.localRelationSizeLimit": str(3 * 2**30),
    "spark.sql.session.localRelationChunkSizeBytes": str(16 * 2**20),
    "spark.sql.session.localRelationBatchOfChunksSizeBytes": str(2**30),
}
COMMAND = "import sys; from fstk.cli.app import main; sys.exit(main())"
WORKSPACE = """
import sys
import fstk
import pyarrow.parquet as pq
session = fstk.connect()
for schema in ("feature_store", "predictions"):
    session.sql(f"CREATE SCHEMA {schema}")
session.createDataFrame(pq.read_table(sys.argv[1])).write.format("delta").saveAsTable("transactions")
"""
"""What a workspace has before the job runs: schemas, and the purchases."""
pytestmark = [
    pytest.mark.spark,
    pytest.mark.server,
    pytest.mark.skipif(not PYTHON.exists(), reason="no Python 3.12 here, which databricks-connect wants"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a Connect server, and the folder of its tables."""
    folder = tmp_path_factory.mktemp("server")
    with connect_server(folder, str(PYTHON), more=LIMITS | {"spark.sql.shuffle.partitions": "2"}) as url:
        yield url, folder / "spark-warehouse"


def run(words: Sequence[str], folder: Path, **settings: str) -> str:
    """Return what Python says in the environment of databricks-connect."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("FSTK_", "MLFLOW_"))}
    done = subprocess.run(
        [PYTHON, *words],
        cwd=folder,
        env=others | settings,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    ("chosen", "least"), [("not nightly", 30), pytest.param("nightly", 70, marks=pytest.mark.nightly)]
)
def test_the_contract_holds_and_rows_are_merged(
    chosen: str, least: int, server: tuple[str, Path], tmp_path: Path
) -> None:
    settings = {"FSTK_TEST_DATABRICKS": server[0], "FSTK_WAREHOUSE": str(tmp_path / "warehouse")}
    said = run(["-m", "pytest", "-q", "-m", chosen, *TESTS], ROOT, **settings)
    passed = re.search(r"^(\d+) passed", said, flags=re.MULTILINE)
    assert passed, said[-5000:]
    assert int(passed[1]) >= least


def test_the_demos_six_notebooks_run_with_unity_catalogs_tables(server: tuple[str, Path], tmp_path: Path) -> None:
    url, tables = server
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("databricks.yml", "fstk.toml"):
        shutil.copy(ROOT / name, tmp_path)
    purchases = cdnow.purchases()
    pq.write_table(purchases, tmp_path / "purchases.parquet")
    models = f"sqlite:///{tmp_path}/mlflow.db"
    with unity(url) as catalog:
        settings = {"FSTK_ENGINE": "databricks", "SPARK_REMOTE": catalog.url, "MLFLOW_TRACKING_URI": models}
        run(["-c", WORKSPACE, "purchases.parquet"], tmp_path, **settings)
        said = run(["-c", COMMAND, "run", "churn"], tmp_path, **settings)
    for words in (
        "94,280 labels · 4 as-of dates · 100% kept · 0 saw the future",
        "churn_model v1 @champion",
        "23,583 written · 0 unchanged · 0 stale",
        "23,570 scored",
    ):
        assert words in said
    assert list((tmp_path / "fstk-warehouse").iterdir()) == [tmp_path / "fstk-warehouse" / "online.db"]
    made = {name.removeprefix("spark_catalog."): keys for name, keys in catalog.keys.items()}
    assert made == {
        "feature_store.customer_features": "`customer_id`, `as_of` TIMESERIES",
        "feature_store.cohort_features": "`cohort`",
        "feature_store.churn_training_set": "`customer_id`, `event_ts` TIMESERIES",
        "predictions.churn": "`customer_id`, `event_ts` TIMESERIES",
    }
    assert {name: tags["fstk"] for name, tags in catalog.tags.items()} == dict.fromkeys(catalog.keys, "feature table")
    features = deltalake.DeltaTable(str(tables / "feature_store.db" / "customer_features")).to_pyarrow_table()
    assert features.num_rows > 1_000_000
    assert miscounted(features, purchases) == 0
