"""``fstk init`` makes a project that works as it was made, and ``fstk new job`` another job in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from databricks.bundles.jobs import Job

from fstk.cli.app import run_command
from fstk.errors import InvalidInput, UnknownTable
from fstk.jobs.bundle import read_bundle
from fstk.jobs.plan import plan_run
from fstk.settings import root
from tests.jobs.conftest import notebook

INIT = "fstk init mine"
MADE = {
    "fstk.toml",
    "databricks.yml",
    ".gitignore",
    "pytest.ini",
    "data/example.csv",
    ".github/workflows/notebooks.yml",
    "notebooks/features.ipynb",
    "resources/features.yml",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FSTK_WAREHOUSE", raising=False)
    monkeypatch.delenv("FSTK_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_has_a_notebook_a_job_a_test_and_ci(here: Path) -> None:
    shown = repr(run_command(INIT.split()[1:]))
    assert "next: cd mine   ·   jupyter lab notebooks/features.ipynb   ·   fstk run features   ·   pytest" in shown
    files = {str(path.relative_to(here / "mine")) for path in (here / "mine").rglob("*") if path.is_file()}
    assert files == MADE
    [task] = read_bundle(here / "mine" / "databricks.yml")["features"].tasks
    assert task.notebook.resolve() == here / "mine" / "notebooks" / "features.ipynb"
    workflow = yaml.safe_load((here / "mine" / ".github/workflows/notebooks.yml").read_text())
    assert "pytest" in str(workflow["jobs"]["notebooks"]["steps"])


def test_a_project_is_made_once_and_never_over_a_file(here: Path) -> None:
    (here / "databricks.yml").write_text("mine")
    with pytest.raises(InvalidInput, match=r"databricks.yml is there already: a project is made once"):
        run_command(["init"])
    assert [path.name for path in here.iterdir()] == ["databricks.yml"]


def test_a_job_is_added_and_no_name_is_taken_twice(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="Make a project: fstk init"):
        run_command(["new", "job", "weekly"])
    run_command(["init"])
    run_command(["new", "job", "weekly"])
    jobs = read_bundle(here / "databricks.yml")
    assert sorted(jobs) == ["features", "weekly"]
    assert jobs["weekly"].parameters == {"as_of": "2024-04-01"}, "what a notebook declares besides is edited there"
    for name in ("weekly", "features"):
        with pytest.raises(InvalidInput, match=f"there is a job {name} already"):
            run_command(["new", "job", name])
    with pytest.raises(InvalidInput, match="takes a NAME of letters"):
        run_command(["new", "job", "../x"])
    (here / "resources" / "other.yml").write_text((here / "resources" / "weekly.yml").read_text())
    with pytest.raises(InvalidInput, match=r"other.yml|weekly.yml: there is a job weekly already"):
        read_bundle(here / "databricks.yml")


def test_a_bundle_is_written_of_the_notebooks_that_are_there(here: Path) -> None:
    declared = 'from datetime import date\nas_of: date = "2024-04-01"\n'
    notebook(here / "notebooks" / "20 train.ipynb", declaration=f"{declared}limit: int | None = None\nsteps: int = 9")
    notebook(
        here / "notebooks" / "10_build.ipynb", declaration=f"{declared}full: bool = True\nsteps: int = 7\nkey: str"
    )
    made = run_command(["new", "bundle", "churn"])
    assert "made: databricks.yml, resources/churn.yml" in repr(made)
    job = read_bundle(here / "databricks.yml")["churn"]
    assert job.parameters == {"as_of": "2024-04-01", "full": "true", "key": "", "limit": ""}
    assert [(task.key, task.depends_on) for task in job.tasks] == [("10_build", ()), ("20_train", ("10_build",))]
    build, train = (task.parameters for task in plan_run("churn", {"key": "k"}, here).tasks)
    assert build == {"as_of": "2024-04-01", "full": True, "steps": 7, "key": "k"}
    assert train == {"as_of": "2024-04-01", "limit": None, "steps": 9}
    written = yaml.safe_load((here / "resources" / "churn.yml").read_text())["resources"]["jobs"]["churn"]
    assert written["tasks"][1]["notebook_task"]["base_parameters"]["steps"] == "9"
    assert Job.from_dict(written).as_dict() == written
    assert yaml.safe_load((here / "databricks.yml").read_text())["bundle"]["name"] == "churn"
    before = {path: path.read_bytes() for path in here.rglob("*.yml")}
    with pytest.raises(InvalidInput, match=r"databricks.yml is there already\. Nothing was written\."):
        run_command(["new", "bundle", "other"])
    assert {path: path.read_bytes() for path in here.rglob("*.yml")} == before


@pytest.mark.parametrize(
    ("notebooks", "message"), [((), "there is no notebook in"), (("a b", "a_b"), "would be the task a_b")]
)
def test_what_makes_no_bundle_writes_nothing(here: Path, notebooks: tuple[str, ...], message: str) -> None:
    for name in notebooks:
        notebook(here / f"{name}.ipynb")
    with pytest.raises(InvalidInput, match=message):
        run_command(["new", "bundle"])
    assert not [*here.rglob("*.yml")]


def test_what_was_not_found_says_where_it_was_looked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ("show shop.orders", "windows shop.t --source orders --entity id --time at --windows 7d")
    for line in lines:
        with pytest.raises(UnknownTable) as caught:
            run_command(line.split(), cell="count(*) as n")
        assert f"Looked in {here}/fstk-warehouse: there is no fstk.toml from" in str(caught.value)
    assert f"Looked in {here}/fstk-warehouse: there is no fstk.toml" in " ".join(repr(run_command(["tables"])).split())
    run_command(["init"])
    monkeypatch.chdir(here / "notebooks")
    assert root() == here
    with pytest.raises(UnknownTable, match=rf"Looked in {here}/fstk-warehouse\nSee them all: %fstk tables$"):
        run_command(["show", "shop.orders"])


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.slow
def test_the_project_runs_as_it_was_made(here: Path, served: dict[str, str]) -> None:
    run_command(["init", "mine"])
    project = here / "mine"
    settings = {**os.environ, **served, "MLFLOW_TRACKING_URI": f"sqlite:///{here}/mlflow.db"}
    program = "import sys; from fstk.cli.app import main; sys.exit(main())"
    tested = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    job = [sys.executable, "-c", program, "run", "features"]
    for command, said in ((tested, "1 passed"), (job, "nothing to do")):
        done = subprocess.run(
            command, cwd=project, env=settings, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert said in done.stdout
    assert {path.name for path in (project / "fstk-warehouse" / "shop").iterdir() if path.name[0] != "."} == {
        "purchases",
        "customer_features",
    }
