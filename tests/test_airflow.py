"""The DAG that a project may copy is one that Airflow's parser takes, and its task fails or is tried again rightly."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-airflow" / "bin" / "python"


@pytest.mark.nightly  # Airflow takes a minute to install, and 20 s to import
@pytest.mark.skipif(not PYTHON.exists(), reason="Airflow has an environment of its own: make test-nightly")
def test_airflow_imports_the_dag_and_only_infrastructure_is_tried_again(tmp_path: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [str(PYTHON), str(ROOT / "tests" / "airflow_dag.py"), str(ROOT / "templates" / "airflow")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["errors"] == []
    assert said["tasks"] == {"run": ["_PythonDecoratedOperator", 5, ["look"]], "look": ["PapermillOperator", 0, []]}
    for_good = dict.fromkeys(("1", "2", "3", "138"), "AirflowFailException")
    assert said["endings"] == {"0": "", "4": "AirflowException", **for_good}
