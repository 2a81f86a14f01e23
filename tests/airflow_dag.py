"""What Airflow makes of the template's DAG, as JSON: run by the Python of Airflow's own environment."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest import mock

from airflow.dag_processing.dagbag import DagBag  # pyright: ignore[reportMissingImports]

bag = DagBag(dag_folder=sys.argv[1], load_op_links=False)
tasks = bag.dags["features"].task_dict if "features" in bag.dags else {}


def ending(code: int) -> str:
    """The error that the task ends in where fstk ends with this exit code; empty where it succeeds."""
    with mock.patch.object(subprocess, "run", return_value=SimpleNamespace(returncode=code)) as run:
        try:
            tasks["run"].python_callable(datetime(2024, 4, 1, tzinfo=UTC))
        except Exception as error:  # noqa: BLE001 (its class is what is asked)
            return type(error).__name__
        finally:
            assert run.call_args.args[0][3:] == ["-p", "as_of=2024-04-01", "--resume"]
    return ""


made = {name: [type(one).__name__, one.retries, sorted(one.downstream_task_ids)] for name, one in tasks.items()}
endings = {code: ending(code) for code in (0, 1, 2, 3, 4, 138)} if tasks else {}
print(json.dumps({"errors": list(bag.import_errors.values()), "tasks": made, "endings": endings}))
