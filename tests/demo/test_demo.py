"""The demo as a newcomer meets it: twice, then the commands that README names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import deltalake
import nbformat
import numpy as np
import pytest
from playwright.sync_api import expect

from fstk.verbs.why import Why, why
from tests.browser.lab import CELLS, Notebook, chromium, jupyterlab, new_page
from tests.conftest import SERVED
from tests.demo.oracle import miscounted

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.spark, pytest.mark.server, SERVED]
TASKS = (
    "10_build_features",
    "20_build_training_set",
    "30_train_model",
    "40_publish_online",
    "50_score_batch",
    "60_watch_drift",
)
SERVING = r"""
export FSTK_TOKEN=$(.venv/bin/fstk token new me --only)
.venv/bin/fstk serve models:/churn_model@champion &
curl 127.0.0.1:8000/invocations -H "Authorization: Bearer $FSTK_TOKEN" -H "Content-Type: application/json" -d '{"dataframe_records": [{"customer_id": 17, "cohort": "1996-12-30"}]}'
"""  # noqa: E501 as README has it
RUNNERS = ("10_build_features", "40_publish_online")
"""What is run again by nbmake and by hand in JupyterLab, which prove a runner: the demo itself has run all six."""


def without_settings(**added: str) -> dict[str, str]:
    """The environment of another process, without the settings of this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("FSTK_", "MLFLOW_"))} | added


def fstk(project: Path, line: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``fstk …`` in a project as the command does, with those settings alone."""
    program = "import sys; from fstk.cli.app import main; sys.exit(main())"
    words = shlex.split(line)
    assert words[0] == "fstk"
    return subprocess.run(
        [sys.executable, "-c", program, *words[1:]],
        cwd=project,
        env=without_settings(**settings),
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    for name in ("databricks.yml", "fstk.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def first(project: Path) -> str:
    """What ``make demo`` prints the first time."""
    assert "fstk demo" in (ROOT / "Makefile").read_text()
    done = fstk(project, "fstk demo")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def versions(project: Path) -> dict[str, int]:
    logs = sorted((project / "fstk-warehouse").glob("*/*/_delta_log"))
    return {str(log.parent.name): deltalake.DeltaTable(str(log.parent)).version() for log in logs}


def test_each_task_says_what_it_did(first: str) -> None:
    lines = [line for line in first.splitlines() if re.match(r" \d/6  ", line) and " cell " not in line]
    assert [line.split()[1] for line in lines] == list(TASKS)
    assert "94,280 labels · 4 as-of dates · 100% kept · 0 saw the future" in lines[1]
    assert "churn_model v1 @champion" in lines[2]
    assert "23,583 written · 0 unchanged · 0 stale" in lines[3]
    assert "23,570 scored" in lines[4]
    assert max(len(line) for line in first.splitlines()) <= 100


def test_the_model_is_better_than_recency_alone(first: str) -> None:
    found = re.search(r"AUC (0\.\d+) \(recency alone (0\.\d+)\)", first)
    assert found is not None
    assert float(found[1]) > float(found[2])


def test_the_closing_screen_tells_why_a_feature_is_null_and_shows_one_customer(first: str) -> None:
    assert re.search(r"why a feature is null +customer_features +cohort_features", first)
    assert re.search(r"customer 17 online +txn_count_30d 0 · total_spend_30d 0.00 · as of 1998-03-25", first)


def test_the_features_are_those_that_duckdb_counts(project: Path, first: str) -> None:
    warehouse = project / "fstk-warehouse"
    folders = (warehouse / "feature_store" / "customer_features", warehouse / "default" / "transactions")
    features, purchases = (deltalake.DeltaTable(str(folder)).to_pyarrow_table() for folder in folders)
    assert miscounted(features, purchases) == 0


@pytest.mark.parametrize("cells", [100, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_random_values_come_down_to_their_purchases_bit_for_bit(
    project: Path, first: str, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    name = "feature_store.customer_features"
    monkeypatch.setenv("FSTK_WAREHOUSE", str(project / "fstk-warehouse"))
    rows = deltalake.DeltaTable(str(project / "fstk-warehouse" / name.replace(".", "/"))).to_pyarrow_table()
    chance = np.random.default_rng(cells)
    for place in chance.choice(rows.num_rows, cells, replace=False):
        row = rows.slice(place, 1).to_pylist()[0]
        feature = chance.choice(rows.column_names[2:])
        found = why(name, feature, str(row["customer_id"]), row["as_of"].isoformat())
        assert isinstance(found, Why)
        assert found.equal, found
        assert found.stored.as_py() == row[feature]


def test_each_record_names_what_was_read_and_written(project: Path, first: str) -> None:
    for task in TASKS:
        record = json.loads((project / "runs" / "churn" / "1998-03-31" / f"{task}.json").read_text())
        assert record["status"] == "succeeded"
        assert record["accesses"]
        assert all(access["version"] is not None for access in record["accesses"])
        notebook = nbformat.read(record["executed"], as_version=4)
        assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.nightly
def test_the_second_time_changes_nothing_though_a_connect_server_computes(
    project: Path, first: str, served: dict[str, str]
) -> None:
    before = versions(project)
    online = (project / "fstk-warehouse" / "online.db").read_bytes()
    again = fstk(project, "fstk demo", **served)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert versions(project) == before
    assert (project / "fstk-warehouse" / "online.db").read_bytes() == online
    lines = [line for line in again.stdout.splitlines() if re.match(r" \d/6  ", line) and " cell " not in line]
    assert all("nothing to do" in line for line in lines), again.stdout
    assert " the purchases go into the warehouse" in first.splitlines()
    assert " the purchases are in the warehouse already" in again.stdout.splitlines()


@pytest.mark.parametrize(
    "task",
    [
        "20_build_training_set",
        "30_train_model",
        "40_publish_online",
        "50_score_batch -p model_uri=models:/churn_model/Production",  # the older form of the model's address
    ],
)
def test_a_task_that_runs_again_changes_nothing_though_a_connect_server_computes(
    project: Path, first: str, served: dict[str, str], task: str
) -> None:
    before, online = versions(project), (project / "fstk-warehouse" / "online.db").read_bytes()
    name, _, parameters = task.partition(" ")
    again = fstk(project, f"fstk run notebooks/{name}.ipynb {parameters}", **served)
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout
    assert versions(project) == before
    assert (project / "fstk-warehouse" / "online.db").read_bytes() == online


def test_the_commands_that_readme_names(project: Path, first: str) -> None:
    (project / "orders.csv").write_text("customer_id,ordered_at,amount\n17,2024-07-01 12:30,9.5\n")
    line = "fstk load orders.csv as shop.orders --time ordered_at --entity customer_id --tz Europe/London"
    assert "source · 1 event of customer_id" in fstk(project, line).stdout
    tables = fstk(project, "fstk tables")
    assert "transactions" in tables.stdout.partition("source")[2]
    assert "feature_store.customer_features" in tables.stdout
    shown = fstk(project, "fstk show feature_store.customer_features")
    assert "total_spend_90d" in shown.stdout
    assert "of transactions (version 0) by purchased_at" in shown.stdout
    said = fstk(project, "fstk history feature_store.customer_features").stdout
    assert "run churn/10_build_features 1998-03-31" in said
    assert "total_spend_30d: sum(amount) over the 30 days before as_of" in said
    why = fstk(project, "fstk why feature_store.customer_features total_spend_30d --key 17").stdout
    assert "equal, bit for bit" in why
    assert "ok" in fstk(project, "fstk doctor").stdout
    runs = fstk(project, "fstk runs churn").stdout
    assert runs.count("succeeded") == len(TASKS)
    assert "parameter as_of" in fstk(project, "fstk runs churn 1998-03-31").stdout
    resumed = fstk(project, "fstk run churn -p as_of=1998-03-31 --resume")
    assert resumed.stdout.count("skipped") == len(TASKS)
    refused = fstk(project, "fstk run churn -p as_of=1998-13-01")
    assert refused.returncode == 2
    assert "as_of must be a date (YYYY-MM-DD)" in refused.stderr
    assert "Nothing was started" in refused.stderr


def test_the_model_answers_over_http_as_readme_says(project: Path, first: str) -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(line in readme for line in SERVING.strip().splitlines())
    assert "fstk serve models:/churn_model@champion" in first
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = "import sys; from fstk.cli.app import main; sys.exit(main())"
    begin = f"set -e; fstk() {{ exec {sys.executable} -c '{program}' \"$@\"; }}\n"
    wait = f"curl -sS --retry 300 --retry-delay 1 --retry-connrefused 127.0.0.1:{port}/ping\ncurl -sS "
    lines = SERVING.replace(".venv/bin/fstk", "fstk").replace("curl ", wait).replace(":8000", f":{port}")
    done = subprocess.run(
        ["bash", "-c", begin + lines.replace("@champion", f"@champion --port {port}") + "kill %1; wait %1"],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith(("FSTK_", "MLFLOW_"))},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert re.search(r'\{"predictions":\[\[0\.\d+,0\.\d+\]\]\}', done.stdout), done.stdout + done.stderr


def test_job_notebooks_run_under_nbmake_with_their_defaults(project: Path, first: str, served: dict[str, str]) -> None:
    notebooks = [f"notebooks/{task}.ipynb" for task in RUNNERS]
    before = versions(project)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "-q", "-p", "no:cacheprovider", *notebooks],
        cwd=project,
        env={name: value for name, value in without_settings(**served).items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(RUNNERS)} passed" in done.stdout
    assert versions(project) == before


@pytest.mark.browser
def test_the_job_notebooks_run_in_jupyterlab_as_they_are(
    project: Path, first: str, served: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("FSTK_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    before = versions(project)
    with jupyterlab(tmp_path, project / "notebooks") as lab, chromium() as browser:
        for task in RUNNERS:
            path = project / "notebooks" / f"{task}.ipynb"
            cells = len(code_cells(path))
            page = new_page(browser)
            notebook = Notebook.open(page, lab, path)
            expect(page.locator(CELLS)).to_have_count(cells)  # they come one by one
            for number in range(cells):
                notebook.run(number)
            notebook.save()
            page.context.close()
            ran = code_cells(path)
            assert all(cell.execution_count for cell in ran), task
            assert not [output for cell in ran for output in cell.outputs if output.output_type == "error"]
    assert versions(project) == before


def test_the_first_grant_closes_a_table_to_all_others(project: Path, first: str, served: dict[str, str]) -> None:
    table = "ON TABLE feature_store.customer_features"
    line = 'fstk grant "GRANT SELECT ON TABLE feature_store.customer_features TO me"'
    open_to_all = fstk(project, f'fstk grant "SHOW GRANTS {table}"').stdout
    assert "nothing is granted, and every token opens it until the first grant" in open_to_all
    done = fstk(project, line, **served)
    assert "GRANT SELECT on feature_store.customer_features: changed" in done.stdout, done.stderr
    assert "me         SELECT" in fstk(project, f'fstk grant "SHOW GRANTS {table}"').stdout


def code_cells(notebook: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
