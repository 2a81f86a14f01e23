"""The job features as an Airflow 3 DAG, and a notebook after it: copy it to the folder of DAGs and name the project.

The notebook's kernel is the project's own, not Airflow's: .venv/bin/python -m ipykernel install --user --name features
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PROJECT = "/srv/features"
INFRASTRUCTURE = 4  # the one exit code of fstk run that is worth a retry


@dag(schedule="0 4 * * *", start_date=datetime(2024, 4, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def features() -> None:
    @task(retries=5, retry_delay=timedelta(minutes=10))
    def run(logical_date: datetime) -> None:
        as_of = f"as_of={logical_date:%Y-%m-%d}"
        command = [".venv/bin/fstk", "run", "features", "-p", as_of, "--resume"]
        code = subprocess.run(command, cwd=PROJECT, check=False).returncode
        if code == INFRASTRUCTURE:
            raise AirflowException("infrastructure: it is tried again")
        if code != 0:  # 1 the job's own error, 2 bad parameters, 3 a gate said no, 138 the kernel died
            raise AirflowFailException(f"fstk run ended with {code}: trying again would not help")

    look = PapermillOperator(
        task_id="look",
        input_nb=f"{PROJECT}/notebooks/look.ipynb",
        output_nb=f"{PROJECT}/runs/look-{{{{ ds }}}}.ipynb",
        parameters={"as_of": "{{ ds }}"},
        kernel_name="features",
    )
    run() >> look


features()
