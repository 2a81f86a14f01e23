"""The real databricks-connect against an open-source Spark Connect server with Delta: the contract cases, and a write.

It shares no environment with PySpark, so it has one of its own, which ``make test`` makes where it finds a Python 3.12.
What it lacks for want of a workspace: Unity Catalog, GRANT and SET TAGS, whose statements ``tests/tables`` looks at.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import INTERPRETED
from tests.connect_server import connect_server

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


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.skipif(not PYTHON.exists(), reason="no Python 3.12 here, which databricks-connect wants")
@pytest.mark.parametrize(
    ("chosen", "least"), [("not nightly", 30), pytest.param("nightly", 70, marks=pytest.mark.nightly)]
)
def test_the_contract_holds_and_rows_are_merged_over_databricks_connect(
    chosen: str, least: int, tmp_path: Path
) -> None:
    with connect_server(tmp_path, str(PYTHON), more=LIMITS | INTERPRETED) as url:
        run = subprocess.run(
            [PYTHON, "-m", "pytest", "-q", "-m", chosen, *TESTS],
            cwd=ROOT,
            env=os.environ | {"FSTK_TEST_DATABRICKS": url, "FSTK_WAREHOUSE": str(tmp_path / "warehouse")},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-5000:]
    passed = re.search(r"^(\d+) passed", run.stdout, flags=re.MULTILINE)
    assert passed, run.stdout[-5000:]
    assert int(passed[1]) >= least
